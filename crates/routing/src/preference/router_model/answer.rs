//! What a router model says: a chat completion whose text is, more or less, `{"route": "…"}` or `{"route": ["…"]}`.
//!
//! Small models, quantised ones most of all, leave that form in a few known ways: single quotes, a code fence, line
//! breaks spelled as `\n`, a list, a comma too many, a thought or a sentence before the object, the bare name with an
//! explanation below. Strict JSON is tried first, so that no repair can spoil an answer that needs none. What was only
//! thought is no answer, of several objects the last one is, and a name in words counts where no other route is named.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::confidence::{self, Logprobs, Said};
use super::literal::requoted;
use super::{Names, OTHER};

/// Longest text that is searched for a route. An answer is a dozen tokens; this leaves room for a model that thinks
/// aloud first.
const MAX_TEXT: usize = 16 * 1024;
/// So many braces, the last ones, are tried as the beginning of an object.
const MAX_OBJECTS: usize = 64;
/// Longest label before a name, in words: `the best route for this is: …`.
const MAX_LABEL: usize = 6;
/// Marks of an answer's end, which engines should swallow and some show. What follows is another turn.
pub(super) const ENDS: [&str; 5] = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "</s>"];
/// Around what a model thinks before it answers. Some engines swallow the first.
pub(super) const THOUGHT: [&str; 2] = ["<think>", "</think>"];

/// What the router model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This route, by its index.
    Route(usize),
    /// None of them fits.
    NoRoute,
    /// Nothing. The reference takes it for "none".
    Silence,
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

/// What may stand around a name.
const QUOTES: [char; 4] = ['"', '\'', '`', '*'];

pub(super) fn read(names: &Names, body: &[u8], is_constrained: bool) -> Result<Reply, Nonsense> {
    let completion: Completion<'_> = serde_json::from_slice(body)
        .map_err(|error| Nonsense(format!("it is not a chat completion ({error})")))?;
    let silence = (Answer::Silence, Said::Nothing);
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
        Answer::NoRoute | Answer::Silence => None,
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
    let whole = serde_json::from_str(text).ok();
    if let Some(answer) = whole.and_then(|fields| in_fields(names, &fields)) {
        return Ok(answer);
    }
    let ends = ENDS.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    let said = text.get(..ends).unwrap_or_default().trim();
    if said.is_empty() {
        return Ok((Answer::Silence, Said::Nothing));
    }
    let answer = unthought(said);
    // The spelled-out line break is looked at last: a route's name might hold a backslash.
    in_text(names, answer)
        .or_else(|| in_text(names, &answer.replace("\\n", "\n")))
        .ok_or_else(|| Nonsense(format!("it names no route: `{}`", shown(said))))
}

/// What stands behind the last thought, or before one that does not end.
fn unthought(said: &str) -> &str {
    let [open, close] = THOUGHT;
    let behind = said.rsplit_once(close).map_or(said, |(_, behind)| behind);
    behind.split_once(open).map_or(behind, |(before, _)| before).trim()
}

fn in_text(names: &Names, text: &str) -> Option<Found> {
    if text.is_empty() {
        return None;
    }
    in_objects(names, text).or_else(|| in_words(names, text))
}

/// The value of `route` in an object, quoted as JSON does or as Python does: of several objects the last one that is an
/// answer, as a model that thinks aloud ends with what it means. Plano-Orchestrator's prompt shows the form in two pairs
/// of braces, so they may come back: the outer one is no object.
fn in_objects(names: &Names, text: &str) -> Option<Found> {
    let skipped = text.matches('{').count().saturating_sub(MAX_OBJECTS);
    let (mut at, _) = text.match_indices('{').nth(skipped)?;
    let (mut found, mut empty) = (None, None);
    while let Some(rest) = text.get(at..) {
        let Some((fields, length)) = object(rest) else {
            let Some(next) = rest.get(1..).and_then(|rest| rest.find('{')) else { break };
            at += 1 + next;
            continue;
        };
        // Braces around nothing may belong to anything, so they answer only where nothing else does.
        let answer = if fields.is_empty() { &mut empty } else { &mut found };
        *answer = in_fields(names, &fields).or_else(|| answer.take());
        let Some(next) = rest.get(length..).and_then(|rest| rest.find('{')) else { break };
        at += length + next;
    }
    found.or(empty)
}

