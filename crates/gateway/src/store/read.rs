//! Asking the file of records.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde::Serialize;

use super::durations::Durations;
use super::filter::conditions;
pub use super::filter::{Ended, Filter};
use super::write::millis;
use super::{StoreError, open_to_read};

/// A record of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the order of writing.
    pub seq: i64,
    /// All of it, as one JSON object.
    pub record: String,
    /// What was said, as JSON, where it is asked for and kept.
    pub content: Option<String>,
}

impl Stored {
    /// The record and what was said as one JSON object.
    #[must_use]
    pub fn whole(&self) -> String {
        match &self.content {
            Some(content) => {
                let head = self.record.strip_suffix('}').unwrap_or(&self.record);
                format!("{head},\"content\":{content}}}")
            }
            None => self.record.clone(),
        }
    }
}

/// By what sums are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// `provider/model`.
    Model,
    /// The route.
    Route,
    /// Who asked.
    Caller,
    /// The day, in UTC.
    Day,
}

/// Sums of requests of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Total {
    /// Their model, route, caller or day, in the order that was asked for.
    pub names: Vec<String>,
    /// How many.
    pub requests: i64,
    /// Of these, how many ended with a status of 400 or more, or in a stream that broke off.
    pub errors: i64,
    /// Tokens read.
    pub input_tokens: i64,
    /// Of these, from the provider's cache.
    pub cached_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// US dollars, as far as they are known. [`Total::known_cost`] says whether anything is.
    pub cost: f64,
    /// What the default model would have cost, over requests of which both costs are known.
    pub default_cost: f64,
    /// The difference of the two, over the same requests.
    pub saved: f64,
    /// Answers whose cost is not known: the model has no price, or nobody has told the usage.
    pub unpriced: i64,
}

impl Total {
    /// Sums of sums, without names; money to the billionth of a dollar, as it is kept.
    #[must_use]
    pub fn of_all<'t>(totals: impl Iterator<Item = &'t Self>) -> Self {
        let mut all = Self::default();
        totals.for_each(|total| add(&mut all, total));
        for money in [&mut all.cost, &mut all.default_cost, &mut all.saved] {
            *money = (*money * 1e9).round() / 1e9;
        }
        all
    }

    /// US dollars; `None` where no answer's cost is known.
    #[must_use]
    pub fn known_cost(&self) -> Option<f64> {
        (self.unpriced == 0 || self.cost > 0.0).then_some(self.cost)
    }

    /// What the default model would have cost, in US dollars; `None` where there is nothing to compare.
    #[must_use]
    pub fn known_default_cost(&self) -> Option<f64> {
        self.is_compared().then_some(self.default_cost)
    }

    /// What was saved against the default model, in US dollars, negative where it was more; `None` where there is nothing
    /// to compare.
    #[must_use]
    pub fn known_saved(&self) -> Option<f64> {
        self.is_compared().then_some(self.saved)
    }

    /// What part was saved of what the same requests would have cost at the default model.
    #[must_use]
    pub fn saved_share(&self) -> Option<f64> {
        (self.default_cost > 0.0).then(|| self.saved / self.default_cost)
    }

    /// There are requests of which both costs are known, or none that cost anything.
    fn is_compared(&self) -> bool {
        self.default_cost > 0.0 || self.saved < 0.0 || (self.unpriced == 0 && self.cost <= 0.0)
    }
}

/// Sums and percentiles over some time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pulse {
    /// Sums.
    #[serde(flatten)]
    pub total: Total,
    /// Milliseconds from a request's head to the end of its answer.
    pub p50_ms: Option<f64>,
    /// The same, for 95 %.
    pub p95_ms: Option<f64>,
    /// The same, for 99 %.
    pub p99_ms: Option<f64>,
    /// Milliseconds to the first content of a stream.
    pub first_token_p50_ms: Option<f64>,
    /// The same, for 95 %.
    pub first_token_p95_ms: Option<f64>,
}

/// When a step begins, in milliseconds since 1970, whose it is, and what happened in it.
pub type Step = ((i64, String), Pulse);

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Records, but for the few that came late and went early.
    pub records: i64,
    /// Bytes of the file that are in use.
    pub bytes: i64,
    /// Milliseconds since 1970 of the oldest one.
    pub oldest: Option<i64>,
}

