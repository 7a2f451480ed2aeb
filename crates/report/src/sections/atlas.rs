//! The atlas: a section a model, its texts one after the other.

use evidence::Quantity;
use judgement::atlas::{
    Atlas, BOOTSTRAP, Entry, Mean, Measure, Overlap, Persistence, SPARSITIES, Similarity, Stability,
};
use plan::{Part, shortest_decimal};

use crate::document::Align::{Left, Right};
use crate::document::{Block, Field, Line, Table};
use crate::format::{self, count, or_nothing, percent, significant};
use crate::headings::of_entry;
use crate::sentences::{AtlasSentences, with_limits};
use crate::units::unit;

/// The atlas of a run; nothing where nothing was observed. Its tables lie in `<prefix>atlas`.
pub(super) fn section(atlas: &Atlas, sentences: &[AtlasSentences], prefix: &str) -> Vec<Block> {
    if sentences.is_empty() {
        return Vec::new();
    }
    let about = Line::from(format!(
        "Means are over sites, intervals 95 % percentile bootstrap over sites ({} resamples, seed {}). \
         All numbers: ",
        BOOTSTRAP.resamples, BOOTSTRAP.seed
    ));
    let about = about.code(format!("{prefix}atlas/*.parquet")).text(" beside this page.");
    let mut page = vec![Block::heading(2, "Importance atlas"), Block::Paragraph(about)];
    for AtlasSentences { model, headlines, others } in sentences {
        page.push(Block::heading(3, model));
        if !(headlines.is_empty() && others.is_empty()) {
            page.push(Block::list(headlines.iter().chain(others).map(String::as_str)));
        }
        let entries = atlas.entries.iter().filter(|entry| entry.model == *model);
        page.extend(entries.flat_map(entry_section));
        for part in Part::ALL {
            let of_part =
                |stability: &&Stability| (stability.model == *model) && stability.part == *part;
            let rows: Vec<&Stability> = atlas.stability.iter().filter(of_part).collect();
            page.extend(stability(*part, &rows));
        }
        let overlaps = atlas.overlaps.iter().filter(|own| own.model == *model);
        page.extend(overlaps.flat_map(overlap));
    }
    page
}

fn entry_section(entry: &Entry) -> Vec<Block> {
    // "Of the state" is said by the heading.
    let thing = unit(entry.part).trim_start_matches("state ");
    let (sites, places) = (count(entry.n_sites, "site"), count(entry.n_places, thing));
    let notes: String = entry.notes.iter().map(|note| format!("; {note}")).collect();
    let about = format!("{sites}, {places}, {}{notes}.", entry.protocol);
    let mut page = vec![Block::heading(4, of_entry(entry)), Block::paragraph(about)];
    if !entry.correlations.is_empty() {
        page.extend(correlation_matrix(entry));
        page.extend(by_layer(entry));
        page.extend(constant(entry));
    }
    if !entry.agreement.is_empty() {
        page.extend(agreement_matrix(entry));
    }
    page.extend(proxy_gap(entry));
    page.extend(entry.persistence.iter().flat_map(persistence));
    page
}

/// `-0.158`, `+0.957`
fn correlation(value: f64) -> String {
    format::correlation(value, 3)
}

/// `0.412 [0.380, 0.440]`
fn share_with_limits(mean: &Mean) -> String {
    let limits = mean.lower.zip(mean.upper);
    let limits = limits.map(|(lower, upper)| format!(" [{lower:.3}, {upper:.3}]"));
    format!("{:.3}{}", mean.value, limits.unwrap_or_default())
}

/// A square of quantities; `field` fills what is off the diagonal.
fn matrix(quantities: &[Quantity], field: impl Fn(usize, usize) -> String) -> Block {
    let names = quantities.iter().map(|quantity| (quantity.as_str(), Right));
    let mut table = Table::new([("", Left)].into_iter().chain(names));
    for (row, quantity) in quantities.iter().enumerate() {
        let fields = (0..quantities.len()).map(|column| match row == column {
            true => Field::number("1"),
            false => Field::Number(field(row, column)),
        });
        table.push([Field::text(quantity.as_str())].into_iter().chain(fields));
    }
    Block::Table(table)
}

