//! A provider of two dialects that does what the prompt says: `[[plain]]` answers at once, `[[idle]]` begins a stream
//! and is silent until it is told to end, `[[paced N MS]]` sends N events, one each MS milliseconds. Each event of a
//! paced stream holds the time at which it was sent, as `@NANOSECONDS@`.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Longest silence of an idle stream: shorter than the gateway's idle timeout.
const PING: Duration = Duration::from_secs(60);
/// Largest request that is read, in bytes.
const MAX_REQUEST: usize = 64 << 20;

/// The path that ends all idle streams.
pub(super) const FINISH: &str = "/finish";

/// Says on standard output where it listens, then serves for ever.
pub(super) async fn run() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let finish = Arc::new(watch::Sender::new(0_u64));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let finish = Arc::clone(&finish);
        tokio::spawn(async move {
            // A client that leaves is none of our business.
            let _ = serve(stream, &finish).await;
        });
    }
}

async fn serve(mut stream: TcpStream, finish: &watch::Sender<u64>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let Some((head, body)) = read(&mut stream, &mut buffer).await? else { return Ok(()) };
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path == FINISH {
            finish.send_modify(|count| *count += 1);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            continue;
        }
        let is_messages = path.ends_with("/messages");
        let order =
            body.split_once("[[").and_then(|(_, rest)| rest.split_once("]]")).map_or("", |(order, _)| order);
        let mut words = order.split(' ');
        let kind = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        match kind {
            "idle" => {
                let mut finished = finish.subscribe();
                begin(&mut stream, is_messages).await?;
                loop {
                    tokio::select! {
                        _ = finished.changed() => break,
                        () = tokio::time::sleep(PING) => stream.write_all(&chunk(": ping\n\n")).await?,
                    }
                }
                stream.write_all(&end(is_messages)).await?;
            }
            "paced" => {
                let (count, pause) = (number(), Duration::from_millis(number()));
                begin(&mut stream, is_messages).await?;
                for _ in 0..count {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    stream.write_all(&chunk(&delta(is_messages, &format!("@{}@", now())))).await?;
                }
                stream.write_all(&end(is_messages)).await?;
            }
            _ => stream.write_all(&plain(is_messages)).await?,
        }
    }
}

/// Nanoseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The next request; `None` at the end of the connection.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<(String, String)>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length: usize = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(Ok(0), |length| length.trim().parse())
                .context("content-length")?;
            let whole = end + 4 + length;
            if whole > MAX_REQUEST {
                bail!("a request of {whole} bytes");
            }
            while buffer.len() < whole {
                if stream.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            let body = String::from_utf8_lossy(&buffer[end + 4..whole]).into_owned();
            buffer.drain(..whole);
            return Ok(Some((head, body)));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

/// The head of a stream, its preamble and a first word.
async fn begin(stream: &mut TcpStream, is_messages: bool) -> Result<()> {
    let mut bytes =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let preamble = if is_messages {
        concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",",
            "\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,",
            "\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        )
        .to_owned()
    } else {
        chat("{\"role\":\"assistant\",\"content\":\"\"}", "null")
    };
    bytes.extend(chunk(&(preamble + &delta(is_messages, "first"))));
    stream.write_all(&bytes).await?;
    Ok(())
}

fn chat(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
         \"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn delta(is_messages: bool, text: &str) -> String {
    if is_messages {
        return format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n"
        );
    }
    chat(&format!("{{\"content\":\"{text}\"}}"), "null")
}

fn end(is_messages: bool) -> Vec<u8> {
    let events = if is_messages {
        concat!(
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",",
            "\"stop_sequence\":null},\"usage\":{\"output_tokens\":5}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        )
        .to_owned()
    } else {
        chat("{}", "\"stop\"") + "data: [DONE]\n\n"
    };
    let mut bytes = chunk(&events);
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn plain(is_messages: bool) -> Vec<u8> {
    let body = if is_messages {
        concat!(
            "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",",
            "\"content\":[{\"type\":\"text\",\"text\":\"Fine\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,",
            "\"usage\":{\"input_tokens\":3,\"output_tokens\":5}}",
        )
    } else {
        concat!(
            "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",",
            "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Fine\"},",
            "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,\"total_tokens\":8}}",
        )
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + body).into_bytes()
}
