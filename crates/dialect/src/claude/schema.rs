//! JSON schemas as the family is held to them: every object says that it is closed, and only some keywords are taken.
//! What the others say is told to the model in the description.
//! <https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations>

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::lose;
use crate::chat::{ChatRequest, Json};
use crate::json::{Fields, Node, Path, Raw, Writer};
use crate::loss::{Loss, Reason};
use crate::names;

/// Schemas inside schemas are looked into to this depth; every level is scanned once more.
const MAX_DEPTH: usize = 32;
/// Larger ones are taken as they are: they are too complex for the API, which says so.
const MAX_BYTES: usize = 256 * 1024;
/// Longer values are not told in the description.
const MAX_NOTE: usize = 256;

/// Keywords that go on as they are.
const TAKEN: [&str; 8] = ["type", "enum", "const", "title", "default", "required", "$ref", "pattern"];
/// Values of `format` that are taken.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// The schema as the family's API takes it. `field`: what loss is named under, by its canonical name.
pub(crate) fn closed(schema: &Json, field: &'static str, request: &ChatRequest, loss: &mut Loss) -> Json {
    if schema.get().len() > MAX_BYTES {
        return schema.clone();
    }
    let mut lost = BTreeSet::new();
    let mut text = Vec::with_capacity(schema.get().len() + 64);
    write(schema.get(), MAX_DEPTH, &mut lost, &mut Writer::new(&mut text));
    for keyword in lost {
        loss.add(format!("{}.{keyword}", names::field(request.source, field)), Reason::Nearest);
    }
    let written = std::str::from_utf8(&text).ok().and_then(Json::parse);
    written.unwrap_or_else(|| {
        lose(request, field, Reason::Nearest, loss);
        schema.clone()
    })
}

fn write(schema: &str, depth: usize, lost: &mut BTreeSet<String>, out: &mut Writer<'_>) {
    let fields = match Fields::of_body(schema.as_bytes()) {
        Ok(fields) if depth > 0 => fields,
        _ => return out.raw(schema),
    };
    let mut notes = String::new();
    out.object(|out| {
        for (key, raw) in &fields.0 {
            let node = Node::new(*raw, &Path::Root);
            match key.as_ref() {
                "description" | "additionalProperties" | "$schema" | "$comment" => {}
                "propertyOrdering" => {
                    lost.insert(key.to_string());
                }
                "properties" | "$defs" | "definitions" => match node.fields() {
                    Ok(named) => out.key(key).object(|out| {
                        named
                            .0
                            .iter()
                            .for_each(|(name, raw)| write(raw.get(), depth - 1, lost, out.key(name)));
                    }),
                    Err(_) => out.key(key).raw(raw.get()),
                },
                "items" => write(raw.get(), depth - 1, lost, out.key(key)),
                "anyOf" | "allOf" => write_list(key, node, depth, lost, out),
                "oneOf" if fields.get("anyOf").is_none() => {
                    lost.insert("oneOf".to_owned());
                    write_list("anyOf", node, depth, lost, out);
                }
                "minItems" if matches!(raw.get(), "0" | "1") => out.key(key).raw(raw.get()),
                "format" if node.string().is_ok_and(|word| FORMATS.contains(&word.as_str())) => {
                    out.key(key).raw(raw.get());
                }
                key if TAKEN.contains(&key) => out.key(key).raw(raw.get()),
                key => note(key, *raw, &mut notes, lost),
            }
        }
        if is_object(&fields) {
            if fields.get("additionalProperties").is_some_and(|value| value.get() != "false") {
                lost.insert("additionalProperties".to_owned());
            }
            out.key("additionalProperties").boolean(false);
        }
        let said = fields.text("description").unwrap_or_default();
        match (said.is_empty(), notes.is_empty()) {
            (true, true) => {}
            (true, false) => out.text_field("description", &notes),
            (false, true) => out.text_field("description", &said),
            (false, false) => out.text_field("description", &format!("{said}\n\n{notes}")),
        }
    });
}

fn write_list(
    key: &str,
    node: Node<'_, '_>,
    depth: usize,
    lost: &mut BTreeSet<String>,
    out: &mut Writer<'_>,
) {
    match node.list() {
        Ok(list) => {
            out.key(key).list(|out| list.iter().for_each(|schema| write(schema.get(), depth - 1, lost, out)));
        }
        Err(_) => out.key(key).raw(node.json().get()),
    }
}

/// A keyword that the API refuses: the model is told of it.
fn note(key: &str, raw: Raw<'_>, notes: &mut String, lost: &mut BTreeSet<String>) {
    lost.insert(key.to_owned());
    if raw.get().len() <= MAX_NOTE {
        let between = if notes.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(notes, "{between}{key}: {}", raw.get());
    }
}

/// The value may be an object.
fn is_object(fields: &Fields<'_>) -> bool {
    let Some(raw) = fields.get("type") else { return fields.get("properties").is_some() };
    let node = Node::new(raw, &Path::Root);
    node.string().is_ok_and(|word| word == "object")
        || node.strings().is_ok_and(|words| words.iter().any(|word| word == "object"))
}

#[cfg(test)]
mod tests {
    use super::closed;
    use crate::chat::{ChatRequest, Json};
    use crate::loss::Loss;

    #[track_caller]
    fn check(schema: &str, expected: &str, lost: &str) {
        let mut loss = Loss::default();
        let schema = Json::parse(schema).unwrap();
        let written = closed(&schema, "s", &ChatRequest::default(), &mut loss);
        assert_eq!((written.get(), loss.to_string().as_str()), (expected, lost));
        let again = closed(&written, "s", &ChatRequest::default(), &mut Loss::default());
        assert_eq!(again.get(), expected, "what is taken stays as it is");
    }

    #[test]
    fn objects_are_closed_wherever_they_stand() {
        check(
            r#"{"type":"object","properties":{"a":{"type":["object","null"],"properties":{}}},"$defs":{"x":{"properties":{}}}}"#,
            r#"{"type":"object","properties":{"a":{"type":["object","null"],"properties":{},"additionalProperties":false}},"$defs":{"x":{"properties":{},"additionalProperties":false}},"additionalProperties":false}"#,
            "",
        );
        check(
            r#"{"type":"array","items":{"oneOf":[{"type":"object","additionalProperties":{"type":"string"}},true]}}"#,
            r#"{"type":"array","items":{"anyOf":[{"type":"object","additionalProperties":false},true]}}"#,
            "s.additionalProperties, s.oneOf",
        );
    }

    #[test]
    fn what_is_refused_is_told_and_named() {
        check(
            r#"{"type":"string","minLength":3,"description":"A name.","format":"regex","pattern":"^a"}"#,
            r#"{"type":"string","pattern":"^a","description":"A name.\n\nminLength: 3, format: \"regex\""}"#,
            "s.format, s.minLength",
        );
        check(
            r#"{"type":"array","minItems":1,"maxItems":4,"format":"date"}"#,
            r#"{"type":"array","minItems":1,"format":"date","description":"maxItems: 4"}"#,
            "s.maxItems",
        );
        check("true", "true", "");
    }
}
