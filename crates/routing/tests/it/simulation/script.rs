//! What goes wrong, and when: drawn from a seed before the first request comes.

use std::time::Duration;

use fastrand::Rng;
use waypost_routing::fault::Fault;
use waypost_routing::health::{HealthPolicy, Moment};
use waypost_routing::order::{Balance, Prefer};
use waypost_routing::plan::PlanPolicy;
use waypost_routing::retry_budget::BudgetPolicy;

/// How a model, or an account, is for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Healthy,
    Refusing,
    Hanging,
    RateLimited(Option<Duration>),
    NoCredit,
    BadKey,
    Forbidden,
    /// Fails at this rate, in this way.
    Flaky(f64, Fault),
    Slow,
    CutBefore,
    CutBehind,
}

/// A mood from each moment on; healthy before the first, and behind the last.
pub(super) type Script = Vec<(Moment, Mood)>;

pub(super) fn mood(script: &Script, now: Moment) -> Mood {
    script.iter().take_while(|(from, _)| *from <= now).last().map_or(Mood::Healthy, |(_, mood)| *mood)
}

/// Whether nothing has gone wrong between two moments.
pub(super) fn was_healthy(script: &Script, from: Moment, to: Moment) -> bool {
    let between = script.iter().filter(|(at, _)| (from..=to).contains(at));
    mood(script, from) == Mood::Healthy && { between }.all(|(_, mood)| *mood == Mood::Healthy)
}

/// One schedule.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) accounts: Vec<Script>,
    /// Of each model: its account, and what goes wrong with it alone.
    pub(super) members: Vec<(usize, Script)>,
    /// Tokens that each model can read, where that is known.
    pub(super) windows: Vec<Option<u32>>,
    /// Attempts that may be under way at a time: at each model, and behind each key.
    pub(super) rooms: Vec<Option<u32>>,
    pub(super) account_rooms: Vec<Option<u32>>,
    /// Models of the same number are equals.
    pub(super) groups: Vec<usize>,
    pub(super) prefer: Prefer,
    pub(super) balance: Balance,
    /// A model with which nothing ever goes wrong, nor with its account.
    pub(super) rock: Option<usize>,
    /// A rock answers every request that asks it in time: the plan may go so far.
    pub(super) goes_far: bool,
    pub(super) requests: u32,
    pub(super) requests_per_second: f64,
    /// When all that went wrong is over.
    pub(super) end: Moment,
    /// How long a provider may take to begin.
    pub(super) timeout: Duration,
    pub(super) health: HealthPolicy,
    pub(super) plan: PlanPolicy,
    pub(super) budget: BudgetPolicy,
}

fn seconds(rng: &mut Rng, most: f64) -> Duration {
    Duration::from_secs_f64(rng.f64() * most)
}

fn script(rng: &mut Rng, end: Moment, draw: fn(&mut Rng) -> Mood) -> Script {
    let mut at = seconds(rng, end.as_secs_f64() / 2.0);
    let mut script = Vec::new();
    while at < end {
        script.push((at, draw(rng)));
        at += seconds(rng, end.as_secs_f64() / 3.0);
    }
    script.push((end, Mood::Healthy));
    script
}

fn of_member(rng: &mut Rng) -> Mood {
    match rng.u8(..11) {
        0 => Mood::Refusing,
        1 => Mood::Hanging,
        2 => Mood::RateLimited(None),
        3 => Mood::RateLimited(Some(seconds(rng, 3.0))),
        4 => Mood::RateLimited(Some(Duration::from_secs([0, 30, 100_000][rng.usize(..3)]))),
        5 => {
            let faults = [Fault::Provider, Fault::Overload, Fault::Garbage, Fault::Missing];
            Mood::Flaky(rng.f64(), faults[rng.usize(..faults.len())])
        }
        6 => Mood::Slow,
        7 => Mood::CutBefore,
        8 => Mood::CutBehind,
        9 => Mood::Forbidden,
        _ => Mood::Healthy,
    }
}

fn of_account(rng: &mut Rng) -> Mood {
    [Mood::NoCredit, Mood::BadKey, Mood::Healthy, Mood::Healthy][rng.usize(..4)]
}

