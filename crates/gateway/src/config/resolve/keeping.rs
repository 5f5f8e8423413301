//! Answers that are kept for clients of the Responses API.

use std::time::Duration;

use super::super::diagnostic::Problem;
use super::super::schema::{StateKind, StateStorage};
use super::super::setting::Setting;
use super::{Context, defaults, values};
use crate::responses::store::Keeping;

/// As long as OpenAI keeps an answer, and then some.
const LONGEST: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What is kept where a configuration says nothing about it.
pub(crate) fn default_keeping() -> Keeping {
    Keeping { path: None, time: defaults::KEEPING_TIME, most_bytes: defaults::KEEPING_BYTES as u64 }
}

pub(super) fn resolve(context: Context<'_>, written: &Setting<StateStorage>) -> Keeping {
    let base = default_keeping();
    let Some(placed) = written.given() else { return base };
    let storage = &placed.value;
    // A file alone says it as well.
    let is_sqlite = match storage.kind.value() {
        Some(kind) => *kind == StateKind::Sqlite,
        None => storage.kind.is_absent() && !storage.path.is_absent(),
    };
    if let Some(kind) = storage.kind.given()
        && kind.value == StateKind::Postgres
    {
        let problem =
            Problem::warning("`state_storage` of type `postgres` is not known: answers are kept in memory");
        context
            .add(problem.at(&kind.place).hint("write `type: sqlite` and `path: …` to keep them in a file"));
    }
    let path = storage.path.value().map(|path| path.trim()).filter(|path| !path.is_empty());
    if is_sqlite && path.is_none() && !storage.path.is_broken() {
        context.add(
            Problem::error("`state_storage` of type `sqlite` without a `path`")
                .at(&placed.place)
                .hint("add `path: …`, the file that holds the answers"),
        );
    }
    if let Some(path) = storage.path.given()
        && !is_sqlite
    {
        let problem = Problem::warning("`state_storage.path` has no effect: only `type: sqlite` has a file");
        context.add(problem.at(&path.place).hint("write `type: sqlite`"));
    }
    let bytes = values::size(context, "max_size", &storage.max_size, defaults::KEEPING_BYTES);
    Keeping {
        path: path.filter(|_| is_sqlite).map(Into::into),
        time: values::duration_up_to(LONGEST, context, "keep", &storage.keep, base.time),
        most_bytes: u64::try_from(bytes).unwrap_or(base.most_bytes),
    }
}
