//! Answers that are kept: bounded, for a time, each for its caller alone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use moka::sync::Cache;

use super::disk::Disk;

/// So many answers that are kept by their providers can be told of.
const MOST_ELSEWHERE: u64 = 100_000;
/// Where clients have their keys.
pub(crate) static KEY_HEADERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// An answer and what it answered, as the client of the Responses API would have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The response object.
    pub response: Bytes,
    /// A list of everything that was said before it, earlier answers included.
    pub input: Bytes,
}

/// Who may see an answer: whoever shows the same key again. Only a digest of the key is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Caller(pub(super) [u8; 32]);

impl Caller {
    /// The caller that sent these headers.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for name in &KEY_HEADERS {
            for value in headers.get_all(name) {
                context.update(name.as_str().as_bytes());
                context.update(b"\0");
                context.update(value.as_bytes());
                context.update(b"\0");
            }
        }
        let mut caller = [0; 32];
        caller.copy_from_slice(context.finish().as_ref());
        Self(caller)
    }
}

/// What is kept, where and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// A database's file; `None` keeps answers in memory alone.
    pub path: Option<std::path::PathBuf>,
    /// How long an answer is kept.
    pub time: Duration,
    /// Most bytes of all answers together; the oldest go first.
    pub most_bytes: u64,
}

type Key = (Caller, Box<str>);

/// All kept answers.
#[derive(Debug, Clone)]
pub struct Store {
    memory: Cache<Key, Arc<Kept>>,
    disk: Option<Arc<Disk>>,
    keeping: Arc<Keeping>,
    /// Answers that their provider keeps: the name of the entry that answered. In memory alone.
    elsewhere: Cache<Key, Arc<str>>,
    /// Whose those are.
    owners: Cache<Box<str>, Caller>,
}

impl Store {
    /// Opens the database, if there is one.
    ///
    /// # Errors
    /// It cannot be opened or written.
    pub fn new(keeping: &Keeping) -> Result<Self, String> {
        let weigh = |(_, id): &Key, kept: &Arc<Kept>| {
            u32::try_from(id.len() + kept.response.len() + kept.input.len() + 256).unwrap_or(u32::MAX)
        };
        let memory = Cache::builder()
            .weigher(weigh)
            .max_capacity(keeping.most_bytes)
            .time_to_live(keeping.time)
            .build();
        let open = |path: &Path| {
            Disk::open(path, keeping.time, keeping.most_bytes)
                .map_err(|error| format!("cannot keep answers in {}: {error}", path.display()))
        };
        let disk = keeping.path.as_deref().map(open).transpose()?.map(Arc::new);
        let elsewhere = Cache::builder().max_capacity(MOST_ELSEWHERE).time_to_live(keeping.time).build();
        let owners = Cache::builder().max_capacity(MOST_ELSEWHERE).time_to_live(keeping.time).build();
        Ok(Self { memory, disk, elsewhere, owners, keeping: Arc::new(keeping.clone()) })
    }

    /// The store of a new configuration: this one, if the settings are the same.
    ///
    /// # Errors
    /// As [`Store::new`].
    pub fn succeeded_by(&self, keeping: &Keeping) -> Result<Self, String> {
        if *self.keeping == *keeping { Ok(self.clone()) } else { Self::new(keeping) }
    }

    /// Keeps an answer. A database that cannot take it costs a later request its history and this one nothing.
    pub fn put(&self, caller: Caller, id: &str, kept: Kept) {
        let kept = Arc::new(kept);
        self.memory.insert((caller, id.into()), Arc::clone(&kept));
        if let Some(disk) = self.disk.clone() {
            let id = id.to_owned();
            tokio::task::spawn_blocking(move || {
                if let Err(error) = disk.put(caller, &id, &kept) {
                    tracing::warn!(%error, "an answer could not be written to the database");
                }
            });
        }
    }

    /// Remembers who keeps an answer.
    pub fn note(&self, caller: Caller, id: &str, entry: &Arc<str>) {
        self.elsewhere.insert((caller, id.into()), Arc::clone(entry));
        self.owners.insert(id.into(), caller);
    }

    /// An answer that its provider keeps is another caller's.
    #[must_use]
    pub fn is_of_another(&self, caller: Caller, id: &str) -> bool {
        self.owners.get(id).is_some_and(|owner| owner != caller) && self.whose(caller, id).is_none()
    }

