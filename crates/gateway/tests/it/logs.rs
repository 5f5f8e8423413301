//! `waypost logs`, `trace` and `cost`, as a shell sees them: snapshots of a file of fixed records, and a file that a
//! gateway has written.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use waypost::proxy::fit::Skipped;
use waypost::store::{Retention, Store};
use waypost::telemetry::finished::{Finished, Sink};
use waypost::telemetry::metrics::Metrics;
use waypost::telemetry::record::{Found, Record, Try};
use waypost_dialect::loss::{Loss, Reason};
use waypost_dialect::usage::Usage;
use waypost_dialect::{ClientDialect, DialectId};
use waypost_routing::catalog::Prices;
use waypost_routing::preference::reading::{self, Stripped};
use waypost_routing::router::Method;

use crate::support::{CHAT, Gateway, MESSAGES};

/// 2026-03-02T08:00:00Z.
const START: u64 = 1_772_438_400_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A record of the `number`th minute, whose id and times are always the same.
fn record(number: u64) -> Record {
    let mut record = Record::open(CHAT, ClientDialect::OpenAiChat);
    let at = START + number * 60_000;
    record.at = SystemTime::UNIX_EPOCH + ms(at);
    record.id =
        uuid::Builder::from_unix_timestamp_millis(at, &[u8::try_from(number % 100).unwrap(); 10]).into_uuid();
    record.listener = "egress_traffic".into();
    record.caller = Some([0xfd, 0xce, 0x8e, 0x4a, 0x65, 0xb7]);
    record.requested = "auto".to_owned();
    record.decision = Duration::from_micros(420);
    record.status = 200;
    record.attempts = 1;
    record.total = ms(900);
    let price = |input, output| Prices { input: Some(input), output: Some(output), ..Prices::default() };
    record.default_prices = Some(price(10.0, 30.0));
    record.prices = price(1.0, 5.0);
    record
}

fn answered(record: &mut Record, provider: &str, model: &str) {
    record.provider = Some(provider.into());
    record.model = Some(model.into());
    record.entry = Some(format!("{provider}/{model}").into());
    record.dialect = Some(DialectId::OpenAiChat);
    record.first_byte = Some(ms(120));
    record.usage = Some(Usage { input: 1200, output: 350, ..Usage::default() });
    record.finish_reason = Some("stop".to_owned());
    record.tries.push(Try {
        model: format!("{provider}/{model}"),
        outcome: "ok",
        status: 200,
        started_ms: 1.0,
        ms: 119.0,
        connect_ms: None,
        span: None,
        server: None,
    });
}

fn found(record: &mut Record, route: Option<&str>, scores: &[(&str, f32)], none: f32) {
    record.method = Some(if route.is_some() { Method::Preference } else { Method::Default });
    record.route = route.map(Arc::from);
    record.scorer = Some("embedded");
    record.confidence = if route.is_some() { scores.first().map(|(_, score)| *score) } else { Some(none) };
    record.found = Some(Box::new(Found {
        scores: scores.iter().map(|(route, score)| (Arc::from(*route), *score)).collect(),
        thresholds: if route.is_some() { vec![0.5; scores.len()] } else { Vec::new() },
        none: Some(none),
        none_threshold: 0.0,
        margin: Some(0.5),
        stripped: vec![Stripped {
            turn: 2,
            rule: "claude-code/system-reminder",
            bytes: 1843,
            place: reading::Place::default(),
        }],
        tier: Some("encoder"),
        reason: "`code` fits best; next `travel` at 0.08; none fits 0.05".to_owned(),
        notes: Vec::new(),
    }));
}

