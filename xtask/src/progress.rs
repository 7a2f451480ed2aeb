//! Progress of a run: two bars on a terminal; elsewhere a line for each model that is through, one for each
//! failure, and one now and then while nothing else is said.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use plan::{Event, WorkOrder};

/// The first silence that is broken; each further one may be twice as long.
const FIRST_SILENCE: Duration = Duration::from_secs(60);
/// The longest silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// Shows the worker's events.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: Option<Bars>,
    /// Whether every cell that ends gets a line.
    verbose: bool,
    /// Label and model of each cell, by id.
    cells: BTreeMap<String, (String, String)>,
    models: BTreeMap<String, Tally>,
    n_left: usize,
    n_tried: usize,
    n_failed: usize,
    started: Instant,
    cell_started: Instant,
    spoken: Instant,
    silence: Duration,
}

/// The cells of one model.
#[derive(Debug, Default)]
struct Tally {
    n_ordered: usize,
    n_done: usize,
    n_failed: usize,
    seconds: f64,
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
pub(crate) fn style(template: &str) -> ProgressStyle {
    // The templates are constants of this program; a wrong one would fall back to the plain bar.
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

impl Bars {
    fn new(n_left: usize) -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let cells = all.add(ProgressBar::new(n_left as u64));
        cells
            .set_style(style("cells [{bar:30}] {pos}/{len}  {elapsed} elapsed, {eta} left  {msg}"));
        cells.enable_steady_tick(Duration::from_millis(500));
        let cell = all.add(ProgressBar::new(0));
        cell.set_style(style("      [{bar:30}] {pos}/{len}  {wide_msg}"));
        Bars { all, cells, cell }
    }
}

impl Progress {
    /// Progress over the cells of `left`, none of which is done.
    pub(crate) fn new(left: &WorkOrder, verbose: bool) -> Self {
        let n_left = left.cells.len();
        let bars = std::io::stderr().is_terminal().then(|| Bars::new(n_left));
        let named = |own: &plan::OrderedCell| (own.cell.label(), own.cell.model.clone());
        let cells = left.cells.iter().map(|own| (own.id.clone(), named(own))).collect();
        let mut models: BTreeMap<String, Tally> = BTreeMap::new();
        for own in &left.cells {
            models.entry(own.cell.model.clone()).or_default().n_ordered += 1;
        }
        let now = Instant::now();
        Progress {
            bars,
            verbose,
            cells,
            models,
            n_left,
            n_tried: 0,
            n_failed: 0,
            started: now,
            cell_started: now,
            spoken: now,
            silence: FIRST_SILENCE,
        }
    }

    pub(crate) fn printer(&self) -> Printer {
        Printer { bars: self.bars.as_ref().map(|bars| bars.all.clone()) }
    }

    fn label<'a>(&'a self, id: &'a str) -> &'a str {
        self.cells.get(id).map_or(id, |(label, _)| label)
    }

    fn say(&mut self, line: &str) {
        self.printer().line(line);
        self.spoken = Instant::now();
    }

