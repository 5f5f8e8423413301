//! The immutable snapshot of the configuration that a request holds from start to end.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use http::HeaderValue;
use waypost_routing::catalog::{self, Facts, Prices};
use waypost_routing::health::Moment;
use waypost_routing::models::{Alias, Entry, Models, Served, Target};
use waypost_routing::preference::cascade::Cascade;
use waypost_routing::preference::{Route, embedded, reading};
use waypost_routing::retry_budget::{BudgetPolicy, RetryBudget};
use waypost_routing::router::Router;

use crate::config::{Affinity, Config, ModelEntry, ModelPattern, Reliability, Tracing};
use crate::proxy::preferences::Preferences;
use crate::proxy::routes::Routes;
use crate::responses::store::Store;
use crate::server::models::ModelList;
use crate::sessions::Sessions;
use crate::telemetry::kept::Keep;
use crate::upstream::endpoint::{Settings, Tokens, Upstream};
use crate::upstream::fleet::{Fleet, Member, Standing};
use crate::upstream::rotating::{Issuer, Rotating};
use crate::upstream::router_model::{Fare, RouterModel};
use crate::upstream::signing::{Keys, Signing};

/// Identifies all that a decision depends on: the configuration's text, this program's version, its weights, its
/// catalogue and what is stripped. `sha256:` and the first 16 digits.
fn config_hash(text_digest: [u8; 32]) -> Arc<str> {
    let mut context = Context::new(&SHA256);
    context.update(&text_digest);
    context.update(env!("CARGO_PKG_VERSION").as_bytes());
    context.update(catalog::date().as_bytes());
    context.update(&reading::table::VERSION.to_le_bytes());
    context.update(embedded::DIGEST.as_bytes());
    let hex: String = context.finish().as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}").into()
}

/// A configuration made ready: every address, name and route vector computed.
#[derive(Debug)]
pub struct Runtime {
    /// Identifies all that a decision depends on.
    pub config_hash: Arc<str>,
    /// The routing methods, and what holds for each route.
    pub router: Arc<Routes>,
    /// What becomes of routes that a request brings along.
    pub preferences: Preferences,
    /// Where each entry of the configuration leads, by its index.
    pub upstreams: Vec<Upstream>,
    /// The tokens that they share.
    accounts: Vec<Arc<Tokens>>,
    /// The access keys of roles that they share.
    roles: Vec<Arc<Keys>>,
    /// How far a request may go, and who is left alone.
    pub reliability: Reliability,
    /// What may be repeated.
    pub retries: Arc<Retries>,
    /// Who is asked where all others have failed.
    pub fallbacks: Arc<[Target]>,
    /// What keeps a conversation with its model.
    pub affinity: Affinity,
    /// Conversations that were answered lately.
    pub sessions: Arc<Sessions>,
    /// How each target is.
    pub fleet: Arc<Fleet>,
    /// Who is behind each entry, by its index.
    lanes: Vec<Lane>,
    /// What is known of each entry's models, by its index.
    facts: Vec<EntryFacts>,
    /// What the default model costs.
    pub default_prices: Option<Prices>,
    /// The router model, if one is configured.
    pub router_model: Option<RouterModel>,
    /// Answers kept for clients of the Responses API.
    pub responses: Store,
    /// Which requests are traced; `None` if none is.
    pub tracing: Option<Tracing>,
    /// What is kept of what is said.
    pub content: Option<Keep>,
    /// The file of records.
    pub records: Option<Arc<Path>>,
    /// What `GET /v1/models` tells.
    pub model_list: ModelList,
}

impl Runtime {
    /// Computes everything that does not depend on a request.
    ///
    /// # Errors
    /// A base URL, key or header of the configuration cannot be used.
    pub fn new(config: &Config) -> Result<Self, String> {
        Self::with(config, Arc::default())
    }

    /// The same, over what is known of the targets already.
    ///
    /// # Errors
    /// As [`Runtime::new`].
    pub fn with(config: &Config, fleet: Arc<Fleet>) -> Result<Self, String> {
        Self::build(config, fleet, None)
    }

