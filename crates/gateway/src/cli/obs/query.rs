//! What is typed behind `/`: words that a request has to have, all of them.

use super::super::records::row::Row;

/// A filter; without words it takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<Word>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    /// `model`, `route`, …; without one, any of them.
    field: Option<&'static str>,
    text: String,
    is_not: bool,
}

const FIELDS: [&str; 7] = ["model", "route", "status", "method", "caller", "session", "error"];

impl Query {
    /// `small`, `status:5xx`, `-route:code`.
    pub(super) fn read(text: &str) -> Self {
        let word = |word: &str| {
            let (is_not, word) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
            let named = word
                .split_once([':', '='])
                .and_then(|(name, text)| Some((FIELDS.into_iter().find(|field| *field == name)?, text)));
            let (field, text) = named.map_or((None, word), |(field, text)| (Some(field), text));
            (!text.is_empty()).then(|| Word { field, text: text.to_lowercase(), is_not })
        };
        Self(text.split_whitespace().filter_map(word).collect())
    }

    pub(super) fn takes(&self, row: &Row) -> bool {
        self.0.iter().all(|word| word.is_in(row) != word.is_not)
    }
}

impl Word {
    fn is_in(&self, row: &Row) -> bool {
        match self.field {
            Some(field) => self.matches(field, row),
            None => {
                FIELDS.into_iter().any(|field| self.matches(field, row))
                    || self.is_part(&row.id)
                    || self.is_part(&row.requested)
            }
        }
    }

    fn matches(&self, field: &str, row: &Row) -> bool {
        let part = |text: &Option<String>| text.as_deref().is_some_and(|text| self.is_part(text));
        match field {
            "model" => self.is_part(&row.model()),
            "route" => part(&row.route),
            "status" => self.is_status(row),
            "method" => part(&row.method),
            "caller" => part(&row.caller),
            "session" => part(&row.session),
            _ => part(&row.error),
        }
    }

    fn is_part(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.text)
    }

    fn is_status(&self, row: &Row) -> bool {
        match self.text.as_str() {
            "ok" => !row.is_error(),
            "error" => row.is_error(),
            text => match text.strip_suffix("xx") {
                Some(hundreds) => hundreds == (row.status / 100).to_string(),
                None => text == row.status.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let row = Row {
            provider: Some("openai".into()),
            model: Some("Small".into()),
            route: Some("code".into()),
            status: 502,
            error: Some("connection reset".into()),
            ..Row::default()
        };
        for taken in [
            "",
            "small",
            "code reset",
            "status:5xx",
            "status:error",
            "502",
            "-travel",
            "model:open route=code",
            "model:",
        ] {
            assert!(Query::read(taken).takes(&row), "{taken}");
        }
        for not in ["travel", "status:4xx", "status:ok", "50", "-code", "route:small", "small travel"] {
            assert!(!Query::read(not).takes(&row), "{not}");
        }
        let broken = Row { status: 200, error: Some("the stream broke off".into()), ..Row::default() };
        assert!(
            ["status:error", "status:200", "-status:ok"].iter().all(|one| Query::read(one).takes(&broken))
        );
    }
}