impl Schedule {
    pub(super) fn draw(rng: &mut Rng, requests: u32, requests_per_second: f64) -> Self {
        let end = Duration::from_secs_f64(f64::from(requests) / requests_per_second);
        let accounts: Vec<usize> = (0..rng.usize(1..=3)).collect();
        let members: Vec<usize> = (0..rng.usize(1..=6)).map(|_| rng.usize(..accounts.len())).collect();
        let rock = rng.bool().then(|| rng.usize(..members.len()));
        let its_account = rock.map(|rock| members[rock]);
        let goes_far = rng.bool();
        let least = if goes_far { members.len() } else { 1 };
        Self {
            accounts: { accounts.iter() }
                .map(|account| {
                    let sound = its_account == Some(*account) || rng.bool();
                    if sound { Script::new() } else { script(rng, end, of_account) }
                })
                .collect(),
            members: { members.iter().enumerate() }
                .map(|(number, account)| {
                    let sound = rock == Some(number);
                    (*account, if sound { Script::new() } else { script(rng, end, of_member) })
                })
                .collect(),
            windows: { members.iter().enumerate() }
                .map(|(number, _)| {
                    (rock != Some(number) && rng.bool()).then(|| [50, 100, 200][rng.usize(..3)])
                })
                .collect(),
            rooms: { members.iter().enumerate() }
                .map(|(number, _)| {
                    (rock != Some(number) && rng.u8(..3) == 0).then(|| [1, 3, 30][rng.usize(..3)])
                })
                .collect(),
            account_rooms: { accounts.iter() }
                .map(|account| {
                    (its_account != Some(*account) && rng.u8(..3) == 0).then(|| [2, 60][rng.usize(..2)])
                })
                .collect(),
            groups: members.iter().map(|_| rng.usize(..2)).collect(),
            prefer: [Prefer::Declared, Prefer::Fastest][rng.usize(..2)],
            balance: [Balance::Declared, Balance::LeastLoaded][rng.usize(..2)],
            rock,
            goes_far,
            requests,
            requests_per_second,
            end,
            timeout: Duration::from_secs(rng.u64(1..=30)),
            health: HealthPolicy { failures: rng.u32(1..=5), ..HealthPolicy::default() },
            plan: PlanPolicy {
                attempts: u32::try_from(least).unwrap() + rng.u32(..6),
                time: Duration::from_secs(if goes_far { 600 } else { rng.u64(1..60) }),
                ..PlanPolicy::default()
            },
            budget: BudgetPolicy {
                ratio: rng.f64(),
                least_per_second: [0.0, 1.0, 10.0][rng.usize(..3)],
                window: Duration::from_secs(rng.u64(1..=10)),
            },
        }
    }

    /// How an attempt at this moment goes.
    pub(super) fn attempt(
        &self,
        member: usize,
        (is_bad, tokens): (bool, u32),
        now: Moment,
        rng: &mut Rng,
    ) -> Outcome {
        let (account, own) = &self.members[member];
        let mood = Some(mood(&self.accounts[*account], now))
            .filter(|mood| *mood != Mood::Healthy)
            .unwrap_or_else(|| mood(own, now));
        let soon = now + Duration::from_millis(rng.u64(1..100));
        let fails = |at, fault| Outcome { content: None, end: at, fault: Some((fault, None)) };
        let flows = |rng: &mut Rng, first: f64, fault: Option<Fault>| {
            let content = now + Duration::from_millis(50) + seconds(rng, first);
            let end = content + seconds(rng, 5.0);
            Outcome { content: Some(content), end, fault: fault.map(|fault| (fault, None)) }
        };
        match mood {
            Mood::Refusing => fails(soon, Fault::Transport),
            Mood::Hanging => fails(now + self.timeout, Fault::Timeout),
            Mood::RateLimited(asked) => {
                Outcome { content: None, end: soon, fault: Some((Fault::RateLimit, asked)) }
            }
            Mood::NoCredit => fails(soon, Fault::Billing),
            Mood::BadKey => fails(soon, Fault::Auth),
            Mood::Forbidden => fails(soon, Fault::Permission),
            Mood::Flaky(rate, fault) if rng.f64() < rate => fails(soon, fault),
            Mood::CutBefore => fails(now + seconds(rng, 2.0), Fault::Transport),
            _ if is_bad => fails(soon, Fault::Request),
            _ if self.windows[member].is_some_and(|window| tokens > window) => {
                fails(soon, Fault::ContextOverflow)
            }
            Mood::CutBehind => flows(rng, 0.5, Some(Fault::Transport)),
            Mood::Slow => flows(rng, self.timeout.as_secs_f64() - 0.1, None),
            Mood::Healthy | Mood::Flaky(..) => flows(rng, 0.5, None),
        }
    }
}

/// How an attempt goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// When its content begins.
    pub(super) content: Option<Moment>,
    pub(super) end: Moment,
    pub(super) fault: Option<(Fault, Option<Duration>)>,
}
