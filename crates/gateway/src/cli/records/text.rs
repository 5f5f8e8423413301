//! Lines of pieces with a tone, for a terminal as for a screen of cells, and their way to standard output.

use std::io::{IsTerminal, Write};

use clap::builder::styling::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is, which decides how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::cli) enum Tone {
    #[default]
    Plain,
    Dim,
    Strong,
    Good,
    Warn,
    Bad,
    Accent,
}

impl Tone {
    /// A status: what went well, what the client and what a provider did wrong. A good one does not say it of a stream that
    /// broke off.
    pub(in crate::cli) fn of_status(status: u16, is_error: bool) -> Self {
        match status {
            0..400 if !is_error => Self::Good,
            400..500 => Self::Warn,
            _ => Self::Bad,
        }
    }

    fn style(self) -> Style {
        let color = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Dim => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
            Self::Good => color(AnsiColor::Green),
            Self::Warn => color(AnsiColor::Yellow),
            Self::Bad => color(AnsiColor::Red),
            Self::Accent => color(AnsiColor::Cyan),
        }
    }
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Line(pub(in crate::cli) Vec<(Tone, String)>);

impl Line {
    pub(in crate::cli) fn of(tone: Tone, text: impl Into<String>) -> Self {
        Self(vec![(tone, text.into())])
    }

    pub(in crate::cli) fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.push(tone, text);
        self
    }

    pub(in crate::cli) fn push(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.push((tone, text));
        }
    }

    pub(in crate::cli) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// Cut to this many columns.
    pub(in crate::cli) fn cut(&mut self, width: usize) {
        if self.width() <= width {
            return;
        }
        let mut left = width;
        for (_, text) in &mut self.0 {
            *text = fit(text, left);
            left = left.saturating_sub(text.width());
        }
        self.0.retain(|(_, text)| !text.is_empty());
    }

    /// Without blanks at its end.
    pub(in crate::cli) fn trim_end(&mut self) {
        while let Some((_, text)) = self.0.last_mut() {
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                return;
            }
            self.0.pop();
        }
    }

    /// With the codes of a terminal and a line break.
    pub(in crate::cli) fn ansi(&self) -> String {
        let mut text = String::new();
        for (tone, piece) in &self.0 {
            let style = tone.style();
            text.push_str(&format!("{style}{piece}{style:#}"));
        }
        text.push('\n');
        text
    }
}

/// The start of a text, in so many columns.
pub(in crate::cli) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut columns = 0;
    let mut kept: String = text
        .chars()
        .take_while(|letter| {
            columns += letter.width().unwrap_or_default();
            columns < width
        })
        .collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A text of so many columns, or more; to the right where it is a number.
pub(in crate::cli) fn pad(text: &str, width: usize, is_right: bool) -> String {
    let room = " ".repeat(width.saturating_sub(text.width()));
    if is_right { format!("{room}{text}") } else { format!("{text}{room}") }
}

/// Lines of whole words; a word that is longer than a line is broken.
pub(in crate::cli) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
        } else if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.chars() {
            if line.width() + letter.width().unwrap_or_default() > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// How many columns there are; `None` where lines may be as long as they are.
pub(in crate::cli) fn columns(asked: Option<u16>) -> Option<usize> {
    let own = || {
        std::io::stdout()
            .is_terminal()
            .then(|| ratatui::crossterm::terminal::size().ok().map(|(columns, _)| columns))?
    };
    asked.or_else(own).map(usize::from).filter(|columns| *columns > 0)
}

/// Writes lines to standard output; their colours only where it shows any.
///
/// # Errors
/// Nobody reads them, or the disk is full.
pub(in crate::cli) fn print(lines: &[Line]) -> std::io::Result<()> {
    print_text(&lines.iter().map(Line::ansi).collect::<String>())
}

/// Writes text as it is.
pub(in crate::cli) fn print_text(text: &str) -> std::io::Result<()> {
    let mut output = anstream::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_and_not_letters() {
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("日本語です", 5), "日本…");
        assert_eq!((fit("abc", 3), fit("abc", 1), fit("abc", 0)), ("abc".into(), "…".into(), String::new()));
        assert_eq!(pad("日本", 6, false), "日本  ");
        assert_eq!(wrap("one two three fourfivesixseven", 9), ["one two", "three", "fourfives", "ixseven"]);
        let mut line = Line::of(Tone::Good, "abc").with(Tone::Bad, "defg");
        line.cut(5);
        assert_eq!(line, Line::of(Tone::Good, "abc").with(Tone::Bad, "d…"));
    }
}
