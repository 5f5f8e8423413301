//! When the view ends without a key: at a signal, and where its terminal is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::signal::unix::{SignalKind, signal};

/// How long the view may take to leave by itself. It looks four times a second, unless it waits for a terminal: reading
/// keys of one that is gone (crossterm 0.29) and writing to one that is stopped do not come back.
const PATIENCE: Duration = Duration::from_secs(2);

/// What has been noticed; shared with the threads that watch.
#[derive(Debug, Clone, Default)]
pub(super) struct End(Arc<Noticed>);

#[derive(Debug, Default)]
struct Noticed {
    has_come: AtomicBool,
    is_without_terminal: AtomicBool,
}

impl End {
    /// Watches from now on. A terminal must not be left as it is drawn on, so that signals do not end the process at
    /// once; but end it they do.
    ///
    /// # Errors
    /// No thread can be started, or no signal be taken.
    pub(super) fn watch() -> std::io::Result<Self> {
        let end = Self::default();
        let (told, heard) = channel();
        signals(told.clone())?;
        let watched = end.clone();
        thread("terminal", move || {
            wait_for_hang_up();
            watched.0.is_without_terminal.store(true, Ordering::Relaxed);
            let _ = told.send(());
        })?;
        let watched = end.clone();
        thread("end", move || watched.come(&heard))?;
        Ok(end)
    }

    /// The view has to leave.
    pub(super) fn has_come(&self) -> bool {
        self.0.has_come.load(Ordering::Relaxed)
    }

    /// There is nothing left to draw on.
    pub(super) fn is_without_terminal(&self) -> bool {
        self.0.is_without_terminal.load(Ordering::Relaxed)
    }

    fn come(&self, heard: &Receiver<()>) {
        if heard.recv().is_err() {
            return;
        }
        self.0.has_come.store(true, Ordering::Relaxed);
        #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
        std::thread::sleep(PATIENCE);
        if !self.is_without_terminal() {
            let _ = ratatui::try_restore();
        }
        // The main thread hangs in a read or a write, and nothing else would end it.
        std::process::exit(1);
    }
}

/// Tells of the first signal that wants the process to end.
fn signals(told: Sender<()>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let [mut terminate, mut hang_up, mut interrupt] = {
        let _entered = runtime.enter();
        [signal(SignalKind::terminate())?, signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?]
    };
    thread("signals", move || {
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        let _ = told.send(());
    })
}

/// Returns where the other side of the terminal is closed. Keys are nothing that this waits for.
fn wait_for_hang_up() {
    let stdin = std::io::stdin();
    let mut watched = [PollFd::new(&stdin, PollFlags::empty())];
    while matches!(poll(&mut watched, None), Err(Errno::INTR) | Ok(0)) {}
}

/// It ends with the process.
fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
