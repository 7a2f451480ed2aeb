//! Models as they ran, side by side: a table a model.

use evidence::Spread;
use judgement::speed::{SideBySide, SpeedRow};

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Table};
use crate::format::{or_nothing, percent, significant};
use crate::headings;

/// The tables of a run; nothing where nothing was timed.
pub(super) fn section(all: &[SideBySide]) -> Vec<Block> {
    if all.is_empty() {
        return Vec::new();
    }
    let heading = Block::heading(2, "Speed beside loss");
    let explained = Block::paragraph(
        "Measured as docs/SPEC.md section 17 says, each row in a process of its own and \
         all in turn: the median of the repeats and their range, ratios repeat by repeat. Weights are \
         counted where they are read. A row is not beaten where none decodes as fast at no more loss.",
    );
    [heading, explained].into_iter().chain(all.iter().flat_map(of_model)).collect()
}

fn of_model(own: &SideBySide) -> [Block; 2] {
    let mut table = Table::new([
        ("as it ran", Left),
        ("decode, tokens/s", Right),
        ("× dense", Right),
        ("prefill, tokens/s", Right),
        ("× dense", Right),
        ("perplexity × dense", Right),
        ("weights read, MB a token", Right),
        ("cache, MB", Right),
        ("peak MB", Right),
        ("zeros", Right),
        ("not beaten", Left),
    ]);
    for row in &own.rows {
        let SpeedRow { timed, is_on_front } = row;
        let megabytes = |bytes: f64| significant(bytes / 1e6, 4);
        table.push([
            Field::text(&timed.row),
            Field::Number(spread(timed.decode_tokens_per_second)),
            Field::Number(spread(timed.decode_over_dense)),
            Field::Number(spread(timed.prefill_tokens_per_second)),
            Field::Number(spread(timed.prefill_over_dense)),
            Field::Number(or_nothing(timed.perplexity_over_dense.map(|own| significant(own, 5)))),
            Field::Number(or_nothing(timed.weight_bytes_per_token.map(megabytes))),
            Field::Number(or_nothing(timed.cache_bytes.map(|bytes| megabytes(bytes as f64)))),
            Field::Number(megabytes(timed.peak_rss_bytes as f64)),
            Field::Number(or_nothing(timed.natural_zeros.map(percent))),
            Field::text(if *is_on_front { "yes" } else { "" }),
        ]);
    }
    [Block::heading(3, headings::of_speed(&own.model)), Block::Table(table)]
}

/// `1.72 [1.65, 1.80]`.
fn spread(Spread { median, least, most }: Spread) -> String {
    let digits = |value| significant(value, 3);
    format!("{} [{}, {}]", digits(median), digits(least), digits(most))
}
