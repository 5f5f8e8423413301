//! Sending a request on: the decision's targets in order, until one gives an answer that can be passed on.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use hyper::body::Incoming;
use waypost_dialect::chat::Extra;
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_dialect::loss::Loss;
use waypost_dialect::{ClientDialect, DialectId};
use waypost_routing::models::Target;

use super::attempt;
use crate::responses::Keeper;
use crate::server::Api;
use crate::telemetry::record::Record;
use crate::worker::Worker;

/// A request as it came in.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The client's dialect.
    pub client: ClientDialect,
    /// What is asked.
    pub api: Api,
    /// The client's headers.
    pub headers: &'a HeaderMap,
    /// The client's bytes.
    pub body: &'a Bytes,
    /// Rather no answer than one to a request that a translation took something from.
    pub strict: bool,
    /// The kept answer that it went on from.
    pub previous: Option<&'a str>,
    /// What was peeked from them.
    pub envelope: &'a Envelope<'a>,
}

/// A provider's answer, not yet passed on.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Those of its headers that the client gets.
    pub headers: HeaderMap,
    /// The dialect that the provider speaks.
    pub dialect: DialectId,
    /// What follows.
    pub body: AnswerBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// Read to its end and ready for the client, in the client's dialect.
    Whole(Bytes),
    /// Events that are still to come, in the provider's dialect.
    Events(Incoming, Box<Wish>),
}

/// What the client wants of a translated answer.
#[derive(Debug, Default)]
pub struct Wish {
    /// A last event with usage, in a stream.
    pub include_usage: bool,
    /// What a Responses answer repeats of its request.
    pub echo: Extra,
    /// Where the answer is kept.
    pub keeper: Option<Keeper>,
}

/// Why an attempt gave no answer that the client can have.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the client is told if no other target answers.
    pub(super) error: ApiError,
    /// Another target may do better: the fault is this target's, not the request's.
    pub(super) go_on: bool,
}

/// Tries the targets in order.
///
/// # Errors
/// No target answered: the last failure, as the client should see it.
pub async fn send(
    worker: &Worker,
    asked: &Asked<'_>,
    targets: &[Target],
    record: &mut Record,
) -> Result<Answer, ApiError> {
    let mut last = ApiError::new(ErrorKind::Internal, "the decision names no model");
    for (position, target) in targets.iter().enumerate() {
        let Some(upstream) = worker.runtime.upstreams.get(target.entry) else { continue };
        record.provider = Some(Arc::clone(&upstream.provider));
        record.entry = Some(Arc::clone(&upstream.name));
        record.model = Some(Arc::clone(&target.model));
        // What an earlier attempt's translation lost is not lost to this one.
        record.loss = Loss::default();
        let is_last = position + 1 == targets.len();
        match attempt::attempt(worker, asked, upstream, &target.model, record).await {
            Ok(answer) if is_last || !is_targets_fault(answer.status) => return Ok(answer),
            Ok(answer) => {
                tracing::debug!(request = %record.id, model = %target.model, status = %answer.status, "trying the next model")
            }
            Err(failure) if failure.go_on && !is_last => {
                tracing::debug!(request = %record.id, model = %target.model, error = %failure.error, "trying the next model");
                record.failed(format!("{}: {}", upstream.name, failure.error.message));
                last = failure.error;
            }
            Err(failure) => return Err(failure.error),
        }
    }
    Err(last)
}

/// An answer that another target may better: no credit or permission here, overloaded, broken (424 where the model is). What is wrong with the
/// request itself is wrong everywhere.
fn is_targets_fault(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401..=403 | 408 | 424 | 425 | 429 | 500..)
}
