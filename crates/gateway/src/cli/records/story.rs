//! One request's whole story, as a tree.

use super::row::{Row, Score, Try};
use super::text::{Line, Tone, fit, pad, wrap};
use super::which::NONE;
use super::words::{known, money, plain, plain_lines, share, time, whole};

/// Columns of a bar.
const BAR: usize = 24;
/// Columns of the axis of time.
const AXIS: usize = 32;
/// Names of models and routes are not longer in a tree.
const NAME: usize = 40;
/// Routes that are shown; there may be hundreds, and the others had less.
const ROUTES: usize = 20;

/// A line and what belongs to it.
struct Branch {
    line: Line,
    under: Vec<Branch>,
}

impl Branch {
    fn leaf(line: Line) -> Self {
        Self { line, under: Vec::new() }
    }

    fn named(name: &str, line: Line) -> Self {
        let mut all = Line::of(Tone::Strong, pad(name, 10, false));
        all.0.extend(line.0);
        Self::leaf(all)
    }
}

/// The story in lines of so many columns, where there is a limit.
pub(in crate::cli) fn story(row: &Row, width: Option<usize>) -> Vec<Line> {
    let mut head = Line::of(Tone::of_status(row.status, row.is_error()), row.status.to_string())
        .with(Tone::Strong, format!("  {}", plain(&row.id)));
    head.cut(width.unwrap_or(usize::MAX));
    let branches = [
        Some(request(row)),
        decision(row),
        attempts(row),
        answer(row),
        tokens(row),
        cost(row),
        lost(row),
        row.error.as_ref().map(|error| Branch::named("error", Line::of(Tone::Bad, plain(error)))),
        said(row),
    ];
    let mut lines = vec![head];
    grow(branches.into_iter().flatten().collect(), "", width.unwrap_or(usize::MAX), &mut lines);
    lines
}

/// Draws branches; what is longer than a line goes on under its beginning.
fn grow(branches: Vec<Branch>, before: &str, width: usize, lines: &mut Vec<Line>) {
    let last = branches.len().saturating_sub(1);
    for (place, branch) in branches.into_iter().enumerate() {
        let (knee, stem) = if place == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let has_more = !branch.under.is_empty();
        let under = format!("{before}{stem}");
        let go_on = if has_more { format!("{under}│  ") } else { format!("{under}   ") };
        let room = width.saturating_sub(before.chars().count() + 3);
        for (part, line) in folded(branch.line, room).into_iter().enumerate() {
            let lead = if part == 0 { format!("{before}{knee}") } else { go_on.clone() };
            let mut whole = Line::of(Tone::Dim, lead);
            whole.0.extend(line.0);
            whole.cut(width);
            lines.push(whole);
        }
        grow(branch.under, &under, width, lines);
    }
}

/// Only the last piece of a line is ever long.
fn folded(mut line: Line, room: usize) -> Vec<Line> {
    if line.width() <= room {
        return vec![line];
    }
    let Some((tone, long)) = line.0.pop() else { return vec![line] };
    let taken = line.width();
    // The first line has less room than those that follow, which stand three columns in.
    let mut parts = wrap(&long, room.saturating_sub(taken)).into_iter();
    let first = parts.next().unwrap_or_default();
    let rest = parts.collect::<Vec<_>>().join(" ");
    let mut lines = vec![line.with(tone, first)];
    if !rest.is_empty() {
        lines.extend(wrap(&rest, room.saturating_sub(3)).into_iter().map(|part| Line::of(tone, part)));
    }
    lines
}

