//! Sweeps: the product of all lists of a `[[sweep]]`, over models and texts.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use crate::dataset_entry::DatasetEntry;
use crate::reader::{At, Raw, Reader, Section};
use crate::recipe::read_recipes;
use crate::{
    Calibration, Cell, Compare, Measure, Mode, ModelEntry, Observation, Part, Policy,
    Recalibration, Recipe, Rule, Score, Treatment, TreatmentSpec, UnknownName, shortest_decimal,
};

/// The keys that say what is done to a model.
pub(crate) const TREATMENT_KEYS: [&str; 11] = [
    "policy",
    "score",
    "sparsity",
    "window",
    "rule",
    "prompt_tokens",
    "part",
    "mode",
    "recalibration",
    "observation",
    "sample",
];

/// The treatments of one sweep and where they apply.
struct Sweep {
    span: Range<usize>,
    place: String,
    recipes: Vec<Recipe>,
    compare: Option<Compare>,
    /// None means all.
    models: Option<BTreeSet<String>>,
    /// None means all.
    datasets: Option<BTreeSet<String>>,
}

/// All cells of a file: by model, then by text, dense first, then the sweeps in order.
///
/// A cell that two sweeps share is listed once, where it comes first.
pub(crate) fn read_cells<'a>(
    reader: &mut Reader<'a>,
    top: &Section<'a>,
    models: &[At<ModelEntry>],
    datasets: &[At<DatasetEntry>],
    seed: u64,
) -> Vec<Cell> {
    let mut sweeps = Vec::new();
    for section in reader.tables(top, "sweep") {
        sweeps.push(read_sweep(reader, &section, models, datasets, seed));
    }
    let mut cells = Vec::new();
    for model in models.iter().map(|at| &at.value) {
        for dataset in datasets.iter().map(|at| &at.value) {
            // What two cells of one model and text share exactly when they are the same cell.
            let mut seen: HashSet<(&Recipe, Option<Compare>)> = HashSet::new();
            cells.push(cell_of(model, dataset, Recipe::dense(seed), None));
            for sweep in &sweeps {
                let covers = |names: &Option<BTreeSet<String>>, name: &String| {
                    names.as_ref().is_none_or(|names| names.contains(name))
                };
                if !covers(&sweep.models, &model.name) || !covers(&sweep.datasets, &dataset.name) {
                    continue;
                }
                for recipe in &sweep.recipes {
                    if let Some(problem) = problem_with(recipe, sweep.compare, dataset) {
                        reader.mistake(&sweep.span, &sweep.place, problem);
                    }
                    if seen.insert((recipe, sweep.compare)) {
                        cells.push(cell_of(model, dataset, recipe.clone(), sweep.compare));
                    }
                }
            }
        }
    }
    cells
}

/// Why a recipe cannot be run on a text.
fn problem_with(
    recipe: &Recipe,
    compare: Option<Compare>,
    dataset: &DatasetEntry,
) -> Option<String> {
    let name = &dataset.name;
    if compare.is_some() && dataset.protocol.measure() != Measure::MeanLoss {
        return Some(format!(
            "`compare` looks at the predictions of windows of text, and `{name}` has items: name the \
             texts with `datasets`"
        ));
    }
    if recipe.needs_calibration() && dataset.calibration.is_none() {
        let what = match recipe.treatment() {
            Some(treatment) => format!("policy `{}`", treatment.policy),
            None => format!("`{}`", recipe.text()),
        };
        return Some(format!(
            "{what} needs calibration text: give dataset `{name}` a `calibration`"
        ));
    }
    if recipe.observation().is_some() && dataset.offset.is_some() {
        return Some(format!(
            "policy `observe` reads a text from its beginning, and `{name}` has an `offset`: name the \
             texts with `datasets`"
        ));
    }
    if recipe.observation().is_some() && dataset.protocol.measure() != Measure::MeanLoss {
        return Some(format!(
            "policy `observe` reads windows of text, and `{name}` has items: name the texts with \
             `datasets`"
        ));
    }
    None
}

fn cell_of(
    model: &ModelEntry,
    dataset: &DatasetEntry,
    recipe: Recipe,
    compare: Option<Compare>,
) -> Cell {
    let calibration = dataset.calibration.as_ref().filter(|_| recipe.needs_calibration());
    Cell {
        model: model.name.clone(),
        dataset: dataset.name.clone(),
        protocol: dataset.protocol,
        limit: dataset.limit,
        offset: dataset.offset,
        calibration: calibration.map(|entry| Calibration {
            dataset: entry.dataset.clone(),
            limit: entry.limit,
            window_tokens: entry.window_tokens,
        }),
        recipe,
        compare,
    }
}

