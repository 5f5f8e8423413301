//! Sending a request on: the decision's targets in order, until one gives an answer that can be passed on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use waypost_dialect::ClientDialect;
use waypost_dialect::chat::{CustomTools, Extra};
use waypost_dialect::envelope::Envelope;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_dialect::loss::Loss;
use waypost_routing::fault::Fault;
use waypost_routing::health::{Admission, Moment};
use waypost_routing::models::Target;
use waypost_routing::plan::{Next, Plan, World};

use super::attempt;
use super::opening::Opened;
use super::stream::Limits;
use crate::config::Reliability;
use crate::responses::Keeper;
use crate::server::Api;
use crate::telemetry::record::Record;
use crate::upstream::endpoint::Upstream;
use crate::upstream::fleet::{Member, Ticket};
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
    /// When all of it has to be over, if there is such a time.
    pub end: Option<Instant>,
}

impl Asked<'_> {
    /// How long an answer of this upstream may be silent, and how long it may take.
    pub(super) fn limits(&self, worker: &Worker, upstream: &Upstream) -> Limits {
        Limits { idle: upstream.idle_timeout.unwrap_or(worker.listener.idle_timeout), end: self.end }
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
    /// Custom tools that the provider knows as functions.
    pub custom: CustomTools,
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
    let mut plan = way.plan();
    let mut last = nobody();
    while let Next::Try { stop, wait, why } = plan.next(worker.runtime.fleet.now(), &mut way) {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let (target, upstream, ticket) = match way.take(stop).await {
            Ok(taken) => taken,
            Err(failure) => {
                plan.failed(stop, failure.fault, failure.asked, worker.runtime.fleet.now());
                if last.answer.is_none() {
                    last = failure;
                }
                continue;
            }
        };
        record.provider = Some(Arc::clone(&upstream.provider));
        record.entry = Some(Arc::clone(&upstream.name));
        record.model = Some(Arc::clone(&target.model));
        // What an earlier attempt's translation lost is not lost to this one.
        record.loss = Loss::default();
        match attempt::attempt(worker, asked, upstream, &target.model, ticket, record).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => {
                tracing::debug!(request = %record.id, model = %target.model, why = why.name(), fault = failure.fault.name(), error = %failure.error, "an attempt has failed");
                worker.telemetry.metrics.failed(&upstream.name, failure.fault);
                record.failed(format!("{}: {}", upstream.name, failure.error.message));
                plan.failed(stop, failure.fault, failure.asked, worker.runtime.fleet.now());
                // What a provider says tells more than that another could not be reached.
                if failure.answer.is_some() || last.answer.is_none() {
                    last = failure;
                }
            }
        }
    }
    last.give_up()
}

/// The decision's targets, and how they are.
struct Way<'w> {
    worker: &'w Worker,
    stops: Vec<(&'w Target, &'w Upstream, Arc<Member>)>,
    /// Of the last stop that was let through.
    ticket: Option<(usize, Ticket)>,
}

impl<'w> Way<'w> {
    fn new(worker: &'w Worker, targets: &'w [Target]) -> Self {
        let runtime = &worker.runtime;
        let stops = targets.iter().filter_map(|target| {
            Some((target, runtime.upstreams.get(target.entry)?, runtime.member(target)?))
        });
        runtime.retries.deposit(worker.runtime.fleet.now());
        Self { worker, stops: stops.collect(), ticket: None }
    }

    fn plan(&self) -> Plan {
        let runtime = &self.worker.runtime;
        let windows = self
            .stops
            .iter()
            .map(|(target, ..)| if self.stops.len() > 1 { runtime.facts(target).context } else { None });
        let mut policy = runtime.reliability.plan;
        policy.attempts = policy.attempts.min(self.worker.listener.attempts.unwrap_or(u32::MAX));
        Plan::new(windows, policy, self.worker.runtime.fleet.now())
    }

    /// A stop and the right to try it. One without room is waited for, a little.
    async fn take(&mut self, stop: usize) -> Result<(&'w Target, &'w Upstream, Ticket), Failure> {
        let runtime = &self.worker.runtime;
        let Some((target, upstream, member)) = self.stops.get(stop) else { return Err(nobody()) };
        let admitted = self.ticket.take().filter(|(admitted, _)| *admitted == stop);
        let ticket = match admitted {
            Some((_, ticket)) => Some(ticket),
            None => {
                let Reliability { health, queue, .. } = runtime.reliability;
                Ticket::queue(&runtime.fleet, member, health, queue).await
            }
        };
        ticket.map(|ticket| (*target, *upstream, ticket)).ok_or_else(|| full(member))
    }
}

fn nobody() -> Failure {
    let error = ApiError::new(ErrorKind::Internal, "the decision names no model that can be asked");
    Failure::new(Fault::Unsupported, error)
}

fn full(member: &Member) -> Failure {
    let message = format!("`{}` has as many requests as it may (`max_requests`); try again", member.name);
    let error = ApiError::new(ErrorKind::RateLimit, message).with_code("too_many_requests");
    Failure::new(Fault::Full, error.with_retry_after(1))
}

impl World for Way<'_> {
    fn admit(&mut self, stop: usize) -> Admission {
        self.ticket = None;
        let worker = self.worker;
        let Some((_, _, member)) = self.stops.get(stop) else {
            return Admission::No { until: Moment::MAX, cause: Fault::Unsupported };
        };
        match Ticket::admit(&worker.runtime.fleet, member, worker.runtime.reliability.health) {
            Ok(ticket) => {
                self.ticket = Some((stop, ticket));
                Admission::Yes
            }
            Err(refused) => refused,
        }
    }

    fn may_repeat(&mut self) -> bool {
        self.worker.runtime.retries.withdraw(self.worker.runtime.fleet.now())
    }

    fn random(&mut self) -> f64 {
        fastrand::f64()
    }
}
