//! Custom tools, which take free text, at a provider that knows functions only: each is offered as a function with one
//! text, and what the model writes for it becomes a call of the custom tool again.

use std::collections::{HashMap, HashSet};

use super::{
    AllowedTool, CallKind, ChatRequest, ChatResponse, Content, CustomFormat, CustomTool, Function, Json,
    Tool, ToolChoice,
};
use crate::dialect::DialectId;
use crate::event::{BlockKind, Delta, StreamEvent};
use crate::json::{Fields, Writer};
use crate::loss::{Loss, Reason};
use crate::names::{self, Site};
use crate::provider::Quirks;
use crate::sse::MAX_EVENT_BYTES;

/// The parameter that holds the text.
const INPUT: &str = "input";
/// Arguments that begin otherwise than `{"input":"` within so many bytes are read once they are whole.
const MAX_HEAD: usize = 64;

/// A provider of this dialect takes custom tools as they are. Of the servers that imitate Chat Completions hardly any
/// does.
pub(crate) fn is_native(dialect: DialectId, quirks: Quirks, source: Option<DialectId>) -> bool {
    match dialect {
        _ if source == Some(dialect) => true,
        DialectId::OpenAiResponses => true,
        DialectId::OpenAiChat => quirks.openai_fields,
        DialectId::AnthropicMessages | DialectId::Gemini | DialectId::BedrockConverse => false,
    }
}

/// The tools of a request and the choice among them, with functions in place of custom tools; `None` where there is
/// none. Holds nothing else of the request.
pub(crate) fn as_functions(request: &ChatRequest, loss: &mut Loss) -> Option<ChatRequest> {
    let is_custom = |tool: &Tool| matches!(tool, Tool::Custom(_));
    if !request.tools.iter().any(is_custom) {
        return None;
    }
    loss.add("tools[].custom", Reason::Nearest);
    let tools = request.tools.iter().map(|tool| match tool {
        Tool::Custom(custom) => Tool::Function(function(custom, request.source, loss)),
        tool => tool.clone(),
    });
    Some(ChatRequest {
        source: request.source,
        tools: tools.collect(),
        tool_choice: request.tool_choice.clone().map(choice),
        parallel_tool_calls: request.parallel_tool_calls,
        ..ChatRequest::default()
    })
}

fn function(custom: &CustomTool, source: Option<DialectId>, loss: &mut Loss) -> Function {
    let rule = match &custom.format {
        Some(CustomFormat::Grammar { syntax, definition }) => {
            // Nothing holds the model to it here; it can still be told.
            loss.add(names::field(source, "tool.format"), Reason::Nearest);
            Some(format!("Text of this {syntax} grammar:\n{definition}"))
        }
        Some(CustomFormat::Text) | None => None,
    };
    Function {
        name: custom.name.clone(),
        description: custom.description.clone(),
        parameters: Json::object(|out| {
            out.text_field("type", "object");
            out.key("properties").object(|out| {
                out.key(INPUT).object(|out| {
                    out.text_field("type", "string");
                    out.optional_text("description", rule.as_deref());
                });
            });
            out.key("required").list(|out| out.string(INPUT));
        }),
        extra: custom.extra.clone(),
        ..Function::default()
    }
}

fn choice(choice: ToolChoice) -> ToolChoice {
    match choice {
        ToolChoice::Custom(name) => ToolChoice::Function(name),
        ToolChoice::Allowed { required, tools } => {
            let tools = tools.into_iter().map(|tool| match tool {
                AllowedTool::Custom(name) => AllowedTool::Function(name),
                tool => tool,
            });
            ToolChoice::Allowed { required, tools: tools.collect() }
        }
        choice => choice,
    }
}

/// Writes what a custom tool was called with as the arguments of its function.
pub(crate) fn write_arguments(input: &str, out: &mut Writer<'_>) {
    out.object(|out| out.text_field(INPUT, input));
}

/// The custom tools of a request that its provider knows as functions.
#[derive(Debug, Default)]
pub struct CustomTools {
    names: HashSet<String>,
    /// The calls of a stream that are under way, by choice and block.
    open: HashMap<(u64, u64), Input>,
    source: Option<DialectId>,
}

