//! Schemas. The API has two kinds: a subset of OpenAPI's (`parameters`, `responseSchema`), whose types are written
//! `STRING` and whose null is a flag, and JSON Schema (`parametersJsonSchema`, `responseJsonSchema`).
//!
//! Everybody else speaks JSON Schema, so that is what we hold. And that is what we write: the subset has no `$ref`, no
//! `const`, no `oneOf` and no types in lists, so that a schema put into it says less than it did or is refused.

use crate::chat::Json;
use crate::json::{Fields, Node, Path, Writer};

/// Schemas inside schemas are looked into to this depth; every level is scanned once more.
const MAX_DEPTH: usize = 32;
/// Larger ones are taken as they are: no provider takes one of this size.
const MAX_BYTES: usize = 256 * 1024;

/// Fields whose value is a schema, a list of schemas, or an object of schemas.
const ONE: [&str; 3] = ["items", "additionalProperties", "not"];
const LIST: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
const NAMED: [&str; 3] = ["properties", "$defs", "defs"];
/// Numbers that the subset may give as text, as its wire format does for 64 bits.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// The JSON Schema that means what a schema of the subset means.
pub(super) fn of_subset(schema: Json) -> Json {
    if schema.get().len() > MAX_BYTES {
        return schema;
    }
    let mut text = Vec::with_capacity(schema.get().len());
    write(schema.get(), MAX_DEPTH, &mut Writer::new(&mut text));
    let written = std::str::from_utf8(&text).ok().and_then(Json::parse);
    written.unwrap_or(schema)
}

fn write(schema: &str, depth: usize, out: &mut Writer<'_>) {
    let fields = match Fields::of_body(schema.as_bytes()) {
        Ok(fields) if depth > 0 => fields,
        _ => return out.raw(schema),
    };
    let is_nullable = fields.get("nullable").is_some_and(|raw| raw.get() == "true");
    out.object(|out| {
        for (key, raw) in &fields.0 {
            let key = match key.as_ref() {
                "any_of" => "anyOf",
                "min_items" => "minItems",
                "max_items" => "maxItems",
                "property_ordering" => "propertyOrdering",
                key => key,
            };
            let node = Node::new(*raw, &Path::Root);
            match key {
                "nullable" => {}
                "type" => match node.string() {
                    Ok(word) => write_type(&word.to_ascii_lowercase(), is_nullable, out),
                    Err(_) => out.key(key).raw(raw.get()),
                },
                "enum" if is_nullable => {
                    out.key(key).list(|out| {
                        node.list().unwrap_or_default().iter().for_each(|value| out.raw(value.get()));
                        out.null();
                    });
                }
                key if COUNTS.contains(&key) => match node.string().ok().and_then(|text| text.parse().ok()) {
                    Some(count) => out.key(key).count(count),
                    None => out.key(key).raw(raw.get()),
                },
                key if ONE.contains(&key) => write(raw.get(), depth - 1, out.key(key)),
                key if LIST.contains(&key) => match node.list() {
                    Ok(list) => out
                        .key(key)
                        .list(|out| list.iter().for_each(|schema| write(schema.get(), depth - 1, out))),
                    Err(_) => out.key(key).raw(raw.get()),
                },
                key if NAMED.contains(&key) => match node.fields() {
                    Ok(named) => out.key(key).object(|out| {
                        named.0.iter().for_each(|(name, raw)| write(raw.get(), depth - 1, out.key(name)));
                    }),
                    Err(_) => out.key(key).raw(raw.get()),
                },
                key => out.key(key).raw(raw.get()),
            }
        }
    });
}

fn write_type(word: &str, is_nullable: bool, out: &mut Writer<'_>) {
    match word {
        // Says nothing.
        "type_unspecified" => {}
        word if is_nullable && word != "null" => {
            out.key("type").list(|out| {
                out.string(word);
                out.string("null");
            });
        }
        word => out.text_field("type", word),
    }
}

#[cfg(test)]
mod tests {
    use super::of_subset;
    use crate::chat::Json;

    fn check(subset: &str, expected: &str) {
        assert_eq!(of_subset(Json::parse(subset).unwrap()).get(), expected);
        // What is JSON Schema already stays as it is.
        assert_eq!(of_subset(Json::parse(expected).unwrap()).get(), expected);
    }

    #[test]
    fn means_the_same() {
        check(
            r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true},"n":{"type":"INTEGER"}},"required":["type"]}"#,
            r#"{"type":"object","properties":{"type":{"type":["string","null"]},"n":{"type":"integer"}},"required":["type"]}"#,
        );
        check(
            r#"{"type":"ARRAY","minItems":"2","items":{"anyOf":[{"type":"NUMBER"},{"type":"BOOLEAN"}]}}"#,
            r#"{"type":"array","minItems":2,"items":{"anyOf":[{"type":"number"},{"type":"boolean"}]}}"#,
        );
        check(
            r#"{"type":"STRING","enum":["A"],"nullable":true}"#,
            r#"{"type":["string","null"],"enum":["A",null]}"#,
        );
        check(
            r#"{"enum":["STRING"],"description":"OBJECT"}"#,
            r#"{"enum":["STRING"],"description":"OBJECT"}"#,
        );
    }
}
