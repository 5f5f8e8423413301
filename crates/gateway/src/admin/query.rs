//! What an address asks for behind its `?`.

use std::ops::Range;
use std::str::FromStr;
use std::time::SystemTime;

use super::refused::Refused;
use crate::store::read::Ended;

/// Names and values that have not been read yet.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(text: Option<&str>) -> Self {
        let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let decoded = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decoded(name), decoded(value)))
                .collect(),
        )
    }

    /// A text; an empty one is none.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(place).1).filter(|value| !value.is_empty())
    }

    /// Something that can be read of a text.
    pub(super) fn read<T: FromStr>(&mut self, name: &str, what: &str) -> Result<Option<T>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_told| Refused::bad(format!("{name}: expected {what}")))
    }

    /// A number between bounds.
    pub(super) fn number(&mut self, name: &str, bounds: Range<usize>) -> Result<Option<usize>, Refused> {
        let what = format!("a number from {} to {}", bounds.start, bounds.end - 1);
        let number: Option<usize> = self.read(name, &what)?;
        match number {
            Some(number) if !bounds.contains(&number) => {
                Err(Refused::bad(format!("{name}: expected {what}")))
            }
            number => Ok(number),
        }
    }

    /// A moment: so long ago, such as `1h`, or a date.
    pub(super) fn moment(&mut self, name: &str) -> Result<Option<SystemTime>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let ago = humantime::parse_duration(&text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
        ago.or_else(|| humantime::parse_rfc3339_weak(&text).ok()).map(Some).ok_or_else(|| {
            let refused = Refused::bad(format!("{name}: expected a time"));
            refused.hint("how long ago, such as `30m`, or a date, such as `2026-05-01T12:00:00Z`")
        })
    }

    /// A status: `404`, `5xx`, `ok` (below 400, and the stream did not break off) or `error`.
    pub(super) fn status(&mut self, name: &str) -> Result<Option<Ended>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
        match (text.as_str(), class, text.parse::<u16>()) {
            ("ok", ..) => Ok(Some(Ended::Well)),
            ("error", ..) => Ok(Some(Ended::Error)),
            (_, Some(class @ 1..=5), _) => Ok(Some(Ended::Status(class * 100..(class + 1) * 100))),
            (_, _, Ok(status @ 0..1000)) => Ok(Some(Ended::Status(status..status + 1))),
            _ => Err(Refused::bad(format!("{name}: expected `404`, `5xx`, `ok` or `error`"))),
        }
    }

    /// Nothing is left.
    pub(super) fn end(self) -> Result<(), Refused> {
        match self.0.first() {
            Some((name, _)) => {
                let name: String = name.chars().take(80).collect();
                Err(Refused::bad(format!("`{name}` is not known here, or is there twice")))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_range() {
        for (text, expected) in [
            ("404", Some(Ended::Status(404..405))),
            ("5xx", Some(Ended::Status(500..600))),
            ("ok", Some(Ended::Well)),
            ("error", Some(Ended::Error)),
            ("9xx", None),
            ("xx", None),
            ("70000", None),
            ("-1", None),
        ] {
            let found = Query::of(Some(&format!("status={text}"))).status("status").ok().flatten();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn texts_are_decoded() {
        let mut query = Query::of(Some("route=code+a%20b%26&&limit=3&empty=&%ff=1"));
        assert_eq!(query.text("route").as_deref(), Some("code a b&"));
        assert_eq!(query.number("limit", 1..10).unwrap(), Some(3));
        assert_eq!(query.text("empty"), None);
        assert!(query.end().is_err());
    }
}
