//! What the program has to say besides request lines: on standard error, as text or as JSON, with the id of the request
//! that a line is about. What is said, and how, can change while the program runs.

use std::fmt::{self, Debug, Write};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt as output, reload};

use super::current;
use super::request_log::Format;

/// What is said where nothing else is asked for.
const USUAL: &str = "info";

/// What there is to change.
static CONTROL: OnceLock<Control> = OnceLock::new();

/// The running log.
#[derive(Debug)]
struct Control {
    filter: reload::Handle<EnvFilter, Registry>,
    is_json: Arc<AtomicBool>,
    /// The command line has said what is logged: no configuration changes it.
    is_fixed: bool,
}

/// What a configuration says of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// A level, or levels by module, such as `debug` or `waypost=debug,hyper=info`.
    pub level: Option<String>,
    /// How lines look.
    pub format: Option<Format>,
}

/// Reads what is to be logged.
///
/// # Errors
/// What is wrong with it.
pub fn filter(text: &str) -> Result<EnvFilter, String> {
    // A word that is no level would be taken for a module's name.
    let is_word = !text.contains(['=', ',', '[']);
    if text.trim().is_empty()
        || is_word && text.trim().parse::<tracing_subscriber::filter::LevelFilter>().is_err()
    {
        return Err("it is not `error`, `warn`, `info`, `debug`, `trace` or `off`".to_owned());
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

/// Starts the log; `own` is what the command line asks for, and wins over any configuration.
///
/// # Errors
/// What is wrong with it. The log has been started all the same.
pub fn start(own: Option<&str>) -> Result<(), String> {
    let asked = own.map(filter);
    let (chosen, problem) = match asked {
        Some(Err(problem)) => (None, Some(problem)),
        Some(Ok(filter)) => (Some(filter), None),
        None => (None, None),
    };
    let is_fixed = chosen.is_some();
    let (filter, handle) = reload::Layer::new(chosen.unwrap_or_else(|| EnvFilter::new(USUAL)));
    let is_json = Arc::new(AtomicBool::new(false));
    let lines = lines(Arc::clone(&is_json), std::io::stderr, std::io::stderr().is_terminal());
    // Fails only if a log has been set up before, as a test may do.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _ = CONTROL.set(Control { filter: handle, is_json, is_fixed });
    }
    problem.map_or(Ok(()), Err)
}

/// Puts to use what a configuration says.
pub fn apply(settings: &Settings) {
    let Some(control) = CONTROL.get() else { return };
    control.is_json.store(settings.format == Some(Format::Json), Ordering::Relaxed);
    if control.is_fixed {
        return;
    }
    // It has been checked when it was read.
    if let Ok(filter) = filter(settings.level.as_deref().unwrap_or(USUAL)) {
        let _ = control.filter.reload(filter);
    }
}

/// A layer that writes lines.
fn lines<S, W>(is_json: Arc<AtomicBool>, writer: W, is_coloured: bool) -> impl tracing_subscriber::Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    output::layer().event_format(Lines { is_json }).with_ansi(is_coloured).with_writer(writer)
}

/// How a line looks.
struct Lines {
    is_json: Arc<AtomicBool>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.is_json.load(Ordering::Relaxed) {
            return writeln!(writer, "{}", json(event));
        }
        let Some(request) = current::request() else {
            return format::Format::default().format_event(context, writer, event);
        };
        let mut line = String::new();
        let form = format::Format::default().with_ansi(writer.has_ansi_escapes());
        form.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{} request_id={request}", line.trim_end_matches('\n'))
    }
}

fn json(event: &Event<'_>) -> Value {
    let mut fields = Fields(Map::new());
    let metadata = event.metadata();
    fields.put("time", humantime::format_rfc3339_millis(SystemTime::now()).to_string());
    fields.put("level", metadata.level().as_str());
    // `target` is a field of many events.
    fields.put("module", metadata.target());
    event.record(&mut fields);
    if let Some(request) = current::request() {
        fields.put("request_id", request.to_string());
    }
    Value::Object(fields.0)
}

/// An event's fields as they are: numbers are numbers.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = write!(text, "{value:?}");
        self.put(field.name(), text);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use uuid::Uuid;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(is_json: bool) -> String {
        let written = Written::default();
        let writer = written.clone();
        let layer = lines(Arc::new(AtomicBool::new(is_json)), move || writer.clone(), false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(target = %"p/m", seconds = 1.5, count = 3_u64, "the target \"rests\"\nfor a while");
            let _entered = current::enter(Uuid::from_u128(7));
            tracing::info!("within");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_names_its_request() {
        let text = said(false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(text.contains("WARN") && text.contains("target=p/m"), "{text}");
        let last = lines.last().unwrap();
        assert!(last.ends_with("within request_id=00000000-0000-0000-0000-000000000007"), "{text}");
        assert!(!lines[0].contains("request_id"));
    }

    #[test]
    fn lines_of_json_are_lines_of_json() {
        let text = said(true);
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [first, last] = &lines[..] else { panic!("{text}") };
        assert_eq!(first["message"], "the target \"rests\"\nfor a while");
        assert_eq!(
            (&first["level"], &first["seconds"], &first["count"]),
            (&"WARN".into(), &1.5.into(), &3.into())
        );
        assert!(first["time"].as_str().unwrap().ends_with('Z') && first.get("request_id").is_none());
        assert_eq!(last["request_id"], "00000000-0000-0000-0000-000000000007");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for (text, is_known) in [
            ("debug", true),
            ("waypost=debug,hyper=info", true),
            ("off", true),
            ("loud", false),
            ("waypost=loud", false),
            ("", false),
        ] {
            assert_eq!(filter(text).is_ok(), is_known, "{text}");
        }
    }
}
