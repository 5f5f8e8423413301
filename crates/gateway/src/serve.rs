//! Starting, changing and stopping: bind first, so that every address is known; then one thread a worker.

mod admin;
mod sinks;

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::admin::Live;
use crate::config::{Address, Config, Listener, Log};
use crate::memory;
use crate::runtime::Runtime;
use crate::server::bound::{Bound, File, Listening};
use crate::server::drain::{Drain, GRACE, Phase};
use crate::server::gate::Gate;
use crate::server::inherited::Inherited;
use crate::server::listener;
use crate::server::ready::{Origin, Readiness};
use crate::server::tls::identity::{Identity, Look};
use crate::telemetry::otlp::Exporter;
use crate::telemetry::{Telemetry, diagnostics};
use crate::upstream::check;
use crate::upstream::client::{Client, ClientSettings};
use crate::worker::{Slot, Worker};
use admin::AdminDoor;
use sinks::{Kept, open_traces};

/// How a gateway runs, apart from its configuration.
#[derive(Debug)]
pub struct Options {
    /// Threads that serve requests; at least one.
    pub workers: usize,
    /// How long requests may go on after the order to stop.
    pub grace: Duration,
    /// Another process of this user may bind the same addresses, if it says so, too.
    pub shared: bool,
    /// Sockets that are open already.
    pub inherited: Inherited,
    /// Where the configuration is from.
    pub origin: Origin,
}

impl Options {
    /// The usual ones.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            grace: GRACE,
            shared: false,
            inherited: Inherited::default(),
            origin: Origin::default(),
        }
    }
}

/// A running gateway.
#[derive(Debug)]
pub struct Server {
    /// The snapshot that it serves.
    pub runtime: Arc<Runtime>,
    /// Which configuration it is, and since when.
    pub readiness: Arc<Readiness>,
    /// Where records go.
    pub telemetry: Telemetry,
    options: Options,
    threads: Vec<Thread>,
    doors: Vec<Door>,
    /// Where operators connect.
    admin: Option<AdminDoor>,
    /// What is told of requests to operators as they end.
    live: Arc<Live>,
    client: ClientSettings,
    /// Of listeners that the configuration has no more and that drain.
    leaving: Vec<Arc<Drain>>,
    /// Asks targets that rest whether they are back.
    checks: Checks,
    /// What is kept of requests, and where.
    log: Log,
    kept: Kept,
}

/// A task that ends with its owner.
#[derive(Debug, Default)]
struct Checks(Option<AbortHandle>);

impl Drop for Checks {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Server {
    /// Binds every listener, then serves on `workers` threads.
    ///
    /// # Errors
    /// An address cannot be bound, the configuration names something unusable, or a thread cannot be started.
    pub fn start(config: &Config, telemetry: &Telemetry, workers: usize) -> anyhow::Result<Self> {
        Self::with(config, telemetry, Options::new(workers))
    }

    /// The same with everything that can be chosen.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn with(config: &Config, telemetry: &Telemetry, mut options: Options) -> anyhow::Result<Self> {
        let runtime = Arc::new(Runtime::new(config).map_err(anyhow::Error::msg)?);
        let settings =
            ClientSettings::from_platform(config.reliability.connect_timeout).context("cannot set TLS up")?;
        let sockets = config.listeners.iter().map(|settings| bind(settings, &mut options));
        let sockets = sockets.collect::<anyhow::Result<Vec<_>>>()?;
        let admin = admin::bind(config, &mut options)?;
        for address in options.inherited.left() {
            tracing::warn!(%address, "a socket was passed to this process that no listener of the configuration asks for");
        }
        let threads =
            (0..options.workers.max(1)).map(|index| Thread::start(format!("worker-{index}"), &settings));
        let kept = Kept::open(&config.log, telemetry)?;
        let traces = open_traces(config, &settings, telemetry)?;
        let mut server = Self {
            log: config.log.clone(),
            kept,
            readiness: Arc::new(Readiness::new(options.origin.clone())),
            runtime,
            telemetry: telemetry.clone(),
            threads: threads.collect::<anyhow::Result<Vec<_>>>()?,
            options,
            doors: Vec::new(),
            admin: None,
            live: Arc::default(),
            client: settings,
            leaving: Vec::new(),
            checks: Checks::default(),
        };
        server.checks = server.start_checks();
        for thread in &server.threads {
            thread.handle.spawn(memory::tend());
        }
        let doors = config
            .listeners
            .iter()
            .zip(&sockets)
            .map(|(settings, socket)| Ok((settings.clone(), server.prepare(socket, settings)?)));
        let doors = doors.collect::<anyhow::Result<Vec<_>>>()?;
        // Before anything is served: who waits at a socket that was passed on is answered at once.
        server.kept.take_over(telemetry);
        traces.iter().for_each(|sink| telemetry.tell(sink));
        server.readiness.records(server.kept.standing());
        diagnostics::apply(&config.log.diagnostics);
        telemetry.metrics.configuration_loaded(server.options.origin.sha256.as_deref());
        for (settings, prepared) in doors {
            let door = server.open(settings, prepared);
            server.doors.push(door);
        }
        if let Some((admin, bound)) = admin {
            let opened = server.open_admin(admin, &bound)?;
            server.admin = Some(server.serve_admin(config, opened));
        }
        server.tell_of_certificates();
        Ok(server)
    }