    /// Takes in one event.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            // A phase (reading weights, calibrating) is news on a bar; elsewhere only where all is told.
            Event::Phase { message } => match &self.bars {
                Some(bars) => bars.cell.set_message(message.clone()),
                None if self.verbose => self.say(message),
                None => {}
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
                self.advance(id, *units_done, *units, *tokens_done);
            }
            Event::CellDone { id, seconds, tokens_per_second } => {
                let end = format!("done, {seconds:.1} s, {tokens_per_second:.0} tokens/s");
                self.ended(id, Ok((*seconds, end)));
            }
            Event::CellFailed { id, error } => self.ended(id, Err(error)),
            Event::CellElsewhere { id } => self.ended_elsewhere(id),
            Event::Waiting { message } => {
                self.say(message);
                if let Some(bars) = &self.bars {
                    bars.cell.set_message(message.clone());
                }
            }
            Event::End { .. } => {}
        }
        self.break_silence();
    }

    fn advance(&self, id: &str, units_done: u64, units: u64, tokens_done: u64) {
        let Some(bars) = &self.bars else { return };
        let seconds = self.cell_started.elapsed().as_secs_f64().max(1e-3);
        let (unit_rate, token_rate) = (units_done as f64 / seconds, tokens_done as f64 / seconds);
        let label = self.label(id);
        bars.cell.set_length(units);
        bars.cell.set_position(units_done);
        bars.cell.set_message(format!("{unit_rate:.2}/s, {token_rate:.0} tokens/s  {label}"));
    }

    /// One more cell was tried: its seconds and how it went, or its error.
    fn ended(&mut self, id: &str, how: Result<(f64, String), &String>) {
        self.n_tried += 1;
        let head = format!("[{}/{}] {}", self.n_tried, self.n_left, self.label(id));
        match &how {
            Ok((_, end)) if self.verbose => self.say(&format!("{head}: {end}")),
            Ok(_) => {}
            Err(error) => {
                self.n_failed += 1;
                self.say(&format!("{head}: FAILED: {error}"));
            }
        }
        if let Some(bars) = &self.bars {
            bars.cells.inc(1);
            if self.n_failed > 0 {
                bars.cells.set_message(format!("({} failed)", self.n_failed));
            }
        }
        if let Some((_, model)) = self.cells.get(id) {
            self.tally(&model.clone(), how.map(|(seconds, _)| seconds).ok());
        }
    }

    /// One cell less is left, without work of ours.
    fn ended_elsewhere(&mut self, id: &str) {
        self.n_left = self.n_left.saturating_sub(1);
        if let Some(bars) = &self.bars {
            bars.cells.set_length(self.n_left as u64);
        }
        let Some((_, model)) = self.cells.get(id) else { return };
        let model = model.clone();
        if let Some(tally) = self.models.get_mut(&model) {
            tally.n_ordered -= 1;
        }
        self.tell_if_through(&model);
    }

    /// Counts an ended cell for its model; the worker goes model by model, so the last one of a model that
    /// is left tells that the model is through.
    fn tally(&mut self, model: &str, seconds: Option<f64>) {
        let Some(tally) = self.models.get_mut(model) else { return };
        match seconds {
            Some(seconds) => {
                (tally.n_done, tally.seconds) = (tally.n_done + 1, tally.seconds + seconds)
            }
            None => tally.n_failed += 1,
        }
        self.tell_if_through(model);
    }

    fn tell_if_through(&mut self, model: &str) {
        let Some(tally) = self.models.get(model) else { return };
        let n_tried = tally.n_done + tally.n_failed;
        // On a terminal the bars say it.
        if n_tried < tally.n_ordered || n_tried == 0 || self.bars.is_some() {
            return;
        }
        let line = tally.line(model);
        self.say(&line);
    }

    /// Elsewhere than on a terminal: that a long run lives, and how long it will still take.
    fn break_silence(&mut self) {
        let is_news = self.bars.is_none() && self.spoken.elapsed() >= self.silence;
        if !is_news || self.n_tried == 0 {
            return;
        }
        self.silence = (self.silence * 2).min(LONGEST_SILENCE);
        let passed = self.started.elapsed().as_secs_f64();
        let left = passed / self.n_tried as f64 * (self.n_left.saturating_sub(self.n_tried)) as f64;
        let failed = match self.n_failed {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        let line = format!(
            "{} of {} cells{failed}, about {:.0} min left",
            self.n_tried,
            self.n_left,
            (left / 60.0).ceil()
        );
        self.say(&line);
    }

    /// Takes the bars away.
    pub(crate) fn finish(&mut self) {
        if let Some(bars) = self.bars.take() {
            bars.cell.finish_and_clear();
            bars.cells.finish_and_clear();
        }
    }
}

impl Tally {
    /// `opt-relu: 92 cells in 35 s`.
    fn line(&self, model: &str) -> String {
        let failed = match self.n_failed {
            0 => String::new(),
            n => format!(", {n} failed"),
        };
        format!("{model}: {} cells in {:.0} s{failed}", self.n_done, self.seconds)
    }
}
