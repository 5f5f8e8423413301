//! Reading a stream: <https://platform.openai.com/docs/api-reference/chat-streaming>.
//!
//! The wire has no blocks: a block begins where another kind of delta comes. A call's block ends where its arguments
//! are a whole JSON value and something else comes; a call that is still unfinished then stays open, because some
//! models write several calls by turns.
//!
//! A stream is complete with `[DONE]`, if there was a choice before it. Some servers leave it out, so one that ends cleanly after every choice has
//! given its finish reason counts as complete too.

use super::calls::Calls;
use super::details::{self, EntryKey};
use super::message::{logprob_list, read_annotations, read_images};
use super::usage::read_usage;
use super::{NAME, read_finish};
use crate::chat::{Extra, FinishReason, is_void};
use crate::dialect::{DialectId, Observed};
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fault, Fields, Node, Path};
use crate::stream::{Blocks, Meaning};

/// More choices than this are nonsense, and are not held.
const MAX_CHOICES: usize = 128;
/// Other fields of chunks that are named as lost; a name is named once.
const MAX_LOST: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Chat {
    id: String,
    created: Option<u64>,
    service_tier: Option<String>,
    started: bool,
    choices: Vec<ChoiceState>,
    lost: Vec<String>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    blocks: Blocks,
    /// The block of text, refusal, thinking or sound that is open.
    open: Option<Open>,
    calls: Calls,
    finished: bool,
}

#[derive(Debug)]
struct Open {
    kind: OpenKind,
    block: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum OpenKind {
    Text,
    Refusal,
    Audio,
    /// Thinking, by what its entries of `reasoning_details` say, and whether its seal has come.
    Reasoning(EntryKey, bool),
}

impl Meaning for Chat {
    const NAME: &'static str = NAME;

    fn event(
        &mut self,
        _name: &[u8],
        data: &[u8],
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        if data.starts_with(b"[DONE]") {
            if self.choices.is_empty() {
                return Err(Path::Root.fault("the end of an answer that has not begun: no `choices` came"));
            }
            self.end(observed, events);
            return Ok(());
        }
        let fields = Fields::of_body(data)?;
        if let Some(error) = crate::error_body::reported(&fields) {
            observed.error = Some(Box::new(error.clone()));
            events.push(StreamEvent::Error(error));
            return Ok(());
        }
        if !self.started {
            self.id =
                fields.text("id").filter(|id| !id.is_empty()).unwrap_or_else(|| std::mem::take(&mut self.id));
            let model = fields.text("model").filter(|model| !model.is_empty());
            observed.model = model.or_else(|| observed.model.take());
            self.created = fields.count("created").or(self.created);
        }
        if let Some(tier) = fields.text("service_tier") {
            self.service_tier = Some(tier);
        }
        if let Some(usage) = fields.get("usage").and_then(read_usage) {
            observed.usage = Some(usage);
        }
        self.others(&fields, events);
        let Some(choices) = fields.get("choices") else { return Ok(()) };
        let path = Path::Key(&Path::Root, "choices");
        for (position, choice) in Node::new(choices, &path).objects()?.into_iter().enumerate() {
            self.start(observed, events);
            self.choice(&choice, &path.index(position), observed, events)?;
        }
        Ok(())
    }

    fn ended(&mut self, observed: &mut Observed, events: &mut Vec<StreamEvent>) {
        if !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finished) {
            self.end(observed, events);
        }
    }
}

impl Chat {
    fn start(&mut self, observed: &Observed, events: &mut Vec<StreamEvent>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        events.push(StreamEvent::Start {
            source: DialectId::OpenAiChat,
            id: std::mem::take(&mut self.id),
            model: observed.model.clone().unwrap_or_default(),
            created: self.created,
            usage: None,
            echo: Extra::default(),
        });
    }

    /// Names what is told beside the answer, as of a plain one. `obfuscation` is padding, and means nothing.
    fn others(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) {
        for (key, raw) in &fields.0 {
            match key.as_ref() {
                "id" | "object" | "created" | "model" | "choices" | "usage" | "service_tier"
                | "obfuscation" => {}
                key => {
                    let is_new = self.lost.len() < MAX_LOST && !self.lost.iter().any(|lost| lost == key);
                    if is_new && !is_void(raw.get()) {
                        self.lost.push(key.to_owned());
                        events.push(StreamEvent::Lost(key.to_owned()));
                    }
                }
            }
        }
    }