impl CustomTools {
    /// Those of a request to a provider of this dialect.
    #[must_use]
    pub fn new(request: &ChatRequest, dialect: DialectId, quirks: Quirks) -> Self {
        let mut tools = Self::default();
        if !is_native(dialect, quirks, request.source) {
            tools.names.extend(request.tools.iter().filter_map(|tool| match tool {
                Tool::Custom(custom) => Some(custom.name.clone()),
                _ => None,
            }));
        }
        for tool in &request.tools {
            // Who calls two tools by one name means the one with arguments.
            if let Tool::Function(function) = tool {
                tools.names.remove(&function.name);
            }
        }
        tools
    }

    /// Makes calls of the functions calls of the custom tools.
    pub fn restore(&self, response: &mut ChatResponse, loss: &mut Loss) {
        let site = Site { source: response.source, is_answer: true };
        for part in response.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            let Content::ToolCall(call) = &mut part.content else { continue };
            if call.kind == CallKind::Function && self.names.contains(&call.name) {
                let mut input = Input::default();
                let mut text = input.push(&call.arguments);
                text.push_str(&input.finish());
                if input.has_more {
                    loss.add(site.part("call.arguments"), Reason::NoPlace);
                }
                call.kind = CallKind::Custom;
                call.arguments = text;
            }
        }
    }

    /// The same for the next event of a stream, which may become several, or none.
    pub fn push(&mut self, mut event: StreamEvent, each: &mut dyn FnMut(&StreamEvent)) {
        match &mut event {
            StreamEvent::Start { source, .. } => self.source = Some(*source),
            StreamEvent::BlockStart {
                choice, block, kind: BlockKind::ToolCall { name, kind, .. }, ..
            } if *kind == CallKind::Function && self.names.contains(name) => {
                *kind = CallKind::Custom;
                self.open.insert((*choice, *block), Input::default());
            }
            StreamEvent::Delta { choice, block, delta: Delta::Arguments(piece) } => {
                if let Some(input) = self.open.get_mut(&(*choice, *block)) {
                    *piece = input.push(piece);
                    if piece.is_empty() {
                        return;
                    }
                }
            }
            StreamEvent::BlockStop { choice, block } => {
                if let Some(mut input) = self.open.remove(&(*choice, *block)) {
                    let rest = input.finish();
                    let (choice, block) = (*choice, *block);
                    if !rest.is_empty() {
                        each(&StreamEvent::Delta { choice, block, delta: Delta::Arguments(rest) });
                    }
                    if input.has_more {
                        let site = Site { source: self.source, is_answer: true };
                        each(&StreamEvent::Lost(site.part("call.arguments")));
                    }
                }
            }
            _ => {}
        }
        each(&event);
    }
}

/// Takes the text out of arguments that come in pieces.
#[derive(Debug, Default)]
struct Input {
    state: State,
    /// What cannot be read yet: the beginning, half an escape, or all of it.
    held: String,
    /// Something stands behind the text.
    has_more: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Text,
    End,
    /// Not as they were asked for: read once they are whole.
    Whole,
    /// And too long for that: as they come.
    Raw,
}

impl Input {
    /// What the piece adds to the text.
    fn push(&mut self, piece: &str) -> String {
        let mut out = String::new();
        match self.state {
            State::Head => {
                self.held.push_str(piece);
                match head(&self.held) {
                    Head::Is(length) => {
                        self.state = State::Text;
                        let rest = self.held.split_off(length);
                        self.held.clear();
                        self.text(&rest, &mut out);
                    }
                    Head::Maybe if self.held.len() <= MAX_HEAD => {}
                    Head::Maybe | Head::No => self.state = State::Whole,
                }
            }
            State::Text => {
                let mut rest = std::mem::take(&mut self.held);
                rest.push_str(piece);
                self.text(&rest, &mut out);
            }
            State::End => self.behind(piece),
            State::Whole if self.held.len() + piece.len() > MAX_EVENT_BYTES => {
                self.state = State::Raw;
                out = std::mem::take(&mut self.held);
                out.push_str(piece);
            }
            State::Whole => self.held.push_str(piece),
            State::Raw => out.push_str(piece),
        }
        out
    }

