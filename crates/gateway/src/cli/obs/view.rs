//! The screen.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Shown, Span};
use ratatui::widgets::{Clear, Paragraph};
use unicode_width::UnicodeWidthStr;

use super::super::records::listing::Listing;
use super::super::records::story::story;
use super::super::records::text::{Line, Tone, fit, pad};
use super::super::records::which::NONE;
use super::super::records::words::{count, known, money, plain, share, time};
use super::figures::Figures;
use super::state::{Grouping, Sort, State};

/// Rows of the table by model or by route, at most.
const GROUPS: usize = 8;
/// Columns of a model's name.
const NAME: usize = 28;
/// Columns of a figure, with those before it: at least so many, so that they do not move with each figure.
const NARROWEST: usize = 8;
/// Columns between two figures.
const GAP: usize = 2;

const KEYS: [(&str, &str); 14] = [
    ("↑ ↓ PgUp PgDn", "move through the requests; Home goes to the newest"),
    ("Enter", "open the request: decision, attempts, stream, cost"),
    ("Esc", "close it; then drop the filter"),
    ("/", "filter: words that a request has to have, such as"),
    ("", "small status:5xx -route:code caller:fdce error:reset"),
    ("Space", "pause, and go on"),
    ("Tab", "by model, by route"),
    ("s", "sort by requests, errors, p95, cost, name"),
    ("1 5 6, w", "the last minute, 5 minutes, 60 minutes"),
    ("?", "this page"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
    ("", "rates and sums are of the window that is shown at the top;"),
    ("", "`saved` is against the default model; `-`: not known"),
];

pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State, has_color: bool) {
    let area = frame.area();
    let painter = Painter { has_color, width: usize::from(area.width) };
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    painter.lines(frame, head, &header(state));
    if state.opened.is_some() {
        painter.opened(frame, body, state);
    } else {
        painter.overview(frame, body, state);
    }
    painter.lines(frame, foot, &[footer(state)]);
    if state.has_help {
        painter.help(frame, body);
    }
}

/// What does not change while a screen is drawn.
struct Painter {
    has_color: bool,
    width: usize,
}

impl Painter {
    fn style(&self, tone: Tone) -> Style {
        let color = |color| if self.has_color { Style::new().fg(color) } else { Style::new() };
        match tone {
            Tone::Plain => Style::new(),
            Tone::Dim if self.has_color => Style::new().fg(Color::DarkGray),
            Tone::Dim => Style::new().add_modifier(Modifier::DIM),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Good => color(Color::Green),
            Tone::Warn => color(Color::Yellow),
            Tone::Bad => color(Color::Red),
            Tone::Accent => color(Color::Cyan),
        }
    }

