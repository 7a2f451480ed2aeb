//! Reading a claims file: every mistake with its line and the nearest valid name.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Claim, Claims, Expectation, ModelGroup};
use crate::reader::{At, Mistakes, Reader, Section, read_document};
use crate::recipe::read_recipes;
use crate::sweep::{TREATMENT_KEYS, read_treatments};
use crate::{Part, Policy, Predicate, Recipe, Score, Treatment, TreatmentSpec, UnknownName, Whole};

const TOP_KEYS: &[&str] = &["name", "source", "alpha", "group", "claim"];
const GROUP_KEYS: &[&str] = &["name", "models", "texts", "corpora", "last_word"];
const CLAIM_KEYS: [&str; 4] = ["id", "sentence", "groups", "expect"];

impl Claims {
    /// Reads a claims file.
    ///
    /// # Errors
    /// [`Mistakes`] holds every mistake of the file, each with its line.
    pub fn parse(text: &str) -> Result<Claims, Mistakes> {
        read_document(text, |reader, top| {
            reader.check_keys(top, TOP_KEYS);
            let name = text_of(reader, top, "name", "the name of the list");
            let source = text_of(reader, top, "source", "whose sentences these are");
            let alpha = number_of(reader, top, "alpha", 0.0..0.5);
            let groups = read_groups(reader, top);
            let claims = read_claims(reader, top, &groups);
            let (name, source) = (name?.value, source?.value);
            Some(Claims { name, source, alpha: alpha?, groups, claims })
        })
    }
}

/// A text that must be there.
fn text_of<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
    expected: &str,
) -> Option<At<String>> {
    let value = reader.required(section, key, expected)?;
    reader.string(value, &section.place, key)
}

/// A number that must be there, larger than the start of `range` and smaller than its end.
fn number_of<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
    range: Range<f64>,
) -> Option<f64> {
    let expected = match range.end.is_finite() {
        true => format!("a number between {} and {}", range.start, range.end),
        false => format!("a number above {}", range.start),
    };
    let value = reader.required(section, key, &expected)?;
    let At { span, value } = reader.decimal(value, &section.place, key)?;
    let is_within = value > range.start && value < range.end;
    if !is_within {
        let message = format!("`{key}`: expected {expected}, found {value}");
        reader.mistake(&span, &section.place, message);
    }
    is_within.then_some(value)
}

/// A name of a vocabulary that must be there.
fn name_of<'a, T: std::str::FromStr<Err = UnknownName>>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
    known: &[&str],
) -> Option<T> {
    let value = reader.required(section, key, &format!("one of {}", known.join(", ")))?;
    Some(reader.name(value, &section.place, key)?.value)
}

/// One text or a list of them; empty where the key is absent.
fn texts_of<'a>(reader: &mut Reader<'a>, section: &Section<'a>, key: &str) -> Vec<At<String>> {
    let Some(value) = section.table.get(key) else { return Vec::new() };
    let raw = reader.scalar_or_list(value, &section.place, key);
    raw.into_iter().filter_map(|raw| reader.string(raw, &section.place, key)).collect()
}

fn read_groups<'a>(reader: &mut Reader<'a>, top: &Section<'a>) -> Vec<ModelGroup> {
    let mut groups: Vec<ModelGroup> = Vec::new();
    for section in reader.tables(top, "group") {
        reader.check_keys(&section, GROUP_KEYS);
        let name = text_of(reader, &section, "name", "the name that claims use");
        reader.required(&section, "models", "names of models");
        let mut list = |key: &str| -> Vec<String> {
            texts_of(reader, &section, key).into_iter().map(|at| at.value).collect()
        };
        let (models, texts) = (list("models"), list("texts"));
        let (corpora, last_word) = (list("corpora"), list("last_word"));
        let Some(At { span, value: name }) = name else { continue };
        if groups.iter().any(|group| group.name == name) {
            reader.mistake(&span, &section.place, format!("`{name}` comes twice"));
        }
        groups.push(ModelGroup { name, models, texts, corpora, last_word });
    }
    groups
}

