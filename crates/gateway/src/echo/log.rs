//! The requests that came, as they came, for tests to look at.

use std::collections::VecDeque;

use bytes::Bytes;
use http::request::Parts;
use serde_json::{Map, Value, json};

/// So many requests are kept, and so many bytes of their bodies.
const MOST_REQUESTS: usize = 100;
const MOST_BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
pub(super) struct Log {
    requests: VecDeque<Request>,
    bytes: usize,
}

#[derive(Debug)]
struct Request {
    method: String,
    path: String,
    headers: Map<String, Value>,
    body: Bytes,
}

impl Log {
    pub(super) fn push(&mut self, head: &Parts, body: Bytes) {
        let path = head.uri.path_and_query().map_or_else(|| head.uri.path(), |path| path.as_str());
        let mut headers = Map::new();
        for name in head.headers.keys() {
            let values = head.headers.get_all(name).iter();
            let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
            headers.insert(name.as_str().to_owned(), values.join(", ").into());
        }
        self.bytes += body.len();
        self.requests.push_back(Request {
            method: head.method.to_string(),
            path: path.to_owned(),
            headers,
            body,
        });
        while self.requests.len() > MOST_REQUESTS || (self.bytes > MOST_BYTES && self.requests.len() > 1) {
            let oldest = self.requests.pop_front();
            self.bytes -= oldest.map_or(0, |request| request.body.len());
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Oldest first. A body that is not JSON is its text.
    pub(super) fn to_json(&self) -> Value {
        let requests = self.requests.iter().map(|request| {
            let body = serde_json::from_slice(&request.body)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&request.body)));
            json!({
                "method": request.method,
                "path": request.path,
                "headers": request.headers,
                "body": body,
            })
        });
        requests.collect()
    }
}
