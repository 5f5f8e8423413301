//! Connections that nobody uses at the moment, by where they lead. Each worker has its own, so its lock is never waited
//! for.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use http::Uri;
use http::uri::{Authority, Scheme};
use tokio::time::Instant;

use super::Connection;

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(90);
/// How long it is kept where there are many.
const SURPLUS_IDLE: Duration = Duration::from_secs(15);
/// So many are not many.
const USUAL: usize = 8;
/// Most that lead to one place.
const MOST: usize = 512;
/// How often they are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Where connections lead.
#[derive(Debug, Clone, Eq)]
pub(in crate::upstream) struct Origin {
    authority: Authority,
    is_secure: bool,
}

impl Origin {
    /// `None` for an address without a host.
    pub(in crate::upstream) fn of(uri: &Uri) -> Option<Self> {
        Some(Self { authority: uri.authority()?.clone(), is_secure: uri.scheme() == Some(&Scheme::HTTPS) })
    }
}

impl PartialEq for Origin {
    /// Letter by letter, as names of hosts are the same in capitals, only where it is not the same piece of memory: most
    /// are of one address of the configuration.
    fn eq(&self, other: &Self) -> bool {
        let is_same = std::ptr::eq(self.authority.as_str(), other.authority.as_str());
        self.is_secure == other.is_secure && (is_same || self.authority == other.authority)
    }
}

impl Hash for Origin {
    /// Eight letters at a time, small and capital ones alike, as are some that no host has. What hashes alike is told
    /// apart by the comparison.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(u8::from(self.is_secure));
        for letters in self.authority.as_str().as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..letters.len()].copy_from_slice(letters);
            state.write_u64(u64::from_le_bytes(word) | 0x2020_2020_2020_2020);
        }
    }
}

/// Unused connections.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Pool {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_origin: HashMap<Origin, Vec<Idle>, RandomState>,
    /// A task looks after them.
    is_watched: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Box<Connection>,
    since: Instant,
}

/// The pool that a connection belongs to.
pub(in crate::upstream) type Place = Weak<Pool>;

impl Pool {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if it is still good.
    pub(in crate::upstream) fn take(&self, origin: &Origin) -> Option<Box<Connection>> {
        let mut kept = self.kept();
        let idle = kept.by_origin.get_mut(origin)?;
        loop {
            let Idle { mut connection, .. } = idle.pop()?;
            if connection.is_fresh() {
                return Some(connection);
            }
        }
    }

    fn put(self: &Arc<Self>, connection: Box<Connection>) {
        let mut kept = self.kept();
        if !std::mem::replace(&mut kept.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self)));
        }
        let since = Instant::now();
        match kept.by_origin.get_mut(&connection.origin) {
            Some(idle) if idle.len() >= MOST => {}
            Some(idle) => idle.push(Idle { connection, since }),
            None => {
                kept.by_origin.insert(connection.origin.clone(), vec![Idle { connection, since }]);
            }
        }
    }

    /// Closes those that were kept long enough, or that providers have closed. True if there are others.
    fn look(&self) -> bool {
        let now = Instant::now();
        let mut kept = self.kept();
        kept.by_origin.retain(|_, idle| {
            let surplus = idle.len().saturating_sub(USUAL);
            let mut at = 0;
            idle.retain_mut(|Idle { connection, since }| {
                at += 1;
                let limit = if at <= surplus { SURPLUS_IDLE } else { IDLE };
                now.duration_since(*since) < limit && connection.is_fresh()
            });
            idle.shrink_to(idle.len() * 2);
            !idle.is_empty()
        });
        kept.is_watched = !kept.by_origin.is_empty();
        kept.is_watched
    }
}

/// Looks after unused connections for as long as there are any.
async fn watch(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(LOOK).await;
        match pool.upgrade() {
            Some(pool) if pool.look() => {}
            _ => return,
        }
    }
}

impl Connection {
    /// Free for the next one who wants to go there.
    pub(super) fn put_back(self: Box<Self>) {
        if let Some(pool) = self.place.upgrade() {
            pool.put(self);
        }
    }
}
