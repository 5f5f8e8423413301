//! What is shown, and what a key changes of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::records::row::Row;
use super::feed::Placed;
use super::figures::{Figures, Names, Sample, by_kind};
use super::query::Query;

/// Most records that figures are made of; of a busier hour, the end.
pub(super) const MOST: usize = 200_000;
/// Requests that can be scrolled through.
const LISTED: usize = 1000;
/// The windows.
const WINDOWS: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(3600)];
/// A filter is no novel.
const LONGEST_QUERY: usize = 200;

/// What is to do after a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Draw,
    Quit,
    /// Read everything once more: another filter holds.
    Reload,
    /// Show this record.
    Open(i64),
}

/// What the table tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    Model,
    Route,
}

/// By what the table is sorted, largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Requests,
    Errors,
    Slow,
    Cost,
    Name,
}

/// A record that is open.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) row: Row,
    /// Lines above the screen.
    pub(super) scroll: usize,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct State {
    now: SystemTime,
    samples: VecDeque<Sample>,
    names: Names,
    /// The newest first.
    pub(super) list: VecDeque<Placed>,
    window: usize,
    pub(super) grouping: Grouping,
    pub(super) sort: Sort,
    pub(super) query_text: String,
    query: Query,
    /// A filter that is being typed.
    pub(super) typing: Option<String>,
    is_paused: bool,
    /// The place of the record that is marked; without one, the newest is.
    marked: Option<i64>,
    pub(super) opened: Option<Opened>,
    pub(super) has_help: bool,
    /// Rows of the list that fit the screen, as it was drawn last.
    pub(super) page: usize,
}

impl State {
    pub(super) fn new(now: SystemTime) -> Self {
        Self {
            now,
            samples: VecDeque::new(),
            names: Names::default(),
            list: VecDeque::new(),
            window: 1,
            grouping: Grouping::Model,
            sort: Sort::Requests,
            query_text: String::new(),
            query: Query::default(),
            typing: None,
            is_paused: false,
            marked: None,
            opened: None,
            has_help: false,
            page: 1,
        }
    }

    /// Takes records in the order of writing.
    pub(super) fn take(&mut self, page: Vec<Placed>) {
        for (seq, row) in page {
            if !self.query.takes(&row) {
                continue;
            }
            self.samples.extend(Sample::of(&row, &mut self.names));
            self.list.push_front((seq, row));
        }
        self.list.truncate(LISTED);
        let surplus = self.samples.len().saturating_sub(MOST);
        self.samples.drain(..surplus);
    }

    /// It is later now: what is older than the longest window does not count any more.
    pub(super) fn slide(&mut self, now: SystemTime) {
        self.now = now;
        let longest = WINDOWS.into_iter().max().unwrap_or_default();
        let begin = now.checked_sub(longest);
        while self.samples.front().is_some_and(|oldest| Some(oldest.end) < begin) {
            self.samples.pop_front();
        }
    }

