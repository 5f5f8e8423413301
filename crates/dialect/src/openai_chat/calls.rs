//! The calls of a streamed answer: pieces of them come by turns, and not every server numbers them as it should.

use super::message_out::kind_words;
use crate::chat::CallKind;
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fault, Fields, Node, Path};
use crate::sse::MAX_EVENT_BYTES;
use crate::stream::Blocks;

/// More calls than this are nonsense, and are not held.
const MAX_CALLS: usize = 1024;

/// The calls of one choice.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    kind: CallKind,
    /// Known once the call has a name.
    block: Option<u64>,
    /// Arguments that came before the name.
    early: String,
    scan: JsonScan,
    closed: bool,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The piece goes on with a call that has begun.
    pub(super) fn knows(&self, fields: &Fields<'_>) -> bool {
        self.find(fields.count("index"), id_of(fields).as_deref()).is_some()
    }

    /// Takes one piece.
    pub(super) fn take(
        &mut self,
        fields: &Fields<'_>,
        path: &Path<'_>,
        blocks: &mut Blocks,
        events: &mut Vec<StreamEvent>,
    ) -> Result<(), Fault> {
        let index = fields.count("index");
        let id = id_of(fields);
        let position = match self.find(index, id.as_deref()) {
            Some(position) => position,
            None if self.0.len() == MAX_CALLS => {
                return Err(path.fault(format!("more than {MAX_CALLS} tool calls")));
            }
            None => {
                let id = id.unwrap_or_else(|| format!("call_{}", self.0.len()));
                let is_custom = fields.get("custom").is_some();
                let kind = if is_custom { CallKind::Custom } else { CallKind::Function };
                self.0.push(Call { index, id, kind, ..Call::default() });
                self.0.len() - 1
            }
        };
        let Some(call) = self.0.get_mut(position) else { return Ok(()) };
        let (body, text) = kind_words(call.kind);
        let body = fields.object(body).unwrap_or_default();
        let written = match body.get(text) {
            // A few servers give the arguments as an object and not as its text.
            Some(raw) if raw.get().starts_with('{') => raw.get().to_owned(),
            Some(raw) => Node::new(raw, path).string()?,
            None => String::new(),
        };
        let name = body.text("name").filter(|name| !name.is_empty());
        if let (None, Some(name)) = (call.block, name) {
            call.begin(name, blocks, events);
        }
        match call.block {
            _ if written.is_empty() => {}
            // What comes behind a whole value can only be white space.
            Some(_) if call.closed => {}
            Some(block) => {
                call.scan.push(&written);
                blocks.delta(block, Delta::Arguments(written), events);
            }
            None if call.early.len() + written.len() > MAX_EVENT_BYTES => {
                return Err(path.fault("a tool call without a name"));
            }
            None => call.early.push_str(&written),
        }
        Ok(())
    }

    /// The call that a piece belongs to. A piece with an id of its own is a new call even under a used index: some
    /// servers give every call the index 0. A piece without an index goes on with the last call.
    fn find(&self, index: Option<u64>, id: Option<&str>) -> Option<usize> {
        let by_index = match index {
            Some(_) => self.0.iter().rposition(|call| call.index == index),
            None if id.is_none() => self.0.len().checked_sub(1),
            None => None,
        };
        match id {
            Some(id) => by_index
                .filter(|position| self.0.get(*position).is_some_and(|call| call.id == id))
                .or_else(|| self.0.iter().rposition(|call| call.id == id && index.is_none())),
            None => by_index,
        }
    }

    /// Closes the calls that are whole, or all of them. Free text never tells that it is whole.
    pub(super) fn close(&mut self, blocks: &Blocks, all: bool, events: &mut Vec<StreamEvent>) {
        for call in self.0.iter_mut().filter(|call| !call.closed) {
            let Some(block) = call.block else { continue };
            if all || (call.kind == CallKind::Function && call.scan.is_whole()) {
                call.closed = true;
                blocks.close(block, events);
            }
        }
    }

    /// A call that never got a name is still a call that the model made.
    pub(super) fn begin_nameless(&mut self, blocks: &mut Blocks, events: &mut Vec<StreamEvent>) {
        for call in self.0.iter_mut().filter(|call| call.block.is_none()) {
            call.begin(String::new(), blocks, events);
        }
    }
}

impl Call {
    fn begin(&mut self, name: String, blocks: &mut Blocks, events: &mut Vec<StreamEvent>) {
        let kind = BlockKind::ToolCall { id: self.id.clone(), name, kind: self.kind };
        let block = blocks.open(kind, None, events);
        self.block = Some(block);
        let early = std::mem::take(&mut self.early);
        if !early.is_empty() {
            self.scan.push(&early);
            blocks.delta(block, Delta::Arguments(early), events);
        }
    }
}

fn id_of(fields: &Fields<'_>) -> Option<String> {
    fields.text("id").filter(|id| !id.is_empty())
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
