//! What the commands that read records share: where the file is, which requests are meant, and how they are shown.

pub(super) mod listing;
pub(super) mod row;
pub(super) mod story;
pub(super) mod text;
pub(super) mod which;
pub(super) mod words;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::Stop;
use crate::config::{self, Environment, RecordsFile};
use crate::store::StoreError;
use crate::store::read::Reader;

/// Where records are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Where records are")]
pub(super) struct Source {
    /// The configuration that says where they are [default: as for `waypost up`]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The file itself
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    records: Option<PathBuf>,
}

impl Source {
    /// Opens the file that the gateway writes, and asks it. What is wrong with it is told with its place.
    pub(super) fn ask(&self, ask: impl FnOnce(Reader) -> anyhow::Result<()>) -> Result<(), Stop> {
        let path = self.path()?;
        let asked = ask(open(&path)?);
        Ok(asked.map_err(|error| match error.downcast::<StoreError>() {
            Ok(error) => anyhow!(error.reading(&path.display().to_string())),
            Err(other) => other,
        })?)
    }

    fn path(&self) -> Result<PathBuf, Stop> {
        if let Some(path) = &self.records {
            return Ok(path.clone());
        }
        let found = self.config.clone().or_else(|| config::find(Path::new(".")));
        let log = match &found {
            Some(path) => {
                // What else may be wrong with it has been said when the gateway started.
                let loaded = config::load(path, &super::environment_of(path).without_keys());
                loaded
                    .map_err(|problems| {
                        anstream::eprintln!("{problems:#}\nhint: `--records FILE` needs no configuration");
                        Stop::Usage
                    })?
                    .config
                    .log
            }
            None => config::default_log(&Environment::of_process(Path::new("."))),
        };
        let Some(file) = log.file else {
            let why = match &found {
                Some(path) => format!("{} keeps none (`log.records: false`)", path.display()),
                None => "there is neither a configuration nor a home folder for them".to_owned(),
            };
            return Err(anyhow!(
                "no records: {why}\nhint: `log.path` says where they are kept, `--records` which file to read"
            )
            .into());
        };
        Ok(written(&file))
    }
}

/// Where the unit of systemd keeps records (`deploy/systemd`), whoever reads them.
const SERVICE: &str = "/var/lib/waypost";

/// Where a configuration's records are: if it does not say so and nobody has any where they usually are, those of the
/// service.
pub(super) fn written(file: &RecordsFile) -> PathBuf {
    written_beside(file, Path::new(SERVICE))
}

fn written_beside(file: &RecordsFile, service: &Path) -> PathBuf {
    let other = service.join("records.db");
    if file.is_chosen || file.path.exists() || !other.exists() { file.path.clone() } else { other }
}

/// What to do where there are none.
pub(super) fn hint() -> String {
    let service = if Path::new(SERVICE).is_symlink() || Path::new(SERVICE).exists() {
        format!("; those of the service are in {SERVICE}, for root to read (`sudo`)")
    } else {
        String::new()
    };
    format!("`waypost up` makes it and writes into it{service}")
}

fn open(path: &Path) -> anyhow::Result<Reader> {
    let shown = path.display();
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(anyhow!(
            "no records yet: there is no {shown}\nhint: {}; `-c FILE` names its configuration, `--records FILE` another file",
            hint()
        )),
        Err(error) => Err(anyhow!("cannot read the records in {shown}: {error}")),
        Ok(_) => Reader::open(path).map_err(|error| anyhow!(error.reading(&shown.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_service_are_read_where_there_are_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let [own, service] = ["own", "service"].map(|name| folder.path().join(name));
        std::fs::create_dir_all(&service).unwrap();
        let file = |is_chosen| RecordsFile { path: own.join("records.db"), is_chosen };
        let found = |is_chosen| written_beside(&file(is_chosen), &service);
        assert_eq!(found(false), own.join("records.db"), "there is neither");
        std::fs::write(service.join("records.db"), "").unwrap();
        assert_eq!(found(false), service.join("records.db"));
        assert_eq!(found(true), own.join("records.db"), "the configuration names it");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("records.db"), "").unwrap();
        assert_eq!(found(false), own.join("records.db"), "both are there");
    }
}
