//! Accounts and members with their health, and the right to make an attempt, as the gateway has them; and what has to
//! be true of them.

use std::time::Duration;

use fastrand::Rng;
use waypost_routing::fault::{Fault, Toll};
use waypost_routing::health::{Admission, Attempt, Change, Health, HealthPolicy, Moment, State};
use waypost_routing::order::Candidate;
use waypost_routing::pace::Pace;

use super::script::Schedule;

/// A client that leaves after this long without an answer has been kept waiting.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest pause that a provider can ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// A health, and what is known of it from outside.
#[derive(Debug, Default)]
struct Watched {
    health: Health,
    /// Probes under way.
    probes: u32,
    /// It asked to be left alone: when, and until when.
    asked: Option<(Moment, Moment)>,
    /// When its rest began or became longer, while it rests.
    since: Option<Moment>,
    /// The end of its rest, as last seen.
    until: Option<Moment>,
}

#[derive(Debug, Default)]
struct Member {
    account: usize,
    most: Option<u32>,
    own: Watched,
    pace: Pace,
    samples: Vec<f64>,
    in_flight: u32,
    attempts: u32,
}

#[derive(Debug)]
pub(super) struct Fleet {
    policy: HealthPolicy,
    accounts: Vec<Watched>,
    /// How many attempts may be under way behind each key.
    account_most: Vec<Option<u32>>,
    members: Vec<Member>,
}

/// The right to make one attempt.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) member: usize,
    started: Moment,
    probes: bool,
    probes_account: bool,
    began: bool,
}

impl Watched {
    fn admit(&mut self, now: Moment) -> Admission {
        let admission = self.health.admit(now);
        if admission == Admission::Probe {
            self.probes += 1;
            assert_eq!(self.probes, 1, "two probes at a time");
        }
        admission
    }

    /// A probe has ended, one way or another.
    fn ends(&mut self, probe: bool) {
        if probe {
            self.probes -= 1;
        }
    }

    fn left(&mut self, probe: bool) {
        self.ends(probe);
        self.health.left(probe);
    }

    fn answered(&mut self, now: Moment, attempt: Attempt) {
        self.ends(attempt.probe);
        let change = self.health.answered(now, attempt);
        if self.asked.is_some_and(|(since, _)| attempt.started >= since) {
            self.asked = None;
        }
        match change {
            Change::Back => {
                assert!(self.since.is_some_and(|since| attempt.started >= since), "back by an old answer");
                (self.since, self.until) = (None, None);
            }
            Change::None => {}
            Change::Rests(..) => panic!("it rests because it has answered"),
        }
        self.look(now);
    }

    fn failed(
        &mut self,
        now: Moment,
        attempt: Attempt,
        (fault, asked): (Fault, Option<Duration>),
        rng: &mut Rng,
        policy: &HealthPolicy,
    ) {
        self.ends(attempt.probe);
        let change = self.health.faulted(now, attempt, fault, asked, rng.f64(), policy);
        if let Some(asked) = asked.filter(|_| fault.row().toll != Toll::None) {
            let until = now + asked.min(LONGEST_ASKED);
            self.asked = Some((now, self.asked.map_or(until, |(_, before)| before.max(until))));
        }
        if let Change::Rests(cause, rest) = change {
            assert_eq!(cause, fault);
            let is_old = self.since.replace(now).is_some_and(|since| attempt.started < since);
            assert!(!is_old || asked.is_some(), "an old failure makes a rest longer");
            let longest = cause.row().longest.mul_f64(1.2).max(LONGEST_ASKED);
            assert!(rest <= longest, "{cause:?} rests for {rest:?}");
            assert!(asked.is_none_or(|asked| rest >= asked.min(LONGEST_ASKED)), "shorter than asked");
        }
        assert_ne!(change, Change::Back, "it is back because it has failed");
        self.look(now);
    }

    /// A rest gets longer or ends, never shorter.
    fn look(&mut self, now: Moment) {
        if let Admission::No { until, .. } = self.health.look(now) {
            assert!(self.until.is_none_or(|before| before <= until), "a rest became shorter");
            self.until = Some(until);
        }
    }

