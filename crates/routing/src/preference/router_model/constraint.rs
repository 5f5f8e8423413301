//! How an engine is told to answer in the form alone, with a name that there is.
//!
//! Off by default: the reference sends nothing of the kind, and an engine that does not know the key may refuse the
//! request. Whatever is chosen, the form is the one that the model was trained to answer in.

use serde_json::json;

use super::{OTHER, Protocol, Route, compact, escaped};

/// Which key of the request holds the constraint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Constraint {
    /// None: the request is the reference's.
    #[default]
    None,
    /// `response_format` with a JSON Schema, as OpenAI, vLLM, SGLang, llama.cpp, Ollama and others take it.
    JsonSchema,
    /// `grammar` in GBNF, as llama.cpp takes it.
    Grammar,
    /// `structured_outputs.choice`, as vLLM takes it since 0.12.
    Choice,
    /// `guided_choice`, as older versions of vLLM take it.
    GuidedChoice,
}

impl Constraint {
    /// What is added to the body: nothing, or a key and its value behind a comma.
    pub(super) fn extra(self, protocol: Protocol, routes: &[Route]) -> String {
        let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
        let pair = match self {
            Self::None => return String::new(),
            Self::JsonSchema => format!(r#""response_format":{}"#, compact(&schema(protocol, &names))),
            Self::Grammar => format!(r#""grammar":{}"#, compact(&grammar(protocol, &names))),
            Self::Choice => {
                format!(r#""structured_outputs":{{"choice":{}}}"#, compact(&answers(protocol, &names)))
            }
            Self::GuidedChoice => format!(r#""guided_choice":{}"#, compact(&answers(protocol, &names))),
        };
        format!(",{pair}")
    }
}

fn schema(protocol: Protocol, names: &[&str]) -> serde_json::Value {
    let route = match protocol {
        Protocol::ArchRouter => {
            let names: Vec<&str> = names.iter().copied().chain([OTHER]).collect();
            json!({"type": "string", "enum": names})
        }
        // The first name counts, so there is no use in more.
        Protocol::PlanoOrchestrator => {
            json!({"type": "array", "items": {"type": "string", "enum": names}, "maxItems": 1})
        }
    };
    json!({
        "type": "json_schema",
        "json_schema": {
            "name": "route",
            "strict": true,
            "schema": {
                "type": "object",
                "properties": {"route": route},
                "required": ["route"],
                "additionalProperties": false,
            },
        },
    })
}

/// Every answer that there is.
fn answers(protocol: Protocol, names: &[&str]) -> Vec<String> {
    let (open, close) = around(protocol);
    let quoted = names.iter().map(|name| format!("{open}{}{close}", compact(name)));
    let none = match protocol {
        Protocol::ArchRouter => format!("{open}{}{close}", compact(OTHER)),
        Protocol::PlanoOrchestrator => format!("{open}{close}"),
    };
    quoted.chain([none]).collect()
}

/// The same as a grammar.
fn grammar(protocol: Protocol, names: &[&str]) -> String {
    let (open, close) = around(protocol);
    let mut alternatives: Vec<String> = names.iter().map(|name| literal(&escaped(name))).collect();
    let route = match protocol {
        Protocol::ArchRouter => {
            alternatives.push(literal(OTHER));
            "quoted"
        }
        Protocol::PlanoOrchestrator => "quoted?",
    };
    let (open, close, quote) = (literal(open), literal(close), literal("\""));
    let names = alternatives.join(" | ");
    format!("root ::= {open} {route} {close}\nquoted ::= {quote} ({names}) {quote}\n")
}

/// What stands around the name, as the prompts show it.
fn around(protocol: Protocol) -> (&'static str, &'static str) {
    match protocol {
        Protocol::ArchRouter => (r#"{"route": "#, "}"),
        Protocol::PlanoOrchestrator => (r#"{"route": ["#, "]}"),
    }
}

/// A text as a literal of GBNF. Names hold no control characters here: JSON has escaped them before.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{route, user};
    use super::super::{RouterModel, Settings};
    use super::*;

    /// What the body holds beside the reference's keys.
    fn asked(model: &str, constraint: Constraint) -> String {
        let routes = [route("code \"x\"", "d"), route("bob's\n\\", "d")];
        let settings = Settings { constraint, ..Settings::reference(model) };
        let body = RouterModel::new(&settings, &routes).question(&[user("hi")]).body(true);
        let mut body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let fields = body.as_object_mut().unwrap();
        for key in ["model", "messages", "temperature", "logprobs", "top_logprobs"] {
            assert!(fields.remove(key).is_some(), "{key}");
        }
        body.to_string()
    }

    #[test]
    fn each_engine_is_told_in_its_own_key() {
        for (model, constraint, expected) in [
            ("Arch-Router", Constraint::None, "{}"),
            (
                "Arch-Router",
                Constraint::JsonSchema,
                r#"{"response_format":{"json_schema":{"name":"route","schema":{"additionalProperties":false,"properties":{"route":{"enum":["code \"x\"","bob's\n\\","other"],"type":"string"}},"required":["route"],"type":"object"},"strict":true},"type":"json_schema"}}"#,
            ),
            (
                "Plano-Orchestrator",
                Constraint::JsonSchema,
                r#"{"response_format":{"json_schema":{"name":"route","schema":{"additionalProperties":false,"properties":{"route":{"items":{"enum":["code \"x\"","bob's\n\\"],"type":"string"},"maxItems":1,"type":"array"}},"required":["route"],"type":"object"},"strict":true},"type":"json_schema"}}"#,
            ),
            (
                "Arch-Router",
                Constraint::Choice,
                r#"{"structured_outputs":{"choice":["{\"route\": \"code \\\"x\\\"\"}","{\"route\": \"bob's\\n\\\\\"}","{\"route\": \"other\"}"]}}"#,
            ),
            (
                "Plano-Orchestrator",
                Constraint::GuidedChoice,
                r#"{"guided_choice":["{\"route\": [\"code \\\"x\\\"\"]}","{\"route\": [\"bob's\\n\\\\\"]}","{\"route\": []}"]}"#,
            ),
        ] {
            assert_eq!(asked(model, constraint), expected, "{model} {constraint:?}");
        }
    }

    #[test]
    fn a_grammar_spells_the_names_as_json_does() {
        let names = ["code \"x\"", "bob's\n\\"];
        assert_eq!(
            grammar(Protocol::ArchRouter, &names),
            r#"root ::= "{\"route\": " quoted "}"
quoted ::= "\"" ("code \\\"x\\\"" | "bob's\\n\\\\" | "other") "\""
"#
        );
        assert_eq!(
            grammar(Protocol::PlanoOrchestrator, &["a"]),
            r#"root ::= "{\"route\": [" quoted? "]}"
quoted ::= "\"" ("a") "\""
"#
        );
    }
}
