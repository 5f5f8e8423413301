//! What is no text: the reference shows a router model none of it, and no message that holds nothing else.

use std::borrow::Cow;

use super::Turn;

/// What is said in a turn in place of a part that is no text, on a line of its own.
const MENTIONS: [&str; 4] = ["[image]", "[audio]", "[video]", "[file]"];

/// The turns as the reference has them. They stay as they are if nothing would be left to ask about.
pub(super) fn left_out<'t>(turns: &'t [Turn<'t>]) -> Cow<'t, [Turn<'t>]> {
    let is_text = |line: &&str| !MENTIONS.contains(line);
    if turns.iter().all(|turn| turn.text.split('\n').all(|line| is_text(&line))) {
        return turns.into();
    }
    let text_of = |turn: &Turn<'t>| {
        let text = turn.text.split('\n').filter(is_text).collect::<Vec<_>>().join("\n");
        (!text.is_empty()).then(|| Turn { role: turn.role, text: text.into() })
    };
    let texts: Vec<Turn<'t>> = turns.iter().filter_map(text_of).collect();
    if texts.is_empty() { turns.into() } else { texts.into() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assistant, prompt_of, route, user};
    use super::super::{RouterModel, Settings};

    #[test]
    fn a_router_model_is_shown_what_the_reference_shows() {
        let router = RouterModel::new(&Settings::reference("Arch-Router"), &[route("drawing", "pictures")]);
        for (turns, expected) in [
            (
                vec![user("draw this\n[image]"), assistant("done"), user("[image]"), user("[file]\nin red")],
                r#"[{"role":"user","content":"draw this"},{"role":"assistant","content":"done"},{"role":"user","content":"in red"}]"#,
            ),
            (
                vec![user("what is [image] in\n\nMarkdown?")],
                r#"[{"role":"user","content":"what is [image] in\n\nMarkdown?"}]"#,
            ),
            (vec![user("[image]")], r#"[{"role":"user","content":"[image]"}]"#),
        ] {
            let prompt = prompt_of(&router, &turns);
            let shown = prompt.split("<conversation>\n").nth(1).and_then(|rest| rest.split('\n').next());
            assert_eq!(shown, Some(expected));
        }
    }
}
