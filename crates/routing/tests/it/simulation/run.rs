//! The course of one schedule: what happens next, and what has to be true of a request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::AddAssign;
use std::time::Duration;

use fastrand::Rng;
use waypost_routing::fault::Fault;
use waypost_routing::health::{Admission, Moment};
use waypost_routing::order::{Candidate, order};
use waypost_routing::plan::{Next, Plan, Why, World};
use waypost_routing::retry_budget::{BudgetPolicy, RetryBudget};

use super::fleet::{Fleet, Ticket};
use super::script::{Outcome, Schedule, was_healthy};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    Queues(usize),
    GivesWay(usize),
    Starts(usize),
    Begins(usize),
    Ends(usize),
    Leaves(usize),
}

/// How long a request may wait for room, and how many may.
const QUEUE: Duration = Duration::from_secs(1);
const PLACES: usize = 20;
/// Longer than what was measured counts.
const STALE: Duration = Duration::from_secs(700);

/// One request.
struct Request {
    arrived: Moment,
    /// It is wrong, wherever it is sent.
    is_bad: bool,
    tokens: u32,
    /// The largest window that was found to be too small.
    too_small: u32,
    /// Members in the order in which they are to be tried.
    order: Vec<usize>,
    /// The order holds as it is.
    is_arranged: bool,
    plan: Plan,
    /// What is to be tried next, or waits for room.
    next: Option<(usize, Why)>,
    /// The attempt under way, and at which stop.
    attempt: Option<(usize, Why, Ticket)>,
    outcome: Option<Outcome>,
    /// Attempts that were sent.
    sent: u32,
    tried: Vec<usize>,
    /// Those that had no room.
    full: Vec<usize>,
    has_content: bool,
    is_over: bool,
}

/// What came of a schedule; printed and compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) answered: u32,
    pub(super) cut_behind: u32,
    pub(super) failed: u32,
    pub(super) refused: u32,
    pub(super) left: u32,
    pub(super) repeated: u32,
    pub(super) last_resorts: u32,
    pub(super) queued: u32,
    pub(super) full: u32,
    pub(super) no_budget: u32,
    pub(super) most_at_once: usize,
    /// All of it, in order.
    digest: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.answered += other.answered;
        self.cut_behind += other.cut_behind;
        self.failed += other.failed;
        self.refused += other.refused;
        self.left += other.left;
        self.repeated += other.repeated;
        self.last_resorts += other.last_resorts;
        self.queued += other.queued;
        self.full += other.full;
        self.no_budget += other.no_budget;
        self.most_at_once = self.most_at_once.max(other.most_at_once);
        self.digest ^= other.digest;
    }
}

impl Tally {
    /// All that can happen has happened, so that not to have seen it fail says something.
    pub(super) fn assert_telling(&self) {
        let Self { answered, cut_behind, failed, refused, left, repeated, last_resorts, no_budget, .. } =
            *self;
        for count in [answered, cut_behind, failed, refused, left, repeated, last_resorts, no_budget] {
            assert!(count >= 100, "{self:?}");
        }
    }
}

/// The retry budget, and what may have been taken out of it at most.
struct Budget {
    policy: BudgetPolicy,
    budget: RetryBudget,
    /// What was taken out, less what has come in.
    taken: f64,
    /// What it may be, by any window of time until now.
    bound: f64,
    /// Paid in of late.
    recent: f64,
    at: Moment,
}

impl Budget {
    fn new(policy: BudgetPolicy) -> Self {
        let budget = RetryBudget::new(policy, Moment::ZERO);
        let mut this = Self { policy, budget, taken: 0.0, bound: f64::MAX, recent: 0.0, at: Moment::ZERO };
        this.window_begins();
        this
    }

    /// In any window: repetitions ≤ ratio × requests + least × seconds + what was kept from before.
    fn window_begins(&mut self) {
        let kept = self.policy.least_per_second * self.policy.window.as_secs_f64() + self.recent;
        self.bound = self.bound.min(self.taken + kept);
    }

