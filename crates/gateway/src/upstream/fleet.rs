//! Every target as it is: how it fares, how busy and how quick it is. Shared by all workers; a target that is still
//! there after a change of the configuration keeps what is known of it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tokio::time::Instant;
use waypost_routing::fault::{Fault, Toll};
use waypost_routing::health::{Admission, Attempt, Change, Health, HealthPolicy, Moment, State};
use waypost_routing::pace::Pace;

use super::room::Room;
use crate::config::{Affinity, Queue};
use crate::sessions::Sessions;

/// Models of wildcards that are known at a time; clients name them.
const MOST_MEMBERS: usize = 4096;
/// A client that leaves after this long without an answer has been kept waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// All targets that were ever configured and still are.
#[derive(Debug)]
pub struct Fleet {
    started: Instant,
    hasher: RandomState,
    members: Mutex<HashMap<Id, Arc<Member>>>,
    accounts: Mutex<HashMap<u64, Arc<Account>>>,
    sessions: Mutex<Option<Arc<Sessions>>>,
}

/// What makes a target the same: the account and the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Id {
    account: u64,
    model: Arc<str>,
}

/// Everything behind one key.
#[derive(Debug)]
struct Account {
    id: u64,
    health: Mutex<Health>,
    room: Room,
    /// Told when somebody leaves.
    left: Notify,
    waiting: AtomicU32,
}

/// One model behind one key.
#[derive(Debug)]
pub struct Member {
    /// `provider/model` for people; it need not be unique.
    pub name: Arc<str>,
    account: Arc<Account>,
    health: Mutex<Health>,
    pace: Mutex<Pace>,
    room: Room,
}

/// How a member is, for metrics and pages.
#[derive(Debug)]
pub struct Standing {
    /// `provider/model`.
    pub name: Arc<str>,
    /// The worse of its own and its account's.
    pub state: State,
    /// Attempts under way.
    pub in_flight: u32,
    /// Seconds to the first token of a stream.
    pub first_token: Option<f64>,
    /// Tokens a second after it, or of plain answers over all of their time.
    pub tokens_per_second: Option<f64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while a lock is held; if it did, the numbers would still be numbers.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            hasher: RandomState::new(),
            members: Mutex::default(),
            accounts: Mutex::default(),
            sessions: Mutex::default(),
        }
    }
}

impl Fleet {
    /// The time, as health counts it.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.started.elapsed()
    }

    /// The same of a time that is known already.
    #[must_use]
    pub fn at(&self, time: Instant) -> Moment {
        time.saturating_duration_since(self.started)
    }

    /// Names an account: who is asked, where, and with which key. The number is random in each process and tells nothing
    /// of the key.
    #[must_use]
    pub fn account(&self, provider: &str, base_url: &str, key: Option<&SecretString>) -> u64 {
        self.hasher.hash_one((provider, base_url, key.map(ExposeSecret::expose_secret)))
    }

    /// The member of this account and model; made if it is new.
    #[must_use]
    pub fn member(&self, account: u64, provider: &str, model: &Arc<str>) -> Arc<Member> {
        let id = Id { account, model: Arc::clone(model) };
        let mut members = lock(&self.members);
        if let Some(member) = members.get(&id) {
            return Arc::clone(member);
        }
        let account = {
            let mut accounts = lock(&self.accounts);
            let new = || {
                Arc::new(Account {
                    id: account,
                    health: Mutex::default(),
                    room: Room::default(),
                    left: Notify::new(),
                    waiting: AtomicU32::new(0),
                })
            };
            Arc::clone(accounts.entry(account).or_insert_with(new))
        };
        let member = Arc::new(Member {
            name: format!("{provider}/{model}").into(),
            account,
            health: Mutex::default(),
            pace: Mutex::default(),
            room: Room::default(),
        });
        if members.len() >= MOST_MEMBERS {
            // Those that a configuration names are held by it.
            members.retain(|_, member| Arc::strong_count(member) > 1);
        }
        if members.len() < MOST_MEMBERS {
            members.insert(id, Arc::clone(&member));
        }
        member
    }

    /// Conversations that were answered lately: those of the last configuration, if this one has the same room for them.
    #[must_use]
    pub fn sessions(&self, affinity: &Affinity) -> Arc<Sessions> {
        let mut sessions = lock(&self.sessions);
        match sessions.as_ref().filter(|sessions| sessions.is_for(affinity)) {
            Some(sessions) => Arc::clone(sessions),
            None => Arc::clone(sessions.insert(Arc::new(Sessions::new(affinity)))),
        }
    }

    /// The models of an account that have answered, those of wildcards among them.
    #[must_use]
    pub fn models(&self, account: u64) -> Vec<Arc<str>> {
        let members = lock(&self.members);
        let of_account = members.iter().filter(|(id, _)| id.account == account);
        of_account
            .filter(|(_, member)| lock(&member.pace).is_known())
            .map(|(id, _)| Arc::clone(&id.model))
            .collect()
    }

    /// Forgets those that no configuration and no request holds any more. Models of wildcards are held by nobody: they
    /// stay as long as their account is in use.
    pub fn forget_unused(&self, is_in_use: impl Fn(u64) -> bool) {
        lock(&self.members).retain(|id, member| Arc::strong_count(member) > 1 || is_in_use(id.account));
        lock(&self.accounts).retain(|_, account| Arc::strong_count(account) > 1);
    }

    /// How all of them are, by name.
    #[must_use]
    pub fn standings(&self, policy: &HealthPolicy) -> Vec<Standing> {
        let now = self.now();
        let members: Vec<Arc<Member>> = lock(&self.members).values().cloned().collect();
        let mut standings: Vec<Standing> =
            members.iter().map(|member| member.standing(now, policy)).collect();
        standings.sort_by(|one, other| one.name.cmp(&other.name));
        standings
    }
}