    /// The name of the entry whose provider keeps an answer of this caller's.
    #[must_use]
    pub fn whose(&self, caller: Caller, id: &str) -> Option<Arc<str>> {
        self.elsewhere.get(&(caller, Box::from(id)))
    }

    /// An answer of this caller's.
    pub async fn get(&self, caller: Caller, id: &str) -> Option<Arc<Kept>> {
        let key = (caller, Box::from(id));
        if let Some(kept) = self.memory.get(&key) {
            return Some(kept);
        }
        let found = self.on_disk(id, move |disk, id| disk.get(caller, id)).await??;
        let found = Arc::new(found);
        self.memory.insert(key, Arc::clone(&found));
        Some(found)
    }

    /// Forgets an answer; whether there was one.
    pub async fn remove(&self, caller: Caller, id: &str) -> bool {
        let in_memory = self.memory.remove(&(caller, Box::from(id))).is_some();
        let on_disk = self.on_disk(id, move |disk, id| disk.remove(caller, id)).await.unwrap_or(false);
        in_memory || on_disk
    }

    /// Asks the database, off the worker's thread; `None` if there is none, or it fails.
    async fn on_disk<T: Send + 'static>(
        &self,
        id: &str,
        ask: impl FnOnce(&Disk, &str) -> rusqlite::Result<T> + Send + 'static,
    ) -> Option<T> {
        let (disk, id) = (self.disk.clone()?, id.to_owned());
        match tokio::task::spawn_blocking(move || ask(&disk, &id)).await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database of answers could not be read");
                None
            }
            Err(_panicked) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::AUTHORIZATION;

    fn kept(text: &str) -> Kept {
        Kept {
            response: Bytes::from(format!("{{\"r\":\"{text}\"}}")),
            input: Bytes::from(format!("[\"{text}\"]")),
        }
    }

    fn caller(key: &'static str) -> Caller {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(key));
        Caller::of(&headers)
    }

    fn keeping(path: Option<&Path>) -> Keeping {
        Keeping { path: path.map(Path::to_owned), time: Duration::from_secs(60), most_bytes: 1 << 20 }
    }

    #[tokio::test]
    async fn an_answer_is_its_callers_alone() {
        let folder = tempfile::tempdir().unwrap();
        for path in [None, Some(folder.path().join("answers.db"))] {
            let store = Store::new(&keeping(path.as_deref())).unwrap();
            store.put(caller("Bearer a"), "resp_1", kept("one"));
            assert_eq!(store.get(caller("Bearer a"), "resp_1").await.as_deref(), Some(&kept("one")));
            assert_eq!(store.get(caller("Bearer b"), "resp_1").await, None);
            assert!(!store.remove(caller("Bearer b"), "resp_1").await);
            assert!(store.remove(caller("Bearer a"), "resp_1").await);
            assert_eq!(store.get(caller("Bearer a"), "resp_1").await, None);
        }
        // A key in another header is another caller.
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("Bearer a"));
        assert_ne!(Caller::of(&headers), caller("Bearer a"));
    }

    #[test]
    fn a_database_outlives_the_process_and_holds_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.db");
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = Store::new(&keeping(Some(&path))).unwrap();
        // Dropping the runtime waits for what was begun.
        runtime().block_on(async { store.put(caller("Bearer secret-key"), "resp_1", kept("one")) });
        drop(store);
        let store = Store::new(&keeping(Some(&path))).unwrap();
        let found = runtime().block_on(store.get(caller("Bearer secret-key"), "resp_1"));
        assert_eq!(found.as_deref(), Some(&kept("one")));
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(10).any(|window| window == b"secret-key"));
        }
    }

    #[tokio::test]
    async fn what_is_too_much_goes() {
        let store = Store::new(&Keeping { most_bytes: 4096, ..keeping(None) }).unwrap();
        for number in 0..100 {
            store.put(caller("Bearer a"), &format!("resp_{number}"), kept(&"x".repeat(500)));
        }
        store.memory.run_pending_tasks();
        assert!(store.memory.weighted_size() <= 4096);
    }

    #[test]
    fn a_path_that_cannot_be_used_is_an_error() {
        let error = Store::new(&keeping(Some(Path::new("/nowhere/answers.db")))).unwrap_err();
        assert!(error.starts_with("cannot keep answers in /nowhere/answers.db: "), "{error}");
    }
}
