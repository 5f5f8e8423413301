//! The configuration: as it is written (`schema`) → as the gateway uses it (`resolve`). Two stages, no third.
//!
//! `tree` gives every node of the YAML its place, `read` makes the schema's types of it without stopping at the first
//! problem, `resolve` decides defaults and meaning, `diagnostic` shows what is wrong, all at once. `thresholds` and `lessons` write some back.

mod compare;
mod convert;
mod detect;
mod diagnostic;
mod lessons;
mod listener;
mod mask;
mod read;
mod resolve;
mod schema;
mod secret;
mod setting;
mod thresholds;
mod times;
mod tracing;
mod tree;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use waypost_dialect::provider::Provider;
use waypost_routing::affinity::SwitchPolicy;
use waypost_routing::catalog::{self, Facts};
use waypost_routing::health::HealthPolicy;
use waypost_routing::order::{Balance, Prefer};
use waypost_routing::plan::PlanPolicy;
use waypost_routing::preference::cascade::{Asking, LowConfidence, Order, Scoring};
use waypost_routing::preference::judge::Policy;
use waypost_routing::preference::router_model::{Constraint, Protocol as RouterProtocol, Settings, Trim};
use waypost_routing::retry_budget::BudgetPolicy;
use waypost_routing::router::Mode;

use crate::responses::store::Keeping;
use crate::telemetry::diagnostics;
use crate::telemetry::kept::Keep;
use crate::upstream::aws::Role;
use crate::upstream::google::Account;
use crate::upstream::sigv4::Signer;

pub use self::compare::{Change, Difference, How, changes};
pub(crate) use self::convert::scalar;
pub use self::convert::{Converted, convert};
pub use self::detect::detect;
pub(crate) use self::diagnostic::{Place, Problem, Severity};
pub use self::diagnostic::{Rendered, Source};
pub use self::lessons::{Lesson, with_lessons};
pub use self::listener::{Address, Clients, Listener, Tls, TlsVersion};
pub(crate) use self::resolve::default_keeping;
pub(crate) use self::resolve::is_secret;
pub use self::secret::Environment;
pub use self::thresholds::{Thresholds, with_thresholds};
pub use self::times::Times;
pub use self::tracing::{Collector, Protocol, Tracing};

use self::diagnostic::Problems;
use self::tree::{Kind, Node};

/// Names of configurations that are looked for, best first: ours, then Plano's.
const NAMES: [&str; 4] = ["waypost.yaml", "plano_config.yaml", "arch_config.yaml", "config.yaml"];
/// A larger file is not a configuration.
const LARGEST_FILE: usize = 1 << 20;

/// A configuration as the gateway uses it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The SHA-256 digest of the text that it was read from; of nothing if there was none.
    pub text_digest: [u8; 32],
    /// Where clients connect. Never empty.
    pub listeners: Vec<Listener>,
    /// Where operators connect; `None` if nowhere.
    pub admin: Option<Admin>,
    /// The list of models, in declared order. Never empty.
    pub entries: Vec<ModelEntry>,
    /// The entry that takes what no route fits.
    pub default_entry: Option<usize>,
    /// Semantic names, in declared order.
    pub aliases: Vec<Alias>,
    /// Routes, those of the top level first.
    pub routes: Vec<RouteEntry>,
    /// How the router works.
    pub routing: Routing,
    /// Models that are asked where all others of a request have failed.
    pub fallbacks: Vec<String>,
    /// How far a request may go, and who is left alone.
    pub reliability: Reliability,
    /// What keeps a conversation with its model.
    pub affinity: Affinity,
    /// What is kept for clients of the Responses API.
    pub keeping: Keeping,
    /// Where traces go; `None` if there are none.
    pub tracing: Option<Tracing>,
    /// What is kept of requests.
    pub log: Log,
}

/// What is kept of requests.
#[derive(Debug, Clone)]
pub struct Log {
    /// Where records are kept; `None` if they are not.
    pub file: Option<RecordsFile>,
    /// How long.
    pub time: Duration,
    /// Most bytes of the file; the oldest records go first.
    pub most_bytes: u64,
    /// What is kept of what is said; `None` for nothing.
    pub content: Option<Keep>,
    /// What else is logged, and how.
    pub diagnostics: diagnostics::Settings,
    /// The address of a Postgres server that gets them, too.
    pub postgres: Option<SecretString>,
}

