//! What the router reads of the requests of known harnesses. A new case is an entry of a file in
//! `tests/fixtures/reading`, or a new file, no code. `UPDATE=1` rewrites what is generated.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use waypost_dialect::envelope::{self, Conversation, RawTurn, Role, Turn};
use waypost_routing::preference::reading::table::{Harness, Kind, Rule, TABLE, VERSION};
use waypost_routing::preference::reading::{self, Reading};

/// Reads messages without a system prompt.
fn read(turns: Vec<RawTurn<'_>>) -> Reading<'_> {
    reading::read(turns.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    /// Whose requests these are.
    #[serde(rename = "harness")]
    _harness: String,
    /// Where the format is published.
    source: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    body: Value,
    turns: Vec<(String, String)>,
    stripped: Vec<String>,
    #[serde(default)]
    call: Option<String>,
    /// The row, where the call is known by its system prompt.
    #[serde(default)]
    row: Option<String>,
}

fn manifest(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn fixtures() -> Vec<(String, Fixture)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(manifest("tests/fixtures/reading"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let load = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let fixture =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_stem().unwrap().to_string_lossy().into_owned(), fixture)
    };
    files.into_iter().map(load).collect()
}

#[test]
fn harnesses_are_read_as_their_fixtures_say() {
    let mut failures = String::new();
    for (file, fixture) in fixtures() {
        assert!(!fixture.source.is_empty(), "{file} names no source");
        for case in fixture.cases {
            let body = case.body.to_string();
            let reading = reading::read(envelope::peek_any(body.as_bytes()).unwrap().conversation());
            let role = |turn: &Turn<'_>| format!("{:?}", turn.role).to_lowercase();
            let turns: Vec<(String, String)> =
                reading.turns.iter().map(|turn| (role(turn), turn.text.to_string())).collect();
            let stripped: Vec<&str> = reading.stripped.iter().map(|stripped| stripped.rule).collect();
            let call = reading.call.map(|rule| rule.harness.name().to_owned());
            let by_system = reading.call.filter(|rule| !stripped.contains(&rule.name));
            let row = by_system.map(|rule| rule.name.to_owned());
            if turns != case.turns || stripped != case.stripped || call != case.call || row != case.row {
                writeln!(failures, "{file}: {}:\n  {turns:?}\n  {stripped:?}\n  {call:?} {row:?}", case.name)
                    .unwrap();
            }
            if reading.call.is_none() {
                assert_again(&reading);
            }
        }
    }
    assert!(failures.is_empty(), "not read as expected:\n{failures}");
}

/// What has been read is read the same again.
fn assert_again(reading: &Reading<'_>) {
    let again = read(reading.turns.iter().cloned().map(RawTurn::from).collect());
    assert_eq!(again.turns, reading.turns);
}

#[test]
fn rows_are_unique_and_tested() {
    let names: BTreeSet<&str> = TABLE.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), TABLE.len(), "two rows have one name");
    for (number, rule) in TABLE.iter().enumerate() {
        let twin =
            TABLE[..number].iter().find(|earlier| (earlier.kind, earlier.with) == (rule.kind, rule.with));
        assert!(twin.is_none(), "{} never applies: {twin:?} comes first", rule.name);
    }
    // Each row by itself, built from what it is known by.
    for rule in TABLE {
        if let Kind::SystemCall(words) = rule.kind {
            let turns = vec![RawTurn { role: Role::User, parts: vec!["Hello.".into()] }];
            let said =
                Conversation { system: vec!["Be brief.".into(), format!("\n{words} x").into()], turns };
            let reading = reading::read(said);
            assert_eq!(reading.call, Some(rule), "{} is not reached", rule.name);
            assert!(reading.turns.is_empty() && reading.stripped.is_empty(), "{}", rule.name);
            // As long as what is read of a system prompt, with room for blanks before it.
            assert!(words.len() <= envelope::BEGINNING - 64, "{} is longer than what is read", rule.name);
            continue;
        }
        let (texts, kept) = sample(rule);
        let said = Turn { role: Role::Assistant, text: "Action: look <execute_bash>".into() };
        let mut turns = vec![RawTurn { role: Role::User, parts: vec!["Hello.".into()] }, said.into()];
        if let Kind::FirstCall(_) = rule.kind {
            turns.clear();
        }
        if let Kind::Reply(_) = rule.kind {
            let edited = Turn { role: Role::User, text: "I updated the files.".into() };
            turns.push(edited.into());
            turns.push(Turn { role: Role::Assistant, text: "Ok.".into() }.into());
        } else {
            if rule.common {
                let alone =
                    RawTurn { role: Role::User, parts: texts.iter().cloned().map(Into::into).collect() };
                let reading = read(turns.iter().cloned().chain([alone]).collect());
                assert_eq!(reading.stripped, [], "{} goes without another sign of its harness", rule.name);
                turns.push(RawTurn { role: Role::User, parts: vec![sign_of(rule.harness).into()] });
            }
            turns.push(RawTurn { role: Role::User, parts: texts.into_iter().map(Into::into).collect() });
        }
        let before = turns.len();
        let reading = read(turns);
        let stripped: Vec<&str> = reading.stripped.iter().map(|stripped| stripped.rule).collect();
        assert!(stripped.contains(&rule.name), "{}: {stripped:?}", rule.name);
        if is_call(rule.kind) {
            assert_eq!(reading.call.map(|row| row.harness), Some(rule.harness), "{}", rule.name);
            assert!(reading.turns.is_empty(), "{}", rule.name);
        } else {
            assert_eq!(reading.call, None, "{}", rule.name);
            let last = reading.turns.last().map(|turn| turn.text.as_ref());
            assert_eq!(
                last.filter(|text| *text == "kept").is_some(),
                kept,
                "{}: {last:?} of {before}",
                rule.name
            );
        }
    }
}

