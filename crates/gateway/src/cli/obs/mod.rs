//! `waypost obs`: a live view of requests in a terminal. It reads the file of records, so that it works beside any
//! gateway that writes one and costs it nothing.

mod end;
mod feed;
mod figures;
mod query;
mod state;
mod view;

use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::end::End;
use self::feed::Feed;
use self::state::{Next, State};
use super::Stop;
use super::records::Source;
use super::records::which::Which;
use crate::store::read::Reader;

/// How often it is looked for new records.
const LOOK: Duration = Duration::from_millis(250);
/// How often figures move where nothing comes: windows slide.
const SLIDE: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(options: &Options) -> Result<(), Stop> {
    options.source.ask(|reader| watch(reader, options))
}

fn watch(reader: Reader, options: &Options) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(anyhow!("a live view needs a terminal\nhint: `waypost logs --follow` needs none"));
    }
    let has_color = !matches!(anstream::AutoStream::choice(&std::io::stdout()), anstream::ColorChoice::Never);
    let end = End::watch()?;
    let mut terminal = ratatui::try_init()?;
    let outcome = show(&mut terminal, reader, options, has_color, &end);
    let restored = ratatui::try_restore();
    if end.is_without_terminal() {
        // Nobody is left who could be told of what failed on it.
        return Ok(());
    }
    restored?;
    outcome
}

fn show(
    terminal: &mut DefaultTerminal,
    reader: Reader,
    options: &Options,
    has_color: bool,
    end: &End,
) -> anyhow::Result<()> {
    let mut feed = Feed::start(reader, options.which.filter())?;
    let mut state = State::new(SystemTime::now());
    let mut drawn: Option<SystemTime> = None;
    while !end.has_come() {
        let now = SystemTime::now();
        let mut has_news = false;
        if !state.is_paused() {
            let page = feed.next()?;
            has_news = !page.is_empty();
            state.take(page);
            state.slide(now);
        }
        let is_stale = drawn.is_none_or(|drawn| now.duration_since(drawn).is_ok_and(|age| age >= SLIDE));
        if has_news || drawn.is_none() || (is_stale && !state.is_paused() && !state.is_idle()) {
            terminal.draw(|frame| view::draw(frame, &mut state, has_color))?;
            drawn = Some(now);
        }
        let patience = if feed.has_more() && !state.is_paused() { Duration::ZERO } else { LOOK };
        while event::poll(if drawn.is_some() { patience } else { Duration::ZERO })? {
            drawn = None;
            if let Event::Key(key) = event::read()?
                && key.kind != KeyEventKind::Release
            {
                match state.key(key) {
                    Next::Draw => {}
                    Next::Quit => return Ok(()),
                    Next::Reload => feed.restart()?,
                    Next::Open(seq) => state.open(feed.whole(seq)?),
                }
            }
        }
    }
    Ok(())
}
