//! What was said, where the operator wants it kept: held as bytes while the request runs, read and redacted after it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use waypost_dialect::ClientDialect;
use waypost_dialect::chat::{Content as Said, Part, Role};
use waypost_dialect::event;

use super::redact::redacted;

/// Bytes that may be held for requests that run and records that wait, all together. What is beyond is not kept.
const MOST_HELD: usize = 256 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// What is kept of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Keys, addresses and numbers of persons and accounts are made unreadable.
    pub redact: bool,
    /// Most bytes of a request's text, and of its answer's.
    pub most: usize,
}

/// A request and its answer, in the client's dialect and as bytes.
pub struct Raw {
    keep: Keep,
    request: Bytes,
    answer: Vec<u8>,
    is_stream: bool,
    is_cut: bool,
    held: usize,
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("held", &self.held).finish_non_exhaustive()
    }
}

impl Raw {
    /// Holds a request; `None` if too much is held already.
    #[must_use]
    pub fn hold(keep: Keep, request: &Bytes) -> Option<Box<Self>> {
        let held = request.len() + keep.most;
        if HELD.fetch_add(held, Ordering::Relaxed) + held > MOST_HELD {
            HELD.fetch_sub(held, Ordering::Relaxed);
            return None;
        }
        let request = request.clone();
        Some(Box::new(Self { keep, request, answer: Vec::new(), is_stream: false, is_cut: false, held }))
    }

    /// Takes the whole of a plain answer.
    pub fn answered(&mut self, answer: &[u8]) {
        self.is_stream = false;
        self.answer.clear();
        self.append(answer);
    }

    /// Takes the next bytes of a stream of events.
    pub fn streamed(&mut self, events: &[u8]) {
        self.is_stream = true;
        self.append(events);
    }

    fn append(&mut self, bytes: &[u8]) {
        // The frame around a text takes several times its size.
        let room = (self.keep.most * 8).saturating_sub(self.answer.len());
        self.is_cut |= bytes.len() > room;
        self.answer.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
    }

    /// Reads what was said.
    pub(super) fn read(&self, client: ClientDialect) -> Content {
        let mut room = Room { left: self.keep.most, cut: self.is_cut };
        let codec = client.codec();
        let mut turns = Vec::new();
        if let Ok(request) = codec.decode_request(&self.request) {
            let system = (!request.system.is_empty()).then_some(("system", request.system.as_slice()));
            let messages =
                request.messages.iter().map(|message| (word(message.role), message.parts.as_slice()));
            let said: Vec<_> = system.into_iter().chain(messages).collect();
            // The last turns say most.
            for (role, parts) in said.into_iter().rev() {
                if room.left == 0 {
                    room.cut = true;
                    break;
                }
                turns.push(Turn { role: role.to_owned(), text: self.readable(&text_of(parts), &mut room) });
            }
            turns.reverse();
        }
        room.left = self.keep.most;
        let answer = self.answer(client).map(|text| self.readable(&text, &mut room));
        Content { turns, answer, truncated: room.cut }
    }

    fn answer(&self, client: ClientDialect) -> Option<String> {
        let codec = client.codec();
        let response = if self.is_stream {
            let mut events = Vec::new();
            // One that was cut ends in the middle; what came before it counts.
            let _ = codec.stream_decoder().push(&self.answer, &mut events);
            event::fold(&events).ok()?
        } else {
            codec.decode_response(&self.answer).ok()?
        };
        Some(response.choices.iter().map(|choice| text_of(&choice.parts)).collect::<Vec<_>>().join("\n\n"))
    }

    fn readable(&self, text: &str, room: &mut Room) -> String {
        // A key that the cut goes through would not be seen as one.
        let text = if self.keep.redact { redacted(text) } else { text.into() };
        room.take(&text)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        HELD.fetch_sub(self.held, Ordering::Relaxed);
    }
}

/// What a record holds of it. There is one of it: a copy of the record has none.
#[derive(Debug, Default)]
pub struct Held(pub Option<Box<Raw>>);

impl Clone for Held {
    fn clone(&self) -> Self {
        Self(None)
    }
}

/// How much more is kept.
struct Room {
    left: usize,
    cut: bool,
}

impl Room {
    /// Head and tail of what is too long: the ask stands at one of them.
    fn take(&mut self, text: &str) -> String {
        if text.len() <= self.left {
            self.left -= text.len();
            return text.to_owned();
        }
        let half = self.left / 2;
        (self.left, self.cut) = (0, true);
        let head = text.get(..text.floor_char_boundary(half)).unwrap_or_default();
        let tail = text.get(text.ceil_char_boundary(text.len() - half)..).unwrap_or_default();
        format!("{head}\n[…]\n{tail}")
    }
}

/// What was said, for people and for another decision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The conversation.
    pub turns: Vec<Turn>,
    /// What was answered to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Some of it is missing: it was too long.
    pub truncated: bool,
}

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text; what is no text is named in brackets.
    pub text: String,
}

fn word(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn text_of(parts: &[Part]) -> String {
    let texts: Vec<String> = parts.iter().map(shown).filter(|text| !text.is_empty()).collect();
    texts.join("\n")
}

fn shown(part: &Part) -> String {
    match &part.content {
        Said::Text(text) | Said::Refusal(text) => text.clone(),
        Said::Reasoning(reasoning) if reasoning.shown().is_empty() => String::new(),
        Said::Reasoning(reasoning) => format!("[thinking] {}", reasoning.shown()),
        Said::Image { .. } => "[image]".to_owned(),
        Said::Audio(audio) => format!("[sound] {}", audio.transcript.as_deref().unwrap_or_default()),
        Said::File { name, .. } => format!("[file] {}", name.as_deref().unwrap_or_default()),
        Said::ToolCall(call) => format!("[calls {}] {}", call.name, call.arguments),
        Said::ToolResult { parts, .. } => format!("[tool result] {}", text_of(parts)),
        Said::Other { kind, .. } => format!("[{kind}]"),
    }
}
