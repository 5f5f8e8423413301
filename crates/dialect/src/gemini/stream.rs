//! Reading a stream: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.
//!
//! Every event is a small answer; its parts go on with those before. No event ends the stream: it is complete if each
//! candidate has told why it ended, and cut short otherwise. Counts may come behind that, so it is known at the end
//! only.

use super::ids::Ids;
use super::{NAME, Tally, candidate, keys, logprobs, read_finish, response, signature, sources};
use crate::base64;
use crate::chat::{Audio, Content, Extra, FinishReason, Part};
use crate::dialect::{DialectId, Observed};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fault, Fields, Node, Path};
use crate::stream::{Blocks, Meaning};

/// More candidates than this are nonsense, and are not held.
const MAX_CHOICES: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Gemini {
    id: String,
    tally: Tally,
    started: bool,
    blocked: bool,
    choices: Vec<ChoiceState>,
}

#[derive(Debug)]
struct ChoiceState {
    blocks: Blocks,
    ids: Ids,
    open: Option<Open>,
    sound: Option<Sound>,
    has_calls: bool,
    /// The last word for why it ended: some servers say one with every event.
    finish: Option<String>,
    /// The sources that have been told.
    sources: Vec<sources::Found>,
    /// The text of the open block.
    said: sources::Said,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    is_thinking: bool,
    block: u64,
}

/// A block of sound that is open.
#[derive(Debug)]
struct Sound {
    block: u64,
    format: String,
    /// Up to two bytes that wait for a third: what follows a piece is read together with it.
    rest: Vec<u8>,
}

impl Meaning for Gemini {
    const NAME: &'static str = NAME;

    fn event(
        &mut self,
        _name: &[u8],
        data: &[u8],
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        // Not of this dialect, but sent by servers that speak several.
        if data.starts_with(b"[DONE]") {
            return Ok(());
        }
        let fields = keys::renamed(Fields::of_body(data)?);
        observe_event(&fields, &mut self.tally, observed);
        if let Some(error) = observed.error.as_deref() {
            events.push(StreamEvent::Error(error.clone()));
            return Ok(());
        }
        if self.id.is_empty() {
            self.id = fields.text("responseId").unwrap_or_default();
        }
        self.blocked |= response::block_reason(&fields).is_some();
        if fields.get("promptFeedback").is_some_and(|raw| raw.get() != "{}") {
            events.push(StreamEvent::Lost("promptFeedback".to_owned()));
        }
        let Some(candidates) = fields.get("candidates") else { return Ok(()) };
        let path = Path::Key(&Path::Root, "candidates");
        for (position, candidate) in keys::objects(Node::new(candidates, &path))?.into_iter().enumerate() {
            self.start(observed, events);
            self.candidate(&candidate, position, &path.index(position), events)?;
        }
        Ok(())
    }

    fn ended(&mut self, observed: &mut Observed, events: &mut Vec<StreamEvent>) {
        let is_whole = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish.is_some());
        let is_blocked = self.choices.is_empty() && self.blocked;
        if !is_whole && !is_blocked {
            return;
        }
        self.start(observed, events);
        for choice in &mut self.choices {
            choice.end(events);
        }
        if is_blocked {
            events.push(StreamEvent::Finish { choice: 0, reason: FinishReason::ContentFilter });
        }
        if let Some(usage) = observed.usage {
            events.push(StreamEvent::Usage(usage));
        }
        events.push(StreamEvent::End);
        observed.complete = true;
    }
}

impl Gemini {
    fn start(&mut self, observed: &Observed, events: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        events.push(StreamEvent::Start {
            source: DialectId::Gemini,
            id: self.id.clone(),
            model: observed.model.clone().unwrap_or_default(),
            created: None,
            usage: observed.usage,
            echo: Extra::default(),
        });
    }

