//! Reading and writing: the only work on a request that goes through in one dialect, and each codec where it does not.

use bytes::Bytes;
use waypost_dialect::ClientDialect::{AnthropicMessages, OpenAiChat};
use waypost_dialect::dialect::StreamOptions;
use waypost_dialect::envelope::{self, Envelope};
use waypost_dialect::loss::Loss;
use waypost_dialect::provider::Quirks;
use waypost_dialect::{ClientDialect, DialectId};

use crate::Case;
use crate::input::{self, SIZES};

/// The envelope of a body, as the endpoint of each dialect reads it.
pub(crate) fn peek(dialect: ClientDialect, body: &[u8]) -> Envelope<'_> {
    let envelope = match dialect {
        ClientDialect::OpenAiChat | ClientDialect::AnthropicMessages => envelope::peek(body),
        ClientDialect::OpenAiResponses => envelope::peek_responses(body),
        ClientDialect::Gemini => envelope::peek_contents(body, "gemini-3-pro", false),
    };
    envelope.expect("a request")
}

/// A body and what was peeked of it.
pub(crate) fn peeked(dialect: ClientDialect, bytes: usize) -> (Bytes, Envelope<'static>) {
    let body: &'static [u8] = Box::leak(input::request(dialect, bytes).into_boxed_slice());
    (Bytes::from_static(body), peek(dialect, body))
}

/// Peek, splice, and what is read of a conversation later.
pub(crate) fn requests() -> Vec<Case> {
    let mut cases = Vec::new();
    for dialect in ClientDialect::ALL {
        for (size, bytes) in SIZES {
            let name = format!("peek/{}/{size}", dialect.name());
            cases.push(Case::new(
                name,
                move || input::request(dialect, bytes),
                move |body| peek(dialect, body).message_count(),
            ));
        }
    }
    for (size, bytes) in SIZES {
        let name = format!("splice_model/{size}");
        cases.push(Case::new(
            name,
            move || peeked(OpenAiChat, bytes),
            |(body, envelope)| envelope.splice_model(body, "gpt-5.2-2026-01-15"),
        ));
    }
    cases.push(Case::new(
        "splice_version/32k",
        || peeked(AnthropicMessages, 32 << 10),
        |(body, envelope)| envelope.splice_version(body, "bedrock-2023-05-31", None),
    ));
    for (size, bytes) in SIZES {
        let name = format!("turns/openai_chat/{size}");
        cases.push(Case::new(name, move || peeked(OpenAiChat, bytes), |(_, envelope)| envelope.turns()));
        // Contents are lists of parts there. What one call has read the next one knows: each has an envelope of its own.
        let name = format!("needs/anthropic_messages/{size}");
        cases.push(Case::new(
            name,
            move || peeked(AnthropicMessages, bytes),
            |(body, _)| envelope::peek(body).map(|envelope| envelope.needs()),
        ));
    }
    cases
}

/// Requests from one dialect into another: reading, and writing.
pub(crate) fn translated_requests() -> Vec<Case> {
    let mut cases = Vec::new();
    for dialect in ClientDialect::ALL {
        for (size, bytes) in SIZES {
            let name = format!("decode_request/{}/{size}", dialect.name());
            cases.push(Case::new(
                name,
                move || input::request(dialect, bytes),
                move |body| dialect.codec().decode_request(body).expect("a request"),
            ));
        }
    }
    for dialect in DialectId::ALL {
        for (size, bytes) in SIZES {
            let name = format!("encode_request/{}/{size}", dialect.name());
            let read =
                move || OpenAiChat.codec().decode_request(&input::conversation(bytes)).expect("a request");
            cases.push(Case::new(name, read, move |request| {
                dialect.codec().encode_request(request, Quirks::NONE, &mut Loss::default()).expect("a body")
            }));
        }
    }
    cases
}

/// Plain answers: watched as they pass, read, written.
pub(crate) fn answers() -> Vec<Case> {
    let mut cases = Vec::new();
    for dialect in DialectId::ALL {
        let name = format!("observe_response/{}", dialect.name());
        cases.push(Case::new(
            name,
            move || input::response(dialect),
            move |body| dialect.codec().observe_response(body).expect("an answer"),
        ));
    }
    for dialect in DialectId::ALL {
        let name = format!("decode_response/{}", dialect.name());
        cases.push(Case::new(
            name,
            move || input::response(dialect),
            move |body| dialect.codec().decode_response(body).expect("an answer"),
        ));
    }
    for dialect in ClientDialect::ALL {
        let name = format!("encode_response/{}", dialect.name());
        let read = || {
            let body = input::response(DialectId::OpenAiChat);
            DialectId::OpenAiChat.codec().decode_response(&body).expect("an answer")
        };
        cases.push(Case::new(name, read, move |response| {
            dialect.codec().encode_response(response, &mut Loss::default())
        }));
    }
    cases
}

/// Streams, an event a chunk: watched as they pass, read, written.
pub(crate) fn streams() -> Vec<Case> {
    let mut cases = Vec::new();
    for dialect in ClientDialect::ALL {
        let name = format!("tap_stream/{}", dialect.name());
        cases.push(Case::new(
            name,
            move || input::stream(dialect.id()),
            move |stream| {
                let mut tap = dialect.codec().stream_tap();
                stream.iter().for_each(|chunk| tap.push(chunk));
                assert!(tap.observed().complete, "the stream has an end");
            },
        ));
    }
    for dialect in DialectId::ALL {
        let name = format!("decode_stream/{}", dialect.name());
        cases.push(Case::new(
            name,
            move || input::stream(dialect),
            move |stream| input::events(dialect, stream),
        ));
    }
    for dialect in ClientDialect::ALL {
        let name = format!("encode_stream/{}", dialect.name());
        let read = || input::events(DialectId::OpenAiChat, &input::stream(DialectId::OpenAiChat));
        cases.push(Case::new(name, read, move |events| {
            let mut encoder = dialect.codec().stream_encoder(StreamOptions { include_usage: true });
            let (mut out, mut loss) = (Vec::new(), Loss::default());
            events.iter().for_each(|event| encoder.push(event, &mut out, &mut loss));
            encoder.finish(&mut out);
            out
        }));
    }
    cases
}
