//! One export: over HTTP with a body of protobuf, or over gRPC, which is the same body in a frame over HTTP/2
//! (<https://opentelemetry.io/docs/specs/otlp/>).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::protobuf::{Field, fields};
use crate::config::Protocol;
use crate::upstream::client::{Body, Client, ClientSettings, Http2Client, Segments};
use crate::upstream::wait;

/// Larger answers are not read.
const MAX_ANSWER: usize = 64 * 1024;
/// How much of a collector's own words is worth a line.
const WORDS: usize = 300;

/// Why spans have not arrived.
#[derive(Debug, PartialEq)]
pub(super) enum Refusal {
    /// Once more may help, after this time if the collector says one.
    Again { why: String, after: Option<Duration> },
    /// It would not.
    Final(String),
}

/// What became of an export that arrived.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Accepted {
    /// Spans that the collector did not want.
    pub(super) rejected: u64,
    /// Its words, about them or about what it would like better.
    pub(super) message: String,
}

/// How a collector is spoken to.
#[derive(Debug)]
enum Way {
    Http(Client),
    Grpc(Box<Http2Client>),
}

/// A way to a collector.
#[derive(Debug)]
pub(super) struct Transport {
    client: Way,
    uri: Uri,
    headers: HeaderMap,
    timeout: Duration,
}

impl Transport {
    /// Must be made on the runtime that it is used on.
    pub(super) fn new(
        settings: &ClientSettings,
        protocol: Protocol,
        uri: Uri,
        mut headers: HeaderMap,
        timeout: Duration,
    ) -> Self {
        let (client, kind) = match protocol {
            Protocol::Http => (Way::Http(Client::new(settings)), "application/x-protobuf"),
            Protocol::Grpc => (Way::Grpc(Box::new(Http2Client::new(settings))), "application/grpc"),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let agent = concat!("waypost/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        if protocol == Protocol::Grpc {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        Self { client, uri, headers, timeout }
    }

    /// Sends an `ExportTraceServiceRequest`.
    pub(super) async fn export(&self, message: &Bytes) -> Result<Accepted, Refusal> {
        let late = |_elapsed| Refusal::Again {
            why: format!("no answer within {} s", self.timeout.as_secs_f64()),
            after: None,
        };
        tokio::time::timeout(self.timeout, self.send(message)).await.map_err(late)?
    }

    async fn send(&self, message: &Bytes) -> Result<Accepted, Refusal> {
        match &self.client {
            Way::Http(client) => {
                let request = self.request(Segments::whole(message.clone()));
                http(client.send(request).await.map_err(|error| unreached(&error))?).await
            }
            Way::Grpc(client) => {
                let request = self.request(Segments::whole(frame(message)));
                grpc(client.send(request).await.map_err(|error| unreached(&error))?).await
            }
        }
    }

    fn request(&self, body: Segments) -> Request<Segments> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        request
    }
}

fn unreached(error: &dyn std::error::Error) -> Refusal {
    // The innermost cause says most; none of them holds a header.
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Refusal::Again { why: cause.to_string(), after: None }
}

/// A message without compression: a zero, its length, and itself
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
fn frame(message: &Bytes) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 5);
    frame.push(0);
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

async fn http(response: Response<Body>) -> Result<Accepted, Refusal> {
    let status = response.status();
    let after = wait::asked(response.headers(), SystemTime::now());
    let is_protobuf = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-protobuf"));
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if status.is_success() {
        // Another body would be a JSON object without anything in it, or none.
        return Ok(if is_protobuf { accepted(&body) } else { Accepted::default() });
    }
    // A `google.rpc.Status` (its `message` is the second field), or whatever stands in between says.
    let words = if is_protobuf { text(&body, 2) } else { words(&String::from_utf8_lossy(&body)) };
    let why = format!("{status}: {words}");
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Refusal::Again { why, after },
        _ => Refusal::Final(why),
    })
}

async fn grpc(response: Response<Incoming>) -> Result<Accepted, Refusal> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|error| Refusal::Again { why: error.to_string(), after: None })?;
    let trailers = body.trailers().filter(|trailers| trailers.contains_key("grpc-status"));
    let status = trailers.unwrap_or(&head.headers);
    let field = |name: &str| status.get(name).and_then(|value| value.to_str().ok());
    match field("grpc-status") {
        Some("0") => {
            let bytes = body.to_bytes();
            Ok(bytes.get(5..).map(accepted).unwrap_or_default())
        }
        Some(code) => {
            let words = words(
                &percent_encoding::percent_decode_str(field("grpc-message").unwrap_or(""))
                    .decode_utf8_lossy(),
            );
            let why = format!("gRPC status {code}: {words}");
            // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss; and resource exhausted, if it
            // says when it will have recovered (<https://opentelemetry.io/docs/specs/otlp/#failures>).
            let after =
                field("grpc-retry-pushback-ms").and_then(|ms| ms.parse().ok()).map(Duration::from_millis);
            Err(match code {
                "1" | "4" | "10" | "11" | "14" | "15" => Refusal::Again { why, after },
                "8" if after.is_some() => Refusal::Again { why, after },
                _ => Refusal::Final(why),
            })
        }
        None => {
            let why = format!("{}: this is no gRPC server", head.status);
            Err(match head.status.as_u16() {
                429 | 502..=504 => Refusal::Again { why, after: None },
                _ => Refusal::Final(why),
            })
        }
    }
}

/// An `ExportTraceServiceResponse`: its first field tells of spans that were not taken.
fn accepted(bytes: &[u8]) -> Accepted {
    let mut accepted = Accepted::default();
    for (_, field) in fields(bytes).filter(|(number, _)| *number == 1) {
        let Field::Bytes(partial) = field else { continue };
        accepted.message = text(partial, 2);
        for (number, field) in fields(partial) {
            if let (1, Field::Number(rejected)) = (number, field) {
                accepted.rejected = rejected;
            }
        }
    }
    accepted
}

fn text(message: &[u8], number: u64) -> String {
    let found = fields(message).find_map(|(field, value)| match value {
        Field::Bytes(bytes) if field == number => Some(words(&String::from_utf8_lossy(bytes))),
        _ => None,
    });
    found.unwrap_or_default()
}

/// The beginning of somebody's words, on one line.
fn words(text: &str) -> String {
    text.split_whitespace().flat_map(|word| [" ", word]).skip(1).flat_map(str::chars).take(WORDS).collect()
}
