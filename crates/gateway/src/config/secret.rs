//! Keys: from variables of the environment or of `.env`, never shown. The only file that reads the environment.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

/// Where a variable is from that is not set.
const NOWHERE: &str = "nowhere";

/// Where variables are looked up: the process first, then `.env` beside the configuration.
pub struct Environment {
    /// `None`: the process's own.
    variables: Option<HashMap<String, String>>,
    dotenv: HashMap<String, String>,
    /// Variables that are not set are taken to be.
    lenient: bool,
    /// `.env` is there and cannot be read, and why.
    pub(super) dotenv_problem: Option<String>,
}

/// Values are not shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl Environment {
    /// The environment of this process, with `.env` of this folder behind it.
    #[must_use]
    pub fn of_process(folder: &Path) -> Self {
        let (dotenv, dotenv_problem) = read_dotenv(&folder.join(".env"));
        Self { variables: None, dotenv, lenient: false, dotenv_problem }
    }

    /// These variables and no others.
    #[must_use]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            variables: Some(variables.collect()),
            dotenv: HashMap::new(),
            lenient: false,
            dotenv_problem: None,
        }
    }

    /// For commands that call no model: a variable that is not set is no problem, so that routes can be checked where
    /// there are no keys.
    #[must_use]
    pub fn without_keys(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Nothing is called, so that keys and files of keys need not be there.
    pub(super) fn is_without_keys(&self) -> bool {
        self.lenient
    }

    /// A variable that is really set and not blank.
    pub(super) fn own(&self, name: &str) -> Option<String> {
        self.find_set(name).map(|(value, _)| value)
    }

    /// A variable that is set and not blank, or taken to be, and where it is from.
    pub(crate) fn find(&self, name: &str) -> Option<(String, &'static str)> {
        self.find_set(name).or_else(|| self.lenient.then(|| ("unset".to_owned(), NOWHERE)))
    }

    /// A variable that is really set and not blank, and where it is from.
    pub(super) fn find_set(&self, name: &str) -> Option<(String, &'static str)> {
        #[expect(clippy::disallowed_methods, reason = "this is the file that may")]
        let own = match &self.variables {
            Some(variables) => variables.get(name).cloned(),
            None => std::env::var(name).ok(),
        };
        let set = |value: &String| !value.trim().is_empty();
        let own = own.filter(set).map(|value| (value, "environment"));
        own.or_else(|| self.dotenv.get(name).filter(|value| set(value)).cloned().map(|value| (value, ".env")))
    }
}

fn read_dotenv(path: &Path) -> (HashMap<String, String>, Option<String>) {
    if !path.is_file() {
        return (HashMap::new(), None);
    }
    let mut variables = HashMap::new();
    let lines = match dotenvy::from_path_iter(path) {
        Ok(lines) => lines,
        Err(error) => return (variables, Some(error.to_string())),
    };
    for line in lines {
        match line {
            Ok((name, value)) => {
                variables.insert(name, value);
            }
            // The error would quote the line, which may hold a key.
            Err(dotenvy::Error::LineParse(_, column)) => {
                let problem = format!("a line after {} variables, column {column}", variables.len());
                return (variables, Some(problem));
            }
            Err(_) => return (variables, Some("it cannot be read to its end".to_owned())),
        }
    }
    (variables, None)
}

/// A text with its variables put in.
pub(super) struct Expanded {
    pub(super) text: String,
    /// For people: `$OPENAI_API_KEY (environment)`, or `literal in the file`.
    pub(super) source: String,
    /// Variables that are not set.
    pub(super) unset: Vec<String>,
    /// `${…}` with something else inside than a name.
    pub(super) malformed: bool,
}

/// Replaces `$NAME` and `${NAME}`; `$$` is a dollar sign.
pub(super) fn expand(text: &str, environment: &Environment) -> Expanded {
    let mut expanded =
        Expanded { text: String::new(), source: String::new(), unset: Vec::new(), malformed: false };
    let mut sources = Vec::new();
    let mut rest = text.trim();
    while let Some(dollar) = rest.find('$') {
        let (before, after) = rest.split_at(dollar);
        expanded.text.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some(after) = after.strip_prefix('$') {
            expanded.text.push('$');
            rest = after;
            continue;
        }
        let (name, tail) = match braced {
            Some(parts) => parts,
            None => after.split_at(after.find(|c| !is_in_name(c)).unwrap_or(after.len())),
        };
        let valid =
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(is_in_name);
        if valid {
            match environment.find(name) {
                Some((value, origin)) => {
                    expanded.text.push_str(value.trim());
                    sources.push(format!("${name} ({origin})"));
                }
                None => expanded.unset.push(name.to_owned()),
            }
            rest = tail;
        } else {
            expanded.malformed |= after.starts_with('{');
            expanded.text.push('$');
            rest = after;
        }
    }
    expanded.text.push_str(rest);
    expanded.source =
        if sources.is_empty() { "literal in the file".to_owned() } else { sources.join(" and ") };
    expanded
}

/// The variables that a source names, which is for people.
pub(super) fn names(source: &str) -> impl Iterator<Item = &str> {
    source
        .split('$')
        .skip(1)
        .map(|after| after.split_at(after.find(|letter| !is_in_name(letter)).unwrap_or(after.len())).0)
}

fn is_in_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let environment = Environment::of([("A", "one"), ("B", " two\n"), ("EMPTY", "")]);
        for (text, expected, source) in [
            ("$A", "one", "$A (environment)"),
            ("${A}", "one", "$A (environment)"),
            ("Bearer $B.", "Bearer two.", "$B (environment)"),
            ("$A$B", "onetwo", "$A (environment) and $B (environment)"),
            ("a$$A", "a$A", "literal in the file"),
            ("5$", "5$", "literal in the file"),
            ("$5", "$5", "literal in the file"),
        ] {
            let expanded = expand(text, &environment);
            assert_eq!((expanded.text.as_str(), expanded.source.as_str()), (expected, source), "{text}");
        }
        assert_eq!(names(&expand("$A$B", &environment).source).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(expand("$NONE-$EMPTY", &environment).unset, ["NONE", "EMPTY"]);
        assert!(expand("${A:-x}", &environment).malformed);
        assert!(!format!("{environment:?}").contains("one"));
    }

    #[test]
    fn the_process_wins_over_dotenv_and_no_line_of_it_is_quoted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join(".env"),
            "PATH=hidden\nWAYPOST_TEST_ONLY='from file'\nbroken sk-x\n",
        )
        .unwrap();
        let environment = Environment::of_process(folder.path());
        assert_eq!(environment.find("WAYPOST_TEST_ONLY"), Some(("from file".to_owned(), ".env")));
        assert_eq!(environment.find("PATH").unwrap().1, "environment");
        assert!(!environment.dotenv_problem.unwrap().contains("sk-x"));
    }
}
