//! Deciding who takes a request, and in which order to try them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use waypost_dialect::ClientDialect::OpenAiChat;
use waypost_routing::fault::Fault;
use waypost_routing::health::{Admission, Attempt, Health, HealthPolicy};
use waypost_routing::models::{Entry, Models, Served, Target};
use waypost_routing::order::{Balance, Candidate, Prefer, order};
use waypost_routing::plan::{Next, Plan, PlanPolicy, World};
use waypost_routing::preference::cascade::{Cascade, Scoring};
use waypost_routing::preference::embedded::Tier;
use waypost_routing::preference::{RawTurn, Role, Route};
use waypost_routing::retry_budget::{BudgetPolicy, RetryBudget};
use waypost_routing::router::{Mode, Router, Step};

use crate::Case;
use crate::dialects::peeked;
use crate::input::SIZES;

/// Names that are looked up in one run.
pub(crate) const LOOKUPS: usize = 100;

/// By name, by preference, order among equals, and the plan.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for providers in [10, 1_000] {
        let name = format!("name/{providers}_providers");
        cases.push(Case::new(name, move || Named::new(providers), Named::look_up));
    }
    for routes in [2, 10, 100] {
        let name = format!("decide/static/{routes}_routes");
        cases.push(Case::new(name, move || (router(routes, false), clear()), decide));
    }
    // Few routes: each is encoded at load, which valgrind makes seconds of.
    cases.push(Case::new("decide/encoder/2_routes", || router(2, true), decide_anew));
    for (size, bytes) in SIZES {
        let name = format!("decide/conversation/{size}");
        let prepare = move || (router(10, false), peeked(OpenAiChat, bytes).1);
        cases.push(Case::new(name, prepare, |(router, envelope)| {
            router.start(Some("auto"), || envelope.conversation()).expect("a decision")
        }));
    }
    for candidates in [2, 10] {
        let name = format!("order/{candidates}_equals");
        cases.push(Case::new(
            name,
            move || equals(candidates),
            |candidates| order(candidates, Prefer::Declared, Balance::LeastLoaded, || 0.5),
        ));
    }
    for (name, targets, failing) in [("1_target", 1, 0), ("10_targets", 10, 0), ("5_of_10_fail", 10, 5)] {
        let prepare = move || Fleet { targets, failing };
        cases.push(Case::new(format!("plan/{name}"), prepare, Fleet::walk));
    }
    cases
}

/// A text that the encoder has not seen in this process, as it keeps what it found of those that it has.
fn decide_anew(router: &'static Router) -> Tier {
    static PAGE: AtomicU32 = AtomicU32::new(100_000);
    let page = PAGE.fetch_add(1, Ordering::Relaxed);
    let text = format!("Could you have another look at what she sent us, page {page}?");
    let turn = RawTurn { role: Role::User, parts: vec![text.into()] };
    let verdict = match router.start(None, || vec![turn].into()) {
        Ok(Step::Decided(decision)) => decision.verdict,
        Ok(Step::Ask(..)) | Err(_) => None,
    };
    let tier = verdict.and_then(|verdict| verdict.tier).expect("the scorer has decided");
    assert_eq!(tier, Tier::Encoder, "the static tables alone are in doubt");
    tier
}

fn decide((router, turns): &'static (Router, Vec<RawTurn<'static>>)) -> Step<'static> {
    router.start(None, || turns.clone().into()).expect("a decision")
}

// === Names ===

/// Providers of one model each, and names in their order.
#[derive(Debug)]
struct Named {
    router: Router,
    names: Vec<String>,
}

impl Named {
    fn new(providers: usize) -> Self {
        let entry = |index: usize| Entry {
            index,
            provider: vec![format!("provider-{index}")],
            model: Served::Model(format!("vendor/model-{index}-instruct")),
            name: None,
        };
        let entries: Vec<Entry> = (0..providers).map(entry).collect();
        let name = |lookup: usize| {
            let index = lookup * providers / LOOKUPS;
            format!("provider-{index}/vendor/model-{index}-instruct")
        };
        let cascade = Cascade::new(Vec::new(), Scoring::new(None));
        let router = Router::new(Models::new(&entries, &[]), Vec::new(), &[], cascade, Mode::Explicit);
        Self { router, names: (0..LOOKUPS).map(name).collect() }
    }