    /// The bound address of each listener of the configuration, in its order.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        self.doors.iter().map(|door| door.address.clone()).collect()
    }

    /// Where operators connect, if anywhere.
    #[must_use]
    pub fn admin(&self) -> Option<Address> {
        self.admin.as_ref().map(AdminDoor::address)
    }

    /// Changes to another configuration as a whole. Requests in flight finish on the old one; what is known of targets
    /// that are in both is kept. New addresses are bound, those that are gone drain.
    ///
    /// # Errors
    /// The configuration names something unusable, or an address cannot be bound: nothing has changed then.
    pub fn reload(&mut self, config: &Config, origin: Origin) -> anyhow::Result<()> {
        // Everything that can fail comes first; the runtime last, as it sets limits that targets share with the old one.
        let mut opened = Vec::new();
        let mut identities = Vec::new();
        for settings in &config.listeners {
            match self.doors.iter().find(|door| door.is_at(settings)) {
                Some(door) => {
                    identities.push((settings.address.clone(), identity(settings, door.identity.as_ref())?))
                }
                None => {
                    let socket = bind(settings, &mut self.options)?;
                    opened.push((settings.clone(), self.prepare(&socket, settings)?));
                }
            }
        }
        let admin = self.prepare_admin(config)?;
        let is_kept_alike = self.log.is_kept_alike(&config.log);
        let keeping = if is_kept_alike { None } else { Some(Kept::open(&config.log, &self.telemetry)?) };
        let has_new_traces = self.runtime.tracing != config.tracing;
        let traces = if has_new_traces { open_traces(config, &self.client, &self.telemetry)? } else { None };
        self.runtime = Arc::new(self.runtime.succeeded_by(config).map_err(anyhow::Error::msg)?);
        let (mut kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.doors)
            .into_iter()
            .partition(|door| config.listeners.iter().any(|settings| door.is_at(settings)));
        for door in &mut kept {
            let old = Arc::clone(&door.gate);
            if let Some(settings) = config.listeners.iter().find(|settings| door.is_at(settings)) {
                allow(&door.file, &door.settings, settings.socket_mode);
                door.settings = settings.clone();
                if !door.gate.has_limits_of(settings) {
                    door.gate = Arc::new(Gate::new(settings));
                }
            }
            let place = identities.iter().position(|(address, _)| *address == door.settings.address);
            door.identity = place.and_then(|place| identities.swap_remove(place).1);
            for (thread, seat) in self.threads.iter().zip(&door.seats) {
                let worker =
                    self.worker(thread, &door.settings, &door.gate, door.identity.as_ref(), &seat.drain);
                seat.slot.store(Arc::new(worker));
            }
            if !Arc::ptr_eq(&old, &door.gate) {
                old.retire();
            }
        }
        for (settings, prepared) in opened {
            kept.push(self.open(settings, prepared));
        }
        let place = |door: &Door| config.listeners.iter().position(|settings| door.is_at(settings));
        kept.sort_by_key(place);
        self.doors = kept;
        self.leaving.retain(|drain| Arc::strong_count(drain) > 1);
        for seat in gone.into_iter().flat_map(|door| door.seats) {
            seat.drain.enter(Phase::Draining);
            self.leaving.push(seat.drain);
        }
        self.change_admin(config, admin);
        match keeping {
            Some(kept) => {
                kept.take_over(&self.telemetry);
                self.readiness.records(kept.standing());
                self.kept = kept;
            }
            None => self.kept.try_again(),
        }
        if has_new_traces {
            match traces {
                Some(traces) => self.telemetry.tell(&traces),
                None => self.telemetry.leave(Exporter::NAME),
            }
        }
        diagnostics::apply(&config.log.diagnostics);
        self.log = config.log.clone();
        self.runtime.forget_others();
        self.checks = self.start_checks();
        self.telemetry.metrics.reloaded(true);
        self.telemetry.metrics.configuration_loaded(origin.sha256.as_deref());
        self.readiness.applied(origin);
        self.tell_of_certificates();
        Ok(())
    }

    /// Looks at the files of certificates and puts new ones to use for handshakes that begin from now on. Whoever is
    /// told to look does not wait until the writer is done. True if a look soon is worth it.
    pub fn renew_certificates(&self, is_told: bool) -> bool {
        let mut is_unsettled = false;
        let mut is_other = false;
        for (listener, identity) in self.identities() {
            let look = identity.look(is_told);
            is_unsettled |= identity.is_unsettled();
            is_other |= look != Look::Same;
            match look {
                Look::Same => {}
                Look::Renewed => {
                    self.telemetry.metrics.certificate_reloaded(listener, true);
                    let validity = identity.standing().validity;
                    let expires = humantime::format_rfc3339_seconds(validity.not_after);
                    tracing::info!(%listener, %expires, "the certificate has been renewed");
                    if let Some(odd) = validity.oddity() {
                        tracing::warn!(%listener, "the new certificate {odd}: clients will refuse it");
                    }
                }
                Look::Refused(problem) => {
                    self.telemetry.metrics.certificate_reloaded(listener, false);
                    tracing::error!(
                        %listener,
                        "the certificate is not renewed, and the old one stays in use: {problem}"
                    );
                }
            }
        }
        if is_other {
            self.tell_of_certificates();
        }
        is_unsettled
    }

    /// The listeners that speak TLS, by name.
    fn identities(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Identity>)> {
        let clients =
            self.doors.iter().filter_map(|door| Some((&door.settings.name, door.identity.as_ref()?)));
        clients.chain(self.admin.as_ref().and_then(AdminDoor::identity))
    }

    fn tell_of_certificates(&self) {
        let standings = self.identities().map(|(name, identity)| (Arc::clone(name), identity.standing()));
        let standings: Vec<_> = standings.collect();
        self.telemetry.metrics.certificates(&standings);
        self.readiness.certificates(standings);
    }

    /// The old configuration stays, as a new one cannot be used.
    pub fn refuse(&self, problem: &str) {
        self.readiness.refused(problem);
        self.telemetry.metrics.reloaded(false);
    }

    /// A way to stop it from elsewhere.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        let seats = self.doors.iter().flat_map(|door| &door.seats).map(|seat| Arc::clone(&seat.drain));
        let admin = self.admin.iter().map(AdminDoor::drain);
        Stopper(seats.chain(admin).chain(self.leaving.iter().cloned()).collect())
    }

    /// Stops accepting, lets requests in flight end within the grace period, cuts the rest, and waits for all threads.
    pub fn stop(self) {
        self.stopper().drain();
        drop(self.checks);
        let admin = self.admin.map(AdminDoor::into_thread);
        for Thread { alive, thread, .. } in self.threads.into_iter().chain(admin) {
            drop(alive);
            if thread.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }

    fn start_checks(&self) -> Checks {
        let task = self.runtime.reliability.check.zip(self.threads.first()).map(|(every, thread)| {
            let checking = check::run(Arc::clone(&self.runtime), thread.client.clone(), every);
            thread.handle.spawn(checking).abort_handle()
        });
        Checks(task)
    }

    fn worker(
        &self,
        thread: &Thread,
        settings: &Listener,
        gate: &Arc<Gate>,
        identity: Option<&Arc<Identity>>,
        drain: &Arc<Drain>,
    ) -> Worker {
        Worker {
            runtime: Arc::clone(&self.runtime),
            listener: settings.clone(),
            identity: identity.cloned(),
            gate: Arc::clone(gate),
            client: thread.client.clone(),
            telemetry: Arc::new(self.telemetry.clone()),
            drain: Arc::clone(drain),
            readiness: Arc::clone(&self.readiness),
            desk: None,
        }
    }

    /// One bound socket, made ready for every thread.
    fn prepare(&self, socket: &Bound, settings: &Listener) -> anyhow::Result<Prepared> {
        let sockets = self.threads.iter().map(|thread| {
            let _entered = thread.handle.enter();
            socket.listening()
        });
        let sockets = sockets.collect::<std::io::Result<Vec<_>>>().context("cannot serve a listener")?;
        let identity = identity(settings, None)?;
        Ok(Prepared { address: socket.address()?, file: socket.file(), identity, sockets })
    }

    /// Serves it on every thread.
    fn open(&self, settings: Listener, prepared: Prepared) -> Door {
        let Prepared { address, file, identity, sockets } = prepared;
        let gate = Arc::new(Gate::new(&settings));
        let seats = self.threads.iter().zip(sockets).map(|(thread, socket)| {
            let drain = Arc::new(Drain::new(self.options.grace));
            let worker = self.worker(thread, &settings, &gate, identity.as_ref(), &drain);
            let slot = Arc::new(ArcSwap::from_pointee(worker));
            let serving = listener::serve(socket, Arc::clone(&slot), Arc::clone(&drain));
            let alive = thread.alive.clone();
            thread.handle.spawn(async move {
                serving.await;
                drop(alive);
            });
            Seat { slot, drain }
        });
        Door { seats: seats.collect(), gate, settings, address, file, identity }
    }
}