    fn candidate(
        &mut self,
        fields: &Fields<'_>,
        position: usize,
        path: &Path<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let index = fields.count("index").unwrap_or(position as u64);
        let known = self.choices.iter().position(|choice| choice.blocks.choice == index);
        if known.is_none() {
            if self.choices.len() == MAX_CHOICES {
                return Err(path.fault(format!("more than {MAX_CHOICES} candidates")));
            }
            self.choices.push(ChoiceState {
                blocks: Blocks::of_choice(index),
                ids: Ids::of_answer(&self.id),
                open: None,
                sound: None,
                has_calls: false,
                finish: None,
                sources: Vec::new(),
                said: sources::Said::default(),
            });
        }
        let known = known.unwrap_or(self.choices.len() - 1);
        let Some(state) = self.choices.get_mut(known) else { return Ok(()) };
        let content_path = path.key("content");
        if let Some(raw) = fields.get("content") {
            let content = keys::fields(Node::new(raw, &content_path))?;
            for part in candidate::said(&content, &content_path, &mut state.ids)? {
                state.part(part, events);
            }
        }
        if let Some(result) = fields.object("logprobsResult") {
            let list = logprobs::read(&keys::renamed(result));
            if let (Some(open), false) = (state.text(), list.is_empty()) {
                state.blocks.delta(open, Delta::Logprobs(list), events);
            }
        }
        for found in sources::find(fields) {
            let Some(open) = state.text() else { break };
            // Some servers say them again with every event.
            let is_known = state.sources.iter().any(|known| known.is(&found));
            if is_known || state.sources.len() == sources::MAX_SOURCES {
                continue;
            }
            let range = state.said.range(&found);
            state.blocks.delta(open, Delta::Annotation(found.annotation(range)), events);
            state.sources.push(found);
        }
        for (key, raw) in &fields.0 {
            let is_read = matches!(key.as_ref(), "content" | "index" | "finishReason" | "logprobsResult");
            if !is_read && !Node::new(*raw, path).json().is_void() {
                events.push(StreamEvent::Lost(format!("candidates[].{key}")));
            }
        }
        let word = fields.text("finishReason").filter(|word| !word.is_empty());
        state.finish = word.or_else(|| state.finish.take());
        Ok(())
    }
}

impl ChoiceState {
    fn part(&mut self, part: Part, events: &mut Vec<StreamEvent>) {
        for (name, _) in &part.extra.0 {
            events.push(StreamEvent::Lost(format!("candidates[].content.parts[].{name}")));
        }
        let is_of_next = signature::is_of_next(&part).is_some();
        match part.content {
            Content::Text(text) if text.is_empty() => {}
            Content::Text(text) => {
                let block = self.block(false, None, events);
                self.said.push(&text);
                self.blocks.delta(block, Delta::Text(text), events);
            }
            Content::Reasoning(reasoning) => {
                if is_of_next {
                    // What is hidden does not go on with what is shown.
                    self.close(events);
                }
                let block = self.block(true, part.item, events);
                for summary in reasoning.summary {
                    self.blocks.delta(block, Delta::SummaryStart, events);
                    self.blocks.delta(block, Delta::Summary(summary), events);
                }
                if !reasoning.text.is_empty() {
                    self.blocks.delta(block, Delta::Thinking(reasoning.text), events);
                }
                if let Some(seal) = part.seal {
                    self.blocks.delta(block, Delta::Seal(seal), events);
                    self.close(events);
                }
            }
            Content::ToolCall(call) => {
                self.close(events);
                self.has_calls = true;
                let kind = BlockKind::ToolCall { id: call.id, name: call.name, kind: call.kind };
                let block = self.blocks.open(kind, None, events);
                self.blocks.delta(block, Delta::Arguments(call.arguments), events);
                self.blocks.close(block, events);
            }
            Content::Image { .. } => {
                self.close(events);
                self.blocks.whole(Part { extra: Extra::default(), ..part }, events);
            }
            Content::Audio(audio) => self.sound(audio, events),
            Content::Other { kind, json } => {
                self.close(events);
                let block = self.blocks.open(BlockKind::Other { kind, json }, None, events);
                self.blocks.close(block, events);
            }
            // Not what models answer with.
            _ => events.push(StreamEvent::Lost("candidates[].content.parts[].functionResponse".to_owned())),
        }
    }

