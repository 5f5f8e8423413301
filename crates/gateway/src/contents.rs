//! Whether files have changed, by their content.
//!
//! Notices from the file system would be quicker and are not to be relied on: Kubernetes swaps a link two folders up,
//! editors rename, network file systems tell nothing.

use std::path::Path;

use aws_lc_rs::digest;

use crate::config;

/// SHA-256 of files, in order; `None` for one that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents(pub(crate) Vec<Option<[u8; 32]>>);

impl Contents {
    pub(crate) fn of<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let hash = |path: &'p Path| {
            let mut hash = [0; 32];
            hash.copy_from_slice(digest::digest(&digest::SHA256, &config::read(path)?).as_ref());
            Some(hash)
        };
        Self(paths.into_iter().map(hash).collect())
    }
}

/// What has been seen of files that are looked at again and again.
#[derive(Debug)]
pub(crate) struct Sight {
    /// As they were when they were put to use, or could not be.
    tried: Contents,
    /// As they were at the last look.
    seen: Contents,
}

impl Sight {
    /// They are in use as they are.
    pub(crate) fn new(contents: Contents) -> Self {
        Self { tried: contents.clone(), seen: contents }
    }

    /// As they were when they were put to use, or could not be.
    pub(crate) fn tried(&self) -> &Contents {
        &self.tried
    }

    /// True if this is another content than that in use and was the same at the last look: whoever writes it is done.
    pub(crate) fn has_changed(&mut self, now: Contents) -> bool {
        let is_settled = self.seen == now;
        self.seen = now;
        is_settled && self.seen != self.tried
    }

    /// True if the last look found something new, so that another one soon is worth it.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.seen != self.tried
    }

    /// They have been read, and were `now` after it. False if they have changed under the reader: what was read is
    /// not to be used, and the next look is soon.
    pub(crate) fn settles(&mut self, before: &Contents, now: Contents) -> bool {
        let is_settled = *before == now;
        if is_settled {
            self.tried.clone_from(&now);
        }
        self.seen = now;
        is_settled
    }
}