/// A message that goes by a row that nobody writes by chance.
fn sign_of(harness: Harness) -> String {
    let is_sign = |rule: &&Rule| {
        rule.harness == harness && !rule.common && matches!(rule.kind, Kind::Element(_) | Kind::Part(_))
    };
    let (texts, _) = sample(TABLE.iter().find(is_sign).unwrap());
    texts.into_iter().next().unwrap()
}

fn is_call(kind: Kind) -> bool {
    matches!(kind, Kind::Call(_) | Kind::WholeCall(_) | Kind::FirstCall(_) | Kind::CallElement(_))
}

/// The parts of a message to which a row applies, and whether "kept" is what is left of it.
fn sample(rule: &Rule) -> (Vec<String>, bool) {
    let with = rule.with;
    let element = |tag: &str, inside: &str| {
        let (name, attribute) = tag.split_once(' ').unwrap_or((tag, ""));
        let value = if attribute.ends_with('=') { "\"x\"" } else { "" };
        format!("<{}{value}>\n{inside}\n</{name}>", [name, attribute].join(" ").trim_end())
    };
    match rule.kind {
        Kind::Element(tag) => (vec![element(tag, "gone"), "kept".into()], true),
        Kind::ElementWith(tag, companion) => {
            let companion = companion.trim_matches(['<', '>']);
            (vec![element(tag, "gone"), element(companion, "kept")], companion != "user_info")
        }
        Kind::CallElement(tag) => (vec![element(tag, "gone")], false),
        Kind::Wrapper(tag) => (vec![element(tag, "kept")], true),
        Kind::Part(words) | Kind::Summary(words) | Kind::Restart(words) => {
            (vec![format!("{words} gone {with}"), "kept".into()], true)
        }
        Kind::WholePart(words) => (vec![words.into(), "kept".into()], true),
        Kind::Result(words, end) => (vec![format!("{words} x {end}\ngone"), "kept".into()], true),
        Kind::Observation(words, _) => (vec![format!("{words} gone"), "kept".into()], true),
        Kind::Preface(words, marker) => (vec![format!("{words} gone\n{marker}\nkept")], true),
        Kind::Tail(words) => (vec![format!("kept\n{words} gone{with}\ngone")], true),
        Kind::Scratchpad(step, act) => (vec![format!("kept\n{step} gone\n{act} gone\n{step} ")], true),
        Kind::Reply(_) => (Vec::new(), false),
        Kind::Call(words) => (vec!["Hello.".into(), format!("{words} gone {with}")], false),
        Kind::WholeCall(words) => (vec![format!(" {words}\n")], false),
        Kind::FirstCall(words) => (vec![words.into(), "what it is about".into()], false),
        Kind::SystemCall(words) => (vec![format!("{words} gone")], false),
    }
}

#[test]
fn nothing_is_copied_where_nothing_is_stripped() {
    let body = r#"{"messages":[{"role":"user","content":"plain"},{"role":"user","content":[{"type":"text","text":"<task>\u0020"},{"type":"text","text":"<system-reminder>x</system-reminder>why?"}]}]}"#;
    let reading = read(envelope::peek(body.as_bytes()).unwrap().turns());
    let inside = |text: &str| body.as_bytes().as_ptr_range().contains(&text.as_ptr());
    assert!(inside(&reading.turns[0].text));
    let parts = vec!["<system-reminder>x</system-reminder>why?".into()];
    let reading = read(vec![RawTurn { role: Role::User, parts }]);
    assert!(matches!(&reading.turns[0].text, std::borrow::Cow::Borrowed("why?")));
}

