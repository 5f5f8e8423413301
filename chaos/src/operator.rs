//! Whoever runs the gateway: rewrites its configuration every few seconds, now and then wrongly, and replaces the process.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use fastrand::Rng;

use crate::api::Api;
use crate::clock;
use crate::gateway::{Process, Program};
use crate::provider::SECURE;
use crate::schedule::{PROVIDERS, name};

/// Longest wait for a changed file to be taken up, on a loaded machine.
const TAKEN_UP: Duration = Duration::from_secs(30);
/// Between two hand-overs.
const HAND_OVERS: std::ops::Range<u64> = 9_000..16_000;
/// Between two changes of the file.
const CHANGES: std::ops::Range<u64> = 2_000..6_000;

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) applied: u32,
    pub(crate) refused: u32,
    pub(crate) hand_overs: u32,
}

/// The operator at work.
#[derive(Debug)]
pub(crate) struct Operator {
    program: Program,
    providers: [SocketAddr; PROVIDERS],
    rng: Rng,
    /// The one that serves.
    current: Process,
    /// Those that finish what they have.
    leaving: Vec<Process>,
    changes: u32,
    measured: Duration,
    pub(crate) done: Done,
}

impl Operator {
    /// Writes a configuration and starts the first process.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(
        program: Program,
        providers: [SocketAddr; PROVIDERS],
        mut rng: Rng,
    ) -> anyhow::Result<Self> {
        std::fs::write(&program.config, configuration(&mut rng, &program, providers, 0))?;
        let current = program.start()?;
        let (leaving, done) = (Vec::new(), Done::default());
        Ok(Self { program, providers, rng, current, leaving, changes: 0, measured: Duration::ZERO, done })
    }

    /// Works for so long. There are no hand-overs in the last part, so that the memory of the last process can be seen.
    ///
    /// # Errors
    /// A process does not start.
    pub(crate) fn run(&mut self, length: Duration) -> anyhow::Result<()> {
        let replaces_until = length.mul_f64(0.6);
        let mut hand_over = Duration::from_millis(self.rng.u64(HAND_OVERS));
        let mut change = Duration::from_millis(self.rng.u64(CHANGES));
        while clock::now() < length {
            self.look();
            if clock::now() > change {
                self.change()?;
                change = clock::now() + Duration::from_millis(self.rng.u64(CHANGES));
            }
            if clock::now() > hand_over && clock::now() < replaces_until {
                self.hand_over()?;
                hand_over = clock::now() + Duration::from_millis(self.rng.u64(HAND_OVERS));
            }
            clock::pause(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Clients are gone: nothing may be left under way. Ends the last process and returns it, with what files it had open.
    pub(crate) fn stop(mut self) -> (Done, Process, usize) {
        let ledger = self.program.ledger.clone();
        let asked = clock::now();
        let under_way = loop {
            let under_way = self.current.metric("waypost_requests_in_flight");
            if under_way == 0.0 || clock::now() > asked + Duration::from_secs(30) {
                break under_way;
            }
            clock::pause(Duration::from_millis(200));
        };
        if under_way != 0.0 {
            ledger.problem(format!("{under_way} requests are under way when all clients have gone"));
        }
        self.current.measure();
        let files = self.current.files();
        if let Err(error) = self.current.terminate() {
            ledger.problem(error.to_string());
        }
        loop {
            self.look();
            match self.current.has_ended() {
                Ok(false) => clock::pause(Duration::from_millis(50)),
                Ok(true) if self.leaving.is_empty() => break,
                Ok(true) => {}
                Err(problem) => {
                    ledger.problem(problem);
                    break;
                }
            }
        }
        if let Err(problem) = self.program.read_records() {
            ledger.problem(problem);
        }
        (self.done, self.current, files)
    }

    fn look(&mut self) {
        let ledger = &self.program.ledger;
        ledger.find_lines();
        self.leaving.retain_mut(|process| match process.has_ended() {
            Ok(has_ended) => !has_ended,
            Err(problem) => {
                ledger.problem(problem);
                false
            }
        });
        if clock::now() > self.measured + Duration::from_secs(1) {
            self.measured = clock::now();
            self.current.measure();
        }
    }

    /// Writes another configuration, one of four times a broken one, and waits until the gateway says what it made of it.
    fn change(&mut self) -> anyhow::Result<()> {
        self.changes += 1;
        let text = configuration(&mut self.rng, &self.program, self.providers, self.changes);
        if self.changes % 4 == 2 {
            let broken = match self.rng.u8(..3) {
                0 => text.replacen("model_providers:", "model_providers: [", 1),
                1 => text.replacen("target: m}", "target: nowhere}", 1),
                _ => text.replacen("timeout: ", "timeout: minus ", 1),
            };
            self.write(&broken, "refused")?;
            self.done.refused += 1;
        }
        self.write(&text, "applied")?;
        self.done.applied += 1;
        let alias = format!("/v1/models/extra-{}", self.changes);
        if !self.program.page(&alias).is_ok_and(|page| page.contains("\"id\"")) {
            let said = self.current.said();
            self.program.ledger.problem(format!("`{alias}` is not there after a reload:\n{said}"));
        }
        Ok(())
    }

    fn write(&mut self, text: &str, outcome: &str) -> anyhow::Result<()> {
        let metric = format!("waypost_config_reloads_total{{outcome=\"{outcome}\"}}");
        let before = self.current.metric(&metric);
        let file = &self.program.config;
        if self.rng.bool() {
            std::fs::write(file, text).context("cannot write the configuration")?;
        } else {
            let new = file.with_extension("new");
            std::fs::write(&new, text).context("cannot write the configuration")?;
            std::fs::rename(&new, file)?;
        }
        let written = clock::now();
        while self.current.metric(&metric) <= before {
            if clock::now() > written + TAKEN_UP {
                let said = self.current.said();
                self.program.ledger.problem(format!("a changed file is not {outcome}:\n{said}\n{text}"));
                break;
            }
            self.look();
            clock::pause(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Starts a successor before or after the order to stop; between the two connections wait at the socket.
    fn hand_over(&mut self) -> anyhow::Result<()> {
        let next = if self.rng.bool() {
            let next = self.program.start()?;
            self.current.terminate()?;
            self.wait_until_it_drains();
            next
        } else {
            self.current.terminate()?;
            self.wait_until_it_drains();
            self.program.start()?
        };
        self.leaving.push(std::mem::replace(&mut self.current, next));
        self.done.hand_overs += 1;
        Ok(())
    }

    /// So that what is asked of the gateway from now on is answered by the successor.
    fn wait_until_it_drains(&mut self) {
        let told = clock::now();
        while !self.current.said().contains("stopping: ") && clock::now() < told + TAKEN_UP {
            clock::pause(Duration::from_millis(10));
        }
    }
}

/// A configuration: what clients ask for is in each of them, all else varies.
fn configuration(
    rng: &mut Rng,
    program: &Program,
    providers: [SocketAddr; PROVIDERS],
    number: u32,
) -> String {
    let third = if rng.bool() { Api::Responses } else { Api::Gemini };
    let apis = [Api::Chat, Api::Messages, third];
    let weighted = rng.bool();
    let mut order: Vec<usize> = (0..PROVIDERS).collect();
    rng.shuffle(&mut order);
    let mut entries = String::new();
    let mut entry = |model: &str, provider: usize, more: &str| {
        let (interface, address) = (apis[provider].interface(), providers[provider]);
        let scheme = if provider == SECURE { "https" } else { "http" };
        // Writing into a string cannot fail.
        let _ = writeln!(
            entries,
            "  - {{model: {}/{model}, provider_interface: {interface}, base_url: '{scheme}://{address}', \
             access_key: $CHAOS_KEY{more}}}",
            name(provider)
        );
    };
    for provider in &order {
        let weight = if weighted { format!(", weight: {}", rng.u8(1..5)) } else { String::new() };
        let default = if *provider == 0 { ", default: true" } else { "" };
        entry("m", *provider, &format!("{weight}{default}"));
    }
    entry("solo", 0, "");
    let names = |rng: &mut Rng| {
        let mut order = order.clone();
        rng.shuffle(&mut order);
        order.iter().map(|provider| format!("{}/m", name(*provider))).collect::<Vec<_>>().join(", ")
    };
    format!(
        "admin: {{port: 0}}\nlog: {{path: '{records}'}}\nlisteners:\n  egress_traffic: {{port: {port}, timeout: {timeout}ms, idle_timeout: {idle}ms, keep_alive: \
         {alive}ms}}\nmodel_providers:\n{entries}model_aliases:\n  steady: {{targets: [{steady}]}}\n  extra-{number}: \
         {{target: m}}\nrouting_preferences:\n  - {{name: code, description: writing and fixing programs, models: \
         [{code}]}}\n  - {{name: poems, description: writing poems and stories, models: [m], selection_policy: \
         {{prefer: fastest}}}}\nreliability:\n  balance: {balance}\n  backoff: {backoff}ms\n  failures: {failures}\n  \
         slow_start: {slow}s\n  fallbacks: [{fallbacks}]\n",
        records = program.records.display(),
        port = program.address.port(),
        timeout = rng.u32(2500..3000),
        idle = rng.u32(2500..3000),
        alive = rng.u32(300..5000),
        steady = names(rng),
        code = names(rng),
        balance = if weighted || rng.bool() { "declared" } else { "least_loaded" },
        backoff = rng.u32(20..300),
        failures = rng.u8(2..8),
        slow = rng.u8(1..8),
        fallbacks = names(rng),
    )
}
