//! How much of a conversation a router model is shown: the newest turns that fit a budget of "tokens".

use std::borrow::Cow;

use super::{Protocol, Role, Trim, Turn};

/// A "token" of the budget: four bytes, no tokenizer.
const BYTES_A_TOKEN: usize = 4;

/// Stands where something was left out.
const LEFT_OUT: &str = "…";

/// Limits, and what becomes of the turn that breaks them.
#[derive(Debug)]
pub(super) struct Budget {
    /// Longest conversation with its template, in "tokens". The routes are not counted: the reference does not.
    tokens: usize,
    /// Most turns.
    turns: usize,
    template_bytes: usize,
    overflow: Overflow,
}

/// What becomes of the turn that breaks the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Overflow {
    /// Kept whole if it is the person's, however long, because it is what they want; else left out.
    Whole,
    /// The person's is kept without its middle; else left out. A turn that is the only one is kept whole.
    Middle,
    /// The same, and one that is the only one loses its middle too.
    MiddleAlways,
}

impl Budget {
    pub(super) fn new(protocol: Protocol, trim: Trim, tokens: usize, template_bytes: usize) -> Self {
        let turns = match protocol {
            Protocol::ArchRouter => usize::MAX,
            Protocol::PlanoOrchestrator => 16,
        };
        let overflow = match (protocol, trim) {
            (_, Trim::Middle) => Overflow::MiddleAlways,
            (Protocol::ArchRouter, Trim::Reference) => Overflow::Whole,
            (Protocol::PlanoOrchestrator, Trim::Reference) => Overflow::Middle,
        };
        Self { tokens, turns, template_bytes, overflow }
    }

    /// The turns to show, oldest first: an unbroken end of the conversation, never empty if there was one.
    pub(super) fn apply<'s>(&self, turns: &'s [Turn<'_>]) -> Vec<(Role, Cow<'s, str>)> {
        let mut spent = self.template_bytes / BYTES_A_TOKEN;
        let mut shown: Vec<(Role, Cow<'s, str>)> = Vec::new();
        for turn in turns.iter().rev().take(self.turns) {
            let text: &str = &turn.text;
            let cost = text.len() / BYTES_A_TOKEN;
            if spent + cost > self.tokens {
                let left = self.tokens.saturating_sub(spent);
                if turn.role == Role::User {
                    match self.overflow {
                        Overflow::Whole => shown.push((turn.role, text.into())),
                        Overflow::Middle | Overflow::MiddleAlways if left > 0 => {
                            shown.push((turn.role, without_middle(text, left * BYTES_A_TOKEN)));
                        }
                        Overflow::Middle | Overflow::MiddleAlways => {}
                    }
                }
                break;
            }
            spent += cost;
            shown.push((turn.role, text.into()));
        }
        if shown.is_empty()
            && let Some(last) = turns.last()
        {
            let left = self.tokens.saturating_sub(self.template_bytes / BYTES_A_TOKEN) * BYTES_A_TOKEN;
            shown.push((
                last.role,
                match self.overflow {
                    Overflow::Whole | Overflow::Middle => Cow::Borrowed(&*last.text),
                    Overflow::MiddleAlways => without_middle(&last.text, left),
                },
            ));
        }
        shown.reverse();
        shown
    }
}

/// At most `most` bytes of a text: three fifths from its beginning, where a task is framed, the rest from its end,
/// where the ask stands behind what was pasted.
fn without_middle(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text.into();
    }
    let Some(room) = most.checked_sub(LEFT_OUT.len()).filter(|room| *room > 0) else {
        return text.get(..text.floor_char_boundary(most)).unwrap_or_default().into();
    };
    let head = text.floor_char_boundary(room * 3 / 5);
    let tail = text.ceil_char_boundary(text.len() - (room - head));
    let part = |range: Option<&str>| range.unwrap_or_default().to_owned();
    (part(text.get(..head)) + LEFT_OUT + text.get(tail..).unwrap_or_default()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assistant, user};
    use super::*;

    const TEMPLATE: usize = 856;

    fn arch(trim: Trim) -> Budget {
        Budget::new(Protocol::ArchRouter, trim, Protocol::ArchRouter.budget(), TEMPLATE)
    }

    fn orchestrator(tokens: usize) -> Budget {
        Budget::new(Protocol::PlanoOrchestrator, Trim::Reference, tokens, 846)
    }

