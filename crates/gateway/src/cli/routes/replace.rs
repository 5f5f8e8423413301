//! A file that is rewritten: whole or not at all, and only if nobody else has written it meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A file and what it held.
#[derive(Debug)]
pub(super) struct Replaceable {
    /// Behind links, so that a link stays one.
    path: PathBuf,
    text: Text,
}

/// A configuration may hold keys: this cannot be printed.
struct Text(String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Replaceable {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let read = || -> std::io::Result<Self> {
            let path = path.canonicalize()?;
            Ok(Self { text: Text(fs::read_to_string(&path)?), path })
        };
        read().with_context(|| format!("cannot read {}", path.display()))
    }

    pub(super) fn text(&self) -> &str {
        &self.text.0
    }

    /// Puts a file with this text in its place.
    pub(super) fn replace(self, text: &str) -> anyhow::Result<()> {
        if text == self.text.0 {
            return Ok(());
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path.with_file_name(format!(".{name}.{}.new", std::process::id()));
        let written = self.write_beside(&beside, text);
        if written.is_err() {
            // What was written is of no use; the error that led here says more than one of the removal.
            let _ = fs::remove_file(&beside);
        }
        written
    }

    fn write_beside(&self, beside: &Path, text: &str) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", beside.display());
        let mut file = private(beside).with_context(cannot)?;
        file.write_all(text.as_bytes()).with_context(cannot)?;
        let permissions = fs::metadata(&self.path)?.permissions();
        fs::set_permissions(beside, permissions).with_context(cannot)?;
        file.sync_all().with_context(cannot)?;
        if fs::read(&self.path)? != self.text.0.as_bytes() {
            bail!(
                "{} has changed since it was read: nothing is written\nhint: run the command again",
                self.path.display()
            );
        }
        fs::rename(beside, &self.path).with_context(|| format!("cannot replace {}", self.path.display()))
    }
}

/// A new file that nobody else can read until it has the permissions of the old one.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_unless_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waypost.yaml");
        let files = || fs::read_dir(folder.path()).unwrap().count();
        fs::write(&path, "one").unwrap();
        Replaceable::read(&path).unwrap().replace("two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");

        let read = Replaceable::read(&path).unwrap();
        fs::write(&path, "three").unwrap();
        let error = read.replace("four").unwrap_err().to_string();
        assert!(error.contains("has changed since it was read"), "{error}");
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), files()), ("three", 1));
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [path, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&path, &link).unwrap();
        Replaceable::read(&link).unwrap().replace("two").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
