//! From a conversation of any shape to the one that the API takes: an instruction in front, and turns of user and model
//! by turns. All calls of one answer stand in one turn, and all their results in the next.

use super::parts_out::PartWriter;
use crate::chat::{ChatRequest, Extra, Message, Part, Role};
use crate::loss::Reason;

/// The conversation as the API takes it.
#[derive(Debug, Default)]
pub(super) struct Conversation<'r> {
    pub(super) system: Vec<&'r Part>,
    pub(super) turns: Vec<Turn<'r>>,
}

/// One turn.
#[derive(Debug)]
pub(super) struct Turn<'r> {
    pub(super) role: &'static str,
    pub(super) parts: Vec<&'r Part>,
    /// Of a conversation that was in this dialect before.
    pub(super) extra: Option<&'r Extra>,
}

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

/// A conversation of another dialect. Leading instructions become the system instruction; later ones become text of the
/// user's turn at their place.
pub(super) fn arranged<'r>(request: &'r ChatRequest, writer: &mut PartWriter<'_, '_>) -> Conversation<'r> {
    let mut conversation = Conversation::default();
    conversation.system.extend(request.system.iter().filter(|part| writer.keeps(part)));
    for message in &request.messages {
        note(message, writer);
        let kept: Vec<&Part> = message.parts.iter().filter(|part| writer.keeps(part)).collect();
        match message.role {
            Role::System | Role::Developer if conversation.turns.is_empty() => {
                conversation.system.extend(kept);
            }
            Role::System | Role::Developer => {
                writer.loss.add(format!("{}role", writer.site.message()), Reason::Nearest);
                conversation.join("user", kept);
            }
            Role::User => conversation.join("user", kept),
            Role::Assistant => conversation.join("model", kept),
        }
    }
    if conversation.turns.is_empty() && !conversation.system.is_empty() {
        // Instructions alone are a legal conversation elsewhere; here somebody has to speak.
        writer.loss.add(format!("{}role", writer.site.message()), Reason::Nearest);
        let parts = std::mem::take(&mut conversation.system);
        conversation.join("user", parts);
    }
    for turn in &mut conversation.turns {
        turn.parts.sort_by_key(|part| !part.is_result());
    }
    conversation
}

fn note(message: &Message, writer: &mut PartWriter<'_, '_>) {
    // The name of a tool stands with its result.
    if message.name.is_some() && !message.parts.iter().any(Part::is_result) {
        writer.loss.add(format!("{}name", writer.site.message()), Reason::NoPlace);
    }
    message.extra.lose(writer.site.message(), writer.loss);
}

impl<'r> Conversation<'r> {
    fn join(&mut self, role: &'static str, parts: Vec<&'r Part>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.role == role => turn.parts.extend(parts),
            _ => self.turns.push(Turn { role, parts, extra: None }),
        }
    }

    /// How many turns lie before the last thing that the person said: what the model did since then is what it is in
    /// the middle of.
    pub(super) fn settled(&self) -> usize {
        // What harnesses say beside results does not begin anything.
        let is_said =
            |turn: &Turn<'_>| turn.role == "user" && !turn.parts.iter().any(|part| part.is_result());
        self.turns.iter().rposition(is_said).unwrap_or(0)
    }
}
