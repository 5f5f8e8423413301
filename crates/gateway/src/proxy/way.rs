//! A decision's targets as the plan walks them: how each is, and the right to try it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_dialect::loss::Loss;
use waypost_routing::fault::Fault;
use waypost_routing::health::{Admission, Moment};
use waypost_routing::models::Target;
use waypost_routing::plan::{Plan, Why, World};

use super::attempt;
use super::forward::{Answer, Asked, Failure};
use crate::config::Reliability;
use crate::telemetry::record::Record;
use crate::upstream::endpoint::Upstream;
use crate::upstream::fleet::{Member, Ticket};
use crate::worker::Worker;

/// The decision's targets, and how they are.
pub(super) struct Way<'w> {
    worker: &'w Worker,
    stops: Vec<(&'w Target, &'w Upstream, Arc<Member>)>,
    /// The clock, as it was looked at last.
    pub(super) now: Moment,
    /// Of the last stop that was let through.
    ticket: Option<(usize, Ticket)>,
    /// Stops that were passed by, and why.
    passed: Vec<(usize, Fault)>,
}

impl<'w> Way<'w> {
    pub(super) fn new(worker: &'w Worker, targets: &'w [Target]) -> Self {
        let runtime = &worker.runtime;
        let stops = targets.iter().filter_map(|target| {
            Some((target, runtime.upstreams.get(target.entry)?, runtime.member(target)?))
        });
        let now = runtime.fleet.now();
        runtime.retries.deposit(now);
        Self { worker, stops: stops.collect(), now, ticket: None, passed: Vec::new() }
    }

    /// Looks at the clock: time has passed.
    pub(super) fn look(&mut self) -> Moment {
        self.now = self.worker.runtime.fleet.now();
        self.now
    }

    /// The plan for a request that has to be over by then.
    pub(super) fn plan(&self, end: Option<Instant>) -> Plan {
        let runtime = &self.worker.runtime;
        let windows = self
            .stops
            .iter()
            .map(|(target, ..)| if self.stops.len() > 1 { runtime.facts(target).context } else { None });
        let mut policy = runtime.reliability.plan;
        policy.attempts = policy.attempts.min(self.worker.listener.attempts.unwrap_or(u32::MAX));
        if let Some(end) = end {
            policy.time = policy.time.min(end.saturating_duration_since(Instant::now()));
        }
        Plan::new(windows, policy, self.now)
    }

    /// A stop and the right to try it. One without room is waited for, a little.
    ///
    /// # Errors
    /// There is no room, or the one that was waited for has come to rest.
    pub(super) async fn take(&mut self, stop: usize, why: Why) -> Result<Leg<'w>, Untaken> {
        let runtime = &self.worker.runtime;
        let Some((target, upstream, member)) = self.stops.get(stop) else {
            return Err(Untaken::Failed(nobody()));
        };
        let admitted = self.ticket.take().filter(|(admitted, _)| *admitted == stop);
        let ticket = match admitted {
            Some((_, ticket)) => Ok(ticket),
            None => {
                let Reliability { health, queue, .. } = runtime.reliability;
                // Who has waited for room asks for leave; who repeats, or has nobody else, does not.
                Ticket::queue(&runtime.fleet, member, health, queue, why != Why::Queue).await
            }
        };
        let ticket = ticket.map_err(|cause| match cause {
            Fault::Full => Untaken::Failed(full(member)),
            cause => Untaken::Rests(resting(member, cause)),
        })?;
        Ok(Leg { stop, target, upstream, ticket })
    }

    /// Notes who was passed by, and why: `passed_by:billing`.
    pub(super) fn note(&mut self, record: &mut Record) {
        for (stop, cause) in self.passed.drain(..) {
            if let Some((target, upstream, _)) = self.stops.get(stop) {
                record.passed_by(&upstream.provider, &target.model, cause);
            }
        }
    }

    /// After which time without content (a plain answer: without the whole) a target is slower than it usually is; `None`
    /// if that is not known.
    pub(super) fn patience(&self, stop: usize, streamed: bool) -> Option<Duration> {
        let (_, _, member) = self.stops.get(stop)?;
        member.measured(|pace| pace.slow(streamed)).map(Duration::from_secs_f64)
    }
}

/// Why there is no right to try a target.
pub(super) enum Untaken {
    /// What its try counts as.
    Failed(Failure),
    /// It rests, and nothing was tried. What the client is told if there is no time left to.
    Rests(Failure),
}

/// A target and the right to try it.
pub(super) struct Leg<'w> {
    pub(super) stop: usize,
    pub(super) target: &'w Target,
    pub(super) upstream: &'w Upstream,
    ticket: Ticket,
}

impl Leg<'_> {
    /// The provider and the model.
    pub(super) fn name(&self) -> (String, String) {
        (self.upstream.provider.to_string(), self.target.model.to_string())
    }

    /// Tries it.
    pub(super) async fn run(
        self,
        worker: &Worker,
        asked: &Asked<'_>,
        record: &mut Record,
    ) -> Result<Answer, Failure> {
        let Self { target, upstream, ticket, .. } = self;
        record.provider = Some(Arc::clone(&upstream.provider));
        record.entry = Some(Arc::clone(&upstream.name));
        record.served = Some(Arc::clone(&upstream.serves));
        record.model = Some(Arc::clone(&target.model));
        record.prices = worker.runtime.facts(target).prices;
        // What an earlier attempt's translation lost is not lost to this one.
        record.loss = Loss::default();
        let result = attempt::attempt(worker, asked, upstream, target, ticket, record).await;
        if let Err(failure) = &result {
            worker.telemetry.metrics.failed(&upstream.name, failure.fault);
            record.failed(format!("{}: {}", upstream.name, failure.error.message));
        }
        result
    }
}

pub(super) fn nobody() -> Failure {
    let error = ApiError::new(ErrorKind::Internal, "the decision names no model that can be asked");
    Failure::new(Fault::Unsupported, error)
}

fn full(member: &Member) -> Failure {
    let limit = member.full_by();
    let whose = if limit == "max_requests" { "" } else { "the account of " };
    let message = format!("{whose}`{}` has as many requests as it may (`{limit}`); try again", member.name);
    let error = ApiError::new(ErrorKind::RateLimit, message).with_code("too_many_requests");
    Failure::new(Fault::Full, error.with_retry_after(1))
}

fn resting(member: &Member, cause: Fault) -> Failure {
    let message =
        format!("`{}` rests after `{}`, and there is no time to wait; try again", member.name, cause.name());
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
        match Ticket::admit(&worker.runtime.fleet, member, worker.runtime.reliability.health, self.now) {
            Ok(ticket) => {
                self.ticket = Some((stop, ticket));
                Admission::Yes
            }
            Err(refused) => {
                if let Admission::No { cause, .. } = refused
                    && self.passed.iter().all(|(passed, _)| *passed != stop)
                {
                    self.passed.push((stop, cause));
                }
                refused
            }
        }
    }

    fn may_repeat(&mut self) -> bool {
        self.worker.runtime.retries.withdraw(self.now)
    }

    fn random(&mut self) -> f64 {
        fastrand::f64()
    }
}
