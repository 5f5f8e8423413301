//! Texts without what should not be kept of them: keys, addresses, and numbers of persons and accounts.
//!
//! It finds what has a form of its own. A name or a street has none and stays: who must not keep those keeps no content.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::record::Record;

/// Longest text of an error that is kept, in bytes.
const MOST_ERROR: usize = 2000;

/// Forms, each with the word that stands in its place.
const FORMS: &[(&str, &str)] = &[
    // A private key in PEM (RFC 7468), cut short or not.
    ("key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"),
    // A JSON Web Token (RFC 7519).
    ("token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    // Keys with a prefix of their maker's.
    (
        "key",
        r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|ghs|ghu|github_pat|glpat|xox[abprs]|AKIA|ASIA|AIza|ya29|dop_v1|npm|pypi)[-_.]?[A-Za-z0-9][A-Za-z0-9_-]{15,}",
    ),
    // `password: …`, `api_key=…`, `Authorization: Bearer …`.
    (
        "secret",
        r#"(?i)\b[a-z0-9_]*(?:password|passwd|pwd|secret|token|api[-_ ]?key|access[-_ ]?key|authorization)["']?\s*[:=]\s*["']?(?:bearer\s+|basic\s+)?[^\s"',;]{6,}"#,
    ),
    ("token", r"(?i)\bbearer\s+[a-z0-9._~+/=-]{16,}"),
    // User and password in an address.
    ("secret", r"\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@"),
    ("email", r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    // An IBAN (ISO 13616).
    ("account", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    // A payment card (ISO/IEC 7812); its check digit is looked at, too.
    ("card", r"\b\d(?:[ -]?\d){12,18}\b"),
    ("ssn", r"\b\d{3}-\d{2}-\d{4}\b"),
    ("phone", r"(?:\+\d{1,3}[ .-]?)(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}\b"),
    ("phone", r"\(\d{3}\) ?\d{3}-\d{4}\b|\b\d{3}-\d{3}-\d{4}\b"),
    ("ip", r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
];

static COMPILED: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let compiled = FORMS.iter().map(|(word, form)| Some((*word, Regex::new(form).ok()?)));
    compiled.flatten().collect()
});

/// The text, with `[email]`, `[key]` and the like in place of what they stand for.
pub(super) fn redacted(text: &str) -> Cow<'_, str> {
    COMPILED.iter().fold(Cow::Borrowed(text), |text, (word, form)| {
        let replaced = form.replace_all(&text, |found: &Captures<'_>| {
            let found = found.get(0).map_or("", |found| found.as_str());
            if *word == "card" && !has_check_digit(found) { found.to_owned() } else { format!("[{word}]") }
        });
        match replaced {
            Cow::Borrowed(_) => text,
            Cow::Owned(replaced) => Cow::Owned(replaced),
        }
    })
}

/// What others have written into the record of a request that failed: providers quote what was said, and a key may have
/// been sent as a model's name. Such a text is there whatever is kept of content.
pub(super) fn veil(record: &mut Record) {
    if !record.is_error() {
        return;
    }
    if let Cow::Owned(name) = redacted(&record.requested) {
        record.requested = name;
    }
    if let Some(error) = &mut record.error {
        error.truncate(error.floor_char_boundary(MOST_ERROR));
        if let Cow::Owned(text) = redacted(error) {
            *error = text;
        }
    }
}

/// Luhn's check (ISO/IEC 7812-1, annex B).
fn has_check_digit(number: &str) -> bool {
    let digits = number.chars().rev().filter_map(|digit| digit.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_form_is_gone_and_the_rest_stays() {
        assert_eq!(COMPILED.len(), FORMS.len());
        for (text, expected) in [
            ("write to jane.doe+x@mail.example.org, please", "write to [email], please"),
            ("use sk-proj-abcdefghijklmnop1234 for it", "use [key] for it"),
            ("AKIAIOSFODNN7EXAMPLE and ghp_abcdefghijklmnopqrst", "[key] and [key]"),
            ("Authorization: Bearer abc.def-ghi", "[secret]"),
            ("it is bearer abcdef1234567890abcdef, he said", "it is [token], he said"),
            ("the bearer of this letter", "the bearer of this letter"),
            ("DB_PASSWORD=hunter22 npm start", "[secret] npm start"),
            ("password = \"hunter22\" here", "[secret]\" here"),
            ("postgres://admin:hunter2@db/x", "[secret]db/x"),
            ("card 4111 1111 1111 1111 expires", "card [card] expires"),
            ("order 4111 1111 1111 1112 ships", "order 4111 1111 1111 1112 ships"),
            ("pay to DE89 3704 0044 0532 0130 00 now", "pay to [account] now"),
            ("call +44 20 7946 0958 or (555) 010-9999", "call [phone] or [phone]"),
            ("from 10.0.12.255 at 12:30, version 1.2.3", "from [ip] at 12:30, version 1.2.3"),
            ("ssn 078-05-1120", "ssn [ssn]"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----\nrun", "[key]\nrun"),
            ("explain fn main() { let x = 12345678; }", "explain fn main() { let x = 12345678; }"),
            ("größer als 3,14159 — naïve café", "größer als 3,14159 — naïve café"),
        ] {
            assert_eq!(redacted(text), expected);
        }
    }
}
