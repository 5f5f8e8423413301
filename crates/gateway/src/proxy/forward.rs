//! Sending a request on: the decision's targets in order, until one gives an answer that can be passed on.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use waypost_dialect::ClientDialect;
use waypost_dialect::chat::{CustomTools, Extra, ToolNames};
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::ApiError;
use waypost_routing::fault::Fault;
use waypost_routing::models::Target;
use waypost_routing::plan::{Next, Why};

use super::hedge;
use super::opening::Opened;
use super::routes::Chosen;
use super::stream::Limits;
use super::way::{self, Untaken, Way};
use crate::config::Times;
use crate::responses::Keeper;
use crate::server::Api;
use crate::telemetry::record::Record;
use crate::upstream::endpoint::Upstream;
use crate::upstream::fleet::Ticket;
use crate::worker::Worker;

/// A request as it came in.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The client's dialect.
    pub client: ClientDialect,
    /// What is asked.
    pub api: Api,
    /// The client wants a stream as one JSON array.
    pub as_array: bool,
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
    /// When all of it has to be over by what the route says or else the listener, if there is such a time.
    pub end: Option<Instant>,
    /// What holds for the decision's route.
    pub chosen: Option<&'a Chosen>,
}

impl Asked<'_> {
    fn times(&self) -> Times {
        self.chosen.map_or_else(Times::default, |chosen| chosen.times)
    }

    /// How long an answer of this upstream, which is called now, may be silent, and how long it may take.
    pub(super) fn limits(&self, worker: &Worker, upstream: &Upstream) -> Limits {
        let own = self.times();
        let idle = own.idle.or(upstream.times.idle).unwrap_or(worker.listener.idle_timeout);
        match upstream.times.total.filter(|_| own.total.is_none()) {
            Some(total) => Limits { idle, end: Some(Instant::now() + total), over: Fault::Timeout },
            None => Limits { idle, end: self.end, over: Fault::Deadline },
        }
    }

    /// Longest wait for the first byte of this upstream's answer.
    pub(super) fn first_byte(&self, worker: &Worker, upstream: &Upstream) -> Duration {
        let own = self.times().first_byte;
        own.or(upstream.times.first_byte).unwrap_or(worker.listener.first_byte_timeout)
    }

    /// Longest wait for a connection to it.
    pub(super) fn connect(&self, worker: &Worker, upstream: &Upstream) -> Duration {
        let own = self.times().connect;
        own.or(upstream.times.connect).unwrap_or(worker.listener.connect_timeout)
    }
}

/// A provider's answer, not yet passed on.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Those of its headers that the client gets.
    pub headers: HeaderMap,
    /// What follows.
    pub body: AnswerBody,
}

/// The body of an answer.
#[derive(Debug)]
pub enum AnswerBody {
    /// Read to its end and ready for the client, in the client's dialect.
    Whole(Bytes),
    /// Events that are still to come, and the attempt that they are.
    Events(Box<Opened>, Ticket),
}

/// What the client wants of a translated answer.
#[derive(Debug, Default)]
pub struct Wish {
    /// A stream as one JSON array.
    pub as_array: bool,
    /// The provider sends one.
    pub from_array: bool,
    /// A last event with usage, in a stream.
    pub include_usage: bool,
    /// Usage was asked for and not by the client, which does not get it.
    pub hides_usage: bool,
    /// Custom tools that the provider knows as functions.
    pub custom: CustomTools,
    /// The client's names of tools that the provider knows by others.
    pub names: ToolNames,
    /// What a Responses answer repeats of its request.
    pub echo: Extra,
    /// Where the answer is kept.
    pub keeper: Option<Keeper>,
}

/// Why an attempt gave no answer that the client can have.
#[derive(Debug)]
pub(super) struct Failure {
    /// What kind of failure it is.
    pub(super) fault: Fault,
    /// What the client is told if no other target answers.
    pub(super) error: ApiError,
    /// How long the provider asks to be left alone.
    pub(super) asked: Option<Duration>,
    /// The provider's own answer, ready for the client.
    pub(super) answer: Option<Box<(StatusCode, HeaderMap, Bytes)>>,
}

impl Failure {
    pub(super) fn new(fault: Fault, error: ApiError) -> Self {
        Self { fault, error, asked: None, answer: None }
    }

    /// What the client gets if this was the last attempt.
    fn give_up(self) -> Result<Answer, ApiError> {
        let Some(answer) = self.answer else { return Err(self.error) };
        let (status, headers, body) = *answer;
        Ok(Answer { status, headers, body: AnswerBody::Whole(body) })
    }
}

/// Tries the targets as the plan says, until one answers.
///
/// # Errors
/// No target answered: the last failure, as the client should see it.
pub async fn send(
    worker: &Worker,
    asked: &Asked<'_>,
    targets: &[Target],
    record: &mut Record,
) -> Result<Answer, ApiError> {
    let mut way = Way::new(worker, targets);
    let mut plan = way.plan(asked.end);
    let mut last: Option<Failure> = None;
    while let Next::Try { stop, wait, why } = plan.next(way.now, &mut way) {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        way.note(record);
        let outcome = match way.take(stop, why).await {
            Err(Untaken::Failed(failure)) => Outcome::of(stop, Err(failure)),
            Err(Untaken::Rests(failure)) => {
                plan.rests(stop);
                if plan.made() == 0 {
                    last = Some(failure);
                }
                way.look();
                continue;
            }
            Ok(leg) if why == Why::Turn && asked.chosen.is_some_and(|chosen| chosen.hedge) => {
                // Rare and large.
                Box::pin(hedge::race(worker, asked, leg, &mut plan, &mut way, record)).await
            }
            Ok(leg) => Outcome::of(stop, leg.run(worker, asked, record).await),
        };
        let failures = match outcome {
            Outcome { result: Ok(answer), .. } => {
                // What went wrong on the way is in the record's tries.
                record.error = None;
                return Ok(answer);
            }
            Outcome { stop, result: Err(failure), other } => other.into_iter().chain([(stop, failure)]),
        };
        let now = way.look();
        for (stop, failure) in failures {
            tracing::debug!(why = why.name(), fault = failure.fault.name(), error = %failure.error, "an attempt has failed");
            plan.failed(stop, failure.fault, failure.asked, now);
            // What a provider says tells more than that another could not be reached.
            if failure.answer.is_some() || last.as_ref().is_none_or(|last| last.answer.is_none()) {
                last = Some(failure);
            }
        }
    }
    way.note(record);
    last.unwrap_or_else(way::nobody).give_up()
}

/// What came of a try, or of two at a time.
pub(super) struct Outcome {
    pub(super) stop: usize,
    pub(super) result: Result<Answer, Failure>,
    /// The other one's failure, if there were two and both have failed.
    pub(super) other: Option<(usize, Failure)>,
}

impl Outcome {
    pub(super) fn of(stop: usize, result: Result<Answer, Failure>) -> Self {
        Self { stop, result, other: None }
    }
}
