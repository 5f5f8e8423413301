//! The records of a batch by kind. What those of one kind share is looked up once, and they are added up before a row of
//! the sums is touched.

use hashbrown::HashMap;

use super::sums::{Names, Pulse, Sums};
use super::write::millis;
use crate::telemetry::record::Record;

/// What records have in common that go into the same sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind<'b> {
    /// Since 1970.
    pub(super) minute: i64,
    /// Provider and model, where one was asked.
    pub(super) model: Option<(&'b str, &'b str)>,
    pub(super) route: &'b str,
    pub(super) caller: Option<[u8; 6]>,
}

impl<'b> Kind<'b> {
    fn of(record: &'b Record) -> Self {
        let route = record.route.as_deref().unwrap_or_default();
        Self {
            minute: millis(record.at) / 60_000,
            model: record.provider.as_deref().zip(record.model.as_deref()),
            // Names that clients make up are theirs, and no route of ours.
            route: if record.brings_routes && !route.is_empty() { "(request)" } else { route },
            caller: record.caller,
        }
    }
}

/// The numbers of a kind's names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    /// In its records' rows.
    pub(super) own: Names,
    /// In the sums, where there may be too many of them.
    pub(super) summed: Names,
}

/// All kinds of a batch.
#[derive(Debug, Default)]
pub(super) struct Kinds<'b> {
    places: HashMap<Kind<'b>, usize>,
    all: Vec<(Kind<'b>, Numbers, Pulse)>,
    /// The place of the last record's.
    last: usize,
}

impl<'b> Kinds<'b> {
    /// Adds a record to its kind, whose names get their numbers when it is a new one; returns those of its row.
    pub(super) fn add(
        &mut self,
        record: &'b Record,
        number: impl FnOnce(&Kind<'b>) -> rusqlite::Result<Numbers>,
    ) -> rusqlite::Result<Names> {
        let kind = Kind::of(record);
        if self.all.get(self.last).is_none_or(|(last, ..)| *last != kind) {
            self.last = match self.places.get(&kind) {
                Some(place) => *place,
                None => {
                    let place = self.all.len();
                    self.all.push((kind, number(&kind)?, Pulse::default()));
                    self.places.insert(kind, place);
                    place
                }
            };
        }
        let Some((_, numbers, pulse)) = self.all.get_mut(self.last) else { return Ok(Names::default()) };
        pulse.observe(record);
        Ok(numbers.own)
    }

    /// Everything added up.
    pub(super) fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (kind, numbers, pulse) in &self.all {
            sums.add(kind.minute, numbers.summed, pulse);
        }
        sums
    }
}
