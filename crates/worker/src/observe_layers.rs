//! Observations of layers: how linear each is, the directions of the residual stream, and what each would
//! predict.

use std::time::Instant;

use anyhow::{Context as _, bail};
use cuts::{Watch, directions, linear_blocks};
use plan::{Event, ModelInput, OrderedCell, Step};
use skips::{LensSums, lens, steps::exit_rule};
use tables::{BlockRow, DirectionRow, LensRow};

use crate::{
    evaluate::{Evaluated, Rows},
    parallel::in_order,
    runner::Runner,
    scores::Scores,
    subject,
};

impl Runner<'_> {
    /// What a cell measures of layers; `None` if asked to stop on the way.
    pub(crate) fn observed_layers(
        &self,
        ordered: &OrderedCell,
        scores: &mut Scores,
    ) -> anyhow::Result<Option<Evaluated>> {
        let OrderedCell { id, cell } = ordered;
        let started = Instant::now();
        let step = cell.recipe.observation().context("a cell that observes nothing")?;
        let windows = scores.windows(self, cell)?.to_vec();
        let (units, tokens) = (windows.len(), windows.iter().map(Vec::len).sum::<usize>() as u64);
        self.say(&Event::CellStart { id: id.clone(), label: cell.label(), units: units as u64 });
        let progress = |done: usize, all: usize| {
            // Layers stand for the windows that all of them read.
            let share = |whole: u64| whole * done as u64 / all.max(1) as u64;
            let (units_done, tokens_done) = (share(units as u64), share(tokens));
            let (id, units) = (id.clone(), units as u64);
            self.say(&Event::Progress { id, units_done, units, tokens_done });
        };
        let stop = || self.stop.asked();
        let watch = Watch { stop: &stop, progress: &progress };
        let rows = match step.name("observation") {
            Some("linearity") => {
                let fitted = scores.calibration_windows(self, cell)?;
                let fitted_tokens = fitted.iter().map(Vec::len).sum::<usize>() as u64;
                let blocks = linear_blocks(self.model(), fitted, &windows, &watch)?;
                blocks.map(|blocks| Rows::Blocks(block_rows(&blocks, fitted_tokens, tokens)))
            }
            Some("directions") => self.directions(&windows, &watch)?,
            Some("lens") => self.lens(step, &windows, &progress)?,
            _ => bail!("`{step}` is not measured"),
        };
        Ok(rows.map(|rows| Evaluated::observed(self.model(), rows, started, (units, tokens))))
    }

    /// Windows side by side, each through all layers.
    fn lens(
        &self,
        step: &Step,
        windows: &[Vec<u32>],
        progress: &dyn Fn(usize, usize),
    ) -> anyhow::Result<Option<Rows>> {
        let (rule, mut done) = (exit_rule(step), 0);
        let of_window = |window: &Vec<u32>| lens(self.model(), window, rule);
        let parts = in_order(windows, self.stop, of_window, |_| {
            done += 1;
            progress(done, windows.len());
        })?;
        let Some((first, rest)) = parts.as_ref().and_then(|parts| parts.split_first()) else {
            return Ok(None);
        };
        let mut layers = first.clone();
        for part in rest {
            layers.iter_mut().zip(part).for_each(|(sum, own)| sum.add(own));
        }
        Ok(Some(Rows::Lens(lens_rows(&layers))))
    }

    /// The model is read again for a device that records.
    fn directions(&self, windows: &[Vec<u32>], watch: &Watch<'_>) -> anyhow::Result<Option<Rows>> {
        let ModelInput { path, time_steps, .. } = self.input;
        let model = subject::model(path, &self.device.clone().autodiff(), *time_steps)?.model;
        let Some(layers) = directions(model.as_ref(), windows, watch)? else { return Ok(None) };
        let rows = layers.iter().flat_map(|own| {
            let values = own.variance.iter().zip(&own.sensitivity).enumerate();
            values.map(|(direction, (variance, sensitivity))| DirectionRow {
                layer: own.layer as u32,
                direction: direction as u32,
                variance: *variance,
                sensitivity: *sensitivity,
            })
        });
        Ok(Some(Rows::Directions(rows.collect())))
    }
}

fn block_rows(r_squared: &[f64], fitted_tokens: u64, tokens: u64) -> Vec<BlockRow> {
    let rows = r_squared.iter().enumerate();
    rows.map(|(layer, r2)| BlockRow { layer: layer as u32, fitted_tokens, tokens, r2: *r2 })
        .collect()
}

fn lens_rows(layers: &[LensSums]) -> Vec<LensRow> {
    let row = |(layer, sums): (usize, &LensSums)| LensRow {
        layer: layer as u32,
        tokens: sums.tokens,
        settled: sums.settled,
        agreeing: sums.agreeing,
        probability: sums.probability,
        leaving: sums.leaving,
    };
    layers.iter().enumerate().map(row).collect()
}