impl Member {
    /// Whether an attempt may be made, without making one.
    #[must_use]
    pub fn look(&self, now: Moment) -> Admission {
        match lock(&self.account.health).look(now) {
            refused @ Admission::No { .. } => refused,
            Admission::Yes | Admission::Probe => lock(&self.health).look(now),
        }
    }

    /// The share of traffic that it should get.
    #[must_use]
    pub fn share(&self, now: Moment, policy: &HealthPolicy) -> f64 {
        lock(&self.account.health).share(now, policy).min(lock(&self.health).share(now, policy))
    }

    /// How many attempts may be under way, here and behind the same key. Who is there already stays.
    pub fn limit(&self, own: Option<u32>, account: Option<u32>) {
        self.room.limit(own);
        self.account.room.limit(account);
    }

    fn enter(&self) -> bool {
        if !self.account.room.enter() {
            return false;
        }
        let entered = self.room.enter();
        if !entered {
            self.account.room.leave();
        }
        entered
    }

    fn leave(&self) {
        self.room.leave();
        self.account.room.leave();
        if self.account.waiting.load(Ordering::Relaxed) > 0 {
            self.account.left.notify_waiters();
        }
    }

    /// The key of the configuration whose limit is reached where there is no room.
    #[must_use]
    pub fn full_by(&self) -> &'static str {
        let (own, account) = (&self.room, &self.account.room);
        let is_account = !own.is_limited() || (account.is_full() && !own.is_full());
        if is_account { "max_account_requests" } else { "max_requests" }
    }

    /// Attempts under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.room.taken()
    }

    /// What this makes of what was measured of it.
    pub fn measured<T>(&self, read: impl FnOnce(&Pace) -> T) -> T {
        read(&lock(&self.pace))
    }

    /// Whether both are behind the same key.
    #[must_use]
    pub fn shares_account(&self, other: &Self) -> bool {
        self.account.id == other.account.id
    }

    fn standing(&self, now: Moment, policy: &HealthPolicy) -> Standing {
        let account = lock(&self.account.health).state(now, policy);
        let own = lock(&self.health).state(now, policy);
        let state = if matches!(account, State::Resting(..) | State::Probing) { account } else { own };
        let pace = lock(&self.pace);
        Standing {
            name: Arc::clone(&self.name),
            state,
            in_flight: self.in_flight(),
            first_token: pace.first(now),
            tokens_per_second: pace.tokens_per_second(now),
        }
    }
}

/// The right to make one attempt, held until the answer's end. Dropped without a result, it counts as none, unless the
/// client has been kept waiting.
#[derive(Debug)]
pub struct Ticket {
    fleet: Arc<Fleet>,
    member: Arc<Member>,
    policy: HealthPolicy,
    started: Moment,
    /// This attempt tries whether the member, or its account, is back.
    probes: bool,
    probes_account: bool,
    /// When the content began.
    began: Option<Moment>,
    /// A result has been reported.
    over: bool,
}

impl Ticket {
    /// Asks for an attempt now.
    ///
    /// # Errors
    /// It rests, somebody else is trying whether it is back, or there is no room.
    pub fn admit(
        fleet: &Arc<Fleet>,
        member: &Arc<Member>,
        policy: HealthPolicy,
        now: Moment,
    ) -> Result<Self, Admission> {
        let Some(mut ticket) = Self::enter(fleet, member, policy, now) else {
            // Whoever rests is not waited for.
            return Err(match member.look(now) {
                resting @ Admission::No { .. } => resting,
                Admission::Yes | Admission::Probe => Admission::No { until: now, cause: Fault::Full },
            });
        };
        for (health, probes) in
            [(&member.account.health, &mut ticket.probes_account), (&member.health, &mut ticket.probes)]
        {
            match lock(health).admit(now) {
                Admission::Yes => {}
                Admission::Probe => *probes = true,
                refused @ Admission::No { .. } => {
                    // What was let through before is given back, and nobody was kept waiting.
                    ticket.over = true;
                    return Err(refused);
                }
            }
        }
        Ok(ticket)
    }

    /// An attempt whatever is known of the target; `None` if there is no room.
    #[must_use]
    pub fn enter(
        fleet: &Arc<Fleet>,
        member: &Arc<Member>,
        policy: HealthPolicy,
        now: Moment,
    ) -> Option<Self> {
        member.enter().then(|| Self {
            fleet: Arc::clone(fleet),
            member: Arc::clone(member),
            policy,
            started: now,
            probes: false,
            probes_account: false,
            began: None,
            over: false,
        })
    }

