//! Sums by minute, hour and day, kept as records come in.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::durations::Durations;
use super::write::nanos;
use crate::telemetry::record::Record;

/// The numbers of a model's, a route's and a caller's name.
pub(super) type Names = (i64, i64, i64);

/// What is added up. Money in billionths of a dollar.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) requests: i64,
    pub(super) errors: i64,
    pub(super) input: i64,
    pub(super) cached: i64,
    pub(super) output: i64,
    pub(super) cost: i64,
    /// What the default model would have cost, where both costs are known.
    pub(super) default_cost: i64,
    /// There: the default's, less what it was.
    pub(super) saved: i64,
    /// Answers whose cost is not known.
    pub(super) unpriced: i64,
}

/// The columns of a [`Sum`] as places of a statement, and what becomes of a row that is there.
const PLACES: &str = "?, ?, ?, ?, ?, ?, ?, ?, ?";
const ADDED: &str = "ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
    errors = errors + excluded.errors, input = input + excluded.input, cached = cached + excluded.cached,
    output = output + excluded.output, cost = cost + excluded.cost,
    default_cost = default_cost + excluded.default_cost, saved = saved + excluded.saved,
    unpriced = unpriced + excluded.unpriced";

impl Sum {
    /// In the order of the tables' columns.
    fn values(&self) -> [i64; 9] {
        let Self { requests, errors, input, cached, output, cost, default_cost, saved, unpriced } = *self;
        [requests, errors, input, cached, output, cost, default_cost, saved, unpriced]
    }

    fn of(record: &Record) -> Self {
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or_default();
        let usage = record.usage.unwrap_or_default();
        let cost = record.cost().map(nanos);
        let compared = cost.zip(record.default_cost().map(nanos));
        Self {
            requests: 1,
            errors: i64::from(record.is_error()),
            input: count(usage.input),
            cached: count(usage.cache_read),
            output: count(usage.output),
            cost: cost.unwrap_or_default(),
            default_cost: compared.map_or(0, |(_, default)| default),
            saved: compared.map_or(0, |(cost, default)| default - cost),
            unpriced: i64::from(record.entry.is_some() && record.status < 400 && cost.is_none()),
        }
    }

    fn add(&mut self, other: &Self) {
        let Self { requests, errors, input, cached, output, cost, default_cost, saved, unpriced } = other;
        self.requests += requests;
        self.errors += errors;
        self.input += input;
        self.cached += cached;
        self.output += output;
        self.cost += cost;
        self.default_cost += default_cost;
        self.saved += saved;
        self.unpriced += unpriced;
    }
}

/// A sum with how long it took.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    sum: Sum,
    durations: Durations,
    first_tokens: Durations,
}

impl Pulse {
    pub(super) fn observe(&mut self, record: &Record) {
        self.sum.add(&Sum::of(record));
        self.durations.add(record.total);
        if let Some(first_token) = record.first_token {
            self.first_tokens.add(first_token);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.sum.add(&other.sum);
        self.durations.merge(&other.durations);
        self.first_tokens.merge(&other.first_tokens);
    }
}

/// Minutes of a step: a month by the minute would be too much to read at once.
pub(super) const STEPS: [i64; 2] = [1, 60];
/// Hours of a step of bills: where there are many callers, nearly every record has an hour of its own.
pub(super) const BILL_STEPS: [i64; 2] = [1, 24];

/// The sums of a batch, by the smallest steps.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// By the minute, the model and the route.
    pulses: BTreeMap<(i64, i64, i64), Pulse>,
    /// By the hour and the names.
    bills: BTreeMap<(i64, Names), Sum>,
}

impl Sums {
    pub(super) fn add(&mut self, minute: i64, names: Names, added: &Pulse) {
        let (model, route, _) = names;
        self.pulses.entry((minute, model, route)).or_default().merge(added);
        self.bills.entry((minute / 60, names)).or_default().add(&added.sum);
    }

    /// The same by steps of so many minutes.
    fn pulses(&self, step: i64) -> BTreeMap<(i64, i64, i64), Pulse> {
        let mut all: BTreeMap<_, Pulse> = BTreeMap::new();
        for ((minute, model, route), added) in &self.pulses {
            all.entry((minute / step, *model, *route)).or_default().merge(added);
        }
        all
    }

    /// The same by steps of so many hours.
    fn bills(&self, step: i64) -> BTreeMap<(i64, Names), Sum> {
        let mut all: BTreeMap<_, Sum> = BTreeMap::new();
        for ((hour, names), added) in &self.bills {
            all.entry((hour / step, *names)).or_default().add(added);
        }
        all
    }

    /// Adds them to those that are there.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let bills = format!("INSERT INTO bills VALUES (?, ?, ?, ?, ?, {PLACES}) {ADDED}");
        for step in BILL_STEPS {
            for ((place, (model, route, caller)), sum) in self.bills(step) {
                let keys = [step, place, model, route, caller];
                let values = keys.into_iter().chain(sum.values());
                connection.prepare_cached(&bills)?.execute(params_from_iter(values))?;
            }
        }
        let pulses = format!(
            "INSERT INTO pulses VALUES (?, ?, ?, ?, {PLACES}, ?, ?)
             {ADDED}, durations = excluded.durations, first_tokens = excluded.first_tokens"
        );
        for step in STEPS {
            for ((place, model, route), mut added) in self.pulses(step) {
                let known = connection
                    .prepare_cached(
                        "SELECT durations, first_tokens FROM pulses
                         WHERE step = ?1 AND place = ?2 AND model = ?3 AND route = ?4",
                    )?
                    .query_row([step, place, model, route], |row| {
                        let (durations, first_tokens): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
                        Ok((Durations::from_bytes(&durations), Durations::from_bytes(&first_tokens)))
                    })
                    .optional()?;
                if let Some((durations, first_tokens)) = known {
                    added.durations.merge(&durations);
                    added.first_tokens.merge(&first_tokens);
                }
                let keys = [step, place, model, route].into_iter().chain(added.sum.values()).map(Value::from);
                let counts = [added.durations.to_bytes(), added.first_tokens.to_bytes()].map(Value::from);
                connection.prepare_cached(&pulses)?.execute(params_from_iter(keys.chain(counts)))?;
            }
        }
        Ok(())
    }
}
