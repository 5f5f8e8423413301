//! Asking the router model: within the deadline, not too many at a time, not while it keeps failing, and not twice
//! about the same conversation within a minute.

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use moka::sync::Cache;
use tokio::sync::{Semaphore, SemaphorePermit};
use waypost_dialect::error::{ApiError, ErrorKind};
use waypost_dialect::{ClientDialect, DialectId};
use waypost_routing::fault::Fault;
use waypost_routing::health::{Admission, HealthPolicy};
use waypost_routing::preference::cascade::{Failure, Question};

use super::call::{self, Unanswered};
use super::client::Client;
use super::endpoint::Upstream;
use super::fleet::{Fleet, Member, Ticket};
use crate::config::{ArchRouter, Config, Logprobs, Routing};
use crate::server::Api;

/// Largest answer that is read, in bytes. One with log-probabilities has ten alternatives for each of its tokens.
const MAX_ANSWER: usize = 256 * 1024;
/// Bytes of answers that are kept.
const CACHE_BYTES: u64 = 8 << 20;

/// The router model of one configuration; shared by all workers.
#[derive(Debug)]
pub struct RouterModel {
    /// Index of its entry.
    pub entry: usize,
    deadline: Duration,
    logprobs: Logprobs,
    fare: Fare,
    server: Arc<Server>,
}

/// It fares like any other target.
#[derive(Debug)]
pub struct Fare {
    fleet: Arc<Fleet>,
    member: Arc<Member>,
    health: HealthPolicy,
}

impl Fare {
    /// How a member fares by a configuration.
    #[must_use]
    pub fn new(fleet: &Arc<Fleet>, member: Arc<Member>, config: &Config) -> Self {
        Self { fleet: Arc::clone(fleet), member, health: config.reliability.health }
    }
}

/// Who is asked, and what is known of them. It outlives a change of the configuration that leaves them alone.
#[derive(Debug)]
struct Server {
    identity: Identity,
    permits: Semaphore,
    cache: Option<Answers>,
    /// It has refused to give log-probabilities.
    refuses_logprobs: AtomicBool,
}

/// What makes a server the same, and what it is known by to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    /// As the fleet numbers accounts: where it is and with which key.
    account: u64,
    model: String,
    concurrency: usize,
    /// How long an answer holds.
    cache: Duration,
}

/// Answers by the identity of their question.
#[derive(Debug)]
struct Answers {
    kept: Cache<u128, Bytes>,
    /// Two hashers with random keys: nobody can make two questions look the same.
    hashers: [RandomState; 2],
}

/// An answer, and what has to be said about it when it has been read.
#[derive(Debug)]
pub struct Answer<'r> {
    /// The body.
    pub body: Bytes,
    fresh: Option<Fresh<'r>>,
}

/// What a new answer holds on to.
#[derive(Debug)]
struct Fresh<'r> {
    server: &'r Server,
    ticket: Ticket,
    key: Option<u128>,
    _permit: SemaphorePermit<'r>,
}

impl RouterModel {
    /// The router model of a configuration, if it has one. `account` is where and with which key it is asked; if `old`
    /// asks the same one, what is known of it is carried over.
    #[must_use]
    pub fn new(routing: &Routing, account: u64, fare: Fare, old: Option<&Self>) -> Option<Self> {
        let settings = routing.router_model;
        let ArchRouter { entry, model } = routing.arch_router.clone()?;
        let identity = Identity { account, model, concurrency: settings.concurrency, cache: settings.cache };
        let server = match old {
            Some(old) if old.server.identity == identity => Arc::clone(&old.server),
            _ => Arc::new(Server::new(identity)),
        };
        Some(Self { entry, deadline: routing.deadline, logprobs: settings.logprobs, fare, server })
    }

