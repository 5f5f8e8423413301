//! Where `waypost routes suggest` has its conversations from: a file that an application wrote, or the gateway's records.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use crate::evaluation::lines::{Written, text};
use crate::evaluation::replay;
use crate::store::StoreError;
use crate::store::read::{Filter, Reader};
use crate::telemetry::kept;

/// What a file of records begins with (the SQLite file format, section 1.3).
const SQLITE: &[u8; 16] = b"SQLite format 3\0";
/// Records that are read at a time.
const PAGE: usize = 500;

/// A conversation, and what the router found where that is known.
#[derive(Debug, Deserialize)]
pub(super) struct Gathered {
    #[serde(flatten)]
    pub(super) conversation: Written,
    /// How sure the router was, from 0 to 1.
    pub(super) confidence: Option<f32>,
    /// How the model was chosen: `name`, `alias`, `preference` or `default`.
    pub(super) method: Option<String>,
    /// Where it is written.
    #[serde(skip)]
    pub(super) place: String,
    /// What stands before its last word is in another one, too.
    #[serde(skip)]
    pub(super) is_recorded: bool,
}

/// What a record says of its decision.
#[derive(Debug, Deserialize)]
struct Recorded {
    id: String,
    method: Option<String>,
    confidence: Option<f32>,
}

/// Whether this is a file of records.
pub(super) fn is_records(path: &Path) -> Result<bool> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut head = [0; SQLITE.len()];
    Ok(file.read_exact(&mut head).is_ok() && head == *SQLITE)
}

/// The lines of a file: objects, or a prompt each. Beside objects, as in a log, other lines are nobody's prompts.
pub(super) fn lines(path: &Path) -> Result<Vec<Gathered>> {
    let text = text(path)?;
    let is_object = |line: &str| line.trim_start().starts_with('{');
    let holds_objects = text.lines().any(is_object);
    let mut passed_by = 0;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = format!("{}:{}", path.display(), number + 1);
        if holds_objects && !is_object(line) {
            passed_by += 1;
            continue;
        }
        let mut gathered: Gathered = if holds_objects {
            serde_json::from_str(line).with_context(|| format!("{place}: not in the format"))?
        } else {
            let conversation = Written { prompt: Some(line.trim().to_owned()), ..Written::default() };
            Gathered {
                conversation,
                confidence: None,
                method: None,
                place: String::new(),
                is_recorded: false,
            }
        };
        gathered.place = place;
        lines.push(gathered);
    }
    if passed_by > 0 {
        anstream::eprintln!(
            "note: {}: {passed_by} lines that are no JSON are passed by, as others are",
            path.display()
        );
    }
    let is_said =
        |line: &Gathered| !line.conversation.messages.is_empty() || line.conversation.prompt.is_some();
    if !lines.is_empty() && !lines.iter().any(is_said) {
        bail!(
            "{}: there is no `messages` and no `prompt` in any line\nhint: the gateway's own request log holds no content \
             on purpose; let it keep content with its records (`log.content: redacted`) and name those, or log the \
             conversations where your application has them",
            path.display()
        );
    }
    Ok(lines)
}

/// The newest requests that came at this time or later, at most so many of them, whose model was not named.
pub(super) fn records(path: &Path, since: SystemTime, most: usize) -> Result<Vec<Gathered>> {
    let shown = path.display();
    let unreadable = |error: StoreError| anyhow!(error.reading(&shown.to_string()));
    let reader = Reader::open(path).map_err(unreadable)?;
    let mut filter = Filter { since: Some(since), ..Filter::default() };
    let mut gathered = Vec::new();
    let (mut seen, mut chosen) = (0, 0);
    while seen < most {
        let page = reader.newest(&filter, PAGE.min(most - seen)).map_err(unreadable)?;
        seen += page.len();
        let mut oldest = None;
        for stored in page {
            let recorded: Recorded = serde_json::from_str(&stored.record)
                .with_context(|| format!("{shown}: a record is not in the format"))?;
            oldest = recorded.id.parse().ok();
            if !matches!(recorded.method.as_deref(), Some("preference" | "default")) {
                continue;
            }
            chosen += 1;
            let Some(content) = reader.content(stored.seq).map_err(unreadable)? else { continue };
            let content: kept::Content = serde_json::from_str(&content)
                .with_context(|| format!("{shown}: what is kept of {} is not in the format", recorded.id))?;
            let turns = content.turns.iter().filter(|turn| replay::turn(turn).is_some());
            gathered.push(Gathered {
                conversation: Written::said(turns.map(|turn| (turn.role.as_str(), turn.text.as_str()))),
                confidence: recorded.confidence,
                method: recorded.method,
                place: recorded.id,
                is_recorded: true,
            });
        }
        if oldest.is_none() {
            break;
        }
        filter.before = oldest;
    }
    if gathered.is_empty() && chosen > 0 {
        bail!(
            "{shown}: of {chosen} requests that left the choice to the router nothing that was said is kept\nhint: \
             `log.content: redacted` or `full` keeps it from then on"
        );
    }
    Ok(gathered)
}
