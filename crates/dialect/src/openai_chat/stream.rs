//! Reading a stream: <https://platform.openai.com/docs/api-reference/chat-streaming>.
//!
//! The wire has no blocks: a block begins where another kind of delta comes. A call's block ends where its arguments
//! are a whole JSON value and something else comes; a call that is still unfinished then stays open, because some
//! models write several calls by turns.
//!
//! A stream is complete with `[DONE]`. Some servers leave it out, so one that ends cleanly after every choice has
//! given its finish reason counts as complete too.

use super::{NAME, read_finish, read_usage};
use crate::chat::FinishReason;
use crate::dialect::{Observed, StreamDecoder};
use crate::error::ResponseError;
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fault, Fields, Node, Path};
use crate::sse::{Found, MAX_EVENT_BYTES, Reader};
use crate::usage::Usage;

/// More choices or calls than this are nonsense, and are not held.
const MAX_CHOICES: usize = 128;
const MAX_CALLS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Decoder {
    reader: Reader,
    state: State,
}

impl StreamDecoder for Decoder {
    fn push(&mut self, bytes: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), ResponseError> {
        let Self { reader, state } = self;
        reader.push(bytes, &mut |found| state.take(&found, events));
        state.failed.clone().map_or(Ok(()), Err)
    }

    fn observed(&self) -> &Observed {
        &self.state.observed
    }

    fn finish(&mut self, events: &mut Vec<StreamEvent>) -> Result<(), ResponseError> {
        let Self { reader, state } = self;
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        reader.finish(&mut |found| state.take(&found, events));
        if state.failed.is_some() {
            // Half an event: the connection was cut in the middle of it.
            return Err(ResponseError::Truncated);
        }
        if state.observed.complete || state.observed.error {
            return Ok(());
        }
        if state.choices.is_empty() || state.choices.iter().any(|choice| !choice.finished) {
            return Err(ResponseError::Truncated);
        }
        state.end(events);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    observed: Observed,
    failed: Option<ResponseError>,
    id: String,
    created: Option<u64>,
    started: bool,
    choices: Vec<ChoiceState>,
}

#[derive(Debug, Default)]
struct ChoiceState {
    index: u64,
    blocks: u64,
    /// The block of text, refusal or thinking that is open.
    open: Option<(BlockKind, u64)>,
    calls: Vec<Call>,
    finished: bool,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    /// Known once the call has a name.
    block: Option<u64>,
    /// Arguments that came before the name.
    early: String,
    scan: JsonScan,
    closed: bool,
}

impl State {
    fn take(&mut self, found: &Found<'_>, events: &mut Vec<StreamEvent>) {
        if self.failed.is_some() || self.observed.complete || self.observed.error {
            return;
        }
        match found {
            Found::TooLarge => self.failed = Some(ResponseError::EventTooLarge { limit: MAX_EVENT_BYTES }),
            Found::Event { data, .. } if data.starts_with(b"[DONE]") => self.end(events),
            Found::Event { data, .. } if data.trim_ascii().is_empty() => {}
            Found::Event { data, .. } => {
                if let Err(fault) = self.chunk(data, events) {
                    self.failed = Some(fault.of_answer(NAME));
                }
            }
        }
    }

    fn chunk(&mut self, data: &[u8], events: &mut Vec<StreamEvent>) -> Result<(), Fault> {
        let fields = Fields::of_body(data)?;
        if fields.get("error").is_some() {
            self.observed.error = true;
            events.push(StreamEvent::Error(crate::error_body::read_without_status(&fields)));
            return Ok(());
        }
        if !self.started {
            self.id =
                fields.text("id").filter(|id| !id.is_empty()).unwrap_or_else(|| std::mem::take(&mut self.id));
            let model = fields.text("model").filter(|model| !model.is_empty());
            self.observed.model = model.or_else(|| self.observed.model.take());
            self.created = fields.count("created").or(self.created);
        }
        if let Some(usage) = fields.object("usage") {
            self.observed.usage = Some(read_usage(&usage));
        }
        let Some(choices) = fields.get("choices") else { return Ok(()) };
        let path = Path::Key(&Path::Root, "choices");
        for (position, choice) in Node::new(choices, &path).objects()?.into_iter().enumerate() {
            self.start(events);
            self.choice(&choice, &path.index(position), events)?;
        }
        Ok(())
    }