    fn choice(
        &mut self,
        fields: &Fields<'_>,
        path: &Path<'_>,
        observed: &mut Observed,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let index = fields.count("index").unwrap_or(0);
        let known = self.choices.iter().position(|choice| choice.blocks.choice == index);
        if known.is_none() {
            if self.choices.len() == MAX_CHOICES {
                return Err(path.fault(format!("more than {MAX_CHOICES} choices")));
            }
            self.choices.push(ChoiceState { blocks: Blocks::of_choice(index), ..ChoiceState::default() });
        }
        let position = known.unwrap_or(self.choices.len() - 1);
        let Some(state) = self.choices.get_mut(position) else { return Ok(()) };
        for (key, raw) in &fields.0 {
            let path = path.key(key);
            let node = Node::new(*raw, &path);
            match key.as_ref() {
                "index" | "finish_reason" | "logprobs" => {}
                "delta" => {
                    if let Some(delta) = node.optional(Node::fields)? {
                        state.delta(&delta, &path, events)?;
                    }
                }
                _ if node.json().is_void() => {}
                _ => events.push(StreamEvent::Lost(format!("choices[].{key}"))),
            }
        }
        if let Some(logprobs) = fields.object("logprobs") {
            state.logprobs(&logprobs, events);
        }
        if let Some(word) = fields.text("finish_reason").filter(|word| !word.is_empty()) {
            state.finish(&word, events);
            // As of a plain answer, the first choice's.
            observed.finish_reason.get_or_insert(word);
        }
        Ok(())
    }

    fn end(&mut self, observed: &mut Observed, events: &mut Vec<StreamEvent>) {
        self.start(observed, events);
        for choice in &mut self.choices {
            choice.close_all(events);
        }
        if let Some(tier) = self.service_tier.take() {
            events.push(StreamEvent::ServiceTier(tier));
        }
        if let Some(usage) = observed.usage {
            events.push(StreamEvent::Usage(usage));
        }
        events.push(StreamEvent::End);
        observed.complete = true;
    }
}

impl ChoiceState {
    fn delta(
        &mut self,
        fields: &Fields<'_>,
        path: &Path<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        // A chunk may carry several kinds at once; thinking comes before what it led to, and calls come last.
        self.thinking(fields, path, events)?;
        for (key, raw) in &fields.0 {
            let path = path.key(key);
            let node = Node::new(*raw, &path);
            match key.as_ref() {
                "content" => self.text(&OpenKind::Text, node.optional(content)?, events),
                "refusal" => self.text(&OpenKind::Refusal, node.optional(Node::string)?, events),
                "audio" => self.audio(&node.optional(Node::fields)?.unwrap_or_default(), events),
                "annotations" => {
                    for annotation in node.optional(read_annotations)?.unwrap_or_default() {
                        let block = self.block_of(&OpenKind::Text, events);
                        self.blocks.delta(block, Delta::Annotation(annotation), events);
                    }
                }
                "images" => match read_images(node, &path) {
                    Some(images) => {
                        if !images.is_empty() {
                            self.close_open(events);
                        }
                        images.into_iter().for_each(|image| self.blocks.whole(image, events));
                    }
                    None => events.push(StreamEvent::Lost("choices[].delta.images".to_owned())),
                },
                "role" | "tool_calls" | "reasoning_content" | "reasoning" | "reasoning_details" => {}
                _ if node.json().is_void() => {}
                _ => events.push(StreamEvent::Lost(format!("choices[].delta.{key}"))),
            }
        }
        if let Some(raw) = fields.get("tool_calls") {
            let path = path.key("tool_calls");
            for (position, call) in Node::new(raw, &path).objects()?.into_iter().enumerate() {
                if !self.calls.knows(&call) {
                    self.close_open(events);
                    self.calls.close(&self.blocks, false, events);
                }
                self.calls.take(&call, &path.index(position), &mut self.blocks, events)?;
            }
        }
        Ok(())
    }

    /// Entries of `reasoning_details` say all that the plain text says, and more.
    fn thinking(
        &mut self,
        fields: &Fields<'_>,
        path: &Path<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let mut is_said = false;
        if let Some(raw) = fields.get("reasoning_details") {
            let path = path.key("reasoning_details");
            for fields in Node::new(raw, &path).objects()? {
                let Some(entry) = details::entry(&fields) else { continue };
                is_said |= !entry.text.is_empty() || !entry.summary.is_empty();
                self.entry(entry, events);
            }
        }
        let plain = fields.text("reasoning_content").or_else(|| fields.text("reasoning"));
        if let Some(text) = plain.filter(|text| !text.is_empty() && !is_said) {
            let block = match &self.open {
                Some(Open { kind: OpenKind::Reasoning(..), block }) => *block,
                _ => self.open(OpenKind::Reasoning(EntryKey::default(), false), None, events),
            };
            self.blocks.delta(block, Delta::Thinking(text), events);
        }
        Ok(())
    }