impl Log {
    /// Whether records are kept in the same places and for as long.
    #[must_use]
    pub fn is_kept_alike(&self, other: &Self) -> bool {
        let Self { file, time, most_bytes, content: _, diagnostics: _, postgres } = self;
        let url =
            |postgres: &Option<SecretString>| postgres.as_ref().map(|url| url.expose_secret().to_owned());
        (file, time, most_bytes) == (&other.file, &other.time, &other.most_bytes)
            && url(postgres) == url(&other.postgres)
    }
}

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordsFile {
    /// The file.
    pub path: PathBuf,
    /// The configuration names it: where it cannot be made, the gateway must not run.
    pub is_chosen: bool,
}

/// What keeps a conversation with its model.
#[derive(Debug, Clone, PartialEq)]
pub struct Affinity {
    /// How long a conversation is remembered.
    pub time: Duration,
    /// How many are.
    pub most: u32,
    /// A model is chosen when a person speaks, and kept through the tool calls that follow.
    pub user_only: bool,
    /// What a change of the model may cost; `None` if it may cost anything.
    pub budget: Option<SwitchPolicy>,
    /// The header that tells tenants apart.
    pub tenant: Option<http::HeaderName>,
}

/// How far a request may go, and who is left alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reliability {
    /// How often and how soon.
    pub plan: PlanPolicy,
    /// When a target rests.
    pub health: HealthPolicy,
    /// What may be repeated.
    pub budget: BudgetPolicy,
    /// How entries of the same model are ordered.
    pub balance: Balance,
    /// Who may wait for a model that is busy.
    pub queue: Queue,
    /// Longest wait for a connection to a provider, where neither route nor entry nor listener says another.
    pub connect_timeout: Duration,
    /// How often targets whose rest is over are asked whether they are back; `None` if only clients' requests do.
    pub check: Option<Duration>,
}

/// How many may wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How many.
    pub places: u32,
    /// How long.
    pub time: Duration,
}

/// Where operators connect.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The address and its limits; port 0 is a free one.
    pub listener: Listener,
    /// The operator wants it: an address that is taken is an error.
    pub is_written: bool,
    /// What operators have to show, if anything.
    pub token: Option<SecretString>,
    /// Where the token is from, for people; never the token.
    pub token_source: String,
    /// Names, in lower case, by which browsers may reach it besides addresses and `localhost`.
    pub names: Vec<String>,
    /// Metrics are told to whoever asks.
    pub metrics_without_token: bool,
}

/// One item of the list of models.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    /// The operator's name for it, or `provider/model`, or `provider/*`.
    pub name: String,
    /// Who serves it, with the operator's base URL in place.
    pub provider: Provider,
    /// What is served.
    pub model: ModelPattern,
    /// The provider's key.
    pub key: Option<SecretString>,
    /// Where the key is from, for people; never the key.
    pub key_source: String,
    /// Whose tokens are sent in place of a key.
    pub account: Option<Account>,
    /// What signs its requests in place of a key.
    pub signer: Option<Signer>,
    /// Whose keys sign them.
    pub role: Option<Role>,
    /// Headers to add to each request.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// The `host` header to send instead of the base URL's.
    pub host: Option<String>,
    /// The client's own key is sent instead of ours.
    pub passthrough_auth: bool,
    /// Its own limits of time.
    pub times: Times,
    /// Its part of the requests among entries of the same model.
    pub weight: Option<f64>,
    /// Most requests at a time.
    pub max_requests: Option<u32>,
    /// The same over all entries that share the provider and the key.
    pub max_account_requests: Option<u32>,
    /// What the operator says of its models.
    pub facts: Facts,
}

impl Config {
    /// Files beside its own that it was made of: another content of them is another configuration.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.entries.iter().filter_map(|entry| {
            let of_account = entry.account.as_ref().and_then(Account::file);
            of_account.or_else(|| entry.signer.as_ref()?.file.as_deref())
        })
    }
}

impl ModelEntry {
    /// What is known of a model of this entry: what the operator says, and the catalogue where they do not.
    #[must_use]
    pub fn facts(&self, model: &str) -> Facts {
        self.facts.over(catalog::find(&self.provider.id, model).unwrap_or_default())
    }
}

/// One model, or any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelPattern {
    /// By the provider's own name for it.
    Exact(String),
    /// `provider/*`.
    Any,
}

/// A semantic name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// What clients ask for.
    pub name: String,
    /// The models that it leads to, in the end, first one preferred.
    pub models: Vec<String>,
}