    fn sound(&mut self, audio: Audio, events: &mut Vec<StreamEvent>) {
        if self.sound.as_ref().is_none_or(|sound| sound.format != audio.format) {
            self.close(events);
            let kind = BlockKind::Audio { id: None, format: audio.format.clone() };
            let block = self.blocks.open(kind, None, events);
            self.sound = Some(Sound { block, format: audio.format, rest: Vec::new() });
        }
        let Some(sound) = &mut self.sound else { return };
        // Every piece ends as base64 does at the end of all.
        let Some(bytes) = base64::decode(&audio.data) else {
            return events.push(StreamEvent::Lost("candidates[].content.parts[].inlineData".to_owned()));
        };
        sound.rest.extend(bytes);
        let rest = sound.rest.split_off(sound.rest.len() / 3 * 3);
        let whole = std::mem::replace(&mut sound.rest, rest);
        if !whole.is_empty() {
            self.blocks.delta(sound.block, Delta::Audio(base64::encode(&whole)), events);
        }
    }

    /// The block of text that is open.
    fn text(&self) -> Option<u64> {
        self.open.filter(|open| !open.is_thinking).map(|open| open.block)
    }

    /// The block of thinking or of text: the open one, or a new one.
    fn block(&mut self, is_thinking: bool, item: Option<String>, events: &mut Vec<StreamEvent>) -> u64 {
        if let Some(open) = self.open.filter(|open| open.is_thinking == is_thinking) {
            return open.block;
        }
        self.close(events);
        if !is_thinking {
            self.said = sources::Said::default();
        }
        let kind = if is_thinking { BlockKind::Reasoning } else { BlockKind::Text };
        let block = self.blocks.open(kind, item, events);
        self.open = Some(Open { is_thinking, block });
        block
    }

    fn close(&mut self, events: &mut Vec<StreamEvent>) {
        if let Some(open) = self.open.take() {
            self.blocks.close(open.block, events);
        }
        if let Some(sound) = self.sound.take() {
            if !sound.rest.is_empty() {
                self.blocks.delta(sound.block, Delta::Audio(base64::encode(&sound.rest)), events);
            }
            self.blocks.close(sound.block, events);
        }
    }

    fn end(&mut self, events: &mut Vec<StreamEvent>) {
        self.close(events);
        let word = self.finish.take().unwrap_or_default();
        let reason = read_finish(word, self.has_calls);
        events.push(StreamEvent::Finish { choice: self.blocks.choice, reason });
    }
}

/// Takes from one event what can be told of it.
pub(super) fn observe_event(fields: &Fields<'_>, tally: &mut Tally, observed: &mut Observed) {
    let is_error = fields.get("error").is_some() && fields.get("candidates").is_none();
    if is_error && observed.error.is_none() {
        observed.error = Some(Box::new(crate::error_body::read_without_status(fields)));
    }
    if observed.model.is_none() {
        observed.model = fields.text("modelVersion").filter(|model| !model.is_empty());
    }
    if let Some(usage) = fields.object("usageMetadata") {
        tally.add(&keys::renamed(usage));
        observed.usage = Some(tally.usage());
    }
    if let Some(word) = response::block_reason(fields) {
        observed.finish_reason.get_or_insert(word);
    }
    let candidates = fields.get("candidates").and_then(|raw| keys::objects(Node::new(raw, &Path::Root)).ok());
    for (position, candidate) in candidates.iter().flatten().enumerate() {
        let is_first = candidate.count("index").unwrap_or(position as u64) == 0;
        if let Some(word) = candidate.text("finishReason").filter(|word| !word.is_empty())
            && (is_first || observed.finish_reason.is_none())
        {
            observed.finish_reason = Some(word);
        }
    }
}
