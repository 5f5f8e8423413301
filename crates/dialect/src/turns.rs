//! From a conversation of any shape to the one that some APIs take: instructions in front, and turns of the person and
//! the model by turns. All calls of one answer stand in one turn, and all their results in the next.

use crate::chat::{ChatRequest, Extra, Message, Part, Role};
use crate::error::RequestError;
use crate::loss::Loss;
use crate::unsaid;

/// The conversation as such an API takes it.
#[derive(Debug, Default)]
pub(crate) struct Conversation<'r> {
    pub(crate) system: Vec<&'r Part>,
    pub(crate) turns: Vec<Turn<'r>>,
}

/// One turn.
#[derive(Debug)]
pub(crate) struct Turn<'r> {
    pub(crate) role: &'static str,
    pub(crate) parts: Vec<&'r Part>,
    /// Of a conversation that was in this dialect before.
    pub(crate) extra: Option<&'r Extra>,
}

/// Who writes the parts afterwards.
pub(crate) trait Writer {
    /// The API's word for the model's role.
    const MODEL: &'static str;

    /// Whether a part is written at all; names it as lost if not.
    fn keeps(&mut self, part: &Part) -> bool;

    /// The same of what the model has said.
    fn keeps_of_model(&mut self, part: &Part) -> bool {
        self.keeps(part)
    }

    /// Where losses are named.
    fn loss(&mut self) -> &mut Loss;

    /// Names what the API has no place for of a message itself.
    fn note(&mut self, message: &Message);

    /// Names that instructions became words of the person.
    fn note_role(&mut self);
}

/// A conversation of another dialect. Leading instructions stay in front; later ones become text of the person's turn at
/// their place, where every model reads them. Consecutive messages of one role are joined, and results of tools come
/// first in their turn.
pub(crate) fn arranged<'r, W: Writer>(request: &'r ChatRequest, writer: &mut W) -> Conversation<'r> {
    let mut conversation = Conversation::default();
    conversation.system.extend(request.system.iter().filter(|part| writer.keeps(part)));
    for message in &request.messages {
        writer.note(message);
        let of_model = message.role == Role::Assistant;
        let keeps = |part: &&Part| if of_model { writer.keeps_of_model(part) } else { writer.keeps(part) };
        let kept: Vec<&Part> = message.parts.iter().filter(keeps).collect();
        match message.role {
            Role::System | Role::Developer if conversation.turns.is_empty() => {
                conversation.system.extend(kept);
            }
            Role::System | Role::Developer => {
                writer.note_role();
                conversation.join("user", kept);
            }
            Role::User => conversation.join("user", kept),
            Role::Assistant => conversation.join(W::MODEL, kept),
        }
    }
    if conversation.turns.is_empty() && !conversation.system.is_empty() {
        // Instructions alone are a legal conversation elsewhere; here somebody has to speak.
        writer.note_role();
        let parts = std::mem::take(&mut conversation.system);
        conversation.join("user", parts);
    }
    for turn in &mut conversation.turns {
        turn.parts.sort_by_key(|part| !part.is_result());
    }
    conversation
}

/// Why a conversation is refused of which this writer keeps nothing.
pub(crate) fn refusal<W: Writer>(request: &ChatRequest, writer: &mut W) -> RequestError {
    let named = std::mem::take(writer.loss());
    let error = unsaid::refusal(request, |message, part| {
        writer.note(message);
        // What is the matter with the message itself is named already.
        *writer.loss() = Loss::default();
        let keeps = if message.role == Role::Assistant { W::keeps_of_model } else { W::keeps };
        let is_kept = keeps(writer, part);
        let why = writer.loss().entries().next().map(|(path, reason)| (path.to_owned(), reason));
        why.filter(|_| !is_kept)
    });
    *writer.loss() = named;
    error
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
}