/// The reading side. It sees everything that was committed when a question is asked.
#[derive(Debug)]
pub struct Reader(pub(super) Connection);

impl Reader {
    /// Opens a file that exists.
    ///
    /// # Errors
    /// It does not, cannot be read, or is another version's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        open_to_read(path).map(Self)
    }

    /// The newest records that are asked for, newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest(&self, filter: &Filter, most: usize) -> Result<Vec<Stored>, StoreError> {
        let (condition, mut values) = conditions(filter);
        values.push(Value::from(i64::try_from(most).unwrap_or(i64::MAX)));
        // The index answers what is asked; rows are read for what is told.
        let query = format!(
            "SELECT seq, record FROM records WHERE seq IN (
                SELECT seq FROM records INDEXED BY records_by_facts WHERE {condition} ORDER BY at DESC, seq DESC LIMIT ?
             ) ORDER BY at DESC, seq DESC"
        );
        let mut query = self.0.prepare_cached(&query)?;
        let rows = query.query_map(params_from_iter(values), stored)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What was written after this place, in the order of writing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn after(&self, seq: i64, most: usize) -> Result<Vec<Stored>, StoreError> {
        let mut query =
            self.0.prepare_cached("SELECT seq, record FROM records WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let rows = query.query_map([seq, i64::try_from(most).unwrap_or(i64::MAX)], stored)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The place of the last one; 0 if there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_seq(&self) -> Result<i64, StoreError> {
        Ok(self.0.query_row("SELECT COALESCE(MAX(seq), 0) FROM records", [], |row| row.get(0))?)
    }

    /// Records whose id begins like this, at most ten of them, with what was said. An id of a response header and one
    /// without dashes are the same.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn find(&self, id: &str) -> Result<Vec<Stored>, StoreError> {
        let Some((low, high)) = bounds(id) else { return Ok(Vec::new()) };
        // The time is the first part of an id, and what the index begins with.
        let mut query = self.0.prepare_cached(
            "SELECT seq, record, (SELECT content FROM contents WHERE contents.seq = records.seq) FROM records
             WHERE at BETWEEN ?1 AND ?2 AND id BETWEEN ?3 AND ?4 ORDER BY at LIMIT 10",
        )?;
        let at = |id: u128| i64::try_from(id >> 80).unwrap_or(i64::MAX);
        let bytes = |id: u128| Value::Blob(id.to_be_bytes().to_vec());
        let values = [at(low).into(), at(high).into(), bytes(low), bytes(high)];
        let rows = query
            .query_map(params_from_iter(values), |row| Ok(Stored { content: row.get(2)?, ..stored(row)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What was said, as JSON.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn content(&self, seq: i64) -> Result<Option<String>, StoreError> {
        let mut query = self.0.prepare_cached("SELECT content FROM contents WHERE seq = ?1")?;
        Ok(query.query_row([seq], |row| row.get(0)).optional()?)
    }

    /// Sums of whole hours, told apart by these, the dearest first; days in their order.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn totals(
        &self,
        by: &[By],
        since: Option<SystemTime>,
        until: Option<SystemTime>,
    ) -> Result<Vec<Total>, StoreError> {
        // Added up by number first: a name is looked up once a line, and not once an hour.
        let keys = by.iter().map(|by| match by {
            By::Model => ("model", "(SELECT name FROM names WHERE id = model)"),
            By::Route => ("route", "(SELECT name FROM names WHERE id = route)"),
            By::Caller => ("caller", "(SELECT name FROM names WHERE id = caller)"),
            By::Day => ("place * step / 24 AS day", "date(day * 86400, 'unixepoch')"),
        });
        let (keys, names): (Vec<&str>, Vec<&str>) = keys.unzip();
        let listed =
            |columns: &[&str]| columns.iter().map(|column| format!("{column}, ")).collect::<String>();
        let places: Vec<String> = (1..=by.len()).map(|place| place.to_string()).collect();
        let group = if places.is_empty() { String::new() } else { format!("GROUP BY {}", places.join(", ")) };
        let order = if by.contains(&By::Day) {
            places.join(", ")
        } else {
            let last = places.iter().map(|place| format!(", {place}")).collect::<String>();
            format!("cost DESC, requests DESC{last}")
        };
        let query = format!(
            "SELECT {names}{SUMMED} FROM (SELECT {keys}{SUMS} FROM (
                SELECT * FROM bills WHERE step = 24 AND place >= ?1 AND place < ?2
                UNION ALL SELECT * FROM bills WHERE step = 1 AND place >= ?3 AND place < ?4
                UNION ALL SELECT * FROM bills WHERE step = 1 AND place >= ?5 AND place < ?6
             ) {group})
             WHERE requests > 0 ORDER BY {order}",
            names = listed(&names),
            keys = listed(&keys),
        );
        let hour = |time: Option<SystemTime>, default| time.map_or(default, |time| millis(time) / 3_600_000);
        let (from, to) = (hour(since, 0), hour(until, i64::MAX - 1).saturating_add(1));
        // Whole days are kept as such; hours are what is left at both ends.
        let days = (from.saturating_add(23) / 24, to / 24);
        let bounds = match days {
            (first, last) if first < last => [first, last, from, first * 24, last * 24, to],
            _ => [0, 0, from, to, 0, 0],
        };
        let mut query = self.0.prepare_cached(&query)?;
        let rows = query.query_map(bounds, |row| {
            let names =
                (0..by.len()).map(|place| Ok(row.get::<_, Option<String>>(place)?.unwrap_or_default()));
            Ok(Total { names: names.collect::<rusqlite::Result<_>>()?, ..total(row, by.len())? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What happened since then, in steps of so many minutes, each with the time of its begin in milliseconds since
    /// 1970; steps in which nothing happened are left out.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn series(&self, since: SystemTime, minutes: u32) -> Result<Vec<(i64, Pulse)>, StoreError> {
        let found = self.steps("''", since, minutes)?;
        Ok(found.into_iter().map(|((time, _), pulse)| (time, pulse)).collect())
    }

    /// The same by model or by route: times and names, in the order of time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn series_by(&self, by: By, since: SystemTime, minutes: u32) -> Result<Vec<Step>, StoreError> {
        self.steps(name_of(by), since, minutes)
    }

    /// What happened since then.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn pulse(&self, since: SystemTime) -> Result<Pulse, StoreError> {
        let found = self.pulses("0", "''", since)?;
        Ok(found.into_iter().next().map(|(_, pulse)| pulse).unwrap_or_default())
    }

    /// What happened since then, by model or by route, the busiest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn pulses_by(&self, by: By, since: SystemTime) -> Result<Vec<(String, Pulse)>, StoreError> {
        let found = self.pulses("0", name_of(by), since)?;
        let mut found: Vec<_> = found.into_iter().map(|((_, name), pulse)| (name, pulse)).collect();
        found.sort_by_key(|(_, pulse)| -pulse.total.requests);
        Ok(found)
    }

    /// By steps of so many minutes, told by their begins in milliseconds since 1970, and by this name.
    fn steps(&self, name: &str, since: SystemTime, minutes: u32) -> Result<Vec<Step>, StoreError> {
        let minutes = i64::from(minutes.max(1));
        let place = format!("place * step / {minutes}");
        // Whole hours are kept as such; only what is finer is made of minutes.
        let mut found = if minutes % 60 == 0 {
            self.pulses(&place, name, since)?
        } else {
            self.pulses_of(&place, name, &[(1, millis(since) / 60_000, i64::MAX)])?
        };
        found.iter_mut().for_each(|((place, _), _)| *place *= minutes * 60_000);
        Ok(found)
    }

    /// Of minutes up to the first whole hour, and of hours from there on.
    fn pulses(&self, place: &str, name: &str, since: SystemTime) -> Result<Vec<Step>, StoreError> {
        let minute = millis(since) / 60_000;
        let hour = minute.saturating_add(59) / 60;
        self.pulses_of(place, name, &[(1, minute, hour * 60), (60, hour, i64::MAX)])
    }

    /// Sums of rows of these steps, from one place to before another, told apart by a number and a name, in their order.
    fn pulses_of(
        &self,
        place: &str,
        name: &str,
        ranges: &[(i64, i64, i64)],
    ) -> Result<Vec<Step>, StoreError> {
        let query = format!(
            "SELECT {place}, {name}, requests, errors, input, cached, output, cost, default_cost, saved, unpriced,
                durations, first_tokens
             FROM pulses WHERE step = ?1 AND place >= ?2 AND place < ?3"
        );
        let mut query = self.0.prepare_cached(&query)?;
        let mut found: BTreeMap<(i64, String), (Total, Durations, Durations)> = BTreeMap::new();
        for range in ranges {
            let mut rows = query.query(*range)?;
            while let Some(row) = rows.next()? {
                let key = (row.get(0)?, row.get::<_, Option<String>>(1)?.unwrap_or_default());
                let (sum, durations, first_tokens) = found.entry(key).or_default();
                add(sum, &total(row, 2)?);
                durations.merge(&Durations::from_bytes(&row.get::<_, Vec<u8>>(11)?));
                first_tokens.merge(&Durations::from_bytes(&row.get::<_, Vec<u8>>(12)?));
            }
        }
        let pulse = |(total, durations, first_tokens): (Total, Durations, Durations)| Pulse {
            total,
            p50_ms: durations.quantile(0.5),
            p95_ms: durations.quantile(0.95),
            p99_ms: durations.quantile(0.99),
            first_token_p50_ms: first_tokens.quantile(0.5),
            first_token_p95_ms: first_tokens.quantile(0.95),
        };
        Ok(found.into_iter().map(|(key, sums)| (key, pulse(sums))).collect())
    }

    /// How much there is.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn size(&self) -> Result<Size, StoreError> {
        let pragma = |name: &str| self.0.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let bytes = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
        // The oldest are deleted first, so that their places have no gaps; counting a million takes too long for a page.
        let query = "SELECT COALESCE((SELECT MAX(seq) FROM records) - (SELECT MIN(seq) FROM records) + 1, 0),
                            (SELECT MIN(at) FROM records)";
        let (records, oldest) = self.0.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Size { records, bytes, oldest })
    }
}

