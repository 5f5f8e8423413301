//! What a router model says: a chat completion whose text is, more or less, `{"route": "…"}` or `{"route": ["…"]}`.
//!
//! Small models, quantised ones most of all, leave that form in a few known ways: single quotes, a code fence, line
//! breaks spelled as `\n`, a list, a word before the object, the bare name. Strict JSON is tried first, so that no
//! repair can spoil an answer that needs none.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::confidence::{self, Logprobs, Said};
use super::{Names, OTHER};

/// Longest text that is searched for a route. An answer is a dozen tokens; this leaves room for a model that thinks
/// aloud first.
const MAX_TEXT: usize = 16 * 1024;

/// What the router model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This route, by its index.
    Route(usize),
    /// None of them fits.
    NoRoute,
    /// A route that is not configured. The reference takes it for "none", and so do we.
    Unknown(String),
}

/// An answer, and how sure the model is of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// What it answered.
    pub answer: Answer,
    /// The probability of this answer, where the engine gives those of its tokens.
    pub confidence: Option<f32>,
    /// What else it weighed, the answer among them: routes (`None`: that none fits) and their share, the likeliest
    /// first. Shares of other routes are upper bounds.
    pub shares: Vec<(Option<usize>, f32)>,
}

/// An answer that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Nonsense(String);

#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    message: Message,
    /// Read by itself, so that numbers of a strange kind cannot spoil an answer.
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

/// An answer, and the words for it.
type Found = (Answer, Said);

pub(super) fn read(names: &Names, body: &[u8], is_constrained: bool) -> Result<Reply, Nonsense> {
    let completion: Completion<'_> = serde_json::from_slice(body)
        .map_err(|error| Nonsense(format!("it is not a chat completion ({error})")))?;
    let silence = (Answer::NoRoute, Said::Nothing);
    let Some(choice) = completion.choices.into_iter().next() else { return Ok(plain(silence.0)) };
    let (answer, said) = match choice.message.content {
        Value::Null => silence,
        Value::String(text) => route_in(names, &text)?,
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            route_in(names, &texts.concat())?
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            return Err(Nonsense("its `content` is not text".into()));
        }
    };
    let logprobs: Option<Logprobs> = choice.logprobs.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let meant = match &answer {
        Answer::Route(route) => Some(*route),
        Answer::NoRoute => None,
        Answer::Unknown(_) => return Ok(plain(answer)),
    };
    Ok(
        match logprobs.and_then(|logprobs| confidence::weigh(names, meant, &said, &logprobs, is_constrained))
        {
            Some(weighed) => Reply { answer, confidence: Some(weighed.confidence), shares: weighed.shares },
            None => plain(answer),
        },
    )
}

fn plain(answer: Answer) -> Reply {
    Reply { answer, confidence: None, shares: Vec::new() }
}

/// The route that a text names.
fn route_in(names: &Names, text: &str) -> Result<Found, Nonsense> {
    if text.len() > MAX_TEXT {
        return Err(Nonsense(format!("its text has {} bytes", text.len())));
    }
    let text = text.trim();
    if text.is_empty() {
        return Ok((Answer::NoRoute, Said::Nothing));
    }
    if let Some(answer) = in_object(names, text).or_else(|| in_words(names, text)) {
        return Ok(answer);
    }
    // The spelled-out line break is looked at last: a route's name might hold a backslash.
    let unspelled = text.replace("\\n", "\n");
    in_object(names, &unspelled)
        .or_else(|| in_words(names, &unspelled))
        .ok_or_else(|| Nonsense(format!("it names no route: `{}`", shown(text))))
}

/// The value of `route` in an object, quoted as JSON does or as Python does: in the outermost braces or, where the
/// model goes on behind its answer or thinks before it, in the first or the last that can be read. Plano-Orchestrator's
/// prompt shows the form in two pairs of braces, so they may come back.
fn in_object(names: &Names, text: &str) -> Option<Found> {
    let (first, last) = (text.find('{')?, text.rfind('}')?);
    let doubled = text.get(first..=last).is_some_and(|text| text.starts_with("{{") && text.ends_with("}}"));
    let spans = [
        Some(first..=last),
        text.find('}').map(|end| first..=end),
        text.rfind('{').map(|start| start..=last),
        doubled.then(|| first + 1..=last - 1),
    ];
    spans.into_iter().flatten().filter_map(|span| text.get(span)).find_map(|object| in_fields(names, object))
}

