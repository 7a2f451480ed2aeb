//! Observations of attention: what every head looks at.

use std::time::Instant;

use anyhow::Context as _;
use models::Batch;
use plan::{Event, OrderedCell};
use skips::{Attending, HeadAttention, KeyHead, SiteAttention, bucket_limits, sum_attention};
use tables::AttentionRow;

use crate::{
    evaluate::{Evaluated, Rows},
    parallel::in_order,
    runner::Runner,
    scores::Scores,
};

impl Runner<'_> {
    /// What a cell measures of attention; `None` if asked to stop on the way.
    pub(crate) fn observed_attention(
        &self,
        ordered: &OrderedCell,
        scores: &mut Scores,
    ) -> anyhow::Result<Option<Evaluated>> {
        let OrderedCell { id, cell } = ordered;
        let started = Instant::now();
        let step = cell.recipe.observation().context("a cell that observes nothing")?;
        let sparsity = step.share("sparsity").unwrap_or_default().get();
        let windows = scores.windows(self, cell)?;
        let (units, tokens) = (windows.len(), windows.iter().map(Vec::len).sum::<usize>() as u64);
        self.say(&Event::CellStart { id: id.clone(), label: cell.label(), units: units as u64 });
        let (mut units_done, mut tokens_done) = (0, 0);
        let done = |window: &Vec<u32>| {
            units_done += 1;
            tokens_done += window.len() as u64;
            let (id, units) = (id.clone(), units as u64);
            self.say(&Event::Progress { id, units_done, units, tokens_done });
        };
        let of_window = |window: &Vec<u32>| {
            let mut executor = Attending::new(sparsity);
            self.model().forward(&Batch::new([window.as_slice()]), &mut executor)?;
            anyhow::Ok(executor.finish())
        };
        let Some(parts) = in_order(windows, self.stop, of_window, done)? else { return Ok(None) };
        let sites = sum_attention(parts);
        let rows = Rows::Attention(sites.iter().enumerate().flat_map(of_site).collect());
        Ok(Some(Evaluated::observed(self.model(), rows, started, (units, tokens))))
    }
}

fn of_site((site, own): (usize, &SiteAttention)) -> Vec<AttentionRow> {
    let groups = own.heads.len() / own.key_heads.len().max(1);
    let heads = own.heads.iter().enumerate();
    let rows = heads.flat_map(|(head, attention)| {
        let key_head = head / groups;
        let queries = own.queries as f64;
        let bare = AttentionRow {
            site: site as u32,
            layer: own.layer as u32,
            head: head as u32,
            key_head: key_head as u32,
            queries: own.queries,
            axis: String::new(),
            from_tokens: 0,
            to_tokens: 0,
            share: 0.0,
            by_chance: 0.0,
            entropy_nats: attention.entropy_nats / queries,
            even_entropy_nats: own.even.entropy_nats / queries,
            rho_key_size: own.key_heads[key_head].rho_key_size.mean(),
            rho_value_size: own.key_heads[key_head].rho_value_size.mean(),
        };
        let shares = of_head(&bare, attention, &own.even, queries);
        shares.into_iter().chain(of_key_head(&bare, &own.key_heads[key_head])).collect::<Vec<_>>()
    });
    rows.collect()
}

/// Attention by distance and by place.
fn of_head(
    bare: &AttentionRow,
    own: &HeadAttention,
    even: &HeadAttention,
    queries: f64,
) -> Vec<AttentionRow> {
    let axes =
        [("lag", &own.by_lag, &even.by_lag), ("position", &own.by_position, &even.by_position)];
    let rows = axes.into_iter().flat_map(|(axis, paid, even)| {
        paid.iter().zip(even).enumerate().map(move |(bucket, (paid, even))| {
            let (from, to) = bucket_limits(bucket);
            AttentionRow {
                axis: axis.to_owned(),
                from_tokens: from as u32,
                to_tokens: to as u32,
                share: paid / queries,
                by_chance: even / queries,
                ..bare.clone()
            }
        })
    });
    rows.collect()
}

/// How many of the kept positions are kept later too.
fn of_key_head(bare: &AttentionRow, own: &KeyHead) -> Vec<AttentionRow> {
    let lags = own.still_kept.iter().zip(&own.by_chance).enumerate();
    let rows = lags.filter_map(|(index, (kept, chance))| {
        let lag = 1 << index;
        Some(AttentionRow {
            axis: "kept".to_owned(),
            from_tokens: lag,
            to_tokens: lag,
            share: kept.mean()?,
            by_chance: chance.mean()?,
            ..bare.clone()
        })
    });
    rows.collect()
}
