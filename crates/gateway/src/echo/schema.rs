//! A value that fits a JSON schema: the arguments of a tool call, or an answer of a given shape.

use serde_json::{Map, Value, json};

/// Schemas may refer to themselves: below this depth only what is required is made up, below twice this nothing is.
const DEPTH: usize = 8;
/// A schema may branch at every level; so many values and no more.
const BUDGET: usize = 1000;

/// A value for `schema`; the same `number` gives the same value.
pub(super) fn synthesise(schema: &Value, number: usize) -> Value {
    let mut maker = Maker { root: schema, number, budget: BUDGET };
    maker.value(schema, "value", 0)
}

/// Checks a schema that answers are held to: every object lists all of its properties as required and allows no other.
///
/// # Errors
/// What is wrong, in the API's words.
pub(super) fn strictly(schema: &Value) -> Result<(), String> {
    let properties = schema["properties"].as_object();
    if schema["type"] == "object" || properties.is_some() {
        if schema["additionalProperties"] != false {
            return Err("'additionalProperties' is required to be supplied and to be false.".to_owned());
        }
        let required = schema["required"].as_array();
        let is_required = |name: &String| required.is_some_and(|list| list.iter().any(|other| other == name));
        if let Some(name) = properties.into_iter().flat_map(Map::keys).find(|name| !is_required(name)) {
            return Err(format!(
                "'required' is required to be supplied and to be an array including every key in properties. \
                 Missing '{name}'."
            ));
        }
    }
    let objects = ["properties", "$defs", "definitions"].map(|word| schema[word].as_object());
    let lists = ["anyOf", "allOf"].map(|word| schema[word].as_array());
    let inner = objects.into_iter().flatten().flat_map(Map::values);
    inner.chain(lists.into_iter().flatten().flatten()).chain(schema.get("items")).try_for_each(strictly)
}

struct Maker<'a> {
    root: &'a Value,
    number: usize,
    budget: usize,
}

impl<'a> Maker<'a> {
    fn value(&mut self, schema: &'a Value, name: &str, depth: usize) -> Value {
        if depth > 2 * DEPTH || self.budget == 0 {
            return Value::Null;
        }
        self.budget -= 1;
        if let Some(pointer) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
            let target = self.root.pointer(pointer);
            return target.map_or(Value::Null, |target| self.value(target, name, depth + 1));
        }
        if let Some(fixed) = schema.get("const").or_else(|| schema.get("default")) {
            return fixed.clone();
        }
        if let Some(choices) = schema["enum"].as_array().filter(|choices| !choices.is_empty()) {
            return choices.get(self.number % choices.len()).cloned().unwrap_or_default();
        }
        for word in ["anyOf", "oneOf"] {
            let mut choices = schema[word].as_array().into_iter().flatten();
            if let Some(choice) = choices.find(|choice| choice["type"] != "null") {
                return self.value(choice, name, depth + 1);
            }
        }
        if let Some(parts) = schema["allOf"].as_array() {
            return self.all_of(schema, parts, name, depth);
        }
        let kind = schema["type"].as_str().or_else(|| {
            schema["type"].as_array()?.iter().filter_map(Value::as_str).find(|kind| *kind != "null")
        });
        match kind {
            Some("object") => self.object(schema, depth),
            None if schema["properties"].is_object() => self.object(schema, depth),
            Some("array") => {
                let least = schema["minItems"].as_u64().unwrap_or(1).clamp(1, 8);
                (0..least).map(|_| self.value(&schema["items"], name, depth + 1)).collect()
            }
            Some("integer") => bounded(schema, 1.0 + self.number as f64, 1.0),
            Some("number") => bounded(schema, 1.5 + self.number as f64, 0.5),
            Some("boolean") => self.number.is_multiple_of(2).into(),
            Some("null") => Value::Null,
            _ => self.string(schema, name).into(),
        }
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Value {
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
        let mut object = Map::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if depth < DEPTH || required.iter().any(|required| *required == name) {
                object.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        object.into()
    }

    /// The objects of all parts in one; of other types the first.
    fn all_of(&mut self, schema: &'a Value, parts: &'a [Value], name: &str, depth: usize) -> Value {
        let mut object = self.object(schema, depth);
        for part in parts {
            match (self.value(part, name, depth + 1), &mut object) {
                (Value::Object(more), Value::Object(object)) => object.extend(more),
                (other, _) => return other,
            }
        }
        object
    }

    fn string(&self, schema: &Value, name: &str) -> String {
        let text = match schema["format"].as_str() {
            Some("date") => "2025-01-31".to_owned(),
            Some("time") => "12:00:00Z".to_owned(),
            Some("date-time") => "2025-01-31T12:00:00Z".to_owned(),
            Some("email") => "echo@example.com".to_owned(),
            Some("uri" | "url") => "https://example.com/echo".to_owned(),
            Some("uuid") => "00000000-0000-4000-8000-000000000000".to_owned(),
            _ => format!("{name} {}", self.number + 1),
        };
        let length = |key: &str| schema[key].as_u64().and_then(|length| usize::try_from(length).ok());
        let longest = length("maxLength").unwrap_or(usize::MAX);
        let shortest = length("minLength").unwrap_or(0).min(4096);
        let padding = std::iter::repeat_n('.', shortest.saturating_sub(text.chars().count()));
        text.chars().chain(padding).take(longest).collect()
    }
}

/// A number within the schema's bounds.
fn bounded(schema: &Value, value: f64, step: f64) -> Value {
    let bound = |key: &str| schema[key].as_f64();
    let least = bound("minimum").or_else(|| Some(bound("exclusiveMinimum")? + step));
    let most = bound("maximum").or_else(|| Some(bound("exclusiveMaximum")? - step));
    let value = value.max(least.unwrap_or(f64::MIN)).min(most.unwrap_or(f64::MAX));
    // A JSON integer has no fraction.
    if step == 1.0 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fit_their_schemas() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "short": {"type": "string", "maxLength": 3},
                "unit": {"enum": ["C", "F"]},
                "days": {"type": ["integer", "null"], "minimum": 3},
                "ratio": {"type": "number", "maximum": 0.25},
                "tags": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/tag"}]}},
            },
            "$defs": {"tag": {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}},
        });
        assert_eq!(
            synthesise(&schema, 1),
            json!({
                "city": "city 2", "short": "sho", "unit": "F", "days": 3, "ratio": 0.25,
                "tags": [{"day": "2025-01-31"}],
            })
        );
    }

    #[test]
    fn a_schema_without_end_has_a_value() {
        let node = json!({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]});
        assert!(synthesise(&node, 0).is_object());
    }
}
