//! Which records are asked for.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use rusqlite::types::Value;
use uuid::Uuid;

use super::write::{millis, nanos};

/// What is asked for; what is not said does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Came at this time or later.
    pub since: Option<SystemTime>,
    /// Came before.
    pub until: Option<SystemTime>,
    /// `provider/model`, or the model's name alone.
    pub model: Option<String>,
    /// A route's name.
    pub route: Option<String>,
    /// `name`, `alias`, `preference` or `default`.
    pub method: Option<String>,
    /// Who asked, as records show it.
    pub caller: Option<String>,
    /// The name of a conversation.
    pub session: Option<String>,
    /// How it ended.
    pub status: Option<Ended>,
    /// US dollars, at least.
    pub cost: Option<f64>,
    /// Took at least this long.
    pub total: Option<Duration>,
    /// Came before this one.
    pub before: Option<Uuid>,
    /// The router chose among routes, or found that none fits: no name and no alias led there.
    pub is_decided: bool,
    /// A part of a name is enough for `model`, `route`, `method` and `caller`, in letters of either case.
    pub by_part: bool,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With such a status, such as `500..600`, whatever came behind it.
    Status(Range<u16>),
    /// Well: a status below 400, and no stream that broke off.
    Well,
    /// With a status of 400 or more, or in a stream that broke off.
    Error,
}

// How a name is asked for: the whole of it, or a part of it.
const MODEL: [&str; 2] = [
    "model IN (SELECT id FROM names WHERE name = ? OR substr(name, -length(?) - 1) = '/' || ?)",
    "model IN (SELECT id FROM names WHERE instr(lower(name), lower(?)))",
];
// What requests bring along is summed as one route, and told by their records.
const ROUTE: [&str; 2] = [
    "route IN (SELECT id FROM names WHERE name = ?)",
    "(route IN (SELECT id FROM names WHERE instr(lower(name), lower(?)))
      OR route IN (SELECT id FROM names WHERE name = '(request)') AND instr(lower(record ->> 'route'), lower(?)))",
];
const CALLER: [&str; 2] = [
    "caller IN (SELECT id FROM names WHERE name = ?)",
    "caller IN (SELECT id FROM names WHERE instr(lower(name), lower(?)))",
];
const METHOD: [&str; 2] = ["method = ?", "instr(method, lower(?))"];

/// The condition of a filter, and the values of its places.
pub(super) fn conditions(filter: &Filter) -> (String, Vec<Value>) {
    let mut all = vec!["1"];
    let mut values: Vec<Value> = Vec::new();
    let mut add = |condition: &'static str, places: &[Value]| {
        all.push(condition);
        values.extend_from_slice(places);
    };
    let number = |number: u128| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    if let Some(since) = filter.since {
        add("at >= ?", &[millis(since).into()]);
    }
    if let Some(until) = filter.until {
        add("at < ?", &[millis(until).into()]);
    }
    if let Some(before) = filter.before {
        let (at, id) = (number(before.as_u128() >> 80), Value::Blob(before.as_bytes().to_vec()));
        add("at <= ?", std::slice::from_ref(&at));
        let place = "NOT (at = ? AND seq >= COALESCE((SELECT seq FROM records WHERE at = ? AND id = ?), 0))";
        add(place, &[at.clone(), at, id]);
    }
    for (name, [whole, part]) in
        [(&filter.model, MODEL), (&filter.route, ROUTE), (&filter.caller, CALLER), (&filter.method, METHOD)]
    {
        let Some(name) = name else { continue };
        let condition = if filter.by_part { part } else { whole };
        add(condition, &vec![Value::from(name.clone()); condition.matches('?').count()]);
    }
    if filter.is_decided {
        add("method IN ('preference', 'default')", &[]);
    }
    if let Some(session) = &filter.session {
        add("session = ?", &[digest(session).into()]);
    }
    // A status with a minus is one behind which the stream broke off.
    match &filter.status {
        Some(Ended::Status(these)) => {
            let bounds = [these.start, these.end].map(|bound| i64::from(bound).into());
            add("abs(status) >= ? AND abs(status) < ?", &bounds);
        }
        Some(Ended::Well) => add("status >= 0 AND status < 400", &[]),
        Some(Ended::Error) => add("(status < 0 OR status >= 400)", &[]),
        None => {}
    }
    if let Some(cost) = filter.cost {
        add("cost >= ?", &[nanos(cost).into()]);
    }
    if let Some(total) = filter.total {
        add("total >= ?", &[number(total.as_micros())]);
    }
    (all.join(" AND "), values)
}

/// A number that stands for a conversation's name.
pub(super) fn digest(name: &str) -> i64 {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    digest.as_ref().first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}