fn read_claims<'a>(
    reader: &mut Reader<'a>,
    top: &Section<'a>,
    groups: &[ModelGroup],
) -> Vec<Claim> {
    let sections = reader.tables(top, "claim");
    if sections.is_empty() {
        reader.mistake(&(0..0), "", "missing key `claim`: expected [[claim]] tables");
    }
    let (mut claims, mut ids) = (Vec::new(), BTreeSet::new());
    for section in sections {
        let id = text_of(reader, &section, "id", "a short name");
        let sentence = text_of(reader, &section, "sentence", "what is claimed, in words");
        let chosen = read_group_names(reader, &section, groups);
        let expectation = read_expectation(reader, &section, &chosen, groups);
        if let Some(At { span, value }) = &id
            && !ids.insert(value.clone())
        {
            reader.mistake(span, &section.place, format!("`{value}` comes twice"));
        }
        if let (Some(id), Some(sentence), Some(expectation)) = (id, sentence, expectation) {
            let (id, sentence) = (id.value, sentence.value);
            claims.push(Claim { id, sentence, groups: chosen, expectation });
        }
    }
    claims
}

/// Positions of the groups that a claim names.
fn read_group_names<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    groups: &[ModelGroup],
) -> Vec<usize> {
    reader.required(section, "groups", "names of [[group]] tables");
    let mut chosen = Vec::new();
    for At { span, value } in texts_of(reader, section, "groups") {
        match groups.iter().position(|group| group.name == value) {
            Some(position) => chosen.push(position),
            None => {
                let known = groups.iter().map(|group| group.name.as_str());
                let error = UnknownName::new("group of this file", value, known);
                reader.mistake(&span, &section.place, format!("`groups`: {error}"));
            }
        }
    }
    chosen
}

/// The keys of a predicate beside those of every claim.
fn own_keys(predicate: Predicate) -> Vec<&'static str> {
    let with_treatment = |own: &[&'static str]| [&TREATMENT_KEYS[..], own].concat();
    match predicate {
        Predicate::PerplexityAtLeast | Predicate::PerplexityAtMost => {
            with_treatment(&["recipe", "times"])
        }
        Predicate::AccuracyUnchanged | Predicate::AccuracyFalls => {
            with_treatment(&["recipe", "margin"])
        }
        Predicate::DialRises => with_treatment(&["tolerance"]),
        Predicate::CorrelationSame => vec!["first", "second", "margin"],
        Predicate::CostsMore | Predicate::CostsNoMore => {
            with_treatment(&["recipe", "than", "than_policy", "than_recipe", "times"])
        }
        Predicate::LinearityGrows | Predicate::DirectionsDisagree => vec!["rho"],
        Predicate::ShareAtMost => vec!["part", "of", "share"],
    }
}

fn read_expectation<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    chosen: &[usize],
    groups: &[ModelGroup],
) -> Option<Expectation> {
    let predicate: Predicate = name_of(reader, section, "expect", Predicate::NAMES)?;
    reader.check_keys(section, &[&CLAIM_KEYS[..], &own_keys(predicate)].concat());
    check_texts(reader, section, predicate, chosen, groups);
    let any = f64::INFINITY;
    Some(match predicate {
        Predicate::PerplexityAtLeast => Expectation::PerplexityAtLeast {
            recipes: recipes(reader, section),
            times: number_of(reader, section, "times", 0.0..any)?,
        },
        Predicate::PerplexityAtMost => Expectation::PerplexityAtMost {
            recipes: recipes(reader, section),
            times: number_of(reader, section, "times", 0.0..any)?,
        },
        Predicate::AccuracyUnchanged => Expectation::AccuracyUnchanged {
            recipes: recipes(reader, section),
            margin: number_of(reader, section, "margin", 0.0..1.0)?,
        },
        Predicate::AccuracyFalls => Expectation::AccuracyFalls {
            recipes: recipes(reader, section),
            margin: number_of(reader, section, "margin", 0.0..1.0)?,
        },
        Predicate::DialRises => Expectation::DialRises {
            treatments: treatments(reader, section),
            tolerance: number_of(reader, section, "tolerance", 1.0..any)?,
        },
        Predicate::CorrelationSame => Expectation::CorrelationSame {
            first: name_of(reader, section, "first", Score::NAMES)?,
            second: name_of(reader, section, "second", Score::NAMES)?,
            margin: number_of(reader, section, "margin", 0.0..2.0)?,
        },
        Predicate::CostsMore => Expectation::CostsMore {
            pairs: pairs(reader, section)?,
            times: number_of(reader, section, "times", 0.0..any)?,
        },
        Predicate::CostsNoMore => Expectation::CostsNoMore {
            pairs: pairs(reader, section)?,
            times: number_of(reader, section, "times", 0.0..any)?,
        },
        Predicate::LinearityGrows => {
            Expectation::LinearityGrows { rho: number_of(reader, section, "rho", -1.0..1.0)? }
        }
        Predicate::DirectionsDisagree => {
            Expectation::DirectionsDisagree { rho: number_of(reader, section, "rho", -1.0..1.0)? }
        }
        Predicate::ShareAtMost => Expectation::ShareAtMost {
            part: name_of::<Part>(reader, section, "part", Part::NAMES)?,
            of: name_of(reader, section, "of", Whole::NAMES)?,
            share: number_of(reader, section, "share", 0.0..1.0)?,
        },
    })
}