type Fields = serde_json::Map<String, Value>;

/// The object that a text begins with, and its length.
fn object(text: &str) -> Option<(Fields, usize)> {
    let mut strict = serde_json::Deserializer::from_str(text).into_iter::<Fields>();
    if let Some(Ok(fields)) = strict.next() {
        return Some((fields, strict.byte_offset()));
    }
    let (json, length) = requoted(text);
    Some((serde_json::from_str(&json).ok()?, length))
}

fn in_fields(names: &Names, fields: &Fields) -> Option<Found> {
    match fields.get("route") {
        Some(Value::Array(routes)) => in_list(names, routes),
        // An object that says something, and not of a route (`{"Route": …}`), is no "none fits": it is not in the form.
        None if !fields.is_empty() => None,
        value => in_value(names, value),
    }
}

/// Several intents: the first one that there is counts.
fn in_list(names: &Names, routes: &[Value]) -> Option<Found> {
    if routes.is_empty() {
        return Some((Answer::NoRoute, Said::EmptyList));
    }
    let known = |value: &&Value| value.as_str().is_some_and(|name| named(names, name).is_some());
    in_value(names, routes.iter().find(known).or_else(|| routes.first()))
}

fn in_value(names: &Names, value: Option<&Value>) -> Option<Found> {
    match value {
        None | Some(Value::Null) => Some((Answer::NoRoute, Said::Nothing)),
        Some(Value::String(name)) => {
            let answer = named(names, name).unwrap_or_else(|| Answer::Unknown(shown(name)));
            Some((answer, Said::Value(name.clone())))
        }
        Some(_) => None,
    }
}

/// A text that is a name, a list of names, or `route: name`, if need be with an explanation on further lines.
fn in_words(names: &Names, text: &str) -> Option<Found> {
    let text = text.strip_prefix("```").map_or(text, unfenced);
    if let Some(answer) = bare(names, text) {
        return Some(answer);
    }
    if text.starts_with('[') {
        let (json, length) = requoted(text);
        let routes: Vec<Value> = serde_json::from_str(&json).ok()?;
        let is_all = text.get(length..).is_some_and(|rest| rest.trim().is_empty());
        return in_list(names, &routes).filter(|_| is_all);
    }
    let name = match text.split_once(':') {
        Some((label, name)) if is_label(label) => name.trim(),
        _ => text,
    };
    // A sentence is no name, so what is unknown here is nonsense rather than an unknown route.
    bare(names, name)
        .filter(|_| name.len() < text.len())
        .or_else(|| {
            let (first, _) = name.split_once('\n')?;
            bare(names, first)
        })
        .filter(|(answer, said)| is_alone(names, answer, said, text))
}

/// A name and nothing else, but for quotes and a full stop.
fn bare(names: &Names, text: &str) -> Option<Found> {
    let inner = text.trim().trim_matches(QUOTES).trim_end_matches('.').trim_matches(QUOTES);
    let found = |said: &str| Some((named(names, said)?, Said::Words(said.trim().to_owned())));
    // Quotes around nothing are an empty name; any other heap of them says nothing.
    let says_something = !inner.is_empty() || matches!(text.trim(), "\"\"" | "''");
    found(text).or_else(|| found(inner).filter(|_| says_something))
}

/// `route`, `the best route`, `the route is`.
fn is_label(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches(QUOTES)).collect();
    let last = match words.as_slice() {
        [rest @ .., is] if is.eq_ignore_ascii_case("is") => rest.last(),
        words => words.last(),
    };
    let denies = |word: &&str| ["not", "no", "isn't"].iter().any(|no| word.eq_ignore_ascii_case(no));
    words.len() <= MAX_LABEL
        && !words.iter().any(denies)
        && last.is_some_and(|word| word.eq_ignore_ascii_case("route"))
}

