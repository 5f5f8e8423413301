//! Plano-Orchestrator's prompt, so that those who run Plano's newer router keep it.
//!
//! The reference is `orchestrator_model_v1.rs` of Plano 0.4.36. Its two braces around the form of the answer are a
//! slip that the model has always seen; each route stands on a line of its own, in JSON as Python spaces it and with
//! parameters that are always empty; the conversation is JSON as Python indents it.

use super::{Message, Prompt, Route, compact};

/// The prompt up to the routes.
const BEFORE_ROUTES: &str = r"
You are a helpful assistant that selects the most suitable routes based on user intent.
You are provided with a list of available routes enclosed within <routes></routes> XML tags:
<routes>
";

/// The prompt between the routes and the conversation.
const BEFORE_CONVERSATION: &str = r"
</routes>

You are also given the conversation context enclosed within <conversation></conversation> XML tags:
<conversation>
";

/// The prompt behind the conversation.
const AFTER_CONVERSATION: &str = r#"
</conversation>

## Instructions
1. Analyze the latest user intent from the conversation.
2. Compare it against the available routes to find which routes can help fulfill the request.
3. Respond only with the exact route names from <routes>.
4. If no routes can help or the intent is already fulfilled, return an empty list.

## Response Format
Return your answer strictly in JSON as follows:
{{"route": ["route_name_1", "route_name_2", "..."]}}
If no routes are needed, return an empty list for `route`.
"#;

/// What stands behind a route's texts in place of a function's parameters.
const PARAMETERS: &str = r#""parameters": {"type": "object", "properties": {}, "required": []}"#;

const TEMPLATE_BYTES: usize = BEFORE_ROUTES.len()
    + "{routes}".len()
    + BEFORE_CONVERSATION.len()
    + "{conversation}".len()
    + AFTER_CONVERSATION.len();

pub(super) fn prompt(routes: &[Route]) -> Prompt {
    let line = |route: &Route| {
        let (name, description) = (compact(&route.name), compact(&route.description));
        format!(r#"{{"name": {name}, "description": {description}, {PARAMETERS}}}"#)
    };
    let lines: Vec<String> = routes.iter().map(line).collect();
    Prompt {
        before: [BEFORE_ROUTES, &lines.join("\n"), BEFORE_CONVERSATION].concat(),
        after: AFTER_CONVERSATION,
        template_bytes: TEMPLATE_BYTES,
    }
}

/// The messages, indented by four spaces.
pub(super) fn conversation(messages: &[Message<'_>]) -> String {
    if messages.is_empty() {
        return "[]".to_owned();
    }
    let item = |message: &Message<'_>| {
        let (role, content) = (message.role, compact(message.content));
        format!("    {{\n        \"role\": \"{role}\",\n        \"content\": {content}\n    }}")
    };
    let items: Vec<String> = messages.iter().map(item).collect();
    format!("[\n{}\n]", items.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assistant, prompt_of, route, user};
    use super::super::{RouterModel, Settings};

    #[test]
    fn the_prompt_is_the_wire_format_to_the_byte() {
        let routes = [
            route("Image generation", "generating \"image\": {conversation}"),
            route("Bilder", "Bilder und <tags> für {routes}"),
        ];
        let turns = [user("hi"), assistant("Hello!\nHow can I help?"), user("draw a \"café\"")];
        let expected = r#"
You are a helpful assistant that selects the most suitable routes based on user intent.
You are provided with a list of available routes enclosed within <routes></routes> XML tags:
<routes>
{"name": "Image generation", "description": "generating \"image\": {conversation}", "parameters": {"type": "object", "properties": {}, "required": []}}
{"name": "Bilder", "description": "Bilder und <tags> für {routes}", "parameters": {"type": "object", "properties": {}, "required": []}}
</routes>

You are also given the conversation context enclosed within <conversation></conversation> XML tags:
<conversation>
[
    {
        "role": "user",
        "content": "hi"
    },
    {
        "role": "assistant",
        "content": "Hello!\nHow can I help?"
    },
    {
        "role": "user",
        "content": "draw a \"café\""
    }
]
</conversation>

## Instructions
1. Analyze the latest user intent from the conversation.
2. Compare it against the available routes to find which routes can help fulfill the request.
3. Respond only with the exact route names from <routes>.
4. If no routes can help or the intent is already fulfilled, return an empty list.

## Response Format
Return your answer strictly in JSON as follows:
{{"route": ["route_name_1", "route_name_2", "..."]}}
If no routes are needed, return an empty list for `route`.
"#;
        let router = RouterModel::new(&Settings::reference("Plano-Orchestrator"), &routes);
        assert_eq!(prompt_of(&router, &turns), expected);
        assert!(prompt_of(&router, &[]).contains("<conversation>\n[]\n</conversation>"));
    }
}