/// What a pulse of this kind is called, as SQL.
fn name_of(by: By) -> &'static str {
    match by {
        By::Route => "(SELECT name FROM names WHERE id = route)",
        By::Model | By::Caller | By::Day => "(SELECT name FROM names WHERE id = model)",
    }
}

const SUMS: &str = "SUM(requests) AS requests, SUM(errors) AS errors, SUM(input) AS input, SUM(cached) AS cached, \
                    SUM(output) AS output, SUM(cost) AS cost, SUM(default_cost) AS default_cost, SUM(saved) AS saved, \
                    SUM(unpriced) AS unpriced";
/// The same, of what has been summed.
const SUMMED: &str = "requests, errors, input, cached, output, cost, default_cost, saved, unpriced";

/// The sums of a row, from this column on.
fn total(row: &Row<'_>, first: usize) -> rusqlite::Result<Total> {
    let sum = |place: usize| {
        Ok::<i64, rusqlite::Error>(row.get::<_, Option<i64>>(first + place)?.unwrap_or_default())
    };
    Ok(Total {
        names: Vec::new(),
        requests: sum(0)?,
        errors: sum(1)?,
        input_tokens: sum(2)?,
        cached_tokens: sum(3)?,
        output_tokens: sum(4)?,
        cost: dollars(sum(5)?),
        default_cost: dollars(sum(6)?),
        saved: dollars(sum(7)?),
        unpriced: sum(8)?,
    })
}

fn add(sum: &mut Total, more: &Total) {
    sum.requests += more.requests;
    sum.errors += more.errors;
    sum.input_tokens += more.input_tokens;
    sum.cached_tokens += more.cached_tokens;
    sum.output_tokens += more.output_tokens;
    sum.cost += more.cost;
    sum.default_cost += more.default_cost;
    sum.saved += more.saved;
    sum.unpriced += more.unpriced;
}

#[expect(clippy::cast_precision_loss, reason = "exact up to nine million dollars")]
fn dollars(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { seq: row.get(0)?, record: row.get(1)?, content: None })
}

/// The lowest and the highest id that begin like this.
fn bounds(id: &str) -> Option<(u128, u128)> {
    let digits: String = id.chars().filter(|digit| *digit != '-').collect();
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    let low = u128::from_str_radix(&format!("{digits:0<32}"), 16).ok()?;
    let high = u128::from_str_radix(&format!("{digits:f<32}"), 16).ok()?;
    Some((low, high))
}
