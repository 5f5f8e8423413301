//! What is asked: requests as bytes that are ready.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Value, json};

/// Digits of the number by which requests that are otherwise the same differ.
const DIGITS: usize = 8;
/// What stands where it goes.
const NUMBER: &str = "#00000000";

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) address: SocketAddr,
    /// For the `host` header.
    pub(super) host: String,
    pub(super) path: String,
    /// For the `authorization` header; `Debug` does not show it.
    pub(super) authorization: Option<HeaderValue>,
}

/// A request. It has a key in it, so that there is no `Debug`.
pub(super) struct Ask {
    bytes: Vec<u8>,
    number: Option<usize>,
}

impl Ask {
    fn new(place: &Place, body: &Value) -> Self {
        let body = body.to_string();
        let Place { host, path, .. } = place;
        let mut bytes = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\naccept: */*\r\n\
             user-agent: waypost-bench\r\ncontent-length: {}\r\n",
            body.len()
        )
        .into_bytes();
        if let Some(authorization) = &place.authorization {
            bytes.extend_from_slice(b"authorization: ");
            bytes.extend_from_slice(authorization.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body.as_bytes());
        let number = memchr::memmem::find(&bytes, NUMBER.as_bytes()).map(|at| at + 1);
        Self { bytes, number }
    }

    /// The request with this number in it, where it has a place for one.
    pub(super) fn numbered<'a>(&'a self, number: u64, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let Some(at) = self.number else { return &self.bytes };
        scratch.clear();
        scratch.extend_from_slice(&self.bytes);
        let mut rest = number;
        for digit in scratch[at..at + DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        scratch
    }
}

/// A conversation of `size` bytes as it stands in the body.
pub(super) fn conversation(place: &Place, model: &str, size: usize) -> Ask {
    let mut texts = Texts::new();
    let mut messages = vec![
        json!({"role": "system", "content": "You are a careful coding agent. Answer briefly."}),
        json!({"role": "user", "content": format!("Why is this refused? {}", texts.of(200))}),
    ];
    let body = |messages: &[Value]| json!({"model": model, "messages": messages, "temperature": 0.2, "max_tokens": 512});
    let mut length = body(&messages).to_string().len();
    // Turns of 300 to 3,000 bytes, as answers and what tools print are.
    while length + 400 < size {
        let text =
            texts.of(fastrand::Rng::with_seed(length as u64).usize(300..3_000).min(size - length - 100));
        let role = if messages.len().is_multiple_of(2) { "assistant" } else { "user" };
        messages.push(json!({"role": role, "content": text}));
        length = body(&messages).to_string().len();
    }
    if !messages.len().is_multiple_of(2) {
        // The last word is a user's.
        messages.push(json!({"role": "user", "content": "Go on."}));
        length = body(&messages).to_string().len();
    }
    if let Some(Value::String(last)) = messages.last_mut().map(|message| &mut message["content"]) {
        last.extend(std::iter::repeat_n('.', size.saturating_sub(length)));
    }
    Ask::new(place, &body(&messages))
}

/// A stream of so many events, one each `pause`.
pub(super) fn stream(place: &Place, model: &str, size: usize, events: u64, pause: Duration) -> Ask {
    let order =
        format!("[[stream {events} {}]] {}", pause.as_millis(), Texts::new().of(size.saturating_sub(200)));
    let messages = json!([{"role": "user", "content": order}]);
    Ask::new(place, &json!({"model": model, "stream": true, "messages": messages, "max_tokens": 512}))
}

/// What people ask of the routes of `ROUTES`: each of them is one that the router is sure of.
const QUESTIONS: &[&str] = &[
    "Write a Python function that merges two sorted lists",
    "Write a bash script that renames all .txt files to .md",
    "Implement a rate limiter class in Go with a token bucket",
    "Fix this error: NameError: name 'total' is not defined",
    "Debug this stack trace: IndexError: list index out of range in parse.py line 42",
    "Why does my program crash with a null pointer exception in this function?",
    "Summarize this article about the history of canals in five bullet points",
    "Give me a short summary of the key points of this meeting's minutes",
    "Translate this sentence to Spanish: the train leaves at nine",
    "Translate the following letter into French and keep its tone",
    "Write a short story about a lighthouse keeper who collects maps",
    "Write a poem about rivers in autumn",
    "What are my rights if the other side breaks a rental contract?",
    "Is a verbal contract binding in court, and who is liable?",
];

/// Routes for them, as a part of a configuration.
pub(super) const ROUTES: &str = "routing_preferences:
  - {name: code generation, description: 'new functions, scripts and programs written from a description', models: [openai/bench]}
  - {name: code debugging, description: 'errors, exceptions, stack traces and bugs in code, their causes and fixes', models: [openai/bench]}
  - {name: summarization, description: 'summaries and key points of documents, articles and conversations', models: [openai/bench]}
  - {name: translation, description: 'translations of text into another language', models: [openai/bench]}
  - {name: creative writing, description: 'creative content generation, storytelling, poems and writing assistance', models: [openai/bench]}
  - {name: legal, description: 'law, contracts, liability, rights, courts and regulation', models: [openai/bench]}
";

/// Conversations without a model, no two of them the same; every third with turns before the question.
pub(super) fn questions(place: &Place) -> Vec<Ask> {
    let mut texts = Texts::new();
    let ask = |(index, question): (usize, &&str)| {
        let mut messages = Vec::new();
        if index % 3 == 2 {
            messages.push(json!({"role": "user", "content": texts.of(400)}));
            messages.push(json!({"role": "assistant", "content": texts.of(400)}));
        }
        messages.push(json!({"role": "user", "content": format!("{question} ({NUMBER})")}));
        Ask::new(place, &json!({"messages": messages, "max_tokens": 512}))
    };
    QUESTIONS.iter().enumerate().map(ask).collect()
}

/// Texts that look like work on code: words, now and then a line with quotes. The same ones each time.
struct Texts(fastrand::Rng);

const WORDS: &[&str] = &[
    "borrow",
    "cache",
    "lookup",
    "lifetime",
    "struct",
    "field",
    "method",
    "channel",
    "retry",
    "upstream",
    "the",
    "a",
    "route",
    "token",
    "stream",
    "value",
    "differs",
    "check",
    "path",
    "line",
    "rename",
    "function",
    "returns",
    "of",
    "option",
    "thread",
    "pool",
    "queue",
    "buffer",
    "header",
    "status",
    "response",
    "client",
    "connection",
    "in",
    "type",
    "config",
    "default",
    "trace",
    "counter",
    "memory",
    "copy",
    "slice",
    "vector",
    "entry",
    "is",
    "sorted",
];

impl Texts {
    fn new() -> Self {
        Self(fastrand::Rng::with_seed(7))
    }

    fn of(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 80);
        while text.len() < bytes {
            let mut word = || self.0.choice(WORDS).copied().unwrap_or_default();
            if text.len().is_multiple_of(7) {
                let (one, two) = (word(), word());
                text.push_str(&format!("\n\tlet {one} = self.{two}(\"{one}\\n\")?;\n"));
            }
            for _ in 0..8 {
                text.push_str(word());
                text.push(' ');
            }
        }
        text.truncate(bytes);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let address = ([127, 0, 0, 1], 1).into();
        Place { address, host: "h".to_owned(), path: "/p".to_owned(), authorization: None }
    }

    fn body(bytes: &[u8]) -> Value {
        let start = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap() + 4;
        serde_json::from_slice(&bytes[start..]).unwrap()
    }

    #[test]
    fn a_conversation_has_the_size_that_was_asked_for() {
        for size in [1 << 10, 32 << 10, 256 << 10] {
            let ask = conversation(&place(), "openai/bench", size);
            let body = body(&ask.bytes);
            let (length, most) = (body.to_string().len(), size + size / 10);
            assert!((size..most).contains(&length), "{length} of {size}");
            let messages = body["messages"].as_array().unwrap();
            assert_eq!(messages.last().unwrap()["role"], "user");
        }
    }

    #[test]
    fn no_two_questions_are_the_same() {
        let ask = &questions(&place())[0];
        let mut scratch = Vec::new();
        let first = ask.numbered(1, &mut scratch).to_vec();
        let text = body(ask.numbered(12_345_678, &mut scratch))["messages"][0]["content"].clone();
        assert!(text.as_str().unwrap().ends_with("(#12345678)"), "{text}");
        assert_ne!(first, ask.numbered(2, &mut scratch));
    }
}