    fn entry(&mut self, entry: details::Entry, events: &mut Vec<StreamEvent>) {
        let goes_on = match &self.open {
            Some(Open { kind: OpenKind::Reasoning(key, is_sealed), block }) => {
                key.goes_on(&entry, *is_sealed).then_some(*block)
            }
            _ => None,
        };
        let block = goes_on.unwrap_or_else(|| {
            let item = entry.key.item();
            self.open(OpenKind::Reasoning(entry.key.clone(), false), item, events)
        });
        if !entry.summary.is_empty() {
            self.blocks.delta(block, Delta::Summary(entry.summary), events);
        }
        if !entry.text.is_empty() {
            self.blocks.delta(block, Delta::Thinking(entry.text), events);
        }
        if let Some(seal) = entry.seal {
            self.blocks.delta(block, Delta::Seal(seal), events);
            if let Some(Open { kind: OpenKind::Reasoning(_, is_sealed), .. }) = &mut self.open {
                *is_sealed = true;
            }
        }
    }

    fn text(&mut self, kind: &OpenKind, text: Option<String>, events: &mut Vec<StreamEvent>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let block = self.block_of(kind, events);
        self.blocks.delta(block, Delta::Text(text), events);
    }

    fn audio(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) {
        if fields.0.is_empty() {
            return;
        }
        let block = match &self.open {
            Some(Open { kind: OpenKind::Audio, block }) => *block,
            _ => {
                let kind = BlockKind::Audio { id: fields.text("id"), format: String::new() };
                self.close_open(events);
                let block = self.blocks.open(kind, None, events);
                self.open = Some(Open { kind: OpenKind::Audio, block });
                block
            }
        };
        let data = fields.text("data").map(Delta::Audio);
        let transcript = fields.text("transcript").map(Delta::Transcript);
        let expires = fields.count("expires_at").map(Delta::Expires);
        for delta in [data, transcript, expires].into_iter().flatten() {
            self.blocks.delta(block, delta, events);
        }
    }

    fn logprobs(&mut self, fields: &Fields<'_>, events: &mut Vec<StreamEvent>) {
        for (kind, name) in [(OpenKind::Text, "content"), (OpenKind::Refusal, "refusal")] {
            let list = logprob_list(fields, name);
            if !list.is_empty() {
                let block = self.block_of(&kind, events);
                self.blocks.delta(block, Delta::Logprobs(list), events);
            }
        }
    }

    /// The block of that kind: the open one, or a new one.
    fn block_of(&mut self, kind: &OpenKind, events: &mut Vec<StreamEvent>) -> u64 {
        match &self.open {
            Some(open) if open.kind == *kind => open.block,
            _ => self.open(kind.clone(), None, events),
        }
    }

    fn open(&mut self, kind: OpenKind, item: Option<String>, events: &mut Vec<StreamEvent>) -> u64 {
        self.close_open(events);
        self.calls.close(&self.blocks, false, events);
        let on_wire = match &kind {
            OpenKind::Text => BlockKind::Text,
            OpenKind::Refusal => BlockKind::Refusal,
            OpenKind::Audio => BlockKind::Audio { id: None, format: String::new() },
            OpenKind::Reasoning(..) => BlockKind::Reasoning,
        };
        let block = self.blocks.open(on_wire, item, events);
        self.open = Some(Open { kind, block });
        block
    }

    fn close_open(&mut self, events: &mut Vec<StreamEvent>) {
        if let Some(open) = self.open.take() {
            self.blocks.close(open.block, events);
        }
    }

    fn close_all(&mut self, events: &mut Vec<StreamEvent>) {
        self.close_open(events);
        self.calls.begin_nameless(&mut self.blocks, events);
        self.calls.close(&self.blocks, true, events);
    }

    fn finish(&mut self, word: &str, events: &mut Vec<StreamEvent>) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.close_all(events);
        let reason = match read_finish(word.to_owned()) {
            // As in a plain answer: the calls are what counts.
            FinishReason::Stop if !self.calls.is_empty() => FinishReason::ToolCalls,
            reason => reason,
        };
        events.push(StreamEvent::Finish { choice: self.blocks.choice, reason });
    }
}

/// `content` of a delta: text, or from a few servers a list of parts.
fn content(node: Node<'_, '_>) -> Result<String, Fault> {
    if node.first_byte() == b'"' {
        return node.string();
    }
    Ok(node.objects()?.iter().filter_map(|part| part.text("text")).collect())
}