    /// Asks within the deadline, which is counted from here: what the embedded router took is not the model's fault.
    ///
    /// # Errors
    /// Why there is no answer; the call is given up when the deadline comes.
    pub async fn ask(
        &self,
        client: &Client,
        upstream: &Upstream,
        question: &Question,
    ) -> Result<Answer<'_>, Failure> {
        let Server { cache, permits, .. } = &*self.server;
        let key = cache.as_ref().map(|answers| answers.key(question));
        if let Some(body) = cache.as_ref().zip(key).and_then(|(answers, key)| answers.kept.get(&key)) {
            return Ok(Answer { body, fresh: None });
        }
        // It begins when it is awaited. It stands before the place and the ticket, so that one who gives up frees these
        // first: once the connection is seen to close, there is room for the next one.
        let call = pin!(tokio::time::timeout(self.deadline, self.call(client, upstream, question)));
        let permit = permits.try_acquire().map_err(|_full| Failure::Busy)?;
        let Fare { fleet, member, health } = &self.fare;
        let admitted = Ticket::admit(fleet, member, *health, fleet.now());
        let mut ticket = admitted.map_err(|refused| match refused {
            Admission::No { cause: Fault::Full, .. } => Failure::Busy,
            _ => Failure::Resting,
        })?;
        match call.await.unwrap_or(Err(Failure::Deadline)) {
            Ok(body) => {
                Ok(Answer { body, fresh: Some(Fresh { server: &self.server, ticket, key, _permit: permit }) })
            }
            Err(failure) => {
                ticket.failed(fault(&failure), None);
                Err(failure)
            }
        }
    }

    async fn call(
        &self,
        client: &Client,
        upstream: &Upstream,
        question: &Question,
    ) -> Result<Bytes, Failure> {
        let logprobs = match self.logprobs {
            Logprobs::On => true,
            Logprobs::Off => false,
            Logprobs::Auto => !self.server.refuses_logprobs.load(Ordering::Relaxed),
        };
        let answer = post(client, upstream, &self.server.identity.model, question.body(logprobs)).await;
        let Err(Failure::Status(status)) = answer else { return answer };
        if !(logprobs && self.logprobs == Logprobs::Auto && refuses_a_parameter(status)) {
            return answer;
        }
        // Was it the log-probabilities? If it answers without them, they are not asked for again.
        let plain = post(client, upstream, &self.server.identity.model, question.body(false)).await;
        if plain.is_ok() && !self.server.refuses_logprobs.swap(true, Ordering::Relaxed) {
            tracing::info!(
                status,
                "the router model's server gives no log-probabilities; they are not asked for again"
            );
        }
        plain
    }
}

impl Server {
    fn new(identity: Identity) -> Self {
        Self {
            permits: Semaphore::new(identity.concurrency),
            cache: (!identity.cache.is_zero()).then(|| Answers::new(identity.cache)),
            refuses_logprobs: AtomicBool::new(false),
            identity,
        }
    }
}

impl Answer<'_> {
    /// True if it was kept from an earlier question.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.fresh.is_none()
    }

    /// Says whether it could be read: one that can is kept, one that cannot counts as a failure.
    pub fn was_read(self, understood: bool) {
        let Some(Fresh { server, mut ticket, key, .. }) = self.fresh else { return };
        if !understood {
            ticket.failed(Fault::Garbage, None);
            return;
        }
        ticket.answered(0);
        if let Some((answers, key)) = server.cache.as_ref().zip(key) {
            answers.kept.insert(key, self.body);
        }
    }
}

impl Answers {
    fn new(time_to_live: Duration) -> Self {
        let weight =
            |_: &u128, body: &Bytes| u32::try_from(body.len() + size_of::<Bytes>()).unwrap_or(u32::MAX);
        let kept =
            Cache::builder().max_capacity(CACHE_BYTES).weigher(weight).time_to_live(time_to_live).build();
        Self { kept, hashers: [RandomState::new(), RandomState::new()] }
    }

    fn key(&self, question: &Question) -> u128 {
        let [high, low] = [0, 1].map(|index: usize| {
            self.hashers.get(index).map_or(0, |hasher| u128::from(hasher.hash_one(question.identity())))
        });
        high << 64 | low
    }
}

/// One call, and why there is no answer. What the error says stays in the log: it may hold the server's address, and
/// notes go to clients.
async fn post(client: &Client, upstream: &Upstream, model: &str, body: Vec<u8>) -> Result<Bytes, Failure> {
    let address = upstream.route(ClientDialect::OpenAiChat, Api::Conversation, model);
    let Some(address) = address.filter(|address| address.dialect == DialectId::OpenAiChat) else {
        return Err(Failure::Unreachable("it does not speak Chat Completions"));
    };
    let response = call::post(client, upstream, address, model, body).await.map_err(|why| {
        tracing::debug!(%why, "the router model cannot be asked");
        Failure::Unreachable(match why {
            Unanswered::NotMade(_) => "it cannot be called",
            Unanswered::Connection(_) => "the connection failed",
        })
    })?;
    let status = response.status();
    if !status.is_success() {
        return Err(Failure::Status(status.as_u16()));
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        tracing::debug!(%error, "the router model's answer was not read to its end");
        Failure::Unreachable(if error.is::<LengthLimitError>() {
            "its answer is longer than 256 KiB"
        } else {
            "its answer broke off"
        })
    })
}

/// A server that does not know a key of the request says so.
fn refuses_a_parameter(status: u16) -> bool {
    [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::NOT_IMPLEMENTED]
        .iter()
        .any(|refusal| refusal.as_u16() == status)
}

/// What kind of failure it is: whether the next question is likely to fail as well.
fn fault(failure: &Failure) -> Fault {
    match failure {
        Failure::Status(status) => {
            let error = ApiError::new(ErrorKind::from_status(*status), "");
            Fault::of_error(&ApiError { status: *status, ..error })
        }
        Failure::Deadline => Fault::Timeout,
        Failure::Unreachable(_) => Fault::Transport,
        Failure::Nonsense(_) => Fault::Garbage,
        Failure::Resting | Failure::Busy | Failure::Offline => Fault::Full,
    }
}
