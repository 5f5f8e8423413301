//! Thresholds written into a configuration. A fixture is a `.yaml` in `tests/fixtures/thresholds` with what it becomes
//! (`.expected`) or why it stays (`.refused`). Each is tried with all line ends, and without the last one.

use std::path::Path;

use waypost::config::{self, Environment, Thresholds};

fn written(text: &str) -> Result<String, String> {
    let environment = Environment::of_process(Path::new(".")).without_keys();
    let config = config::parse("waypost.yaml", text, &environment).unwrap().config;
    let has = |name: &str| config.routes.iter().any(|entry| entry.route.name == name);
    let of_routes = [("cooking", 0.25), ("home repair", 0.6)].into_iter().filter(|(name, _)| has(name));
    let of_routes = of_routes.map(|(name, threshold)| (name.to_owned(), threshold)).collect();
    let thresholds = Thresholds { all: 0.4, of_routes };
    config::with_thresholds("waypost.yaml", text, &thresholds, &environment)
        .map_err(|problem| problem.to_string())
}

#[test]
fn only_thresholds_change() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/thresholds");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    assert!(names.len() >= 9);
    for path in names {
        let name = path.display();
        let text = std::fs::read_to_string(&path).unwrap();
        if let Ok(why) = std::fs::read_to_string(path.with_extension("refused")) {
            let error = written(&text).unwrap_err();
            assert!(error.contains(why.trim()) && error.contains("put them in by hand"), "{name}: {error}");
            continue;
        }
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap();
        assert_eq!(written(&text).unwrap(), expected, "{name}");
        let crlf = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(written(&crlf(&text)).unwrap(), crlf(&expected), "{name} with CRLF");
        // A mark of the byte order, as Windows editors write it.
        let marked = format!("\u{feff}{text}");
        assert_eq!(written(&marked).unwrap(), format!("\u{feff}{expected}"), "{name} with a mark");
        let unended = written(text.trim_end()).unwrap();
        assert_eq!(unended.trim_end(), expected.trim_end(), "{name} without its last line end");
        // Written again, nothing changes.
        assert_eq!(written(&expected).unwrap(), expected, "{name} again");
    }
}