/// Whether the text names no other route than this answer.
fn is_alone(names: &Names, answer: &Answer, said: &Said, text: &str) -> bool {
    let Said::Words(said) = said else { return true };
    let padded = |text: &str| {
        let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        format!(" {} ", words.map(str::to_lowercase).collect::<Vec<_>>().join(" "))
    };
    let (text, said) = (padded(text), padded(said));
    // A shorter name inside of this one is not named by it.
    let rest = text.replace(said.trim_end(), " ");
    names.declared.iter().enumerate().all(|(route, name)| {
        let name = padded(name);
        let place = if name.contains(&said) { &text } else { &rest };
        // `other` is none of the routes, even where one has this name.
        let is_said = *answer == Answer::Route(route) || name == said;
        is_said || name.trim().is_empty() || !place.contains(&name)
    })
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
            "{\"route\": \"DUPE\"}\n{\"route\": \"code generation\"}\n{",
            "<think>maybe {\"route\": \"DUPE\"}</think>\n{\"route\": \"code generation\"}",
            "maybe {\"route\": \"DUPE\"}</think>{\"route\": \"code generation\"}",
            "Let me think {\"route\": \"DUPE\"} no, {\"route\": \"code generation\"}",
            "{\"route\": \"code generation\"} and no {}, [] or {\"a\": {}}",
            "<think>hm, DUPE?</think>code generation",
            "<think>hm</think>\n\n**code generation**",
            "The route is: code generation",
            "The best route: `code generation`.",
            "route:\ncode generation",
            "[\"code generation\"]",
            "['code generation']",
            "```json\n[\"code generation\"]\n```",
            "code generation\n\nThe user wants a function, so code generation fits.",
            "Route: code generation\nThe user wants a function.",
            "code generation<|im_end|>",
            "{\"route\": \"code generation\"}<|im_end|>\n<|im_start|>user\n{\"route\": \"DUPE\"}",
            "{\"route\": \"code generation\",}",
            "{\"route\": [\"code generation\",],}",
            "{'route': 'code generation',\n}",
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
            "[]",
            "other",
            "other\n\nNothing here fits.",
            "<think>hm</think>other",
            "OTHER.",
            "route: other",
            r"\n",
        ] {
            assert_eq!(said(&text.into()), Ok(Answer::NoRoute), "{text}");
        }
        for content in [json!(null), json!([]), json!(""), json!("  \n"), json!("<|im_end|>")] {
            assert_eq!(said(&content), Ok(Answer::Silence), "{content}");
        }
        for body in [r#"{"choices": []}"#, r#"{"choices": [{"message": {"role": "assistant"}}], "id": 1}"#] {
            let reply = read(&names(&ROUTES), body.as_bytes(), false);
            assert_eq!(reply, Ok(plain(Answer::Silence)), "{body}");
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
            "It is not code generation",
            "The route is not: code generation",
            "code generation\nor DUPE",
            "The route is: code generation\nif not bob's things",
            "<think>{\"route\": \"code generation\"}</think>",
            "<think>{\"route\": \"code generation\"}",
            "[\"code generation\"] or [\"DUPE\"]",
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

    /// A name inside of another one is told from it.
    #[test]
    fn names_that_hold_each_other_are_told_apart_in_words() {
        let names = names(&["code", "code review"]);
        for (text, route) in [
            ("code review\nIt is a review of code.", None),
            ("code review\nSomebody is to look at it.", Some(1)),
            ("The route is: code review", Some(1)),
            ("code\nA function is to be written.", Some(0)),
            ("code\nnot code review", None),
        ] {
            let found = route_in(&names, text).ok().map(|(answer, _)| answer);
            assert_eq!(found, route.map(Answer::Route), "{text}");
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