/// Stops a gateway that somebody else holds.
#[derive(Debug)]
pub struct Stopper(Vec<Arc<Drain>>);

impl Stopper {
    /// No new connections; what is under way may end within the grace period.
    pub fn drain(&self) {
        self.0.iter().for_each(|drain| drain.enter(Phase::Draining));
    }

    /// Waits until no listener takes a connection any more: from then on all are a successor's.
    pub async fn closed(&self) {
        for drain in &self.0 {
            drain.reached(Phase::Closed).await;
        }
    }

    /// What is under way ends now.
    pub fn cut(&self) {
        self.0.iter().for_each(|drain| drain.enter(Phase::Cut));
    }
}

/// A listener of the configuration.
#[derive(Debug)]
struct Door {
    settings: Listener,
    address: Address,
    /// Of a socket in the file system. Who accepts from it holds it.
    file: Weak<File>,
    /// What it shows of itself where it speaks TLS.
    identity: Option<Arc<Identity>>,
    gate: Arc<Gate>,
    /// One a thread, in their order.
    seats: Vec<Seat>,
}

impl Door {
    fn is_at(&self, settings: &Listener) -> bool {
        self.settings.address == settings.address
    }
}

/// A listener on one thread.
#[derive(Debug)]
struct Seat {
    slot: Arc<Slot>,
    drain: Arc<Drain>,
}