fn correlation_matrix(entry: &Entry) -> [Block; 2] {
    let scores = &entry.scores;
    let field = |row: usize, column: usize| {
        let measure = if row > column { Measure::Spearman } else { Measure::Pearson };
        let similarity = entry.correlation(scores[row], scores[column], measure);
        let mean = similarity.and_then(|similarity| similarity.mean);
        or_nothing(mean.map(|mean| correlation(mean.value)))
    };
    let about = "Correlation, mean over sites: Spearman below the diagonal, Pearson above it:";
    [Block::paragraph(about), matrix(scores, field)]
}

/// The correlations that a sign change with depth would show in, with interval and layer by layer.
fn by_layer(entry: &Entry) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (first, second) in Quantity::size_against(entry.part).into_iter().take(2) {
        let Some(similarity) = entry.correlation(first, second, Measure::Spearman) else {
            continue;
        };
        let values: Vec<String> = similarity
            .sites
            .iter()
            .map(|site| format!("{}: {}", site.layer, or_nothing(site.value.map(correlation))))
            .collect();
        let (first, second) = (first.as_str(), second.as_str());
        let mean = or_nothing(similarity.mean.map(|mean| with_limits(&mean)));
        let values = values.join(", ");
        let text = format!("Spearman({first}, {second}): mean {mean}; by layer {values}");
        blocks.push(Block::paragraph(text));
    }
    blocks
}

/// Scores that do not vary, and so correlate with nothing.
fn constant(entry: &Entry) -> Option<Block> {
    if entry.constant.is_empty() {
        return None;
    }
    let lines: Vec<String> = entry
        .constant
        .iter()
        .map(|(score, layers)| {
            let n_sites = count(layers.len(), "site");
            let layers: Vec<String> = layers.iter().map(u32::to_string).collect();
            format!("{} at {n_sites} (layer {})", score.as_str(), layers.join(", "))
        })
        .collect();
    let lines = lines.join("; ");
    let text = format!("Constant, so that there is no correlation and no kept set: {lines}.");
    Some(Block::paragraph(text))
}

fn agreement_matrix(entry: &Entry) -> [Block; 2] {
    let has_sets = |score: &&Quantity| {
        let mut agreement = entry.agreement.iter();
        agreement.any(|similarity| similarity.first == **score || similarity.second == **score)
    };
    let scores: Vec<Quantity> = entry.scores.iter().filter(has_sets).copied().collect();
    let [below, above] = SPARSITIES;
    let field = |row: usize, column: usize| {
        let sparsity = if row > column { below } else { above };
        let similarity = entry.agreement_at(scores[row], scores[column], sparsity);
        let mean = similarity.and_then(|similarity| similarity.mean);
        or_nothing(mean.map(|mean| format!("{:.3}", mean.value)))
    };
    let about = format!(
        "Kept sets (Jaccard, mean over sites): below the diagonal at κ={}, above it at κ={}:",
        shortest_decimal(below),
        shortest_decimal(above),
    );
    [Block::paragraph(about), matrix(&scores, field)]
}

fn proxy_gap(entry: &Entry) -> Option<Block> {
    let gap = entry.proxy_gap.as_ref()?;
    let pearson = gap.pearson.map_or("none (constant)".to_owned(), correlation);
    Some(Block::paragraph(format!(
        "Proxy gap over {} channels of all layers: Pearson of state-weight with mean H² {pearson}; at \
         κ={} the ranks disagree on {}: {} phantom (small weight, high energy), {} corporeal (the \
         reverse).",
        gap.n_channels,
        shortest_decimal(gap.sparsity),
        percent(gap.disagreement()),
        percent(gap.phantom),
        percent(gap.corporeal)
    )))
}