/// A route and who takes its requests.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteEntry {
    /// The operator's words.
    pub route: waypost_routing::preference::Route,
    /// Names of models or aliases, first one preferred.
    pub models: Vec<String>,
    /// How they are ordered.
    pub prefer: Prefer,
    /// Who is asked where all of them have failed.
    pub fallbacks: Vec<String>,
    /// A second model is asked where the first is slow to begin.
    pub hedge: bool,
    /// Its own limits of time.
    pub times: Times,
    /// Prompts that have to come here.
    pub tests: Vec<String>,
    /// Where its words are written.
    pub places: RoutePlaces,
}

/// Ranges of bytes in the configuration's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutePlaces {
    /// The name.
    pub name: Range<usize>,
    /// The description.
    pub description: Range<usize>,
    /// The examples, in their order.
    pub examples: Vec<Range<usize>>,
    /// The tests, in their order.
    pub tests: Vec<Range<usize>>,
}

/// How the router works.
#[derive(Debug, Clone)]
pub struct Routing {
    /// Whether a route wins over a model that the client named.
    pub mode: Mode,
    /// Longest wait for the router model.
    pub deadline: Duration,
    /// The router model, if there is one.
    pub arch_router: Option<ArchRouter>,
    /// How it is asked.
    pub router_model: RouterModel,
    /// Who is asked first.
    pub order: Order,
    /// The lead at which the embedded router's verdict is final.
    pub escalation_margin: f32,
    /// What happens below it, and below the threshold.
    pub on_low_confidence: LowConfidence,
    /// The least probability at which a route, or that none fits, is believed.
    pub threshold: f32,
    /// Whether the embedded router has its second tier.
    pub encoder: bool,
    /// What becomes of routes in a request's body; `None` if they are ignored.
    pub request_preferences: Option<Join>,
}

/// How a request's own routes stand to the configuration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Join {
    /// In place of them.
    Replace,
    /// Beside them, and in place of one of the same name.
    Merge,
}

impl Join {
    /// The word in headers and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Merge => "merge",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn of(word: &[u8]) -> Option<Self> {
        [Self::Replace, Self::Merge].into_iter().find(|join| join.name().as_bytes() == word)
    }
}

impl Routing {
    /// What the cascade has to know.
    #[must_use]
    pub fn scoring(&self) -> Scoring {
        let RouterModel { protocol, trim, budget, constraint, .. } = self.router_model;
        let asking = self.arch_router.as_ref().map(|router| Asking {
            router: Settings { model: router.model.clone(), protocol, trim, budget, constraint },
            order: self.order,
            margin: self.escalation_margin,
        });
        // Where a router model is asked, that is what the margin is for; what it leaves open goes by the threshold.
        let margin = match self.on_low_confidence {
            LowConfidence::Best | LowConfidence::Default => self.escalation_margin,
            LowConfidence::Escalate => 0.0,
        };
        let policy = Policy { threshold: self.threshold, margin, low: self.on_low_confidence };
        Scoring { encoder: self.encoder, policy, asking }
    }
}

/// How the router model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterModel {
    /// Which prompt it was trained on.
    pub protocol: RouterProtocol,
    /// What becomes of a message that is too long.
    pub trim: Trim,
    /// How much of a conversation it is shown, in "tokens" of four bytes.
    pub budget: usize,
    /// How the engine is told to answer in the form alone.
    pub constraint: Constraint,
    /// Whether log-probabilities are asked for.
    pub logprobs: Logprobs,
    /// Most questions at a time.
    pub concurrency: usize,
    /// How long an answer holds; zero if it is not kept.
    pub cache: Duration,
}

/// Whether log-probabilities are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logprobs {
    /// Until the server refuses them.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Where the router model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchRouter {
    /// Index of its entry.
    pub entry: usize,
    /// Its name there.
    pub model: String,
}

/// A configuration that may be used, and what is worth knowing about it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is ignored, or probably not meant.
    pub warnings: Vec<Rendered>,
    /// The file, to point into.
    pub source: Source,
}

/// Loads a file.
///
/// # Errors
/// Everything that is wrong with it, ready to be shown.
pub fn load(path: &Path, environment: &Environment) -> Result<Loaded, Rendered> {
    let name = path.display().to_string();
    let refuse = |problem: Problem| Source::new(&name, "", &[]).render(&problem);
    let bytes = read_file(path).map_err(refuse)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = String::from_utf8_lossy(
            error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default(),
        )
        .into_owned();
        let problem = Problem::error("the file is not UTF-8").at(&(valid.len()..valid.len()));
        Source::new(&name, &valid, &[]).render(&problem.hint("save it as UTF-8"))
    })?;
    parse(&name, &text, environment)
}

