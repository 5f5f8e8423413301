//! The canonical stream: what every wire format's stream is read into and written from.
//!
//! Order: [`StreamEvent::Start`], then blocks and their deltas, [`StreamEvent::Finish`] for each choice, at most one
//! [`StreamEvent::ServiceTier`] and [`StreamEvent::Usage`], [`StreamEvent::End`]. Blocks are numbered from 0 within a
//! choice, in the order in which they start. Several may be open at once: a model may write the arguments of two calls
//! by turns.

use crate::chat::{
    Annotation, Audio, CallKind, ChatResponse, Choice, Content, Extra, FinishReason, Json, Part, Reasoning,
    Seal, Source, ToolCall,
};
use crate::dialect::DialectId;
use crate::error::ApiError;
use crate::usage::Usage;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamEvent {
    /// The answer begins.
    Start {
        /// The dialect that it is read from.
        source: DialectId,
        /// The provider's id; empty if it gave none.
        id: String,
        /// The model that says it answers.
        model: String,
        /// Unix time in seconds. Messages does not say; a caller with a clock may fill it in.
        created: Option<u64>,
        /// What is known of the token counts so far (Messages tells the input's at once).
        usage: Option<Usage>,
        /// What Responses repeats of the request, as in [`ChatResponse::echo`].
        echo: Extra,
    },
    /// A block begins.
    BlockStart {
        /// Which answer.
        choice: u64,
        /// Which block of it.
        block: u64,
        /// What it will hold.
        kind: BlockKind,
        /// The provider's id of the item that it belongs to.
        item: Option<String>,
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
    /// How quick and how dear it was.
    ServiceTier(String),
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
#[derive(Debug, Clone, PartialEq)]
pub enum BlockKind {
    /// Text.
    Text,
    /// Words of refusal.
    Refusal,
    /// Thinking.
    Reasoning,
    /// An image; complete as it stands.
    Image(Source),
    /// Sound. Each piece of it is base64 that can be read alone.
    Audio {
        /// The provider's id of it.
        id: Option<String>,
        /// As in [`Audio::format`].
        format: String,
    },
    /// A call of a tool; the arguments follow.
    ToolCall {
        /// What its result refers to.
        id: String,
        /// Which tool.
        name: String,
        /// What kind of tool.
        kind: CallKind,
    },
    /// A kind that only the dialect of origin knows; complete as it stands.
    Other {
        /// Its type there.
        kind: String,
        /// All of it.
        json: Json,
    },
}

/// What is added to a block.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// To text or to a refusal.
    Text(String),
    /// To thinking.
    Thinking(String),
    /// Another summary of the thinking begins.
    SummaryStart,
    /// To the last summary.
    Summary(String),
    /// To the seal of the block.
    Seal(Seal),
    /// To the JSON text of a call's arguments, or to the text for a custom tool.
    Arguments(String),
    /// To what the text rests on.
    Annotation(Annotation),
    /// To the log probabilities of the text.
    Logprobs(Vec<Json>),
    /// To the bytes of sound, in base64.
    Audio(String),
    /// To what is said in it.
    Transcript(String),
    /// Until when the provider knows its id.
    Expires(u64),
}

/// Turns a stream into the answer that the provider would have given without streaming.
///
/// # Errors
/// The error that the stream carried.
pub fn fold(events: &[StreamEvent]) -> Result<ChatResponse, ApiError> {
    let mut response = ChatResponse::default();
    // Position of a block among the parts of its choice is its number: blocks start in order.
    for event in events {
        match event {
            StreamEvent::Start { source, id, model, created, usage, echo } => {
                response.source = Some(*source);
                id.clone_into(&mut response.id);
                model.clone_into(&mut response.model);
                response.created = *created;
                response.usage = *usage;
                response.echo.clone_from(echo);
            }
            StreamEvent::BlockStart { choice, kind, item, .. } => {
                let mut part = opened(kind);
                part.item.clone_from(item);
                choice_mut(&mut response, *choice).parts.push(part);
            }
            StreamEvent::Delta { choice, block, delta } => {
                let position = usize::try_from(*block).unwrap_or(usize::MAX);
                if let Some(part) = choice_mut(&mut response, *choice).parts.get_mut(position) {
                    extend(part, delta);
                }
            }
            StreamEvent::Finish { choice, reason } => {
                choice_mut(&mut response, *choice).finish = Some(reason.clone());
            }
            StreamEvent::ServiceTier(tier) => response.service_tier = Some(tier.clone()),
            StreamEvent::Usage(usage) => response.usage = Some(*usage),
            StreamEvent::Error(error) => return Err(error.clone()),
            StreamEvent::BlockStop { .. } | StreamEvent::Lost(_) | StreamEvent::End => {}
        }
    }
    for part in response.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Content::ToolCall(call) = &mut part.content
            && call.kind == CallKind::Function
            && call.arguments.trim().is_empty()
        {
            "{}".clone_into(&mut call.arguments);
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

/// The part that a block is at its beginning.
pub(crate) fn opened(kind: &BlockKind) -> Part {
    match kind {
        BlockKind::Text => Content::Text(String::new()),
        BlockKind::Refusal => Content::Refusal(String::new()),
        BlockKind::Reasoning => Content::Reasoning(Reasoning::default()),
        BlockKind::Image(source) => Content::Image { source: source.clone(), detail: None },
        BlockKind::Audio { id, format } => {
            Content::Audio(Audio { id: id.clone(), format: format.clone(), ..Audio::default() })
        }
        BlockKind::ToolCall { id, name, kind } => Content::ToolCall(ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            kind: *kind,
        }),
        BlockKind::Other { kind, json } => Content::Other { kind: kind.clone(), json: json.clone() },
    }
    .into()
}

/// Adds a delta to the part that its block has become so far. A delta of another kind than its block does nothing: the
/// decoders do not make one.
pub(crate) fn extend(part: &mut Part, delta: &Delta) {
    match (&mut part.content, delta) {
        (_, Delta::Seal(more)) => match &mut part.seal {
            Some(seal) => seal.data.push_str(&more.data),
            none => *none = Some(more.clone()),
        },
        (_, Delta::Annotation(annotation)) => part.annotations.push(annotation.clone()),
        (_, Delta::Logprobs(more)) => part.logprobs.extend_from_slice(more),
        (Content::Text(text) | Content::Refusal(text), Delta::Text(more))
        | (Content::Reasoning(Reasoning { text, .. }), Delta::Thinking(more)) => text.push_str(more),
        (Content::Reasoning(reasoning), Delta::SummaryStart) => reasoning.summary.push(String::new()),
        (Content::Reasoning(reasoning), Delta::Summary(more)) => match reasoning.summary.last_mut() {
            Some(summary) => summary.push_str(more),
            None => reasoning.summary.push(more.clone()),
        },
        (Content::ToolCall(call), Delta::Arguments(more)) => call.arguments.push_str(more),
        (Content::Audio(audio), Delta::Audio(more)) => audio.data.push_str(more),
        (Content::Audio(audio), Delta::Transcript(more)) => {
            audio.transcript.get_or_insert_default().push_str(more);
        }
        (Content::Audio(audio), Delta::Expires(at)) => audio.expires_at = Some(*at),
        _ => {}
    }
}
