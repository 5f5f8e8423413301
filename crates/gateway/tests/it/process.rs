//! The program as an operator sees it: its configuration's file changes, it is told to stop, and a successor takes over.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::fake::{Client, Fake, PATIENCE, STREAM, chunk, good, good_events, json_answer, write};
use crate::support::{CHAT, KEYS, question, request, send, start_echo};

/// Names its socket, which the test holds open for it, as its third file: what systemd does. The process replaces the
/// shell, so that its number is the shell's.
pub(crate) const START: &str = r#"LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" up "$@" 3<&0 </dev/null"#;

pub(crate) struct Process {
    child: Child,
    /// What it says on standard error.
    lines: Receiver<String>,
    admin: SocketAddr,
}

impl Process {
    pub(crate) fn start(socket: &TcpListener, config: &Path, options: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", START, env!("CARGO_BIN_EXE_waypost")]).arg(config).args(options);
        command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
        command.envs(KEYS);
        Self::ready(command)
    }

    /// Waits until it is ready.
    pub(crate) fn ready(command: Command) -> Self {
        Self::said(command).0
    }

    /// The same, with what it says until then.
    fn said(mut command: Command) -> (Self, String) {
        command.env("NO_COLOR", "1").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut process = Self { child, lines, admin: ([127, 0, 0, 1], 0).into() };
        let said = process.says("ready  ");
        let admin = said.lines().find_map(|line| line.strip_prefix("admin      http://")).unwrap();
        process.admin = admin.split(' ').next().unwrap().parse().unwrap();
        (process, said)
    }

    /// Waits for a line with this in it, and returns all up to it.
    pub(crate) fn says(&self, part: &str) -> String {
        let mut all = String::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else { panic!("`{part}` is not said: {all}") };
            all.push_str(&line);
            all.push('\n');
            if line.contains(part) {
                return all;
            }
        }
    }

    fn metric(&self, name: &str) -> String {
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let page = send(self.admin, &[request.as_bytes()]);
        let line = page.text().lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_default().to_owned()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "it does not stop");
            std::thread::yield_now();
        }
    }

    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert!(self.wait().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Place {
    folder: tempfile::TempDir,
    socket: TcpListener,
    address: SocketAddr,
}

impl Place {
    fn new() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        Self { folder: tempfile::tempdir().unwrap(), socket, address }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("waypost.yaml")
    }

    /// A configuration at the socket's port whose only alias has this name.
    fn text(&self, alias: &str, provider: SocketAddr) -> String {
        format!(
            "admin: {{port: 0}}\nlisteners: {{egress_traffic: {{port: {}}}}}\nmodel_providers:\n  - {{model: openai/m, access_key: \
             sk-LEAK-literal, base_url: 'http://{provider}'}}\nmodel_aliases: {{{alias}: {{target: m}}}}\n",
            self.address.port()
        )
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn get(&self, path: &str) -> crate::support::Reply {
        send(
            self.address,
            &[format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes()],
        )
    }

    fn knows(&self, alias: &str) -> bool {
        self.get(&format!("/v1/models/{alias}")).status == 200
    }

    fn last_reload(&self) -> Value {
        self.get("/readyz?verbose").json()["last_reload"].clone()
    }
}

pub(crate) fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "{what} does not happen");
        std::thread::yield_now();
    }
}