    fn pass(&mut self, now: Moment) {
        let passed = (now - self.at).as_secs_f64();
        self.taken -= passed * self.policy.least_per_second;
        self.recent *= (-passed / self.policy.window.as_secs_f64()).exp();
        self.at = now;
        self.window_begins();
    }

    fn deposit(&mut self, now: Moment) {
        self.pass(now);
        self.budget.deposit(now);
        self.taken -= self.policy.ratio;
        self.recent += self.policy.ratio;
        self.window_begins();
    }

    fn withdraw(&mut self, now: Moment) -> bool {
        self.pass(now);
        let may = self.budget.withdraw(now);
        self.taken += f64::from(u8::from(may));
        assert!(self.taken <= self.bound + 1e-6, "more repetitions than the budget has");
        may
    }
}

pub(super) struct Run<'s> {
    schedule: &'s Schedule,
    rng: Rng,
    now: Moment,
    fleet: Fleet,
    budget: Budget,
    events: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    scheduled: u64,
    requests: Vec<Request>,
    /// Those that wait for room, in order.
    waiting: Vec<usize>,
    at_once: usize,
    tally: Tally,
}

/// Whom a plan asks.
struct Way<'w> {
    now: Moment,
    fleet: &'w mut Fleet,
    budget: &'w mut Budget,
    rng: &'w mut Rng,
    order: &'w [usize],
    ticket: Option<(usize, Ticket)>,
    no_budget: bool,
}

impl Way<'_> {
    fn put_back(&mut self) {
        if let Some((_, ticket)) = self.ticket.take() {
            self.fleet.release(ticket);
        }
    }
}

impl World for Way<'_> {
    fn admit(&mut self, stop: usize) -> Admission {
        self.put_back();
        match self.fleet.admit(self.order[stop], self.now) {
            Ok(ticket) => {
                self.ticket = Some((stop, ticket));
                Admission::Yes
            }
            Err(refused) => refused,
        }
    }

    fn may_repeat(&mut self) -> bool {
        let may = self.budget.withdraw(self.now);
        self.no_budget |= !may;
        may
    }

    fn random(&mut self) -> f64 {
        self.rng.f64()
    }
}

impl<'s> Run<'s> {
    pub(super) fn new(schedule: &'s Schedule, rng: Rng) -> Self {
        Self {
            schedule,
            rng,
            now: Moment::ZERO,
            fleet: Fleet::new(schedule),
            budget: Budget::new(schedule.budget),
            events: BinaryHeap::new(),
            scheduled: 0,
            requests: Vec::new(),
            waiting: Vec::new(),
            at_once: 0,
            tally: Tally::default(),
        }
    }

    pub(super) fn play(mut self) -> Tally {
        let mut at = Moment::ZERO;
        let members = self.schedule.members.len();
        for _ in 0..self.schedule.requests {
            at += Duration::from_secs_f64(-(1.0 - self.rng.f64()).ln() / self.schedule.requests_per_second);
            let mut order: Vec<usize> = (0..members).collect();
            self.rng.shuffle(&mut order);
            let is_bad = self.rng.u8(..20) == 0;
            let tokens = self.rng.u32(1..250);
            let request = self.request(at, order, (is_bad, tokens));
            if self.rng.u8(..5) == 0 {
                let patience = Duration::from_secs_f64(self.rng.f64() * 40.0);
                self.on(at + patience, Event::Leaves(request));
            }
        }
        self.drain();
        self.recover();
        self.tally
    }

