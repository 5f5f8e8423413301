//! The gateway as a process: started, asked, told to stop, and followed by the next one on the same socket.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::clock;
use crate::http::{Broken, Connection};
use crate::ledger::Ledger;
use crate::provider::KEY;

/// Names its socket, which this program holds open for it, as its third file, as systemd does. The process replaces the
/// shell, so that its number is the shell's.
const START: &str = r#"LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" up "$@" 3<&0 </dev/null"#;
/// How long requests may go on in one that is told to stop: longer than any of them takes.
const GRACE: Duration = Duration::from_secs(90);
/// Longest wait for a start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many lines of standard error are kept.
const SAID: usize = 300;

/// How to start one.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) config: PathBuf,
    /// Where it keeps its records: all processes in the same file.
    pub(crate) records: PathBuf,
    /// Who vouches for the provider that speaks TLS.
    pub(crate) authority: PathBuf,
    pub(crate) socket: TcpListener,
    pub(crate) address: SocketAddr,
    pub(crate) ledger: Arc<Ledger>,
}

/// One that runs.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
    /// When it was started.
    pub(crate) since: Duration,
    /// Resident memory over time, in KiB.
    pub(crate) memory: Vec<(Duration, u64)>,
    told: Option<Duration>,
    /// Where operators connect; unknown until it has said so.
    admin: Option<SocketAddr>,
}

impl Program {
    /// Starts a process and waits until it serves.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(&self) -> anyhow::Result<Process> {
        let mut command = Command::new("sh");
        command.args(["-c", START]).arg(&self.binary).arg(&self.config);
        command.args(["--log-format", "json", "--grace", &format!("{}s", GRACE.as_secs())]);
        command.env("CHAOS_KEY", KEY).env("NO_COLOR", "1").env_remove("RUST_LOG");
        command.env("SSL_CERT_FILE", &self.authority).env_remove("SSL_CERT_DIR");
        command.stdin(Stdio::from(OwnedFd::from(self.socket.try_clone()?)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let (ledger, heard) = (Arc::clone(&self.ledger), Arc::clone(&said));
        let (log, errors) = (child.stdout.take(), child.stderr.take());
        let readers = vec![
            std::thread::spawn(move || lines(log, |line| ledger.line(&line))),
            std::thread::spawn(move || {
                lines(errors, |line| {
                    let mut said = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    if said.len() == SAID {
                        said.pop_front();
                    }
                    said.push_back(line);
                });
            }),
        ];
        let mut process = Process {
            child,
            said,
            readers,
            since: clock::now(),
            memory: Vec::new(),
            told: None,
            admin: None,
        };
        while !process.said().contains("ready  ") {
            if process.child.try_wait()?.is_some() || clock::now() > process.since + PATIENCE {
                bail!("the gateway does not start:\n{}", process.said());
            }
            clock::pause(Duration::from_millis(10));
        }
        let said = process.said();
        let admin = said.lines().find_map(|line| line.strip_prefix("admin      http://")?.split(' ').next());
        process.admin = admin.and_then(|address| address.parse().ok());
        Ok(process)
    }

    /// Enters all that was kept into the ledger, as `waypost logs` reads it.
    ///
    /// # Errors
    /// The records cannot be read.
    pub(crate) fn read_records(&self) -> Result<(), String> {
        let mut command = Command::new(&self.binary);
        command.args(["logs", "--json", "--number", "all", "--records"]).arg(&self.records);
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        lines(child.stdout.take(), |record| self.ledger.record(&record));
        match child.wait() {
            Ok(status) if status.success() => Ok(()),
            ended => Err(format!("the records cannot be read: {ended:?}")),
        }
    }

    /// The body of a page of the gateway, from whichever process answers.
    pub(crate) fn page(&self, path: &str) -> Result<String, String> {
        page(self.address, path)
    }
}

fn page(address: SocketAddr, path: &str) -> Result<String, String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let asked = Connection::open(address).and_then(|mut connection| {
        connection.send(request.as_bytes())?;
        connection.rest().map_err(Broken::Other)
    });
    let body = asked.map_err(|broken| format!("{path}: {broken:?}"))?;
    String::from_utf8(body).map_err(|_not_utf8| format!("{path} is no text"))
}

impl Process {
    /// A number of `/metrics`; 0 if it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self.admin.and_then(|admin| page(admin, "/metrics").ok()).unwrap_or_default();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or(0.0)
    }

    /// Its last words on standard error.
    pub(crate) fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Notes how much memory it has.
    pub(crate) fn measure(&mut self) {
        let status = Path::new("/proc").join(self.child.id().to_string()).join("status");
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
        self.memory.extend(memory.map(|memory| (clock::now(), memory)));
    }

    /// How many files and sockets it has open; 0 where that cannot be known.
    pub(crate) fn files(&self) -> usize {
        let files = Path::new("/proc").join(self.child.id().to_string()).join("fd");
        std::fs::read_dir(files).map_or(0, Iterator::count)
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// The signal cannot be sent.
    pub(crate) fn terminate(&mut self) -> anyhow::Result<()> {
        let sent = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status()?;
        self.told = Some(clock::now());
        if sent.success() { Ok(()) } else { bail!("the gateway is not there any more:\n{}", self.said()) }
    }

    /// Whether it has ended, and well.
    ///
    /// # Errors
    /// It has ended without order, not well, or not at all.
    pub(crate) fn has_ended(&mut self) -> Result<bool, String> {
        let status = self.child.try_wait().map_err(|error| error.to_string())?;
        let too_late = self.told.is_some_and(|told| clock::now() > told + GRACE + PATIENCE);
        match status {
            None if too_late => Err(format!("the gateway does not stop:\n{}", self.said())),
            None => Ok(false),
            Some(status) => {
                for reader in self.readers.drain(..) {
                    let _ = reader.join();
                }
                let said = self.said();
                if self.told.is_some() && status.success() && !said.contains("panicked") {
                    Ok(true)
                } else {
                    Err(format!("the gateway ended with {status}:\n{said}"))
                }
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: Option<impl Read>, mut take: impl FnMut(String)) {
    if let Some(from) = from {
        BufReader::new(from).lines().map_while(Result::ok).for_each(&mut take);
    }
}
