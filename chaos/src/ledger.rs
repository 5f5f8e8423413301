//! What clients saw, what the gateway wrote down, and whether the two agree.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::api::Api;

/// How many log lines are kept to be shown with an offence.
const LINES: usize = 20_000;
/// How many offences are kept in full.
const SHOWN: usize = 200;

/// How a request ended that was treated as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With all its words.
    Whole,
    /// With some of them and an error that its client saw.
    Failed,
    /// Its client left.
    HungUp,
}

/// What must not happen.
#[derive(Debug, Clone)]
pub(crate) struct Offence {
    pub(crate) at: Duration,
    pub(crate) until: Duration,
    pub(crate) request: String,
    pub(crate) api: Api,
    pub(crate) stream: bool,
    /// The gateway's name for it, and the status.
    pub(crate) id: Option<(Uuid, u16)>,
    pub(crate) problem: String,
    /// It got an error before any content; all else is wrong in itself.
    pub(crate) is_failure: bool,
}

/// Requests of one API.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) streams: u64,
    pub(crate) plain: u64,
    pub(crate) failed: u64,
    pub(crate) hung_up: u64,
}

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) by_api: BTreeMap<Api, Tally>,
    pub(crate) stale: u64,
    pub(crate) attempts: u64,
    pub(crate) failovers: u64,
    pub(crate) retries: u64,
    /// Attempts that failed, by their fault.
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) offences: Vec<(Offence, Option<String>)>,
    pub(crate) offences_in_all: u64,
    /// Failures while this machine stood still: nobody was well then.
    pub(crate) not_judged: u64,
    /// When it did.
    pub(crate) stalls: Vec<(Duration, Duration)>,
    /// Things that are wrong with a process or the log.
    pub(crate) problems: Vec<String>,
}

#[derive(Debug, Default)]
struct Inner {
    counts: Counts,
    accounts: HashMap<Uuid, Account>,
    lines: HashMap<Uuid, String>,
    order: VecDeque<Uuid>,
}

/// How often a request was seen by clients, in the log and in the records, and with which status.
#[derive(Debug, Default, Clone, Copy)]
struct Account {
    clients: u8,
    lines: u8,
    records: u8,
    seen: u16,
    logged: u16,
    /// Its client did not read to the end.
    left: bool,
}

/// The books of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Inner>);

impl Ledger {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has ended at its client.
    pub(crate) fn ended(
        &self,
        api: Api,
        id: Option<(Uuid, u16)>,
        stream: bool,
        result: Result<Outcome, Offence>,
    ) {
        let inner = &mut *self.inner();
        let tally = inner.counts.by_api.entry(api).or_default();
        if stream {
            tally.streams += 1;
        } else {
            tally.plain += 1;
        }
        match &result {
            Ok(Outcome::Failed) => tally.failed += 1,
            Ok(Outcome::HungUp) => tally.hung_up += 1,
            Ok(Outcome::Whole) | Err(_) => {}
        }
        if let Some((id, status)) = id {
            let account = inner.accounts.entry(id).or_default();
            account.clients += 1;
            account.seen = status;
            account.left = matches!(result, Ok(Outcome::HungUp) | Err(_));
        }
        if let Err(offence) = result {
            let is_in = |(from, until): &(Duration, Duration)| *from < offence.until && *until > offence.at;
            if offence.is_failure && inner.counts.stalls.iter().any(is_in) {
                inner.counts.not_judged += 1;
                return;
            }
            inner.counts.offences_in_all += 1;
            if inner.counts.offences.len() < SHOWN {
                inner.counts.offences.push((offence, None));
            }
        }
    }

    /// This program did not get to run for a while: its providers were not there, whatever the schedule says.
    pub(crate) fn stalled(&self, from: Duration, until: Duration) {
        self.inner().counts.stalls.push((from, until));
    }

    /// A connection was closed while it was idle, and the request was sent on another.
    pub(crate) fn was_stale(&self) {
        self.inner().counts.stale += 1;
    }

    /// Something else is wrong.
    pub(crate) fn problem(&self, problem: String) {
        self.inner().counts.problems.push(problem);
    }

    /// The gateway has written a line.
    pub(crate) fn line(&self, line: &str) {
        let inner = &mut *self.inner();
        let value: Value = serde_json::from_str(line).unwrap_or_default();
        let Some(id) = value["request_id"].as_str().and_then(|id| Uuid::parse_str(id).ok()) else {
            inner.counts.problems.push(format!("a line of the log that is none: {line}"));
            return;
        };
        let account = inner.accounts.entry(id).or_default();
        account.lines += 1;
        account.logged = value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        inner.counts.attempts += value["attempts"].as_u64().unwrap_or(0);
        // Those that were passed by were not asked.
        let is_asked =
            |one: &&Value| !one["outcome"].as_str().is_some_and(|said| said.starts_with("passed_by"));
        let tries: Vec<&Value> = value["tries"].as_array().into_iter().flatten().filter(is_asked).collect();
        for (before, next) in tries.iter().zip(tries.iter().skip(1)) {
            if before["model"] == next["model"] {
                inner.counts.retries += 1;
            } else {
                inner.counts.failovers += 1;
            }
        }
        for outcome in
            tries.iter().filter_map(|one| one["outcome"].as_str()).filter(|outcome| *outcome != "ok")
        {
            *inner.counts.faults.entry(outcome.to_owned()).or_default() += 1;
        }
        inner.lines.insert(id, line.to_owned());
        inner.order.push_back(id);
        if inner.order.len() > LINES
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.lines.remove(&oldest);
        }
    }

    /// The gateway has kept this record.
    pub(crate) fn record(&self, record: &str) {
        let inner = &mut *self.inner();
        let value: Value = serde_json::from_str(record).unwrap_or_default();
        match value["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()) {
            Some(id) => inner.accounts.entry(id).or_default().records += 1,
            None => inner.counts.problems.push(format!("a record that is none: {record}")),
        }
    }

    /// Finds the lines of offences while they are kept.
    pub(crate) fn find_lines(&self) {
        let Inner { counts, lines, .. } = &mut *self.inner();
        for (offence, line) in counts.offences.iter_mut().filter(|(_, line)| line.is_none()) {
            *line = offence.id.and_then(|(id, _)| lines.get(&id)).cloned();
        }
    }

    /// Everything is over: compares the books.
    pub(crate) fn close(&self) -> Counts {
        self.find_lines();
        let inner = &mut *self.inner();
        let mut wrong: Vec<String> = inner
            .accounts
            .iter()
            .filter_map(|(id, account)| {
                let problem = match *account {
                    Account { clients: 1, lines: 1, records: 1, seen, logged, left }
                        if seen == logged || left =>
                    {
                        return None;
                    }
                    Account { clients: 1, lines: 1, records: 1, seen, logged, .. } => {
                        format!("its client saw {seen}, the log says {logged}")
                    }
                    Account { clients, lines, records, .. } => {
                        format!("{clients} clients saw it, {lines} lines of the log and {records} records tell of it")
                    }
                };
                let line = inner.lines.get(id).map_or("no line", String::as_str);
                Some(format!("request {id}: {problem}\n    {line}"))
            })
            .collect();
        wrong.sort();
        let mut counts = std::mem::take(&mut inner.counts);
        counts.problems.extend(wrong);
        counts
    }
}
