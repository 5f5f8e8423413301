//! A conversation stays where its prompt cache is warm: with its model where its client names a session, or between what
//! a person says; with its target among several of a model; and it changes its model only as far as the budget allows.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use waypost_dialect::envelope::{Envelope, RawTurn, Role};
use waypost_routing::affinity::{InputPrices, Ledger, SwitchPolicy, Verdict};
use waypost_routing::health::Moment;
use waypost_routing::models::Target;
use waypost_routing::preference::reading;
use waypost_routing::router::{AUTO, Decision, Method, Router};

use super::{nameless, order};
use crate::runtime::Runtime;
use crate::sessions::{Binding, Place};
use crate::telemetry::record::Record;

/// Headers by which a client names its session: ours, and Plano's.
const HEADERS: [&str; 2] = ["x-waypost-session", "x-model-affinity"];
/// Plano's header for the budget of one request.
const BUDGET: HeaderName = HeaderName::from_static("x-plano-max-switch-spend-pct");
/// No provider keeps a shorter prompt, in tokens.
const LEAST_KEPT: f64 = 1024.0;
/// Longer names are cut.
const LONGEST: usize = 256;

/// The conversation that a request belongs to.
#[derive(Debug)]
pub struct Session {
    /// Under which it is remembered; `None` where nothing of it would be of use to its next request.
    key: Option<u128>,
    /// Its name: the client's, or Plano's implicit one.
    pub id: String,
    /// The client has named it.
    named: bool,
    /// Tokens of the request, about.
    tokens: f64,
    now: Moment,
    binding: Option<Binding>,
    /// What changes cost, with this request's.
    ledger: Ledger,
}