    /// Each turn is a letter for its author and its length in tokens; the kept ones are counted from the end.
    #[test]
    fn the_newest_turns_are_kept_within_the_budget() {
        const LEFT: usize = 2048 - 214;
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
            (vec![('u', 1), ('u', 20_000)], 1),
            // Nothing fits: the last turn is kept whoever spoke.
            (vec![('u', 1), ('a', 20_000)], 1),
        ] {
            let texts: Vec<(char, String)> =
                turns.iter().map(|(author, tokens)| (*author, "word".repeat(*tokens))).collect();
            let conversation: Vec<Turn<'_>> = texts
                .iter()
                .map(|(author, text)| if *author == 'u' { user(text) } else { assistant(text) })
                .collect();
            let shown = arch(Trim::Reference).apply(&conversation);
            assert_eq!(shown.len(), kept, "{turns:?}");
            assert!(shown.iter().all(|(_, text)| !text.contains(LEFT_OUT)), "{turns:?}");
        }
    }

    #[test]
    fn a_token_is_four_bytes_of_utf_8_rounded_down() {
        let left = 2048 - TEMPLATE / BYTES_A_TOKEN;
        let text = "ü".repeat(left * 2) + "xyz";
        let budget = arch(Trim::Reference);
        assert_eq!(budget.apply(&[assistant("short"), assistant(&text)]).len(), 1);
        assert_eq!(budget.apply(&[assistant("xyz"), assistant(&text)]).len(), 2);
    }

    /// The case of the reference's own test, with its budget of 230.
    #[test]
    fn the_orchestrator_is_shown_both_ends_of_a_turn_that_is_too_long() {
        let conversation = [
            user("hi"),
            assistant("Hello! How can I assist you today?"),
            user("given the image In style of Andy Warhol"),
            assistant("ok here is the image"),
            user("pls give me another image about Bart and Lisa"),
        ];
        let budget = Budget { template_bytes: ORCHESTRATOR_TEMPLATE, ..orchestrator(230) };
        let shown: Vec<String> =
            budget.apply(&conversation).into_iter().map(|(_, text)| text.into_owned()).collect();
        assert_eq!(
            shown,
            ["given…rhol", "ok here is the image", "pls give me another image about Bart and Lisa"]
        );
    }

    /// Bytes of the orchestrator's template, counted from its text.
    const ORCHESTRATOR_TEMPLATE: usize = 846;

    #[test]
    fn the_orchestrator_is_shown_sixteen_turns() {
        let texts: Vec<String> = (0..40).map(|turn| format!("turn {turn}")).collect();
        let conversation: Vec<Turn<'_>> = texts.iter().map(|text| user(text)).collect();
        let shown = orchestrator(8192).apply(&conversation);
        assert_eq!(shown.len(), 16);
        assert_eq!(shown.first().unwrap().1, "turn 24");
        assert_eq!(arch(Trim::Reference).apply(&conversation).len(), 40);
    }

    #[test]
    fn a_middle_is_left_out_between_characters() {
        for (text, most, expected) in [
            ("short", 5, "short"),
            ("0123456789abcdef", 13, "012345…cdef"),
            ("0123456789abcdef", 3, "012"),
            ("0123456789abcdef", 4, "…f"),
            ("ééééééééé", 13, "ééé…éé"),
            ("éé", 1, ""),
        ] {
            assert_eq!(without_middle(text, most), expected, "{text} {most}");
        }
    }

    proptest! {
        /// What is kept is always an unbroken end of the conversation, never empty if there was one; and with the
        /// middle left out, never more than the budget.
        #[test]
        fn something_recent_is_kept(lengths in proptest::collection::vec((any::<bool>(), 0usize..9000), 0..12)) {
            let texts: Vec<(bool, String)> =
                lengths.into_iter().map(|(mine, length)| (mine, "é".repeat(length))).collect();
            let turns: Vec<Turn<'_>> =
                texts.iter().map(|(mine, text)| if *mine { user(text) } else { assistant(text) }).collect();
            let kept = arch(Trim::Reference).apply(&turns);
            let end = &turns[turns.len() - kept.len()..];
            prop_assert!(kept.iter().zip(end).all(|((role, text), turn)| *role == turn.role && *text == turn.text));
            prop_assert_eq!(kept.is_empty(), turns.is_empty());

            let trimmed = arch(Trim::Middle).apply(&turns);
            prop_assert_eq!(trimmed.is_empty(), turns.is_empty());
            let bytes: usize = trimmed.iter().map(|(_, text)| text.len()).sum();
            // Each turn's cost is rounded down to whole tokens.
            prop_assert!(bytes <= (2048 - TEMPLATE / BYTES_A_TOKEN) * BYTES_A_TOKEN + trimmed.len() * BYTES_A_TOKEN);
        }

        #[test]
        fn ends_are_kept(text in "[aé€😀]{0,60}", most in 0usize..80) {
            let short = without_middle(&text, most);
            prop_assert!(short.len() <= most.max(text.len().min(most)));
            if let Some((head, tail)) = short.split_once(LEFT_OUT) {
                prop_assert!(text.starts_with(head) && text.ends_with(tail));
            } else {
                prop_assert!(text.starts_with(&*short));
            }
        }
    }
}
