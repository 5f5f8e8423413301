//! From a conversation of any shape to the one that Messages takes: a system prompt in front, and turns of user and
//! assistant by turns.

use super::blocks::BlockWriter;
use crate::chat::{ChatRequest, Extra, Message, Part, Role};
use crate::loss::Reason;

/// The conversation as Messages takes it.
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

/// A conversation of another dialect. Leading instructions become the system prompt; later ones become text of the
/// user's turn at their place, where every model reads them (the role `system` among messages is for new models
/// only). Consecutive messages of one role are joined, and results of tools come first in their turn, as the API
/// demands.
pub(super) fn arranged<'r>(request: &'r ChatRequest, writer: &mut BlockWriter<'_>) -> Conversation<'r> {
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
            Role::Assistant => conversation.join("assistant", kept),
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

fn note(message: &Message, writer: &mut BlockWriter<'_>) {
    if message.name.is_some() {
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

    /// The model is in the middle of using tools and its turn does not begin with thinking that it can recognise. The
    /// API refuses to think then.
    pub(super) fn is_amid_unsigned_tool_use(&self) -> bool {
        self.turns
            .iter()
            .rev()
            .take_while(|turn| turn.role == "assistant" || turn.parts.iter().any(|part| part.is_result()))
            .filter(|turn| turn.role == "assistant")
            .any(|turn| {
                let calls = turn.parts.iter().any(|part| part.is_call());
                calls && !turn.parts.first().is_some_and(|part| part.is_reasoning())
            })
    }
}
