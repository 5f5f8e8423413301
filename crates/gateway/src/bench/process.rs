//! The gateway and the mock as processes of their own, and what processes use: processor time and memory. Both are read
//! from `/proc` and unknown elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use crate::temporary::Folder;

/// How a process says on standard error that it can be asked, followed by where: `waypost up` does it so.
pub const READY: &str = "ready  ";

/// Variables of the gateway that hold keys; the mock takes any.
pub const KEYS: [&str; 3] = ["BENCH_KEY", "BENCH_KEY_2", "BENCH_KEY_3"];

/// Longest wait for that.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a process has to end once it was asked to: the gateway stores its last records meanwhile.
const END: Duration = Duration::from_secs(10);
/// Lines of standard error that are kept.
const KEPT_LINES: usize = 12;
/// How often another port is tried, where somebody else has taken the first.
const ATTEMPTS: usize = 5;
/// Ticks of processor time a second (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// A process that ends with us.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Hangs up when standard error is closed, which is when the process ends.
    ended: Receiver<Infallible>,
    /// Where it listens.
    pub address: SocketAddr,
    _folder: Option<Folder>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(END);
    }
}

/// How a gateway is started.
#[derive(Debug, Clone, Copy)]
pub struct Gateway<'a> {
    /// The program.
    pub binary: &'a Path,
    /// Its configuration as it stands in the file, but for the port: `@PORT@`. Paths in it are below a folder of its
    /// own; [`KEYS`] are there.
    pub configuration: &'a str,
    /// Other arguments of `waypost up`.
    pub arguments: &'a [String],
}

impl Gateway<'_> {
    /// Starts it with request lines in a file, and without the variables of this process: they could change what is
    /// measured.
    ///
    /// # Errors
    /// It cannot be started, or ends; what it said is told.
    pub async fn start(self) -> Result<Process> {
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            // Free now; whoever takes it meanwhile makes us try another.
            let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let folder = Folder::new("bench")?;
            let file = folder.path().join("waypost.yaml");
            std::fs::write(&file, self.configuration.replace("@PORT@", &port.to_string()))?;
            let log = std::fs::File::create(folder.path().join("requests.log"))?;
            let mut command = Command::new(self.binary);
            command.arg("up").arg(&file).args(self.arguments).current_dir(folder.path());
            command.env_clear().envs(KEYS.map(|key| (key, key))).stdout(log);
            match Process::start(command, Some(folder)).await {
                Err(error) if format!("{error:#}").contains("in use") => failed = Some(error),
                started => return started,
            }
        }
        Err(failed.context("the gateway was not started")?)
    }
}

impl Process {
    /// Starts a process and waits until it says [`READY`].
    ///
    /// # Errors
    /// It cannot be started, or ends before that; what it said is told.
    pub async fn mock(command: Command) -> Result<Self> {
        Self::start(command, None).await
    }

    async fn start(mut command: Command, folder: Option<Folder>) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("cannot start {program}"))?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, mut ready) = mpsc::channel(1);
        let (open, ended) = sync_channel(0);
        if let Some(output) = child.stderr.take() {
            let said = Arc::clone(&said);
            // To the end, so that the process never waits for a reader.
            std::thread::spawn(move || {
                let _open: SyncSender<Infallible> = open;
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Some(address) = address(&line) {
                        let _ = sender.try_send(address);
                    }
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.push_back(line);
                    if said.len() > KEPT_LINES {
                        said.pop_front();
                    }
                }
            });
        }
        // Ended with what comes of it, unless it is returned.
        let mut process = Self { child, ended, address: (Ipv4Addr::LOCALHOST, 0).into(), _folder: folder };
        match tokio::time::timeout(PATIENCE, ready.recv()).await {
            Ok(Some(address)) => {
                process.address = address;
                Ok(process)
            }
            ended => {
                let why = if ended.is_ok() { "has ended" } else { "is not ready after a minute" };
                let said = said.lock().unwrap_or_else(PoisonError::into_inner);
                let said: Vec<&str> = said.iter().map(String::as_str).collect();
                bail!("{program} {why}; it said:\n{}", said.join("\n"))
            }
        }
    }

    /// Asks the process to end (`SIGTERM`), waits for that, and kills it where it does not.
    fn end(&mut self, patience: Duration) {
        // All of it fails where the process has ended on its own, as it may.
        let asked = Pid::from_raw(self.id().cast_signed()).map(|process| kill_process(process, Signal::TERM));
        if !matches!(asked, Some(Ok(())))
            || self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout)
        {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory in use, in bytes.
    ///
    /// # Errors
    /// There is no `/proc`, or no such process any more.
    pub fn memory(&self) -> Result<u64> {
        memory(self.id(), "VmRSS").context("its memory is not known")
    }

    /// Processor time used so far, in seconds.
    ///
    /// # Errors
    /// There is no `/proc`, or no such process any more.
    pub fn cpu(&self) -> Result<f64> {
        Ok(Cpu::of(&[self.id()]).context("its processor time is not known")?.since(&Cpu::default()))
    }
}