/// A quadratic step would run for minutes, so a passing test is the measurement.
#[test]
fn hostile_sizes_take_linear_time() {
    const SIZE: usize = 1 << 20;
    let fill = |unit: &str| unit.repeat(SIZE / unit.len());
    for text in [
        fill("<system-reminder>\n").repeat(10),
        fill("<task>\n") + "</task>",
        fill("<task>\n<feedback>\n") + "</task></feedback>",
        fill("<system-reminder></system-reminder>"),
        fill("<system-reminder></system-reminder>\n<task>"),
        fill("<task>x</task>\n"),
        fill("<task>\n</task> "),
        fill("<rules>\n") + "</rules>",
        fill("<\n"),
        fill("\n   <command name="),
        fill("[x] Result:\n<feedback>Observation:</feedback>\n"),
        "[x] Result:\n".to_owned() + &fill("<feedback># Context from my IDE setup:</feedback>\n"),
        fill("# Context from my IDE setup:\n"),
        fill("# Context from my IDE setup:\n## My request\n"),
        fill("# *SEARCH/REPLACE block* Rules:\n"),
        fill("x # *SEARCH/REPLACE block* Rules:"),
        fill("Thought:") + "\nThought:",
        fill("Thought:\n"),
        fill("<task>\nThought:</task>\n") + "Thought:",
        fill("A"),
        fill("AAAAAAAAAA "),
        fill(";base64,"),
        fill(&("Aa1".repeat(100) + ";base64,")),
        fill("a\n"),
        fill(" "),
        "count".to_owned() + &fill(" ") + "x",
    ] {
        let asked = Turn { role: Role::Assistant, text: text.as_str().into() };
        let turns = vec![asked.into(), RawTurn { role: Role::User, parts: vec![text.as_str().into()] }];
        let reading = read(turns);
        assert!(reading.stripped.len() <= 2 * TABLE.len());
    }
    let parts = vec!["<rules>\n</rules>\nObservation: <system-reminder>".into(); SIZE / 50];
    let said = Turn { role: Role::Assistant, text: fill("Act ").into() };
    drop(read(vec![said.into(), RawTurn { role: Role::User, parts }]));
}

/// What is known of all harnesses, and what is near to it, in pieces.
fn fragments() -> Vec<String> {
    let mut fragments: Vec<String> = TABLE
        .iter()
        .flat_map(|rule| {
            let (texts, _) = sample(rule);
            texts.into_iter().flat_map(|text| {
                let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
                lines.into_iter().chain([text])
            })
        })
        .collect();
    let more = ["\n", " ", "why?", "Ok.", "<", ">", "</", "é", "Action", "Result:", "data:image/png;base64,"];
    fragments.extend(more.map(str::to_owned));
    fragments.push("QU3d".repeat(70));
    fragments.push(("QU3d".repeat(16) + "\n").repeat(5));
    fragments
}

fn conversation() -> impl Strategy<Value = Vec<(bool, Vec<String>)>> {
    let part = vec(proptest::sample::select(fragments()), 1..8);
    let part = part.prop_map(|fragments| fragments.concat());
    vec((any::<bool>(), prop_oneof![3 => vec(part.clone(), 1), 1 => vec(part, 2..4)]), 1..5)
}

fn raw(turns: &[(bool, Vec<String>)]) -> Vec<RawTurn<'_>> {
    let raw = |(person, parts): &'_ (bool, Vec<String>)| {
        let role = if *person { Role::User } else { Role::Assistant };
        (role, parts.clone())
    };
    let turns = turns.iter().map(raw);
    turns.map(|(role, parts)| RawTurn { role, parts: parts.into_iter().map(Into::into).collect() }).collect()
}