#[test]
fn a_file_that_changes_is_put_to_use_and_a_bad_one_is_not() {
    let (place, provider) = (Place::new(), start_echo());
    place.write(&place.text("one", provider));
    let process = Process::start(&place.socket, &place.file(), &[]);
    let page = place.get("/readyz?verbose").json();
    assert_eq!(page["configuration"]["file"], place.file().display().to_string());
    let hash = page["configuration"]["sha256"].clone();
    assert_eq!(hash.as_str().unwrap().len(), 12);
    assert_eq!(page["last_reload"], Value::Null);
    assert!(
        process.metric("waypost_config_loaded_timestamp_seconds").parse::<u64>().unwrap() > 1_700_000_000
    );

    // It is noticed without being told.
    place.write(&place.text("two", provider));
    // Threads change one after the other, and then it is told.
    wait_for("the reload", || place.last_reload()["outcome"] == "applied");
    assert!(place.knows("two") && !place.knows("one"));
    assert_ne!(place.get("/readyz?verbose").json()["configuration"]["sha256"], hash);
    process.says("the configuration has been reloaded");

    // A bad one is refused, and what it says has no key in it.
    place.write(&place.text("three", provider).replace("target: m", "target: nowhere"));
    let said = process.says("waypost.yaml") + &process.says("error: 1 problem in");
    assert!(said.contains("the configuration is not reloaded, and the old one stays in use"), "{said}");
    assert!(said.contains("nowhere") && !said.contains("LEAK"), "{said}");
    wait_for("the refusal", || place.last_reload()["outcome"] == "refused");
    let problem = place.last_reload()["problem"].as_str().unwrap().to_owned();
    assert!(problem.starts_with("error: ") && problem.contains("nowhere"), "{problem}");
    assert!(place.knows("two") && place.get("/readyz").status == 200);
    assert_eq!(process.metric("waypost_config_last_reload_successful"), "0");
    assert_eq!(process.metric("waypost_config_reloads_total{outcome=\"refused\"}"), "1", "it is tried once");

    // A configuration that is a link to a link, as Kubernetes has them.
    let of = |name: &str| place.folder.path().join(name);
    fs::create_dir(of("v2")).unwrap();
    fs::write(of("v2/waypost.yaml"), place.text("four", provider)).unwrap();
    std::os::unix::fs::symlink(of("v2"), of("..data")).unwrap();
    std::os::unix::fs::symlink(of("..data/waypost.yaml"), of("link")).unwrap();
    fs::rename(of("link"), place.file()).unwrap();
    wait_for("the reload", || place.knows("four"));
    fs::create_dir(of("v3")).unwrap();
    fs::write(of("v3/waypost.yaml"), place.text("five", provider)).unwrap();
    std::os::unix::fs::symlink(of("v3"), of("new")).unwrap();
    fs::rename(of("new"), of("..data")).unwrap();
    wait_for("the reload", || place.knows("five"));
    assert_eq!(process.metric("waypost_config_last_reload_successful"), "1");
    assert_eq!(process.metric("waypost_config_reloads_total{outcome=\"applied\"}"), "3");

    // `.env` beside it counts.
    let keyed = place.text("six", provider).replace("sk-LEAK-literal", "$WAYPOST_IT_KEY");
    fs::write(of(".env"), "WAYPOST_IT_KEY=one\n").unwrap();
    wait_for("the reload", || process.metric("waypost_config_reloads_total{outcome=\"applied\"}") == "4");
    fs::write(of("v3/waypost.yaml"), &keyed).unwrap();
    wait_for("the reload", || place.knows("six"));

    // Told to, it loads the same file again.
    process.signal("HUP");
    wait_for("the reload", || process.metric("waypost_config_reloads_total{outcome=\"applied\"}") == "6");
    process.stop();
}

#[test]
fn a_stream_that_does_not_end_is_cut_and_the_process_ends_well() {
    let place = Place::new();
    let fake = Fake::start(|seen, stream| {
        write(stream, STREAM);
        let events = good_events(seen, &["One", "Two"]);
        write(stream, chunk(&events[..2].concat()));
        crate::fake::wait_for_close(stream);
    });
    place.write(&place.text("one", fake.address));
    let mut body = question(CHAT, "m", "Hi");
    body["stream"] = true.into();
    let ask = || {
        let mut stream = Client::open(place.address, request(CHAT, "", &body.to_string()));
        stream.read_until("One");
        stream
    };
    // By the grace period; by a second order.
    for (grace, orders) in [("10ms", 1), ("1h", 2)] {
        let mut process = Process::start(&place.socket, &place.file(), &["--grace", grace]);
        let stream = ask();
        process.signal("TERM");
        process.says("stopping: ");
        if orders == 2 {
            process.signal("INT");
        }
        let all = stream.read_to_end();
        assert!(all.contains("shutting_down") && !all.contains("[DONE]"), "{all}");
        assert_eq!(process.wait().code(), Some(0));
    }
}

