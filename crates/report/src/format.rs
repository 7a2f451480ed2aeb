//! Numbers and instants as people read them. Only displayed text is rounded, never a stored value.

use std::fmt::Display;

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

/// `n things`, in the singular for 1.
pub(crate) fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// The value's text, or a dash.
pub(crate) fn or_nothing(value: Option<impl Display>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| value.to_string())
}

/// An instant in UTC, to the second: `2026-11-22 03:18:04 UTC`.
///
/// Days become a date by counting eras of 400 years that begin on 1 March, so that the leap day is
/// the last day of its year.
pub(crate) fn utc(milliseconds: i64) -> String {
    let seconds = milliseconds.div_euclid(1000);
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month =
        if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) =
        (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
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

    #[test]
    fn instants() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_317_484_999), "2026-11-22 03:18:04 UTC");
        assert_eq!(utc(4_107_542_399_000), "2100-02-28 23:59:59 UTC");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00 UTC");
    }
}
