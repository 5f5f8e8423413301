//! A request that is over, and who is told of it.

use std::fmt::Debug;
use std::sync::{Arc, OnceLock};

use super::kept::Content;
use super::record::Record;
use super::row;

/// A request that is over.
#[derive(Debug)]
pub struct Finished {
    /// Its facts, in the box that they came in.
    pub record: Box<Record>,
    /// What was said, where that is kept.
    pub content: Option<Content>,
    row: OnceLock<String>,
}

impl Finished {
    /// Reads what was said of what the record holds.
    #[must_use]
    pub fn new(mut record: Box<Record>) -> Self {
        let content = record.raw.0.take().map(|raw| raw.read(record.client));
        Self { record, content, row: OnceLock::new() }
    }

    /// Its facts as one JSON object, without content (`docs/reference/records.md`).
    #[must_use]
    pub fn row(&self) -> &str {
        self.row.get_or_init(|| row::json(&self.record))
    }

    /// Writes the same behind what there is in `out`: for who needs it once.
    pub(crate) fn write_row(&self, out: &mut Vec<u8>) {
        match self.row.get() {
            Some(row) => out.extend_from_slice(row.as_bytes()),
            None => row::write(out, &self.record),
        }
    }
}

/// Who is told of finished requests, one by one and by a thread that nobody's request waits for.
pub trait Sink: Debug + Send + Sync {
    /// Its name in metrics. A new sink takes the place of one of the same name.
    fn name(&self) -> &'static str;

    /// Takes one, and does not wait: false if there is no room for it, and it is lost.
    #[must_use]
    fn take(&self, finished: &Arc<Finished>) -> bool;

    /// There will be no more: returns when everything that was taken is where it belongs.
    fn close(&self) {}
}