/// The bytes of a file that may be a configuration or stand beside one; `None` if it cannot be read or is too large.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    read_file(path).ok()
}

/// What is kept of requests, and where, without a configuration.
#[must_use]
pub fn default_log(environment: &Environment) -> Log {
    resolve::default_log(environment)
}

impl ModelEntry {
    /// The variables that its key is from.
    pub fn key_variables(&self) -> impl Iterator<Item = &str> {
        self.key.iter().flat_map(|_| secret::names(&self.key_source))
    }
}

/// The folder that a file is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or_else(|| Path::new("."))
}

fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let hint = "`waypost demo` shows routing with no configuration at all";
    if path.is_dir() {
        let inside = find(path).map(|found| format!("did you mean `{}`?", found.display()));
        let problem = Problem::error("this is a folder, not a configuration");
        return Err(problem.hint(inside.unwrap_or_else(|| "name the file in it".to_owned())));
    }
    let read = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        // One byte more shows that there is more, whatever the file system says about the size.
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST_FILE as u64 + 1), &mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) if bytes.len() > LARGEST_FILE => Err(too_large()),
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Problem::error("there is no such file").hint(hint))
        }
        Err(error) => Err(Problem::error(format!("the file cannot be read: {error}"))),
    }
}

fn too_large() -> Problem {
    Problem::error(format!("the file is larger than {} KiB", LARGEST_FILE >> 10))
        .hint("is it a configuration?")
}

/// Reads a configuration from `text`; `name` is the file's name for diagnostics.
///
/// # Errors
/// Everything that is wrong with it, ready to be shown.
pub fn parse(name: &str, text: &str, environment: &Environment) -> Result<Loaded, Rendered> {
    if text.len() > LARGEST_FILE {
        return Err(Source::new(name, "", &[]).render(&too_large()));
    }
    let root = tree::parse(text)
        .map_err(|problem| Source::new(name, text, &mask::without_a_tree(text)).render_errors(&[problem]))?;
    let source = Source::new(name, text, &secrets(&root, text));
    let problems = Problems::default();
    if matches!(root.kind, Kind::Null) {
        let empty = Problem::error("the configuration is empty");
        let hint = "begin with `model_providers:` and a line such as \
                    `- {model: openai/gpt-5.2, access_key: $OPENAI_API_KEY}`";
        return Err(source.render_errors(&[empty.hint(hint)]));
    }
    let file: schema::File = read::read(&root, text, &problems);
    let config = match &root.kind {
        Kind::Map(_) => Some(Config {
            text_digest: digest(text.as_bytes()),
            ..resolve::resolve(&file, environment, &problems)
        }),
        _ => None,
    };
    let (errors, warnings) = problems.sorted();
    match config {
        Some(config) if errors.is_empty() => {
            let warnings = warnings.iter().map(|warning| source.render(warning)).collect();
            Ok(Loaded { config, warnings, source })
        }
        _ => Err(source.render_errors(&errors)),
    }
}

pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    // SHA-256 has 32 bytes.
    digest.as_ref().try_into().unwrap_or_default()
}

/// Places of values that are keys, or may be: never quoted.
fn secrets(root: &Node, text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        match &node.kind {
            Kind::List(items) => open.extend(items),
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    match key.text(text) {
                        Some(
                            "access_key"
                            // A path; but somebody may write the key itself there.
                            | "key"
                            | "token"
                            | "headers"
                            | "postgres"
                            | "aws_access_key_id"
                            | "aws_secret_access_key"
                            | "aws_session_token",
                        ) => value.scalars(&mut places),
                        _ => open.push(value),
                    }
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Fraction | Kind::Text(_) => {}
        }
    }
    // A reference is worth reading, and no secret.
    places.retain(|place| {
        let written = text.get(place.clone()).unwrap_or_default();
        !written.trim_start_matches(['"', '\'']).starts_with('$')
    });
    places
}

/// The first of the usual names in this folder.
#[must_use]
pub fn find(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The JSON Schema of the configuration, for editors.
#[must_use]
pub fn json_schema() -> String {
    schema::json_schema()
}
