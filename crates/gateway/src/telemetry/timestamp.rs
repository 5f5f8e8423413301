//! A time as logs and records write it, without the ways of a formatter: there are two of them a request.

use std::time::SystemTime;

const DAY: u64 = 24 * 60 * 60;

/// `2026-11-30T12:00:00.123Z` (RFC 3339), of times from 1970 up to the year 9999.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timestamp([u8; 24]);

impl Timestamp {
    pub(super) fn of(at: SystemTime) -> Self {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
        let [y, m, d] = date(days);
        let (h, min, s, ms) =
            (second / 3600, second / 60 % 60, second % 60, u64::from(since.subsec_millis()));
        let digit = |value: u64| b'0' + (value % 10).to_le_bytes()[0];
        let tens = |value: u64| digit(value / 10);
        #[rustfmt::skip]
        let text = [
            digit(y / 1000), digit(y / 100), tens(y), digit(y), b'-', tens(m), digit(m), b'-', tens(d), digit(d), b'T',
            tens(h), digit(h), b':', tens(min), digit(min), b':', tens(s), digit(s), b'.',
            digit(ms / 100), tens(ms), digit(ms), b'Z',
        ];
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Year, month and day of a number of days after 1970-01-01: the algorithm `civil_from_days` of
/// <https://howardhinnant.github.io/date_algorithms.html>, in which a year begins with March.
fn date(days: u64) -> [u64; 3] {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let month_begin = (153 * month + 2) / 5;
    let is_next_year = month >= 10;
    let calendar_month = if is_next_year { month - 9 } else { month + 3 };
    [era * 400 + year + u64::from(is_next_year), calendar_month, day - month_begin + 1]
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn each_day_is_written_as_others_write_it() {
        let last = 253_402_300_799_999;
        let days = (0..=last / 1000 / DAY).flat_map(|day| {
            let begin = day * DAY * 1000;
            [begin, begin + day * 7919 % (DAY * 1000), begin + DAY * 1000 - 1]
        });
        for millis in days {
            let at = UNIX_EPOCH + Duration::from_millis(millis);
            let expected = humantime::format_rfc3339_millis(at).to_string();
            assert_eq!(Timestamp::of(at).as_str(), expected, "{millis}");
        }
    }
}
