//! What has to stay as it is in the dense model: `perplexity wikitext2 within 5 %`.

use std::fmt;

use crate::{AdviceSpace, DatasetEntry, Measure, most_alike};

/// A text or task of a space, and how far a recipe may be from dense on it, either way.
#[derive(Debug, Clone, PartialEq)]
pub struct Keep {
    /// As it was asked for.
    pub text: String,
    /// Which of the space's datasets.
    pub dataset: usize,
    /// How far: of perplexity a share of dense (0.05 allows ratios from 1/1.05 to 1.05), of accuracy a
    /// difference of shares of items (0.02 is two points).
    pub margin: f64,
}

/// Why a condition means nothing, and what would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepError {
    /// As it was asked for.
    pub given: String,
    /// What is wrong.
    pub why: String,
    /// Conditions that the space has, the most alike first.
    pub instead: Vec<String>,
}

impl fmt::Display for KeepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeepError { given, why, instead } = self;
        write!(f, "`{given}`: {why}")?;
        match instead.as_slice() {
            [] => Ok(()),
            [only] => write!(f, "; did you mean `{only}`?"),
            [first, rest @ ..] => {
                let rest: Vec<String> = rest.iter().map(|form| format!("`{form}`")).collect();
                write!(f, "; did you mean `{first}`? (or {})", rest.join(", "))
            }
        }
    }
}

impl std::error::Error for KeepError {}

/// The unit of a margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Points,
    Percent,
}

impl Unit {
    fn of(measure: Measure) -> Unit {
        if measure == Measure::MeanLoss { Unit::Percent } else { Unit::Points }
    }

    fn name(self) -> &'static str {
        match self {
            Unit::Points => "points",
            Unit::Percent => "%",
        }
    }
}

/// The names that a dataset goes by where its own is not given.
fn names(dataset: &DatasetEntry) -> Vec<String> {
    let mut names = vec![dataset.protocol.to_string()];
    match (dataset.protocol.measure(), dataset.protocol.task()) {
        (Measure::MeanLoss, _) => names.push("perplexity".to_owned()),
        (_, Some(task)) => names.push(task.as_str().to_owned()),
        _ => {}
    }
    names
}

/// Every condition of a space in its usual form, with a usual margin.
fn forms(space: &AdviceSpace) -> Vec<String> {
    let form = |dataset: &DatasetEntry| {
        let measure = dataset.protocol.measure();
        let what = names(dataset).pop().unwrap_or_default();
        let margin = if measure == Measure::MeanLoss { "5 %" } else { "2 points" };
        match what == dataset.name {
            true => format!("{what} within {margin}"),
            false => format!("{what} {} within {margin}", dataset.name),
        }
    };
    space.datasets.iter().map(form).collect()
}

impl Keep {
    /// Reads `NAME [DATASET] within NUMBER points|%`, where NAME is `perplexity`, a protocol, a task or a
    /// dataset of the space; of several that fit, the first of the file is meant.
    ///
    /// # Errors
    /// [`KeepError`] says what is wrong and the nearest condition that the space has.
    pub fn parse(text: &str, space: &AdviceSpace) -> Result<Keep, KeepError> {
        let forms = forms(space);
        read(text, space).map_err(|why| {
            let alike = most_alike(text, forms.iter().map(String::as_str), 3);
            let instead = if alike.is_empty() {
                forms.iter().map(String::as_str).take(3).collect()
            } else {
                alike
            };
            KeepError {
                given: text.to_owned(),
                why,
                instead: instead.into_iter().map(str::to_owned).collect(),
            }
        })
    }
}