    fn look_up(&self) -> usize {
        let decided = |name: &String| match self.router.start(Some(name), Default::default) {
            Ok(Step::Decided(decision)) => decision.targets.len(),
            Ok(Step::Ask(..)) | Err(_) => 0,
        };
        let found: usize = self.names.iter().map(decided).sum();
        assert_eq!(found, LOOKUPS, "each name is known");
        found
    }
}

// === Preferences ===

const ACTIONS: [&str; 5] = ["write", "explain", "review", "translate", "summarise"];
const SUBJECTS: [&str; 20] = [
    "code in Python",
    "code in Rust",
    "queries for databases",
    "poems and songs",
    "letters to customers",
    "contracts and terms",
    "mathematical proofs",
    "plans for journeys",
    "recipes",
    "reports on sales",
    "medical articles",
    "news",
    "configuration of servers",
    "tests of software",
    "screenplays",
    "lectures",
    "accounts of a company",
    "advertisements",
    "job applications",
    "minutes of meetings",
];

/// A router with so many routes, each with a model of its own.
fn router(routes: usize, encoder: bool) -> Router {
    let route = |index: usize| {
        let action = ACTIONS[index % ACTIONS.len()];
        let subject = SUBJECTS[(index / ACTIONS.len() + index) % SUBJECTS.len()];
        Route {
            name: format!("{action} {subject} {index}"),
            description: format!("requests to {action} {subject}, of any length and for any reader"),
            ..Route::default()
        }
    };
    let cascade = Cascade::new((0..routes).map(route).collect(), Scoring { encoder, ..Scoring::new(None) });
    let entry = Entry { index: 0, provider: vec!["openai".into()], model: Served::Any, name: None };
    let models: Vec<Vec<String>> = (0..routes).map(|index| vec![format!("openai/model-{index}")]).collect();
    let default = vec![Target { entry: 0, model: "model".into() }];
    Router::new(Models::new(&[entry], &[]), default, &models, cascade, Mode::Explicit)
}

fn asked(texts: &[&'static str]) -> Vec<RawTurn<'static>> {
    texts.iter().map(|text| RawTurn { role: Role::User, parts: vec![(*text).into()] }).collect()
}

fn clear() -> Vec<RawTurn<'static>> {
    asked(&[
        "Write a Python function that merges two sorted lists without using `sorted`",
        "Now add a test of it",
    ])
}

// === Order and plan ===

fn equals(count: u32) -> Vec<Candidate> {
    let one = |index: u32| Candidate {
        group: 0,
        weight: None,
        share: 1.0,
        in_flight: index % 3,
        first_token: Some(0.3 + f64::from(index) / 100.0),
        seconds: Some(2.0),
        cost: Some(0.001),
    };
    (0..count).map(one).collect()
}

/// Targets of one decision, of which the first ones fail.
#[derive(Debug)]
struct Fleet {
    targets: usize,
    failing: usize,
}

/// How they are during one walk.
#[derive(Debug)]
struct Walk {
    now: Duration,
    health: Vec<Health>,
    budget: RetryBudget,
}

impl World for Walk {
    fn admit(&mut self, stop: usize) -> Admission {
        self.health[stop].admit(self.now)
    }

    fn may_repeat(&mut self) -> bool {
        self.budget.withdraw(self.now)
    }

    fn random(&mut self) -> f64 {
        0.5
    }
}

impl Fleet {
    /// The walk of one request to its answer.
    fn walk(&self) -> u32 {
        let now = Duration::from_secs(1);
        let budget = RetryBudget::new(BudgetPolicy::default(), now);
        let mut world = Walk { now, health: vec![Health::default(); self.targets], budget };
        world.budget.deposit(now);
        let mut plan = Plan::new(vec![None; self.targets], PlanPolicy::default(), now);
        while let Next::Try { stop, .. } = plan.next(now, &mut world) {
            let attempt = Attempt { started: now, probe: false };
            if stop >= self.failing {
                world.health[stop].answered(now, attempt);
                break;
            }
            let policy = HealthPolicy::default();
            world.health[stop].faulted(now, attempt, Fault::Provider, None, 0.5, &policy);
            plan.failed(stop, Fault::Provider, None, now);
        }
        plan.made()
    }
}