    fn start(&mut self, events: &mut Vec<StreamEvent>) {
        if self.started {
            return;
        }
        self.started = true;
        events.push(StreamEvent::Start {
            id: std::mem::take(&mut self.id),
            model: self.observed.model.clone().unwrap_or_default(),
            created: self.created,
            usage: None,
        });
    }

    fn choice(
        &mut self,
        fields: &Fields<'_>,
        path: &Path<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let index = fields.count("index").unwrap_or(0);
        let known = self.choices.iter().position(|choice| choice.index == index);
        if known.is_none() {
            if self.choices.len() == MAX_CHOICES {
                return Err(path.fault(format!("more than {MAX_CHOICES} choices")));
            }
            self.choices.push(ChoiceState { index, ..ChoiceState::default() });
        }
        let position = known.unwrap_or(self.choices.len() - 1);
        let Some(state) = self.choices.get_mut(position) else { return Ok(()) };
        for (key, raw) in &fields.0 {
            let path = path.key(key);
            let node = Node::new(raw, &path);
            match key.as_ref() {
                "index" | "finish_reason" => {}
                "delta" => {
                    if let Some(delta) = node.optional(Node::fields)? {
                        state.delta(&delta, &path, events)?;
                    }
                }
                _ if node.json().is_void() => {}
                _ => events.push(StreamEvent::Lost(format!("choices[].{key}"))),
            }
        }
        if let Some(word) = fields.text("finish_reason").filter(|word| !word.is_empty()) {
            state.finish(&word, events);
            // As of a plain answer, the first choice's.
            self.observed.finish_reason.get_or_insert(word);
        }
        Ok(())
    }

    fn end(&mut self, events: &mut Vec<StreamEvent>) {
        self.start(events);
        for choice in &mut self.choices {
            choice.close_all(events);
        }
        if let Some(usage) = self.observed.usage {
            events.push(StreamEvent::Usage(usage));
        }
        events.push(StreamEvent::End);
        self.observed.complete = true;
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
        let thinking = fields.text("reasoning_content").or_else(|| fields.text("reasoning"));
        self.text(&BlockKind::Thinking, thinking, events);
        for (key, raw) in &fields.0 {
            let path = path.key(key);
            let node = Node::new(raw, &path);
            match key.as_ref() {
                "content" => self.text(&BlockKind::Text, node.optional(content)?, events),
                "refusal" => self.text(&BlockKind::Refusal, node.optional(Node::string)?, events),
                "role" | "tool_calls" | "reasoning_content" | "reasoning" => {}
                _ if node.json().is_void() => {}
                _ => events.push(StreamEvent::Lost(format!("choices[].delta.{key}"))),
            }
        }
        if let Some(raw) = fields.get("tool_calls") {
            let path = path.key("tool_calls");
            for (position, call) in Node::new(raw, &path).objects()?.into_iter().enumerate() {
                self.call(&call, &path.index(position), events)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, kind: &BlockKind, text: Option<String>, events: &mut Vec<StreamEvent>) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        let block = match &self.open {
            Some((open, block)) if open == kind => *block,
            _ => {
                self.close_text(events);
                self.close_calls(false, events);
                let block = self.open_block(kind.clone(), events);
                self.open = Some((kind.clone(), block));
                block
            }
        };
        let delta = if *kind == BlockKind::Thinking { Delta::Thinking(text) } else { Delta::Text(text) };
        events.push(StreamEvent::Delta { choice: self.index, block, delta });
    }

    fn call(
        &mut self,
        fields: &Fields<'_>,
        path: &Path<'_>,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let index = fields.count("index");
        let id = fields.text("id").filter(|id| !id.is_empty());
        let function = fields.object("function").unwrap_or_default();
        let position = match self.find_call(index, id.as_deref()) {
            Some(position) => position,
            None if self.calls.len() == MAX_CALLS => {
                return Err(path.fault(format!("more than {MAX_CALLS} tool calls")));
            }
            None => {
                self.close_text(events);
                self.close_calls(false, events);
                let id = id.unwrap_or_else(|| format!("call_{}", self.calls.len()));
                self.calls.push(Call { index, id, ..Call::default() });
                self.calls.len() - 1
            }
        };
        let name = function.text("name").filter(|name| !name.is_empty());
        let arguments = match function.get("arguments") {
            // A few servers give the arguments as an object and not as its text.
            Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
            Some(raw) => Node::new(raw, path).string()?,
            None => String::new(),
        };
        let is_new = self.calls.get(position).is_some_and(|call| call.block.is_none());
        if let (true, Some(name)) = (is_new, name) {
            self.begin_call(position, name, events);
        }
        let Some(call) = self.calls.get_mut(position) else { return Ok(()) };
        match call.block {
            _ if arguments.is_empty() => {}
            // What comes behind a whole value can only be white space.
            Some(_) if call.closed => {}
            Some(block) => {
                call.scan.push(&arguments);
                let delta = Delta::Arguments(arguments);
                events.push(StreamEvent::Delta { choice: self.index, block, delta });
            }
            None if call.early.len() + arguments.len() > MAX_EVENT_BYTES => {
                return Err(path.fault("a tool call without a name"));
            }
            None => call.early.push_str(&arguments),
        }
        Ok(())
    }

    /// The call that a piece belongs to. A piece with an id of its own is a new call even under a used index: some
    /// servers give every call the index 0. A piece without an index goes on with the last call.
    fn find_call(&self, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let by_index = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index),
            None if id.is_none() => self.calls.len().checked_sub(1),
            None => None,
        };
        match id {
            Some(id) => by_index
                .filter(|position| self.calls.get(*position).is_some_and(|call| call.id == id))
                .or_else(|| self.calls.iter().rposition(|call| call.id == id && index.is_none())),
            None => by_index,
        }
    }