    /// All is well again: whoever rests is asked by the first request behind its rest, and ready a slow start later.
    fn recover(&mut self) {
        let quiet = self.now.max(self.schedule.end);
        let rested = self.fleet.rested().max(quiet) + Duration::from_secs(1);
        assert!(rested - quiet <= Duration::from_secs(5 * 3600), "a rest without end: {rested:?}");
        let members = self.schedule.members.len();
        for first in 0..members {
            let before = self.fleet.attempts(first);
            let order = (first..members).chain(0..first).collect();
            let at = (rested + Duration::from_secs(first as u64)).max(self.now);
            let request = self.request(at, order, (false, 1));
            self.requests[request].is_arranged = true;
            self.drain();
            assert_eq!(self.requests[request].tried, [first], "asked first, answered by another");
            assert_eq!(self.fleet.attempts(first), before + 1, "{first} starves");
        }
        self.fleet.assert_ready(self.now + self.schedule.health.slow_start);
        // Who was slow once is known as slow until that is stale; then it is found out anew.
        let before: Vec<u32> = (0..members).map(|member| self.fleet.attempts(member)).collect();
        for turn in 1..=20 * members {
            let mut order: Vec<usize> = (0..members).collect();
            self.rng.shuffle(&mut order);
            self.request(self.now + STALE + Duration::from_secs(10 * turn as u64), order, (false, 1));
        }
        self.drain();
        for (member, before) in before.into_iter().enumerate() {
            assert!(self.fleet.attempts(member) > before, "{member} is never first");
        }
    }

    /// A request that is still to come.
    fn request(&mut self, arrived: Moment, order: Vec<usize>, (is_bad, tokens): (bool, u32)) -> usize {
        let plan =
            Plan::new(order.iter().map(|member| self.schedule.windows[*member]), self.schedule.plan, arrived);
        self.requests.push(Request {
            arrived,
            is_bad,
            tokens,
            too_small: 0,
            order,
            is_arranged: false,
            plan,
            next: None,
            attempt: None,
            outcome: None,
            sent: 0,
            tried: Vec::new(),
            full: Vec::new(),
            has_content: false,
            is_over: false,
        });
        let number = self.requests.len() - 1;
        self.on(arrived, Event::Arrives(number));
        number
    }

