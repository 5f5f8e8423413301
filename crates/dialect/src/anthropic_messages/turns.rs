//! What is this dialect's own about turns.

use super::blocks::BlockWriter;
use crate::chat::{ChatRequest, Content, Message, Part, Role};
use crate::loss::{Loss, Reason};
use crate::turns::{Conversation, Turn, Writer};

/// A conversation of this dialect: as it was, without the thinking that is not the provider's own.
pub(super) fn unchanged<'r>(request: &'r ChatRequest, writer: &mut BlockWriter<'_>) -> Conversation<'r> {
    let mut conversation =
        Conversation { system: request.system.iter().collect(), ..Conversation::default() };
    for message in &request.messages {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::System | Role::Developer => "system",
        };
        let parts: Vec<&Part> = message.parts.iter().filter(|part| writer.keeps(part)).collect();
        if parts.is_empty() && !message.parts.is_empty() {
            continue;
        }
        conversation.turns.push(Turn { role, parts, extra: Some(&message.extra) });
    }
    conversation
}

impl Writer for BlockWriter<'_> {
    const MODEL: &'static str = "assistant";

    fn keeps(&mut self, part: &Part) -> bool {
        Self::keeps(self, part)
    }

    /// The API takes no media back from its model.
    fn keeps_of_model(&mut self, part: &Part) -> bool {
        let name = match part.content {
            Content::Image { .. } => "made_image",
            Content::File { .. } => "file",
            _ => return self.keeps(part),
        };
        self.loss.add(self.site.part(name), Reason::NoPlace);
        false
    }

    fn loss(&mut self) -> &mut Loss {
        self.loss
    }

    fn note(&mut self, message: &Message) {
        if message.name.is_some() {
            self.loss.add(format!("{}name", self.site.message()), Reason::NoPlace);
        }
        message.extra.lose(self.site.message(), self.loss);
    }

    fn note_role(&mut self) {
        self.loss.add(format!("{}role", self.site.message()), Reason::Nearest);
    }
}
