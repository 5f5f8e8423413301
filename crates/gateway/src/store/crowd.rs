//! How many sums an hour may have. Clients make up names of models where any is passed on, and keys cost them nothing;
//! sums are kept for more than a year.

use std::collections::{BTreeMap, HashSet};

use rusqlite::Connection;

use super::sums::Names;

/// Sets of names in an hour that are summed apart; what comes with others is summed as [`OTHER`].
const MOST: usize = 2000;
/// What stands for a model and a caller then.
pub(super) const OTHER: &str = "(other)";
/// Hours that are remembered: requests that take long are of an earlier one.
const HOURS: usize = 4;

/// The names that have sums in the last hours.
#[derive(Debug, Default)]
pub(super) struct Crowd(BTreeMap<i64, HashSet<Names>>);

impl Crowd {
    /// Whether these names have sums of their own in this hour, or may have.
    pub(super) fn admits(
        &mut self,
        connection: &Connection,
        hour: i64,
        names: Names,
    ) -> rusqlite::Result<bool> {
        if !self.0.contains_key(&hour) {
            let mut query = connection
                .prepare_cached("SELECT model, route, caller FROM bills WHERE step = 1 AND place = ?1")?;
            let known = query.query_map([hour], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let known = known.collect::<rusqlite::Result<_>>()?;
            while self.0.len() >= HOURS {
                self.0.pop_first();
            }
            self.0.insert(hour, known);
        }
        let known = self.0.entry(hour).or_default();
        Ok(known.contains(&names) || (known.len() < MOST && known.insert(names)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema;
    use super::*;

    #[test]
    fn an_hour_has_an_end() {
        let connection = Connection::open_in_memory().unwrap();
        schema::migrate(&connection).unwrap();
        connection
            .execute("INSERT INTO bills VALUES (1, 7, 500, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)", [])
            .unwrap();
        let mut crowd = Crowd::default();
        let mut admits = |hour, model| crowd.admits(&connection, hour, (model, 1, 1)).unwrap();
        let most = i64::try_from(MOST).unwrap();
        // One of them is in the file already.
        assert_eq!((1000..1000 + most).filter(|model| admits(7, *model)).count(), MOST - 1);
        assert!(admits(7, 500) && admits(7, 1000), "who is in stays in");
        assert!(!admits(7, 1), "and others do not come in");
        assert!(admits(8, 1), "before the next hour");
        for hour in 9..20 {
            assert!(admits(hour, 1));
        }
    }
}
