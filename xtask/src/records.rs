//! Fills a file of records through the gateway's own writer, and measures what the commands and the page ask of it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use tokio::time::Instant;
use waypost::store::read::{By, Ended, Filter, Reader};
use waypost::store::walk::Order;
use waypost::store::{Retention, Store};
use waypost::telemetry::finished::{Finished, Sink};
use waypost::telemetry::metrics::Metrics;
use waypost::telemetry::record::{Found, Record, Try};
use waypost_dialect::usage::Usage;
use waypost_dialect::{ClientDialect, DialectId};
use waypost_routing::catalog::Prices;
use waypost_routing::router::Method;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file; one that is there is measured as it is
    file: PathBuf,
    /// Records that a new file gets
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// The time that they are spread over
    #[arg(long, default_value_t = 29)]
    days: u64,
}

const MODELS: [(&str, &str, f64); 5] = [
    ("openai", "gpt-5.2", 10.0),
    ("openai", "gpt-5-mini", 0.25),
    ("anthropic", "claude-sonnet-4-5", 3.0),
    ("anthropic", "claude-haiku-4-5", 1.0),
    ("ollama", "llama3.2", 0.0),
];
const ROUTES: [&str; 4] = ["code generation", "code understanding", "creative writing", "reasoning"];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if !options.file.exists() {
        fill(options)?;
    }
    measure(&Reader::open(&options.file)?)
}

