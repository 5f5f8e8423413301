//! What the mock provider answers, as bytes that are ready: Chat Completions and Messages, whole and in events.

/// The text of each whole answer, by which a client knows that it is the mock's.
pub const ANSWER: &str = "A cache that is looked up and filled in one step holds its lock while the value is made. \
    Split it in two: look up under the lock and return early, make the value without it, then insert it and keep \
    what another thread may have inserted meanwhile. Two threads can then make the same value once in a while, \
    which costs a little work and no correctness.";

/// Bytes of a stamp: `@`, nanoseconds since 1970 as 19 digits, `@`.
pub(super) const STAMP: usize = 21;
/// What stands where a stamp goes.
const BLANK: &str = "@0000000000000000000@";

/// An API of the mock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Chat,
    Messages,
}

/// Everything that one API answers.
#[derive(Debug)]
pub(super) struct Answers {
    /// A whole answer, head and body.
    pub(super) plain: Vec<u8>,
    /// The head of a stream, and its events before the first text.
    pub(super) begin: Vec<u8>,
    /// An event with a blank stamp for text.
    pub(super) event: Event,
    /// The events behind the last text, and the end of the body.
    pub(super) end: Vec<u8>,
}

/// An event of a stream, and where its stamp goes.
#[derive(Debug, Clone)]
pub(super) struct Event {
    bytes: Vec<u8>,
    at: usize,
}

impl Event {
    fn new(bytes: Vec<u8>) -> Self {
        let at = memchr::memmem::find(&bytes, BLANK.as_bytes()).unwrap_or_default();
        Self { bytes, at }
    }

    /// The event as it is sent at this time.
    pub(super) fn stamped(&mut self, nanos: u64) -> &[u8] {
        let mut rest = nanos;
        for digit in self.bytes[self.at + 1..self.at + STAMP - 1].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        &self.bytes
    }
}

impl Answers {
    pub(super) fn new(api: Api) -> Self {
        let body = match api {
            Api::Chat => format!(
                "{{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"bench\",\
                 \"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{ANSWER}\"}},\
                 \"finish_reason\":\"stop\"}}],\
                 \"usage\":{{\"prompt_tokens\":200,\"completion_tokens\":70,\"total_tokens\":270}}}}"
            ),
            Api::Messages => format!(
                "{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench\",\
                 \"content\":[{{\"type\":\"text\",\"text\":\"{ANSWER}\"}}],\"stop_reason\":\"end_turn\",\
                 \"stop_sequence\":null,\"usage\":{{\"input_tokens\":200,\"output_tokens\":70}}}}"
            ),
        };
        let mut begin =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                .to_vec();
        begin.extend(chunk(&preamble(api)));
        let mut end = chunk(&ending(api));
        end.extend_from_slice(b"0\r\n\r\n");
        Self {
            plain: format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
            begin,
            event: Event::new(chunk(&text_event(api))),
            end,
        }
    }
}

/// A chunk of a body.
pub(super) fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn preamble(api: Api) -> String {
    match api {
        Api::Chat => chat("{\"role\":\"assistant\",\"content\":\"\"}", "null"),
        Api::Messages => concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",",
            "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"bench\",\"content\":[],\"stop_reason\":null,",
            "\"stop_sequence\":null,\"usage\":{\"input_tokens\":200,\"output_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        )
        .to_owned(),
    }
}

fn text_event(api: Api) -> String {
    match api {
        Api::Chat => chat(&format!("{{\"content\":\"{BLANK}\"}}"), "null"),
        Api::Messages => format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{BLANK}\"}}}}\n\n"
        ),
    }
}

fn ending(api: Api) -> String {
    match api {
        Api::Chat => chat("{}", "\"stop\"") + "data: [DONE]\n\n",
        Api::Messages => concat!(
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",",
            "\"stop_sequence\":null},\"usage\":{\"output_tokens\":70}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        )
        .to_owned(),
    }
}

fn chat(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"bench\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}