    /// An attempt when there is room.
    ///
    /// # Errors
    /// [`Fault::Full`]: too many wait already, or it takes too long. Any other, unless it is `forced`: the target has
    /// come to rest meanwhile, by this.
    pub async fn queue(
        fleet: &Arc<Fleet>,
        member: &Arc<Member>,
        policy: HealthPolicy,
        queue: Queue,
        forced: bool,
    ) -> Result<Self, Fault> {
        // `None` as long as there is no room.
        let enter = || match forced {
            true => Self::enter(fleet, member, policy, fleet.now()).map(Ok),
            false => match Self::admit(fleet, member, policy, fleet.now()) {
                Err(Admission::No { cause, .. }) if cause != Fault::Full => Some(Err(cause)),
                admitted => admitted.ok().map(Ok),
            },
        };
        if let Some(result) = enter() {
            return result;
        }
        let place = Place::take(&member.account, queue.places).ok_or(Fault::Full)?;
        let waited = async {
            loop {
                let left = place.0.left.notified();
                if let Some(result) = enter() {
                    return result;
                }
                left.await;
            }
        };
        tokio::time::timeout(queue.time, waited).await.unwrap_or(Err(Fault::Full))
    }

    /// The attempt is made only now.
    pub fn starts(&mut self, now: Instant) {
        self.started = self.fleet.at(now);
    }

    /// The first content of a stream has come: the target is well.
    pub fn began(&mut self) {
        let now = self.fleet.now();
        self.began = Some(now);
        lock(&self.member.pace).began(now, now.saturating_sub(self.started));
        self.well(now);
    }

    /// A plain answer of so many tokens (0 if it does not say) is there: the target is well.
    pub fn answered(&mut self, output_tokens: u64) {
        let now = self.fleet.now();
        lock(&self.member.pace).answered(now, output_tokens, now.saturating_sub(self.started));
        self.well(now);
    }

    /// The target is well, and nothing was measured.
    pub fn is_well(&mut self) {
        self.well(self.fleet.now());
    }

    fn well(&mut self, now: Moment) {
        self.over = true;
        let (own, of_account) = self.results();
        lock(&self.member.account.health).answered(now, of_account);
        if lock(&self.member.health).answered(now, own) == Change::Back {
            tracing::info!(target = %self.member.name, "the target is back");
        }
    }

    /// This attempt, as the member and as its account see it, for a result: it probes no longer.
    fn results(&mut self) -> (Attempt, Attempt) {
        let started = self.started;
        let of = |probes: &mut bool| Attempt { started, probe: std::mem::take(probes) };
        (of(&mut self.probes), of(&mut self.probes_account))
    }

    /// The stream is complete.
    pub fn ended(&self, output_tokens: u64) {
        let now = self.fleet.now();
        if let Some(began) = self.began {
            lock(&self.member.pace).ended(now, output_tokens, now.saturating_sub(began));
        }
    }

    /// The attempt has failed, or its answer has broken off. `asked` is how long the provider asks to be left alone.
    pub fn failed(&mut self, fault: Fault, asked: Option<Duration>) {
        self.over = true;
        let now = self.fleet.now();
        let random = fastrand::f64();
        let whole = fault.row().toll == Toll::AccountRest;
        let (own, of_account) = self.results();
        let change = if whole {
            lock(&self.member.health).left(own.probe);
            lock(&self.member.account.health).faulted(now, of_account, fault, asked, random, &self.policy)
        } else {
            let mut account = lock(&self.member.account.health);
            match fault {
                // Nothing was heard of the account.
                Fault::Unsupported | Fault::Full | Fault::Timeout | Fault::Transport => {
                    account.left(of_account.probe);
                }
                // It has answered, whatever it has said of this model.
                _ if of_account.probe => {
                    account.answered(now, of_account);
                }
                _ => {}
            }
            drop(account);
            lock(&self.member.health).faulted(now, own, fault, asked, random, &self.policy)
        };
        let Change::Rests(cause, rest) = change else { return };
        let (cause, seconds) = (cause.name(), rest.as_secs_f64());
        if matches!(fault, Fault::Auth | Fault::Billing | Fault::Permission) {
            // Nobody but the operator can mend it.
            tracing::error!(target = %self.member.name, cause, seconds, "the target rests: look at its key and account");
        } else {
            tracing::warn!(target = %self.member.name, cause, seconds, "the target rests");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.over && self.fleet.now().saturating_sub(self.started) >= PATIENCE {
            self.failed(Fault::Timeout, None);
        }
        // Of a result, each of them has heard.
        if self.probes_account {
            lock(&self.member.account.health).left(true);
        }
        if self.probes {
            lock(&self.member.health).left(true);
        }
        self.member.leave();
    }
}

/// A place in the queue of an account.
struct Place<'a>(&'a Account);

impl<'a> Place<'a> {
    fn take(account: &'a Account, places: u32) -> Option<Self> {
        let one_more = |waiting: u32| (waiting < places).then_some(waiting + 1);
        account.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(account))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