    fn may(&self, now: Moment) -> Admission {
        self.health.look(now)
    }
}

impl Fleet {
    pub(super) fn new(schedule: &Schedule) -> Self {
        let member = |((account, _), most): (&(usize, _), &Option<u32>)| Member {
            account: *account,
            most: *most,
            ..Member::default()
        };
        Self {
            policy: schedule.health,
            accounts: schedule.accounts.iter().map(|_| Watched::default()).collect(),
            account_most: schedule.account_rooms.clone(),
            members: schedule.members.iter().zip(&schedule.rooms).map(member).collect(),
        }
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self, member: usize) -> bool {
        let Member { account, most, in_flight, .. } = &self.members[member];
        let siblings = self.members.iter().filter(|sibling| sibling.account == *account);
        let together: u32 = siblings.map(|sibling| sibling.in_flight).sum();
        most.is_none_or(|most| *in_flight < most)
            && self.account_most[*account].is_none_or(|most| together < most)
    }

    pub(super) fn admit(&mut self, member: usize, now: Moment) -> Result<Ticket, Admission> {
        let Some(mut ticket) = self.enter(member, now) else {
            return Err(match self.may(member, now) {
                resting @ Admission::No { .. } => resting,
                Admission::Yes | Admission::Probe => Admission::No { until: now, cause: Fault::Full },
            });
        };
        let account = self.members[member].account;
        match self.accounts[account].admit(now) {
            Admission::Yes => {}
            Admission::Probe => ticket.probes_account = true,
            refused @ Admission::No { .. } => {
                self.release(ticket);
                return Err(refused);
            }
        }
        match self.members[member].own.admit(now) {
            Admission::Yes => {}
            Admission::Probe => ticket.probes = true,
            refused @ Admission::No { .. } => {
                self.release(ticket);
                return Err(refused);
            }
        }
        Ok(ticket)
    }

    /// An attempt whatever is known, if there is room.
    pub(super) fn enter(&mut self, member: usize, now: Moment) -> Option<Ticket> {
        if !self.has_room(member) {
            return None;
        }
        self.members[member].in_flight += 1;
        Some(Ticket { member, started: now, probes: false, probes_account: false, began: false })
    }

    /// A member, for those who order them.
    pub(super) fn candidate(&self, number: usize, group: usize, now: Moment) -> Candidate {
        let member = &self.members[number];
        let account = &self.accounts[member.account];
        let share = |watched: &Watched| watched.health.share(now, &self.policy);
        Candidate {
            group,
            weight: None,
            share: share(&member.own).min(share(account)),
            in_flight: member.in_flight,
            first_token: member.pace.first(now),
            seconds: member.pace.expected(now, 100.0, true),
            cost: None,
        }
    }

    /// The attempt is made.
    pub(super) fn starts(&mut self, ticket: &mut Ticket, now: Moment) {
        ticket.started = now;
        self.members[ticket.member].attempts += 1;
    }

    /// Until when the member, or its account, has asked to be left alone.
    pub(super) fn asked(&self, member: usize) -> Moment {
        let member = &self.members[member];
        let asked = [&member.own, &self.accounts[member.account]].map(|watched| watched.asked);
        asked.into_iter().flatten().map(|(_, until)| until).max().unwrap_or_default()
    }

    pub(super) fn began(&mut self, ticket: &mut Ticket, now: Moment) {
        let Attempts { own, account } = ticket.attempts();
        ticket.began = true;
        let member = &mut self.members[ticket.member];
        let after = now - ticket.started;
        member.pace.began(now, after);
        member.samples.push(after.as_secs_f64());
        let known = member.pace.first(now).unwrap();
        assert!(member.samples.iter().any(|sample| *sample <= known) && known >= after.as_secs_f64());
        assert!(member.samples.iter().any(|sample| *sample >= known), "slower than it ever was");
        self.accounts[member.account].answered(now, account);
        member.own.answered(now, own);
    }

