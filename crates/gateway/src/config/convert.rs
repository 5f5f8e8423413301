//! Another configuration in our own form: Plano's, and LiteLLM's (`litellm`).
//!
//! What comes out is read again. Of Plano's it has to mean what the old one did, fact by fact, or it is refused.

mod litellm;
mod write;

use std::collections::HashSet;

use waypost_dialect::providers;

use super::diagnostic::{Place, Problem, Problems};
use super::tree::{self, Kind, Node};
use super::{Config, Environment, Rendered, RouteEntry, Source, changes, mask, read, resolve, schema};

use self::write::Lines;
pub(crate) use self::write::scalar;

/// A configuration that has been converted.
#[derive(Debug)]
pub struct Converted {
    /// The text of the new file.
    pub yaml: String,
    /// What was left, or has to be seen to.
    pub notes: Vec<String>,
}

/// Converts the text of a configuration; `name` is the file's name for diagnostics.
///
/// # Errors
/// Everything that is wrong with it, ready to be shown.
pub fn convert(name: &str, text: &str) -> Result<Converted, Rendered> {
    if text.len() > super::LARGEST_FILE {
        return Err(Source::new(name, "", &[]).render(&super::too_large()));
    }
    let root = tree::parse(text)
        .map_err(|problem| Source::new(name, text, &mask::without_a_tree(text)).render_errors(&[problem]))?;
    let source = Source::new(name, text, &super::secrets(&root, text));
    let (converted, known) = if value(&root, text, "model_list").is_some() {
        (litellm::convert(name, text, &root)?, 0)
    } else {
        plano(name, text, &root, &source)?
    };
    let lenient = Environment::of([]).without_keys();
    // What the old file had no warning of is a fault of this code, and the old file is still good.
    match super::parse("the converted file", &converted.yaml, &lenient) {
        Ok(loaded) if loaded.warnings.len() <= known => Ok(converted),
        Ok(loaded) => Err(refuse(&source, loaded.warnings.first().map(ToString::to_string))),
        Err(problems) => Err(refuse(&source, Some(problems.to_string()))),
    }
}

fn refuse(source: &Source, why: Option<String>) -> Rendered {
    let why = why.unwrap_or_default();
    source.render(
        &Problem::error(format!("this configuration cannot be converted: {why}"))
            .hint("if it is Plano's, `waypost up` takes it as it is"),
    )
}

/// Keys that Plano wants and we do not.
const NEEDLESS: [&str; 2] = ["version", "message_format"];

/// The file, and how many warnings of the old one it still has.
fn plano(name: &str, text: &str, root: &Node, source: &Source) -> Result<(Converted, usize), Rendered> {
    let lenient = Environment::of([]).without_keys();
    let problems = Problems::default();
    let file: schema::File = read::read(root, text, &problems);
    let config = match &root.kind {
        Kind::Map(_) => resolve::resolve(&file, &lenient, &problems),
        _ => {
            return Err(
                super::parse(name, text, &lenient).map_or_else(|problems| problems, |_| refuse(source, None))
            );
        }
    };
    let (errors, warnings) = problems.sorted();
    if !errors.is_empty() {
        return Err(source.render_errors(&errors));
    }
    let dropped = |warning: &&Problem| warning.is_about_nothing_read();
    let left: HashSet<Place> =
        warnings.iter().filter(dropped).filter_map(|warning| warning.place().cloned()).collect();
    let known = warnings.len() - warnings.iter().filter(dropped).count();
    let mut plano = Plano {
        text,
        left,
        secrets: super::secrets(root, text).into_iter().collect(),
        notes: Vec::new(),
        replaced: false,
        variables: Variables::default(),
    };
    plano.notes.extend(warnings.iter().map(|warning| source.render(warning).to_string()));
    let yaml = plano.file(name, root, &config);
    if let Ok(after) = super::parse("the converted file", &yaml, &lenient) {
        let differs = |change: &&super::Change| {
            !plano.replaced
                || change.how != super::How::Changed
                || change.facts.iter().any(|fact| fact.values.is_some())
        };
        if let Some(change) = changes(&config, &after.config).iter().find(differs) {
            return Err(refuse(
                source,
                Some(format!("{} {} would mean something else", change.kind, change.name)),
            ));
        }
    }
    Ok((Converted { yaml, notes: plano.notes }, known))
}

struct Plano<'t> {
    text: &'t str,
    /// Places of values that are not read.
    left: HashSet<Place>,
    /// Places of what may be a key.
    secrets: HashSet<Place>,
    notes: Vec<String>,
    /// A key that stood in the file is a variable now.
    replaced: bool,
    variables: Variables,
}

