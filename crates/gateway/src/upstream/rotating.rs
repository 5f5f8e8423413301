//! A credential that changes over time: kept while it holds, renewed some time before it ends.
//!
//! Requests never wait for a renewal while the old one holds. One renewal runs at a time, on the worker that noticed;
//! it runs to its end even if the client that it was for has left.

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

use super::client::Client;

/// Renewal begins this long before the end, or in the last quarter of a short life.
const LEAD: Duration = Duration::from_secs(5 * 60);
/// Clocks differ, and a request needs its time to arrive.
const MARGIN: Duration = Duration::from_secs(10);
/// Nobody asks again so soon after a failure.
const REST: Duration = Duration::from_secs(2);
/// Longest wait for a new one.
const DEADLINE: Duration = Duration::from_secs(10);
/// Nothing is held for longer, whatever its issuer says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Who gives out a credential.
pub trait Issuer: Debug + Send + Sync + 'static {
    /// The credential.
    type Credential: Clone + Send + Sync + 'static;

    /// Gets a new one.
    ///
    /// # Errors
    /// Why there is none, without secrets.
    fn issue(&self, client: &Client)
    -> impl Future<Output = Result<Issued<Self::Credential>, String>> + Send;
}

/// A new credential.
pub struct Issued<T> {
    /// What is sent.
    pub credential: T,
    /// How long it holds, from when it was asked for.
    pub lifetime: Duration,
}

/// The credential of today.
#[derive(Debug)]
pub struct Rotating<I: Issuer> {
    issuer: I,
    held: RwLock<Option<Held<I::Credential>>>,
    /// Held by who renews; the last failure, if there was one since.
    renewing: Arc<Mutex<Option<Failure>>>,
}

#[derive(Clone)]
struct Held<T> {
    credential: T,
    renew_at: Instant,
    ends_at: Instant,
}

#[derive(Debug)]
struct Failure {
    message: String,
    until: Instant,
}

/// The credential is not shown.
impl<T> Debug for Issued<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// The credential is not shown.
impl<T> Debug for Held<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

impl<I: Issuer> Rotating<I> {
    /// Nothing is asked for until the first request needs it.
    #[must_use]
    pub fn new(issuer: I) -> Self {
        Self { issuer, held: RwLock::new(None), renewing: Arc::default() }
    }

    /// Who gives it out.
    pub fn issuer(&self) -> &I {
        &self.issuer
    }

