//! Tables on standard output.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

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

/// The start of a text on one line of at most `width` characters.
pub(super) fn shorten(text: &str, width: usize) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > width {
        line = line.chars().take(width.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}