fn request(row: &Row) -> Branch {
    let model = if row.requested.is_empty() { "no model named".to_owned() } else { plain(&row.requested) };
    let mut line =
        Line::of(Tone::Accent, fit(&model, NAME)).with(Tone::Plain, format!("  {}", plain(&row.endpoint)));
    line.push(Tone::Plain, if row.stream { ", a stream" } else { "" });
    let mut branch = Branch::named("request", line);
    let facts = [
        ("at", Some(&row.time)),
        ("listener", Some(&row.listener).filter(|name| !name.is_empty())),
        ("caller", row.caller.as_ref()),
        ("session", row.session.as_ref()),
        ("trace", row.trace_id.as_ref()),
    ];
    let facts =
        facts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", fit(&plain(value?), NAME))));
    branch.under.push(Branch::leaf(Line::of(Tone::Dim, facts.collect::<Vec<_>>().join("  "))));
    branch
}

fn decision(row: &Row) -> Option<Branch> {
    let method = row.method.as_ref()?;
    let mut line = Line::of(Tone::Plain, format!("by {}", plain(method)));
    if method == "preference" || !row.scores.is_empty() {
        let route = row.route.as_deref().unwrap_or(NONE);
        line.push(Tone::Accent, format!(" → {}", fit(&plain(route), NAME)));
    }
    if let Some(confidence) = row.confidence {
        line.push(Tone::Plain, format!(" at {}", share(confidence)));
    }
    let scorer = row.scorer.iter().chain(&row.tier).map(|word| plain(word)).collect::<Vec<_>>().join(", ");
    line.push(Tone::Dim, if scorer.is_empty() { scorer } else { format!("  {scorer}") });
    line.push(Tone::Dim, format!("  in {}", time(row.decision_ms)));
    let mut branch = Branch::named("decision", line);
    let mut tell = |name: &str, text: String| {
        let line = Line::of(Tone::Dim, format!("{name} ")).with(Tone::Plain, text);
        branch.under.push(Branch::leaf(line));
    };
    if row.brings_routes {
        tell("routes", "of the request itself".to_owned());
    }
    if let Some(reason) = &row.reason {
        tell("reason", plain(reason));
    }
    row.notes.iter().for_each(|note| tell("note", plain(note)));
    if let Some(escalation) = &row.escalation {
        tell("router model", plain(escalation));
    }
    if let Some(affinity) = &row.affinity {
        tell("conversation", plain(affinity));
    }
    if let Some(prefer) = &row.prefer {
        tell("models ordered by", plain(prefer));
    }
    for skipped in &row.skipped {
        tell("put last", format!("{}: it {}", plain(&skipped.model), plain(&skipped.why)));
    }
    for stripped in &row.stripped {
        tell(
            "not read",
            format!("{} bytes of turn {} ({})", whole(stripped.bytes), stripped.turn, plain(&stripped.rule)),
        );
    }
    branch.under.extend(probabilities(row));
    Some(branch)
}

/// Every route's probability, and that none fits.
fn probabilities(row: &Row) -> Vec<Branch> {
    if row.scores.is_empty() {
        return Vec::new();
    }
    let none = row.none_probability.map(|probability| Score {
        route: NONE.to_owned(),
        probability,
        threshold: row.none_threshold,
    });
    let chosen = row.route.as_deref();
    let hidden = row.scores.len().saturating_sub(ROUTES);
    let shown: Vec<&Score> = row.scores.iter().take(ROUTES).chain(&none).collect();
    let names: Vec<String> = shown.iter().map(|score| fit(&plain(&score.route), NAME)).collect();
    let width = names.iter().map(|name| Line::of(Tone::Plain, name).width()).max().unwrap_or_default();
    let mut branches: Vec<Branch> = shown
        .iter()
        .zip(&names)
        .map(|(score, name)| {
            let tone = if chosen == Some(score.route.as_str()) { Tone::Accent } else { Tone::Plain };
            let mut line = Line::of(tone, format!("{}  ", pad(name, width, false)));
            line.0.extend(bar(score.probability, score.threshold, tone));
            line.push(tone, format!(" {:>7}", share(score.probability)));
            if let Some(threshold) = score.threshold.filter(|threshold| *threshold > 0.0) {
                line.push(Tone::Dim, format!("  of {}", share(threshold)));
            }
            Branch::leaf(line)
        })
        .collect();
    if hidden > 0 {
        branches.push(Branch::leaf(Line::of(Tone::Dim, format!("{hidden} more routes had less"))));
    }
    branches
}

