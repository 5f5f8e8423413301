//! Changing the few bytes of a body that have to change, and leaving all others as the client sent them.

use std::ops::Range;

use bytes::Bytes;

use super::Envelope;

/// A body in pieces of which most are slices of the client's own bytes; empty ones say nothing.
pub type Pieces = [Bytes; 7];

/// Asks for the usage of a stream (Chat Completions).
const WITH_USAGE: &[u8] = br#""stream_options":{"include_usage":true},"#;

impl Envelope<'_> {
    /// The body with `model` in place of the model's name and without `routing_preferences`. The whole body is
    /// returned as it is where nothing has to change.
    #[must_use]
    pub fn splice_model(&self, body: &Bytes, model: &str) -> Pieces {
        let named = match &self.model_span {
            _ if self.model_in_path || self.model.as_deref() == Some(model) => None,
            Some(span) => Some((span.clone(), serde_json::Value::from(model).to_string())),
            None => {
                let comma = if self.is_alone(body) { "" } else { "," };
                let field = format!("\"model\":{}{comma}", serde_json::Value::from(model));
                Some((self.insert_at..self.insert_at, field))
            }
        };
        self.edited(body, named)
    }

    /// A spliced body that asks for the usage of its stream as well, which the client has not. It goes where the object
    /// begins, in front of all other changes.
    #[must_use]
    pub fn with_usage(&self, spliced: Pieces) -> Pieces {
        let [mut head, a, b, c, d, ..] = spliced;
        let before = head.split_to(self.insert_at.min(head.len()));
        [before, Bytes::from_static(WITH_USAGE), head, a, b, c, d]
    }

    /// The body with `anthropic_version` in place of the model, which the address names, and without
    /// `routing_preferences`: Messages as clouds serve them. `model` is given where it stands in the body even so.
    #[must_use]
    pub fn splice_version(&self, body: &Bytes, version: &str, model: Option<&str>) -> Pieces {
        let member = |key: &str, value: &str| format!("\"{key}\":{}", serde_json::Value::from(value));
        let version_member = (!self.has_version).then(|| member("anthropic_version", version));
        let members: Vec<String> =
            version_member.into_iter().chain(model.map(|model| member("model", model))).collect();
        let text = members.join(",");
        let named = match &self.model_span {
            Some(value) if !text.is_empty() => Some((key_of(body, value.start)..value.end, text)),
            // Two cuts may want the same comma, so one comes after the other.
            Some(_) if self.preferences_span.is_some() => {
                let body = self.without_preferences(body);
                return match super::peek_model(&body) {
                    Ok(envelope) => envelope.splice_version(&body, version, model),
                    Err(_) => {
                        let mut whole = Pieces::default();
                        whole[0] = body;
                        whole
                    }
                };
            }
            Some(value) => Some((self::member(body, value.clone()), text)),
            None if text.is_empty() => None,
            None => {
                let comma = if self.is_alone(body) { "" } else { "," };
                Some((self.insert_at..self.insert_at, format!("{text}{comma}")))
            }
        };
        self.edited(body, named)
    }

    /// The body with one edit, and without `routing_preferences`.
    fn edited(&self, body: &Bytes, named: Option<(Range<usize>, String)>) -> Pieces {
        let cut = self.preferences_span.clone().map(|span| (span, String::new()));
        let (first, second) = match (named, cut) {
            (Some(named), Some(cut)) if cut.0.start < named.0.start => (Some(cut), Some(named)),
            (named @ Some(_), cut) => (named, cut),
            (None, cut) => (cut, None),
        };
        let mut pieces = Pieces::default();
        let mut at = 0;
        let edits = [first, second].into_iter().flatten();
        let mut places = pieces.iter_mut();
        for (span, text) in edits {
            for (place, piece) in places.by_ref().zip([body.slice(at..span.start), text.into()]).take(2) {
                *place = piece;
            }
            at = span.end;
        }
        if let Some(place) = places.next() {
            *place = body.slice(at..);
        }
        pieces
    }

    /// The body without `routing_preferences`; itself if there are none.
    #[must_use]
    pub fn without_preferences(&self, body: &Bytes) -> Bytes {
        match &self.preferences_span {
            Some(span) => [&body[..span.start], &body[span.end..]].concat().into(),
            None => body.clone(),
        }
    }

    /// Nothing is left in the body's object once the preferences are cut.
    fn is_alone(&self, body: &[u8]) -> bool {
        let mut at = skip_blank(body, self.insert_at);
        if let Some(cut) = &self.preferences_span
            && cut.start == at
        {
            at = skip_blank(body, cut.end);
        }
        body.get(at) == Some(&b'}')
    }
}

