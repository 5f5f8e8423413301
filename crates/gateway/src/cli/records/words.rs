//! Figures and names as people read them.

use serde_json::Value;

use crate::telemetry::obeyed::{escaped, is_obeyed};

/// Text from outside on one line, with nothing in it that a terminal would obey or that turns the order of letters.
pub(in crate::cli) fn plain(text: &str) -> String {
    text.split_whitespace().map(harmless).collect::<Vec<_>>().join(" ")
}

/// The same, with its lines.
pub(in crate::cli) fn plain_lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| harmless(line.trim_end().replace('\t', "    ").as_str()))
}

/// JSON for people and programs, in which strings from outside hold nothing that a terminal would obey.
pub(in crate::cli) fn json(page: &Value) -> String {
    escaped(&format!("{page:#}")).into_owned()
}

fn harmless(text: &str) -> String {
    text.chars().map(|letter| if is_obeyed(letter) { '\u{fffd}' } else { letter }).collect()
}

/// Milliseconds: `812ms`, `1.24s`, `2m05s`.
pub(in crate::cli) fn time(ms: f64) -> String {
    if !ms.is_finite() || ms < 0.0 {
        return "-".to_owned();
    }
    match ms {
        ..0.9995 => format!("{ms:.2}ms"),
        ..9.995 => format!("{ms:.1}ms"),
        ..999.5 => format!("{ms:.0}ms"),
        ..9995.0 => format!("{:.2}s", ms / 1e3),
        ..59_950.0 => format!("{:.1}s", ms / 1e3),
        _ => {
            let seconds = (ms / 1e3).round();
            let (minutes, seconds) = ((seconds / 60.0).floor(), seconds % 60.0);
            if minutes < 60.0 {
                format!("{minutes:.0}m{seconds:02.0}s")
            } else {
                format!("{:.0}h{:02.0}m", (minutes / 60.0).floor(), minutes % 60.0)
            }
        }
    }
}

/// Dollars: the smaller, the more decimals.
pub(in crate::cli) fn money(dollars: f64) -> String {
    let sign = if dollars < 0.0 { "-" } else { "" };
    let amount = dollars.abs();
    match amount {
        0.0 => "$0".to_owned(),
        ..0.000_000_5 => format!("{sign}<$0.000001"),
        ..0.01 => format!("{sign}${amount:.6}"),
        ..1.0 => format!("{sign}${amount:.4}"),
        ..1000.0 => format!("{sign}${amount:.2}"),
        _ => format!("{sign}${}", thousands(amount.round())),
    }
}

/// Counts: `950`, `1.2k`, `3.4M`.
pub(in crate::cli) fn count(number: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let size = number as f64;
    match number {
        0..1000 => number.to_string(),
        1000..9_950 => format!("{:.1}k", size / 1e3),
        9_950..999_500 => format!("{:.0}k", size / 1e3),
        999_500..9_950_000 => format!("{:.1}M", size / 1e6),
        9_950_000..999_500_000 => format!("{:.0}M", size / 1e6),
        _ => format!("{:.1}G", size / 1e9),
    }
}

/// Whole numbers with commas.
pub(in crate::cli) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn thousands(amount: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a sum of dollars, at least a thousand"
    )]
    whole(amount as u64)
}

/// A share of one.
pub(in crate::cli) fn share(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// What is not known.
pub(in crate::cli) fn known(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_from_outside() {
        assert_eq!(
            plain("a\u{1b}[31mred\u{7}\r\n  b\u{9b}2J\u{202e}c"),
            "a\u{fffd}[31mred\u{fffd} b\u{fffd}2J\u{fffd}c"
        );
        assert_eq!(plain_lines("one\n\ttwo\u{1b}").collect::<Vec<_>>(), ["one", "    two\u{fffd}"]);
    }

    #[test]
    fn figures() {
        for (ms, text) in [
            (0.0, "0.00ms"),
            (0.42, "0.42ms"),
            (4.2, "4.2ms"),
            (812.0, "812ms"),
            (999.7, "1.00s"),
            (1240.0, "1.24s"),
            (59_990.0, "1m00s"),
            (125_000.0, "2m05s"),
            (7_500_000.0, "2h05m"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(time(ms), text);
        }
        for (dollars, text) in [
            (0.0, "$0"),
            (1e-9, "<$0.000001"),
            (0.00123, "$0.001230"),
            (0.123, "$0.1230"),
            (12.345, "$12.35"),
            (-2.5, "-$2.50"),
            (1_234_567.0, "$1,234,567"),
        ] {
            assert_eq!(money(dollars), text);
        }
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1234, "1.2k"),
            (12_345, "12k"),
            (999_600, "1.0M"),
            (45_000_000, "45M"),
            (7_000_000_000, "7.0G"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(whole(1_000), "1,000");
    }
}
