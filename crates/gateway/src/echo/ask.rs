//! What a request asks for, whichever API it came by, and the answer that is planned for it.

use serde_json::{Map, Value, json};

use super::directive::{Counts, Directives};
use super::schema::synthesise;

/// A system prompt is quoted up to here: it can be longer than everything else.
const SYSTEM_QUOTE: usize = 200;
/// Characters of four bytes.
const UNICODE: &str = "🦀🚀🌍 𝓮𝓬𝓱𝓸 𝄞🎼 ";

/// A request that passed its checks.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// The last text of the user, without directives.
    pub(super) text: String,
    /// Of the last user message only.
    pub(super) directives: Directives,
    pub(super) system: String,
    pub(super) images: usize,
    /// What the tools said that the last assistant turn called.
    pub(super) results: Vec<String>,
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Choice,
    /// Not more than one call.
    pub(super) one_call: bool,
    pub(super) thinking: bool,
    pub(super) stops: Vec<String>,
    /// The answer has to be JSON of this schema.
    pub(super) shape: Option<Value>,
    /// How many answers.
    pub(super) answers: usize,
    pub(super) input_tokens: u64,
    pub(super) kept: Kept,
}

/// What only the Responses API asks for.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The answer can be gone on from.
    pub(super) store: bool,
    /// Everything that was said, in items.
    pub(super) items: Vec<Value>,
    /// What the answer repeats of the request.
    pub(super) settings: Map<String, Value>,
    /// Thinking is shown.
    pub(super) summary: bool,
    /// Thinking is given sealed, to be sent back.
    pub(super) sealed: bool,
    /// The deltas of a stream are padded.
    pub(super) padded: bool,
}

#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
    /// It takes free text.
    pub(super) is_custom: bool,
}

/// What the request says about calling tools.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    #[default]
    Auto,
    None,
    Any,
    Named(String),
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) thinking: Option<String>,
    pub(super) text: Option<String>,
    pub(super) calls: Vec<Call>,
    pub(super) finish: Finish,
    /// `None`: nothing is said about tokens.
    pub(super) usage: Option<Usage>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    /// A string for a tool that takes free text.
    pub(super) arguments: Value,
    pub(super) is_custom: bool,
}

/// Why the answer ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finish {
    Stop,
    Sequence(String),
    Tools,
    /// A word of the directive's.
    Ordered(String),
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Without the cached ones.
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
    /// Part of the output.
    pub(super) reasoning: u64,
}

/// An estimate that never is 0: four bytes a token.
pub(super) fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(4).max(1)
}

/// Decides what is answered.
pub(super) fn plan(ask: &Ask) -> Answer {
    let directives = &ask.directives;
    let calls = calls(ask);
    let thinking = (ask.thinking || directives.thinking)
        .then(|| format!("The user wants an echo of {} characters.", ask.text.chars().count()));
    let mut finish = Finish::Stop;
    let mut text = match (&directives.text, &ask.shape) {
        (Some(text), _) => Some(text.clone()),
        (None, _) if !calls.is_empty() => None,
        (None, Some(schema)) => Some(synthesise(schema, 0).to_string()),
        (None, None) => {
            let text = echo(ask);
            let stop = ask.stops.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min();
            Some(match stop {
                Some((at, stop)) => {
                    finish = Finish::Sequence(stop.clone());
                    text.get(..at).unwrap_or_default().to_owned()
                }
                None => text,
            })
        }
    };
    if directives.unicode {
        text = text.map(|text| format!("{UNICODE}{text}"));
    }
    if !calls.is_empty() {
        finish = Finish::Tools;
    }
    if let Some(word) = &directives.finish {
        finish = Finish::Ordered(word.clone());
    }
    let reasoning = thinking.as_deref().map_or(0, tokens);
    let called: u64 = calls.iter().map(|call| tokens(&call.arguments.to_string())).sum();
    let said = text.as_deref().map_or(0, tokens);
    let usage = match directives.counts {
        Counts::Estimated => Some(Usage {
            input: ask.input_tokens.max(1),
            cached: directives.cached,
            output: (reasoning + called + said).max(1),
            reasoning,
        }),
        Counts::Zero => Some(Usage::default()),
        Counts::Missing => None,
    };
    Answer { thinking, text, calls, finish, usage }
}

