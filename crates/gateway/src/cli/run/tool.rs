//! What a tool reads: variables of the environment and arguments.
//!
//! Claude Code: <https://docs.anthropic.com/en/docs/claude-code/settings>. Codex:
//! <https://github.com/openai/codex/blob/main/docs/config.md>. SDKs: `OPENAI_BASE_URL` (openai-python and -node),
//! `ANTHROPIC_BASE_URL` (anthropic-sdk-python and -typescript), `GOOGLE_GEMINI_BASE_URL` (google-genai).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::Command;

use clap::ValueEnum;
use waypost_dialect::provider::Provider;
use waypost_dialect::providers::PROVIDERS;

use crate::config::Environment;

/// A coding agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Tool {
    /// Claude Code
    Claude,
    /// Codex
    Codex,
}

/// The key where none is asked for: SDKs want one.
const PLACEHOLDER: &str = "waypost";

/// Whether this is a variable for keys of a provider. What ends in `_TOKEN` is an account's, which other tools use as
/// well; it is one where the configuration takes it for a key.
fn is_key(name: &str, configured: &[String]) -> bool {
    let is_usual = |provider: &Provider| provider.key_variables.contains(&name) && !name.ends_with("_TOKEN");
    name == "ANTHROPIC_AUTH_TOKEN"
        || PROVIDERS.iter().any(is_usual)
        || configured.iter().any(|own| own == name)
}

/// All variables that may hold such a key.
fn keys(configured: &[String]) -> impl Iterator<Item = &str> {
    let usual = PROVIDERS.iter().flat_map(|provider| provider.key_variables.iter().copied());
    let all = usual.chain(["ANTHROPIC_AUTH_TOKEN"]).chain(configured.iter().map(String::as_str));
    let names: BTreeSet<&str> = all.filter(|name| is_key(name, configured)).collect();
    names.into_iter()
}

/// Keys of providers that are set in the environment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keys<'k> {
    /// They are left to the program.
    Kept,
    /// They do not reach it, nor do these variables, of which the configuration takes its own.
    Of(&'k [String]),
}

/// How a program is started.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Launch {
    tool: Option<Tool>,
    set: Vec<(&'static str, String)>,
    unset: Vec<String>,
    arguments: Vec<String>,
}

impl Launch {
    pub(super) fn new(
        tool: Option<Tool>,
        url: &str,
        model: Option<&str>,
        key: Option<&str>,
        kept: Keys<'_>,
        environment: &Environment,
    ) -> Self {
        let keep_keys = matches!(kept, Keys::Kept);
        let key = key.unwrap_or(PLACEHOLDER);
        let is_set = |name: &str| environment.find(name).is_some();
        let mut launch = Self { tool, set: Vec::new(), unset: Vec::new(), arguments: Vec::new() };
        if let Keys::Of(configured) = kept {
            launch.unset.extend(keys(configured).filter(|name| is_set(name)).map(str::to_owned));
        }
        match tool {
            Some(Tool::Claude) => launch.claude(url, model),
            Some(Tool::Codex) => launch.codex(url, model, key),
            None => launch.sdks(url),
        }
        let keys: &[&'static str] = match tool {
            Some(Tool::Claude) => &["ANTHROPIC_AUTH_TOKEN"],
            Some(Tool::Codex) => &[],
            None => &["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"],
        };
        // A tool that has another key of the provider's uses that.
        let has_own = keep_keys && keys.iter().chain(&["ANTHROPIC_API_KEY"]).any(|name| is_set(name));
        for name in keys {
            let keeps = keep_keys && (is_set(name) || (tool.is_some() && has_own));
            if !keeps {
                launch.set(name, key);
            }
        }
        launch.past_proxies(url, environment);
        launch
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.unset.retain(|unset| *unset != name);
        self.set.push((name, value.to_owned()));
    }

    fn claude(&mut self, url: &str, model: Option<&str>) {
        self.set("ANTHROPIC_BASE_URL", url);
        let Some(model) = model else { return };
        // Titles, summaries and subagents have names of their own that a gateway need not know.
        for name in ["ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL", "CLAUDE_CODE_SUBAGENT_MODEL"] {
            self.set(name, model);
        }
    }

    fn codex(&mut self, url: &str, model: Option<&str>, key: &str) {
        self.set("WAYPOST_KEY", key);
        // TOML, of which JSON's strings are a part.
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let provider = format!(
            "model_providers.waypost={{name=\"Waypost\",base_url={},wire_api=\"responses\",env_key=\"WAYPOST_KEY\"}}",
            text(&format!("{url}/v1"))
        );
        let model = model.map(|model| format!("model={}", text(model)));
        for setting in ["model_provider=\"waypost\"".to_owned(), provider].into_iter().chain(model) {
            self.arguments.extend(["-c".to_owned(), setting]);
        }
    }

    fn sdks(&mut self, url: &str) {
        self.set("OPENAI_BASE_URL", &format!("{url}/v1"));
        self.set("ANTHROPIC_BASE_URL", url);
        self.set("GOOGLE_GEMINI_BASE_URL", url);
    }

    /// Where a proxy is set for all connections, this machine is none of its business.
    fn past_proxies(&mut self, url: &str, environment: &Environment) {
        let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
        let host = url.split("://").nth(1).unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        if !proxies.iter().any(|name| environment.find(name).is_some()) {
            return;
        }
        for name in ["no_proxy", "NO_PROXY"] {
            let known = environment.find(name).map(|(value, _)| value).unwrap_or_default();
            if known.split(',').any(|part| part.trim() == host || part.trim() == "*") {
                continue;
            }
            let all = if known.is_empty() { host.to_owned() } else { format!("{known},{host}") };
            self.set.push((name, all));
        }
    }

