//! Conversations that were answered lately, and where: a bounded number, for a bounded time, each caller's apart.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use moka::sync::Cache;
use waypost_routing::affinity::Ledger;
use waypost_routing::health::Moment;
use waypost_routing::router::Method;

use crate::config::Affinity;
use crate::responses::store::KEY_HEADERS;

/// As long as providers keep a prompt that nobody asks about.
pub const WARM: Duration = Duration::from_secs(300);
/// Models of one conversation whose caches may be warm.
const MOST_WARM: usize = 4;

/// All of them.
#[derive(Debug)]
pub struct Sessions {
    kept: Cache<u128, Binding>,
    /// With random keys: nobody can make two conversations look the same.
    hashers: [RandomState; 2],
    time: Duration,
    most: u32,
}

/// What is known of one conversation.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Who answered last.
    pub place: Place,
    /// The model as the client wrote it.
    pub asked: Option<Box<str>>,
    /// How the model was chosen.
    pub method: Method,
    /// The route that was matched.
    pub route: Option<Arc<str>>,
    /// When it was answered.
    pub at: Moment,
    /// What its changes have cost.
    pub ledger: Ledger,
    /// Who has read how many tokens of it, and when; whoever answered last is the last.
    pub warm: Vec<(Place, f64, Moment)>,
}

/// A target by its names, which outlive a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The entry's name.
    pub entry: Arc<str>,
    /// The provider's name for the model.
    pub model: Arc<str>,
}

impl Binding {
    /// Notes that this place has read so many tokens.
    pub fn warmed(&mut self, place: &Place, tokens: f64, now: Moment) {
        self.warm.retain(|(known, _, at)| known != place && now.saturating_sub(*at) < WARM);
        if self.warm.len() >= MOST_WARM {
            self.warm.remove(0);
        }
        self.warm.push((place.clone(), tokens, now));
    }

    /// Tokens of it that are in the cache of this place.
    #[must_use]
    pub fn warm_at(&self, place: &Place, now: Moment) -> f64 {
        let known = self.warm.iter().find(|(known, _, at)| known == place && now.saturating_sub(*at) < WARM);
        known.map_or(0.0, |(_, tokens, _)| *tokens)
    }

    /// The cache of whoever answered last is warm.
    #[must_use]
    pub fn is_warm(&self, now: Moment) -> bool {
        now.saturating_sub(self.at) < WARM
    }
}

/// The keys that a caller shows: whoever shows the same ones is the same caller.
struct Keys<'h>(&'h HeaderMap);

impl Hash for Keys<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (place, name) in KEY_HEADERS.iter().enumerate() {
            for value in self.0.get_all(name) {
                (place, value.as_bytes()).hash(state);
            }
        }
    }
}

impl Sessions {
    /// Room for conversations.
    #[must_use]
    pub fn new(affinity: &Affinity) -> Self {
        let kept =
            Cache::builder().max_capacity(u64::from(affinity.most)).time_to_live(affinity.time).build();
        Self {
            kept,
            hashers: [RandomState::new(), RandomState::new()],
            time: affinity.time,
            most: affinity.most,
        }
    }

    /// True if it has this room.
    #[must_use]
    pub fn is_for(&self, affinity: &Affinity) -> bool {
        (self.time, self.most) == (affinity.time, affinity.most)
    }

    /// The key of the conversation of whoever sent these headers. It is secret how it is made: nobody can make that of
    /// somebody else.
    #[must_use]
    pub fn key(&self, headers: &HeaderMap, tenant: &str, id: &str) -> u128 {
        let named = (Keys(headers), tenant, id);
        let [high, low] = self.hashers.each_ref().map(|hasher| hasher.hash_one(&named));
        u128::from(high) << 64 | u128::from(low)
    }

    /// What is known of a conversation.
    #[must_use]
    pub fn get(&self, key: u128) -> Option<Binding> {
        self.kept.get(&key)
    }

    /// Remembers a conversation.
    pub fn put(&self, key: u128, binding: Binding) {
        self.kept.insert(key, binding);
    }
}