    /// What is left once all has come.
    fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let text = || {
            let fields = Fields::of_body(held.as_bytes()).ok()?;
            Some((fields.text(INPUT)?, fields.0.len() > 1))
        };
        match text() {
            Some((text, has_more)) if self.state == State::Whole => {
                self.has_more = has_more;
                text
            }
            // No arguments at all: no text.
            _ if self.state == State::Whole && held.trim() == "{}" => String::new(),
            // The model has written the text as it is, or broken off.
            _ => held,
        }
    }

    /// Reads the inside of a JSON string up to its end. Line ends that should have been escaped are taken as they are.
    fn text(&mut self, mut rest: &str, out: &mut String) {
        while let Some(at) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) {
            out.push_str(rest.get(..at).unwrap_or_default());
            rest = rest.get(at..).unwrap_or_default();
            if let Some(behind) = rest.strip_prefix('"') {
                self.state = State::End;
                return self.behind(behind);
            }
            let Some(length) = escape(rest) else {
                rest.clone_into(&mut self.held);
                return;
            };
            let length = rest.ceil_char_boundary(length);
            let escaped = rest.get(..length).unwrap_or_default();
            match serde_json::from_str::<String>(&format!("\"{escaped}\"")) {
                Ok(text) => out.push_str(&text),
                Err(_) => out.push(char::REPLACEMENT_CHARACTER),
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        out.push_str(rest);
    }

    fn behind(&mut self, text: &str) {
        self.has_more |= text.bytes().any(|byte| !byte.is_ascii_whitespace() && byte != b'}');
    }
}

/// The length of the escape at the beginning, of both halves of a pair; `None` if it is not whole yet.
fn escape(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if *bytes.get(1)? != b'u' {
        return Some(2);
    }
    let first = bytes.get(..6)?;
    let is_high = matches!(first.get(2..4), Some([b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B']));
    if !is_high {
        return Some(6);
    }
    match (bytes.get(6), bytes.get(7)) {
        (None, _) | (Some(b'\\'), None) => None,
        (Some(b'\\'), Some(b'u')) => bytes.get(..12).map(<[u8]>::len),
        _ => Some(6),
    }
}

enum Head {
    /// It is this long.
    Is(usize),
    Maybe,
    No,
}

/// Looks for `{"input":"` with any white space in it.
fn head(text: &str) -> Head {
    let mut rest = text;
    for token in ["{", "\"input\"", ":", "\""] {
        rest = rest.trim_ascii_start();
        match rest.strip_prefix(token) {
            Some(behind) => rest = behind,
            None if token.starts_with(rest) => return Head::Maybe,
            None => return Head::No,
        }
    }
    Head::Is(text.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&str]) -> (String, bool) {
        let mut input = Input::default();
        let mut text: String = pieces.iter().map(|piece| input.push(piece)).collect();
        text.push_str(&input.finish());
        (text, input.has_more)
    }

    #[test]
    fn texts_are_taken_out() {
        for (arguments, text, has_more) in [
            (r#"{"input":"a\n\"b\" \u00fc \ud83d\ude00"}"#, "a\n\"b\" ü 😀", false),
            (" { \"input\" : \"\" } ", "", false),
            (r#"{"input":"a","why":1}"#, "a", true),
            (r#"{"why":1,"input":"a"}"#, "a", true),
            ("{}", "", false),
            ("", "", false),
            (r#"{"input":7}"#, r#"{"input":7}"#, false),
            ("*** Begin Patch", "*** Begin Patch", false),
            (r#"{"input":"a\x \ud83d b"#, "a\u{fffd} \u{fffd} b", false),
            (r#"{"input":"a\u12"#, "a\\u12", false),
            ("{\"input\":\"a\nb\\ü\"}", "a\nb\u{fffd}", false),
        ] {
            assert_eq!(read(&[arguments]), (text.to_owned(), has_more), "{arguments}");
            let letters: Vec<String> = arguments.chars().map(String::from).collect();
            let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
            assert_eq!(read(&letters), (text.to_owned(), has_more), "{arguments} letter by letter");
        }
        let long = format!("[{}", "x".repeat(MAX_EVENT_BYTES));
        assert_eq!(read(&[&long, "y"]).0.len(), long.len() + 1);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,20}|[\"\\\\\n\u{0}😀u]{0,12}", cut in 0usize..60, is_ascii: bool) {
            let mut written = serde_json::json!({ "input": text }).to_string();
            if is_ascii {
                written = written.chars().flat_map(|c| {
                    let mut units = [0; 2];
                    let units = c.encode_utf16(&mut units).to_vec();
                    let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
                    if c.is_ascii() { c.to_string() } else { escaped }.chars().collect::<Vec<_>>()
                }).collect();
            }
            let cut = written.ceil_char_boundary(cut.min(written.len()));
            let (a, b) = written.split_at(cut);
            prop_assert_eq!(read(&[a, b]), (text, false));
        }
    }
}