/// Variables that stand in place of keys: another key, another variable.
#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    /// The variable of a key: the usual one, with a number behind it where that stands for another key already, here or
    /// in the file's text.
    fn name(&mut self, usual: &str, key: &str, text: &str) -> String {
        if let Some((name, _)) = self.0.iter().find(|(_, known)| known == key) {
            return name.clone();
        }
        let mut name = usual.to_owned();
        let mut number = 2;
        while text.contains(&name) || self.0.iter().any(|(known, _)| *known == name) {
            name = format!("{usual}_{number}");
            number += 1;
        }
        self.0.push((name.clone(), key.to_owned()));
        name
    }
}

impl Plano<'_> {
    fn file(&mut self, name: &str, root: &Node, config: &Config) -> String {
        let mut lines = Lines::new(self.text);
        let short = name.rsplit('/').next().unwrap_or(name);
        lines.raw(&format!("# From {}, by `waypost init --from`.", write::comment(short)));
        if value(root, self.text, "routing").and_then(|node| value(node, self.text, "mode")).is_none()
            && !config.routes.is_empty()
        {
            lines.raw("# A model that a client names wins over a route here; `routing: {mode: always}` is Plano's way.");
        }
        for (key, node) in pairs(root) {
            let Some(key) = key.text(self.text) else { continue };
            if self.is_left(node) || NEEDLESS.contains(&key) {
                continue;
            }
            match key {
                "listeners" => self.listeners(&mut lines, node),
                "llm_providers" | "model_providers" => {
                    self.entries(&mut lines, node);
                    self.routes(&mut lines, root, config);
                }
                "routing_preferences" => {}
                _ => {
                    lines.raw("");
                    let mut kept = self.kept(node);
                    self.without_tokens(key, &mut kept);
                    lines.pair(0, key, &kept);
                }
            }
        }
        lines.text()
    }

    fn is_left(&self, node: &Node) -> bool {
        self.left.contains(&node.place)
    }

    /// The node without what is left.
    fn kept(&self, node: &Node) -> Node {
        let kind = match &node.kind {
            Kind::Map(pairs) => {
                let needed = |(key, value): &&(Node, Node)| {
                    !self.is_left(value) && !key.text(self.text).is_some_and(|key| NEEDLESS.contains(&key))
                };
                let pairs = pairs.iter().filter(needed);
                Kind::Map(pairs.map(|(key, value)| (key.clone(), self.kept(value))).collect())
            }
            Kind::List(items) => {
                let items = items.iter().filter(|item| !self.is_left(item));
                Kind::List(items.map(|item| self.kept(item)).collect())
            }
            other => other.clone(),
        };
        Node { kind, place: node.place.clone() }
    }

    fn listeners(&mut self, lines: &mut Lines<'_>, node: &Node) {
        let mut kept = self.kept(node);
        if let (Kind::List(items), Kind::List(written)) = (&mut kept.kind, &node.kind) {
            let mut others = written.iter().map(|item| {
                value(item, self.text, "type").is_some_and(|kind| self.is_left(kind)) || self.is_left(item)
            });
            items.retain(|_| !others.next().unwrap_or(false));
        }
        let open: Vec<&Node> = match &kept.kind {
            Kind::List(items) => items.iter().collect(),
            Kind::Map(pairs) => pairs.iter().map(|(_, listener)| listener).collect(),
            _ => Vec::new(),
        };
        if open.iter().any(|listener| value(listener, self.text, "address").is_none()) {
            self.notes.push(
                "note: a listener without `address` is at 127.0.0.1 here, and on all interfaces in Plano: `address: 0.0.0.0` \
                 says so"
                    .to_owned(),
            );
        }
        let is_empty = match &kept.kind {
            Kind::List(items) => items.is_empty(),
            Kind::Map(pairs) => pairs.is_empty(),
            _ => true,
        };
        if !is_empty {
            lines.raw("");
            lines.pair(0, "listeners", &kept);
        }
    }

    fn entries(&mut self, lines: &mut Lines<'_>, node: &Node) {
        lines.raw("\nmodel_providers:");
        for entry in items(node) {
            let mut kept = self.kept(entry);
            let model =
                value(entry, self.text, "model").and_then(|model| model.text(self.text)).unwrap_or_default();
            if let Kind::Map(pairs) = &mut kept.kind {
                pairs.retain(|(key, _)| key.text(self.text) != Some("routing_preferences"));
                // A Plano file names it first, and so does everybody who looks for it.
                pairs.sort_by_key(|(key, _)| key.text(self.text) != Some("model"));
                for (key, value) in pairs {
                    let key = key.text(self.text).unwrap_or_default().to_owned();
                    self.without_secrets(model, &key, value);
                }
            }
            lines.item(2, &kept);
        }
    }

    /// Keys that stand in the file become variables.
    fn without_secrets(&mut self, model: &str, key: &str, node: &mut Node) {
        let provider = model.split_once('/').map_or(model, |(provider, _)| provider);
        let usual = match key {
            "access_key" => {
                let known = providers::find(provider).and_then(|provider| provider.key_variables.first());
                known.map_or_else(|| format!("{}_API_KEY", variable(provider)), |name| (*name).to_owned())
            }
            "aws_access_key_id" | "aws_secret_access_key" | "aws_session_token" => key.to_uppercase(),
            "headers" => {
                if let Kind::Map(pairs) = &mut node.kind {
                    for (name, value) in pairs {
                        let name = name.text(self.text).unwrap_or_default().to_lowercase();
                        let by_name = ["auth", "key", "token", "secret", "cookie"]
                            .iter()
                            .any(|part| name.contains(part));
                        let by_look = value.text(self.text).is_some_and(|text| mask::message(text) != text);
                        if by_name || by_look {
                            self.replace(value, &variable(&name), &format!("header `{name}` of `{model}`"));
                        }
                    }
                }
                return;
            }
            _ => return,
        };
        self.replace(node, &usual, &format!("`{key}` of `{model}`"));
    }

    /// What else may be a key becomes a variable, named after where it stands: `admin.token` is `$ADMIN_TOKEN`.
    fn without_tokens(&mut self, path: &str, node: &mut Node) {
        if self.secrets.contains(&node.place) {
            self.replace(node, &variable(path), &format!("`{path}`"));
            return;
        }
        match &mut node.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| self.without_tokens(path, item)),
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    let path = format!("{path}.{}", key.text(self.text).unwrap_or_default());
                    self.without_tokens(&path, value);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Integer(_) | Kind::Fraction | Kind::Text(_) => {}
        }
    }

    fn replace(&mut self, node: &mut Node, variable: &str, what: &str) {
        let Kind::Text(text) = &mut node.kind else { return };
        if is_reference(text) {
            return;
        }
        let variable = self.variables.name(variable, text, self.text);
        *text = format!("${variable}");
        self.replaced = true;
        self.notes.push(format!("note: {what} is a key in the file: it is not copied; set ${variable}"));
    }

    /// Routes of the top level as they are written, and those under models as they are read.
    fn routes(&self, lines: &mut Lines<'_>, root: &Node, config: &Config) {
        let written = value(root, self.text, "routing_preferences").map(items).unwrap_or_default();
        let is_written = |route: &&RouteEntry| {
            let mut names = written.iter().filter_map(|node| value(node, self.text, "name")?.text(self.text));
            names.any(|name| name.trim() == route.route.name)
        };
        if config.routes.is_empty() {
            return;
        }
        lines.raw("\nrouting_preferences:");
        for node in written {
            lines.item(2, &self.kept(node));
        }
        for entry in config.routes.iter().filter(|route| !is_written(route)) {
            let route = &entry.route;
            lines.raw(&format!("  - name: {}", scalar(&route.name)));
            lines.raw(&format!("    description: {}", write::line(&route.description)));
            lines.raw(&format!("    models: {}", write::list(&entry.models)));
            lines.texts(4, "examples", &route.examples);
            if let Some(threshold) = route.threshold {
                lines.raw(&format!("    threshold: {threshold}"));
            }
            if route.domain {
                lines.raw("    domain: true");
            }
            lines.texts(4, "tests", &entry.tests);
        }
    }
}

/// A variable, perhaps with the scheme of its header before it, and nothing that is a key itself.
fn is_reference(text: &str) -> bool {
    let text = text.trim();
    let bare = ["Bearer ", "bearer ", "Basic "]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text)
        .trim();
    let name =
        bare.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).or_else(|| bare.strip_prefix('$'));
    name.is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    })
}

/// A name as that of a variable of the environment.
fn variable(name: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(letter).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) || name.is_empty() {
        format!("_{name}")
    } else {
        name
    }
}

fn pairs(node: &Node) -> &[(Node, Node)] {
    match &node.kind {
        Kind::Map(pairs) => pairs,
        _ => &[],
    }
}

fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::List(items) => items,
        _ => &[],
    }
}

/// The value of a key, if it has one.
fn value<'n>(node: &'n Node, text: &str, name: &str) -> Option<&'n Node> {
    let found = pairs(node).iter().find(|(key, _)| key.text(text) == Some(name));
    found.map(|(_, value)| value).filter(|value| !matches!(value.kind, Kind::Null))
}