/// A predicate over texts that a group does not name would never be measured.
fn check_texts<'a>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    predicate: Predicate,
    chosen: &[usize],
    groups: &[ModelGroup],
) {
    for group in chosen.iter().map(|&position| &groups[position]) {
        let (key, texts, least) = match predicate {
            Predicate::AccuracyUnchanged | Predicate::AccuracyFalls => {
                ("last_word", &group.last_word, 1)
            }
            Predicate::CorrelationSame => ("corpora", &group.corpora, 2),
            _ => ("texts", &group.texts, 1),
        };
        if texts.len() < least {
            let message = format!(
                "`{predicate}` needs at least {least} of `{key}` in group `{}`, which names {}",
                group.name,
                texts.len()
            );
            reader.mistake(&section.span, &section.place, message);
        }
    }
}

/// What is done to the model, as recipes: those that `recipe` spans, or the short form.
fn recipes<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<Recipe> {
    if !section.table.contains_key("recipe") {
        return treatments(reader, section).into_iter().map(Recipe::from).collect();
    }
    let short = TREATMENT_KEYS.iter().find_map(|key| section.table.get(*key));
    if let Some(value) = short {
        let message = "a `recipe` says all that is done: no other key of a treatment goes with it";
        reader.mistake(&value.span(), &section.place, message);
    }
    read_recipes(reader, section, "recipe", NO_SEED)
}

/// Seeds are those of the runs and not of the claims.
const NO_SEED: u64 = 0;

/// What is done to the model, in the short form.
fn treatments<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Vec<Treatment> {
    reader.required(section, "policy", "`static`, `dynamic` or `window`");
    read_treatments(reader, section, NO_SEED)
}

/// Each recipe beside `than_recipe`, or each treatment beside the same one by the score `than`, by the
/// policy `than_policy`, or both.
fn pairs<'a>(reader: &mut Reader<'a>, section: &Section<'a>) -> Option<Vec<(Recipe, Recipe)>> {
    if section.table.contains_key("recipe") {
        reader.required(section, "than_recipe", "the steps that it is compared with");
        let others = read_recipes(reader, section, "than_recipe", NO_SEED);
        let own = recipes(reader, section);
        let pairs =
            own.iter().flat_map(|own| others.iter().map(|other| (own.clone(), other.clone())));
        return Some(pairs.collect());
    }
    let score: Option<Score> = optional_name(reader, section, "than");
    let policy: Option<Policy> = optional_name(reader, section, "than_policy");
    if !["than", "than_policy"].iter().any(|key| section.table.contains_key(*key)) {
        reader.required(section, "than", "a score, or `than_policy`");
        return None;
    }
    let mut pairs = Vec::new();
    for treatment in treatments(reader, section) {
        let is_same_policy = policy.is_none_or(|policy| policy == treatment.policy);
        let spec = TreatmentSpec {
            part: treatment.part,
            sparsity: treatment.sparsity,
            // Another policy has its own window, rule and mode.
            window: treatment.window.filter(|_| is_same_policy),
            rule: treatment.rule.filter(|_| is_same_policy),
            prompt_tokens: treatment.prompt_tokens.filter(|_| is_same_policy),
            mode: treatment.mode.filter(|_| is_same_policy),
            score: score.or(treatment.score),
            ..TreatmentSpec::of(policy.unwrap_or(treatment.policy), treatment.seed)
        };
        match Treatment::new(spec) {
            Ok(other) => pairs.push((treatment.into(), other.into())),
            Err(error) => {
                let message = format!("`than`: {error}");
                reader.mistake(&section.span, &section.place, message);
            }
        }
    }
    Some(pairs)
}

/// A name of a vocabulary that may be there.
fn optional_name<'a, T: std::str::FromStr<Err = UnknownName>>(
    reader: &mut Reader<'a>,
    section: &Section<'a>,
    key: &str,
) -> Option<T> {
    Some(reader.name(section.table.get(key)?, &section.place, key)?.value)
}
