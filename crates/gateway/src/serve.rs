//! Starting and stopping: bind first, so that every address is known; then one thread a worker.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use crate::config::{Config, Listener};
use crate::runtime::Runtime;
use crate::server::gate::Gate;
use crate::server::listener;
use crate::telemetry::Telemetry;
use crate::upstream::client::{Client, ClientSettings};
use crate::worker::Worker;

/// Longest wait for a connection to a provider.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A running gateway.
#[derive(Debug)]
pub struct Server {
    /// The bound address of each listener of the configuration, in its order.
    pub addresses: Vec<SocketAddr>,
    /// The snapshot that it serves.
    pub runtime: Arc<Runtime>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds every listener, then serves on `workers` threads.
    ///
    /// # Errors
    /// An address cannot be bound, the configuration names something unusable, or a thread cannot be started.
    pub fn start(config: &Config, telemetry: &Telemetry, workers: usize) -> anyhow::Result<Self> {
        let runtime = Arc::new(Runtime::new(config).map_err(anyhow::Error::msg)?);
        let settings = ClientSettings::from_platform(CONNECT_TIMEOUT).context("cannot set TLS up")?;
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for settings in &config.listeners {
            let address = SocketAddr::new(settings.address, settings.port);
            let socket = listener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
            addresses.push(socket.local_addr()?);
            sockets.push((settings.clone(), Arc::new(Gate::new(settings)), socket));
        }
        let (stop, stopped) = watch::channel(false);
        let mut threads = Vec::new();
        for index in 0..workers.max(1) {
            let sockets = sockets
                .iter()
                .map(|(settings, gate, socket)| Ok((settings.clone(), Arc::clone(gate), socket.try_clone()?)))
                .collect::<std::io::Result<Vec<_>>>()?;
            let part = Part {
                runtime: Arc::clone(&runtime),
                settings: settings.clone(),
                telemetry: telemetry.clone(),
                stopped: stopped.clone(),
            };
            let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("worker-{index}"));
            threads.push(thread.spawn(move || tokio.block_on(part.run(sockets)))?);
        }
        Ok(Self { addresses, runtime, stop, threads })
    }

    /// Stops accepting, lets requests in flight end, and waits for all threads.
    pub fn stop(self) {
        // No receiver is left only if every worker has ended already.
        let _ = self.stop.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

/// What one worker thread is given.
struct Part {
    runtime: Arc<Runtime>,
    settings: ClientSettings,
    telemetry: Telemetry,
    stopped: watch::Receiver<bool>,
}

impl Part {
    async fn run(self, sockets: Vec<(Listener, Arc<Gate>, std::net::TcpListener)>) {
        let client = Client::new(&self.settings);
        let mut serving = tokio::task::JoinSet::new();
        for (listener, gate, socket) in sockets {
            let socket = match tokio::net::TcpListener::from_std(socket) {
                Ok(socket) => socket,
                Err(error) => {
                    tracing::error!(%error, listener = %listener.name, "cannot serve a listener");
                    continue;
                }
            };
            let worker = Worker::new(
                Arc::clone(&self.runtime),
                listener,
                gate,
                client.clone(),
                self.telemetry.clone(),
                self.stopped.clone(),
            );
            serving.spawn(listener::serve(socket, Arc::new(worker), self.stopped.clone()));
        }
        while serving.join_next().await.is_some() {}
    }
}
