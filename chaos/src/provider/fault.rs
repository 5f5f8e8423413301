//! What a provider does with a request, well or ill.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use fastrand::Rng;

use super::Ask;
use super::answer::{self, Events};
use super::wire::Wire;
use crate::api::Api;
use crate::clock;
use crate::schedule::{ILLS, Mode};

/// The longest silence of a provider that hangs.
const HANG: Duration = Duration::from_secs(60);

/// How a stream ends that is not to end well.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The connection closes.
    Close,
    /// It is reset.
    Reset,
    /// HTTP's own end comes, as if all was well.
    CleanEnd,
    /// An error event, then HTTP's end.
    ErrorEvent,
    /// Half an event, then HTTP's end.
    HalfEvent,
    /// What comes is no event of the API, then HTTP's end.
    Nonsense,
    /// Nothing more comes.
    Silence,
}

const CUTS: [Cut; 7] =
    [Cut::Close, Cut::Reset, Cut::CleanEnd, Cut::ErrorEvent, Cut::HalfEvent, Cut::Nonsense, Cut::Silence];

/// Answers a request as one does in this mode. An error means that the connection is not to be used any more.
pub(super) fn answer(mode: Mode, ask: &Ask, stream: &mut Wire, rng: &mut Rng) -> std::io::Result<()> {
    let mut error = |status: u16, headers: &str| {
        let body = ask.api.error(status, "not now").to_string();
        write(stream, &response(status, headers, "application/json", &body))
    };
    match mode {
        Mode::Well => well(ask, stream, rng, false),
        Mode::Slow => well(ask, stream, rng, true),
        Mode::Refuse | Mode::Reset => reset(stream),
        Mode::Hang => hang(stream),
        Mode::Limit => error(429, ""),
        Mode::LimitUntil => error(429, &format!("retry-after: {}\r\n", rng.u8(1..=4))),
        Mode::Broke => error(402, ""),
        Mode::Fault => error(500, ""),
        Mode::Overload => error(if ask.api == Api::Messages { 529 } else { 503 }, ""),
        Mode::Garbage => garbage(ask, stream, rng),
        Mode::CutBefore => cut(ask, stream, rng, false),
        Mode::CutAfter => cut(ask, stream, rng, true),
        Mode::Mixed if rng.bool() => well(ask, stream, rng, false),
        Mode::Mixed => {
            let of = ILLS.iter().filter(|ill| **ill != Mode::Mixed).copied().collect::<Vec<_>>();
            answer(rng.choice(of).unwrap_or(Mode::Fault), ask, stream, rng)
        }
    }
}

/// An answer of HTTP in one piece; `headers` end in line breaks.
pub(super) fn response(status: u16, headers: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Because\r\n{headers}content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
const END: &str = "0\r\n\r\n";

fn write(stream: &mut Wire, text: &str) -> std::io::Result<()> {
    stream.write_all(text.as_bytes())
}

fn chunk(stream: &mut Wire, text: &str) -> std::io::Result<()> {
    write(stream, &format!("{:x}\r\n{text}\r\n", text.len()))
}

fn over() -> Error {
    Error::from(ErrorKind::ConnectionAborted)
}

fn well(ask: &Ask, stream: &mut Wire, rng: &mut Rng, is_slow: bool) -> std::io::Result<()> {
    let millis = |range| Duration::from_millis(if is_slow { range } else { range / 20 });
    clock::pause(millis(rng.u64(0..1500)));
    let pieces = ask.order.pieces(ask.attempt);
    if !ask.stream {
        let body = answer::whole(ask.api, &ask.model, &pieces).to_string();
        return write(stream, &response(200, "", "application/json", &body));
    }
    write(stream, STREAM)?;
    for event in answer::events(ask.api, &ask.model, &pieces, ask.wants_usage).all {
        clock::pause(millis(rng.u64(0..400)));
        // Some events come in two pieces.
        let middle = rng.usize(..event.len());
        match event.split_at_checked(middle) {
            Some((one, other)) if rng.u8(..8) == 0 && !one.is_empty() => {
                chunk(stream, one)?;
                chunk(stream, other)?;
            }
            _ => chunk(stream, &event)?,
        }
    }
    write(stream, END)
}

fn reset(stream: &Wire) -> std::io::Result<()> {
    socket2::SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO))?;
    Err(over())
}

fn hang(stream: &mut Wire) -> std::io::Result<()> {
    stream.socket().set_read_timeout(Some(HANG))?;
    // Until the gateway gives up.
    let _ = stream.read(&mut [0]);
    Err(over())
}

fn garbage(ask: &Ask, stream: &mut Wire, rng: &mut Rng) -> std::io::Result<()> {
    let events = answer::events(ask.api, &ask.model, &ask.order.pieces(ask.attempt), ask.wants_usage);
    match rng.u8(..7) {
        0 => write(stream, &response(200, "", "text/html", "<html>Welcome to the wireless network</html>")),
        1 => write(stream, &response(200, "", "application/json", "{\"choices\":")),
        2 => write(stream, &response(200, "", "application/json", "[]")),
        3 => {
            let _ = write(stream, "SSH-2.0-OpenSSH_9.9\r\n\r\n");
            Err(over())
        }
        4 => write(stream, "HTTP/1.1 204 No Content\r\n\r\n"),
        5 => {
            write(stream, STREAM)?;
            chunk(stream, "data: {\"choices\": nothing}\n\n")?;
            write(stream, END)
        }
        // An answer, but not of the kind that was asked for.
        _ if ask.stream => write(stream, &response(200, "", "text/plain", &events.all.concat())),
        _ => write(stream, &response(200, "", "text/event-stream", &events.all.concat())),
    }
}

/// Ends an answer too early: before its first word, or behind it.
fn cut(ask: &Ask, stream: &mut Wire, rng: &mut Rng, is_after: bool) -> std::io::Result<()> {
    let pieces = ask.order.pieces(ask.attempt);
    if !ask.stream {
        let body = answer::whole(ask.api, &ask.model, &pieces).to_string();
        let whole = response(200, "", "application/json", &body);
        let end = whole.len() - body.len() + rng.usize(..body.len());
        write(stream, whole.get(..end).unwrap_or_default())?;
        return if rng.bool() { reset(stream) } else { Err(over()) };
    }
    let Events { all, content } = answer::events(ask.api, &ask.model, &pieces, ask.wants_usage);
    // The last word never comes.
    let end = if is_after { rng.usize(content.start + 1..content.end) } else { rng.usize(..=content.start) };
    write(stream, STREAM)?;
    for event in all.iter().take(end) {
        clock::pause(Duration::from_millis(rng.u64(0..20)));
        chunk(stream, event)?;
    }
    match rng.choice(CUTS).unwrap_or(Cut::Close) {
        Cut::Close => {
            let _ = stream.socket().shutdown(Shutdown::Both);
            return Err(over());
        }
        Cut::Reset => return reset(stream),
        Cut::Silence => return hang(stream),
        Cut::CleanEnd => {}
        Cut::ErrorEvent => chunk(stream, &ask.api.error_event(end))?,
        Cut::HalfEvent => {
            let next = all.get(end).map_or("data: {", String::as_str);
            chunk(stream, next.get(..next.len() / 2).unwrap_or("data: {"))?;
        }
        Cut::Nonsense => chunk(stream, "data: {\"what\": [\n\n")?,
    }
    write(stream, END)
}
