//! Every dialect as reader of the same bytes: as a request, as an answer, as an error, as a stream in pieces. What one
//! has read any other can write, and what is written can be read.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use waypost_dialect::dialect::{Observed, StreamOptions};
use waypost_dialect::error::ResponseError;
use waypost_dialect::event::StreamEvent;
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;
use waypost_dialect::providers::PROVIDERS;
use waypost_dialect::{ClientDialect, DialectId};

#[path = "../chunks.rs"]
mod chunks;

/// As the providers have them.
static QUIRKS: LazyLock<Vec<Quirks>> = LazyLock::new(|| {
    let mut found = vec![Quirks::default()];
    for provider in PROVIDERS {
        if !found.contains(&provider.quirks) {
            found.push(provider.quirks);
        }
    }
    found
});

fuzz_target!(|data: &[u8]| {
    for client in ClientDialect::ALL {
        request(client, data);
        let _ = client.codec().observe_response(data);
    }
    for provider in DialectId::ALL {
        response(provider, data);
        error(provider, data);
        stream(provider, data);
    }
});

fn assert_json(bytes: &[u8], what: &str) {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        panic!("{what}: {error}: {}", String::from_utf8_lossy(bytes));
    }
}

fn client_of(id: DialectId) -> Option<ClientDialect> {
    ClientDialect::ALL.into_iter().find(|client| client.id() == id)
}

fn request(id: ClientDialect, data: &[u8]) {
    let Ok(request) = id.codec().decode_request(data) else { return };
    for to in DialectId::ALL {
        for quirks in QUIRKS.iter().copied() {
            let Ok(written) = to.codec().encode_request(&request, quirks, &mut Loss::default()) else {
                continue;
            };
            assert_json(&written, "a request");
            if let Some(to) = client_of(to)
                && let Err(error) = to.codec().decode_request(&written)
            {
                panic!("{id:?} → {to:?}: {error}: {}", String::from_utf8_lossy(&written));
            }
        }
    }
}

fn response(id: DialectId, data: &[u8]) {
    let Ok(response) = id.codec().decode_response(data) else { return };
    for to in ClientDialect::ALL {
        let written = to.codec().encode_response(&response, &mut Loss::default());
        assert_json(&written, "an answer");
        if let Err(error) = to.codec().decode_response(&written) {
            panic!("{id:?} → {to:?}: {error}: {}", String::from_utf8_lossy(&written));
        }
    }
}

fn error(id: DialectId, data: &[u8]) {
    for status in [200, 400, 401, 429, 500, 529] {
        let error = id.codec().decode_error(status, data);
        for to in ClientDialect::ALL {
            assert_json(&to.codec().encode_error(&error), "an error");
            let _ = read(to, &[&to.codec().encode_stream_error(&error)]);
        }
    }
}

type Read = (Vec<StreamEvent>, Result<(), ResponseError>, Observed);

fn read(id: impl Into<DialectId>, chunks: &[&[u8]]) -> Read {
    let mut events = Vec::new();
    let mut decoder = id.into().codec().stream_decoder();
    let mut result = Ok(());
    for chunk in chunks {
        result = result.and_then(|()| decoder.push(chunk, &mut events));
    }
    let result = result.and_then(|()| decoder.finish(&mut events));
    (events, result, decoder.observed().clone())
}

fn observed(id: ClientDialect, chunks: &[&[u8]]) -> Observed {
    let mut tap = id.codec().stream_tap();
    chunks.iter().for_each(|chunk| tap.push(chunk));
    tap.observed().clone()
}

fn stream(id: DialectId, data: &[u8]) {
    let (whole, pieces) = (read(id, &[data]), chunks::of(data));
    assert_eq!(read(id, &pieces), whole, "{id:?} in pieces");
    // The tap trusts the names of events and looks at what may be the last one, so it may see other things than the
    // decoder where a stream contradicts itself; it has to survive.
    if let Some(client) = client_of(id) {
        let _ = observed(client, &pieces);
    }
    for to in ClientDialect::ALL {
        let (mut out, mut loss) = (Vec::new(), Loss::default());
        let mut encoder = to.codec().stream_encoder(StreamOptions { include_usage: true });
        whole.0.iter().for_each(|event| encoder.push(event, &mut out, &mut loss));
        encoder.finish(&mut out);
        let again = read(to, &chunks::of(&out));
        if whole.1.is_ok() && whole.2.error.is_none() {
            assert!(again.1.is_ok(), "{id:?} → {to:?}: {:?}: {}", again.1, String::from_utf8_lossy(&out));
        }
    }
}
