//! The admin listener beside those of clients: a socket and a thread of its own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;

use super::{Door, Options, Seat, Server, Thread};
use crate::admin::{Desk, Live};
use crate::config::{Admin, Config, Listener};
use crate::server::drain::{Drain, Phase};
use crate::server::gate::Gate;
use crate::server::listener;
use crate::telemetry::finished::Sink;
use crate::worker::Worker;

/// The admin listener.
#[derive(Debug)]
pub(super) struct AdminDoor {
    settings: Listener,
    address: SocketAddr,
    gate: Arc<Gate>,
    seat: Seat,
    thread: Thread,
}

/// What a new configuration does with it; nothing has changed yet.
pub(super) enum Prepared {
    /// It stays where it is.
    Stays,
    /// It is at this socket from now on, or nowhere.
    Moves(Option<Box<(Admin, std::net::TcpListener, Thread)>>),
}

impl AdminDoor {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn drain(&self) -> Arc<Drain> {
        Arc::clone(&self.seat.drain)
    }

    pub(super) fn into_thread(self) -> Thread {
        self.thread
    }

    fn is_at(&self, settings: &Listener) -> bool {
        (self.settings.address, self.settings.port) == (settings.address, settings.port)
    }
}

/// The socket of the admin listener. One that nobody has asked for is done without where its address is taken: a second
/// gateway on the same machine has to start.
pub(super) fn bind(
    config: &Config,
    options: &mut Options,
) -> anyhow::Result<Option<(Admin, std::net::TcpListener)>> {
    let Some(admin) = &config.admin else { return Ok(None) };
    match super::bind(&admin.listener, options) {
        Ok(socket) => Ok(Some((admin.clone(), socket))),
        Err(error) if !admin.is_written && is_taken(&error) => {
            let address = SocketAddr::new(admin.listener.address, admin.listener.port);
            tracing::warn!(
                %address,
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
    /// Serves the socket, if there is one.
    pub(super) fn open_admin(
        &self,
        config: &Config,
        bound: Option<(Admin, std::net::TcpListener)>,
    ) -> anyhow::Result<Option<AdminDoor>> {
        let Some((admin, socket)) = bound else { return Ok(None) };
        let thread = Thread::start("admin".to_owned(), &self.client)?;
        Ok(self.serve_admin(config, &admin, socket, thread))
    }

    /// All of what a new configuration does with the admin listener that can fail.
    pub(super) fn prepare_admin(&mut self, config: &Config) -> anyhow::Result<Prepared> {
        let wanted = config.admin.as_ref().map(|admin| &admin.listener);
        if let (Some(wanted), Some(door)) = (wanted, &self.admin)
            && door.is_at(wanted)
        {
            return Ok(Prepared::Stays);
        }
        let Some((admin, socket)) = bind(config, &mut self.options)? else {
            return Ok(Prepared::Moves(None));
        };
        let thread = Thread::start("admin".to_owned(), &self.client)?;
        Ok(Prepared::Moves(Some(Box::new((admin, socket, thread)))))
    }

    /// Puts the new configuration to use there, when clients' listeners have it.
    pub(super) fn change_admin(&mut self, config: &Config, prepared: Prepared) {
        match prepared {
            Prepared::Stays => {
                let Some(mut door) = self.admin.take() else { return };
                if let Some(admin) = &config.admin {
                    let old = Arc::clone(&door.gate);
                    if !old.has_limits_of(&admin.listener) {
                        door.gate = Arc::new(Gate::new(&admin.listener));
                    }
                    door.settings = admin.listener.clone();
                    let seat = (&door.gate, &door.seat.drain);
                    let worker = self.admin_worker(config, admin, door.address, &door.thread, seat);
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
                self.admin = opened.and_then(|opened| {
                    let (admin, socket, thread) = *opened;
                    self.serve_admin(config, &admin, socket, thread)
                });
            }
        }
    }

    fn serve_admin(
        &self,
        config: &Config,
        admin: &Admin,
        socket: std::net::TcpListener,
        thread: Thread,
    ) -> Option<AdminDoor> {
        let bound = {
            let _entered = thread.handle.enter();
            socket.local_addr().and_then(|address| Ok((address, TcpListener::from_std(socket)?)))
        };
        let (address, socket) = match bound {
            Ok(bound) => bound,
            Err(error) => {
                tracing::error!(%error, "the admin listener cannot be served");
                return None;
            }
        };
        let gate = Arc::new(Gate::new(&admin.listener));
        let drain = Arc::new(Drain::new(self.options.grace));
        let worker = self.admin_worker(config, admin, address, &thread, (&gate, &drain));
        let slot = Arc::new(ArcSwap::from_pointee(worker));
        let serving = listener::serve(socket, Arc::clone(&slot), Arc::clone(&drain));
        let live: Arc<dyn Sink> = Arc::<Live>::clone(&self.live);
        self.telemetry.tell(&live);
        let alive = thread.alive.clone();
        thread.handle.spawn(async move {
            serving.await;
            drop(alive);
        });
        Some(AdminDoor {
            settings: admin.listener.clone(),
            address,
            gate,
            seat: Seat { slot, drain },
            thread,
        })
    }

    /// What answers operators, with what sends requests for them as the first listener of clients would.
    fn admin_worker(
        &self,
        config: &Config,
        admin: &Admin,
        address: SocketAddr,
        thread: &Thread,
        (gate, drain): (&Arc<Gate>, &Arc<Drain>),
    ) -> Worker {
        let mut worker = self.worker(thread, &admin.listener, gate, drain);
        let Some(first) = self.doors.first() else { return worker };
        let clients = Listener { name: admin.listener.name.clone(), ..first.settings.clone() };
        let proxy = self.worker(thread, &clients, &first.gate, drain);
        let listeners = self.doors.iter().map(|door: &Door| (door.settings.name.clone(), door.address));
        worker.desk = Some(Arc::new(Desk::new(
            Arc::new(config.clone()),
            admin.clone(),
            address.port(),
            Arc::new(proxy),
            listeners.collect(),
            Arc::clone(&self.live),
        )));
        worker
    }
}