impl Session {
    /// Finds it. A request that can go to one target only needs none.
    pub fn find(
        runtime: &Runtime,
        router: &Router,
        headers: &HeaderMap,
        envelope: &Envelope<'_>,
    ) -> Option<Self> {
        let asked = envelope.model.as_deref();
        if router.named_alone(asked).is_some_and(|pool| pool.len() < 2) {
            return None;
        }
        let header =
            |name: &str| headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
        let tenant =
            runtime.affinity.tenant.as_ref().and_then(|name| header(name.as_str())).unwrap_or_default();
        let given = HEADERS.iter().find_map(|name| header(name));
        let named = given.is_some();
        let id = given.map_or_else(
            || nameless::name(tenant, envelope),
            |id| id.get(..id.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned(),
        );
        let tokens = order::tokens(envelope);
        let is_of_use =
            named || tokens >= LEAST_KEPT || runtime.affinity.user_only || runtime.affinity.budget.is_some();
        let key = is_of_use.then(|| runtime.sessions.key(headers, tenant, &id));
        let now = runtime.fleet.now();
        let binding = key.and_then(|key| runtime.sessions.get(key));
        let keeps = binding.as_ref().filter(|binding| binding.is_warm(now) || !replenishes(runtime));
        let ledger =
            keeps.map_or_else(|| Ledger { since: now, ..Ledger::default() }, |binding| binding.ledger);
        Some(Self { key, id, named, tokens, now, binding, ledger })
    }

    /// The decision that was made before, where the conversation is to stay with it: its client has named a session, or
    /// no person has spoken since.
    pub fn pinned(&self, runtime: &Runtime, router: &Router, envelope: &Envelope<'_>) -> Option<Decision> {
        let binding = self.binding.as_ref()?;
        let stays = self.named && runtime.affinity.budget.is_none();
        let goes_on = runtime.affinity.user_only && binding.is_warm(self.now) && !a_person_speaks(envelope);
        let asked = asked(envelope);
        if !(stays || goes_on) || binding.asked.as_deref() != asked || router.is_named(asked) {
            return None;
        }
        let (route, targets) = match &binding.route {
            Some(name) => router.route_named(name).map(|(route, targets)| (Some(route), targets))?,
            None => (None, router.default_targets()),
        };
        let targets = first(runtime, targets, &binding.place)?;
        Some(Decision { method: binding.method, targets, route, verdict: None, stripped: Vec::new() })
    }

    /// Holds a change of the model against the budget.
    pub fn weigh(
        &mut self,
        runtime: &Runtime,
        router: &Router,
        headers: &HeaderMap,
        decision: &mut Decision,
        record: &mut Record,
    ) {
        let Some(policy) = budget(runtime, headers) else { return };
        let Some(binding) = self.binding.as_ref().filter(|binding| binding.is_warm(self.now)) else { return };
        if matches!(decision.method, Method::Name | Method::Alias) {
            return;
        }
        let Some(candidate) = decision.targets.first() else { return };
        let there = place(runtime, candidate);
        if there.as_ref() == Some(&binding.place) {
            return;
        }
        // Whoever answered last may not be there any more.
        let Some(anchor) = find(runtime, router, &binding.place) else { return };
        let warm = there.map_or(0.0, |there| binding.warm_at(&there, self.now));
        let (from, to) = (prices(runtime, &anchor, &policy), prices(runtime, candidate, &policy));
        let verdict = self.ledger.switch(self.tokens, warm, from, to, &policy);
        let ledger = self.ledger;
        let names = runtime.target_names(&[anchor.clone(), candidate.clone()]);
        let names = names.join(" to ");
        let (word, note) = match verdict {
            Verdict::Switch { cost } => ("switched", format!("a change from {names} costs ${cost:.6}")),
            Verdict::Unpriced => ("switched", format!("a change from {names} costs nobody knows what")),
            Verdict::Stay { cost, left } => (
                "held",
                format!("a change from {names} would cost ${cost:.6}, and ${:.6} are left", left.max(0.0)),
            ),
        };
        record.affinity = Some(word);
        let note = format!(
            "{note} (budget {}% of ${:.6}, spent ${:.6}, {} changes)",
            policy.most_percent, ledger.baseline, ledger.spent, ledger.switches
        );
        record.notes.push(note);
        if word == "held" {
            let rest = decision.targets.iter().filter(|target| **target != anchor);
            decision.targets = std::iter::once(&anchor).chain(rest).cloned().collect();
        }
    }

    /// Who has the conversation in its cache, and how many tokens of it.
    pub fn warm(&self, runtime: &Runtime, decision: &Decision) -> Option<(Target, f64)> {
        if !self.named && self.tokens < LEAST_KEPT {
            return None;
        }
        let binding = self.binding.as_ref().filter(|binding| binding.is_warm(self.now))?;
        let target = decision
            .targets
            .iter()
            .find(|target| place(runtime, target).is_some_and(|place| place == binding.place))?;
        Some((target.clone(), binding.warm_at(&binding.place, self.now)))
    }

    /// Remembers who has answered, or was chosen to.
    pub fn bind(
        mut self,
        runtime: &Runtime,
        router: &Router,
        envelope: &Envelope<'_>,
        decision: &Decision,
        record: &Record,
    ) {
        let Some(key) = self.key else { return };
        let answered = record.entry.as_ref().zip(record.model.as_ref());
        let here = match answered {
            Some((entry, model)) => Some(Place { entry: Arc::clone(entry), model: Arc::clone(model) }),
            None => decision.targets.first().and_then(|target| place(runtime, target)),
        };
        let Some(here) = here else { return };
        if let Some(policy) = &runtime.affinity.budget {
            let default = router.default_targets().first();
            self.ledger.turn(self.tokens, default.and_then(|target| prices(runtime, target, policy)));
        }
        let now = runtime.fleet.now();
        let warm = self.binding.map(|binding| binding.warm).unwrap_or_default();
        let mut binding = Binding {
            place: here.clone(),
            asked: asked(envelope).map(Into::into),
            method: decision.method,
            route: record.route.clone(),
            at: now,
            ledger: self.ledger,
            warm,
        };
        binding.warmed(&here, self.tokens, now);
        runtime.sessions.put(key, binding);
    }
}

/// What the client asks for; nothing, where it leaves the choice to us.
fn asked<'e>(envelope: &'e Envelope<'_>) -> Option<&'e str> {
    envelope.model.as_deref().filter(|name| *name != AUTO)
}

fn replenishes(runtime: &Runtime) -> bool {
    runtime.affinity.budget.is_none_or(|budget| budget.replenish)
}

/// The budget, with what the client says of it.
fn budget(runtime: &Runtime, headers: &HeaderMap) -> Option<SwitchPolicy> {
    let base = runtime.affinity.budget?;
    let asked = headers.get(BUDGET).and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
    let most_percent = asked.filter(|percent| (0.0..=100.0).contains(percent)).unwrap_or(base.most_percent);
    Some(SwitchPolicy { most_percent, ..base })
}

/// The last message is what a person says, not what a tool answers or a harness reminds of.
fn a_person_speaks(envelope: &Envelope<'_>) -> bool {
    let Some(turn) = envelope.last_turn().filter(|turn| turn.role == Role::User) else { return false };
    let alone = RawTurn { role: turn.role, parts: turn.parts };
    !reading::read(vec![alone].into()).turns.is_empty()
}

fn place(runtime: &Runtime, target: &Target) -> Option<Place> {
    let upstream = runtime.upstreams.get(target.entry)?;
    Some(Place { entry: Arc::clone(&upstream.name), model: Arc::clone(&target.model) })
}

/// A place as a target of this configuration.
fn find(runtime: &Runtime, router: &Router, there: &Place) -> Option<Target> {
    let named = router.models().find(&there.entry).map(|(_, pool)| pool);
    let pools = named.into_iter().chain([Arc::clone(router.default_targets())]);
    pools.flat_map(|pool| pool.to_vec()).find(|target| place(runtime, target).as_ref() == Some(there))
}

/// The targets with the one of this place first; `None` if it is not among them.
fn first(runtime: &Runtime, targets: &[Target], there: &Place) -> Option<Arc<[Target]>> {
    let at = targets.iter().position(|target| place(runtime, target).as_ref() == Some(there))?;
    let mut targets = targets.to_vec();
    targets.get_mut(..=at)?.rotate_right(1);
    Some(targets.into())
}

fn prices(runtime: &Runtime, target: &Target, policy: &SwitchPolicy) -> Option<InputPrices> {
    let prices = runtime.facts(target).prices;
    let fresh = prices.input?;
    Some(InputPrices { fresh, cached: prices.cache_read.unwrap_or(fresh * policy.cache_read_discount) })
}