    fn shown(&self, line: &Line) -> Shown<'static> {
        line.0.iter().map(|(tone, text)| Span::styled(text.clone(), self.style(*tone))).collect()
    }

    fn lines(&self, frame: &mut Frame<'_>, area: Rect, lines: &[Line]) {
        let cut = lines.iter().map(|line| {
            let mut line = line.clone();
            line.cut(self.width);
            self.shown(&line)
        });
        frame.render_widget(Paragraph::new(cut.collect::<Vec<_>>()), area);
    }

    /// The table and the stream of requests.
    fn overview(&self, frame: &mut Frame<'_>, area: Rect, state: &mut State) {
        let groups = self.groups(state, usize::from(area.height) / 3);
        let height = u16::try_from(groups.len()).unwrap_or_default();
        let [top, bottom] = Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area);
        self.lines(frame, top, &groups);
        let [title, head, list] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Min(0)])
                .areas(bottom);
        let room = usize::from(list.height).max(1);
        state.page = room;
        let mark = state.mark();
        let first = (mark + 1).saturating_sub(room);
        let mut listing = Listing::new(Some(self.width));
        let rows = listing.lines(state.list.iter().skip(first).take(room).map(|(_, row)| row));
        let listed =
            format!("requests  {} of {}", if rows.is_empty() { 0 } else { mark + 1 }, state.list.len());
        self.lines(frame, title, &[rule(&listed, self.width)]);
        if rows.is_empty() {
            let why = if state.query_text.is_empty() {
                "no requests yet"
            } else {
                "no request has all of these words"
            };
            self.lines(frame, head, &[Line::of(Tone::Dim, why)]);
            return;
        }
        self.lines(frame, head, &[listing.head()]);
        let shown = rows.iter().enumerate().map(|(place, line)| {
            let mut line = line.clone();
            line.cut(self.width);
            if first + place == mark && state.is_marked() {
                // The whole width, so that the mark is seen as a bar.
                line.push(Tone::Plain, " ".repeat(self.width.saturating_sub(line.width())));
                self.shown(&line).style(Style::new().add_modifier(Modifier::REVERSED))
            } else {
                self.shown(&line)
            }
        });
        frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), list);
    }

    /// The table by model or by route, in so many lines.
    fn groups(&self, state: &State, most: usize) -> Vec<Line> {
        let groups = state.groups();
        let (by, other) = match state.grouping {
            Grouping::Model => ("model", "route"),
            Grouping::Route => ("route", "model"),
        };
        let sorted = match state.sort {
            Sort::Requests => "requests",
            Sort::Errors => "errors",
            Sort::Slow => "p95",
            Sort::Cost => "cost",
            Sort::Name => "name",
        };
        let most = most.saturating_sub(2).clamp(1, GROUPS);
        let hidden = groups.len().saturating_sub(most);
        let more = if hidden > 0 { format!(", {hidden} more") } else { String::new() };
        let title = format!("by {by} (Tab: by {other}), sorted by {sorted}{more}");
        let columns = ["rate", "errors", "p50", "p95", "p99", "first", "cost/h", "saved/h", "tok/s"];
        let mut heads = columns.map(str::to_owned).to_vec();
        let cells: Vec<(String, Vec<String>, bool)> = groups
            .iter()
            .take(most)
            .map(|(name, figures)| {
                let name = if name.is_empty() { NONE.to_owned() } else { plain(name) };
                (name, cells(figures, state.window()), figures.errors > 0)
            })
            .collect();
        // Columns go from the right where there is no room.
        let width =
            cells.iter().map(|(name, ..)| Line::of(Tone::Plain, name).width()).max().unwrap_or_default();
        let name_width = width.clamp(by.len(), NAME.max(self.width / 3));
        let widest = |place: usize| {
            let cells = cells.iter().filter_map(|(_, cells, _)| cells.get(place)).chain(heads.get(place));
            cells.map(|cell| cell.width() + GAP).max().unwrap_or_default().max(NARROWEST)
        };
        let mut room = self.width.saturating_sub(name_width);
        let mut widths: Vec<usize> = (0..heads.len()).map(widest).collect();
        let fitting =
            widths.iter().take_while(|width| room.checked_sub(**width).map(|left| room = left).is_some());
        widths.truncate(fitting.count());
        heads.truncate(widths.len());
        let right = |(cell, width): (&String, &usize)| pad(cell, *width, true);
        let heads: String = heads.iter().zip(&widths).map(right).collect();
        let mut lines = vec![rule(&title, self.width)];
        lines.push(Line::of(Tone::Strong, pad(by, name_width, false) + &heads));
        for (name, cells, has_errors) in cells {
            let name = pad(&fit(&name, name_width), name_width, false);
            let mut line = Line::of(Tone::Accent, name);
            for (place, cell) in cells.iter().zip(&widths).map(right).enumerate() {
                let tone = if place == 1 && has_errors { Tone::Bad } else { Tone::Plain };
                line.push(tone, cell);
            }
            lines.push(line);
        }
        lines
    }

    /// One request's story.
    fn opened(&self, frame: &mut Frame<'_>, area: Rect, state: &mut State) {
        let height = usize::from(area.height);
        state.page = height.saturating_sub(2).max(1);
        let Some(opened) = &mut state.opened else { return };
        let lines = story(&opened.row, Some(self.width));
        opened.scroll = opened.scroll.min(lines.len().saturating_sub(height));
        let shown: Vec<Line> = lines.into_iter().skip(opened.scroll).take(height).collect();
        self.lines(frame, area, &shown);
    }

    fn help(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines =
            KEYS.map(|(key, what)| Line::of(Tone::Accent, pad(key, 15, false)).with(Tone::Plain, what));
        frame.render_widget(Clear, area);
        self.lines(frame, area, &lines);
    }
}

