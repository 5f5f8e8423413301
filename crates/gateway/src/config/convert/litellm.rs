//! LiteLLM's proxy configuration (<https://docs.litellm.ai/docs/proxy/configs>): `model_list`, fallbacks and aliases.
//! Everything else is named and left.

use std::collections::BTreeMap;

use serde::Deserialize;
use waypost_dialect::providers;

use super::super::diagnostic::Problem;
use super::super::tree::Node;
use super::super::{Rendered, Source};
use super::write::{self, list, scalar};
use super::{Converted, Variables, items, pairs, value, variable};

/// What LiteLLM calls a provider, where that is not our name for it.
#[derive(Debug, Deserialize)]
struct Names(BTreeMap<String, String>);

/// Keys of `litellm_params` that are carried over, and ours for them.
const CARRIED: [(&str, &str); 9] = [
    ("api_key", "access_key"),
    ("api_base", "base_url"),
    ("api_version", "api_version"),
    ("aws_region_name", "region"),
    ("vertex_project", "project"),
    ("vertex_location", "region"),
    ("weight", "weight"),
    ("timeout", "timeout"),
    ("max_parallel_requests", "max_requests"),
];

/// One deployment: an entry of ours.
struct Deployment {
    /// The name that clients ask for.
    group: String,
    /// `provider/name`.
    model: String,
    lines: Vec<String>,
}

struct Reader<'t> {
    text: &'t str,
    notes: Vec<String>,
    names: BTreeMap<String, String>,
    variables: Variables,
}

pub(super) fn convert(name: &str, text: &str, root: &Node) -> Result<Converted, Rendered> {
    let names: Names = serde_saphyr::from_str(include_str!("litellm.yaml")).unwrap_or(Names(BTreeMap::new()));
    let mut reader = Reader { text, notes: Vec::new(), names: names.0, variables: Variables::default() };
    let listed = value(root, text, "model_list").map(items).unwrap_or_default();
    let deployments: Vec<Deployment> = listed.iter().filter_map(|item| reader.deployment(item)).collect();
    if deployments.is_empty() {
        let problem = Problem::error("no item of `model_list` can be converted");
        let hint = reader.notes.join("\n");
        return Err(Source::new(name, "", &[]).render(&problem.hint(hint)));
    }
    let mut groups = groups(&deployments);
    reader.settings(root, &mut groups);
    let yaml = reader.file(name, &deployments, &groups, root);
    Ok(Converted { yaml, notes: reader.notes })
}

/// What clients ask for and where it leads, in order.
type Groups = Vec<(String, Vec<String>)>;

fn groups(deployments: &[Deployment]) -> Groups {
    let mut groups = Groups::new();
    for deployment in deployments {
        match groups.iter_mut().find(|(group, _)| *group == deployment.group) {
            Some((_, models)) if models.contains(&deployment.model) => {}
            Some((_, models)) => models.push(deployment.model.clone()),
            None => groups.push((deployment.group.clone(), vec![deployment.model.clone()])),
        }
    }
    groups
}

