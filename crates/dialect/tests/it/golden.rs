//! Golden translations: every fixture is read and written in every other dialect. A new case is a new folder under
//! `tests/fixtures/DIALECT/`, with any of these files:
//!
//! * `request.json`: what a client of the dialect sends;
//! * `response.json`: what a provider of the dialect answers;
//! * `stream.sse`: the same as a stream, or `stream.events` where that is binary ([`frames`]);
//! * `error.json`: an error body, whose status is the last word of the folder's name (`rate_limit_429`).

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use waypost_dialect::chat::ToolNames;
use waypost_dialect::dialect::StreamOptions;
use waypost_dialect::error::{ErrorKind, ResponseError};
use waypost_dialect::loss::{Loss, Reason};
use waypost_dialect::provider::Quirks;
use waypost_dialect::{ClientDialect, DialectId};

use super::frames;

pub(crate) const CLIENTS: [ClientDialect; 4] = ClientDialect::ALL;
pub(crate) const PROVIDERS: [DialectId; 5] = DialectId::ALL;

/// The dialect as clients are served in it, if they are.
pub(crate) fn of_clients(dialect: DialectId) -> Option<ClientDialect> {
    CLIENTS.into_iter().find(|client| client.id() == dialect)
}

/// Every case of every dialect: its dialect and its folder.
pub(crate) fn cases() -> Vec<(DialectId, PathBuf)> {
    let mut cases = Vec::new();
    for dialect in PROVIDERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(dialect.name());
        let mut found: Vec<PathBuf> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        found.sort();
        cases.extend(found.into_iter().map(|path| (dialect, path)));
    }
    assert!(cases.len() > 20, "the fixtures are gone");
    cases
}

/// Those of dialects that clients are served in.
pub(crate) fn client_cases() -> Vec<(ClientDialect, PathBuf)> {
    cases().into_iter().filter_map(|(dialect, case)| Some((of_clients(dialect)?, case))).collect()
}

/// The stream of a case as it goes over the wire.
pub(crate) fn stream(case: &Path) -> Option<Vec<u8>> {
    file(case, "stream.sse").or_else(|| file(case, "stream.events").map(|lines| frames::of_lines(&lines)))
}

pub(crate) fn file(case: &Path, name: &str) -> Option<Vec<u8>> {
    fs::read(case.join(name)).ok()
}

fn snapshot(case: &Path, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(case);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn pretty(body: &[u8]) -> String {
    let value: Value = serde_json::from_slice(body).expect("a codec writes JSON");
    serde_json::to_string_pretty(&value).unwrap()
}

fn lost(loss: &Loss) -> String {
    let named = |(path, reason): (&str, Reason)| format!("{path} ({})", reason.word());
    match loss.entries().map(named).collect::<Vec<_>>() {
        fields if fields.is_empty() => "nothing lost".to_owned(),
        fields => format!("lost: {}", fields.join(", ")),
    }
}

#[test]
fn requests() {
    for (from, case) in client_cases() {
        let Some(body) = file(&case, "request.json") else { continue };
        for to in PROVIDERS.into_iter().filter(|to| *to != from.id()) {
            let mut loss = Loss::default();
            let text = match from.codec().decode_request(&body) {
                Err(error) => format!("refused: {error}"),
                Ok(mut request) => {
                    let _ = ToolNames::fit(&mut request, to);
                    match to.codec().encode_request(&request, Quirks::default(), &mut loss) {
                        Ok(body) => format!("{}\n\n{}", lost(&loss), pretty(&body)),
                        Err(error) if loss.is_empty() => format!("refused: {error}"),
                        Err(error) => format!("refused: {error}\n{}", lost(&loss)),
                    }
                }
            };
            snapshot(&case, &format!("request_to_{}", to.name()), &text);
        }
    }
}

#[test]
fn responses() {
    for (from, case) in cases() {
        let Some(body) = file(&case, "response.json") else { continue };
        let observed = from.codec().observe_response(&body);
        for to in CLIENTS.into_iter().filter(|to| to.id() != from) {
            let text = match from.codec().decode_response(&body) {
                Err(ResponseError::Reported(error)) => {
                    assert_eq!(observed, Err(ResponseError::Reported(error.clone())), "{}", case.display());
                    format!("reported: {error:?}\n\n{}", pretty(&to.codec().encode_error(&error)))
                }
                Err(error) => format!("refused: {error}"),
                Ok(response) => {
                    let observed = observed.as_ref().unwrap();
                    let mut loss = Loss::default();
                    let encoded = to.codec().encode_response(&response, &mut loss);
                    assert_eq!(response.usage, observed.usage, "{}", case.display());
                    format!("{}\n{observed:?}\n\n{}", lost(&loss), pretty(&encoded))
                }
            };
            snapshot(&case, &format!("response_to_{}", to.name()), &text);
        }
    }
}

#[test]
fn streams() {
    for (from, case) in cases() {
        let Some(body) = stream(&case) else { continue };
        for to in CLIENTS.into_iter().filter(|to| to.id() != from) {
            let (mut events, mut out, mut loss) = (Vec::new(), Vec::new(), Loss::default());
            let mut decoder = from.codec().stream_decoder();
            let mut encoder = to.codec().stream_encoder(StreamOptions { include_usage: true });
            let ended = decoder.push(&body, &mut events).and_then(|()| decoder.finish(&mut events));
            for event in &events {
                encoder.push(event, &mut out, &mut loss);
            }
            let mut text = lost(&loss);
            match ended {
                Ok(()) => encoder.finish(&mut out),
                Err(error) => write!(text, "\nbroken: {error}").unwrap(),
            }
            write!(text, "\n{:?}\n\n{}", decoder.observed(), String::from_utf8(out).unwrap()).unwrap();
            snapshot(&case, &format!("stream_to_{}", to.name()), &text);
        }
    }
}

#[test]
fn errors() {
    for (from, case) in cases() {
        let Some(body) = file(&case, "error.json") else { continue };
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let status = name.rsplit('_').next().and_then(|word| word.parse().ok()).unwrap();
        let error = from.codec().decode_error(status, &body);
        // A wrong key is one, whatever it is told with.
        let is_key = error.kind == ErrorKind::Authentication;
        assert_eq!(error.status, if is_key && status == 400 { 401 } else { status });
        for to in CLIENTS.into_iter().filter(|to| to.id() != from) {
            let plain = pretty(&to.codec().encode_error(&error));
            let in_stream = String::from_utf8(to.codec().encode_stream_error(&error)).unwrap();
            let text = format!("{error:?}\n\n{plain}\n\nin a stream:{in_stream}");
            snapshot(&case, &format!("error_to_{}", to.name()), &text);
        }
    }
}
