//! A provider that is as the schedule has it. Each connection has a thread of its own.

mod answer;
mod fault;
mod wire;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;
use serde_json::Value;

use crate::api::Api;
use crate::clock;
use crate::schedule::{Mode, Schedule};
use crate::words::Order;

pub(crate) use self::wire::Identity;
use self::wire::Wire;

/// Ports are taken from here: below those that systems give to outgoing connections, as a provider that refuses leaves
/// its port for a while and has to get it back.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How often the door is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// A connection that is silent for longer is closed.
const IDLE: Duration = Duration::from_secs(120);
/// Which provider speaks TLS.
pub(crate) const SECURE: usize = 1;
/// The key that requests have to carry.
pub(crate) const KEY: &str = "chaos-key";

/// Numbers attempts over all providers.
static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// One provider.
#[derive(Debug)]
pub(crate) struct Provider {
    index: usize,
    schedule: Arc<Schedule>,
    /// What it shows; `None` where it speaks plain HTTP.
    identity: Option<Identity>,
}

/// What an attempt asks for.
#[derive(Debug)]
struct Ask {
    api: Api,
    model: String,
    stream: bool,
    wants_usage: bool,
    order: Order,
    attempt: u64,
}

impl Provider {
    /// Starts it; it runs as long as this program does. `authority` is where the authority of the one that speaks TLS is
    /// written.
    ///
    /// # Errors
    /// No port is free, or there is no certificate.
    pub(crate) fn start(
        index: usize,
        schedule: Arc<Schedule>,
        authority: &Path,
        rng: &mut Rng,
    ) -> anyhow::Result<SocketAddr> {
        let mut attempts = (0..100).map(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, rng.u16(PORTS))));
        let listener =
            attempts.find_map(|address| TcpListener::bind(address).ok()).context("no port is free")?;
        let address = listener.local_addr()?;
        let identity = (index == SECURE).then(|| Identity::new(address, authority)).transpose()?;
        let provider = Arc::new(Self { index, schedule, identity });
        std::thread::spawn(move || provider.run(listener, address));
        Ok(address)
    }

    fn mode(&self) -> Mode {
        self.schedule.mode(self.index, clock::now())
    }

    fn run(self: Arc<Self>, listener: TcpListener, address: SocketAddr) {
        let mut door = Some(listener);
        loop {
            if self.mode() == Mode::Refuse {
                door = None;
            } else if door.is_none() {
                door = TcpListener::bind(address).ok();
            }
            if let Some(listener) = &door {
                let _ = listener.set_nonblocking(true);
                while let Ok((stream, _)) = listener.accept() {
                    let provider = Arc::clone(&self);
                    std::thread::spawn(move || provider.serve(stream));
                }
            }
            clock::pause(LOOK);
        }
    }

    fn serve(&self, socket: TcpStream) {
        let _ = socket.set_nonblocking(false);
        let _ = socket.set_nodelay(true);
        let _ = socket.set_read_timeout(Some(IDLE));
        let mut rng = Rng::new();
        // Connections can fail before there is a request.
        let fails = self.identity.is_some() && self.mode() == Mode::Reset;
        if fails && rng.bool() {
            return;
        }
        let Ok(mut stream) = Wire::new(socket, self.identity.as_ref(), !fails) else { return };
        let mut rest = Vec::new();
        while let Some(request) = Request::read(&mut stream, &mut rest) {
            let goes_on = match request.ask() {
                Ok(ask) => fault::answer(self.mode(), &ask, &mut stream, &mut rng),
                Err(problem) => refuse(&mut stream, &request, &problem),
            };
            if goes_on.is_err() {
                return;
            }
        }
    }
}

/// A request that is not what a client asked for is the gateway's fault: it shows as a failed request.
fn refuse(stream: &mut Wire, request: &Request, problem: &str) -> std::io::Result<()> {
    let api = Api::of_path(&request.path).unwrap_or(Api::Chat);
    let body = api.error(400, &format!("the provider was asked {problem}")).to_string();
    stream.write_all(fault::response(400, "", "application/json", &body).as_bytes())
}

struct Request {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// The next request on a connection; `None` if there is none.
    fn read(stream: &mut Wire, rest: &mut Vec<u8>) -> Option<Self> {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(rest.get(..end)?).into_owned();
                let mut lines = head.lines();
                let path = lines.next()?.split(' ').nth(1)?.to_owned();
                let headers: Vec<_> = lines
                    .filter_map(|line| line.split_once(':'))
                    .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                    .collect();
                let length = headers.iter().find(|(name, _)| name == "content-length");
                let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
                let whole = end + 4 + length;
                if rest.len() >= whole {
                    let body = rest.get(end + 4..whole)?.to_vec();
                    rest.drain(..whole);
                    return Some(Self { path, headers, body });
                }
            }
            match stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => rest.extend_from_slice(buffer.get(..count)?),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What it asks for, or what is wrong with it.
    fn ask(&self) -> Result<Ask, String> {
        let api = Api::of_path(&self.path).ok_or_else(|| format!("for {}", self.path))?;
        let body: Value = serde_json::from_slice(&self.body).map_err(|error| format!("no JSON: {error}"))?;
        let key = self.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let key = key.or_else(|| self.header("x-api-key")).or_else(|| self.header("x-goog-api-key"));
        if key != Some(KEY) {
            return Err("with another key".to_owned());
        }
        let (model, stream) = if api == Api::Gemini {
            let (before, what) = self.path.rsplit_once(':').unwrap_or_default();
            let model = before.rsplit('/').next().unwrap_or_default().to_owned();
            (model, what.starts_with("stream"))
        } else {
            (body["model"].as_str().unwrap_or_default().to_owned(), body["stream"] == true)
        };
        if !matches!(model.as_str(), "m" | "solo") {
            return Err(format!("for the model `{model}`"));
        }
        let text = String::from_utf8_lossy(&self.body);
        let order = Order::find(&text).ok_or("without one order of words")?;
        let wants_usage = body["stream_options"]["include_usage"] == true;
        Ok(Ask { api, model, stream, wants_usage, order, attempt: ATTEMPTS.fetch_add(1, Ordering::Relaxed) })
    }
}
