//! Screens of fixed records, letter for letter, and keys.

use std::time::{Duration, SystemTime};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::super::super::records::row::Row;
use super::super::state::{Next, State};

/// 2026-11-29T08:10:00Z.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_939_800)
}

fn row(seq: i64, seconds_ago: u64, more: &Value) -> (i64, Row) {
    let at = now() - Duration::from_secs(seconds_ago) - Duration::from_millis(900);
    let mut record = json!({
        "id": format!("019a0000-0000-7000-8000-{seq:012}"),
        "time": humantime::format_rfc3339_millis(at).to_string(),
        "endpoint": "/v1/chat/completions", "client_dialect": "openai_chat", "requested": "auto",
        "status": 200, "method": "preference", "provider": "openai", "model": "small", "route": "code",
        "confidence": 0.87, "attempts": 1, "decision_ms": 0.42, "first_byte_ms": 120.0, "total_ms": 900.0,
        "input_tokens": 1200, "output_tokens": 350, "cost": 0.003, "default_cost": 0.02,
        "scores": [{"route": "code", "probability": 0.87}, {"route": "travel", "probability": 0.08}],
        "none_probability": 0.05, "reason": "`code` fits best",
        "tries": [{"model": "openai/small", "outcome": "ok", "status": 200, "started_ms": 1.0, "ms": 119.0}],
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    (seq, serde_json::from_value(record).unwrap())
}

/// What came in the last hour, the oldest first.
fn records() -> Vec<(i64, Row)> {
    let mut all = vec![row(1, 3599, &json!({})), row(2, 301, &json!({})), row(3, 299, &json!({}))];
    all.extend((4..=30).map(|seq| {
        let seq_u64 = u64::try_from(seq).unwrap();
        row(seq, 200 - seq_u64, &json!({"total_ms": 900.0 + f64::from(u32::try_from(seq).unwrap()), "first_token_ms": 300.0, "stream": true}))
    }));
    all.push(row(31, 30, &json!({"status": 502, "error": "the \u{1b}[31mprovider reset\nthe connection", "output_tokens": null, "input_tokens": null, "cost": null, "default_cost": null})));
    all.push(row(32, 20, &json!({"provider": "native", "model": "a-model-of-a-very-long-name-that-no-column-can-hold", "route": null, "method": "default", "cost": null, "total_ms": 2500.0})));
    all.push(row(33, 10, &json!({"provider": "anthropic", "model": "big", "route": "travel", "cost": 0.05})));
    all
}

struct Screen {
    state: State,
    terminal: Terminal<TestBackend>,
    has_color: bool,
}

impl Screen {
    fn new(width: u16, height: u16) -> Self {
        let mut state = State::new(now());
        state.take(records());
        state.slide(now());
        Self { state, terminal: Terminal::new(TestBackend::new(width, height)).unwrap(), has_color: false }
    }

    fn key(&mut self, code: KeyCode) -> Next {
        let next = self.state.key(KeyEvent::new(code, KeyModifiers::NONE));
        match next {
            Next::Open(seq) => {
                let row = records().into_iter().find(|(listed, _)| *listed == seq).map(|(_, row)| row);
                self.state.open(row);
            }
            Next::Reload => {
                self.state.take(records());
                self.state.slide(now());
            }
            Next::Draw | Next::Quit => {}
        }
        next
    }

    fn typed(&mut self, text: &str) {
        text.chars().for_each(|letter| assert_eq!(self.key(KeyCode::Char(letter)), Next::Draw));
    }

    fn text(&mut self) -> String {
        let Self { state, terminal, has_color } = self;
        terminal.draw(|frame| super::draw(frame, state, *has_color)).unwrap();
        let buffer = terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let line = |cells: &[ratatui::buffer::Cell]| {
            cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
        };
        buffer.content().chunks(width).map(line).collect::<Vec<_>>().join("\n")
    }

    fn snapshot(&mut self, name: &str) {
        let text = self.text();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(
            std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/obs"),
        );
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

#[test]
fn screens() {
    let mut screen = Screen::new(80, 24);
    screen.snapshot("start");
    screen.key(KeyCode::Tab);
    screen.key(KeyCode::Char('s'));
    screen.key(KeyCode::Char('1'));
    screen.snapshot("by-route-one-minute");
    screen.key(KeyCode::Char('?'));
    screen.snapshot("help");
    screen.key(KeyCode::Esc);
    screen.key(KeyCode::Down);
    screen.key(KeyCode::Down);
    assert_eq!(screen.key(KeyCode::Enter), Next::Open(31));
    screen.snapshot("opened");
    let mut wide = Screen::new(140, 40);
    wide.snapshot("wide");
    let mut empty = Screen::new(80, 24);
    empty.state = State::new(now());
    empty.snapshot("empty");
}

#[test]
fn every_size_can_be_drawn() {
    for (width, height) in [(1, 1), (10, 3), (20, 5), (40, 10), (79, 8), (300, 100)] {
        let mut screen = Screen::new(width, height);
        screen.text();
        screen.key(KeyCode::End);
        screen.text();
        screen.key(KeyCode::Enter);
        screen.text();
        screen.key(KeyCode::End);
        screen.key(KeyCode::Char('?'));
        screen.text();
    }
}

#[test]
fn windows_slide() {
    let mut screen = Screen::new(80, 24);
    let counts = |screen: &mut Screen| {
        ['1', '5', '6'].map(|key| {
            screen.key(KeyCode::Char(key));
            screen.state.figures().requests
        })
    };
    assert_eq!(counts(&mut screen), [3, 31, 33]);
    screen.state.slide(now() + Duration::from_secs(15));
    assert_eq!(counts(&mut screen), [3, 30, 32]);
    screen.state.slide(now() + Duration::from_secs(49));
    assert_eq!(counts(&mut screen), [1, 30, 32]);
    screen.state.slide(now() + Duration::from_secs(3700));
    assert_eq!(counts(&mut screen), [0, 0, 0]);
    assert!(screen.state.is_idle());
    // The list is still there.
    assert!(screen.text().contains("anthropic/big"));
}

#[test]
fn figures_are_of_the_records_themselves() {
    let mut screen = Screen::new(80, 24);
    screen.key(KeyCode::Char('5'));
    let figures = screen.state.figures();
    // 299 s ago, 27 of 904 to 930 ms, the failed one, 2.5 s, 900 ms.
    assert_eq!((figures.requests, figures.errors, figures.unpriced), (31, 1, 1));
    assert_eq!(figures.uncounted, 0);
    assert_eq!((figures.p50_ms, figures.p95_ms, figures.p99_ms), (Some(916.0), Some(930.0), Some(2500.0)));
    assert_eq!(figures.first_p50_ms, Some(300.0));
    let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
    assert!(near(figures.cost, 28.0 * 0.003 + 0.05), "{figures:?}");
    // Of what would have been spent on the same requests: the default's price of the one without a cost is left out.
    assert!(near(figures.saved, 28.0 * 0.017 - 0.03), "{figures:?}");
    assert!(near(figures.saved_share(), (28.0 * 0.017 - 0.03) / (29.0 * 0.02)), "{figures:?}");
    let groups = screen.state.groups();
    assert_eq!(
        groups.iter().map(|(name, group)| (&**name, group.requests)).collect::<Vec<_>>(),
        [
            ("openai/small", 29),
            ("anthropic/big", 1),
            ("native/a-model-of-a-very-long-name-that-no-column-can-hold", 1)
        ]
    );
}

#[test]
fn keys() {
    let mut screen = Screen::new(80, 24);
    // A mark stays at its record while others come.
    screen.key(KeyCode::Char('j'));
    assert_eq!(screen.key(KeyCode::Enter), Next::Open(32));
    screen.key(KeyCode::Esc);
    screen.state.take(vec![row(34, 0, &json!({}))]);
    assert_eq!(screen.key(KeyCode::Enter), Next::Open(32));
    screen.key(KeyCode::Backspace);
    screen.key(KeyCode::Home);
    assert_eq!(screen.key(KeyCode::Enter), Next::Open(34));
    screen.key(KeyCode::Esc);
    screen.key(KeyCode::End);
    assert_eq!(screen.key(KeyCode::Enter), Next::Open(1));
    screen.key(KeyCode::Esc);

    screen.key(KeyCode::Char(' '));
    assert!(screen.state.is_paused() && screen.text().contains("PAUSED"));
    screen.key(KeyCode::Char(' '));
    assert!(!screen.state.is_paused());

    // A filter holds for all figures.
    screen.key(KeyCode::Char('/'));
    screen.typed("status:5xxq");
    screen.key(KeyCode::Backspace);
    assert!(screen.text().contains("/status:5xx"));
    assert_eq!(screen.key(KeyCode::Enter), Next::Reload);
    assert_eq!((screen.state.figures().requests, screen.state.list.len()), (1, 1));
    screen.key(KeyCode::Char('/'));
    screen.typed("x");
    screen.key(KeyCode::Esc);
    assert_eq!(screen.state.query_text, "status:5xx");
    assert_eq!(screen.key(KeyCode::Esc), Next::Reload);
    assert_eq!(screen.state.list.len(), 33);

    // It quits from everywhere but a line that is typed.
    assert_eq!(screen.key(KeyCode::Char('q')), Next::Quit);
    screen.key(KeyCode::Char('?'));
    assert_eq!(screen.key(KeyCode::Char('q')), Next::Quit);
    screen.key(KeyCode::Esc);
    screen.key(KeyCode::Enter);
    assert_eq!(screen.key(KeyCode::Char('q')), Next::Quit);
    assert_eq!(screen.state.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Next::Quit);
}

#[test]
fn without_colour_there_is_none() {
    use ratatui::style::{Color, Modifier};
    let mut screen = Screen::new(80, 24);
    screen.key(KeyCode::Down);
    let colors = |screen: &mut Screen| {
        screen.text();
        let cells = screen.terminal.backend().buffer().content();
        (
            cells.iter().any(|cell| cell.fg != Color::Reset),
            cells.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)),
        )
    };
    assert_eq!(colors(&mut screen), (false, true));
    screen.has_color = true;
    assert_eq!(colors(&mut screen), (true, true));
}
