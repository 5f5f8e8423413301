//! When a certificate holds: the two times of X.509's `Validity` (RFC 5280, section 4.1.2.5), read out of its DER.
//! The TLS library knows them and tells nobody.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which is left out where it is 1.
const VERSION: u8 = 0xa0;

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Validity {
    /// Of a certificate in DER; `None` if it is not one.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let mut fields = inside(certificate, SEQUENCE)?;
        fields = inside(fields, SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            fields = element(fields)?.2;
        }
        // The serial number, the signature's algorithm, the issuer.
        for _ in 0..3 {
            fields = element(fields)?.2;
        }
        let times = inside(fields, SEQUENCE)?;
        let (tag, before, rest) = element(times)?;
        let not_before = time(tag, before)?;
        let (tag, after, _) = element(rest)?;
        Some(Self { not_before, not_after: time(tag, after)? })
    }

    /// What is odd about it at this moment, for people.
    pub(crate) fn oddity(&self) -> Option<String> {
        let now = SystemTime::now();
        let shown = |time| humantime::format_rfc3339_seconds(time);
        if self.not_after < now {
            return Some(format!("has expired on {}", shown(self.not_after)));
        }
        (self.not_before > now).then(|| format!("does not hold before {}", shown(self.not_before)))
    }
}

/// The first element: its tag, what is in it, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first & 0x7f);
    if first & 0x80 != 0 {
        let (digits, after) = rest.split_at_checked(length)?;
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn inside(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    element(bytes).filter(|(tag, ..)| *tag == wanted).map(|(_, content, _)| content)
}

/// `YYMMDDHHMMSSZ`, or the same with four digits of the year.
fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    let mut text = text.strip_suffix(b"Z")?;
    let mut next = |length: usize| {
        let (digits, rest) = text.split_at_checked(length)?;
        text = rest;
        digits.iter().try_fold(0_u64, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'))
        })
    };
    let year = match tag {
        UTC_TIME => next(2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?,
        GENERALIZED_TIME => next(4)?,
        _ => return None,
    };
    let (month, day) = (next(2)?, next(2)?);
    let (hour, minute, second) = (next(2)?, next(2)?, next(2)?);
    let is_in_range =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    if !text.is_empty() || !is_in_range {
        return None;
    }
    // Before 1970 is as good as then: no server's certificate is from that time.
    let days = days_since_1970(year.max(1970), month, day);
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years that begin in March have their odd day at their end; 719 468 days are from March of the year 0 to 1970.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some("1970-01-01T00:00:00Z")),
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (UTC_TIME, "240229120000Z", Some("2024-02-29T12:00:00Z")),
            (GENERALIZED_TIME, "20000301000001Z", Some("2000-03-01T00:00:01Z")),
            (GENERALIZED_TIME, "99991231235959Z", Some("9999-12-31T23:59:59Z")),
            (GENERALIZED_TIME, "19500101000000Z", Some("1970-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "240229120000Z", None),
            (UTC_TIME, "240229120000", None),
            (UTC_TIME, "241329120000Z", None),
            (UTC_TIME, "2402291200-1Z", None),
            (UTC_TIME, "", None),
            (SEQUENCE, "240229120000Z", None),
        ] {
            let shown = time(tag, text.as_bytes()).map(|time| humantime::format_rfc3339(time).to_string());
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn nothing_else_is_taken_for_a_certificate() {
        for bytes in [
            &[] as &[u8],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            &[0x30, 0x02, 0x30, 0x00],
        ] {
            assert_eq!(Validity::of(bytes), None, "{bytes:?}");
        }
    }
}