    /// The next one: what this one knows, keeps and holds is carried over wherever its settings are the same.
    ///
    /// # Errors
    /// As [`Runtime::new`].
    pub fn succeeded_by(&self, config: &Config) -> Result<Self, String> {
        Self::build(config, Arc::clone(&self.fleet), Some(self))
    }

    fn build(config: &Config, fleet: Arc<Fleet>, old: Option<&Self>) -> Result<Self, String> {
        let arch_router = config.routing.arch_router.as_ref();
        let mut accounts = old.map(|old| old.accounts.clone()).unwrap_or_default();
        let mut roles = old.map(|old| old.roles.clone()).unwrap_or_default();
        let upstreams = config.entries.iter().map(|entry| upstream(entry, &mut accounts, &mut roles));
        let upstreams = upstreams.collect::<Result<Vec<_>, _>>()?;
        accounts.retain(|tokens| {
            config.entries.iter().any(|entry| entry.account.as_ref() == Some(tokens.issuer()))
        });
        roles.retain(|keys| config.entries.iter().any(|entry| entry.role.as_ref() == Some(keys.issuer())));
        // The router model is for the router only: no client can name it.
        let visible = config
            .entries
            .iter()
            .enumerate()
            .filter(|(index, _)| arch_router.is_none_or(|router| router.entry != *index));
        let entries: Vec<Entry> = visible.map(|(index, entry)| named(index, entry)).collect();
        let aliases: Vec<Alias> = config
            .aliases
            .iter()
            .map(|alias| Alias { name: alias.name.clone(), models: alias.models.clone() })
            .collect();
        let models = Models::new(&entries, &aliases);
        let default = config.default_entry.and_then(|index| {
            let ModelPattern::Exact(model) = &config.entries.get(index)?.model else { return None };
            Some(Target { entry: index, model: model.as_str().into() })
        });
        let default_prices = default.as_ref().and_then(|target| {
            let entry = config.entries.get(target.entry)?;
            Some(entry.facts(&target.model).prices)
        });
        let routes: Vec<Route> = config.routes.iter().map(|entry| entry.route.clone()).collect();
        let route_models: Vec<Vec<String>> = config.routes.iter().map(|entry| entry.models.clone()).collect();
        let cascade = Cascade::new(routes, config.routing.scoring());
        let router =
            Router::new(models, default.into_iter().collect(), &route_models, cascade, config.routing.mode);
        let router = Routes::new(router, &config.routes);
        let responses = match old {
            Some(old) => old.responses.succeeded_by(&config.keeping)?,
            None => Store::new(&config.keeping)?,
        };
        // From here on nothing fails: limits are set that targets share with the old configuration.
        let mut lanes: Vec<Lane> = config.entries.iter().map(|entry| Lane::new(entry, &fleet)).collect();
        share_limits(&mut lanes);
        let fallbacks = router.models().pool(&config.fallbacks);
        let server = arch_router
            .and_then(|router| lanes.get(router.entry))
            .and_then(|lane| Some((lane.account, lane.member.clone()?)));
        let old_model = old.and_then(|old| old.router_model.as_ref());
        let router_model = server.and_then(|(account, member)| {
            RouterModel::new(&config.routing, account, Fare::new(&fleet, member, config), old_model)
        });
        let budget = config.reliability.budget;
        Ok(Self {
            config_hash: config_hash(config.text_digest),
            router: Arc::new(router),
            preferences: Preferences::new(config),
            upstreams,
            accounts,
            roles,
            reliability: config.reliability,
            retries: match old {
                Some(old) if old.reliability.budget == budget => Arc::clone(&old.retries),
                _ => Arc::new(Retries::new(budget, fleet.now())),
            },
            lanes,
            fallbacks,
            affinity: config.affinity.clone(),
            sessions: fleet.sessions(&config.affinity),
            fleet,
            facts: config.entries.iter().map(EntryFacts::new).collect(),
            default_prices,
            router_model,
            responses,
            tracing: config.tracing.clone(),
            content: config.log.content,
            records: config.log.file.as_ref().map(|file| file.path.as_path().into()),
            model_list: ModelList::new(config),
        })
    }