/// Where a line says that it is ready.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.strip_prefix(READY)?.split_once("http://")?;
    rest.split(['/', ' ', ';']).next()?.parse().ok()
}

/// Processor time that some processes have used: by thread, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Cpu(BTreeMap<u32, f64>);

impl Cpu {
    /// Of these processes; `None` where it is not known.
    pub(super) fn of(processes: &[u32]) -> Option<Self> {
        let mut threads = BTreeMap::new();
        for process in processes {
            if precise(*process, &mut threads).is_none() {
                threads.insert(*process, coarse(*process)?);
            }
        }
        Some(Self(threads))
    }

    /// Seconds that were used since then. A thread that has ended meanwhile does not count.
    pub(super) fn since(&self, before: &Self) -> f64 {
        let used = self.0.iter().map(|(thread, now)| now - before.0.get(thread).copied().unwrap_or_default());
        used.sum::<f64>() / 1e9
    }
}

/// Nanoseconds by the scheduler (`/proc/PID/task/TID/schedstat`).
fn precise(process: u32, threads: &mut BTreeMap<u32, f64>) -> Option<()> {
    for entry in std::fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten() {
        let thread: u32 = entry.file_name().to_str()?.parse().ok()?;
        // It may have ended since it was listed.
        let Ok(text) = std::fs::read_to_string(entry.path().join("schedstat")) else {
            if entry.path().exists() {
                return None;
            }
            continue;
        };
        threads.insert(thread, text.split(' ').next()?.parse().ok()?);
    }
    Some(())
}

/// The same in ticks of 10 ms (`/proc/PID/stat`), where the kernel does not count finer.
fn coarse(process: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may have spaces in it; user and system time are the 14th and 15th field.
    let (_, fields) = text.rsplit_once(')')?;
    let ticks: f64 = fields.split(' ').skip(12).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Some(ticks / TICKS * 1e9)
}

/// There is such a process, as far as `/proc` says.
#[must_use]
pub fn is_there(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// A figure of `/proc/PID/status`, in bytes.
fn memory(process: u32, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// Most memory that these processes have had since [`forget_peak`], in bytes.
pub(super) fn peak(processes: &[u32]) -> Option<u64> {
    processes.iter().map(|process| memory(*process, "VmHWM")).sum()
}

/// Lets [`peak`] begin now. Where that is not allowed, it counts from the start of the process.
pub(super) fn forget_peak(processes: &[u32]) {
    for process in processes {
        let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where() {
        let line =
            "ready      OPENAI_BASE_URL=http://127.0.0.1:12000/v1  ANTHROPIC_BASE_URL=http://127.0.0.1:12000";
        assert_eq!(address(line), Some(([127, 0, 0, 1], 12000).into()));
        assert_eq!(
            address("ready      mock on http://127.0.0.1:1; any key"),
            Some(([127, 0, 0, 1], 1).into())
        );
        assert_eq!(address("listening  http://127.0.0.1:1"), None);
    }

    /// A shell that prepares itself, is ready, and waits.
    async fn shell(prepare: &str, wait: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{prepare}\necho 'ready  http://127.0.0.1:1' >&2\n{wait}")]);
        Process::mock(command).await.unwrap()
    }

    #[tokio::test]
    async fn a_process_is_asked_to_end_before_it_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ended");
        let trap = format!("trap 'echo regularly > {}; kill $!; exit' TERM", file.display());
        drop(shell(&trap, "sleep 60 2>/dev/null & wait").await);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "regularly\n");

        let mut stubborn = shell("trap '' TERM", "exec sleep 60").await;
        stubborn.end(Duration::from_millis(10));
        let status = stubborn.child.try_wait().unwrap().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let own = [std::process::id()];
        let before = Cpu::of(&own).unwrap();
        let started = tokio::time::Instant::now();
        while started.elapsed() < Duration::from_millis(30) {}
        let used = Cpu::of(&own).unwrap().since(&before);
        assert!(used > 0.0, "{used}");
        assert!(peak(&own).unwrap() >= memory(own[0], "VmRSS").unwrap() / 2);
    }
}