fn skip_blank(body: &[u8], from: usize) -> usize {
    from + body.iter().skip(from).take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

fn before_blank(body: &[u8], end: usize) -> usize {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    end - body.iter().take(end).rev().take_while(blank).count()
}

/// Where the key of the value at `value` begins. It holds no quote of its own, as it is known and has none.
fn key_of(body: &[u8], value: usize) -> usize {
    let colon = before_blank(body, value).saturating_sub(1);
    let closing = before_blank(body, colon).saturating_sub(1);
    memchr::memrchr(b'"', &body[..closing]).unwrap_or(closing)
}

/// The whole member of an object whose value stands at `value`: with its key and one of the commas beside it.
pub(crate) fn member(body: &[u8], value: Range<usize>) -> Range<usize> {
    let key = key_of(body, value.start);
    let next = skip_blank(body, value.end);
    if body.get(next) == Some(&b',') {
        return key..skip_blank(body, next + 1);
    }
    let previous = before_blank(body, key);
    if previous > 0 && body.get(previous - 1) == Some(&b',') {
        previous - 1..value.end
    } else {
        key..value.end
    }
}

#[cfg(test)]
mod tests {
    use super::super::{peek, peek_model};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn joined(parts: &[Bytes]) -> String {
        parts.iter().map(|part| String::from_utf8_lossy(part)).collect()
    }

    #[test]
    fn only_the_model_changes() {
        for (before, after) in [
            (
                r#" { "x":1e2,"model" : "a" ,"messages":[{"role":"user","content":"hi"}] }"#,
                r#" { "x":1e2,"model" : "gpt \"q\"" ,"messages":[{"role":"user","content":"hi"}] }"#,
            ),
            (
                r#"{"model":null,"messages":[{"role":"user"}]}"#,
                r#"{"model":"gpt \"q\"","messages":[{"role":"user"}]}"#,
            ),
            (r#"{"messages":[{"role":"user"}]}"#, r#"{"model":"gpt \"q\"","messages":[{"role":"user"}]}"#),
            (
                r#"{"\u006dodel":"a\u0062","messages":[{"role":"user"}]}"#,
                r#"{"\u006dodel":"gpt \"q\"","messages":[{"role":"user"}]}"#,
            ),
        ] {
            let body = Bytes::from(before.to_owned());
            let spliced = peek(&body).unwrap().splice_model(&body, "gpt \"q\"");
            assert_eq!(joined(&spliced), after);
        }
    }

    #[test]
    fn a_body_that_names_the_model_goes_through_whole() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
        let spliced = peek(&body).unwrap().splice_model(&body, "m");
        assert_eq!(spliced[0].as_ptr(), body.as_ptr());
        assert_eq!(spliced[0].len(), body.len());
    }

    #[test]
    fn usage_is_asked_for_in_front_of_everything() {
        for (before, after) in [
            (
                r#" { "stream":true,"model" : "a" ,"messages":[{"role":"user"}] }"#,
                r#" {"stream_options":{"include_usage":true}, "stream":true,"model" : "m" ,"messages":[{"role":"user"}] }"#,
            ),
            (
                r#"{"messages":[{"role":"user"}],"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user"}],"stream":true}"#,
            ),
            (
                r#"{"routing_preferences":[],"messages":[{"role":"user"}],"stream":true,"model":"auto"}"#,
                r#"{"stream_options":{"include_usage":true},"messages":[{"role":"user"}],"stream":true,"model":"m"}"#,
            ),
            (
                r#"{"model":"m","messages":[{"role":"user"}],"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{"role":"user"}],"stream":true}"#,
            ),
        ] {
            let body = Bytes::from(before.to_owned());
            let envelope = peek(&body).unwrap();
            assert!(!envelope.has_stream_options);
            assert_eq!(joined(&envelope.with_usage(envelope.splice_model(&body, "m"))), after);
            assert!(peek(after.as_bytes()).unwrap().has_stream_options);
        }
        let said = br#"{"messages":[{"role":"user"}],"stream_options":null}"#;
        assert!(peek(said).unwrap().has_stream_options);
    }

    #[test]
    fn what_is_said_to_us_goes_no_further() {
        for (before, after) in [
            (
                r#"{"routing_preferences":[{"a":"}"}],"messages":[{"role":"user"}]}"#,
                r#"{"model":"m","messages":[{"role":"user"}]}"#,
            ),
            (
                r#"{ "model": "auto", "messages":[{"role":"user"}] , "routing_preferences" : [1] }"#,
                r#"{ "model": "m", "messages":[{"role":"user"}]  }"#,
            ),
            (
                r#"{"messages":[{"role":"user"}], "routing\u005fpreferences":null, "model":"auto", "x":1}"#,
                r#"{"messages":[{"role":"user"}], "model":"m", "x":1}"#,
            ),
            (
                r#"{"messages":[{"role":"user"}],"routing_preferences":{},"model":"m"}"#,
                r#"{"messages":[{"role":"user"}],"model":"m"}"#,
            ),
        ] {
            let body = Bytes::from(before.to_owned());
            let envelope = peek(&body).unwrap();
            assert_eq!(joined(&envelope.splice_model(&body, "m")), after);
            let kept: Value = serde_json::from_slice(&envelope.without_preferences(&body)).unwrap();
            assert!(kept.get("messages").is_some() && kept.get("routing_preferences").is_none(), "{kept}");
        }
        let twice = br#"{"routing_preferences":[],"messages":[{"role":"user"}],"routing_preferences":[]}"#;
        assert!(peek(twice).is_err());
    }

    #[test]
    fn a_model_can_be_put_where_nothing_else_is() {
        for body in ["{}", " { \n} ", r#"{ "routing_preferences" : [] }"#, r#"{"x":1}"#] {
            let body = Bytes::from(body.to_owned());
            let spliced = joined(&peek_model(&body).unwrap().splice_model(&body, "m"));
            let found: Value =
                serde_json::from_str(&spliced).unwrap_or_else(|error| panic!("{error}: {spliced}"));
            assert_eq!(found["model"], "m");
        }
    }

    #[test]
    fn a_version_stands_in_for_the_model() {
        for (before, model, after) in [
            (
                r#"{"model" : "a" ,"messages":[{"role":"user"}] }"#,
                None,
                r#"{"anthropic_version":"v1" ,"messages":[{"role":"user"}] }"#,
            ),
            (
                r#"{ "x":1e2, "\u006dodel":"a", "messages":[{"role":"user"}]}"#,
                Some("m"),
                r#"{ "x":1e2, "anthropic_version":"v1","model":"m", "messages":[{"role":"user"}]}"#,
            ),
            (
                r#"{"messages":[{"role":"user"}]}"#,
                None,
                r#"{"anthropic_version":"v1","messages":[{"role":"user"}]}"#,
            ),
            (
                r#"{"model":"a","routing_preferences":[],"messages":[{"role":"user"}]}"#,
                None,
                r#"{"anthropic_version":"v1","messages":[{"role":"user"}]}"#,
            ),
            // What the client says of the version stays.
            (
                r#"{"anthropic_version":"v0","messages":[{"role":"user"}], "model":"a"}"#,
                None,
                r#"{"anthropic_version":"v0","messages":[{"role":"user"}]}"#,
            ),
            (
                r#"{"messages":[{"role":"user"}],"anthropic_version":"v0","model":"a","routing_preferences":[]}"#,
                None,
                r#"{"messages":[{"role":"user"}],"anthropic_version":"v0"}"#,
            ),
            (
                r#"{"messages":[{"role":"user"}],"anthropic_version":"v0"}"#,
                None,
                r#"{"messages":[{"role":"user"}],"anthropic_version":"v0"}"#,
            ),
        ] {
            let body = Bytes::from(before.to_owned());
            assert_eq!(joined(&peek(&body).unwrap().splice_version(&body, "v1", model)), after);
        }
    }

    proptest! {
        /// Members in any order: no model, one version, and everything else as it was.
        #[test]
        fn a_version_in_any_order(order in Just(vec![0, 1, 2, 3, 4]).prop_shuffle(), gap in "[ \t\n]{0,3}", skip in proptest::collection::vec(any::<bool>(), 5), count in any::<bool>()) {
            let members = [
                ("\"model\"", r#""a \"b\"""#), ("\"messages\"", r#"[{"role":"user"}]"#), ("\"x\"", "[1e2]"),
                ("\"routing_preferences\"", r#"[{"name":"a, \"b\""}]"#), ("\"anthropic_version\"", "\"v0\""),
            ];
            let kept = order.iter().filter(|member| **member == 1 || !skip[**member]);
            let written: Vec<String> =
                kept.map(|&member| format!("{}{gap}:{gap}{}{gap}", members[member].0, members[member].1)).collect();
            let body = Bytes::from(format!("{{{gap}{}}}", written.join(&format!(",{gap}"))));
            let spliced = joined(&peek(&body).unwrap().splice_version(&body, "v1", count.then_some("m")));
            // Twice the same key would be lost in a `Value`.
            prop_assert_eq!(spliced.matches("anthropic_version").count(), 1);
            let found: Value = serde_json::from_str(&spliced).unwrap();
            let mut wanted: Value = serde_json::from_slice(&body).unwrap();
            let object = wanted.as_object_mut().unwrap();
            object.remove("routing_preferences");
            object.remove("model");
            if count {
                object.insert("model".into(), "m".into());
            }
            object.entry("anthropic_version").or_insert("v1".into());
            prop_assert_eq!(found, wanted);
        }

        /// Whatever else the body holds, splicing replaces the model and keeps every other byte.
        #[test]
        fn splice_keeps_all_other_bytes(before in ".{0,40}", model in ".{1,20}", text in ".{0,40}", to in "[a-z/.:-]{1,20}") {
            let quote = |s: &str| Value::from(s).to_string();
            let (head, tail) = (format!("{{\"x\":{}, \"model\": ", quote(&before)), format!(" ,\"messages\":[{{\"role\":\"user\",\"content\":{}}}]}}", quote(&text)));
            let body = Bytes::from(format!("{head}{}{tail}", quote(&model)));
            let spliced = peek(&body).unwrap().splice_model(&body, &to);
            prop_assert_eq!(joined(&spliced), format!("{head}{}{tail}", quote(&to)));
        }

        /// The same for members in any order, with and without preferences.
        #[test]
        fn members_in_any_order(order in Just(vec![0, 1, 2, 3]).prop_shuffle(), gap in "[ \t\n]{0,3}", skip in 0_usize..5) {
            let members = [
                ("\"model\"", r#""auto""#), ("\"messages\"", r#"[{"role":"user"}]"#),
                ("\"routing_preferences\"", r#"[{"name":"a, \"b\""}]"#), ("\"x\"", "[1e2]"),
            ];
            let write = |without: usize, model: Option<&str>| {
                let kept = order.iter().filter(|member| **member != without);
                let written: Vec<String> = kept
                    .map(|&member| {
                        let (key, value) = members[member];
                        let value = model.filter(|_| member == 0).unwrap_or(value);
                        format!("{key}{gap}:{gap}{value}{gap}")
                    })
                    .collect();
                format!("{{{}}}", written.join(&format!(",{gap}")))
            };
            let skip = if skip == 1 || skip == 0 { 4 } else { skip };
            let body = Bytes::from(write(skip, None));
            let spliced = joined(&peek(&body).unwrap().splice_model(&body, "m"));
            let found: Value = serde_json::from_str(&spliced).unwrap();
            let mut wanted: Value = serde_json::from_str(&write(skip, Some("\"m\""))).unwrap();
            wanted.as_object_mut().unwrap().remove("routing_preferences");
            prop_assert_eq!(found, wanted);
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            if skip == 4 {
                prop_assert_eq!(bare(&spliced), bare(&write(2, Some("\"m\""))));
            }
        }
    }
}
