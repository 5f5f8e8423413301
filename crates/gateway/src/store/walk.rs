//! Reading many records in their order, a page at a time: no transaction stays open between two pages, and nothing
//! grows with the file.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::StoreError;
use super::filter::conditions;
use super::read::{Filter, Reader, Stored};

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// With the oldest.
    First,
    /// So that this many are left.
    Newest(usize),
}

/// A way through records, from the older to the newer ones.
#[derive(Debug, Clone)]
pub struct Walk {
    filter: Filter,
    /// The time and the place that come next, or what follows them.
    from: (i64, i64),
    /// The last place that is told of.
    pub to: Option<i64>,
}

impl Reader {
    /// A way through what is asked for.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn walk(&self, filter: &Filter, order: Order) -> Result<Walk, StoreError> {
        let from = match order {
            Order::First => Some((i64::MIN, 0)),
            Order::Newest(0) => None,
            Order::Newest(number) => self.oldest_of(filter, number)?,
        };
        Ok(Walk { filter: filter.clone(), from: from.unwrap_or((i64::MAX, i64::MAX)), to: None })
    }

    /// The oldest of so many of the newest, or of all where there are fewer.
    fn oldest_of(&self, filter: &Filter, number: usize) -> Result<Option<(i64, i64)>, StoreError> {
        let (condition, mut values) = conditions(filter);
        values.push(Value::from(i64::try_from(number).unwrap_or(i64::MAX)));
        let query = format!(
            "SELECT at, seq FROM records INDEXED BY records_by_facts WHERE {condition}
             ORDER BY at DESC, seq DESC LIMIT ?"
        );
        let mut query = self.0.prepare_cached(&query)?;
        let mut rows = query.query(params_from_iter(values))?;
        let mut oldest = None;
        while let Some(row) = rows.next()? {
            oldest = Some((row.get(0)?, row.get(1)?));
        }
        Ok(oldest)
    }

    /// A number that changes when somebody has written: cheaper than to look for what.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn version(&self) -> Result<i64, StoreError> {
        Ok(self.0.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// What was written after `seq` and not after `end`, of what is asked for, in the order of writing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn come(
        &self,
        filter: &Filter,
        seq: i64,
        end: i64,
        most: usize,
        content: bool,
    ) -> Result<Vec<Stored>, StoreError> {
        let (condition, values) = conditions(filter);
        let all = [seq.into(), end.into()].into_iter().chain(values);
        let query = format!(
            "SELECT seq, record, {} FROM records NOT INDEXED WHERE seq > ? AND seq <= ? AND {condition} ORDER BY seq LIMIT {most}",
            said(content)
        );
        let mut query = self.0.prepare_cached(&query)?;
        let rows = query.query_map(params_from_iter(all), |row| {
            Ok(Stored { seq: row.get(0)?, record: row.get(1)?, content: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// What was said, or nothing.
fn said(content: bool) -> &'static str {
    if content { "(SELECT content FROM contents WHERE contents.seq = records.seq)" } else { "NULL" }
}

impl Walk {
    /// The next ones, at most so many, with what was said if that is wanted; empty at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, reader: &Reader, most: usize, content: bool) -> Result<Vec<Stored>, StoreError> {
        let (condition, values) = conditions(&self.filter);
        let (at, seq) = self.from;
        let places = [at, at, seq, self.to.unwrap_or(i64::MAX)].map(Value::from);
        let query = format!(
            "SELECT seq, record, {}, at FROM records WHERE seq IN (
                SELECT seq FROM records INDEXED BY records_by_facts
                WHERE at >= ? AND (at, seq) >= (?, ?) AND seq <= ? AND {condition} ORDER BY at, seq LIMIT {most}
             ) ORDER BY at, seq",
            said(content)
        );
        let mut query = reader.0.prepare_cached(&query)?;
        let mut rows = query.query(params_from_iter(places.into_iter().chain(values)))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            found.push(Stored { seq, record: row.get(1)?, content: row.get(2)? });
            self.from = (row.get(3)?, seq + 1);
        }
        Ok(found)
    }
}
