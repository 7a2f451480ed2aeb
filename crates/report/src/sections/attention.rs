//! Where attention goes, and whether the size of a key says it.

use judgement::Summary;
use judgement::attention::{AttentionAtlas, Paid, RECENT, SINKS};

use crate::document::Align::Right;
use crate::document::{Block, Field, Table};
use crate::format::{correlation, count, or_nothing, percent, significant};
use crate::sentences::with_limits;

/// A table a model; nothing where attention was not observed.
pub(super) fn section(summary: &Summary) -> Vec<Block> {
    if summary.attention.is_empty() {
        return Vec::new();
    }
    let heading = Block::heading(2, "Attention: where it goes, and for how long");
    let about = format!(
        "Means over the heads of a layer; in brackets what a head that looks at all alike pays. Sinks are the \
         first {SINKS} tokens, recent the last {RECENT}. ρ is Spearman's, of the length of a key (value) with \
         the attention that its position draws: below 0, short keys draw more. The half-life says after how \
         many tokens half of the positions that a query keeps are kept no more."
    );
    let tables = summary.attention.iter().flat_map(table);
    [heading, Block::paragraph(about)].into_iter().chain(tables).collect()
}

fn table(own: &AttentionAtlas) -> Vec<Block> {
    let mut table = Table::new([
        ("layer", Right),
        ("heads", Right),
        ("to sinks", Right),
        ("to recent", Right),
        ("entropy, × even", Right),
        ("ρ of key length, [least, largest] of a head", Right),
        ("ρ of value length", Right),
        ("half-life, tokens", Right),
    ]);
    let paid = |paid: Paid| format!("{} ({})", percent(paid.share), percent(paid.even));
    for site in &own.sites {
        let limits = site.rho_key_size_range.map(|(least, largest)| {
            format!(" [{}, {}]", correlation(least, 2), correlation(largest, 2))
        });
        let rho = site.rho_key_size.map(|rho| correlation(rho, 2) + &limits.unwrap_or_default());
        let half_life = match site.half_life_tokens {
            Some(tokens) => significant(tokens, 2),
            None => "longer".to_owned(),
        };
        table.push([
            Field::Number(site.layer.to_string()),
            Field::Number(site.heads.to_string()),
            Field::Number(paid(site.sinks)),
            Field::Number(paid(site.recent)),
            Field::Number(significant(site.entropy, 2)),
            Field::Number(or_nothing(rho)),
            Field::Number(or_nothing(site.rho_value_size.map(|rho| correlation(rho, 2)))),
            Field::Number(half_life),
        ]);
    }
    let heading = format!("{} · {}: attention by layer", own.model, own.dataset);
    let rho = or_nothing(own.rho_key_size.as_ref().map(with_limits));
    let note = format!(
        "ρ of key length and attention, mean over {} with its 95 % interval: {rho}. Kept are {} of the \
         positions, by attention.",
        count(own.sites.len(), "layer"),
        percent(1.0 - own.sparsity),
    );
    vec![Block::heading(3, heading), Block::Table(table), Block::paragraph(note)]
}