    /// The program with its own arguments behind ours.
    ///
    /// # Errors
    /// There is no program.
    pub(super) fn command(&self, arguments: Vec<OsString>) -> anyhow::Result<Command> {
        let mut own = arguments.into_iter();
        let program = match self.tool {
            Some(Tool::Claude) => OsString::from("claude"),
            Some(Tool::Codex) => OsString::from("codex"),
            None => own.next().ok_or_else(|| anyhow::anyhow!("there is no program after `--`"))?,
        };
        let mut command = Command::new(program);
        command.args(&self.arguments).args(own);
        for name in &self.unset {
            command.env_remove(name);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// The same as lines for a POSIX shell.
    pub(super) fn shell(&self) -> String {
        let mut lines = String::new();
        for name in &self.unset {
            lines.push_str(&format!("unset {name}\n"));
        }
        for (name, value) in &self.set {
            lines.push_str(&format!("export {name}={}\n", quoted(value)));
        }
        if !self.arguments.is_empty() {
            let arguments: Vec<String> = self.arguments.iter().map(|argument| quoted(argument)).collect();
            lines.push_str(&format!("alias codex={}\n", quoted(&format!("codex {}", arguments.join(" ")))));
        }
        lines
    }
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:12000";

    fn shell(tool: Option<Tool>, keep_keys: bool, environment: &Environment) -> String {
        let configured = ["TEAM_KEY", "HUB_TOKEN"].map(str::to_owned);
        let keys = if keep_keys { Keys::Kept } else { Keys::Of(&configured) };
        Launch::new(tool, URL, Some("auto"), None, keys, environment).shell()
    }

    #[test]
    fn a_tool_gets_the_address_and_no_key_of_a_provider() {
        let environment = Environment::of([("OPENAI_API_KEY", "sk-LEAK"), ("ANTHROPIC_API_KEY", "sk-LEAK")]);
        let claude = shell(Some(Tool::Claude), false, &environment);
        assert!(claude.contains("unset ANTHROPIC_API_KEY\nunset OPENAI_API_KEY\n"), "{claude}");
        assert!(claude.contains("export ANTHROPIC_BASE_URL=http://127.0.0.1:12000\n"), "{claude}");
        assert!(claude.contains("export ANTHROPIC_AUTH_TOKEN=waypost\n"), "{claude}");
        assert!(claude.contains("export ANTHROPIC_MODEL=auto\n"), "{claude}");
        let any = shell(None, false, &environment);
        assert!(any.contains("export OPENAI_API_KEY=waypost\n") && !any.contains("unset OPENAI"), "{any}");
        assert!(any.contains("export GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:12000\n"), "{any}");
        for tool in [None, Some(Tool::Claude), Some(Tool::Codex)] {
            assert!(!shell(tool, false, &environment).contains("LEAK"));
            assert!(!shell(tool, true, &environment).contains("LEAK"));
        }
    }

    #[test]
    fn no_variable_of_a_key_reaches_a_tool_whatever_its_provider() {
        let all = PROVIDERS.iter().flat_map(|provider| provider.key_variables.iter().copied());
        let usual: Vec<&str> = all.filter(|name| !name.ends_with("_TOKEN")).collect();
        assert!(usual.len() > 40, "{usual:?}");
        for name in usual.into_iter().chain(["ANTHROPIC_AUTH_TOKEN", "TEAM_KEY", "HUB_TOKEN"]) {
            let environment = Environment::of([(name, "sk-LEAK")]);
            let lines = shell(Some(Tool::Codex), false, &environment);
            assert!(lines.contains(&format!("unset {name}\n")), "{name}: {lines}");
            assert!(!shell(Some(Tool::Codex), true, &environment).contains("unset"), "{name}");
        }
        // What other tools use as well stays, as long as the configuration has no key of it.
        let environment = Environment::of([("OTHER_TOKEN", "x"), ("PATH", "/bin")]);
        assert!(!shell(Some(Tool::Codex), false, &environment).contains("unset"));
    }

    #[test]
    fn keys_are_kept_where_that_is_asked_for() {
        let environment = Environment::of([("ANTHROPIC_API_KEY", "sk-LEAK")]);
        let claude = shell(Some(Tool::Claude), true, &environment);
        assert!(!claude.contains("unset") && !claude.contains("ANTHROPIC_AUTH_TOKEN"), "{claude}");
        let any = shell(None, true, &environment);
        assert!(any.contains("OPENAI_API_KEY=waypost") && !any.contains(" ANTHROPIC_API_KEY"), "{any}");
    }

    #[test]
    fn a_proxy_is_passed_by() {
        let without = Environment::of([("no_proxy", "a.example")]);
        assert!(!shell(None, false, &without).contains("no_proxy"));
        let with = Environment::of([("http_proxy", "http://proxy:1"), ("no_proxy", "a.example")]);
        let lines = shell(None, false, &with);
        assert!(
            lines.contains("export no_proxy=a.example,127.0.0.1\nexport NO_PROXY=127.0.0.1\n"),
            "{lines}"
        );
    }

    #[test]
    fn words_survive_a_shell() {
        for text in ["", "a b", "it's", "$(x)", "a\"b", "plain-1.2/x"] {
            let output =
                Command::new("sh").args(["-c", &format!("printf %s {}", quoted(text))]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