/// Whoever has said that it stops leaves all connections to its successor, though both hold the socket.
#[test]
fn a_process_that_stops_takes_no_more_connections() {
    let place = Place::new();
    let fake = Fake::start(|seen, stream| {
        write(stream, STREAM);
        write(stream, chunk(&good_events(seen, &["One", "Two"])[..2].concat()));
        crate::fake::wait_for_close(stream);
    });
    place.write(&place.text("one", fake.address));
    let mut process = Process::start(&place.socket, &place.file(), &["--grace", "1h"]);
    let mut body = question(CHAT, "m", "Hi");
    body["stream"] = true.into();
    let mut stream = Client::open(place.address, request(CHAT, "", &body.to_string()));
    stream.read_until("One");
    process.signal("TERM");
    process.says("stopping: ");
    // Only the successor knows this model.
    let asked = "GET /v1/models/two HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    let clients: Vec<Client> = (0..20).map(|_| Client::open(place.address, asked)).collect();
    place.write(&place.text("two", fake.address));
    let next = Process::start(&place.socket, &place.file(), &[]);
    for client in clients {
        let answer = client.read_to_end();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    process.signal("INT");
    assert_eq!(process.wait().code(), Some(0));
    next.stop();
}

/// Clients that connect, ask and read, one after the other, while `change` is made; how many were answered. The process
/// that it ends with answers the last of them.
fn under_traffic(address: SocketAddr, change: impl FnOnce(&AtomicUsize) -> Process) -> usize {
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let ask = |body: &str| {
        let mut stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request(CHAT, "", body).as_bytes()).map_err(|error| format!("write: {error}"))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(|error| format!("read: {error}"))?;
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(format!("answer: {answer:?}"));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (answered, over) = (&answered, &over);
                scope.spawn(move || {
                    let mut body = question(CHAT, "m", "Hi");
                    body["stream"] = (client % 2 == 0).into();
                    let body = body.to_string();
                    while !over.load(Ordering::SeqCst) {
                        ask(&body)?;
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        let last = change(&answered);
        over.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().unwrap().unwrap_or_else(|error| panic!("a request is lost: {error}"));
        }
        last.stop();
    });
    answered.into_inner()
}

/// Waits for so many more answers.
fn more(answered: &AtomicUsize, number: usize) {
    let (before, started) = (answered.load(Ordering::SeqCst), Instant::now());
    while answered.load(Ordering::SeqCst) < before + number {
        assert!(started.elapsed() < PATIENCE, "nobody answers");
        std::thread::yield_now();
    }
}

#[test]
fn a_successor_takes_over_the_socket_and_no_connection_is_lost() {
    let (place, provider) = (Place::new(), start_echo());
    place.write(&place.text("one", provider));
    let first = Process::start(&place.socket, &place.file(), &[]);
    let answered = under_traffic(place.address, |answered| {
        // Both run for a while.
        more(answered, 20);
        let second = Process::start(&place.socket, &place.file(), &[]);
        more(answered, 20);
        first.stop();
        more(answered, 20);
        // One stops before the next one starts: connections wait in the kernel.
        second.stop();
        let third = Process::start(&place.socket, &place.file(), &[]);
        more(answered, 20);
        third.stop();
        let fourth = Process::start(&place.socket, &place.file(), &[]);
        more(answered, 20);
        // The configuration changes under them.
        place.write(&place.text("two", provider));
        wait_for("the reload", || place.knows("two"));
        more(answered, 20);
        fourth
    });
    assert!(answered >= 120, "{answered}");
}

/// `Type=notify` of systemd: the service has started once requests are taken, and not before its configuration is good.
#[test]
fn whoever_started_it_is_told_when_it_is_ready_and_when_it_stops() {
    let place = Place::new();
    place.write(&place.text("one", start_echo()));
    let path = place.folder.path().join("notify");
    let told = UnixDatagram::bind(&path).unwrap();
    told.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut word = [0; 64];
        let length = told.recv(&mut word).unwrap();
        String::from_utf8(word[..length].to_vec()).unwrap()
    };
    let mut command = Command::new("sh");
    command.args(["-c", START, env!("CARGO_BIN_EXE_waypost")]).arg(place.file()).env("NOTIFY_SOCKET", &path);
    command.stdin(Stdio::from(OwnedFd::from(place.socket.try_clone().unwrap())));
    let process = Process::ready(command);
    assert_eq!(next(), "READY=1");
    assert!(place.knows("one"));
    process.stop();
    assert_eq!(next(), "STOPPING=1");
}