    /// Forgets what is known of targets that are no longer configured.
    pub fn forget_others(&self) {
        self.fleet.forget_unused(|account| self.lanes.iter().any(|lane| lane.account == account));
    }

    /// What is known of a target.
    #[must_use]
    pub fn facts(&self, target: &Target) -> Facts {
        self.facts.get(target.entry).map_or_else(Facts::default, |entry| entry.of(&target.model))
    }

    /// How a target is.
    #[must_use]
    pub fn member(&self, target: &Target) -> Option<Arc<Member>> {
        let lane = self.lanes.get(target.entry)?;
        Some(match &lane.member {
            Some(member) => Arc::clone(member),
            None => {
                let member = self.fleet.member(lane.account, &lane.provider, &target.model);
                lane.limit(&member);
                member
            }
        })
    }

    /// The targets that the configuration names, and of `provider/*` those that have answered.
    #[must_use]
    pub fn known_targets(&self) -> Vec<Target> {
        let models = |lane: &Lane| match &lane.model {
            Some(model) => vec![Arc::clone(model)],
            None => self.fleet.models(lane.account),
        };
        let lanes = self.lanes.iter().enumerate();
        lanes
            .flat_map(|(entry, lane)| models(lane).into_iter().map(move |model| Target { entry, model }))
            .collect()
    }

    /// The part that a target's entry has among others of the same model.
    #[must_use]
    pub fn weight(&self, target: &Target) -> Option<f64> {
        self.lanes.get(target.entry)?.weight
    }

    /// How all targets are.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        self.fleet.standings(&self.reliability.health)
    }

    /// What metrics call each target: `provider/model`, or `provider/*` where only clients name the model. Bounded by
    /// the configuration.
    #[must_use]
    pub fn labelled_standings(&self) -> Vec<(Arc<str>, Standing)> {
        let named: HashSet<String> = self
            .lanes
            .iter()
            .filter_map(|lane| Some(format!("{}/{}", lane.provider, lane.model.as_ref()?)))
            .collect();
        let label = |standing: Standing| {
            let provider = standing.name.split_once('/').map_or("", |(provider, _)| provider);
            let label = match named.contains(&*standing.name) {
                true => Arc::clone(&standing.name),
                false => format!("{provider}/*").into(),
            };
            (label, standing)
        };
        self.standings().into_iter().map(label).collect()
    }

    /// `provider/model` of each target.
    #[must_use]
    pub fn target_names(&self, targets: &[Target]) -> Vec<String> {
        let name = |target: &Target| {
            let upstream = self.upstreams.get(target.entry)?;
            Some(format!("{}/{}", upstream.provider, target.model))
        };
        targets.iter().filter_map(name).collect()
    }
}

/// Who is behind an entry.
#[derive(Debug)]
struct Lane {
    account: u64,
    provider: String,
    /// `None` for `provider/*`: who it is, only a request says.
    member: Option<Arc<Member>>,
    /// Its name at the provider, with `member`.
    model: Option<Arc<str>>,
    weight: Option<f64>,
    max_requests: Option<u32>,
    max_account_requests: Option<u32>,
}

impl Lane {
    fn new(entry: &ModelEntry, fleet: &Fleet) -> Self {
        let ModelEntry { weight, max_requests, max_account_requests, .. } = *entry;
        let provider = entry.provider.id.to_string();
        let secret =
            entry.key.as_ref().or_else(|| entry.signer.as_ref().map(|signer| &signer.secret_access_key));
        let account = fleet.account(&provider, &entry.provider.base_url, secret);
        let model: Option<Arc<str>> = match &entry.model {
            ModelPattern::Exact(model) => Some(model.as_str().into()),
            ModelPattern::Any => None,
        };
        let member = model.as_ref().map(|model| fleet.member(account, &provider, model));
        Self { account, provider, member, model, weight, max_requests, max_account_requests }
    }