fn persistence(persistence: &Persistence) -> [Block; 3] {
    let columns = [
        ("half-life, tokens", Left),
        ("channels", Right),
        ("mean half-life", Right),
        ("dropped for ever", Right),
        ("read", Right),
        ("write", Right),
        ("write / read", Right),
    ];
    let mut table = Table::new(columns);
    for bin in &persistence.bins {
        let tokens = |tokens: f64| shortest_decimal(tokens);
        let range = match bin.below {
            Some(below) => format!("{} to {}", tokens(bin.from), tokens(below)),
            None => format!("{} or more", tokens(bin.from)),
        };
        let number = |value: Option<f64>| or_nothing(value.map(|value| significant(value, 3)));
        let fields = [
            range,
            bin.n_channels.to_string(),
            significant(bin.half_life, 3),
            number(bin.ablation),
            number(bin.ablation_read),
            number(bin.ablation_write),
            number(bin.write_over_read),
        ];
        table.push(fields.map(Field::Number));
    }
    let correlations: Vec<String> = persistence
        .correlations
        .iter()
        .map(|with| {
            let mean = or_nothing(with.mean.map(|mean| with_limits(&mean)));
            format!("with {} {mean}", with.second.as_str())
        })
        .collect();
    let window = persistence.dropped_tokens;
    let about = format!(
        "Persistence: mean rise of the NLL (nats per target) when a channel alone is dropped, for ever or \
         in every other window of W={window} tokens, by half-life:"
    );
    let note = format!(
        "Spearman of half-life per site, mean over sites (W={window}): {}.",
        correlations.join(", ")
    );
    [Block::paragraph(about), Block::Table(table), Block::paragraph(note)]
}

fn stability(part: Part, rows: &[&Stability]) -> Vec<Block> {
    if rows.is_empty() {
        return Vec::new();
    }
    let jaccard = SPARSITIES.map(|sparsity| format!("Jaccard κ={}", shortest_decimal(sparsity)));
    let columns = [("score", Left), ("texts", Left), ("Spearman", Right)];
    let more = jaccard.iter().map(|name| (name.as_str(), Right));
    let mut table = Table::new(columns.into_iter().chain(more));
    for row in rows {
        let mean = |measure: Measure, sparsity: Option<f64>| {
            let is_it = |own: &&Similarity| own.measure == measure && own.sparsity == sparsity;
            let similarity = row.similarities.iter().find(is_it);
            let mean = similarity.and_then(|own| own.mean);
            or_nothing(mean.map(|mean| match measure {
                Measure::Jaccard => share_with_limits(&mean),
                Measure::Spearman | Measure::Pearson => with_limits(&mean),
            }))
        };
        let texts = row.texts().join(" and ");
        let first = [row.score.as_str().to_owned(), texts, mean(Measure::Spearman, None)];
        let jaccard = SPARSITIES.map(|sparsity| mean(Measure::Jaccard, Some(sparsity)));
        table.push(first.into_iter().chain(jaccard).map(Field::Text));
    }
    vec![Block::heading(4, format!("Stability over texts ({part})")), Block::Table(table)]
}

fn overlap(overlap: &Overlap) -> [Block; 2] {
    let columns = [("lag, tokens", Right), ("shared", Right), ("Jaccard", Right)];
    let mut table = Table::new(columns.into_iter().chain([("by chance", Right)]));
    for lag in &overlap.lags {
        let mean = &lag.overlap;
        let limits = mean.lower.zip(mean.upper);
        let limits =
            limits.map(|(lower, upper)| format!(" [{}, {}]", percent(lower), percent(upper)));
        let fields = [
            lag.lag_tokens.to_string(),
            format!("{}{}", percent(mean.value), limits.unwrap_or_default()),
            format!("{:.3}", lag.jaccard),
            percent(lag.by_chance),
        ];
        table.push(fields.map(Field::Number));
    }
    let heading = format!(
        "Kept neurons that two tokens share: {}, {}, κ={}",
        overlap.dataset,
        overlap.score,
        shortest_decimal(overlap.sparsity),
    );
    [Block::heading(4, heading), Block::Table(table)]
}