    pub(super) fn failed(
        &mut self,
        ticket: &mut Ticket,
        failure: (Fault, Option<Duration>),
        now: Moment,
        rng: &mut Rng,
    ) {
        let (fault, _) = failure;
        let before = self.looks(now);
        let Attempts { own, account } = ticket.attempts();
        let number = self.members[ticket.member].account;
        let (of_account, of_member) = (&mut self.accounts[number], &mut self.members[ticket.member].own);
        let whole = fault.row().toll == Toll::AccountRest;
        if whole {
            of_member.left(own.probe);
            of_account.failed(now, account, failure, rng, &self.policy);
        } else {
            match fault {
                // Nothing was heard of the account.
                Fault::Full | Fault::Timeout | Fault::Transport => of_account.left(account.probe),
                _ if account.probe => of_account.answered(now, account),
                _ => {}
            }
            of_member.failed(now, own, failure, rng, &self.policy);
        }
        for (other, (before, after)) in before.into_iter().zip(self.looks(now)).enumerate() {
            let is_sibling = self.members[other].account == number;
            if whole && is_sibling {
                assert_ne!(after, Admission::Yes, "{fault:?} rests the whole account");
            }
            if !is_sibling || (!whole && !account.probe && other != ticket.member) {
                assert_eq!(before, after, "{fault:?} of {} concerns {other}", ticket.member);
            }
        }
    }

    /// Whether each member may be asked.
    fn looks(&self, now: Moment) -> Vec<Admission> {
        (0..self.members.len()).map(|member| self.may(member, now)).collect()
    }

    /// Whether a member may be asked.
    pub(super) fn may(&self, member: usize, now: Moment) -> Admission {
        let member = &self.members[member];
        match self.accounts[member.account].may(now) {
            refused @ Admission::No { .. } => refused,
            Admission::Yes | Admission::Probe => member.own.may(now),
        }
    }

    /// The client has left.
    pub(super) fn leaves(&mut self, mut ticket: Ticket, now: Moment, rng: &mut Rng) {
        if !ticket.began && now - ticket.started >= PATIENCE {
            self.failed(&mut ticket, (Fault::Timeout, None), now, rng);
        }
        self.release(ticket);
    }

    /// The attempt is over, or is not made.
    pub(super) fn release(&mut self, Ticket { member, probes, probes_account, .. }: Ticket) {
        let member = &mut self.members[member];
        member.in_flight -= 1;
        member.own.left(probes);
        self.accounts[member.account].left(probes_account);
    }

    /// When the last rest ends.
    pub(super) fn rested(&self) -> Moment {
        let all = self.accounts.iter().chain(self.members.iter().map(|member| &member.own));
        all.filter_map(|watched| watched.until).max().unwrap_or_default()
    }

    /// Nobody is under way, and nobody is taken for one who is.
    pub(super) fn assert_quiet(&self, now: Moment) {
        assert!(self.members.iter().all(|member| member.in_flight == 0), "a ticket is lost");
        for watched in self.accounts.iter().chain(self.members.iter().map(|member| &member.own)) {
            assert_eq!(watched.probes, 0, "a probe is lost");
            assert_ne!(watched.health.state(now, &self.policy), State::Probing, "nobody is probing");
        }
    }

    pub(super) fn assert_ready(&self, now: Moment) {
        for watched in self.accounts.iter().chain(self.members.iter().map(|member| &member.own)) {
            assert_eq!(watched.health.state(now, &self.policy), State::Ready);
        }
    }

    /// Attempts that a member has had.
    pub(super) fn attempts(&self, member: usize) -> u32 {
        self.members[member].attempts
    }
}

/// One attempt, as the member and as the account see it.
struct Attempts {
    own: Attempt,
    account: Attempt,
}

impl Ticket {
    /// For a result: it probes no longer.
    fn attempts(&mut self) -> Attempts {
        let of = |probes: &mut bool| Attempt { started: self.started, probe: std::mem::take(probes) };
        Attempts { own: of(&mut self.probes), account: of(&mut self.probes_account) }
    }
}