impl Reader<'_> {
    fn text_of(&self, node: &Node, key: &str) -> Option<String> {
        value(node, self.text, key).and_then(|value| value.text(self.text)).map(|text| text.trim().to_owned())
    }

    fn note(&mut self, note: &str) {
        self.notes.push(format!("left: {note}"));
    }

    fn deployment(&mut self, item: &Node) -> Option<Deployment> {
        let params = value(item, self.text, "litellm_params");
        let group = self.text_of(item, "model_name");
        let (Some(params), Some(group)) = (params, group) else {
            self.note("an item of `model_list` without `model_name` or `litellm_params`");
            return None;
        };
        let Some(written) = self.text_of(params, "model") else {
            self.note(&format!("`{group}`: it names no model"));
            return None;
        };
        // Without a prefix LiteLLM goes by the model's name; most of all it means the first of the table.
        let (prefix, model) =
            written.split_once('/').unwrap_or_else(|| (usual_provider(&written), written.as_str()));
        let id = self.names.get(prefix).map_or(prefix, String::as_str).to_owned();
        let known = providers::find(&id);
        let base = self.text_of(params, "api_base");
        if known.is_none() && base.is_none() {
            self.note(&format!(
                "`{group}`: `{prefix}` is no provider that is known here; give it a `base_url` by hand"
            ));
            return None;
        }
        let full = format!("{id}/{model}");
        let mut lines = vec![format!("  - model: {}", scalar(&full))];
        if known.is_none() {
            lines.push("    provider_interface: openai".to_owned());
        }
        let mut has_key = false;
        for (key, value) in pairs(params) {
            let key = key.text(self.text).unwrap_or_default();
            if key == "model" {
                continue;
            }
            match CARRIED.iter().find(|(theirs, _)| *theirs == key) {
                Some((_, ours)) => {
                    has_key |= *ours == "access_key";
                    lines.extend(
                        self.carried(&id, &group, ours, value).map(|text| format!("    {ours}: {text}")),
                    );
                }
                None => self.note(&format!("`{group}`: `{key}`")),
            }
        }
        if let (false, Some(variable)) = (has_key, known.and_then(|known| known.key_variables.first())) {
            lines.push(format!("    access_key: ${variable}"));
        }
        lines.extend(self.cost(item, params));
        Some(Deployment { group, model: full, lines })
    }

    /// A value of ours for one of theirs.
    fn carried(&mut self, id: &str, group: &str, ours: &str, node: &Node) -> Option<String> {
        let text = node.text(self.text)?.trim().to_owned();
        if let Some(name) = text.strip_prefix("os.environ/") {
            return match ours {
                "base_url" => {
                    self.note(&format!("`{group}`: `api_base` is in ${name}; `base_url` takes no variable"));
                    None
                }
                _ => Some(format!("${}", variable(name))),
            };
        }
        match ours {
            "access_key" => {
                let known = providers::find(id).and_then(|provider| provider.key_variables.first());
                let name =
                    known.map_or_else(|| format!("{}_API_KEY", variable(id)), |name| (*name).to_owned());
                let name = self.variables.name(&name, &text, self.text);
                self.notes.push(format!(
                    "note: `api_key` of `{group}` is a key in the file: it is not copied; set ${name}"
                ));
                Some(format!("${name}"))
            }
            "timeout" => text.parse::<f64>().ok().map(|seconds| match seconds.fract() {
                0.0 => format!("{seconds}s"),
                _ => format!("{}ms", (seconds * 1e3).round()),
            }),
            "weight" | "max_requests" => Some(text),
            _ => Some(scalar(&text)),
        }
    }

    /// Prices a million tokens, of theirs a token.
    fn cost(&self, item: &Node, params: &Node) -> Vec<String> {
        let info = value(item, self.text, "model_info");
        let price = |key: &str| {
            let in_info = info.and_then(|info| self.text_of(info, key));
            let price: f64 = in_info.or_else(|| self.text_of(params, key))?.parse().ok()?;
            (price >= 0.0 && price.is_finite()).then(|| (price * 1e12).round() / 1e6)
        };
        let prices = [("input", "input_cost_per_token"), ("output", "output_cost_per_token")];
        let written: Vec<String> =
            prices.iter().filter_map(|(ours, theirs)| Some(format!("{ours}: {}", price(theirs)?))).collect();
        if written.is_empty() { Vec::new() } else { vec![format!("    cost: {{{}}}", written.join(", "))] }
    }

    /// Aliases and fallbacks into the groups; the rest is named.
    fn settings(&mut self, root: &Node, groups: &mut Groups) {
        for section in ["router_settings", "litellm_settings", "general_settings", "environment_variables"] {
            let Some(node) = value(root, self.text, section) else { continue };
            for (key, node) in pairs(node) {
                match key.text(self.text).unwrap_or_default() {
                    "model_group_alias" => self.aliases(node, groups),
                    "fallbacks" => self.fallbacks(node, groups),
                    "default_fallbacks" | "num_retries" => {}
                    key => self.note(&format!("`{section}.{key}`")),
                }
            }
        }
        let known = [
            "model_list",
            "router_settings",
            "litellm_settings",
            "general_settings",
            "environment_variables",
        ];
        let others: Vec<&str> = pairs(root).iter().filter_map(|(key, _)| key.text(self.text)).collect();
        for key in others.into_iter().filter(|key| !known.contains(key)) {
            self.note(&format!("`{key}`"));
        }
    }

    fn aliases(&mut self, node: &Node, groups: &mut Groups) {
        for (alias, target) in pairs(node) {
            let name = alias.text(self.text).unwrap_or_default().to_owned();
            // `{model: NAME, hidden: true}` is a longer form of `NAME`.
            let target = target.text(self.text).map(str::to_owned).or_else(|| self.text_of(target, "model"));
            let models =
                target.and_then(|target| Some(groups.iter().find(|(group, _)| *group == target)?.1.clone()));
            match models {
                Some(models) => groups.push((name, models)),
                None => self.note(&format!("`model_group_alias`: `{name}` leads to no model of the list")),
            }
        }
    }

    /// `[{a: [b, c]}]`: where all of `a` have failed, `b` and `c` are asked.
    fn fallbacks(&mut self, node: &Node, groups: &mut Groups) {
        let before = groups.clone();
        for (group, others) in items(node).iter().flat_map(pairs) {
            let name = group.text(self.text).unwrap_or_default();
            let Some((_, models)) = groups.iter_mut().find(|(group, _)| group == name) else {
                self.note(&format!("`fallbacks`: `{name}` is no model of the list"));
                continue;
            };
            for other in items(others).iter().filter_map(|other| other.text(self.text)) {
                match before.iter().find(|(group, _)| group == other) {
                    Some((_, more)) => {
                        let more: Vec<String> =
                            more.iter().filter(|model| !models.contains(model)).cloned().collect();
                        models.extend(more);
                    }
                    None => self.notes.push(format!("left: `fallbacks`: `{other}` is no model of the list")),
                }
            }
        }
    }

    fn file(&mut self, name: &str, deployments: &[Deployment], groups: &Groups, root: &Node) -> String {
        let short = name.rsplit('/').next().unwrap_or(name);
        let mut lines =
            vec![format!("# From {} of LiteLLM, by `waypost init --from`.", write::comment(short))];
        lines.push("\nmodel_providers:".to_owned());
        let mut default = true;
        for deployment in deployments {
            lines.extend(deployment.lines.iter().cloned());
            if std::mem::take(&mut default) && !deployment.model.ends_with('*') {
                lines.push("    default: true".to_owned());
            }
        }
        let models: Vec<&str> =
            deployments.iter().filter_map(|one| one.model.split_once('/')).map(|(_, model)| model).collect();
        let mut renamed = Groups::new();
        // A name that is the model's own leads there without an alias, if nothing else does.
        let is_own = |group: &str, models: &[String]| {
            let own = |model: &String| {
                model == group || model.split_once('/').is_some_and(|(_, model)| model == group)
            };
            models.len() == 1 && models.iter().all(own)
        };
        let aliases: Vec<&(String, Vec<String>)> = groups
            .iter()
            .filter(|(group, models)| !is_own(group, models) && !group.contains('*') && !group.contains('/'))
            .collect();
        for (group, models) in
            groups.iter().filter(|(group, models)| group.contains('/') && !is_own(group, models))
        {
            if !group.contains('*') {
                self.note(&format!(
                    "`{group}` as a name: aliases have no `/`; it leads to {}",
                    models.join(", ")
                ));
            }
        }
        for (group, targets) in aliases {
            let mut alias = group.clone();
            if models.contains(&group.as_str()) {
                alias.push_str("-group");
                self.notes.push(format!(
                    "note: `{group}` is the name of a model, and means that one; all that LiteLLM has behind it is the alias `{alias}`"
                ));
            }
            renamed.push((alias, targets.clone()));
        }
        if !renamed.is_empty() {
            lines.push("\nmodel_aliases:".to_owned());
            lines.extend(
                renamed
                    .iter()
                    .map(|(group, models)| format!("  {}: {{targets: {}}}", scalar(group), list(models))),
            );
        }
        lines.extend(self.reliability(root, groups));
        lines.push(String::new());
        lines.join("\n")
    }

    fn reliability(&self, root: &Node, groups: &Groups) -> Vec<String> {
        let sections = ["router_settings", "litellm_settings"].map(|key| value(root, self.text, key));
        let sections: Vec<&Node> = sections.into_iter().flatten().collect();
        let mut lines = Vec::new();
        let retries = sections.iter().find_map(|node| self.text_of(node, "num_retries")?.parse::<u32>().ok());
        if let Some(retries) = retries {
            lines.push(format!("  attempts: {}", retries.saturating_add(1).clamp(1, 10)));
        }
        let others =
            sections.iter().filter_map(|node| value(node, self.text, "default_fallbacks")).flat_map(items);
        let others = others.filter_map(|node| node.text(self.text));
        let mut models: Vec<String> = Vec::new();
        for (_, more) in others.filter_map(|name| groups.iter().find(|(group, _)| group == name)) {
            models.extend(more.iter().filter(|model| !model.ends_with('*')).cloned());
        }
        if !models.is_empty() {
            lines.push(format!("  fallbacks: {}", list(&models)));
        }
        if !lines.is_empty() {
            lines.insert(0, "\nreliability:".to_owned());
        }
        lines
    }
}

/// Who serves a model that is named without a provider.
fn usual_provider(model: &str) -> &'static str {
    if model.starts_with("claude") { "anthropic" } else { "openai" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_a_known_provider() {
        let names: Names = serde_saphyr::from_str(include_str!("litellm.yaml")).unwrap();
        for (theirs, ours) in &names.0 {
            assert!(providers::find(ours).is_some(), "{theirs}: {ours}");
        }
    }
}