/// The calls that a directive or the request's own choice wants.
fn calls(ask: &Ask) -> Vec<Call> {
    let allowed: Vec<_> = match &ask.choice {
        Choice::None => Vec::new(),
        Choice::Named(name) => ask.tools.iter().filter(|tool| tool.name == *name).collect(),
        Choice::Auto | Choice::Any => ask.tools.iter().collect(),
    };
    if let Some(name) = &ask.directives.call {
        let wanted = allowed.iter().find(|tool| tool.name == *name);
        let call = |tool: &&Tool| Call {
            name: tool.name.clone(),
            arguments: ask.directives.arguments.clone().unwrap_or_else(|| synthesise(&tool.schema, 0)),
            is_custom: tool.is_custom,
        };
        return wanted.map(call).into_iter().collect();
    }
    let forced = usize::from(matches!(ask.choice, Choice::Any | Choice::Named(_)));
    let wanted = ask.directives.tools.unwrap_or(forced);
    let wanted = if ask.one_call { wanted.min(1) } else { wanted };
    let call = |(number, tool): (usize, &&Tool)| Call {
        name: tool.name.clone(),
        arguments: synthesise(&tool.schema, number),
        is_custom: tool.is_custom,
    };
    allowed.iter().cycle().take(wanted).enumerate().map(call).collect()
}

/// The user's text and a note of everything else that came.
fn echo(ask: &Ask) -> String {
    let mut notes = Vec::new();
    if !ask.system.is_empty() {
        let mut quote: String = ask.system.chars().take(SYSTEM_QUOTE).collect();
        if quote.len() < ask.system.len() {
            quote.push('…');
        }
        notes.push(format!("system prompt: {quote}"));
    }
    match ask.images {
        0 => {}
        1 => notes.push("1 image".to_owned()),
        images => notes.push(format!("{images} images")),
    }
    if !ask.results.is_empty() {
        notes.push(format!("tool results: {}", ask.results.join(", ")));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    format!("Echo of {}: {}{notes}", ask.model, ask.text)
}

/// A text in the pieces of a stream, word by word; a long text in longer ones, so that their number is bounded.
pub(super) fn words(text: &str) -> Vec<String> {
    const MOST_PIECES: usize = 1000;
    let least = text.len() / MOST_PIECES;
    let mut pieces: Vec<String> = Vec::new();
    for word in text.split_inclusive(' ') {
        match pieces.last_mut() {
            Some(last) if last.len() < least => last.push_str(word),
            _ => pieces.push(word.to_owned()),
        }
    }
    pieces
}

/// The text of a tool call's arguments in the pieces of a stream.
pub(super) fn fragments(arguments: &Value) -> Vec<String> {
    const MOST_PIECES: usize = 100;
    let text: Vec<char> = arguments.to_string().chars().collect();
    let length = (text.len() / MOST_PIECES).max(6);
    text.chunks(length).map(|piece| piece.iter().collect()).collect()
}

/// The text of a content that is a string or a list of parts, and the images in it.
pub(super) fn read_content(content: &Value) -> (String, usize) {
    if let Some(text) = content.as_str() {
        return (text.to_owned(), 0);
    }
    let mut texts = Vec::new();
    let mut images = 0;
    for part in content.as_array().into_iter().flatten() {
        match part["type"].as_str() {
            Some("text" | "input_text" | "output_text") => texts.extend(part["text"].as_str()),
            Some("image" | "image_url" | "input_image") => images += 1,
            _ => {}
        }
    }
    (texts.join("\n"), images)
}

/// The schema of an answer's shape, as any of the APIs writes it.
pub(super) fn shape(format: &Value) -> Option<Value> {
    match format["type"].as_str()? {
        "json_object" => {
            Some(json!({"type": "object", "properties": {"echo": {"type": "string"}}, "required": ["echo"]}))
        }
        "json_schema" => format.get("schema").or_else(|| format["json_schema"].get("schema")).cloned(),
        _ => None,
    }
}

/// All that counts as a prompt, in bytes.
pub(super) fn prompt_tokens(body: &Value) -> u64 {
    let keys = [
        "system",
        "instructions",
        "messages",
        "input",
        "tools",
        "toolConfig",
        "systemInstruction",
        "contents",
    ];
    let parts = keys.map(|key| length(&body[key]));
    parts.iter().sum::<u64>().div_ceil(4).max(1)
}

fn length(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(length).sum(),
        Value::Object(fields) => fields.values().map(length).sum(),
        _ => 0,
    }
}
