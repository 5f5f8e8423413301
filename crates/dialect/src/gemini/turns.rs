//! What is this dialect's own about turns.

use super::parts_out::PartWriter;
use crate::chat::{ChatRequest, Message, Part, Role};
use crate::loss::{Loss, Reason};
use crate::turns::{Conversation, Turn, Writer};

/// A conversation of this dialect: as it was, without the thinking that is not the provider's own.
pub(super) fn unchanged<'r>(request: &'r ChatRequest, writer: &mut PartWriter<'_, '_>) -> Conversation<'r> {
    let mut conversation =
        Conversation { system: request.system.iter().collect(), ..Conversation::default() };
    for message in &request.messages {
        let role = if message.role == Role::Assistant { "model" } else { "user" };
        let parts: Vec<&Part> = message.parts.iter().filter(|part| writer.keeps(part)).collect();
        if !parts.is_empty() || message.parts.is_empty() {
            conversation.turns.push(Turn { role, parts, extra: Some(&message.extra) });
        }
    }
    conversation
}

impl Writer for PartWriter<'_, '_> {
    const MODEL: &'static str = "model";

    fn keeps(&mut self, part: &Part) -> bool {
        Self::keeps(self, part)
    }

    fn loss(&mut self) -> &mut Loss {
        self.loss
    }

    fn note(&mut self, message: &Message) {
        // The name of a tool stands with its result.
        if message.name.is_some() && !message.parts.iter().any(Part::is_result) {
            self.loss.add(format!("{}name", self.site.message()), Reason::NoPlace);
        }
        message.extra.lose(self.site.message(), self.loss);
    }

    fn note_role(&mut self) {
        self.loss.add(format!("{}role", self.site.message()), Reason::Nearest);
    }
}

impl Conversation<'_> {
    /// How many turns lie before the last thing that the person said: what the model did since then is what it is in
    /// the middle of.
    pub(super) fn settled(&self) -> usize {
        // What harnesses say beside results does not begin anything.
        let is_said =
            |turn: &Turn<'_>| turn.role == "user" && !turn.parts.iter().any(|part| part.is_result());
        self.turns.iter().rposition(is_said).unwrap_or(0)
    }
}
