//! The reader of binary event streams and what Converse makes of one: any chunking gives the same. So that the fuzzer
//! gets past the checksums, the same bytes are also read as lines of payloads in right frames.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waypost_dialect::dialect::{Observed, StreamOptions};
use waypost_dialect::error::ResponseError;
use waypost_dialect::event::StreamEvent;
use waypost_dialect::eventstream::{Broken, Reader};
use waypost_dialect::loss::Loss;
use waypost_dialect::{ClientDialect, DialectId};

#[path = "../chunks.rs"]
mod chunks;
#[path = "../../crates/dialect/tests/it/frames.rs"]
#[expect(dead_code, reason = "frames are made of any bytes here")]
mod frames;

type Seen = (Vec<(Option<String>, Vec<u8>)>, Result<(), Broken>);

fn messages(chunks: &[&[u8]]) -> Seen {
    let (mut reader, mut seen, mut result) = (Reader::default(), Vec::new(), Ok(()));
    for chunk in chunks {
        result = result.and_then(|()| {
            reader.push(chunk, &mut |message| {
                seen.push((message.text(":event-type").map(str::to_owned), message.payload.to_vec()));
            })
        });
    }
    (seen, result)
}

type Read = (Vec<StreamEvent>, Result<(), ResponseError>, Observed);

fn events(chunks: &[&[u8]]) -> Read {
    let mut events = Vec::new();
    let mut decoder = DialectId::BedrockConverse.codec().stream_decoder();
    let mut result = Ok(());
    for chunk in chunks {
        result = result.and_then(|()| decoder.push(chunk, &mut events));
    }
    let result = result.and_then(|()| decoder.finish(&mut events));
    (events, result, decoder.observed().clone())
}

fn stream(bytes: &[u8]) {
    let pieces = chunks::of(bytes);
    assert_eq!(messages(&pieces), messages(&[bytes]));
    let whole = events(&[bytes]);
    assert_eq!(events(&pieces), whole);
    for client in ClientDialect::ALL {
        let (mut out, mut loss) = (Vec::new(), Loss::default());
        let mut encoder = client.codec().stream_encoder(StreamOptions { include_usage: true });
        whole.0.iter().for_each(|event| encoder.push(event, &mut out, &mut loss));
        encoder.finish(&mut out);
    }
}

fuzz_target!(|data: &[u8]| {
    stream(data);
    let framed = data.split(|byte| *byte == b'\n').flat_map(|line| {
        let (name, payload) = line.split_at(line.iter().position(|byte| *byte == b' ').unwrap_or(0));
        let name = std::str::from_utf8(name.get(..64).unwrap_or(name)).unwrap_or_default();
        match name.strip_prefix('!') {
            Some(name) => frames::frame("exception", name, payload),
            None => frames::frame("event", name, payload),
        }
    });
    stream(&framed.collect::<Vec<u8>>());
});
