//! Requests as lines of a table.

use unicode_width::UnicodeWidthStr;

use super::row::Row;
use super::text::{Line, Tone, fit, pad};
use super::words::{count, known, money, plain, time};

/// A column: its head, whether it is a number, and the width that it usually needs.
struct Column {
    head: &'static str,
    is_number: bool,
    usual: usize,
    cell: fn(&Row) -> String,
}

const TIME: usize = 0;
const STATUS: usize = 1;
const MODEL: usize = 2;
const ROUTE: usize = 3;
const ERROR: usize = 9;
const COLUMNS: [Column; 10] = [
    Column { head: "time (UTC)", is_number: false, usual: 14, cell: |row| clock(&row.time) },
    Column { head: "status", is_number: true, usual: 6, cell: |row| row.status.to_string() },
    Column { head: "model", is_number: false, usual: 0, cell: |row| plain(&row.model()) },
    Column {
        head: "route",
        is_number: false,
        usual: 0,
        cell: |row| plain(row.route.as_deref().unwrap_or_default()),
    },
    Column { head: "conf", is_number: true, usual: 4, cell: confidence },
    Column {
        head: "first",
        is_number: true,
        usual: 5,
        cell: |row| row.first_token_ms.map(time).unwrap_or_default(),
    },
    Column { head: "total", is_number: true, usual: 5, cell: |row| time(row.total_ms) },
    Column { head: "tokens", is_number: true, usual: 8, cell: tokens },
    Column { head: "cost", is_number: true, usual: 9, cell: cost },
    Column {
        head: "error",
        is_number: false,
        usual: 0,
        cell: |row| plain(row.error.as_deref().unwrap_or_default()),
    },
];
/// What is cut first where there is no room, and to how much.
const CUT: [(usize, usize); 3] = [(ERROR, 24), (MODEL, 16), (ROUTE, 8)];
/// Which columns go then: the least telling first.
const DROPPED: [usize; 6] = [5, 4, 7, 8, ROUTE, 6];
/// Names from outside take no more columns than this.
const WIDEST: usize = 100;
/// Between two columns.
const GAP: &str = "  ";

fn confidence(row: &Row) -> String {
    row.confidence.map(|part| format!("{part:.2}")).unwrap_or_default()
}

fn tokens(row: &Row) -> String {
    match (row.input_tokens, row.output_tokens) {
        (Some(input), Some(output)) => format!("{}→{}", count(input), count(output)),
        _ => String::new(),
    }
}

fn cost(row: &Row) -> String {
    if row.input_tokens.is_some() { known(row.cost.map(money)) } else { String::new() }
}

/// The month, the day and the time of day.
fn clock(time: &str) -> String {
    let (date, time) = time.split_once('T').unwrap_or_default();
    plain(&format!("{} {}", date.get(5..).unwrap_or_default(), time.get(..8).unwrap_or_default()))
}

/// Rows that come page by page. Columns grow with what comes, and never shrink.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Listing {
    room: Option<usize>,
    /// The widest cell of each column.
    natural: [usize; COLUMNS.len()],
    /// The columns that are shown, with their widths.
    widths: Vec<(usize, usize)>,
}

impl Listing {
    /// A table of so many columns of a terminal; `None` where lines may be as long as they are.
    pub(in crate::cli) fn new(room: Option<usize>) -> Self {
        let head = |column: &Column| column.head.width().max(column.usual);
        Self { room, natural: COLUMNS.each_ref().map(head), widths: Vec::new() }
    }

    /// Rows, with the head in front of the first ones.
    pub(in crate::cli) fn page(&mut self, rows: &[Row]) -> Vec<Line> {
        if rows.is_empty() {
            return Vec::new();
        }
        let is_first = self.widths.is_empty();
        let mut lines = self.lines(rows.iter());
        if is_first {
            lines.insert(0, self.head());
        }
        lines
    }

    pub(in crate::cli) fn lines<'r>(&mut self, rows: impl Iterator<Item = &'r Row>) -> Vec<Line> {
        let rows: Vec<(&Row, [String; COLUMNS.len()])> =
            rows.map(|row| (row, COLUMNS.each_ref().map(|column| (column.cell)(row)))).collect();
        for (_, cells) in &rows {
            for (widest, cell) in self.natural.iter_mut().zip(cells) {
                *widest = cell.width().min(WIDEST).max(*widest);
            }
        }
        self.widths = widths(&self.natural, self.room);
        rows.iter().map(|(row, cells)| self.line(cells, |column| tone(column, row))).collect()
    }

    pub(in crate::cli) fn head(&self) -> Line {
        self.line(&COLUMNS.each_ref().map(|column| column.head.to_owned()), |_| Tone::Strong)
    }

    fn line(&self, cells: &[String], tone: impl Fn(usize) -> Tone) -> Line {
        let mut line = Line::default();
        for (place, (column, width)) in self.widths.iter().enumerate() {
            let (Some(cell), Some(kind)) = (cells.get(*column), COLUMNS.get(*column)) else { continue };
            let is_last = place + 1 == self.widths.len();
            // Without a terminal's edge nothing is cut.
            let cell = if self.room.is_some() { fit(cell, *width) } else { cell.clone() };
            let cell = if is_last && !kind.is_number { cell } else { pad(&cell, *width, kind.is_number) };
            line.push(tone(*column), cell);
            line.push(Tone::Plain, if is_last { "" } else { GAP });
        }
        line.trim_end();
        if let Some(room) = self.room {
            line.cut(room);
        }
        line
    }
}

fn tone(column: usize, row: &Row) -> Tone {
    match column {
        TIME => Tone::Dim,
        STATUS => Tone::of_status(row.status, row.is_error()),
        ROUTE => Tone::Accent,
        ERROR => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// As wide as what is in them; where that is too much, names and errors are cut, and then columns left out.
fn widths(natural: &[usize], room: Option<usize>) -> Vec<(usize, usize)> {
    let mut widths: Vec<(usize, usize)> = natural.iter().copied().enumerate().collect();
    let Some(room) = room else { return widths };
    let needed = |widths: &[(usize, usize)]| {
        widths.iter().map(|(_, width)| width + GAP.len()).sum::<usize>() - GAP.len()
    };
    let mut dropped = DROPPED.iter();
    loop {
        for (column, least) in CUT {
            let over = needed(&widths).saturating_sub(room);
            if let Some((_, width)) = widths.iter_mut().find(|(shown, _)| *shown == column) {
                *width = width.saturating_sub(over).max(least.min(*width));
            }
        }
        if needed(&widths) <= room {
            return widths;
        }
        let Some(column) = dropped.next() else { return widths };
        widths.retain(|(shown, _)| shown != column);
    }
}