/// A socket on every thread, not served yet.
struct Prepared {
    address: Address,
    file: Weak<File>,
    identity: Option<Arc<Identity>>,
    sockets: Vec<Listening>,
}

/// One worker thread.
#[derive(Debug)]
struct Thread {
    handle: Handle,
    client: Client,
    /// The thread ends when nobody holds one.
    alive: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Thread {
    fn start(name: String, settings: &ClientSettings) -> anyhow::Result<Self> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = tokio.handle().clone();
        let client = {
            let _entered = handle.enter();
            Client::new(settings)
        };
        let (alive, mut ended) = mpsc::channel(1);
        let thread = std::thread::Builder::new().name(name);
        let thread = thread.spawn(move || {
            tokio.block_on(async { while ended.recv().await.is_some() {} });
        })?;
        Ok(Self { handle, client, alive, thread })
    }
}

fn bind(settings: &Listener, options: &mut Options) -> anyhow::Result<Bound> {
    let address = &settings.address;
    if let Some(socket) = options.inherited.take(address) {
        return Ok(socket);
    }
    Bound::new(address, settings.socket_mode, options.shared)
        .with_context(|| format!("cannot listen on {address}"))
}

fn identity(settings: &Listener, old: Option<&Arc<Identity>>) -> anyhow::Result<Option<Arc<Identity>>> {
    let identity = Identity::of(settings, old).map_err(anyhow::Error::msg);
    identity.with_context(|| format!("cannot speak TLS on {}", settings.address))
}

/// Changes who may connect to a socket in the file system.
fn allow(file: &Weak<File>, old: &Listener, mode: u32) {
    let Some(file) = file.upgrade().filter(|_| old.socket_mode != mode) else { return };
    if let Err(error) = file.allow(mode) {
        tracing::warn!(address = %old.address, %error, "cannot change the permissions of a socket");
    }
}
