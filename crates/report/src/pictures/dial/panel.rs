//! What the dial shows of one model: a line a commit rule, and references that hold for every window.

use std::collections::{BTreeMap, BTreeSet};

use evidence::place::{Model, Place};
use evidence::{Key, Row, Wanted};
use judgement::Summary;
use judgement::contrast::{DYNAMIC, FIXED, SCORE};
use judgement::dial::{Dial, DialRow, SAME_AT_ONE};
use judgement::perplexity::Perplexity;
use plan::{Part, Policy, Rule, Score, Share};

use crate::pictures::choose::Found;
use crate::pictures::ratios::perplexity_models;

/// The references that hold for every window: what they are called and how they choose.
pub(super) const REFERENCES: [(&str, Wanted); 2] = [
    ("static (calibration)", FIXED),
    ("random for every token", Wanted::way(Part::Ffn, Policy::Dynamic, Score::Random)),
];

/// What tells two lines apart: the rule, and the tokens that `prompt` sums over.
pub(super) type Choosing = (Rule, Option<usize>);

/// One commit rule of one model, by window.
pub(super) type RuleLine<'a> = BTreeMap<usize, Place<'a, Perplexity>>;

/// The dial of one model.
pub(super) struct Panel<'a> {
    pub(super) lines: BTreeMap<Choosing, RuleLine<'a>>,
    /// In the order of [`REFERENCES`].
    pub(super) references: [Place<'a, Perplexity>; 2],
    pub(super) is_ambiguous: bool,
}

impl<'a> Panel<'a> {
    pub(super) fn places(&self) -> impl Iterator<Item = &Place<'a, Perplexity>> {
        self.lines.values().flat_map(BTreeMap::values).chain(&self.references)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &'a Row<Perplexity>> {
        self.places().filter_map(Place::row)
    }
}

/// The panel of every model and sparsity that has a line.
pub(super) fn found(summary: &Summary) -> Vec<Found<'_, Panel<'_>>> {
    let is_wanted = |key: &Key| {
        let is_windowed = key.policy == Policy::Window && key.part == Part::Ffn;
        is_windowed && has_score(key.score, key.rule)
            || DYNAMIC.fits(key)
            || REFERENCES.iter().any(|(_, way)| way.fits(key))
    };
    let models = perplexity_models(summary, is_wanted);
    let mut found = Vec::new();
    for model in &models {
        let is_of = |dial: &&Dial| dial.part == Part::Ffn && dial.subject() == model.subject;
        let dial = summary.dials.iter().find(is_of);
        for sparsity in sparsities(model, dial) {
            let value = panel(model, dial, sparsity);
            let is_line = |line: &RuleLine<'_>| {
                line.values().filter(|place| place.row().is_some()).count() > 1
            };
            let is_measured = value.lines.values().any(is_line);
            found.push(Found { key: model.subject, sparsity, value, is_measured });
        }
    }
    found
}

/// Sparsities of a dial and of windows without results, ascending.
fn sparsities(model: &Model<'_, Perplexity>, dial: Option<&Dial>) -> Vec<f64> {
    let absent = model.absent.iter().filter_map(|absent| Key::of(absent.cell));
    let absent = absent.filter(|key| key.policy == Policy::Window).map(|key| key.sparsity);
    let measured = dial.into_iter().flat_map(|dial| &dial.rows);
    let measured = measured.map(|row| Share::nearest(row.sparsity));
    let sparsities: BTreeSet<Share> = measured.chain(absent).collect();
    sparsities.into_iter().map(Share::get).collect()
}

/// Rules that look at scores are shown by one score; the random one looks at none.
fn has_score(score: Option<Score>, rule: Option<Rule>) -> bool {
    score == Some(SCORE) || rule == Some(Rule::Random)
}

fn panel<'a>(model: &Model<'a, Perplexity>, dial: Option<&Dial>, sparsity: f64) -> Panel<'a> {
    let is_shown = |row: &&DialRow| {
        row.sparsity.total_cmp(&sparsity).is_eq() && has_score(Some(row.score), Some(row.rule))
    };
    let mut lines: BTreeMap<Choosing, RuleLine<'_>> = BTreeMap::new();
    let dial_rows = dial.into_iter().flat_map(|dial| &dial.rows);
    for dial_row in dial_rows.filter(is_shown) {
        for value in &dial_row.values {
            let row = model.rows.iter().find(|row| row.cell_id == value.cell_id);
            if let Some(row) = row.filter(|row| model.is_comparable(row)) {
                let line = lines.entry((dial_row.rule, dial_row.prompt_tokens)).or_default();
                line.entry(value.window).or_insert(Place::Row(row));
            }
        }
    }
    for absent in &model.absent {
        let own = Key::of(absent.cell).filter(|key| key.sparsity == Share::nearest(sparsity));
        let Some(key) = own else { continue };
        if let (Policy::Window, Some(rule), Some(window)) = (key.policy, key.rule, key.window) {
            let line = lines.entry((rule, key.prompt_tokens)).or_default();
            line.entry(window).or_insert(Place::Absent(*absent));
        }
        if DYNAMIC.fits(&key) {
            for rule in SAME_AT_ONE {
                if let Some(line) = lines.get_mut(&(rule, None)) {
                    line.entry(1).or_insert(Place::Absent(*absent));
                }
            }
        }
    }
    let mut is_ambiguous = dial.is_some_and(|dial| dial.n_ambiguous > 0);
    let references = REFERENCES.map(|(_, way)| {
        let (place, has_several) = model.place(way.at(sparsity));
        is_ambiguous |= has_several;
        place
    });
    Panel { lines, references, is_ambiguous }
}
