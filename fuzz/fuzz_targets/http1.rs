//! The readers of HTTP/1.1: requests of clients, one behind the other, and the answer of a provider. Any chunking gives
//! the same heads and the same bodies. The gateway's files are taken as they stand: they need nothing else of it.
#![no_main]
#![allow(dead_code, reason = "the gateway does more with them than read")]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;

#[path = "../chunks.rs"]
mod chunks;
#[path = "../../crates/gateway/src/http1/mod.rs"]
mod http1;
#[path = "../http1/server.rs"]
mod server;
#[path = "../http1/upstream.rs"]
mod upstream;

use http1::framing::{Framing, Step};

fuzz_target!(|data: &[u8]| {
    // With an end, as what is no head at all may be refused before there is one: then it depends on how much is there.
    let data = &[data, b"\r\n\r\n"].concat();
    let bytewise: Vec<&[u8]> = data.chunks(1).collect();
    for read in [server::read, upstream::read] {
        let whole = read(&[&data[..]]);
        assert_eq!(read(&chunks::of(data)), whole);
        assert_eq!(read(&bytewise), whole);
    }
});

/// What was read of some bytes: heads in words, each with its body, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    messages: Vec<(String, Vec<u8>)>,
    end: End,
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Nothing is missing.
    Whole,
    /// More has to come.
    More,
    /// It is no HTTP.
    Broken,
}

/// Reads messages from bytes that come in these pieces, `most` of them; what follows is left. `head` takes the next head
/// out of what has come.
fn read(
    pieces: &[&[u8]],
    most: usize,
    mut head: impl FnMut(&mut BytesMut) -> Result<Option<(String, Framing)>, ()>,
) -> Told {
    let (mut buffer, mut body) = (BytesMut::new(), None::<Framing>);
    let mut told = Told { messages: Vec::new(), end: End::More };
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while told.end == End::More {
            let Some(framing) = &mut body else {
                match head(&mut buffer) {
                    Ok(None) => break,
                    Ok(Some((words, framing))) => {
                        told.messages.push((words, Vec::new()));
                        body = Some(framing);
                    }
                    Err(()) => told.end = End::Broken,
                }
                continue;
            };
            match framing.take(&mut buffer) {
                Ok(Step::More) => break,
                Ok(Step::Data(data)) => {
                    assert!(!data.is_empty(), "an empty piece would be no progress");
                    told.messages.last_mut().expect("a body has a head").1.extend_from_slice(&data);
                }
                Ok(Step::End) if told.messages.len() == most => told.end = End::Whole,
                Ok(Step::End) => body = None,
                Err(_) => told.end = End::Broken,
            }
        }
    }
    told
}