/// A row of the table.
fn cells(figures: &Figures, window: Duration) -> Vec<String> {
    vec![
        rate(figures.requests, window),
        errors(figures),
        known(figures.p50_ms.map(time)),
        known(figures.p95_ms.map(time)),
        known(figures.p99_ms.map(time)),
        known(figures.first_p50_ms.map(time)),
        hourly(figures.cost, window),
        hourly(figures.saved, window),
        pace(figures, window),
    ]
}

/// A line with a title.
fn rule(title: &str, width: usize) -> Line {
    let mut line = Line::of(Tone::Dim, "── ").with(Tone::Strong, title).with(Tone::Plain, " ");
    line.push(Tone::Dim, "─".repeat(width.saturating_sub(line.width())));
    line
}

fn header(state: &State) -> [Line; 3] {
    let (figures, window) = (state.figures(), state.window());
    let mut first = Line::of(Tone::Strong, "waypost obs")
        .with(Tone::Plain, format!("  the last {} min", window.as_secs() / 60));
    if state.is_paused() {
        first.push(Tone::Warn, "  PAUSED");
    }
    if !state.query_text.is_empty() {
        first.push(Tone::Accent, format!("  /{}", plain(&state.query_text)));
    }
    for (requests, what) in [(figures.unpriced, "price"), (figures.uncounted, "usage")] {
        if requests > 0 {
            first.push(Tone::Warn, format!("  {requests} without {what}"));
        }
    }
    let named = |line: Line, name: &str, tone: Tone, text: String| {
        line.with(Tone::Dim, format!("{name} ")).with(tone, text).with(Tone::Plain, "   ")
    };
    let tone = if figures.errors > 0 { Tone::Bad } else { Tone::Plain };
    let mut second = named(Line::default(), "requests", Tone::Strong, rate(figures.requests, window));
    second = named(second, "errors", tone, errors(&figures));
    for (name, value) in [("p50", figures.p50_ms), ("p95", figures.p95_ms), ("p99", figures.p99_ms)] {
        second = named(second, name, Tone::Plain, known(value.map(time)));
    }
    let first_token = known(figures.first_p50_ms.map(time)) + "/" + &known(figures.first_p95_ms.map(time));
    let mut third = named(Line::default(), "first token p50/p95", Tone::Plain, first_token);
    third = named(third, "tok/s", Tone::Plain, pace(&figures, window));
    third = named(third, "cost/h", Tone::Plain, hourly(figures.cost, window));
    let part = figures.saved_share().filter(|part| *part > 0.0);
    let part = part.map_or_else(String::new, |part| format!(" ({})", share(part)));
    third = named(third, "saved/h", Tone::Good, hourly(figures.saved, window) + &part);
    [first, second, third]
}

fn footer(state: &State) -> Line {
    if let Some(typed) = &state.typing {
        return Line::of(Tone::Accent, "/")
            .with(Tone::Plain, plain(typed))
            .with(Tone::Strong, "▏")
            .with(Tone::Dim, "  Enter: filter  Esc: leave");
    }
    let keys = if state.opened.is_some() {
        "Esc close  ↑↓ scroll  ? help  q quit"
    } else {
        "↑↓ Enter open  / filter  Space pause  Tab group  s sort  w window  ? help  q quit"
    };
    Line::of(Tone::Dim, keys)
}

#[expect(clippy::cast_precision_loss, reason = "counts of what fits into memory")]
fn rate(requests: usize, window: Duration) -> String {
    let rate = requests as f64 / window.as_secs_f64();
    match rate {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{:.1}/min", rate * 60.0),
        ..100.0 => format!("{rate:.1}/s"),
        _ => format!("{rate:.0}/s"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of what fits into memory")]
fn errors(figures: &Figures) -> String {
    if figures.errors == 0 { "0".to_owned() } else { share(figures.errors as f64 / figures.requests as f64) }
}

/// Tokens of answers a second.
fn pace(figures: &Figures, window: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let pace = figures.output as f64 / window.as_secs_f64();
    if pace < 100.0 {
        return format!("{pace:.1}");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count through a time")]
    count(pace as u64)
}

/// Dollars an hour.
fn hourly(sum: Option<f64>, window: Duration) -> String {
    known(sum.map(|sum| money(sum * 3600.0 / window.as_secs_f64())))
}

#[cfg(test)]
mod tests;
