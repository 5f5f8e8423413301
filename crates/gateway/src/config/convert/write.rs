//! YAML as text: block style, short lists of texts in brackets.

use super::super::tree::{Kind, Node};

/// A file in the making. `source` is the text that scalars are cut from.
pub(super) struct Lines<'t> {
    source: &'t str,
    text: String,
}

impl<'t> Lines<'t> {
    pub(super) fn new(source: &'t str) -> Self {
        Self { source, text: String::new() }
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    /// A line as it is.
    pub(super) fn raw(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A key and its value.
    pub(super) fn pair(&mut self, indent: usize, key: &str, node: &Node) {
        let space = " ".repeat(indent);
        match &node.kind {
            Kind::Map(pairs) if !pairs.is_empty() => {
                self.raw(&format!("{space}{}:", scalar(key)));
                self.pairs(indent + 2, pairs);
            }
            Kind::List(items)
                if items.iter().any(|item| matches!(item.kind, Kind::Map(_) | Kind::List(_))) =>
            {
                self.raw(&format!("{space}{}:", scalar(key)));
                for item in items {
                    self.item(indent + 2, item);
                }
            }
            Kind::List(items)
                if items.iter().any(|item| item.text(self.source).is_some_and(|text| text.len() > 40)) =>
            {
                self.raw(&format!("{space}{}:", scalar(key)));
                for item in items {
                    self.raw(&format!("{space}  - {}", self.inline(item)));
                }
            }
            _ => self.raw(&format!("{space}{}: {}", scalar(key), self.inline(node))),
        }
    }

    /// A list of texts, if there is one.
    pub(super) fn texts(&mut self, indent: usize, key: &str, texts: &[String]) {
        if texts.is_empty() {
            return;
        }
        let space = " ".repeat(indent);
        self.raw(&format!("{space}{key}:"));
        for text in texts {
            self.raw(&format!("{space}  - {}", line(text)));
        }
    }

    fn pairs(&mut self, indent: usize, pairs: &[(Node, Node)]) {
        for (key, value) in pairs {
            let key = key.text(self.source).unwrap_or_default().to_owned();
            self.pair(indent, &key, value);
        }
    }

    /// An item of a list.
    pub(super) fn item(&mut self, indent: usize, node: &Node) {
        let space = " ".repeat(indent);
        match &node.kind {
            Kind::Map(pairs) if !pairs.is_empty() => {
                let start = self.text.len();
                self.pairs(indent + 2, pairs);
                self.text.replace_range(start..start + indent + 2, &format!("{space}- "));
            }
            _ => self.raw(&format!("{space}- {}", self.inline(node))),
        }
    }

    /// A node on one line.
    fn inline(&self, node: &Node) -> String {
        match &node.kind {
            Kind::Null => "null".to_owned(),
            Kind::Text(text) => line(text),
            Kind::Bool(_) | Kind::Integer(_) | Kind::Fraction => {
                node.text(self.source).map(str::to_owned).unwrap_or_default()
            }
            Kind::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.in_flow(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Kind::Map(pairs) => {
                let pair = |(key, value): &(Node, Node)| {
                    format!("{}: {}", scalar(key.text(self.source).unwrap_or_default()), self.in_flow(value))
                };
                format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn in_flow(&self, node: &Node) -> String {
        match &node.kind {
            Kind::Text(text) => scalar(text),
            _ => self.inline(node),
        }
    }
}

/// A text where a comma, a bracket or a colon would end it: plain where that means the same.
pub(crate) fn scalar(text: &str) -> String {
    plain(text, "-_./*$ ")
}

/// A text that has its line to itself.
pub(super) fn line(text: &str) -> String {
    plain(text, "-_./*$ ,;()'?!+")
}

/// Texts in brackets.
pub(super) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| scalar(text)).collect::<Vec<_>>().join(", "))
}

/// What can stand in a comment: one line.
pub(super) fn comment(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn plain(text: &str, others: &str) -> String {
    // Words that YAML, in one version or another, takes for something else than text.
    const OTHERS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$')
        && !text.ends_with(' ')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || others.contains(character))
        && !OTHERS.contains(&text.to_ascii_lowercase().as_str());
    // JSON's strings are a part of YAML.
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
