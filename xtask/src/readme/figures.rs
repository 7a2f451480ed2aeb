//! Numbers as the pages show them.

/// A multiple or a perplexity: three digits that matter, and thousands apart.
pub(super) fn figure(value: f64) -> String {
    match value {
        v if !v.is_finite() => "–".to_owned(),
        v if v < 1.0995 => format!("{v:.3}"),
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v if v < 999_999.5 => thousands(v),
        v if v < 999_950_000.0 => format!("{:.1} million", v / 1e6),
        v if v < 1e12 => format!("{:.1} billion", v / 1e9),
        v => format!("{v:.1e}"),
    }
}

/// A share: `87 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{figure, percent};

    #[test]
    fn numbers_have_the_digits_that_matter() {
        let shown = [
            (1.0, "1.000"),
            (1.0994, "1.099"),
            (1.0996, "1.10"),
            (2.417, "2.42"),
            (9.996, "10.0"),
            (23.083, "23.1"),
            (99.96, "100"),
            (1322.4, "1,322"),
            (162_750.2, "162,750"),
            (999_999.7, "1.0 million"),
            (5.9e6, "5.9 million"),
            (5.3e9, "5.3 billion"),
            (2e15, "2.0e15"),
            (f64::NAN, "–"),
        ];
        for (value, text) in shown {
            assert_eq!(figure(value), text, "{value}");
        }
        assert_eq!(percent(0.863), "86 %");
    }
}
