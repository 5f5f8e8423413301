//! Clients that believe nothing: each asks, reads, judges, waits a little and asks again, on a thread of its own.

mod read;
mod sse;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use uuid::Uuid;

use self::read::{Reader, State};
use crate::api::Api;
use crate::clock;
use crate::http::{Broken, Connection, Head};
use crate::ledger::{Ledger, Offence, Outcome};
use crate::words::Order;

/// Names that lead to every provider, in one order or another.
const NAMES: [&str; 6] = ["m", "m", "steady", "alpha/solo", "gamma/m", "auto"];
/// What prompts are about; the router reads them where the name is `auto`.
const PROMPTS: [&str; 4] = [
    "Fix the bug in this function.",
    "Write a short poem about the sea.",
    "Translate this into Spanish.",
    "What is the capital of Peru?",
];
/// Of a hundred clients so many hang up in the middle of a stream.
const IMPATIENT: u8 = 3;
/// The longest pause between two requests.
const PAUSE: Duration = Duration::from_secs(3);

/// What is said of a request that got an error before any content.
const FAILED: &str = "failed before content";

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) rng: Rng,
}

/// What it asks.
struct Ask {
    api: Api,
    stream: bool,
    /// A Gemini stream as one JSON array.
    as_array: bool,
    hangs_up: bool,
    order: Order,
    bytes: Vec<u8>,
    at: Duration,
}

impl Client {
    /// Asks until it is told to stop.
    pub(crate) fn run(mut self, stop: &AtomicBool) {
        let mut connection = None;
        // Not all at once.
        clock::pause(PAUSE.mul_f64(self.rng.f64()));
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            count += 1;
            let ask = self.ask(count);
            let mut id = None;
            let result = self.answer(&ask, &mut connection, &mut id);
            let offence = |problem: String| Offence {
                at: ask.at,
                until: clock::now(),
                request: ask.order.request.clone(),
                api: ask.api,
                stream: ask.stream,
                id,
                is_failure: problem.starts_with(FAILED),
                problem,
            };
            self.ledger.ended(ask.api, id, ask.stream, result.map_err(offence));
            connection = connection.filter(Connection::is_free);
            clock::pause(PAUSE.mul_f64(self.rng.f64()));
        }
    }

    fn ask(&mut self, count: u64) -> Ask {
        let rng = &mut self.rng;
        let order = Order { request: format!("{}-{count}", self.number), words: rng.usize(3..40) };
        let api = rng.choice(Api::ALL).unwrap_or(Api::Chat);
        let stream = rng.u8(..10) < 6;
        let as_array = api == Api::Gemini && rng.u8(..4) == 0;
        let name = rng.choice(NAMES).unwrap_or("m");
        // Some prompts are long.
        let padding =
            if rng.u8(..20) == 0 { "again ".repeat(rng.usize(1000..20_000)) } else { String::new() };
        let prompt = format!("{} {padding}{}", rng.choice(PROMPTS).unwrap_or_default(), order.written());
        let (path, body) = request(api, name, &prompt, stream, rng.bool());
        let path = if stream && api == Api::Gemini && !as_array { format!("{path}?alt=sse") } else { path };
        let body = body.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: chaos\r\ncontent-type: application/json\r\nauthorization: Bearer none\r\n\
             anthropic-version: 2023-06-01\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let hangs_up = stream && rng.u8(..100) < IMPATIENT;
        Ask { api, stream, as_array, hangs_up, order, bytes: head.into_bytes(), at: clock::now() }
    }

    /// Sends it, on the connection at hand or another, and judges the answer.
    fn answer(
        &mut self,
        ask: &Ask,
        connection: &mut Option<Connection>,
        id: &mut Option<(Uuid, u16)>,
    ) -> Result<Outcome, String> {
        let head = loop {
            let result = match connection {
                Some(connection) => connection.send(&ask.bytes),
                None => match Connection::open(self.address) {
                    Ok(new) => connection.insert(new).send(&ask.bytes),
                    Err(broken) => Err(broken),
                },
            };
            match result {
                Ok(head) => break head,
                // Only a connection that was used before is stale, and the next one is new.
                Err(Broken::Stale) => {
                    *connection = None;
                    self.ledger.was_stale();
                }
                Err(Broken::Other(problem)) => {
                    *connection = None;
                    return Err(format!("{FAILED}: {problem}"));
                }
            }
        };
        let Some(connection) = connection else { return Err("no connection".to_owned()) };
        let name = Uuid::parse_str(head.header("x-waypost-request-id"));
        *id = Some((name.map_err(|_none| format!("no request id: {head:?}"))?, head.status));
        if head.status != 200 {
            let body = connection.rest().unwrap_or_default();
            let body = String::from_utf8_lossy(&body).into_owned();
            return Err(format!("{FAILED}: status {} {body}", head.status));
        }
        if ask.stream { self.stream(ask, &head, connection) } else { plain(ask, &head, connection) }
    }

    fn stream(&mut self, ask: &Ask, head: &Head, connection: &mut Connection) -> Result<Outcome, String> {
        let mut reader = Reader::new(ask.api);
        if ask.as_array {
            is_of_type(head, "application/json")?;
            let body = connection.rest()?;
            let pieces: Vec<Value> = serde_json::from_slice(&body)
                .map_err(|error| format!("no JSON ({error}): {}", String::from_utf8_lossy(&body)))?;
            for piece in pieces {
                reader.event("", &piece.to_string())?;
            }
            return verdict(ask, &mut reader);
        }
        is_of_type(head, "text/event-stream")?;
        let mut events = sse::Events::default();
        while let Some(piece) = connection.piece().map_err(|problem| broken(ask, &reader, &problem))? {
            for (name, data) in events.push(&piece).map_err(|problem| broken(ask, &reader, &problem))? {
                reader.event(&name, &data).map_err(|problem| broken(ask, &reader, &problem))?;
            }
            if ask.hangs_up && self.rng.u8(..4) == 0 {
                return ask.order.count(&reader.text).map(|_| Outcome::HungUp);
            }
        }
        events.finish().map_err(|problem| broken(ask, &reader, &problem))?;
        verdict(ask, &mut reader)
    }
}