/// A bar, with a stroke at its threshold.
fn bar(part: f64, threshold: Option<f64>, tone: Tone) -> Vec<(Tone, String)> {
    let (full, mark) =
        (cells(part, BAR), threshold.map(|part| cells(part, BAR).min(BAR - 1)).filter(|mark| *mark > 0));
    (0..BAR)
        .map(|cell| match cell {
            cell if Some(cell) == mark => (Tone::Warn, "┃".to_owned()),
            cell if cell < full => (tone, "█".to_owned()),
            _ => (Tone::Dim, "·".to_owned()),
        })
        .collect()
}

fn cells(part: f64, of: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between nothing and a few columns; what is no number is nothing"
    )]
    let cells = (part.clamp(0.0, 1.0) * of as f64).round() as usize;
    cells.min(of)
}

/// What filled the time from here to there.
fn axis(from: f64, to: f64, total: f64, tone: Tone) -> Vec<(Tone, String)> {
    let total = if total > 0.0 { total } else { 1.0 };
    let start = cells(from / total, AXIS).min(AXIS - 1);
    let end = cells(to / total, AXIS).clamp(start + 1, AXIS);
    vec![(Tone::Dim, "·".repeat(start)), (tone, "█".repeat(end - start)), (Tone::Dim, "·".repeat(AXIS - end))]
}

fn attempts(row: &Row) -> Option<Branch> {
    if row.tries.is_empty() {
        return None;
    }
    let passed_by = row.tries.iter().filter(|attempt| attempt.status == 0).count();
    let mut line = Line::of(Tone::Plain, row.attempts.to_string());
    if passed_by > 0 {
        line.push(Tone::Dim, format!("  {passed_by} passed by"));
    }
    let mut branch = Branch::named("attempts", line);
    let names: Vec<String> = row.tries.iter().map(|attempt| fit(&plain(&attempt.model), NAME)).collect();
    let width = names.iter().map(|name| Line::of(Tone::Plain, name).width()).max().unwrap_or_default();
    for (attempt, name) in row.tries.iter().zip(&names) {
        branch.under.push(Branch::leaf(attempt_line(attempt, &pad(name, width, false), row)));
    }
    Some(branch)
}

fn attempt_line(attempt: &Try, name: &str, row: &Row) -> Line {
    let Try { outcome, status, started_ms, ms, connect_ms, .. } = attempt;
    let tone = match outcome.as_str() {
        "ok" => Tone::Good,
        _ if *status == 0 => Tone::Dim,
        _ => Tone::Bad,
    };
    let mut line = Line::of(Tone::Plain, format!("{name}  "));
    line.0.extend(axis(*started_ms, started_ms + ms, row.total_ms, tone));
    line.push(Tone::Plain, format!("  at {}", time(*started_ms)));
    if *status != 0 {
        line.push(Tone::Plain, format!(" for {}", time(*ms)));
    }
    if let Some(connecting) = connect_ms {
        line.push(Tone::Dim, format!(" ({} to connect)", time(*connecting)));
    }
    let outcome = plain(&outcome.replace('_', " ")).replace("passed by:", "passed by: ");
    line.push(
        tone,
        if *status == 0 || outcome == "ok" {
            format!("  {outcome}")
        } else {
            format!("  {outcome} ({status})")
        },
    );
    line
}