    fn on(&mut self, at: Moment, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((at, self.scheduled, event)));
    }

    /// Lets happen what is to happen, until nothing is.
    fn drain(&mut self) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            assert!(at >= self.now, "time goes on");
            self.now = at;
            self.note(event);
            match event {
                Event::Arrives(number) => {
                    self.at_once += 1;
                    self.tally.most_at_once = self.tally.most_at_once.max(self.at_once);
                    self.budget.deposit(at);
                    self.arrange(number);
                    self.go_on(number);
                }
                Event::Queues(number) => self.queue(number),
                Event::GivesWay(number) => self.give_way(number),
                Event::Starts(number) => self.start(number),
                Event::Begins(number) => self.begin(number),
                Event::Ends(number) => self.end(number),
                Event::Leaves(number) => self.leave(number),
            }
            self.let_in();
            if let Some(rock) = self.schedule.rock {
                assert_eq!(self.fleet.may(rock, self.now), Admission::Yes, "who never failed is at rest");
            }
        }
        self.fleet.assert_quiet(self.now);
    }

    fn note(&mut self, event: Event) {
        let (kind, number) = match event {
            Event::Arrives(number) => (1, number),
            Event::Starts(number) => (2, number),
            Event::Begins(number) => (3, number),
            Event::Ends(number) => (4, number),
            Event::Leaves(number) => (5, number),
            Event::Queues(number) => (6, number),
            Event::GivesWay(number) => (7, number),
        };
        for part in [kind, number as u64, u64::try_from(self.now.as_nanos()).unwrap()] {
            self.tally.digest = (self.tally.digest.rotate_left(5) ^ part).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    /// Orders the members as the route wants it.
    fn arrange(&mut self, number: usize) {
        let Schedule { groups, prefer, balance, windows, plan, .. } = self.schedule;
        let request = &mut self.requests[number];
        if request.is_arranged {
            return;
        }
        let candidates: Vec<Candidate> =
            request.order.iter().map(|one| self.fleet.candidate(*one, groups[*one], self.now)).collect();
        let places = order(&candidates, *prefer, *balance, || self.rng.f64());
        let ordered: Vec<usize> = places.iter().map(|place| request.order[*place]).collect();
        assert!(
            request.order.iter().all(|one| ordered.contains(one)) && ordered.len() == request.order.len()
        );
        request.order = ordered;
        request.plan = Plan::new(request.order.iter().map(|one| windows[*one]), *plan, self.now);
    }

    /// Asks the plan what to do next.
    fn go_on(&mut self, number: usize) {
        let Self { now, fleet, budget, rng, requests, tally, schedule, .. } = self;
        let Request { plan, order, tried, full, too_small, .. } = &mut requests[number];
        let may: Vec<Admission> = order.iter().map(|member| fleet.may(*member, *now)).collect();
        let mut way = Way { now: *now, fleet, budget, rng, order, ticket: None, no_budget: false };
        let next = plan.next(*now, &mut way);
        tally.no_budget += u32::from(way.no_budget);
        let Next::Try { stop, wait, why } = next else {
            way.put_back();
            return self.give_up(number, &may);
        };
        if way.ticket.as_ref().is_some_and(|(admitted, _)| *admitted != stop) {
            way.put_back();
        }
        let ticket = way.ticket.take().map(|(_, ticket)| ticket);
        let is_admitted = ticket.is_some();
        let member = order[stop];
        let is_fit = |member: &usize| {
            !tried.contains(member)
                && !full.contains(member)
                && schedule.windows[*member].is_none_or(|window| window > *too_small)
        };
        let fit: Vec<Admission> =
            { order.iter().zip(&may) }.filter(|(member, _)| is_fit(member)).map(|(_, may)| *may).collect();
        match why {
            Why::Turn => {
                assert!(is_admitted && wait.is_zero() && !tried.contains(&member));
                assert!(fleet.asked(member) <= *now, "it asked to be left alone");
            }
            Why::Again => {
                assert!(wait <= schedule.plan.longest_backoff && tried.contains(&member));
                tally.repeated += 1;
            }
            Why::Queue => {
                assert!(!is_admitted && !tried.contains(&member) && !fleet.has_room(member));
                assert!(!matches!(fleet.may(member, *now), Admission::No { .. }), "it rests");
                tally.queued += 1;
            }
            Why::LastResort => {
                assert!(!is_admitted && !tried.contains(&member));
                assert!(fit.iter().all(|may| matches!(may, Admission::No { .. })), "another one is fit");
                tally.last_resorts += 1;
            }
        }
        let at = self.now + wait;
        match ticket {
            Some(ticket) => {
                requests[number].attempt = Some((stop, why, ticket));
                self.on(at, Event::Starts(number));
            }
            None => {
                requests[number].next = Some((stop, why));
                self.on(at, Event::Queues(number));
            }
        }
    }

    /// Waits for room, a little.
    fn queue(&mut self, number: usize) {
        if self.requests[number].is_over {
            return;
        }
        self.waiting.push(number);
        self.let_in();
        if self.waiting.contains(&number) {
            let at = self.now + if self.waiting.len() > PLACES { Duration::ZERO } else { QUEUE };
            self.on(at, Event::GivesWay(number));
        }
    }

    /// Lets those in for whom there is room. Who has come to rest meanwhile is asked by nobody who waited for room.
    fn let_in(&mut self) {
        for number in std::mem::take(&mut self.waiting) {
            let request = &mut self.requests[number];
            let Some((stop, why)) = request.next else { continue };
            let member = request.order[stop];
            let ticket = if why == Why::Queue {
                self.fleet.admit(member, self.now).ok()
            } else {
                self.fleet.enter(member, self.now)
            };
            if let Some(ticket) = ticket {
                if why == Why::Queue {
                    assert!(self.fleet.asked(member) <= self.now, "it asked to be left alone");
                }
                request.next = None;
                request.attempt = Some((stop, why, ticket));
                self.start(number);
            } else {
                self.waiting.push(number);
            }
        }
    }

    /// There was no room.
    fn give_way(&mut self, number: usize) {
        let Some(place) = self.waiting.iter().position(|waiting| *waiting == number) else { return };
        self.waiting.remove(place);
        let request = &mut self.requests[number];
        let Some((stop, _)) = request.next.take() else { return };
        request.full.push(request.order[stop]);
        request.plan.failed(stop, Fault::Full, None, self.now);
        self.tally.full += 1;
        self.go_on(number);
    }

    fn start(&mut self, number: usize) {
        let request = &mut self.requests[number];
        if request.is_over {
            return;
        }
        assert!(!request.has_content, "tried again behind content");
        let policy = &self.schedule.plan;
        assert!(self.now <= request.arrived + policy.time + QUEUE, "an attempt behind the deadline");
        let (stop, why, ticket) = request.attempt.as_mut().unwrap();
        let (stop, why, member) = (*stop, *why, request.order[*stop]);
        self.fleet.starts(ticket, self.now);
        request.tried.push(member);
        let is_small = self.schedule.windows[member].is_some_and(|window| window <= request.too_small);
        assert!(!is_small, "{member} reads no more than one that was too small");
        let outcome =
            self.schedule.attempt(member, (request.is_bad, request.tokens), self.now, &mut self.rng);
        request.outcome = Some(outcome);
        request.sent += 1;
        assert!(request.sent <= policy.attempts, "more attempts than allowed: {stop} {why:?}");
        if let Some(content) = outcome.content {
            self.on(content, Event::Begins(number));
        }
        self.on(outcome.end, Event::Ends(number));
    }

    fn begin(&mut self, number: usize) {
        let request = &mut self.requests[number];
        if request.is_over {
            return;
        }
        request.has_content = true;
        let (_, _, ticket) = request.attempt.as_mut().unwrap();
        self.fleet.began(ticket, self.now);
    }

    fn end(&mut self, number: usize) {
        let request = &mut self.requests[number];
        if request.is_over {
            return;
        }
        let (stop, _, mut ticket) = request.attempt.take().unwrap();
        if let Some(failure) = request.outcome.take().and_then(|outcome| outcome.fault) {
            self.fleet.failed(&mut ticket, failure, self.now, &mut self.rng);
            self.fleet.release(ticket);
            if request.has_content {
                self.tally.cut_behind += 1;
                return self.over(number);
            }
            if failure.0 == Fault::ContextOverflow {
                let window = self.schedule.windows[request.order[stop]].unwrap();
                request.too_small = request.too_small.max(window);
            }
            request.plan.failed(stop, failure.0, failure.1, self.now);
            return self.go_on(number);
        }
        self.fleet.release(ticket);
        self.tally.answered += 1;
        self.over(number);
    }

    fn leave(&mut self, number: usize) {
        let request = &mut self.requests[number];
        if request.is_over {
            return;
        }
        if let Some((_, _, ticket)) = request.attempt.take() {
            self.fleet.leaves(ticket, self.now, &mut self.rng);
        }
        self.waiting.retain(|waiting| *waiting != number);
        self.tally.left += 1;
        self.over(number);
    }

    fn over(&mut self, number: usize) {
        self.requests[number].is_over = true;
        self.at_once -= 1;
    }

    /// A request has failed: it was wrong, or nobody could have answered it.
    fn give_up(&mut self, number: usize, may: &[Admission]) {
        let Schedule { plan, rock, goes_far, accounts, members, windows, .. } = self.schedule;
        let request = &self.requests[number];
        let is_spent = request.sent >= plan.attempts || self.now > request.arrived + plan.time;
        if request.is_bad {
            self.tally.refused += 1;
        } else {
            assert!(!(*goes_far && rock.is_some()), "failed, and {rock:?} was well all the time");
            for (member, may) in request.order.iter().zip(may) {
                let (account, own) = &members[*member];
                let was_well = [&accounts[*account], own]
                    .into_iter()
                    .all(|script| was_healthy(script, request.arrived, self.now));
                let is_untried = !request.tried.contains(member);
                let is_large = windows[*member].is_none_or(|window| window > request.too_small);
                let is_fit = is_large && *may == Admission::Yes && !request.full.contains(member);
                assert!(is_spent || !(is_untried && is_fit), "{member} was not tried");
                let reads_it = windows[*member].is_none_or(|window| window >= request.tokens);
                assert!(is_untried || !was_well || !reads_it, "{member} was well and has not answered");
            }
            self.tally.failed += 1;
        }
        self.over(number);
    }
}