/// Explanations show how a stripped text begins, on one line and no more of it.
#[test]
fn stripped_texts_are_shown_by_their_beginning() {
    let run = "QU3d".repeat(70);
    let parts = [
        "<system-reminder>\n Be  brief.\n</system-reminder>why?".to_owned(),
        format!("<system-reminder>{}</system-reminder>", "é".repeat(100)),
        format!("see {run} <task>"),
    ];
    let example = "I switched to a new code base. Please don't consider the above files or try to edit them any longer.";
    for (turns, expected) in [
        (vec![&parts[..1]], vec!["<system-reminder> Be brief. </system-reminder>".to_owned()]),
        (vec![&[][..], &parts[1..2]], vec![format!("<system-reminder>{}…", "é".repeat(43))]),
        (vec![&parts[2..]], vec![format!("{}…", &run[..60])]),
        (vec![&parts[..1], &[example.to_owned()]], {
            vec!["<system-reminder> Be brief. </system-reminder>".to_owned(), format!("{}…", &example[..60])]
        }),
    ] {
        let turns: Vec<RawTurn<'_>> = turns
            .into_iter()
            .map(|parts| RawTurn {
                role: Role::User,
                parts: parts.iter().map(|part| part.as_str().into()).collect(),
            })
            .collect();
        let reading = read(turns.clone());
        let shown: Vec<String> = reading.stripped.iter().map(|stripped| stripped.excerpt(&turns)).collect();
        assert_eq!(shown, expected, "{turns:?}");
    }
}

/// What is said in the place of base64 is in brackets, and so are headings of tool results.
#[test]
fn a_mention_of_base64_is_no_heading() {
    let run = "QU3d".repeat(70);
    for text in [format!("{run} [ x ] Result:\n"), format!("data:image/png;base64,{run} Result:\nwhy?")] {
        let reading = read(vec![Turn { role: Role::User, text: text.into() }.into()]);
        assert!(reading.turns[0].text.contains("Result:"), "{reading:?}");
        assert_again(&reading);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Reading never panics, never adds text, and what has been read is read the same again.
    #[test]
    fn reading_only_takes_away(turns in conversation()) {
        let size = |turn: &RawTurn<'_>| turn.parts.iter().map(|part| part.len() + 1).sum::<usize>();
        let before: usize = raw(&turns).iter().map(size).sum();
        let reading = read(raw(&turns));
        let after: usize = reading.turns.iter().map(|turn| turn.text.len() + 1).sum();
        prop_assert!(after <= before);
        prop_assert!(reading.turns.len() <= turns.len());
        prop_assert!(reading.turns.iter().all(|turn| !turn.text.trim().is_empty()));
        if reading.call.is_some() {
            prop_assert!(reading.turns.is_empty());
        }
        prop_assert_eq!(&reading, &read(raw(&turns)));
        // Parts have become one, and an element may now span what were two.
        if turns.iter().all(|(_, parts)| parts.len() == 1) {
            let again = read(reading.turns.iter().cloned().map(RawTurn::from).collect());
            prop_assert_eq!(again.turns, reading.turns);
        }
    }

    #[test]
    fn any_text_can_be_read(parts in vec(any::<String>(), 0..4)) {
        drop(read(vec![RawTurn { role: Role::User, parts: parts.into_iter().map(Into::into).collect() }]));
    }

    /// Prose stays as it is, and so does what merely speaks of tags.
    #[test]
    fn prose_is_left_untouched(words in vec("[a-zA-Zäß]{1,12}|[0-9]{1,5}|[.,!?]|看图", 1..60), tag in 0..TABLE.len()) {
        let named = TABLE[tag].name.split('/').next_back().unwrap_or_default();
        let prose = format!("Please: {} and <{named}> is `<{named}>x</{named}>`.", words.join(" "));
        let turn = Turn { role: Role::User, text: prose.as_str().into() };
        let reading = read(vec![turn.clone().into()]);
        prop_assert_eq!(reading.turns, vec![turn]);
        prop_assert!(reading.stripped.is_empty());
    }
}

/// The page that shows the table to people.
#[test]
fn the_reference_is_current() {
    let path = manifest("../../docs/reference/what-the-router-reads.md");
    let page = page();
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests, not of the router")]
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "{} is stale: UPDATE=1 cargo test -p waypost-routing --test it", path.display());
}