    fn limit(&self, member: &Member) {
        member.limit(self.max_requests, self.max_account_requests);
    }
}

/// The smallest limit of those that share an account holds for all of them.
fn share_limits(lanes: &mut [Lane]) {
    let mut least: HashMap<u64, u32> = HashMap::new();
    for lane in lanes.iter() {
        if let Some(most) = lane.max_account_requests {
            least.entry(lane.account).and_modify(|least| *least = most.min(*least)).or_insert(most);
        }
    }
    for lane in lanes {
        lane.max_account_requests = least.get(&lane.account).copied();
        if let Some(member) = &lane.member {
            lane.limit(member);
        }
    }
}

/// The account of repetitions, shared by all workers.
#[derive(Debug)]
pub struct Retries(Mutex<RetryBudget>);

impl Retries {
    fn new(policy: BudgetPolicy, now: Moment) -> Self {
        Self(Mutex::new(RetryBudget::new(policy, now)))
    }

    /// A request has come.
    pub fn deposit(&self, now: Moment) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).deposit(now);
    }

    /// Takes one repetition out, if there is one.
    pub fn withdraw(&self, now: Moment) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).withdraw(now)
    }
}

/// What is known of an entry's models.
#[derive(Debug)]
enum EntryFacts {
    Model(Facts),
    /// `provider/*`: which model it is, only a request says.
    Any {
        provider: String,
        own: Facts,
    },
}

impl EntryFacts {
    fn new(entry: &ModelEntry) -> Self {
        match &entry.model {
            ModelPattern::Exact(model) => Self::Model(entry.facts(model)),
            ModelPattern::Any => Self::Any { provider: entry.provider.id.to_string(), own: entry.facts },
        }
    }

    fn of(&self, model: &str) -> Facts {
        match self {
            Self::Model(facts) => *facts,
            Self::Any { provider, own } => own.over(catalog::find(provider, model).unwrap_or_default()),
        }
    }
}

/// Entries of the same account share its tokens.
fn upstream(
    entry: &ModelEntry,
    accounts: &mut Vec<Arc<Tokens>>,
    roles: &mut Vec<Arc<Keys>>,
) -> Result<Upstream, String> {
    let tokens = entry.account.as_ref().map(|account| shared(account, accounts));
    let key = entry.signer.clone().map(Signing::Key);
    let signer = key.or_else(|| entry.role.as_ref().map(|role| Signing::Role(shared(role, roles))));
    let host = entry.host.as_deref().map(HeaderValue::from_str).transpose();
    Upstream::new(Settings {
        provider: &entry.provider,
        name: entry.name.clone(),
        serves: match &entry.model {
            ModelPattern::Exact(model) => model.as_str().into(),
            ModelPattern::Any => "*".into(),
        },
        key: entry.key.as_ref(),
        signer,
        tokens,
        passthrough_auth: entry.passthrough_auth,
        headers: entry.headers.clone(),
        host: host.map_err(|error| format!("`http_host` of `{}`: {error}", entry.name))?,
        times: entry.times,
    })
}

/// What this issuer gives out: the same for all who name it.
fn shared<I: Issuer + Clone + PartialEq>(issuer: &I, known: &mut Vec<Arc<Rotating<I>>>) -> Arc<Rotating<I>> {
    if let Some(same) = known.iter().find(|one| one.issuer() == issuer) {
        return Arc::clone(same);
    }
    let new = Arc::new(Rotating::new(issuer.clone()));
    known.push(Arc::clone(&new));
    new
}

fn named(index: usize, entry: &ModelEntry) -> Entry {
    let aliases = entry.provider.aliases.iter().map(|alias| (*alias).to_owned());
    Entry {
        index,
        provider: std::iter::once(entry.provider.id.to_string()).chain(aliases).collect(),
        model: match &entry.model {
            ModelPattern::Exact(model) => Served::Model(model.clone()),
            ModelPattern::Any => Served::Any,
        },
        name: Some(entry.name.clone()),
    }
}
