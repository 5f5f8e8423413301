//! The program itself. Where a gateway runs elsewhere, it takes our place; else we wait for it and keep out of its way.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

/// Puts the program in the place of this process. Returns only what went wrong.
pub(super) fn replace(mut command: Command) -> anyhow::Error {
    let error = command.exec();
    cannot_start(&command, error)
}

/// Starts it, passes signals on, and waits for its end: its exit code, or 128 and the signal that ended it, as shells
/// have it.
pub(super) fn wait(mut command: Command) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the program is there. Handlers, other than ignored signals, do not go over to it.
        let mut signals = Passed::new()?;
        let mut ended = signal(SignalKind::child())?;
        let mut child = command.spawn().map_err(|error| cannot_start(&command, error))?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(code(status));
            }
            tokio::select! {
                _ = ended.recv() => {}
                signal = signals.next() => pass(&child, signal),
            }
        }
    })
}

fn cannot_start(command: &Command, error: std::io::Error) -> anyhow::Error {
    let name = command.get_program().to_string_lossy().into_owned();
    let hint = match name.as_str() {
        _ if error.kind() != std::io::ErrorKind::NotFound => "",
        "claude" => "; `npm install -g @anthropic-ai/claude-code` brings it",
        "codex" => "; `npm install -g @openai/codex` brings it",
        _ => "; is it on the `PATH`?",
    };
    anyhow::Error::new(error).context(format!("cannot start `{name}`{hint}"))
}

/// Signals that somebody sends to this process alone. What a terminal sends by a key reaches the program by itself, as
/// it is of the same group; here it only must not end the gateway.
struct Passed {
    terminate: Signals,
    hang_up: Signals,
    user: [Signals; 2],
    interrupt: Signals,
    quit: Signals,
}

impl Passed {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            user: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// The next one, if it is to be passed on.
    async fn next(&mut self) -> Option<Signal> {
        let [first, second] = &mut self.user;
        tokio::select! {
            _ = self.terminate.recv() => Some(Signal::TERM),
            _ = self.hang_up.recv() => Some(Signal::HUP),
            _ = first.recv() => Some(Signal::USR1),
            _ = second.recv() => Some(Signal::USR2),
            _ = self.interrupt.recv() => None,
            _ = self.quit.recv() => None,
        }
    }
}

fn pass(child: &Child, signal: Option<Signal>) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, signal) {
        // It may have ended in this moment: that is seen next.
        let _ = kill_process(pid, signal);
    }
}

fn code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map(|signal| 128 + signal);
    status.code().or_else(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