fn page() -> String {
    let mut page = format!(
        "# What the router reads\n\n\
         Generated from the table in `crates/routing/src/preference/reading/table.rs`, version {VERSION}.\n\n\
         The router matches what a person asks for. A coding agent or a chat front end sends much more: reminders, files, \
         results of tools, whole calls of its own. So before a conversation is matched to routes, this is taken out of it:\n\n\
         - System and developer messages, tool calls and tool results, and the model's thinking are not read, in any dialect.\n\
         - Images, sound, video and files are not read either. They are mentioned: `[image]`, `[audio]`, `[video]`, `[file]`. \
         Base64 in text becomes `[data]`, or the mention of what its data URL says it is.\n\
         - What the rows below say is stripped from the person's messages. A message of which nothing is left is no turn.\n\n\
         What is left keeps its order, message by message: history weighs, the latest ask decides. Where in doubt, text \
         stays: tags count at the beginning of a line only, an element that is not closed is left as it is, and a summary \
         is read if the person said nothing else. What a person could have written counts only with another sign of the \
         same harness in the request: a row that nobody writes by chance, a second such sentence, or the `Ok.` that the \
         harness answers itself. A request that is a call of the harness's own (for a title, a summary, a commit message) \
         has nothing to route by; it goes to the default model, and the reason says so. Its last message tells, or its \
         system prompt.\n\n\
         System prompts are no routing signal. Their beginnings are held against the rows that say so, and nothing else of \
         them is looked at: harnesses ask for a title, a topic or a commit message there, with the conversation as if the \
         person had just said it. Such a request goes to the default model as well, and `notes` names the row. A harness \
         that is not listed, or one whose prompts its user has changed, is matched by what its messages say; name a model \
         for such calls where the harness lets you (Aider has `--weak-model`).\n\n\
         Nothing of this changes what is sent on. `POST /routing/v1/…` and `waypost route` list what was stripped: the \
         row, the turn (counted from zero over the messages of the person and the model), how many bytes, and how the text \
         begins, 60 characters at most. Logs and records have all but the text.\n"
    );
    let mut last: Option<Harness> = None;
    for rule in TABLE {
        if last != Some(rule.harness) {
            last = Some(rule.harness);
            let name = rule.harness.name();
            write!(
                page,
                "\n## {}\n\n| row | known by | what becomes of it |\n| --- | --- | --- |\n",
                name.trim_start_matches("a ")
            )
            .unwrap();
        }
        let (mut known_by, becomes) = described(rule.kind);
        if !rule.with.is_empty() {
            write!(known_by, ", in a message with \u{201c}{}\u{201d}", rule.with.trim()).unwrap();
        }
        if rule.common {
            known_by += ", where there is another sign of the harness";
        }
        writeln!(page, "| `{}` | {known_by} | {becomes} |", rule.name).unwrap();
    }
    page
}

fn described(kind: Kind) -> (String, &'static str) {
    const CALL: &str = "the message is a call of the harness's own";
    let tag = |tag: &str| format!("`<{tag}>`");
    let part = |words: &str| format!("a part that begins with \u{201c}{words}\u{201d}");
    let whole = |words: &str| format!("a part that is \u{201c}{words}\u{201d}");
    match kind {
        Kind::Element(name) => (tag(name), "the element is stripped"),
        Kind::ElementWith(name, companion) => {
            (format!("`<{name}>` in a message with `{companion}`"), "the element is stripped")
        }
        Kind::CallElement(name) => (tag(name), CALL),
        Kind::Wrapper(name) => (tag(name), "the tags are stripped, what is inside is **kept**"),
        Kind::Part(words) => (part(words), "the part is stripped"),
        Kind::WholePart(words) => (whole(words), "the part is stripped"),
        Kind::Result(words, "") => {
            (part(words), "the part is stripped; what is in a wrapper in it is **kept**")
        }
        Kind::Result(words, end) => (
            format!("a part whose first line begins with `{words}` and ends with `{end}`"),
            "the part is stripped; what is in a wrapper in it is **kept**",
        ),
        Kind::Observation(words, asked) => (
            format!("{}, behind an answer with \u{201c}{asked}\u{201d}", part(words)),
            "the part is stripped",
        ),
        Kind::Summary(words) => {
            (part(words), "the part is stripped; it is **kept** if the person said nothing else")
        }
        Kind::Restart(words) => (part(words), "the part is stripped, and all messages before it"),
        Kind::Preface(words, marker) => (
            part(words),
            if marker.starts_with("##") {
                "what stands behind `## My request…` is **kept**"
            } else {
                "what stands behind it is **kept**"
            },
        ),
        Kind::Tail(words) => (
            format!("a line that begins with \u{201c}{words}\u{201d}"),
            "all from there to the part's end is stripped",
        ),
        Kind::Scratchpad(step, act) => (
            format!(
                "a last line that is `{step}`, with a line that begins with `{act}` above it, or text behind instructions of \
                 the harness"
            ),
            "all from the first line that begins with `Thought:` to the part's end is stripped",
        ),
        Kind::Reply(words) => (
            format!("a short answer that begins with \u{201c}{words}\u{201d}"),
            "it is stripped with the message that it answers, if that went whole",
        ),
        Kind::Call(words) => (part(words), CALL),
        Kind::WholeCall(words) => (whole(words), CALL),
        Kind::FirstCall(words) => (format!("as the first of the conversation, {}", whole(words)), CALL),
        Kind::SystemCall(words) => (
            format!("a system prompt, or a part, that begins with \u{201c}{words}\u{201d}"),
            "the request is a call of the harness's own",
        ),
    }
}
