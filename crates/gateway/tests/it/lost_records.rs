//! What becomes of records whose file or whose reader fails: requests go on, what is lost is counted and said, and the
//! rest is not lost.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;
use tokio::time::Instant;
use waypost::store::read::{Filter, Reader};

use crate::fake::PATIENCE;
use crate::process::{START, wait_for};
use crate::support::{CHAT, Gateway, KEYS, question, request, send, start_echo};

fn config(path: &Path) -> String {
    format!(
        "
model_providers:
  - {{model: openai/m, access_key: $OPENAI_API_KEY, base_url: 'http://@ECHO@', default: true}}
log: {{path: {}}}
",
        path.display()
    )
}

/// The number at the end of the line that begins so.
fn metric(gateway: &Gateway, name: &str) -> Option<f64> {
    value(gateway.get("/metrics").text(), name)
}

fn value(page: &str, name: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn stored(path: &Path) -> usize {
    Reader::open(path).map_or(0, |reader| reader.newest(&Filter::default(), 100).unwrap().len())
}

/// What a file of records leaves on the disk.
fn remove(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
}

/// An increase is not seen of a series that begins with its first loss.
#[test]
fn losses_are_counted_from_nothing_on() {
    let gateway = Gateway::start();
    for sink in ["queue", "log", "store", "postgres", "traces"] {
        let name = format!("waypost_records_dropped_total{{sink=\"{sink}\"}}");
        assert_eq!(metric(&gateway, &name), Some(0.0), "{sink}");
    }
    for outcome in ["exported", "rejected", "failed"] {
        let name = format!("waypost_spans_total{{outcome=\"{outcome}\"}}");
        assert_eq!(metric(&gateway, &name), Some(0.0), "{outcome}");
    }
    gateway.stop();
}

/// A file of a later version is as a full disk is: nothing is wrong with the configuration.
#[test]
fn a_file_that_cannot_be_opened_stops_no_traffic_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let mut gateway = Gateway::with(&config(&path));
    assert_eq!(gateway.chat("m", "lost").status, 200);
    let dropped = "waypost_records_dropped_total{sink=\"store\"}";
    wait_for("it is counted", || metric(&gateway, dropped) == Some(1.0));
    let page = gateway.get("/readyz?verbose").json();
    let records = &page["records"];
    assert_eq!((&page["ready"], &records["file"]), (&true.into(), &path.display().to_string().into()));
    let problem = records["problem"].as_str().unwrap();
    assert!(
        problem.contains("newer version of Waypost (format 99") && records["since"].is_string(),
        "{page}"
    );
    let overview = gateway.get("/api/overview").json();
    assert_eq!(overview["records"]["problem"], problem);
    assert_eq!(overview["records"]["dropped_by"], serde_json::json!({"store": 1}), "{overview}");

    remove(&path);
    gateway.reload(&config(&path)).unwrap();
    wait_for("it is opened", || gateway.get("/readyz?verbose").json()["records"].get("problem").is_none());
    assert_eq!(gateway.get("/api/overview").json()["records"]["problem"], Value::Null);
    assert_eq!(gateway.chat("m", "kept").status, 200);
    gateway.stop();
    assert_eq!(stored(&path), 1);
}

#[test]
fn a_file_that_is_removed_or_replaced_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["records.db", "other.db"].map(|name| folder.path().join(name));
    let gateway = Gateway::with(&config(&path));
    assert_eq!(gateway.chat("m", "one").status, 200);
    wait_for("it is written", || stored(&path) == 1);
    let copy = format!("VACUUM INTO '{}'", other.display());
    Connection::open(&path).unwrap().execute_batch(&copy).unwrap();
    remove(&path);
    assert_eq!(gateway.chat("m", "two").status, 200);
    assert_eq!(gateway.chat("m", "three").status, 200);
    wait_for("another file is written", || stored(&path) == 2);
    // The journal of the file that was there stays.
    Connection::open(&other).unwrap().execute("DELETE FROM records", []).unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(gateway.chat("m", "four").status, 200);
    assert_eq!(metric(&gateway, "waypost_records_dropped_total{sink=\"store\"}"), Some(0.0));
    gateway.stop();
    assert_eq!(stored(&path), 1);
    let sound: String =
        Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