fn read(text: &str, space: &AdviceSpace) -> Result<Keep, String> {
    const EXPECTED: &str = "expected `NAME [DATASET] within NUMBER points|%`";
    let words: Vec<&str> = text.split_whitespace().collect();
    let within = words.iter().position(|word| *word == "within").ok_or(EXPECTED)?;
    let (about, margin) = (&words[..within], words[within + 1..].concat());
    let (number, unit) = margin_of(&margin)
        .ok_or_else(|| format!("`{}` is no margin: {EXPECTED}", words[within + 1..].join(" ")))?;
    let fits = |dataset: &DatasetEntry| match about {
        [own] => dataset.name == *own || names(dataset).iter().any(|name| name == own),
        [own, name] => dataset.name == *name && names(dataset).iter().any(|other| other == own),
        _ => false,
    };
    let dataset = space.datasets.iter().position(fits).ok_or_else(|| match about {
        [_] | [_, _] => format!("nothing of the space is called `{}`", about.join(" ")),
        _ => EXPECTED.to_owned(),
    })?;
    let measure = space.datasets[dataset].protocol.measure();
    let needed = Unit::of(measure);
    if unit != needed {
        let what = if measure == Measure::MeanLoss { "perplexity" } else { "a share of items" };
        return Err(format!("the margin of {what} is given in {}", needed.name()));
    }
    let is_fine = number > 0.0 && number.is_finite() && (unit == Unit::Percent || number < 100.0);
    if !is_fine {
        let most = if unit == Unit::Points { " and below 100" } else { "" };
        return Err(format!("the margin is {number}, expected a number above 0{most}"));
    }
    Ok(Keep { text: words.join(" "), dataset, margin: number / 100.0 })
}

/// `2points`, `5%`.
fn margin_of(text: &str) -> Option<(f64, Unit)> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    let unit = match &text[digits.len()..] {
        "points" | "point" => Unit::Points,
        "%" | "percent" => Unit::Percent,
        _ => return None,
    };
    Some((digits.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> AdviceSpace {
        let text = r#"
            seed = 1
            [[dataset]]
            name = "wikitext2"
            protocol = "ppl-512"
            calibration = { dataset = "wikitext2-valid", limit = 4 }
            [[dataset]]
            name = "lambada"
            protocol = "lambada-openai"
            [[dataset]]
            name = "piqa"
            protocol = "choice-piqa"
            [[dataset]]
            name = "mine"
            path = "mine.jsonl"
            protocol = "ppl-512"
            [[stage]]
            windows = 2
            items = 10
            go_on = 0.5
            [test]
            windows = 8
            items = 100
            [[sweep]]
            recipe = [{ cut = "bits", method = "rtn", bits = 8 }]
        "#;
        AdviceSpace::parse(text).unwrap()
    }

    #[test]
    fn conditions_are_read() {
        let space = space();
        for (text, dataset, margin) in [
            ("lambada-openai within 2 points", 1, 0.02),
            ("perplexity wikitext2 within 5 %", 0, 0.05),
            ("perplexity within 5%", 0, 0.05),
            ("ppl-512 mine within 0.5 percent", 3, 0.005),
            ("mine within 120 %", 3, 1.2),
            ("piqa within 1 point", 2, 0.01),
            ("choice-piqa piqa within 1.5points", 2, 0.015),
        ] {
            let keep = Keep::parse(text, &space).unwrap();
            assert_eq!(keep.dataset, dataset, "{text}");
            assert!((keep.margin - margin).abs() < 1e-15, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_nearest_form() {
        let space = space();
        for (text, parts) in [
            (
                "perplexity wikitext within 5 %",
                ["called `perplexity wikitext`", "perplexity wikitext2 within 5 %"],
            ),
            (
                "perplexity wikitext2 within 5 points",
                ["given in %", "perplexity wikitext2 within 5 %"],
            ),
            ("lambada within 2 %", ["given in points", "lambada-openai lambada within 2 points"]),
            (
                "lambada 2 points",
                ["expected `NAME [DATASET] within", "lambada-openai lambada within"],
            ),
            ("piqa within two points", ["`two points` is no margin", "piqa within 2 points"]),
            ("piqa within 0 points", ["above 0 and below 100", "piqa within 2 points"]),
            ("piqa within 100 points", ["above 0 and below 100", "did you mean"]),
            ("piqa within nan points", ["no margin", "did you mean"]),
            ("", ["expected `NAME", "did you mean"]),
        ] {
            let error = Keep::parse(text, &space).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
        }
    }
}
