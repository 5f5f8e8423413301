//! A provider that costs as little as it can: Chat Completions and Messages, bytes that are ready, nothing read of a
//! request but how long it is and what its beginning orders. `waypost echo` is the one that reads and checks.
//!
//! Orders stand in the first user message: `[[stream N MS]]` sends N events, one each MS milliseconds (0 is at once);
//! `[[idle]]` begins a stream and is silent until somebody asks for [`FINISH`]. Without one the answer is whole and
//! comes at once. Each event of a stream holds the time at which it was sent, as `@NANOSECONDS@`.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use memchr::memmem;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::answers::{Answers, Api, chunk};
use super::wire::{self, Length};

/// The path that ends all idle streams.
pub const FINISH: &str = "/finish";

/// Bytes of a body in which orders are looked for.
const ORDERED: usize = 1024;
/// Most of a body that is read at once, in bytes.
const MOST_AT_ONCE: usize = 256 << 10;
/// Longest silence of an idle stream: shorter than a gateway's idle timeout.
const PING: Duration = Duration::from_secs(60);
/// Most events of a stream.
const MOST_EVENTS: u64 = 1_000_000;

/// Serves on so many threads, until the process ends.
///
/// # Errors
/// The address cannot be bound, or a thread not be started.
pub fn start(
    address: SocketAddr,
    threads: usize,
) -> io::Result<(SocketAddr, Vec<JoinHandle<io::Result<()>>>)> {
    let socket = crate::server::bound::bind(address)?;
    let address = socket.local_addr()?;
    let mock = Arc::new(Mock {
        chat: Answers::new(Api::Chat),
        messages: Answers::new(Api::Messages),
        finish: watch::Sender::new(0),
    });
    let mut running = Vec::with_capacity(threads);
    for _ in 0..threads.max(1) {
        let (socket, mock) = (socket.try_clone()?, Arc::clone(&mock));
        let thread = std::thread::Builder::new().name("mock".to_owned());
        running.push(thread.spawn(move || accept(socket, &mock))?);
    }
    Ok((address, running))
}

/// Nanoseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[derive(Debug)]
struct Mock {
    chat: Answers,
    messages: Answers,
    /// How often idle streams were told to end.
    finish: watch::Sender<u64>,
}

fn accept(socket: net::TcpListener, mock: &Arc<Mock>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(socket)?;
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, most likely.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let mock = Arc::clone(mock);
            tokio::spawn(async move {
                // A client that leaves is none of our business.
                let _ = mock.serve(stream).await;
            });
        }
    })
}

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Plain,
    Idle,
    Stream { events: u64, pause: Duration },
}

impl Order {
    fn of(body: &[u8]) -> Self {
        let order = || {
            let start = memmem::find(body, b"[[")? + 2;
            let length = memmem::find(&body[start..], b"]]")?;
            std::str::from_utf8(&body[start..start + length]).ok()
        };
        let mut words = order().unwrap_or_default().split(' ');
        let kind = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
        match kind {
            "idle" => Self::Idle,
            "stream" => {
                Self::Stream { events: number().min(MOST_EVENTS), pause: Duration::from_millis(number()) }
            }
            _ => Self::Plain,
        }
    }
}

impl Mock {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = Vec::new();
        loop {
            let head = loop {
                match wire::head(&buffer)? {
                    Some(head) => break head,
                    None if wire::fill(&mut stream, &mut buffer).await? == 0 => return Ok(()),
                    None => {}
                }
            };
            let length = match head.length {
                Length::Known(length) => length,
                Length::Unsaid => 0,
                Length::Chunked => {
                    let refused =
                        b"HTTP/1.1 411 Length Required\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                    return stream.write_all(refused).await;
                }
            };
            let read = head.end + length.min(ORDERED);
            while buffer.len() < read {
                if wire::fill(&mut stream, &mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            let order = Order::of(&buffer[head.end..read]);
            let line = buffer.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let path = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            let is_finish = path == FINISH.as_bytes();
            let answers = if path.ends_with(b"/messages") { &self.messages } else { &self.chat };
            // The rest is not looked at.
            let mut whole = head.end + length;
            buffer.reserve(whole.saturating_sub(buffer.len()).min(MOST_AT_ONCE));
            while buffer.len() < whole {
                whole -= buffer.len();
                buffer.clear();
                if wire::fill(&mut stream, &mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            buffer.drain(..whole);
            match order {
                _ if is_finish => {
                    self.finish.send_modify(|count| *count += 1);
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
                }
                Order::Plain => stream.write_all(&answers.plain).await?,
                Order::Idle => self.idle(&mut stream, answers).await?,
                Order::Stream { events, pause } => send(&mut stream, answers, events, pause).await?,
            }
        }
    }

    async fn idle(&self, stream: &mut TcpStream, answers: &Answers) -> io::Result<()> {
        let mut finished = self.finish.subscribe();
        begin(stream, answers).await?;
        loop {
            tokio::select! {
                _ = finished.changed() => break,
                () = tokio::time::sleep(PING) => stream.write_all(&chunk(": ping\n\n")).await?,
            }
        }
        stream.write_all(&answers.end).await
    }
}

/// The head of a stream, and its first text.
async fn begin(stream: &mut TcpStream, answers: &Answers) -> io::Result<()> {
    let mut bytes = answers.begin.clone();
    bytes.extend_from_slice(answers.event.clone().stamped(now()));
    stream.write_all(&bytes).await
}

async fn send(stream: &mut TcpStream, answers: &Answers, events: u64, pause: Duration) -> io::Result<()> {
    begin(stream, answers).await?;
    let mut event = answers.event.clone();
    for _ in 1..events {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        stream.write_all(event.stamped(now())).await?;
    }
    stream.write_all(&answers.end).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_or_there_is_none() {
        let of = |text: &str| Order::of(text.as_bytes());
        assert_eq!(of("{\"content\":\"hello\"}"), Order::Plain);
        assert_eq!(of("\"[[idle]] x"), Order::Idle);
        let pause = Duration::from_millis(20);
        assert_eq!(of("\"[[stream 64 20]] x"), Order::Stream { events: 64, pause });
        assert_eq!(of("[[stream x"), Order::Plain);
        assert_eq!(
            of("[[stream 99999999999 0]]"),
            Order::Stream { events: MOST_EVENTS, pause: Duration::ZERO }
        );
    }
}