/// Six requests, of which each shows something else.
fn fixed() -> Vec<Record> {
    let mut plain = record(0);
    answered(&mut plain, "openai", "gpt-5.2");
    plain.method = Some(Method::Name);
    plain.requested = "openai/gpt-5.2".to_owned();
    plain.prices = plain.default_prices.unwrap();

    let mut stream = record(1);
    stream.stream = true;
    stream.session = Some("chat-7".to_owned());
    stream.affinity = Some("pinned");
    stream.client = ClientDialect::AnthropicMessages;
    stream.endpoint = MESSAGES;
    found(&mut stream, Some("code"), &[("code", 0.87), ("travel", 0.08)], 0.05);
    let attempt = |outcome, status, started_ms, ms| Try {
        model: "anthropic/big".to_owned(),
        outcome,
        status,
        started_ms,
        ms,
        connect_ms: None,
        span: None,
        server: None,
    };
    stream.tries = vec![attempt("passed_by:rate_limit", 0, 1.0, 0.0), attempt("rate_limit", 429, 1.0, 300.0)];
    stream.attempts = 2;
    answered(&mut stream, "openai", "small");
    let last = stream.tries.last_mut().unwrap();
    (last.started_ms, last.ms, last.connect_ms) = (340.0, 200.0, Some(42.5));
    stream.first_byte = Some(ms(540));
    stream.first_token = Some(ms(600));
    stream.usage =
        Some(Usage { input: 12_000, output: 160, cache_read: 10_000, reasoning: 40, ..Usage::default() });
    stream.skipped = vec![Skipped { model: "openai/old".to_owned(), why: "takes no images" }];
    let mut loss = Loss::default();
    loss.add("top_k", Reason::NoPlace);
    stream.lost(&loss);

    let mut refused = record(2);
    refused.status = 429;
    refused.method = Some(Method::Alias);
    refused.requested = "fast".to_owned();
    refused.failed("every model of `fast` is at its limit; the soonest is free in 12 s");
    refused.attempts = 0;
    refused.total = ms(3);

    let mut hostile = record(3);
    hostile.requested = "\u{1b}]0;owned\u{7}model\u{202e}".to_owned();
    hostile.status = 404;
    hostile.caller = None;
    hostile.failed("the model `\u{1b}]0;owned\u{7}model` is not configured here\nforged line");

    let mut slow = record(4);
    found(&mut slow, None, &[("code", 0.2), ("travel", 0.1)], 0.7);
    answered(&mut slow, "native", "unpriced-model-of-a-long-name");
    slow.prices = Prices::default();
    slow.total = ms(75_000);

    let mut broken = record(24 * 60);
    broken.id = uuid::Builder::from_unix_timestamp_millis(START + 24 * 3_600_000, &[9; 10]).into_uuid();
    answered(&mut broken, "openai", "small");
    broken.method = Some(Method::Name);
    broken.status = 502;
    broken.usage = None;
    broken.failed("openai/small: the connection was reset");
    vec![plain, stream, refused, hostile, slow, broken]
}