fn in_fields(names: &Names, object: &str) -> Option<Found> {
    let fields: serde_json::Map<String, Value> =
        serde_json::from_str(object).or_else(|_| serde_json::from_str(&requoted(object))).ok()?;
    match fields.get("route") {
        Some(Value::Array(routes)) if routes.is_empty() => Some((Answer::NoRoute, Said::EmptyList)),
        // Several intents: the first one that there is counts.
        Some(Value::Array(routes)) => {
            let known = |value: &&Value| value.as_str().is_some_and(|name| named(names, name).is_some());
            in_value(names, routes.iter().find(known).or_else(|| routes.first()))
        }
        // An object that says something, and not of a route (`{"Route": …}`), is no "none fits": it is not in the form.
        None if !fields.is_empty() => None,
        value => in_value(names, value),
    }
}

fn in_value(names: &Names, value: Option<&Value>) -> Option<Found> {
    match value {
        None | Some(Value::Null) => Some((Answer::NoRoute, Said::Nothing)),
        Some(Value::String(name)) => {
            let answer = named(names, name).unwrap_or_else(|| Answer::Unknown(shown(name)));
            Some((answer, Said::Name(name.clone())))
        }
        Some(_) => None,
    }
}

/// A text that is a name and nothing else, or `route: name`.
fn in_words(names: &Names, text: &str) -> Option<Found> {
    let text = text.strip_prefix("```").map_or(text, unfenced);
    let quotes = ['"', '\'', '`', '*'];
    let bare = |text: &str| {
        let inner = text.trim().trim_matches(quotes).trim_end_matches('.').trim_matches(quotes);
        let found = |said: &str| Some((named(names, said)?, Said::Name(said.trim().to_owned())));
        // Quotes around nothing are an empty name; any other heap of them says nothing.
        let says_something = !inner.is_empty() || matches!(text.trim(), "\"\"" | "''");
        found(text).or_else(|| found(inner).filter(|_| says_something))
    };
    if let Some(answer) = bare(text) {
        return Some(answer);
    }
    let (label, name) = text.split_once(':')?;
    let is_label = label.trim().trim_matches(quotes).eq_ignore_ascii_case("route");
    // A sentence behind the label is no name, so what is unknown here is nonsense rather than an unknown route.
    if is_label { bare(name) } else { None }
}

/// What stands in a code fence, without the language behind the opening ticks.
fn unfenced(fenced: &str) -> &str {
    let text = fenced.trim_end_matches('`').trim_end();
    text.split_once('\n').map_or(text, |(_, behind)| behind).trim()
}

fn named(names: &Names, name: &str) -> Option<Answer> {
    let name = name.trim();
    // The prompt's own word comes first: a route that is called the same cannot be told from it.
    if name.is_empty() || name == OTHER {
        return Some(Answer::NoRoute);
    }
    match names.exact.get(name) {
        Some(route) => Some(Answer::Route(*route)),
        None if name.eq_ignore_ascii_case(OTHER) => Some(Answer::NoRoute),
        None => names.loosely(name).map(Answer::Route),
    }
}

/// JSON for a literal in Python's notation. A single quote ends a string only where a string can end, before `,`,
/// `:`, `}`, `]` or the end of the text: so an apostrophe inside a name stays one.
fn requoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    let mut quote = None;
    let mut rest = text.char_indices();
    while let Some((at, letter)) = rest.next() {
        match (quote, letter) {
            (None, '\'' | '"') => {
                quote = Some(letter);
                json.push('"');
            }
            (None, 'N') if text.get(at..).is_some_and(|rest| rest.starts_with("None")) => {
                json.push_str("null");
                rest.nth("one".len() - 1);
            }
            (None, _) => json.push(letter),
            (Some(_), '\\') => match rest.next() {
                Some((_, '\'')) => json.push('\''),
                Some((_, escaped)) => json.extend(['\\', escaped]),
                None => {}
            },
            (Some('\''), '\'') if ends_string(text.get(at + 1..).unwrap_or_default()) => {
                quote = None;
                json.push('"');
            }
            (Some('"'), '"') => {
                quote = None;
                json.push('"');
            }
            (Some(_), '"') => json.push_str("\\\""),
            (Some(_), control) if control.is_control() => json.push(' '),
            (Some(_), _) => json.push(letter),
        }
    }
    json
}

