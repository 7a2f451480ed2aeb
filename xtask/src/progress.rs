//! Progress of a run: two bars on a terminal, a line per finished cell elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use plan::{Event, WorkOrder};

/// Shows the worker's events.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: Option<Bars>,
    labels: BTreeMap<String, String>,
    n_left: usize,
    n_tried: usize,
    n_failed: usize,
    cell_started: Instant,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    cells: ProgressBar,
    cell: ProgressBar,
}

/// Prints lines above the bars, or plainly where there are none.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    bars: Option<MultiProgress>,
}

impl Printer {
    /// Prints one line on standard error.
    pub(crate) fn line(&self, text: &str) {
        match &self.bars {
            // Nothing can be done about a terminal that went away.
            Some(bars) => bars.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

/// A bar's look. No colours, so `NO_COLOR` is honoured by nature.
fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this file; a wrong one would fall back to the plain bar.
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

impl Progress {
    /// Progress over the `n_left` cells of `order` that are not done.
    pub(crate) fn new(order: &WorkOrder, n_left: usize) -> Self {
        let bars = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let cells = all.add(ProgressBar::new(n_left as u64));
            cells.set_style(style(
                "cells [{bar:30}] {pos}/{len}  {elapsed} elapsed, {eta} left  {msg}",
            ));
            cells.enable_steady_tick(Duration::from_millis(500));
            let cell = all.add(ProgressBar::new(0));
            cell.set_style(style("      [{bar:30}] {pos}/{len}  {wide_msg}"));
            Bars { all, cells, cell }
        });
        let labels = order.cells.iter().map(|c| (c.id.clone(), c.cell.label())).collect();
        let cell_started = Instant::now();
        Progress { bars, labels, n_left, n_tried: 0, n_failed: 0, cell_started }
    }

    pub(crate) fn printer(&self) -> Printer {
        Printer { bars: self.bars.as_ref().map(|bars| bars.all.clone()) }
    }

    fn label<'a>(&'a self, id: &'a str) -> &'a str {
        self.labels.get(id).map_or(id, String::as_str)
    }

    /// Takes in one event.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Phase { message } => match &self.bars {
                Some(bars) => bars.cell.set_message(message.clone()),
                None => eprintln!("{message}"),
            },
            Event::CellStart { id, units, .. } => {
                self.cell_started = Instant::now();
                if let Some(bars) = &self.bars {
                    bars.cell.set_length(*units);
                    bars.cell.set_position(0);
                    bars.cell.set_message(self.label(id).to_owned());
                }
            }
            Event::Progress { id, units_done, units, tokens_done } => {
                let seconds = self.cell_started.elapsed().as_secs_f64().max(1e-3);
                let (unit_rate, token_rate) =
                    (*units_done as f64 / seconds, *tokens_done as f64 / seconds);
                if let Some(bars) = &self.bars {
                    let label = self.label(id);
                    bars.cell.set_length(*units);
                    bars.cell.set_position(*units_done);
                    bars.cell.set_message(format!(
                        "{unit_rate:.2}/s, {token_rate:.0} tokens/s  {label}"
                    ));
                }
            }
            Event::CellDone { id, seconds, tokens_per_second } => {
                let end = format!("{seconds:.1} s, {tokens_per_second:.0} tokens/s");
                self.ended(id, &format!("done, {end}"));
            }
            Event::CellFailed { id, error } => {
                self.n_failed += 1;
                self.ended(id, &format!("FAILED: {error}"));
            }
            Event::End { .. } => {}
        }
    }

    /// One more cell was tried.
    fn ended(&mut self, id: &str, how: &str) {
        self.n_tried += 1;
        let line = format!("[{}/{}] {}: {how}", self.n_tried, self.n_left, self.label(id));
        match &self.bars {
            None => eprintln!("{line}"),
            Some(bars) => {
                if how.starts_with("FAILED") {
                    self.printer().line(&line);
                }
                bars.cells.inc(1);
                if self.n_failed > 0 {
                    bars.cells.set_message(format!("({} failed)", self.n_failed));
                }
            }
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.cell.finish_and_clear();
            bars.cells.abandon();
        }
    }
}
