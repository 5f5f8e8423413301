//! Arch-Router's prompt.
//!
//! The grammar is as the model learned it, with its line break at the start and its double space. The reference is
//! `router_model_v1.rs` of Plano 0.4. The weights have a licence of their own and are never part of Waypost.

use serde::Serialize;

use super::{Prompt, Route, compact};

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

#[derive(Serialize)]
struct RouteText<'a> {
    name: &'a str,
    description: &'a str,
}

pub(super) fn prompt(routes: &[Route]) -> Prompt {
    let texts: Vec<RouteText<'_>> =
        routes.iter().map(|route| RouteText { name: &route.name, description: &route.description }).collect();
    Prompt {
        before: [BEFORE_ROUTES, &compact(&texts), BEFORE_CONVERSATION].concat(),
        after: AFTER_CONVERSATION,
        template_bytes: TEMPLATE_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assistant, prompt_of, route, user};
    use super::super::{RouterModel, Settings};
    use super::*;

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
        let router = RouterModel::new(&Settings::reference("Arch-Router"), &routes);
        assert_eq!(prompt_of(&router, &turns), expected);
    }

    #[test]
    fn the_template_is_as_long_as_the_reference_counts_it() {
        assert_eq!(TEMPLATE_BYTES, 856);
    }
}
