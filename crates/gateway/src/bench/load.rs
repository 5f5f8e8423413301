//! Load in a closed loop: each connection sends its next request when it has the answer to the last one. The clock runs
//! for a window in the middle; what ends outside of it does not count.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ask::{Ask, Place};
use super::connection::{Connection, Expected, Failure};
use super::histogram::Histogram;
use super::mock;

/// How long answers may take that are still to come when the window ends.
const GRACE: Duration = Duration::from_secs(10);
/// The pause of a connection that has failed, so that a dead gateway is no busy loop.
const PAUSE: Duration = Duration::from_millis(50);
/// Most kinds of failure that are told apart.
const MOST_KINDS: usize = 16;

/// What is done, and where.
pub(super) struct Work {
    pub(super) place: Place,
    pub(super) asks: Vec<Ask>,
    pub(super) expected: Arc<Expected>,
}

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// Before the window.
    pub(super) warm_up: Duration,
    /// The window.
    pub(super) time: Duration,
    /// Over which the connections begin: streams that all begin at once would pause at once.
    pub(super) spread: Duration,
}

/// What went wrong, by kind: how often, and what came the first time.
pub(super) type Failures = BTreeMap<String, (u64, String)>;

/// What was seen within the window.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// From the first byte of a request to the last one of its answer.
    pub(super) whole: Histogram,
    /// To the first event of a stream.
    pub(super) first: Histogram,
    /// From the provider to here, of each event behind the first.
    pub(super) event: Histogram,
    /// Events, the first ones included.
    pub(super) events: u64,
    /// Requests with a good answer, at any time.
    pub(super) answered: u64,
    /// At any time.
    pub(super) failures: Failures,
}

impl Seen {
    fn fail(&mut self, failure: Failure) {
        tally(&mut self.failures, failure.what, 1, failure.example);
    }

    fn merge(&mut self, other: Self) {
        self.whole.merge(&other.whole);
        self.first.merge(&other.first);
        self.event.merge(&other.event);
        self.events += other.events;
        self.answered += other.answered;
        merge(&mut self.failures, other.failures);
    }
}

/// Adds what went wrong in one place to what went wrong in another.
pub(super) fn merge(failures: &mut Failures, others: Failures) {
    for (what, (count, example)) in others {
        tally(failures, what, count, example);
    }
}

fn tally(failures: &mut Failures, what: String, count: u64, example: String) {
    let is_new = !failures.contains_key(&what);
    let what = if is_new && failures.len() >= MOST_KINDS { "others".to_owned() } else { what };
    failures.entry(what).or_insert((0, example)).0 += count;
}

/// Asks once, to see whether it works at all.
pub(super) async fn once(work: &Work) -> Result<(), Failure> {
    let one = async {
        let mut connection = Connection::new(&work.place, Arc::clone(&work.expected)).await?;
        let Some(ask) = work.asks.first() else { return Ok(()) };
        connection.ask(ask.numbered(0, &mut Vec::new()), |_| {}).await
    };
    let late = || Failure::new(format!("no answer within {} s", GRACE.as_secs()));
    tokio::time::timeout(GRACE, one).await.map_err(|_elapsed| late())?
}

/// Runs the load on threads of its own. `at_edge` is called where the window begins, and where it ends.
///
/// # Errors
/// A thread cannot be started, or has panicked.
pub(super) async fn run<T>(
    work: Arc<Work>,
    load: Load,
    mut at_edge: impl FnMut() -> T,
) -> Result<(Seen, [T; 2])> {
    let from = Instant::now() + load.warm_up;
    let until = from + load.time;
    let mut threads = Vec::with_capacity(load.threads);
    for thread in 0..load.threads {
        // As even as it goes.
        let connections = (thread..load.connections).step_by(load.threads).count();
        let (sender, receiver) = oneshot::channel();
        let (work, seed) = (Arc::clone(&work), thread as u64);
        std::thread::Builder::new().name("load".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let seen =
                runtime.map(|runtime| runtime.block_on(drive(&work, connections, load, seed, from, until)));
            // Nobody waits for it any more if the program ends.
            let _ = sender.send(seen);
        })?;
        threads.push(receiver);
    }
    tokio::time::sleep_until(from).await;
    let before = at_edge();
    tokio::time::sleep_until(until).await;
    let after = at_edge();
    let mut all = Seen::default();
    for thread in threads {
        all.merge(thread.await.context("a thread of the load has failed")??);
    }
    Ok((all, [before, after]))
}

/// One thread's connections.
async fn drive(
    work: &Arc<Work>,
    connections: usize,
    load: Load,
    seed: u64,
    from: Instant,
    until: Instant,
) -> Seen {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut tasks = JoinSet::new();
    for number in 0..connections {
        let start = load.spread.mul_f64(number as f64 / connections as f64);
        let window = Window { from, until, start };
        let seed = (seed << 32) + number as u64;
        tasks.spawn(connection(Arc::clone(work), seed, window, Arc::clone(&seen)));
    }
    let ended = tokio::time::timeout_at(until + GRACE, async {
        while let Some(one) = tasks.join_next().await {
            if one.is_err() {
                lock(&seen).fail(Failure::new("a connection of the load has failed"));
            }
        }
    });
    if ended.await.is_err() {
        for _ in 0..tasks.len() {
            lock(&seen).fail(Failure::new(format!("no answer {} s after the end", GRACE.as_secs())));
        }
    }
    std::mem::take(&mut *lock(&seen))
}

/// Of one thread: nobody else waits for it.
fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
    /// A pause before the first request.
    start: Duration,
}

impl Window {
    fn holds(self, time: Instant) -> bool {
        (self.from..self.until).contains(&time)
    }
}

/// Asks until the window ends.
async fn connection(work: Arc<Work>, seed: u64, window: Window, seen: Arc<Mutex<Seen>>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut scratch, mut open) = (Vec::new(), None);
    tokio::time::sleep(window.start).await;
    while Instant::now() < window.until {
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => match Connection::new(&work.place, Arc::clone(&work.expected)).await {
                Ok(connection) => connection,
                Err(failure) => {
                    lock(&seen).fail(failure);
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let Some(ask) = random.choice(&work.asks) else { return };
        let started = Instant::now();
        let mut is_first = true;
        let asked = connection
            .ask(ask.numbered(random.u64(..), &mut scratch), |sent| {
                let delay = Duration::from_nanos(mock::now().saturating_sub(sent));
                let now = Instant::now();
                let was_first = std::mem::take(&mut is_first);
                if window.holds(now) {
                    let mut seen = lock(&seen);
                    seen.events += 1;
                    match was_first {
                        true => seen.first.add(now - started),
                        false => seen.event.add(delay),
                    }
                }
            })
            .await;
        match asked {
            Ok(()) => {
                let ended = Instant::now();
                let mut seen = lock(&seen);
                seen.answered += 1;
                if window.holds(ended) {
                    seen.whole.add(ended - started);
                }
                open = Some(connection);
            }
            // The connection may be in the middle of something.
            Err(failure) => {
                lock(&seen).fail(failure);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
