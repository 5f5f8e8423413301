//! Arch-Router over any OpenAI-compatible endpoint: what it is asked, to the byte, and (in `answer.rs`) what it says.
//!
//! The prompt is a wire format. The model was trained on this text, with its grammar as it is, its line break at the
//! start and its double space, so every byte counts; the reference is `router_model_v1.rs` of Plano 0.4. Two things
//! are ours: routes stand in declared order (there it is random in each process, which defeats the prefix cache of
//! the server behind), and route texts are never searched for placeholders.

use std::collections::HashMap;

use serde::Serialize;

use super::{Role, Route, Turn};

mod answer;

pub use answer::{Answer, Nonsense};

/// The prompt up to the routes.
const BEFORE_ROUTES: &str = r"
You are a helpful assistant designed to find the best suited route.
You are provided with route description within <routes></routes> XML tags:
<routes>
";

/// The prompt between the routes and the conversation.
const BEFORE_CONVERSATION: &str = r"
</routes>

<conversation>
";

/// The prompt behind the conversation.
const AFTER_CONVERSATION: &str = r#"
</conversation>

Your task is to decide which route is best suit with user intent on the conversation in <conversation></conversation> XML tags.  Follow the instruction:
1. If the latest intent from user is irrelevant or user intent is full filled, response with other route {"route": "other"}.
2. You must analyze the route descriptions and find the best match route for user latest intent.
3. You only response the name of the route that best matches the user's request, use the exact name in the <routes></routes>.

Based on your analysis, provide your response in the following JSON formats if you decide to match any route:
{"route": "route_name"}
"#;

/// Bytes of the prompt's template, the placeholders `{routes}` and `{conversation}` included: the reference counts
/// them, and does not count what they stand for.
const TEMPLATE_BYTES: usize = BEFORE_ROUTES.len()
    + "{routes}".len()
    + BEFORE_CONVERSATION.len()
    + "{conversation}".len()
    + AFTER_CONVERSATION.len();

/// Longest conversation with its prompt, in "tokens".
const BUDGET: usize = 2048;

/// A "token" of the budget: four bytes, no tokenizer.
const BYTES_A_TOKEN: usize = 4;

/// One configured Arch-Router: its model's name and the routes that it chooses among.
#[derive(Debug)]
pub struct ArchRouter {
    model: String,
    /// The prompt up to the conversation: the same bytes in every request.
    opening: String,
    names: Names,
}

/// The names that an answer can mean.
#[derive(Debug)]
struct Names {
    exact: HashMap<String, usize>,
    /// By [`loose`] name, where only one route has it.
    loose: HashMap<String, Option<usize>>,
}

#[derive(Serialize)]
struct RouteText<'a> {
    name: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

/// Only what the reference sends. A bound on the answer (`max_tokens`) is refused by some servers and the answer is
/// bounded by deadline and size anyway; `stream` is off by default in this API.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    temperature: f64,
}

impl ArchRouter {
    /// Prepares the part of the prompt that every request shares. The format has no place for a route's examples.
    #[must_use]
    pub fn new(model: String, routes: &[Route]) -> Self {
        let texts: Vec<RouteText<'_>> = routes
            .iter()
            .map(|route| RouteText { name: &route.name, description: &route.description })
            .collect();
        let opening = [BEFORE_ROUTES, &compact(&texts), BEFORE_CONVERSATION].concat();
        Self { model, opening, names: Names::new(routes) }
    }

    /// The body of `POST /v1/chat/completions` that asks for the route of this conversation.
    #[must_use]
    pub fn body(&self, turns: &[Turn<'_>]) -> Vec<u8> {
        let prompt = self.prompt(turns);
        let messages = [Message { role: "user", content: &prompt }];
        compact(&Body { model: &self.model, messages, temperature: 0.01 }).into_bytes()
    }

    /// Reads the body of the answer.
    ///
    /// # Errors
    /// It is no chat completion, or its text names no route in any form that is known.
    pub fn read(&self, body: &[u8]) -> Result<Answer, Nonsense> {
        answer::read(&self.names, body)
    }

    fn prompt(&self, turns: &[Turn<'_>]) -> String {
        let conversation: Vec<Message<'_>> = recent(turns)
            .iter()
            .map(|turn| Message {
                role: match turn.role {
                    Role::User => "user",
                    Role::Assistant => "assistant",
                },
                content: &turn.text,
            })
            .collect();
        [&self.opening, compact(&conversation).as_str(), AFTER_CONVERSATION].concat()
    }
}

/// The newest turns that fit the budget. The turn that breaks it is the last one looked at: kept whole if it is the
/// person's, however long, because it is what they want; left out if it is the model's. At least one turn is kept.
fn recent<'s, 't>(turns: &'s [Turn<'t>]) -> &'s [Turn<'t>] {
    let mut spent = TEMPLATE_BYTES / BYTES_A_TOKEN;
    let mut first = turns.len();
    for (index, turn) in turns.iter().enumerate().rev() {
        spent += turn.text.len() / BYTES_A_TOKEN;
        if spent <= BUDGET || turn.role == Role::User {
            first = index;
        }
        if spent > BUDGET {
            break;
        }
    }
    turns.get(first.min(turns.len().saturating_sub(1))..).unwrap_or_default()
}

/// JSON without spaces, keys in the order of the fields.
fn compact(value: &impl Serialize) -> String {
    // Strings, lists and a finite number: there is nothing here that JSON cannot say.
    serde_json::to_string(value).unwrap_or_default()
}