fn write(path: &Path, records: Vec<Record>) {
    let retention = Retention { time: Duration::from_secs(100 * 365 * 24 * 3600), most_bytes: u64::MAX };
    let store = Store::start(path, true, retention, Arc::new(Metrics::default())).unwrap();
    for record in records {
        assert!(store.take(&Arc::new(Finished::new(Box::new(record)))));
    }
    store.close();
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(records: Vec<Record>) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        write(&place.file(), records);
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("records.db")
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
        command.args(arguments.split(' ')).current_dir(self.folder.path()).env_clear();
        command
    }

    fn run(&self, arguments: &str) -> Output {
        self.command(arguments).arg("--records").arg(self.file()).output().unwrap()
    }

    /// What goes to standard output.
    fn out(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn lines(&self, arguments: &str) -> Vec<Value> {
        self.out(arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn tables_and_trees() {
    let place = Place::new(fixed());
    for (name, arguments) in [
        ("logs-wide", "logs"),
        ("logs-100", "logs --width 100"),
        ("logs-60", "logs --width 60"),
        ("trace-plain", "trace last --status ok --model gpt-5.2 --width 100"),
        ("trace-stream", "trace last --route code --width 110"),
        ("trace-refused", "trace last --status 429 --width 60"),
        ("trace-hostile", "trace last --status 404 --width 100"),
        ("trace-none", "trace last --model unpriced-model-of-a-long-name --width 100"),
        ("cost", "cost --since 2026-03-02"),
        ("cost-by-day", "cost --since 2026-03-02 --by day,route"),
        ("cost-csv", "cost --since 2026-03-02 --until 2026-03-02T20:00:00Z --csv --by caller,model"),
    ] {
        let text = place.out(arguments);
        assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        if let Some((_, columns)) = arguments.split_once("--width ") {
            let columns: usize = columns.parse().unwrap();
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{arguments}: {widest}\n{text}");
        }
        snapshot(name, &text);
    }
    let bill: Value = serde_json::from_str(&place.out("cost --since 2026-03-02 --json --by route")).unwrap();
    insta::with_settings!({snapshot_path => "../fixtures/records", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_json_snapshot!("cost-json", bill);
    });
    // What has no price is named, and what to do.
    let said = said(&place.run("cost --since 2026-03-02"));
    assert!(
        said.contains("native/unpriced-model-of-a-long-name (1)")
            && said.contains("hint: a model without a price is given a `cost`"),
        "{said}"
    );
}

#[test]
fn requests_are_found_by_what_is_known_of_them() {
    let place = Place::new(fixed());
    let statuses = |arguments: &str| {
        let lines = place.lines(&format!("logs --json {arguments}"));
        lines.iter().map(|line| line["status"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    // Oldest first, and the newest where only some are wanted.
    assert_eq!(statuses("-n all"), [200, 200, 429, 404, 200, 502]);
    assert_eq!(statuses("-n 2"), [200, 502]);
    assert_eq!(statuses("-n 0"), [0_u64; 0]);
    assert_eq!(statuses("--status error"), [429, 404, 502]);
    assert_eq!(statuses("--status error -n 1"), [502]);
    assert_eq!(statuses("--status 4xx"), [429, 404]);
    assert_eq!(statuses("--since 2026-03-02T08:01:00Z --until 2026-03-02T10:03:00+02:00"), [200, 429]);
    assert_eq!(statuses("--since 1h"), [0_u64; 0]);
    assert_eq!(statuses("--model small"), [200, 502]);
    assert_eq!(statuses("--model (none)"), [429, 404]);
    assert_eq!(statuses("--route code"), [200]);
    assert_eq!(statuses("--method name"), [200, 502]);
    assert_eq!(statuses("--caller (none)"), [404]);
    assert_eq!(statuses("--session chat-7"), [200]);
    assert_eq!(statuses("--min-cost 0.015"), [200]);
    assert_eq!(statuses("--slower 1m"), [200]);

    let first = &place.lines("logs --json")[0];
    let id = first["id"].as_str().unwrap();
    let told: Value = serde_json::from_str(&place.out(&format!("trace {} --json", &id[..20]))).unwrap();
    assert_eq!(&told, first);
    // The first half of all ids of these days is the same.
    let several = place.run(&format!("trace {}", &id[..4]));
    assert_eq!(several.status.code(), Some(1));
    assert!(said(&several).contains("several requests begin like this") && said(&several).contains(id));
    for wrong in ["trace last --status 418", "trace 00000000", "trace nonsense"] {
        assert_eq!(place.run(wrong).status.code(), Some(1), "{wrong}");
    }
    for wrong in
        ["logs --status bad", "logs --since never", "logs -n few", "cost --by colour", "logs --content"]
    {
        assert_eq!(place.run(wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn what_is_in_the_way_is_said() {
    let place = Place::new(Vec::new());
    let empty = place.run("logs");
    assert_eq!((empty.status.code(), empty.stdout.as_slice()), (Some(0), b"".as_slice()));
    assert!(said(&empty).contains("no such requests"), "{}", said(&empty));
    assert!(said(&place.run("cost")).contains("there are no requests since"));
    assert_eq!(place.run("trace last").status.code(), Some(1));

    let fails = |arguments: &str, code: i32, expected: &str| {
        let output = place.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments}: {}", said(&output));
    };
    fails(
        "logs --records nowhere.db",
        1,
        "no records yet: there is no nowhere.db\nhint: `waypost up` makes it",
    );
    fails("logs", 1, "neither a configuration nor a home folder");
    let provider = "model_providers: [{model: openai/m, access_key: $OPENAI_API_KEY}]\n";
    let config = |name: &str, log: &str| {
        std::fs::write(place.folder.path().join(name), format!("{provider}log: {log}\n")).unwrap()
    };
    config("off.yaml", "{records: false}");
    fails("cost -c off.yaml", 1, "off.yaml keeps none (`log.records: false`)");
    config("usual.yaml", "{keep: 1h}");
    let mut usual = place.command("logs -c usual.yaml");
    let told = said(&usual.env("HOME", place.folder.path()).output().unwrap());
    assert!(told.contains("/.local/state/waypost/records.db"), "{told}");
    config("bad.yaml", "{keep: never}");
    fails("trace last -c bad.yaml", 2, "hint: `--records FILE` needs no configuration");
    fails("logs -c missing.yaml", 2, "there is no such file");
    // The configuration's file, and the usual name of a configuration.
    config("waypost.yaml", "{path: records.db}");
    fails("logs", 0, "no such requests");
    std::fs::write(place.folder.path().join("text.db"), "no database at all. ".repeat(200)).unwrap();
    fails("logs --records text.db", 1, "text.db is no file of records");
    std::fs::write(place.folder.path().join("blank.db"), "").unwrap();
    fails("logs --records blank.db", 1, "it holds no records");
    rusqlite::Connection::open(place.file()).unwrap().pragma_update(None, "user_version", 1000).unwrap();
    fails("logs --records records.db", 1, "written by a newer version of Waypost");
}

#[test]
fn the_log_of_a_gateway_is_followed_and_nobody_minds_a_closed_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { folder };
    let gateway = Gateway::with(&format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true, cost: {{input: 1, output: 1}}}}
log: {{path: {}, content: full}}
",
        place.file().display()
    ));
    let records = || place.lines("logs --json --content -n all");
    assert_eq!(gateway.chat("m", "before").status, 200);
    let started = tokio::time::Instant::now();
    while records().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "the record does not come");
    }
    let mut follow = place.command("logs -f --json -n 1 --content --status ok");
    let mut follow = follow.arg("--records").arg(place.file()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["content"]["turns"][0]["text"], "before");
    assert_eq!(gateway.chat("m", "no [[echo status=400]]").status, 400);
    assert_eq!(gateway.chat("m", "after").status, 200);
    assert_eq!(next()["content"]["turns"][0]["text"], "after");
    drop(lines);
    // The next record finds nobody who reads it.
    assert_eq!(gateway.chat("m", "last").status, 200);
    assert!(follow.wait().unwrap().success());
    gateway.stop();
    assert_eq!(records().len(), 4);
    assert_eq!(records()[3]["content"]["turns"], json!([{"role": "user", "text": "last"}]));
    let told = place.out("trace last --content --width 80");
    assert!(told.contains("said") && told.contains("user") && told.contains("last"), "{told}");
}

/// Every command of the guide that ends by itself does what it is there for.
#[test]
fn the_guide_is_true() {
    let place = Place::new(fixed());
    let guide = include_str!("../../../../docs/guides/logs-and-cost.md");
    let commands = guide.lines().filter_map(|line| line.split('#').next()?.trim().strip_prefix("waypost "));
    let commands: Vec<&str> =
        commands.filter(|command| !command.contains(" -f") && !command.starts_with("obs")).collect();
    assert!(commands.len() > 8, "{commands:?}");
    for command in commands {
        place.out(&command.split_whitespace().collect::<Vec<_>>().join(" "));
    }
}