    /// One that holds; waits only where there is none.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn current(self: &Arc<Self>, client: &Client) -> Result<I::Credential, String> {
        let now = Instant::now();
        if let Some(held) = self.held(now) {
            if now >= held.renew_at
                && let Ok(last) = Arc::clone(&self.renewing).try_lock_owned()
                && last.as_ref().is_none_or(|failure| failure.until <= now)
            {
                let (this, client) = (Arc::clone(self), client.clone());
                tokio::spawn(async move {
                    if let Err(error) = this.renew(&client, last).await {
                        tracing::warn!(
                            error,
                            "a credential could not be renewed and still holds for a while"
                        );
                    }
                });
            }
            return Ok(held.credential);
        }
        let last = Arc::clone(&self.renewing).lock_owned().await;
        let now = Instant::now();
        if let Some(held) = self.held(now) {
            return Ok(held.credential);
        }
        if let Some(failure) = last.as_ref().filter(|failure| failure.until > now) {
            return Err(failure.message.clone());
        }
        let (this, client) = (Arc::clone(self), client.clone());
        let renewal = tokio::spawn(async move { this.renew(&client, last).await });
        renewal.await.unwrap_or_else(|_stopped| Err("the gateway is stopping".to_owned()))
    }

    fn held(&self, now: Instant) -> Option<Held<I::Credential>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| now < held.ends_at).cloned()
    }

    async fn renew(
        &self,
        client: &Client,
        mut last: OwnedMutexGuard<Option<Failure>>,
    ) -> Result<I::Credential, String> {
        let asked_at = Instant::now();
        let issued = timeout(DEADLINE, self.issuer.issue(client))
            .await
            .unwrap_or_else(|_elapsed| Err(format!("no answer within {} seconds", DEADLINE.as_secs())));
        match issued {
            Ok(Issued { credential, lifetime }) => {
                let lifetime = lifetime.min(LONGEST);
                let held = Held {
                    credential: credential.clone(),
                    renew_at: asked_at + lifetime.saturating_sub(LEAD.min(lifetime / 4)),
                    ends_at: asked_at + lifetime.saturating_sub(MARGIN.min(lifetime / 10)),
                };
                *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(held);
                *last = None;
                Ok(credential)
            }
            Err(message) => {
                *last = Some(Failure { message: message.clone(), until: Instant::now() + REST });
                Err(message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::super::client::ClientSettings;
    use super::*;

    /// Numbers its credentials; takes a second for each.
    #[derive(Debug, Default)]
    struct Counter {
        asked: AtomicUsize,
        fails: AtomicBool,
    }

    impl Issuer for Counter {
        type Credential = usize;

        async fn issue(&self, _: &Client) -> Result<Issued<usize>, String> {
            let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.fails.load(Ordering::Relaxed) {
                return Err(format!("failure {number}"));
            }
            Ok(Issued { credential: number, lifetime: Duration::from_secs(3600) })
        }
    }

    fn start() -> (Arc<Rotating<Counter>>, Client) {
        let client = Client::new(&ClientSettings::from_platform(Duration::from_secs(1)).unwrap());
        (Arc::new(Rotating::new(Counter::default())), client)
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_renewed_before_its_end_and_nobody_waits() {
        let (rotating, client) = start();
        assert_eq!(rotating.current(&client).await, Ok(1));
        pass(3600 - 302).await;
        assert_eq!(rotating.current(&client).await, Ok(1));
        assert_eq!(rotating.issuer.asked.load(Ordering::Relaxed), 1);
        pass(2).await;
        let before = Instant::now();
        for _ in 0..5 {
            assert_eq!(rotating.current(&client).await, Ok(1));
        }
        assert_eq!(Instant::now(), before, "somebody waited");
        pass(2).await;
        assert_eq!(rotating.current(&client).await, Ok(2));
        assert_eq!(rotating.issuer.asked.load(Ordering::Relaxed), 2);
        // Nobody came for hours: the next one waits.
        pass(7200).await;
        assert_eq!(rotating.current(&client).await, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_ask_once() {
        let (rotating, client) = start();
        let all = (0..20).map(|_| {
            let (rotating, client) = (Arc::clone(&rotating), client.clone());
            tokio::spawn(async move { rotating.current(&client).await })
        });
        for one in all.collect::<Vec<_>>() {
            assert_eq!(one.await.unwrap(), Ok(1));
        }
        assert_eq!(rotating.issuer.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_to_all_who_wait_and_tried_again_later() {
        let (rotating, client) = start();
        rotating.issuer.fails.store(true, Ordering::Relaxed);
        let both = tokio::join!(rotating.current(&client), rotating.current(&client));
        assert_eq!(both, (Err("failure 1".to_owned()), Err("failure 1".to_owned())));
        assert_eq!(rotating.current(&client).await, Err("failure 1".to_owned()));
        pass(2).await;
        rotating.issuer.fails.store(false, Ordering::Relaxed);
        assert_eq!(rotating.current(&client).await, Ok(2));
        // The old one holds while it cannot be renewed, and not a second longer.
        rotating.issuer.fails.store(true, Ordering::Relaxed);
        pass(3500).await;
        assert_eq!(rotating.current(&client).await, Ok(2));
        pass(95).await;
        assert_eq!(rotating.current(&client).await, Err("failure 4".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_takes_nothing_along() {
        let (rotating, client) = start();
        let left = timeout(Duration::from_millis(10), rotating.current(&client)).await;
        assert!(left.is_err());
        pass(2).await;
        assert_eq!(rotating.current(&client).await, Ok(1));
        assert!(!format!("{rotating:?}").contains("credential:"));
    }

    /// An issuer that never answers.
    #[derive(Debug)]
    struct Silent;

    impl Issuer for Silent {
        type Credential = ();

        async fn issue(&self, _: &Client) -> Result<Issued<()>, String> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let client = start().1;
        let error = Arc::new(Rotating::new(Silent)).current(&client).await.unwrap_err();
        assert_eq!(error, "no answer within 10 seconds");
    }
}