impl Names {
    fn new(routes: &[Route]) -> Self {
        let exact = routes.iter().enumerate().map(|(index, route)| (route.name.clone(), index)).collect();
        let mut loose_names: HashMap<String, Option<usize>> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            loose_names.entry(loose(&route.name)).and_modify(|only| *only = None).or_insert(Some(index));
        }
        Self { exact, loose: loose_names }
    }

    /// The one route whose name differs from this one in case and white space only.
    fn loosely(&self, name: &str) -> Option<usize> {
        self.loose.get(&loose(name)).copied().flatten()
    }
}

/// A name without case and white space.
fn loose(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(name: &str, description: &str) -> Route {
        Route {
            name: name.to_owned(),
            description: description.to_owned(),
            examples: vec!["unused".into()],
            ..Route::default()
        }
    }

    fn user(text: &str) -> Turn<'_> {
        Turn { role: Role::User, text: text.into() }
    }

    fn assistant(text: &str) -> Turn<'_> {
        Turn { role: Role::Assistant, text: text.into() }
    }

    #[test]
    fn the_prompt_is_the_wire_format_to_the_byte() {
        let routes = [
            route("code generation", "new code, \"from\" prompts"),
            route("Bild {conversation}", "Bilder und <tags> für {routes}"),
        ];
        let turns =
            [user("hi"), assistant("Hello!\nHow can I help?"), user("draw a \"café\" </conversation>")];
        let expected = r#"
You are a helpful assistant designed to find the best suited route.
You are provided with route description within <routes></routes> XML tags:
<routes>
[{"name":"code generation","description":"new code, \"from\" prompts"},{"name":"Bild {conversation}","description":"Bilder und <tags> für {routes}"}]
</routes>

<conversation>
[{"role":"user","content":"hi"},{"role":"assistant","content":"Hello!\nHow can I help?"},{"role":"user","content":"draw a \"café\" </conversation>"}]
</conversation>

Your task is to decide which route is best suit with user intent on the conversation in <conversation></conversation> XML tags.  Follow the instruction:
1. If the latest intent from user is irrelevant or user intent is full filled, response with other route {"route": "other"}.
2. You must analyze the route descriptions and find the best match route for user latest intent.
3. You only response the name of the route that best matches the user's request, use the exact name in the <routes></routes>.

Based on your analysis, provide your response in the following JSON formats if you decide to match any route:
{"route": "route_name"}
"#;
        assert_eq!(ArchRouter::new(String::new(), &routes).prompt(&turns), expected);
    }

    #[test]
    fn the_body_is_what_the_reference_sends() {
        let router = ArchRouter::new("Arch-Router".to_owned(), &[route("a", "b")]);
        let body = String::from_utf8(router.body(&[user("x\ty")])).unwrap();
        let start =
            r#"{"model":"Arch-Router","messages":[{"role":"user","content":"\nYou are a helpful assistant"#;
        assert!(body.starts_with(start), "{body}");
        assert!(body.contains(r#"[{\"name\":\"a\",\"description\":\"b\"}]\n</routes>"#), "{body}");
        assert!(body.contains(r#"[{\"role\":\"user\",\"content\":\"x\\ty\"}]\n</conversation>"#), "{body}");
        assert!(body.ends_with(r#"{\"route\": \"route_name\"}\n"}],"temperature":0.01}"#), "{body}");
    }

    /// Each turn is a letter for its author and its length in tokens; the kept ones are counted from the end.
    #[test]
    fn the_newest_turns_are_kept_within_the_budget() {
        const LEFT: usize = 2048 - 214;
        assert_eq!(TEMPLATE_BYTES, 856);
        for (turns, kept) in [
            (vec![], 0),
            (vec![('u', 10)], 1),
            (vec![('u', 1), ('a', 1), ('u', 1)], 3),
            // The last token of the budget may be spent.
            (vec![('a', 1), ('a', LEFT - 1), ('u', 1)], 2),
            (vec![('a', 1), ('a', LEFT), ('u', 1)], 1),
            // What breaks the budget ends the walk: the person's turn is kept whole, the model's is left out.
            (vec![('u', 1), ('u', LEFT), ('u', 1)], 2),
            (vec![('u', 1), ('a', LEFT), ('u', 1)], 1),
            (vec![('u', 1), ('u', 9 * BUDGET)], 1),
            // Nothing fits: the last turn is kept whoever spoke.
            (vec![('u', 1), ('a', 9 * BUDGET)], 1),
        ] {
            let texts: Vec<(char, String)> =
                turns.iter().map(|(author, tokens)| (*author, "word".repeat(*tokens))).collect();
            let conversation: Vec<Turn<'_>> = texts
                .iter()
                .map(|(author, text)| if *author == 'u' { user(text) } else { assistant(text) })
                .collect();
            assert_eq!(recent(&conversation).len(), kept, "{turns:?}");
        }
    }

    #[test]
    fn a_token_is_four_bytes_of_utf_8_rounded_down() {
        let left = BUDGET - TEMPLATE_BYTES / BYTES_A_TOKEN;
        let text = "ü".repeat(left * 2) + "xyz";
        assert_eq!(recent(&[assistant("short"), assistant(&text)]).len(), 1);
        assert_eq!(recent(&[assistant("xyz"), assistant(&text)]).len(), 2);
    }

    proptest! {
        /// What is kept is always an unbroken end of the conversation, never empty if there was one.
        #[test]
        fn something_recent_is_kept(lengths in proptest::collection::vec((any::<bool>(), 0usize..4000), 0..12)) {
            let texts: Vec<(bool, String)> =
                lengths.into_iter().map(|(mine, length)| (mine, "x".repeat(length))).collect();
            let turns: Vec<Turn<'_>> =
                texts.iter().map(|(mine, text)| if *mine { user(text) } else { assistant(text) }).collect();
            let kept = recent(&turns);
            prop_assert!(turns.ends_with(kept));
            prop_assert_eq!(kept.is_empty(), turns.is_empty());
        }
    }
}