    fn begin_call(&mut self, position: usize, name: String, events: &mut Vec<StreamEvent>) {
        let Some(id) = self.calls.get(position).map(|call| call.id.clone()) else { return };
        let block = self.open_block(BlockKind::ToolCall { id, name }, events);
        let Some(call) = self.calls.get_mut(position) else { return };
        call.block = Some(block);
        let early = std::mem::take(&mut call.early);
        if !early.is_empty() {
            call.scan.push(&early);
            let delta = Delta::Arguments(early);
            events.push(StreamEvent::Delta { choice: self.index, block, delta });
        }
    }

    fn open_block(&mut self, kind: BlockKind, events: &mut Vec<StreamEvent>) -> u64 {
        let block = self.blocks;
        self.blocks += 1;
        events.push(StreamEvent::BlockStart { choice: self.index, block, kind });
        block
    }

    fn close_text(&mut self, events: &mut Vec<StreamEvent>) {
        if let Some((_, block)) = self.open.take() {
            events.push(StreamEvent::BlockStop { choice: self.index, block });
        }
    }

    /// Closes the calls that are whole, or all of them.
    fn close_calls(&mut self, all: bool, events: &mut Vec<StreamEvent>) {
        for call in self.calls.iter_mut().filter(|call| !call.closed) {
            let Some(block) = call.block else { continue };
            if all || call.scan.is_whole() {
                call.closed = true;
                events.push(StreamEvent::BlockStop { choice: self.index, block });
            }
        }
    }

    fn close_all(&mut self, events: &mut Vec<StreamEvent>) {
        self.close_text(events);
        for position in 0..self.calls.len() {
            // A call that never got a name is still a call that the model made.
            if self.calls.get(position).is_some_and(|call| call.block.is_none()) {
                self.begin_call(position, String::new(), events);
            }
        }
        self.close_calls(true, events);
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
        events.push(StreamEvent::Finish { choice: self.index, reason });
    }
}

/// `content` of a delta: text, or from a few servers a list of parts.
fn content(node: Node<'_, '_>) -> Result<String, Fault> {
    if node.first_byte() == b'"' {
        return node.string();
    }
    Ok(node.objects()?.iter().filter_map(|part| part.text("text")).collect())
}

/// Tells whether pieces of JSON text make a whole value, without keeping them.
#[derive(Debug, Default)]
struct JsonScan {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl JsonScan {
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                _ => {}
            }
            self.begun = true;
        }
    }

    fn is_whole(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}

/// What usage an event carries; for the tap.
pub(super) fn usage_of(fields: &Fields<'_>) -> Option<Usage> {
    fields.object("usage").map(|usage| read_usage(&usage))
}