fn answer(row: &Row) -> Option<Branch> {
    row.first_byte_ms?;
    let mut line = Line::of(Tone::Plain, format!("whole after {}", time(row.total_ms)));
    if let Some(first) = row.first_token_ms {
        line = Line::of(
            Tone::Plain,
            format!("first token after {}, all after {}", time(first), time(row.total_ms)),
        );
    }
    if let Some(pace) = row.tokens_per_second {
        line.push(Tone::Plain, format!(", {pace:.1} tokens/s"));
    }
    if let Some(reason) = &row.finish_reason {
        line.push(Tone::Dim, format!("  {}", plain(reason)));
    }
    let mut branch = Branch::named("answer", line);
    if let Some(first) = row.first_token_ms {
        let mut line = Line::of(Tone::Plain, "stream  ");
        line.0.extend(axis(first, row.total_ms, row.total_ms, Tone::Accent));
        branch.under.push(Branch::leaf(line));
    }
    if let Some(dialect) = row.provider_dialect.as_ref().filter(|dialect| **dialect != row.client_dialect) {
        let line = Line::of(
            Tone::Dim,
            format!("translated from {} to {}", plain(dialect), plain(&row.client_dialect)),
        );
        branch.under.push(Branch::leaf(line));
    }
    Some(branch)
}

fn tokens(row: &Row) -> Option<Branch> {
    let (input, output) = (row.input_tokens?, row.output_tokens?);
    let some = |number: Option<u64>, what: &str| {
        number.filter(|number| *number > 0).map(|number| format!("{} {what}", whole(number)))
    };
    let read: Vec<String> =
        [some(row.cached_tokens, "from the cache"), some(row.cache_write_tokens, "into the cache")]
            .into_iter()
            .flatten()
            .collect();
    let bracket = |text: String| if text.is_empty() { text } else { format!(" ({text})") };
    let line = Line::of(Tone::Plain, format!("{} in", whole(input)))
        .with(Tone::Dim, bracket(read.join(", ")))
        .with(Tone::Plain, format!(", {} out", whole(output)))
        .with(Tone::Dim, bracket(some(row.reasoning_tokens, "to think").unwrap_or_default()));
    Some(Branch::named("tokens", line))
}

fn cost(row: &Row) -> Option<Branch> {
    row.input_tokens?;
    let mut line = Line::of(Tone::Plain, known(row.cost.map(money)));
    if let Some(default) = row.default_cost {
        line.push(Tone::Dim, format!("  {} at the default model", money(default)));
    }
    if let Some(saved) = row.saved().filter(|saved| *saved != 0.0) {
        let (word, tone) = if saved > 0.0 { ("saved", Tone::Good) } else { ("more", Tone::Warn) };
        line.push(tone, format!("  {} {word}", money(saved.abs())));
    }
    let mut branch = Branch::named("cost", line);
    if row.cost.is_none() {
        let what = format!("no price is known of {}: give it a `cost`", plain(&row.model()));
        branch.under.push(Branch::leaf(Line::of(Tone::Warn, what)));
    }
    Some(branch)
}

fn lost(row: &Row) -> Option<Branch> {
    let all: Vec<String> = row
        .loss
        .iter()
        .map(|lost| format!("{} ({})", plain(&lost.field), plain(&lost.reason.replace('_', " "))))
        .collect();
    (!all.is_empty()).then(|| Branch::named("lost", Line::of(Tone::Warn, all.join(", "))))
}

fn said(row: &Row) -> Option<Branch> {
    let content = row.content.as_ref()?;
    let mut branch = Branch::named(
        "said",
        Line::of(Tone::Dim, if content.truncated { "the middle of what is long was not kept" } else { "" }),
    );
    let answer = content.answer.as_ref().map(|answer| ("answer", answer.as_str()));
    for (role, text) in
        content.turns.iter().map(|turn| (turn.role.as_str(), turn.text.as_str())).chain(answer)
    {
        let mut turn = Branch::leaf(Line::of(Tone::Accent, plain(role)));
        turn.under = plain_lines(text).map(|line| Branch::leaf(Line::of(Tone::Plain, line))).collect();
        branch.under.push(turn);
    }
    Some(branch)
}