fn ends_string(rest: &str) -> bool {
    matches!(rest.trim_start().chars().next(), None | Some(',' | ':' | '}' | ']'))
}

/// Enough of a text to recognise it.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().filter(|letter| !letter.is_control()).take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::Names;
    use super::*;
    use crate::preference::Route;

    const ROUTES: [&str; 7] =
        ["code generation", "bob's things", "Other", "dup e", "DUPE", "say \"hi\", now", "route: None"];

    fn names(of: &[&str]) -> Names {
        let route =
            |name: &&str| Route { name: (*name).to_owned(), description: String::new(), ..Route::default() };
        Names::new(&of.iter().map(route).collect::<Vec<_>>())
    }

    fn said(content: &Value) -> Result<Answer, Nonsense> {
        let body = json!({"choices": [{"message": {"role": "assistant", "content": content}}]}).to_string();
        read(&names(&ROUTES), body.as_bytes(), false).map(|reply| reply.answer)
    }

    #[test]
    fn the_route_is_found_in_every_known_form() {
        for text in [
            r#"{"route": "code generation"}"#,
            r#" {"route":"code generation"} "#,
            r#"{"route": ["code generation"]}"#,
            r#"{"route": ["code generation", "DUPE"]}"#,
            r#"{"route": "Code  Generation "}"#,
            "{\"route\": \"code\ngeneration\"}",
            r#"{"route": "code\ngeneration"}"#,
            "{'route': 'code generation'}",
            "{'route': ['code generation']}",
            r#"{'route': "code generation"}"#,
            "```json\n{\"route\": \"code generation\"}\n```",
            "```\n{'route': 'code generation'}\n```",
            "```JSON {\"route\": \"code generation\"}```",
            r#"{\n"route": "code generation"\n}\n"#,
            r"\n{'route': 'code generation'}\n",
            r#"```json\n{"route": "code generation"}\n```"#,
            r#"The best route is {"route": "code generation"}."#,
            "<think>code, then</think>\n{\"route\": \"code generation\"}",
            r#"{"reason": "it's code", "route": "code generation"}"#,
            "{\"route\": \"code generation\"}\n{\"route\": \"DUPE\"}\n{",
            "<think>a {set} of {x}</think>{'route': 'code generation'}",
            "{'route': 'code generation'} because {code}",
            "code generation",
            "Code Generation.",
            "\"code generation\"",
            "'code generation'",
            "**code generation**",
            "```code generation```",
            "```text\ncode generation\n```",
            r"```json\ncode generation\n```",
            "{'why': None, 'route': 'code generation'}",
            r"code generation\n",
            "{{\"route\": [\"code generation\"]}}",
            "{{'route': ['code generation', 'DUPE']}}",
            r#"{"route": ["no such route", "code generation"]}"#,
            "route: code generation",
            "Route : `code generation`",
            "\"route\": \"code generation\"",
        ] {
            assert_eq!(said(&text.into()), Ok(Answer::Route(0)), "{text}");
        }
        let parts = json!([{"type": "text", "text": "{\"route\": "}, {"type": "text", "text": "\"code generation\"}"}]);
        assert_eq!(said(&parts), Ok(Answer::Route(0)));
    }

    #[test]
    fn quotes_and_apostrophes_of_a_name_survive() {
        for (text, route) in [
            (r#"{"route": "bob's things"}"#, 1),
            ("{'route': 'bob's things'}", 1),
            (r"{'route': 'bob\'s things'}", 1),
            (r#"{'route': "bob's things"}"#, 1),
            ("bob's things", 1),
            ("'bob's things'", 1),
            (r#"{"route": "say \"hi\", now"}"#, 5),
            (r#"{'route': 'say "hi", now'}"#, 5),
            (r#"say "hi", now"#, 5),
            ("route: None", 6),
            ("{'route': 'route: None'}", 6),
        ] {
            assert_eq!(said(&text.into()), Ok(Answer::Route(route)), "{text}");
        }
    }

    #[test]
    fn none_is_said_in_several_ways() {
        for text in [
            r#"{"route": "other"}"#,
            "{'route': 'other'}",
            r#"{"route": ""}"#,
            r#"{"route": null}"#,
            "{'route': None}",
            "{'route':None}",
            "{'route': [None]}",
            r#"{"route": []}"#,
            r#"{"route": [null]}"#,
            "{}",
            "other",
            "OTHER.",
            "route: other",
            "",
            "  \n",
            r"\n",
        ] {
            assert_eq!(said(&text.into()), Ok(Answer::NoRoute), "{text}");
        }
        assert_eq!(said(&Value::Null), Ok(Answer::NoRoute));
        assert_eq!(said(&json!([])), Ok(Answer::NoRoute));
        for body in [r#"{"choices": []}"#, r#"{"choices": [{"message": {"role": "assistant"}}], "id": 1}"#] {
            let reply = read(&names(&ROUTES), body.as_bytes(), false);
            assert_eq!(reply, Ok(plain(Answer::NoRoute)), "{body}");
        }
    }

    #[test]
    fn names_are_matched_loosely_only_where_one_route_is_meant() {
        for (text, answer) in [
            (r#"{"route": "DUPE"}"#, Answer::Route(4)),
            (r#"{"route": "dup e"}"#, Answer::Route(3)),
            (r#"{"route": "dupe"}"#, Answer::Unknown("dupe".into())),
            (r#"{"route": "Other"}"#, Answer::Route(2)),
            (r#"{"route": "poetry"}"#, Answer::Unknown("poetry".into())),
            (r#"{"route": ["poetry", "prose"]}"#, Answer::Unknown("poetry".into())),
        ] {
            assert_eq!(said(&text.into()), Ok(answer), "{text}");
        }
        let long = json!({"route": "x".repeat(9000)}).to_string();
        assert_eq!(said(&long.into()), Ok(Answer::Unknown("x".repeat(60) + "…")));
    }

    #[test]
    fn nonsense_is_told_from_none() {
        for text in [
            "I would say that this is about code generation",
            "dupe",
            "route: whatever you like",
            r#"{"route": 5}"#,
            r#"{"route": {"name": "code generation"}}"#,
            r#"{"route": [["code generation"]]}"#,
            r#"{"route": "code generation""#,
            "{'route': 'code generation",
            "}{",
            "{{{{",
        ] {
            assert!(said(&text.into()).is_err(), "{text}");
        }
        assert!(said(&"x".repeat(MAX_TEXT + 1).into()).is_err());
        assert!(said(&"{\"a\":".repeat(2000).into()).is_err());
        assert!(said(&json!(7)).is_err());
        for body in ["", "<html>", "[]", "null", r#"{"error": {"message": "no"}}"#, r#"{"choices": [7]}"#] {
            assert!(read(&names(&ROUTES), body.as_bytes(), false).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&names(&ROUTES), &body, false);
        }

        #[test]
        fn no_text_panics(text in any::<String>(), shape in r#"[{}\[\]'"`:,\\n a-zé]{0,60}"#) {
            let _ = said(&text.into());
            let _ = said(&shape.into());
        }

        /// Whatever a route is called, the forms that keep a name whole find it.
        #[test]
        fn any_name_is_found(name in "[!-~é][ -~é]{0,30}[!-~é]") {
            prop_assume!(!name.eq_ignore_ascii_case(OTHER));
            let names = names(&[&name]);
            for text in [json!({"route": name}).to_string(), json!({"route": [name]}).to_string()] {
                let found = route_in(&names, &text).map(|(answer, _)| answer);
                prop_assert_eq!(found, Ok(Answer::Route(0)), "{}", text);
            }
        }

        /// Apostrophes are safe in single quotes, escaped or not.
        #[test]
        fn apostrophes_are_safe_in_single_quotes(name in "[a-zA-Z'][a-zA-Z' ]{0,20}[a-zA-Z']") {
            prop_assume!(!name.eq_ignore_ascii_case(OTHER));
            let names = names(&[&name]);
            for text in [format!("{{'route': '{name}'}}"), format!("{{'route': '{}'}}", name.replace('\'', "\\'"))] {
                let found = route_in(&names, &text).map(|(answer, _)| answer);
                prop_assert_eq!(found, Ok(Answer::Route(0)), "{}", text);
            }
        }
    }
}
