//! The gateway and the provider as processes of their own, and what the gateway uses (`/proc`, Linux only).

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;

/// Bytes of a page of memory, as every Linux has it that this runs on.
const PAGE: u64 = 4096;
/// Ticks of processor time a second (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// A process that ends with us.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Its configuration.
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts this program as the provider.
pub(super) fn provider() -> Result<Process> {
    let mut child =
        Command::new(std::env::current_exe()?).args(["load", "provider"]).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    Ok(Process { child, address: line.trim().parse()?, _folder: None })
}

/// Starts the gateway in front of the provider with its defaults; model `m` is of the client's dialect, `c` of another.
pub(super) async fn gateway(binary: &Path, provider: SocketAddr) -> Result<Process> {
    let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("waypost.yaml");
    let text = format!(
        "admin: {{port: 0}}
listeners: {{egress_traffic: {{address: 127.0.0.1, port: {port}}}}}
model_providers:
  - {{model: openai/m, access_key: $LOAD_KEY, base_url: 'http://{provider}', provider_interface: openai_chat}}
  - {{model: anthropic/c, access_key: $LOAD_KEY, base_url: 'http://{provider}'}}
"
    );
    std::fs::write(&file, text)?;
    let log = std::fs::File::create(folder.path().join("requests.log"))?;
    let child = Command::new(binary)
        .arg("up")
        .arg(&file)
        .env("LOAD_KEY", "not-a-secret")
        .stdout(log)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{}: build it with `cargo build --release`", binary.display()))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let process = Process { child, address, _folder: Some(folder) };
    for _ in 0..500 {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(process);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("the gateway does not listen")
}

impl Process {
    /// Memory in use, in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: u64 = text.split(' ').nth(1).context("statm")?.parse()?;
        Ok(pages * PAGE)
    }

    /// Processor time used so far, in seconds.
    pub(super) fn cpu(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in parentheses, may have spaces in it; user and system time are the 14th and 15th field.
        let (_, fields) = text.rsplit_once(')').context("stat")?;
        let ticks: f64 =
            fields.split(' ').skip(12).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS)
    }
}
