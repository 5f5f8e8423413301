//! Records as they come: first those of the last hour, then what is written.

use std::time::{Duration, SystemTime};

use super::super::records::row::Row;
use super::state::MOST;
use crate::store::read::{Filter, Reader};
use crate::store::walk::{Order, Walk};

/// Records that are read between two looks at the keyboard.
const PAGE: usize = 1000;
/// The longest window, and what the slowest requests of it may take.
const BACK: Duration = Duration::from_secs(70 * 60);

/// A record with its place in the file.
pub(super) type Placed = (i64, Row);

/// Where the reading stands.
pub(super) struct Feed {
    reader: Reader,
    filter: Filter,
    /// The way through what was there at the start; `None` when it has been gone.
    walk: Option<Walk>,
    /// The last place that was seen.
    seen: i64,
    /// The file as it was then.
    version: i64,
}

impl Feed {
    pub(super) fn start(reader: Reader, filter: Filter) -> anyhow::Result<Self> {
        let mut feed = Self { reader, filter, walk: None, seen: 0, version: 0 };
        feed.restart()?;
        Ok(feed)
    }

    /// From the beginning.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        self.seen = self.reader.last_seq()?;
        self.version = 0;
        let since = SystemTime::now().checked_sub(BACK).max(self.filter.since);
        let mut walk = self.reader.walk(&Filter { since, ..self.filter.clone() }, Order::Newest(MOST))?;
        walk.to = Some(self.seen);
        self.walk = Some(walk);
        Ok(())
    }

    /// There is more to read at once.
    pub(super) fn has_more(&self) -> bool {
        self.walk.is_some()
    }

    /// The next records; none where there are none yet.
    pub(super) fn next(&mut self) -> anyhow::Result<Vec<Placed>> {
        let stored = if let Some(walk) = &mut self.walk {
            let page = walk.next(&self.reader, PAGE, false)?;
            if page.len() < PAGE {
                self.walk = None;
            }
            page
        } else {
            // A look at the file's header, as long as nobody writes.
            let version = self.reader.version()?;
            if version == self.version {
                return Ok(Vec::new());
            }
            let end = self.reader.last_seq()?;
            let page = self.reader.come(&self.filter, self.seen, end, PAGE, false)?;
            if page.len() < PAGE {
                (self.seen, self.version) = (end, version);
            } else if let Some(last) = page.last() {
                self.seen = last.seq;
            }
            page
        };
        stored.iter().map(|stored| Ok((stored.seq, Row::read(stored)?))).collect()
    }

    /// One record with what was said.
    pub(super) fn whole(&self, seq: i64) -> anyhow::Result<Option<Row>> {
        let mut found = self.reader.come(&Filter::default(), seq - 1, seq, 1, true)?;
        found.pop().map(|stored| Row::read(&stored)).transpose()
    }
}