/// Runs the program as somebody who may write nothing here.
fn as_stranger(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
    // Root may write everywhere.
    if is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.args(arguments).env_clear().env("NO_COLOR", "1").current_dir("/").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t0\t")
}

/// A file with one record, in a folder of its own.
fn with_one_record() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("records.db");
    let gateway = Gateway::with(&config(&path));
    assert_eq!(gateway.chat("m", "one").status, 200);
    gateway.stop();
    (folder, path)
}

#[test]
fn a_copy_that_cannot_be_written_can_be_read() {
    let (folder, path) = with_one_record();
    let copies = folder.path().join("100% read?only#1");
    std::fs::create_dir(&copies).unwrap();
    let copy = copies.join("records.db");
    std::fs::copy(&path, &copy).unwrap();
    let allow = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    for (path, mode) in [(copy.as_path(), 0o444), (&copies, 0o555), (folder.path(), 0o755)] {
        allow(path, mode);
    }
    let shown = copy.display().to_string();
    let (is_read, said) = as_stranger(&["logs", "--json", "--records", &shown]);
    assert!(is_read && said.contains("\"model\":\"m\""), "{said}");
    // What a journal has is not in the file.
    allow(&copies, 0o755);
    std::fs::write(copies.join("records.db-wal"), "x".repeat(5000)).unwrap();
    allow(&copies.join("records.db-wal"), 0o400);
    allow(&copies, 0o555);
    let (is_read, said) = as_stranger(&["logs", "--records", &shown]);
    assert!(!is_read && said.contains("hint: read it as the user"), "{said}");
    allow(&copies, 0o755);
}

#[test]
fn a_damaged_file_is_told_once_with_its_place_and_what_to_do() {
    let (_folder, path) = with_one_record();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let shown = path.display().to_string();
    for command in [&["logs"][..], &["trace", "last"], &["cost"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_waypost"))
            .args([command, &["--records", &shown]].concat())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.matches("malformed").count(), 1, "{command:?}: {said}");
        assert!(said.contains(&shown) && said.contains("\nhint: ") && !said.contains("Error code"), "{said}");
    }
}

/// Whoever reads standard output stops: nothing else does, and the process ends when it is told to.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let (folder, echo) = (tempfile::tempdir().unwrap(), start_echo());
    let path = folder.path().join("records.db");
    let yaml = folder.path().join("waypost.yaml");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let clients = socket.local_addr().unwrap();
    let listeners = format!("listeners: {{egress_traffic: {{port: {}}}}}", clients.port());
    let text = format!("admin: {{port: 0}}\n{listeners}{}", config(&path));
    std::fs::write(&yaml, text.replace("@ECHO@", &echo.to_string())).unwrap();
    let mut up = Command::new("sh")
        .args(["-c", START, env!("CARGO_BIN_EXE_waypost")])
        .arg(&yaml)
        .args(["--log-format", "json", "--grace", "1s"])
        .envs(KEYS)
        .env("NO_COLOR", "1")
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(up.stderr.take().unwrap()).lines().map_while(Result::ok);
    let admin = lines.find_map(|line| Some(line.strip_prefix("admin      http://")?.to_owned())).unwrap();
    let admin = admin.split(' ').next().unwrap().parse().unwrap();
    let stdout = up.stdout.take();
    // More than a pipe takes: 64 KiB.
    let body = question(CHAT, "m", "Hi").to_string();
    for _ in 0..300 {
        assert_eq!(send(clients, &[request(CHAT, "", &body).as_bytes()]).status, 200);
    }
    let metrics = || send(admin, &[b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n"]);
    wait_for("all are stored", || value(metrics().text(), "waypost_records_stored_total") == Some(300.0));
    assert!(Command::new("kill").arg(up.id().to_string()).status().unwrap().success());
    let started = Instant::now();
    while up.try_wait().unwrap().is_none() {
        assert!(started.elapsed() < PATIENCE, "it does not stop");
        std::thread::yield_now();
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(stdout);
}
