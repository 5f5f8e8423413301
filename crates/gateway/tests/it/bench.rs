//! `waypost bench` as somebody runs it, for as short as it can be.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

const BRIEF: &[&str] = &["bench", "--duration=100ms", "--rounds=1", "--connections=4", "--json"];

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    command.args(BRIEF).args(arguments).env("NO_COLOR", "1").env("BENCH_TEST_KEY", "sk-not-to-be-seen");
    command.output().unwrap()
}

/// The report of a run in which everything was answered.
fn report(arguments: &[&str]) -> Value {
    let output = bench(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for row in report["results"].as_array().unwrap() {
        assert_eq!((&row["failed"], &row["failures"]), (&0.into(), &Value::Array(Vec::new())), "{row}");
        assert!(row["answered"].as_u64().unwrap() > 4, "{row}");
    }
    report
}

/// The rows: case, size, streamed or not, names of the figures.
fn rows(report: &Value) -> Vec<(String, u64, bool, Vec<String>)> {
    let row = |row: &Value| {
        let figures = row["figures"].as_object().unwrap();
        for (name, figure) in figures {
            let [median, least, most] = ["median", "least", "most"].map(|key| figure[key].as_f64().unwrap());
            assert!(least <= median && median <= most, "{name}: {figure}");
            assert!(median > 0.0 || name.starts_with("added_") || name == "cpu_us_per_event_paced", "{name}");
        }
        let names = figures.keys().cloned().collect();
        let case = row["case"].as_str().unwrap().to_owned();
        (case, row["size"].as_u64().unwrap(), row["stream"].as_bool().unwrap(), names)
    };
    report["results"].as_array().unwrap().iter().map(row).collect()
}

/// Every answer's head says how it was routed, and its text is the mock's: a case is what it says it is.
#[test]
fn each_case_is_answered_and_has_its_figures() {
    let report = report(&["--sizes=4k,1k"]);
    assert_eq!(report["waypost"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["profile"], "debug");
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    assert_eq!(report["settings"]["connections"], 4);
    assert!(report["warnings"][0].as_str().unwrap().contains("debug build"), "{report}");
    let rows = rows(&report);
    let found: Vec<(&str, u64, bool)> = rows.iter().map(|row| (row.0.as_str(), row.1, row.2)).collect();
    let expected = [
        ("direct", 1024, false),
        ("direct", 4096, false),
        ("direct", 1024, true),
        ("bare", 1024, false),
        ("bare", 4096, false),
        ("alias", 1024, false),
        ("pool", 1024, false),
        ("translated", 1024, false),
        ("translated", 4096, false),
        ("routed", 1024, false),
        ("limits", 1024, false),
        ("quiet", 1024, false),
        ("stream", 1024, true),
        ("stream-translated", 1024, true),
    ];
    assert_eq!(found, expected);
    for (case, _, stream, names) in &rows {
        let mut of_all = match stream {
            true => vec![
                "first_event_p50_us",
                "first_event_p99_us",
                "event_p50_us",
                "event_p99_us",
                "events_per_s",
            ],
            false => vec!["latency_p50_us", "latency_p99_us", "requests_per_s"],
        };
        if case != "direct" {
            of_all.push(if *stream { "added_event_p50_us" } else { "added_p50_us" });
            if cfg!(target_os = "linux") {
                of_all.push(if *stream { "cpu_us_per_event" } else { "cpu_us_per_request" });
                of_all.push("peak_rss_bytes");
            }
        }
        for name in of_all {
            assert!(names.iter().any(|found| found == name), "{case}: {name} of {names:?}");
        }
    }
}

/// A mock of its own, as somebody puts it behind another proxy.
struct Mock {
    child: Child,
    address: String,
}

impl Mock {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
        let mut child = command.args(["bench", "--mock=127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let (_, address) = line.split_once("http://").unwrap();
        let address = address.split(';').next().unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn another_gateway_is_measured_by_its_address() {
    let mock = Mock::start();
    let (url, pid) = (format!("http://{}/v1", mock.address), mock.child.id().to_string());
    let report = report(&["--sizes=1k", "--url", &url, "--pid", &pid]);
    assert_eq!(report["settings"]["url"], url.as_str());
    let rows = rows(&report);
    let found: Vec<(&str, bool)> = rows.iter().map(|row| (row.0.as_str(), row.2)).collect();
    assert_eq!(found, [("direct", false), ("direct", true), ("bare", false), ("stream", true)]);
    if cfg!(target_os = "linux") {
        assert!(rows[2].3.iter().any(|name| name == "cpu_us_per_request"), "{rows:?}");
    }
}

/// Not all of its processes are known, but what runs while nothing is asked is somebody else's.
#[test]
#[cfg(target_os = "linux")]
fn what_others_use_is_told_of_another_gateway_too() {
    let mock = Mock::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    command.args([
        "bench",
        "--duration=1s",
        "--rounds=1",
        "--connections=4",
        "--json",
        "--only=bare",
        "--sizes=1k",
    ]);
    let output = command.args(["--url", &format!("http://{}", mock.address)]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["results"][0]["figures"]["others_cores"]["median"].is_number(), "{report}");
}

/// Answers every request like this, and hands over the first head.
fn refusing(answer: &'static str) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 8192];
            let read = stream.read(&mut bytes).unwrap_or(0);
            let _ = sender.send(String::from_utf8_lossy(&bytes[..read]).into_owned());
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, heads)
}

/// Runs into an end with exit code 1, and says this.
fn fails(arguments: &[&str], says: &[&str]) {
    let output = bench(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in says {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("sk-not-to-be-seen"), "{said}");
    // The report is there, and says it too.
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["results"][0]["failed"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_failing_gateway_is_said_and_shown() {
    let refused = "HTTP/1.1 503 No\r\ncontent-length: 10\r\nconnection: close\r\n\r\nno \x1b[2Jone";
    let (address, heads) = refusing(refused);
    let url = format!("http://{address}");
    let arguments = ["--only=bare", "--sizes=1k", "--url", &url, "--key-env=BENCH_TEST_KEY", "--model=mine"];
    fails(&arguments, &["bare 1k: status 503, 1 time: no  [2Jone", "error: 1 request failed"]);
    let request = heads.recv().unwrap();
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: Bearer sk-not-to-be-seen\r\n"), "{request}");
    assert!(request.contains(r#""model":"mine""#), "{request}");

    // A gateway that answers by itself is no figure.
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    let (address, _heads) = refusing(answer);
    let url = format!("http://{address}");
    fails(&["--only=bare", "--sizes=1k", "--url", &url], &["another answer than the mock's, 1 time: {}"]);

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    fails(&["--only=bare", "--sizes=1k", "--url", &url], &["cannot connect to 127.0.0.1"]);
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_measured() {
    for (arguments, says) in [
        (&["--url=https://proxy"][..], "the load speaks plain HTTP"),
        (&["--url=http://proxy", "--only=bare,routed"], "with `--url` the cases are direct, bare, stream"),
        (&["--url=http://proxy", "--key-env=BENCH_NOT_SET"], "$BENCH_NOT_SET is not set"),
        (&["--url=http://proxy", "--pid=4194305"], "there is no process 4194305"),
        (&["--sizes=1g"], "a size from 512 to 16m"),
        (&["--duration=1ms"], "a time from 100ms to 1h"),
        (&["--only=bear"], "bare"),
    ] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_waypost")).arg("bench").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}