/// The values of one axis; empty when the key is absent or every value is wrong.
///
/// A value that comes twice is a mistake.
fn axis<'a, T: PartialEq>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
    read: impl Fn(&mut Reader<'a>, Raw<'a>, &str, &str) -> Option<At<T>>,
) -> Vec<T> {
    let Some(value) = section.table.get(key) else { return Vec::new() };
    let mut values: Vec<T> = Vec::new();
    for raw in reader.scalar_or_list(value, &section.place, key) {
        let Some(At { span, value }) = read(reader, raw, &section.place, key) else { continue };
        if values.contains(&value) {
            reader.mistake(&span, &section.place, format!("`{key}`: the value comes twice"));
        } else {
            values.push(value);
        }
    }
    values
}

/// κ of a sweep: `0 ≤ κ < 1`.
fn sparsity<'a>(reader: &mut Reader<'a>, raw: Raw<'a>, place: &str, key: &str) -> Option<At<f64>> {
    let at = reader.decimal(raw, place, key)?;
    if !(0.0..1.0).contains(&at.value) {
        let given = shortest_decimal(at.value);
        reader.mistake(&at.span, place, format!("`{key}`: {given} is outside 0 <= sparsity < 1"));
        return None;
    }
    Some(At { value: at.value + 0.0, ..at })
}

/// The names of a `models` or `datasets` key, each of which must be an entry of the file.
fn chosen<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
    what: &str,
    entries: &BTreeSet<&str>,
) -> Option<BTreeSet<String>> {
    let value = section.table.get(key)?;
    let mut names = BTreeSet::new();
    for raw in reader.scalar_or_list(value, &section.place, key) {
        let Some(name) = reader.string(raw, &section.place, key) else { continue };
        if entries.contains(name.value.as_str()) {
            names.insert(name.value);
        } else {
            let error = UnknownName::new(what, name.value, entries.iter().copied());
            reader.mistake(&name.span, &section.place, format!("`{key}`: {error}"));
        }
    }
    Some(names)
}

/// The product of all lists of a section, checked; every combination that means nothing is a mistake.
pub(crate) fn read_treatments<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    seed: u64,
) -> Vec<Treatment> {
    let axes = Axes::read(reader, section);
    let mut treatments = Vec::new();
    for &policy in &axes.policies {
        if !check_axes(reader, section, policy, &axes.rules) {
            continue;
        }
        for spec in axes.specs(policy, seed) {
            match Treatment::new(spec) {
                Ok(treatment) => treatments.push(treatment),
                Err(error) => {
                    reader.mistake(&section.span, &section.place, error.to_string());
                }
            }
        }
    }
    treatments
}

fn read_sweep<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    models: &[At<ModelEntry>],
    datasets: &[At<DatasetEntry>],
    seed: u64,
) -> Sweep {
    let recipes = read_what(reader, section, seed);
    let compare = section.table.get("compare").and_then(|value| {
        let read = reader.name::<Compare>(value, &section.place, "compare");
        read.map(|at| at.value)
    });
    let model_names: BTreeSet<&str> = models.iter().map(|at| at.value.name.as_str()).collect();
    let dataset_names: BTreeSet<&str> = datasets.iter().map(|at| at.value.name.as_str()).collect();
    Sweep {
        span: section.span.clone(),
        place: section.place.clone(),
        recipes,
        compare,
        models: chosen(reader, section, "models", "model of this file", &model_names),
        datasets: chosen(reader, section, "datasets", "dataset of this file", &dataset_names),
    }
}

/// What is done to the models: a `recipe`, or the short form for neurons and state channels.
fn read_what<'a>(reader: &mut Reader<'a>, section: &Section<'a>, seed: u64) -> Vec<Recipe> {
    const EVERY_SWEEP: [&str; 3] = ["compare", "datasets", "models"];
    if section.table.contains_key("recipe") {
        reader.check_keys(section, &[&["recipe"][..], &EVERY_SWEEP].concat());
        return read_recipes(reader, section, "recipe", seed);
    }
    reader.check_keys(section, &[&["recipe"], &TREATMENT_KEYS[..], &EVERY_SWEEP].concat());
    let expected = "`static`, `dynamic`, `window` or `observe`, or a `recipe`";
    reader.required(section, "policy", expected);
    read_treatments(reader, section, seed).into_iter().map(Recipe::from).collect()
}

/// The lists of a sweep.
struct Axes {
    policies: Vec<Policy>,
    parts: Vec<Part>,
    scores: Vec<Score>,
    sparsities: Vec<f64>,
    windows: Vec<usize>,
    rules: Vec<Rule>,
    prompts: Vec<usize>,
    modes: Vec<Mode>,
    recalibrations: Vec<Recalibration>,
    observations: Vec<Observation>,
    samples: Vec<usize>,
}