    /// There is nothing that could move.
    pub(super) fn is_idle(&self) -> bool {
        self.samples.is_empty()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn window(&self) -> Duration {
        WINDOWS.get(self.window).copied().unwrap_or_default()
    }

    /// The samples of the window. They stand in the order of writing, which is nearly that of their ends.
    fn current(&self) -> impl Iterator<Item = &Sample> {
        let begin = self.now.checked_sub(self.window());
        self.samples.iter().filter(move |sample| Some(sample.end) >= begin)
    }

    /// Figures of everything.
    pub(super) fn figures(&self) -> Figures {
        Figures::of(self.current())
    }

    /// Figures by model or by route, as they are sorted.
    pub(super) fn groups(&self) -> Vec<(Arc<str>, Figures)> {
        let kind: fn(&Sample) -> &Arc<str> = match self.grouping {
            Grouping::Model => |sample| &sample.model,
            Grouping::Route => |sample| &sample.route,
        };
        let mut groups = by_kind(self.current(), kind);
        groups.sort_by(|(a_name, a), (b_name, b)| {
            let order = match self.sort {
                Sort::Requests => b.requests.cmp(&a.requests),
                Sort::Errors => b.errors.cmp(&a.errors),
                Sort::Slow => b.p95_ms.unwrap_or_default().total_cmp(&a.p95_ms.unwrap_or_default()),
                Sort::Cost => b.cost.unwrap_or_default().total_cmp(&a.cost.unwrap_or_default()),
                Sort::Name => std::cmp::Ordering::Equal,
            };
            order.then_with(|| a_name.cmp(b_name))
        });
        groups
    }

    /// The place of the marked row in the list.
    pub(super) fn mark(&self) -> usize {
        let marked = self.marked.and_then(|seq| self.list.iter().position(|(listed, _)| *listed == seq));
        marked.unwrap_or_default()
    }

    /// Whether the mark stays at a record, and not at the newest one.
    pub(super) fn is_marked(&self) -> bool {
        self.marked.is_some()
    }

    pub(super) fn open(&mut self, row: Option<Row>) {
        self.opened = row.map(|row| Opened { row, scroll: 0 });
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Next {
        if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Next::Quit;
        }
        if self.typing.is_some() {
            return self.type_key(key.code);
        }
        if key.code == KeyCode::Char('q') {
            return Next::Quit;
        }
        if self.has_help {
            self.has_help = false;
            return Next::Draw;
        }
        if self.opened.is_some() {
            return self.opened_key(key.code);
        }
        self.list_key(key.code)
    }

    fn type_key(&mut self, code: KeyCode) -> Next {
        let Some(typed) = &mut self.typing else { return Next::Draw };
        match code {
            KeyCode::Esc => self.typing = None,
            KeyCode::Enter => {
                let text = self.typing.take().unwrap_or_default();
                return self.filter(text.trim().to_owned());
            }
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char(letter) if typed.len() < LONGEST_QUERY && !letter.is_control() => {
                typed.push(letter)
            }
            _ => {}
        }
        Next::Draw
    }

    fn filter(&mut self, text: String) -> Next {
        self.query = Query::read(&text);
        self.query_text = text;
        self.samples.clear();
        self.list.clear();
        (self.marked, self.is_paused) = (None, false);
        Next::Reload
    }

    fn opened_key(&mut self, code: KeyCode) -> Next {
        let page = self.page.max(1);
        let Some(opened) = &mut self.opened else { return Next::Draw };
        match code {
            KeyCode::Esc | KeyCode::Enter | KeyCode::Left | KeyCode::Backspace => self.opened = None,
            KeyCode::Down | KeyCode::Char('j') => opened.scroll += 1,
            KeyCode::Up | KeyCode::Char('k') => opened.scroll = opened.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => opened.scroll += page,
            KeyCode::PageUp => opened.scroll = opened.scroll.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => opened.scroll = 0,
            KeyCode::End | KeyCode::Char('G') => opened.scroll = usize::MAX / 2,
            KeyCode::Char('?') => self.has_help = true,
            _ => {}
        }
        Next::Draw
    }

    fn list_key(&mut self, code: KeyCode) -> Next {
        match code {
            KeyCode::Char('?' | 'h') => self.has_help = true,
            KeyCode::Char('/') => self.typing = Some(self.query_text.clone()),
            KeyCode::Esc if !self.query_text.is_empty() => return self.filter(String::new()),
            KeyCode::Esc => self.marked = None,
            KeyCode::Char(' ' | 'p') => self.is_paused = !self.is_paused,
            KeyCode::Char('w') => self.window = (self.window + 1) % WINDOWS.len(),
            KeyCode::Char('1') => self.window = 0,
            KeyCode::Char('5') => self.window = 1,
            KeyCode::Char('6') => self.window = 2,
            KeyCode::Tab | KeyCode::BackTab => {
                self.grouping = match self.grouping {
                    Grouping::Model => Grouping::Route,
                    Grouping::Route => Grouping::Model,
                }
            }
            KeyCode::Char('s') => {
                self.sort = match self.sort {
                    Sort::Requests => Sort::Errors,
                    Sort::Errors => Sort::Slow,
                    Sort::Slow => Sort::Cost,
                    Sort::Cost => Sort::Name,
                    Sort::Name => Sort::Requests,
                }
            }
            KeyCode::Down | KeyCode::Char('j') => self.go(self.mark() + 1),
            KeyCode::Up | KeyCode::Char('k') => self.go(self.mark().saturating_sub(1)),
            KeyCode::PageDown => self.go(self.mark() + self.page.max(1)),
            KeyCode::PageUp => self.go(self.mark().saturating_sub(self.page.max(1))),
            KeyCode::Home | KeyCode::Char('g') => self.marked = None,
            KeyCode::End | KeyCode::Char('G') => self.go(usize::MAX),
            KeyCode::Enter | KeyCode::Right => {
                if let Some((seq, _)) = self.list.get(self.mark()) {
                    return Next::Open(*seq);
                }
            }
            _ => {}
        }
        Next::Draw
    }

    /// Marks a row; it stays marked while others come.
    fn go(&mut self, place: usize) {
        let place = place.min(self.list.len().saturating_sub(1));
        self.marked = self.list.get(place).map(|(seq, _)| *seq);
    }
}
