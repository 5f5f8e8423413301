//! The canonical stream: what every wire format's stream is read into and written from.
//!
//! Order: [`StreamEvent::Start`], then blocks and their deltas, [`StreamEvent::Finish`] for each choice, at most one
//! [`StreamEvent::Usage`], [`StreamEvent::End`]. Blocks are numbered from 0 within a choice, in the order in which they
//! start. Several may be open at once: a model may write the arguments of two calls by turns.

use crate::chat::{ChatResponse, Choice, Content, FinishReason, Part, ToolCall};
use crate::dialect::DialectId;
use crate::error::ApiError;
use crate::usage::Usage;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// The answer begins.
    Start {
        /// The provider's id; empty if it gave none.
        id: String,
        /// The model that says it answers.
        model: String,
        /// Unix time in seconds. Messages does not say; a caller with a clock may fill it in.
        created: Option<u64>,
        /// What is known of the token counts so far (Messages tells the input's at once).
        usage: Option<Usage>,
    },
    /// A block begins.
    BlockStart {
        /// Which answer.
        choice: u64,
        /// Which block of it.
        block: u64,
        /// What it will hold.
        kind: BlockKind,
    },
    /// A block goes on.
    Delta {
        /// Which answer.
        choice: u64,
        /// Which block of it.
        block: u64,
        /// What is added.
        delta: Delta,
    },
    /// A block is complete.
    BlockStop {
        /// Which answer.
        choice: u64,
        /// Which block of it.
        block: u64,
    },
    /// An answer is complete.
    Finish {
        /// Which answer.
        choice: u64,
        /// Why it ended.
        reason: FinishReason,
    },
    /// Token counts of the whole.
    Usage(Usage),
    /// A field that the stream carried and the canonical form does not, by its name: for [`crate::loss::Loss`].
    Lost(String),
    /// The provider reports an error; nothing more comes.
    Error(ApiError),
    /// The stream is complete.
    End,
}

/// What a block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockKind {
    /// Text.
    Text,
    /// Words of refusal.
    Refusal,
    /// Thinking.
    Thinking,
    /// Thinking that only the provider can read; complete as it stands.
    RedactedThinking(String),
    /// A call of a tool; the arguments follow.
    ToolCall {
        /// What its result refers to.
        id: String,
        /// Which tool.
        name: String,
    },
}

/// What is added to a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// To text or to a refusal.
    Text(String),
    /// To thinking.
    Thinking(String),
    /// To the signature of thinking.
    Signature(String),
    /// To the JSON text of a call's arguments.
    Arguments(String),
}

/// Turns a stream into the answer that the provider would have given without streaming.
///
/// # Errors
/// The error that the stream carried.
pub fn fold(source: DialectId, events: &[StreamEvent]) -> Result<ChatResponse, ApiError> {
    let mut response = ChatResponse { source: Some(source), ..ChatResponse::default() };
    // Position of a block among the parts of its choice is its number: blocks start in order.
    for event in events {
        match event {
            StreamEvent::Start { id, model, created, usage } => {
                id.clone_into(&mut response.id);
                model.clone_into(&mut response.model);
                response.created = *created;
                response.usage = *usage;
            }
            StreamEvent::BlockStart { choice, kind, .. } => {
                choice_mut(&mut response, *choice).parts.push(opened(kind));
            }
            StreamEvent::Delta { choice, block, delta } => {
                let position = usize::try_from(*block).unwrap_or(usize::MAX);
                if let Some(part) = choice_mut(&mut response, *choice).parts.get_mut(position) {
                    extend(&mut part.content, delta);
                }
            }
            StreamEvent::Finish { choice, reason } => {
                choice_mut(&mut response, *choice).finish = Some(reason.clone());
            }
            StreamEvent::Usage(usage) => response.usage = Some(*usage),
            StreamEvent::Error(error) => return Err(error.clone()),
            StreamEvent::BlockStop { .. } | StreamEvent::Lost(_) | StreamEvent::End => {}
        }
    }
    for part in response.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Content::ToolCall(call) = &mut part.content {
            *call = ToolCall::new(
                std::mem::take(&mut call.id),
                std::mem::take(&mut call.name),
                std::mem::take(&mut call.arguments),
            );
        }
    }
    Ok(response)
}

/// The choice of that number; made if it is new.
fn choice_mut(response: &mut ChatResponse, index: u64) -> &mut Choice {
    let known = response.choices.iter().position(|choice| choice.index == index);
    let position = known.unwrap_or_else(|| {
        response.choices.push(Choice { index, ..Choice::default() });
        response.choices.len() - 1
    });
    &mut response.choices[position]
}

fn opened(kind: &BlockKind) -> Part {
    match kind {
        BlockKind::Text => Content::Text(String::new()),
        BlockKind::Refusal => Content::Refusal(String::new()),
        BlockKind::Thinking => Content::Thinking { text: String::new(), signature: None },
        BlockKind::RedactedThinking(data) => Content::RedactedThinking(data.clone()),
        BlockKind::ToolCall { id, name } => {
            Content::ToolCall(ToolCall { id: id.clone(), name: name.clone(), arguments: String::new() })
        }
    }
    .into()
}

fn extend(content: &mut Content, delta: &Delta) {
    match (content, delta) {
        (Content::Text(text) | Content::Refusal(text), Delta::Text(more))
        | (Content::Thinking { text, .. }, Delta::Thinking(more)) => text.push_str(more),
        (Content::Thinking { signature, .. }, Delta::Signature(more)) => {
            signature.get_or_insert_default().push_str(more);
        }
        (Content::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        // A delta of another kind than its block: the decoders do not make one.
        _ => {}
    }
}
