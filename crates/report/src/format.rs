//! Numbers and instants as people read them. Only displayed text is rounded, never a stored value.

use std::fmt::Display;

pub(crate) use evidence::text::{count, short};
pub(crate) use tables::utc;

use plan::Rule;

/// What stands where there is no value.
pub(crate) const NOTHING: &str = "–";

/// `value` with `digits` significant digits: 23.083, 7024.8, 27949; scientific when very large or
/// very small.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // The exponent after rounding: 9.9996 with 4 digits is 10.00.
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let exponent = scientific.rsplit_once('e').and_then(|(_, digits)| digits.parse::<i32>().ok());
    match exponent {
        Some(exponent @ -4..7) => {
            let decimals = digits as i32 - 1 - exponent;
            format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))
        }
        _ => scientific,
    }
}

/// A share as a percentage with one decimal: `90.0 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A difference of shares in percentage points, with its sign: `-12.3`.
pub(crate) fn points(difference: f64) -> String {
    format!("{:+.1}", 100.0 * difference)
}

/// A correlation with its sign: `-0.158`, `+0.957`; what rounds to nothing is `+0.000`.
pub(crate) fn correlation(value: f64, decimals: usize) -> String {
    let text = format!("{value:+.decimals$}");
    if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        text
    } else {
        text.replace('-', "+")
    }
}

/// A p-value: three decimals, scientific below 0.001.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 && p > 0.0 { format!("{p:.1e}") } else { format!("{p:.3}") }
}

/// A range of distances: `1–4`, or `3` for one.
pub(crate) fn bin_name((from, to): (u32, u32)) -> String {
    if from == to { from.to_string() } else { format!("{from}–{to}") }
}

/// A rule with the tokens that it sums over, where it does: `prompt P=64`.
pub(crate) fn rule_name(rule: Rule, prompt_tokens: Option<usize>) -> String {
    match prompt_tokens {
        Some(tokens) => format!("{rule} P={tokens}"),
        None => rule.to_string(),
    }
}

/// The value's text, or a dash.
pub(crate) fn or_nothing(value: Option<impl Display>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits() {
        for (value, digits, text) in [
            (23.0831, 5, "23.083"),
            (7024.83, 5, "7024.8"),
            (27949.4, 5, "27949"),
            (9_999_999.9, 4, "1.000e7"),
            (1_234_567.8, 4, "1234568"),
            (9.9996, 4, "10.00"),
            (0.012345, 3, "0.0123"),
            (0.000_012_345, 3, "1.23e-5"),
            (1.0, 4, "1.000"),
            (0.0, 4, "0"),
            (-2.5, 2, "-2.5"),
        ] {
            assert_eq!(significant(value, digits), text);
        }
    }

    #[test]
    fn correlations() {
        for (value, text) in [(-0.1583, "-0.158"), (0.957, "+0.957"), (-0.0004, "+0.000")] {
            assert_eq!(correlation(value, 3), text);
        }
        assert_eq!(correlation(-1.0, 2), "-1.00");
    }

    #[test]
    fn p_values() {
        assert_eq!(p_value(1.0), "1.000");
        assert_eq!(p_value(0.0703), "0.070");
        assert_eq!(p_value(0.000_123), "1.2e-4");
        assert_eq!(p_value(0.0), "0.000");
    }
}