/// What is said of an address is where it is bound, and how it is reached from here.
#[test]
fn a_listener_at_every_address_says_so() {
    for (address, here) in [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")] {
        let socket = TcpListener::bind((address, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let place = Place::new();
        place.write(&format!(
            "admin: {{port: 0}}\nlisteners: {{egress_traffic: {{address: '{address}', port: {port}}}}}\nmodel_providers:\n  - \
             {{model: openai/m, access_key: sk-LEAK-literal}}\n"
        ));
        let mut command = Command::new("sh");
        command.args(["-c", START, env!("CARGO_BIN_EXE_waypost")]).arg(place.file());
        command.stdin(Stdio::from(OwnedFd::from(socket)));
        let (process, said) = Process::said(command);
        let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
        let listening = line("listening  http://");
        let bound: SocketAddr =
            listening["listening  http://".len()..].split(' ').next().unwrap().parse().unwrap();
        assert!(bound.ip().is_unspecified(), "{listening}");
        let url = format!("http://{here}:{}", bound.port());
        assert!(
            listening.ends_with(&format!("every address of this machine, from here {url})")),
            "{listening}"
        );
        assert!(line("ready  ").contains(&format!("OPENAI_BASE_URL={url}/v1  ")), "{said}");
        let reached = TcpStream::connect(url.trim_start_matches("http://"));
        assert!(reached.is_ok(), "{url}: {reached:?}");
        process.stop();
    }
}

/// With `--reuse-port` both listen for themselves; without it the second one is told that the address is in use.
#[test]
fn two_processes_can_share_a_port() {
    let provider = start_echo();
    // Bound and not listening: nobody else gets the port.
    let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    held.set_reuse_port(true).unwrap();
    held.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let mut place = Place::new();
    place.address = held.local_addr().unwrap().as_socket().unwrap();
    place.write(&place.text("one", provider));
    let command = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
        command.arg("up").arg(place.file()).args(options);
        command
    };
    let first = Process::ready(command(&["--reuse-port"]));
    let refused = command(&[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains(&format!("cannot listen on {}", place.address)), "{said}");
    let second = Process::ready(command(&["--reuse-port"]));
    first.stop();
    for _ in 0..20 {
        assert!(place.knows("one"));
    }
    second.stop();
}

/// Killed under load, without a word: the file opens, and what ended a second before is in it.
///
/// Requests go on until the end, and their ids say when they came by the process's own clock. So what is lost is compared
/// with the last thing that the process did, and not with a clock that goes on while a busy machine lets it wait. A disk
/// that makes it wait cannot be told from a fault: one of three times is enough.
#[test]
fn a_crash_costs_no_more_than_the_last_second() {
    const LOST: Duration = Duration::from_secs(1);
    let mut lost = Vec::new();
    while lost.len() < 3 && lost.iter().all(|lost| *lost >= LOST) {
        lost.push(crash());
    }
    assert!(lost.iter().any(|lost| *lost < LOST), "records of {lost:?} before the crash are lost");
}

/// Kills a process under load. How long before its last request the oldest one came whose record is lost.
fn crash() -> Duration {
    use waypost::store::read::{Filter, Reader};

    let (place, provider) = (Place::new(), start_echo());
    let file = place.folder.path().join("records.db");
    place.write(&format!("{}log: {{path: {}}}\n", place.text("one", provider), file.display()));
    let mut process = Process::start(&place.socket, &place.file(), &[]);
    let body = question(CHAT, "m", "Hi").to_string();
    // The id of a request that was answered in full.
    let ask = || {
        let mut stream = TcpStream::connect(place.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        stream.write_all(request(CHAT, "", &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let id = answer.lines().find_map(|line| line.strip_prefix("x-waypost-request-id: "))?;
        answer.starts_with("HTTP/1.1 200").then(|| id.to_owned())
    };
    let (over, started) = (AtomicBool::new(false), Instant::now());
    let answered = std::thread::scope(|scope| {
        let client = || {
            let mut answered = Vec::new();
            while !over.load(Ordering::SeqCst) {
                answered.extend(ask());
            }
            answered
        };
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(client)).collect();
        let until = Duration::from_millis(2500);
        while let Some(left) = until.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
            let _ = process.lines.recv_timeout(left);
        }
        process.child.kill().unwrap();
        over.store(true, Ordering::SeqCst);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    process.wait();

    let stored = || {
        let reader = Reader::open(&file).unwrap();
        let records = reader.newest(&Filter::default(), 1_000_000).unwrap();
        let ids =
            records.iter().map(|stored| serde_json::from_str::<Value>(&stored.record).unwrap()["id"].clone());
        ids.map(|id| id.as_str().unwrap().to_owned()).collect::<std::collections::HashSet<_>>()
    };
    let found = stored();
    assert!(answered.len() > 20 && found.len() > 10, "{} of {} requests", found.len(), answered.len());
    // When it came, since 1970 (RFC 9562, section 5.7).
    let came =
        |id: &String| Duration::from_millis(u64::from_str_radix(&id.replace('-', "")[..12], 16).unwrap());
    let last = answered.iter().map(came).max().unwrap();
    let oldest = answered.iter().filter(|id| !found.contains(*id)).map(came).min().unwrap_or(last);
    let connection = rusqlite::Connection::open(&file).unwrap();
    let whole: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let sums: i64 =
        connection.query_row("SELECT SUM(requests) FROM bills WHERE step = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(sums).unwrap(), found.len(), "sums and records are of the same transactions");
    drop(connection);

    // It goes on where it was.
    let next = Process::start(&place.socket, &place.file(), &[]);
    let id = loop {
        // Connections that nobody took wait in the socket's queue, and are answered, too.
        if let Some(id) = ask() {
            break id;
        }
        assert!(started.elapsed() < PATIENCE, "nobody answers");
    };
    next.stop();
    assert!(stored().is_superset(&found) && stored().contains(&id));
    last.saturating_sub(oldest)
}

/// Who waits in the socket's queue is answered as soon as a listener is open: the records have to be, by then. The requests
/// fail at once, so that they are over before anything else could have happened; twenty starts, as it is a race.
#[test]
fn the_first_requests_of_a_process_are_recorded() {
    use waypost::store::read::{Filter, Reader};

    let place = Place::new();
    let file = place.folder.path().join("records.db");
    let provider = start_echo();
    place.write(&format!("{}log: {{path: {}}}\n", place.text("one", provider), file.display()));
    let body = question(CHAT, "nobody", "Hi").to_string();
    let mut asked = 0;
    for _ in 0..20 {
        let waiting: Vec<TcpStream> = (0..8)
            .map(|_| {
                let mut stream = TcpStream::connect(place.address).unwrap();
                stream.write_all(request(CHAT, "", &body).as_bytes()).unwrap();
                stream
            })
            .collect();
        let process = Process::start(&place.socket, &place.file(), &[]);
        for mut stream in waiting {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
            asked += 1;
        }
        process.stop();
    }
    let stored = Reader::open(&file).unwrap().newest(&Filter::default(), 1000).unwrap();
    assert_eq!(stored.len(), asked);
}

/// A key that is rotated is put to use: the file that the configuration names is looked at as the configuration is.
#[test]
fn a_file_of_credentials_that_changes_is_put_to_use() {
    let place = Place::new();
    // Its tokens are named as what they were asked for with.
    let fake = Fake::start(|seen, stream| {
        let token = seen.head.starts_with("POST /token ").then(|| {
            let asked = seen.text().rsplit("refresh_token=").next().unwrap().to_owned();
            format!(r#"{{"access_token": "{asked}", "expires_in": 3600}}"#)
        });
        write(stream, json_answer(200, token.as_deref().unwrap_or_else(|| good(seen))));
    });
    let file = place.folder.path().join("user.json");
    let rotate = |refresh: &str| {
        let uri = format!("http://{}/token", fake.address);
        let user = serde_json::json!({
            "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": refresh,
            "token_uri": uri,
        });
        fs::write(&file, user.to_string()).unwrap();
    };
    rotate("one");
    place.write(&format!(
        "admin: {{port: 0}}\nlisteners: {{egress_traffic: {{port: {}}}}}\nmodel_providers:\n  - {{model: vertex_ai/meta/m, \
         project: p, region: global, base_url: 'http://{}', credentials_file: '{}'}}\n",
        place.address.port(),
        fake.address,
        file.display()
    ));
    let process = Process::start(&place.socket, &place.file(), &[]);
    let ask = |token: &str| {
        let body = question(CHAT, "vertex_ai/meta/m", "Hi").to_string();
        let reply = send(place.address, &[request(CHAT, "", &body).as_bytes()]);
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(fake.last().header("authorization"), Some(format!("Bearer {token}").as_str()));
    };
    ask("one");
    rotate("two");
    wait_for("the reload", || place.last_reload()["outcome"] == "applied");
    ask("two");
    fs::write(&file, "half a fi").unwrap();
    wait_for("the refusal", || place.last_reload()["outcome"] == "refused");
    ask("two");
    process.stop();
}

/// Resident memory of a process, in KiB.
#[cfg(all(target_os = "linux", feature = "mimalloc"))]
fn resident(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

/// Hundreds of requests at once take memory. It goes back to the system once they are over, though nobody asks any more.
#[cfg(all(target_os = "linux", feature = "mimalloc"))]
#[test]
fn memory_is_given_back_after_a_burst() {
    const REQUESTS: usize = 800;
    const ENOUGH: Duration = Duration::from_secs(60);
    let (go_on, over) = channel::<()>();
    let over = std::sync::Mutex::new(over);
    let (arrived, all_arrived) = channel();
    let arrived = std::sync::Mutex::new(arrived);
    let fake = Fake::start(move |seen, stream| {
        if seen.text().contains("wait") {
            arrived.lock().unwrap().send(()).unwrap();
            // Until the test hangs up.
            let _ = over.lock().unwrap().recv();
        }
        write(stream, json_answer(200, good(seen)));
    });
    let place = Place::new();
    place.write(&place.text("one", fake.address));
    let process = Process::start(&place.socket, &place.file(), &["--workers", "1"]);
    let ask = |text: &str| {
        let body = question(CHAT, "m", text).to_string();
        let mut stream = TcpStream::connect(place.address).unwrap();
        stream.write_all(request(CHAT, "", &body).as_bytes()).unwrap();
        stream
    };
    let finish = |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    // One that has answered once has everything that it needs.
    finish(ask("Hi"));
    let before = resident(&process);
    // Small ones: what is large goes back by itself.
    let streams: Vec<TcpStream> = (0..REQUESTS).map(|_| ask("wait")).collect();
    for _ in 0..REQUESTS {
        all_arrived.recv_timeout(PATIENCE).unwrap();
    }
    let during = resident(&process);
    assert!(during > before + 8_000, "{before} KiB before, {during} with {REQUESTS} requests");
    drop(go_on);
    streams.into_iter().for_each(finish);

    let started = Instant::now();
    let mut after = resident(&process);
    while after > before + (during - before) / 2 {
        assert!(started.elapsed() < ENOUGH, "{before} KiB before, {during} at most, {after} after");
        let _ = process.lines.recv_timeout(Duration::from_millis(200));
        after = resident(&process);
    }
    process.stop();
}
