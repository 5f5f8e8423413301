//! The reader of server-sent events: any chunking gives the same events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use waypost_dialect::sse::{Found, Reader};

#[path = "../chunks.rs"]
mod chunks;

fn read(chunks: &[&[u8]]) -> Vec<Option<(Vec<u8>, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut sink = |event: Found<'_>| {
        found.push(match event {
            Found::Event { name, data } => Some((name.to_vec(), data.to_vec())),
            Found::TooLarge => None,
        });
    };
    let mut reader = Reader::default();
    chunks.iter().for_each(|chunk| reader.push(chunk, &mut sink));
    reader.finish(&mut sink);
    found
}

fuzz_target!(|data: &[u8]| {
    let whole = read(&[data]);
    assert_eq!(read(&chunks::of(data)), whole);
    assert_eq!(read(&data.chunks(1).collect::<Vec<_>>()), whole);
});