impl Axes {
    fn read<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Self {
        let mut parts = axis(reader, section, "part", Reader::name::<Part>);
        if !section.table.contains_key("part") {
            parts.push(Part::Ffn);
        }
        Self {
            parts,
            policies: axis(reader, section, "policy", Reader::name::<Policy>),
            scores: axis(reader, section, "score", Reader::name::<Score>),
            sparsities: axis(reader, section, "sparsity", sparsity),
            windows: axis(reader, section, "window", Reader::count),
            rules: axis(reader, section, "rule", Reader::name::<Rule>),
            prompts: axis(reader, section, "prompt_tokens", Reader::count),
            modes: axis(reader, section, "mode", Reader::name::<Mode>),
            recalibrations: axis(reader, section, "recalibration", Reader::name::<Recalibration>),
            observations: axis(reader, section, "observation", Reader::name::<Observation>),
            samples: axis(reader, section, "sample", Reader::count),
        }
    }

    /// The product of all lists that the policy takes, the first changing slowest.
    fn specs(&self, policy: Policy, seed: u64) -> Vec<TreatmentSpec> {
        type Spec = TreatmentSpec;
        let mut specs = vec![Spec::of(policy, seed)];
        specs = product(specs, &self.parts, |spec, &part| Spec { part, ..spec });
        specs =
            product(specs, &self.observations, |spec, &o| Spec { observation: Some(o), ..spec });
        specs = product(specs, &self.scores, |spec, &s| Spec { score: Some(s), ..spec });
        specs = product(specs, &self.sparsities, |spec, &sparsity| Spec { sparsity, ..spec });
        if matches!(policy, Policy::Window | Policy::Observe) {
            specs = product(specs, &self.windows, |spec, &w| Spec { window: Some(w), ..spec });
        }
        if policy == Policy::Window {
            specs = product(specs, &self.rules, |spec, &r| Spec { rule: Some(r), ..spec });
            let (with, without): (Vec<_>, Vec<_>) = specs
                .into_iter()
                .partition(|spec| spec.rule == Some(Rule::Prompt) && !self.prompts.is_empty());
            specs = without;
            specs.extend(product(with, &self.prompts, |spec, &tokens| Spec {
                prompt_tokens: Some(tokens),
                ..spec
            }));
        }
        specs = product(specs, &self.modes, |spec, &m| Spec { mode: Some(m), ..spec });
        specs = product(specs, &self.recalibrations, |spec, &r| Spec {
            recalibration: Some(r),
            ..spec
        });
        product(specs, &self.samples, |spec, &n| Spec { sample: Some(n), ..spec })
    }
}

/// Every specification with every value; unchanged where there is no value.
fn product<T>(
    specs: Vec<TreatmentSpec>,
    values: &[T],
    set: impl Fn(TreatmentSpec, &T) -> TreatmentSpec,
) -> Vec<TreatmentSpec> {
    if values.is_empty() {
        return specs;
    }
    specs.iter().flat_map(|spec| values.iter().map(|value| set(spec.clone(), value))).collect()
}

/// For every key whether a policy needs it and whether it takes it.
fn axes_of(policy: Policy) -> [(&'static str, bool, bool); 8] {
    let observes = policy == Policy::Observe;
    let is_window = policy == Policy::Window;
    let changes = is_window || policy == Policy::Dynamic;
    [
        ("score", !observes, true),
        ("sparsity", !observes, true),
        ("window", is_window, is_window || observes),
        ("rule", is_window, is_window),
        ("mode", false, changes),
        ("recalibration", false, is_window || policy == Policy::Static),
        ("observation", observes, observes),
        ("sample", false, observes),
    ]
}

/// Which axes a policy needs and which it does not take.
fn check_axes<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    policy: Policy,
    rules: &[Rule],
) -> bool {
    if policy == Policy::Dense {
        let span = section.table.get("policy").map_or(section.span.clone(), |v| v.span());
        let message = "dense needs no sweep: it is added once for every model and dataset";
        reader.mistake(&span, &section.place, message);
        return false;
    }
    let mut ok = true;
    for (key, needed, taken) in axes_of(policy) {
        match section.table.get(key) {
            None if needed => {
                let message = format!("missing key `{key}`: policy `{policy}` needs it");
                reader.mistake(&section.span, &section.place, message);
                ok = false;
            }
            Some(value) if !taken => {
                let message = format!("policy `{policy}` takes no `{key}`");
                reader.mistake(&value.span(), &section.place, message);
                ok = false;
            }
            _ => {}
        }
    }
    if let Some(value) = section.table.get("prompt_tokens")
        && !rules.contains(&Rule::Prompt)
    {
        let message = "`prompt_tokens` belongs to the rule `prompt` only";
        reader.mistake(&value.span(), &section.place, message);
        ok = false;
    }
    ok
}
