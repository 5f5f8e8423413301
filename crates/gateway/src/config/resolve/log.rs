//! What is kept of requests.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::super::diagnostic::Problem;
use super::super::schema::{ContentKept, Log as Written, LogFormat};
use super::super::secret::Environment;
use super::super::setting::{Placed, Setting};
use super::super::{Log, RecordsFile};
use super::{Context, defaults, values};
use crate::telemetry::diagnostics;
use crate::telemetry::kept::Keep;
use crate::telemetry::request_log::Format;

/// Ten years: longer is a mistake.
const LONGEST: Duration = Duration::from_secs(3660 * 24 * 60 * 60);
const MOST_CONTENT: u64 = 16 << 20;
const MOST_BYTES: u64 = 1 << 40;
/// Some thousand records. Of less, what is there to be looked at would be gone before anybody looks.
const LEAST_BYTES: u64 = 1 << 20;

/// What is kept where a configuration says nothing about it.
pub(in crate::config) fn default_log(environment: &Environment) -> Log {
    Log {
        file: usual_path(environment).map(|path| RecordsFile { path, is_chosen: false }),
        time: defaults::RECORDS_TIME,
        most_bytes: defaults::RECORDS_BYTES,
        content: None,
        diagnostics: diagnostics::Settings::default(),
        postgres: None,
    }
}

pub(super) fn resolve(context: Context<'_>, written: &Setting<Written>) -> Log {
    let base = default_log(context.environment);
    let Some(written) = written.value() else { return base };
    let chosen = written.path.given().map(|path| path.value.trim()).filter(|path| !path.is_empty());
    let chosen = chosen.map(|path| RecordsFile { path: path.into(), is_chosen: true });
    let is_off = written.records.value() == Some(&false);
    if is_off && let Some(path) = written.path.given() {
        let problem = Problem::warning("`log.path` has no effect where `log.records` is false");
        context.add(problem.at(&path.place));
    }
    let size = |key, setting, default: u64, bounds| {
        let default = usize::try_from(default).unwrap_or(usize::MAX);
        values::size_within(bounds, context, key, setting, default)
    };
    let redact = match written.content.value() {
        Some(ContentKept::Redacted) => Some(true),
        Some(ContentKept::Full) => Some(false),
        Some(ContentKept::None) | None => None,
    };
    let length = size("max_content", &written.max_content, defaults::CONTENT_BYTES, 1..=MOST_CONTENT);
    let bytes = size("max_size", &written.max_size, base.most_bytes, LEAST_BYTES..=MOST_BYTES);
    Log {
        file: chosen.or(base.file).filter(|_| !is_off),
        time: values::duration_up_to(LONGEST, context, "keep", &written.keep, base.time),
        most_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
        postgres: written.postgres.given().and_then(|url| postgres(context, url)),
        content: redact.map(|redact| Keep { redact, most: length }),
        diagnostics: diagnostics(context, written),
    }
}

/// What else is logged.
fn diagnostics(context: Context<'_>, written: &Written) -> diagnostics::Settings {
    let level = written.level.given().filter(|level| {
        let problem = diagnostics::filter(&level.value).err();
        if let Some(problem) = &problem {
            let problem = Problem::error(format!("`level`: {problem}")).at(&level.place);
            context.add(problem.hint("write a level, such as `debug`, or `waypost=debug,hyper=info`"));
        }
        problem.is_none()
    });
    diagnostics::Settings {
        level: level.map(|level| level.value.trim().to_owned()),
        format: written.format.value().map(|format| match format {
            LogFormat::Text => Format::Text,
            LogFormat::Json => Format::Json,
        }),
    }
}

#[cfg(feature = "postgres")]
fn postgres(context: Context<'_>, written: &Placed<String>) -> Option<SecretString> {
    let expanded = values::expanded(context, written)?;
    let is_known = !(context.environment.is_without_keys() && written.value.contains('$'));
    let url = SecretString::from(expanded.text);
    if is_known && let Err(error) = crate::store::postgres::parse(&url) {
        let problem = Problem::error(error.to_string()).at(&written.place);
        context.add(problem.hint(error.hint()));
        return None;
    }
    Some(url)
}

#[cfg(not(feature = "postgres"))]
fn postgres(context: Context<'_>, written: &Placed<String>) -> Option<SecretString> {
    let problem = Problem::error("this binary was built without its feature `postgres`").at(&written.place);
    context.add(problem.hint("remove `log.postgres`, or build with the feature"));
    None
}

/// Where services of a system, and else programs of a person, have what they remember.
fn usual_path(environment: &Environment) -> Option<PathBuf> {
    let folder = |name: &str| environment.find_set(name).map(|(value, _)| PathBuf::from(value.trim()));
    // systemd may name several, and means this service alone (systemd.exec(5)).
    let own = environment
        .find_set("STATE_DIRECTORY")
        .map(|(value, _)| PathBuf::from(value.split(':').next().unwrap_or_default().trim()));
    own.or_else(|| folder("XDG_STATE_HOME").map(|folder| folder.join("waypost")))
        .or_else(|| folder("HOME").map(|home| home.join(".local/state/waypost")))
        .map(|folder| folder.join("records.db"))
}
