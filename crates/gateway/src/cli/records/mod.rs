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
use crate::config::{self, Environment};
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
        Ok(file.path)
    }
}

fn open(path: &Path) -> anyhow::Result<Reader> {
    let shown = path.display();
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(anyhow!(
            "no records yet: there is no {shown}\nhint: `waypost up` makes it and writes into it; `-c FILE` names its \
             configuration, `--records FILE` another file"
        )),
        Err(error) => Err(anyhow!("cannot read the records in {shown}: {error}")),
        Ok(_) => Reader::open(path).map_err(|error| anyhow!(error.reading(&shown.to_string()))),
    }
}