fn fill(options: &Options) -> anyhow::Result<()> {
    let retention = Retention { time: DAY * 3650, most_bytes: u64::MAX };
    let store = Store::start(&options.file, true, retention, Arc::new(Metrics::default()))?;
    let started = Instant::now();
    let span = DAY * u32::try_from(options.days)?;
    let begin = SystemTime::now() - span;
    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..options.count {
        let share = number as f64 / options.count as f64;
        let finished = Arc::new(Finished::new(Box::new(record(begin + span.mul_f64(share), &mut random))));
        // A gateway would drop it; here all of them are wanted.
        while !store.take(&finished) {
            #[expect(clippy::disallowed_methods, reason = "this process has no requests to stop")]
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    store.close();
    let seconds = started.elapsed().as_secs_f64();
    let bytes = options.file.metadata()?.len();
    writeln!(
        std::io::stdout(),
        "{} records written in {seconds:.1} s, {:.0} a second, {} bytes each",
        options.count,
        options.count as f64 / seconds,
        bytes / options.count.max(1)
    )?;
    Ok(())
}

fn record(at: SystemTime, random: &mut fastrand::Rng) -> Record {
    let mut record = Record::open("/v1/chat/completions", ClientDialect::OpenAiChat);
    let millis =
        u64::try_from(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(0);
    record.at = at;
    record.id = uuid::Builder::from_unix_timestamp_millis(
        millis,
        &random.u128(..).to_le_bytes()[..10].try_into().unwrap_or([0; 10]),
    )
    .into_uuid();
    record.listener = "egress_traffic".into();
    record.caller = Some([0, 0, 0, 0, 0, random.u8(..50)]);
    record.requested = "auto".to_owned();
    record.session = random.bool().then(|| format!("session-{}", random.u32(..20_000)));
    record.stream = random.bool();
    record.decision = Duration::from_micros(random.u64(100..3000));
    record.total = Duration::from_micros((1e5 * (random.f64() * 4.0).exp()) as u64);
    let (provider, model, price) = MODELS[random.usize(..MODELS.len())];
    let prices = |price: f64| Prices { input: Some(price), output: Some(price * 4.0), ..Prices::default() };
    record.default_prices = Some(prices(10.0));
    record.prices = prices(price);
    if random.u32(..4) == 0 {
        record.method = Some(Method::Name);
    } else {
        let route = random.usize(..ROUTES.len());
        record.method = Some(Method::Preference);
        record.route = Some(ROUTES[route].into());
        record.scorer = Some("embedded");
        record.confidence = Some(0.8);
        record.found = Some(Box::new(Found {
            scores: ROUTES.iter().map(|name| (Arc::from(*name), random.f32())).collect(),
            thresholds: Vec::new(),
            none: Some(random.f32()),
            none_threshold: 0.0,
            margin: None,
            stripped: Vec::new(),
            tier: Some("static"),
            reason: format!(
                "`{}` fits best; next `{}` at 0.12; none fits 0.04",
                ROUTES[route],
                ROUTES[(route + 1) % 4]
            ),
            notes: Vec::new(),
        }));
    }
    record.provider = Some(provider.into());
    record.model = Some(model.into());
    record.entry = Some(format!("{provider}/{model}").into());
    record.dialect = Some(DialectId::OpenAiChat);
    record.attempts = 1;
    let is_bad = random.u32(..200) == 0;
    record.status = if is_bad { 502 } else { 200 };
    let ms = record.total.as_secs_f64() * 300.0;
    let outcome = if is_bad { "server_error" } else { "ok" };
    record.tries.push(Try {
        model: format!("{provider}/{model}"),
        outcome,
        status: record.status,
        started_ms: 1.0,
        ms,
        connect_ms: None,
        span: None,
        server: None,
    });
    if is_bad {
        record.failed(format!("{provider}/{model}: the connection was reset before the answer"));
    } else {
        record.first_byte = Some(record.total / 4);
        record.first_token = record.stream.then(|| record.total / 3);
        record.usage =
            Some(Usage { input: random.u64(50..20_000), output: random.u64(5..2000), ..Usage::default() });
        record.finish_reason = Some("stop".to_owned());
    }
    record
}

fn measure(reader: &Reader) -> anyhow::Result<()> {
    let ago = |days: f64| Some(SystemTime::now() - DAY.mul_f64(days));
    let text = |text: &str| Some(text.to_owned());
    let any = Filter::default;
    let newest = reader.newest(&any(), 1)?.pop().map(|stored| stored.record).unwrap_or_default();
    let id: String =
        serde_json::from_str::<serde_json::Value>(&newest)?["id"].as_str().unwrap_or_default().into();
    writeln!(std::io::stdout(), "{:?}", reader.size()?)?;
    for (name, filter) in [
        ("the newest", any()),
        ("errors", Filter { status: Some(Ended::Error), ..any() }),
        ("a status that is nowhere", Filter { status: Some(Ended::Status(418..419)), ..any() }),
        ("a model", Filter { model: text("gpt-5-mini"), ..any() }),
        ("a model that is nowhere", Filter { model: text("nowhere"), ..any() }),
        (
            "a route and errors",
            Filter { route: text("reasoning"), status: Some(Ended::Status(500..600)), ..any() },
        ),
        ("a session", Filter { session: text("session-77"), ..any() }),
        ("the dearest", Filter { cost: Some(0.27), ..any() }),
        ("the slowest", Filter { total: Some(Duration::from_millis(5450)), ..any() }),
        ("20 days ago", Filter { since: ago(21.0), until: ago(20.0), ..any() }),
        (
            "all at once",
            Filter {
                since: ago(20.0),
                model: text("openai/gpt-5.2"),
                caller: text("000000000007"),
                status: Some(Ended::Status(200..300)),
                total: Some(Duration::from_secs(5)),
                ..any()
            },
        ),
    ] {
        time(&format!("logs: {name}"), || Ok(reader.newest(&filter, 50)?.len()))?;
        time(&format!("  as pages: {name}"), || {
            Ok(reader.walk(&filter, Order::Newest(50))?.next(reader, 50, false)?.len())
        })?;
    }
    time("trace: by id", || Ok(reader.find(&id)?.len()))?;
    time("trace: by a prefix", || Ok(reader.find(&id[..9])?.len()))?;
    for (name, by) in [
        ("model", vec![By::Model]),
        ("caller", vec![By::Caller]),
        ("day, model", vec![By::Day, By::Model]),
        ("all", vec![By::Day, By::Model, By::Route, By::Caller]),
    ] {
        time(&format!("cost: by {name}, 30 days"), || Ok(reader.totals(&by, ago(30.0), None)?.len()))?;
    }
    for (name, days, minutes) in [
        ("an hour by minutes", 1.0 / 24.0, 1),
        ("a day by 15 minutes", 1.0, 15),
        ("a week by hours", 7.0, 60),
        ("30 days by days", 30.0, 1440),
    ] {
        let since = SystemTime::now() - DAY.mul_f64(days);
        time(&format!("series: {name}"), || Ok(reader.series(since, minutes)?.len()))?;
        time("  by model", || Ok(reader.pulses_by(By::Model, since)?.len()))?;
        time("  by route", || Ok(reader.pulses_by(By::Route, since)?.len()))?;
    }
    time("size", || Ok(usize::try_from(reader.size()?.records)?))?;
    let last = reader.last_seq()?;
    time("obs: what is new", || Ok(reader.come(&any(), last - 100, last, 1000, false)?.len()))
}

/// The median of seven.
fn time(name: &str, ask: impl Fn() -> anyhow::Result<usize>) -> anyhow::Result<()> {
    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..7 {
        let started = Instant::now();
        found = ask()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    writeln!(std::io::stdout(), "{name:<40} {:>8.1} ms  {:>8.1} at most  {found} rows", times[3], times[6])?;
    Ok(())
}