fn broken(ask: &Ask, reader: &Reader, problem: &str) -> String {
    let words = ask.order.count(&reader.text);
    format!("a broken stream behind {words:?} words of {}: {problem}", ask.order.words)
}

/// What has come of a stream that HTTP has ended.
fn verdict(ask: &Ask, reader: &mut Reader) -> Result<Outcome, String> {
    let words = ask.order.count(&reader.text)?;
    reader.finish().map_err(|problem| format!("behind {words} words of {}: {problem}", ask.order.words))?;
    match &reader.state {
        State::Failed(message) if words == 0 => Err(format!("{FAILED}: an error event: {message}")),
        State::Failed(_) => Ok(Outcome::Failed),
        _ if words == ask.order.words => Ok(Outcome::Whole),
        _ => Err(format!("looks complete with {words} words of {}", ask.order.words)),
    }
}

fn plain(ask: &Ask, head: &Head, connection: &mut Connection) -> Result<Outcome, String> {
    is_of_type(head, "application/json")?;
    let body = connection.rest()?;
    let value: Value = serde_json::from_slice(&body)
        .map_err(|error| format!("no JSON ({error}): {}", String::from_utf8_lossy(&body)))?;
    let words = ask.order.count(read::plain(ask.api, &value)?)?;
    if words == ask.order.words {
        return Ok(Outcome::Whole);
    }
    Err(format!("looks complete with {words} words of {}", ask.order.words))
}

fn is_of_type(head: &Head, due: &str) -> Result<(), String> {
    let found = head.header("content-type");
    let essence = found.split(';').next().unwrap_or_default();
    if essence == due { Ok(()) } else { Err(format!("content type `{found}`, not {due}")) }
}

/// Path and body of a request. `choice` chooses among what clients may say.
fn request(api: Api, model: &str, prompt: &str, stream: bool, choice: bool) -> (String, Value) {
    match api {
        Api::Chat => {
            let mut body =
                json!({"model": model, "messages": [{"role": "user", "content": prompt}], "stream": stream});
            if stream && choice {
                body["stream_options"] = json!({"include_usage": true});
            }
            ("/v1/chat/completions".to_owned(), body)
        }
        Api::Messages => {
            let content = if choice { json!(prompt) } else { json!([{"type": "text", "text": prompt}]) };
            let messages = json!([{"role": "user", "content": content}]);
            let body = json!({"model": model, "max_tokens": 1000, "messages": messages, "stream": stream});
            ("/v1/messages".to_owned(), body)
        }
        Api::Responses => {
            let body = json!({"model": model, "input": prompt, "stream": stream, "store": choice});
            ("/v1/responses".to_owned(), body)
        }
        Api::Gemini => {
            let what = if stream { "streamGenerateContent" } else { "generateContent" };
            let body = json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]});
            (format!("/v1beta/models/{model}:{what}"), body)
        }
    }
}
