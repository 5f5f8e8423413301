//! Tables on standard output.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

use super::records::words::plain;

/// A borderless table with a head.
pub(super) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    table
}

/// Many rows of figures: names to the left, numbers to the right, no lines between.
pub(super) fn figures(head: &[&str]) -> Table {
    let mut table = table(head);
    table.load_style(presets::NOTHING);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The same as text, for tens of thousands of rows, the head among them: so many columns to the left, the rest to the
/// right. No cell is laid out anew.
pub(super) fn columns(rows: &[Vec<String>], left: usize) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = String::with_capacity(rows.len() * (widths.iter().sum::<usize>() + 2 * widths.len()));
    let blank = |text: &mut String, count: usize| text.extend(std::iter::repeat_n(' ', count));
    for row in rows {
        for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let room = width.saturating_sub(cell.width());
            blank(&mut text, 1 + if place < left { 0 } else { room });
            text.push_str(cell);
            blank(&mut text, 1 + if place < left { room } else { 0 });
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

/// The start of a text from outside on one line of at most `width` characters, with nothing that a terminal would obey.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let mut line = plain(text);
    if line.chars().count() > width {
        line = line.chars().take(width.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_short_and_steers_nothing() {
        assert_eq!(shorten("two\n  lines", 20), "two lines");
        assert_eq!(shorten("longer than that", 8), "longer …");
        assert_eq!(shorten("a\u{1b}[2J\u{9b}b\u{202e}c", 20), "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
    }
}
