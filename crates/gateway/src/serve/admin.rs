//! The admin listener beside those of clients: a socket and a thread of its own.

use std::io::ErrorKind;
use std::sync::{Arc, Weak};

use anyhow::Context as _;
use arc_swap::ArcSwap;

use super::{Door, Options, Seat, Server, Thread};
use crate::admin::{Desk, Live};
use crate::config::{Address, Admin, Config, Listener};
use crate::server::bound::{Bound, File, Listening};
use crate::server::drain::{Drain, Phase};
use crate::server::gate::Gate;
use crate::server::listener;
use crate::server::tls::identity::Identity;
use crate::telemetry::finished::Sink;
use crate::worker::Worker;

/// The admin listener.
#[derive(Debug)]
pub(super) struct AdminDoor {
    settings: Listener,
    address: Address,
    file: Weak<File>,
    identity: Option<Arc<Identity>>,
    gate: Arc<Gate>,
    seat: Seat,
    thread: Thread,
}

/// What a new configuration does with it; nothing has changed yet.
pub(super) enum Prepared {
    /// It stays where it is, and shows this of itself.
    Stays(Option<Arc<Identity>>),
    /// It is at this socket from now on, or nowhere.
    Moves(Option<Box<Opened>>),
}

/// A socket that is not served yet, and all that serving it takes.
pub(super) struct Opened {
    admin: Admin,
    address: Address,
    file: Weak<File>,
    identity: Option<Arc<Identity>>,
    socket: Listening,
    thread: Thread,
}

impl AdminDoor {
    pub(super) fn address(&self) -> Address {
        self.address.clone()
    }

    pub(super) fn identity(&self) -> Option<(&Arc<str>, &Arc<Identity>)> {
        Some((&self.settings.name, self.identity.as_ref()?))
    }

    pub(super) fn drain(&self) -> Arc<Drain> {
        Arc::clone(&self.seat.drain)
    }

    pub(super) fn into_thread(self) -> Thread {
        self.thread
    }

    fn is_at(&self, settings: &Listener) -> bool {
        self.settings.address == settings.address
    }
}

/// The socket of the admin listener. One that nobody has asked for is done without where its address is taken: a second
/// gateway on the same machine has to start.
pub(super) fn bind(config: &Config, options: &mut Options) -> anyhow::Result<Option<(Admin, Bound)>> {
    let Some(admin) = &config.admin else { return Ok(None) };
    match super::bind(&admin.listener, options) {
        Ok(socket) => Ok(Some((admin.clone(), socket))),
        Err(error) if !admin.is_written && is_taken(&error) => {
            tracing::warn!(
                address = %admin.listener.address,
                "there is no admin listener (page, metrics), as its address is taken: write `admin: {{port: …}}` for another one"
            );
            Ok(None)
        }
        Err(error) => Err(error.context("`admin`")),
    }
}

fn is_taken(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::AddrInUse)
}

impl Server {
    /// Makes the socket ready for a thread of its own.
    pub(super) fn open_admin(&self, admin: Admin, bound: &Bound) -> anyhow::Result<Opened> {
        let thread = Thread::start("admin".to_owned(), &self.client)?;
        let socket = {
            let _entered = thread.handle.enter();
            bound.listening()
        };
        let socket = socket.context("the admin listener cannot be served")?;
        let identity = super::identity(&admin.listener, None)?;
        Ok(Opened { admin, address: bound.address()?, file: bound.file(), identity, socket, thread })
    }

    /// All of what a new configuration does with the admin listener that can fail.
    pub(super) fn prepare_admin(&mut self, config: &Config) -> anyhow::Result<Prepared> {
        let wanted = config.admin.as_ref().map(|admin| &admin.listener);
        if let (Some(wanted), Some(door)) = (wanted, &self.admin)
            && door.is_at(wanted)
        {
            return Ok(Prepared::Stays(super::identity(wanted, door.identity.as_ref())?));
        }
        let Some((admin, bound)) = bind(config, &mut self.options)? else {
            return Ok(Prepared::Moves(None));
        };
        Ok(Prepared::Moves(Some(Box::new(self.open_admin(admin, &bound)?))))
    }

    /// Puts the new configuration to use there, when clients' listeners have it.
    pub(super) fn change_admin(&mut self, config: &Config, prepared: Prepared) {
        match prepared {
            Prepared::Stays(identity) => {
                let Some(mut door) = self.admin.take() else { return };
                if let Some(admin) = &config.admin {
                    let old = Arc::clone(&door.gate);
                    if !old.has_limits_of(&admin.listener) {
                        door.gate = Arc::new(Gate::new(&admin.listener));
                    }
                    super::allow(&door.file, &door.settings, admin.listener.socket_mode);
                    door.settings = admin.listener.clone();
                    door.identity = identity;
                    let seat = (&door.gate, door.identity.as_ref(), &door.seat.drain);
                    let worker = self.admin_worker(config, admin, &door.address, &door.thread, seat);
                    door.seat.slot.store(Arc::new(worker));
                    if !Arc::ptr_eq(&old, &door.gate) {
                        old.retire();
                    }
                }
                self.admin = Some(door);
            }
            Prepared::Moves(opened) => {
                if let Some(door) = self.admin.take() {
                    self.telemetry.leave(Live::NAME);
                    // Its thread ends by itself once its last connection has.
                    door.seat.drain.enter(Phase::Draining);
                    self.leaving.push(door.seat.drain);
                }
                self.admin = opened.map(|opened| self.serve_admin(config, *opened));
            }
        }
    }

    /// Serves the socket.
    pub(super) fn serve_admin(&self, config: &Config, opened: Opened) -> AdminDoor {
        let Opened { admin, address, file, identity, socket, thread } = opened;
        let gate = Arc::new(Gate::new(&admin.listener));
        let drain = Arc::new(Drain::new(self.options.grace));
        let seat = (&gate, identity.as_ref(), &drain);
        let worker = self.admin_worker(config, &admin, &address, &thread, seat);
        let slot = Arc::new(ArcSwap::from_pointee(worker));
        let serving = listener::serve(socket, Arc::clone(&slot), Arc::clone(&drain));
        let live: Arc<dyn Sink> = Arc::<Live>::clone(&self.live);
        self.telemetry.tell(&live);
        let alive = thread.alive.clone();
        thread.handle.spawn(async move {
            serving.await;
            drop(alive);
        });
        AdminDoor {
            settings: admin.listener,
            address,
            file,
            identity,
            gate,
            seat: Seat { slot, drain },
            thread,
        }
    }

    /// What answers operators, with what sends requests for them as the first listener of clients would.
    fn admin_worker(
        &self,
        config: &Config,
        admin: &Admin,
        address: &Address,
        thread: &Thread,
        (gate, identity, drain): (&Arc<Gate>, Option<&Arc<Identity>>, &Arc<Drain>),
    ) -> Worker {
        let mut worker = self.worker(thread, &admin.listener, gate, identity, drain);
        let Some(first) = self.doors.first() else { return worker };
        let clients = Listener { name: admin.listener.name.clone(), ..first.settings.clone() };
        let proxy = self.worker(thread, &clients, &first.gate, None, drain);
        let listeners =
            self.doors.iter().map(|door: &Door| (door.settings.name.clone(), door.address.clone()));
        worker.desk = Some(Arc::new(Desk::new(
            Arc::new(config.clone()),
            admin.clone(),
            address.tcp().map_or(0, |address| address.port()),
            Arc::new(proxy),
            listeners.collect(),
            Arc::clone(&self.live),
        )));
        worker
    }
}
