//! The cases: what stands between the load and the mock, how it is configured, and what is asked.

use std::net::SocketAddr;

use clap::ValueEnum;

use super::ask::ROUTES;
use super::process::KEYS;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Case {
    /// No gateway: what the load and the mock cost by themselves, plain and streamed
    Direct,
    /// The same API on both sides, the model by its name
    Bare,
    /// The model by an alias
    Alias,
    /// An alias of a model at three keys, the less busy of which is taken, and a fallback
    Pool,
    /// A Chat Completions client, a Messages provider
    Translated,
    /// No model: the embedded router decides between six routes, for conversations that are never the same
    Routed,
    /// `bare` with limits of requests, sizes and times
    Limits,
    /// `bare` without records, request lines and admin listener
    Quiet,
    /// Streams of the same API on both sides: paced, then as fast as they go
    Stream,
    /// Streams of a Messages provider for a Chat Completions client
    StreamTranslated,
}

/// What stands in the configuration beside the usual things: the defaults hold for all else.
struct Setup {
    listener: &'static str,
    entry: &'static str,
    rest: &'static str,
}

impl Case {
    /// As it is written in arguments and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bare => "bare",
            Self::Alias => "alias",
            Self::Pool => "pool",
            Self::Translated => "translated",
            Self::Routed => "routed",
            Self::Limits => "limits",
            Self::Quiet => "quiet",
            Self::Stream => "stream",
            Self::StreamTranslated => "stream-translated",
        }
    }

    /// Its answers are streams.
    pub(super) fn is_streamed(self) -> bool {
        matches!(self, Self::Stream | Self::StreamTranslated)
    }

    /// It is measured with bodies of each size, and not of the first one only.
    pub(super) fn has_sizes(self) -> bool {
        matches!(self, Self::Direct | Self::Bare | Self::Translated)
    }

    /// It can be asked of another gateway, too.
    #[must_use]
    pub fn is_general(self) -> bool {
        matches!(self, Self::Direct | Self::Bare | Self::Stream)
    }

    /// The model that is asked for.
    pub(super) fn model(self) -> &'static str {
        match self {
            Self::Translated | Self::StreamTranslated => "anthropic/bench",
            Self::Alias => "fast",
            Self::Pool => "pool",
            _ => "openai/bench",
        }
    }

    /// What the answer's head says if the case is what it says it is.
    pub(super) fn decided(self) -> &'static str {
        match self {
            Self::Alias | Self::Pool => "method=alias",
            Self::Routed => "method=preference",
            _ => "method=name",
        }
    }

    fn setup(self) -> Setup {
        let usual = Setup { listener: "", entry: "", rest: "" };
        match self {
            Self::Alias => Setup { rest: "model_aliases: {fast: {target: openai/bench}}\n", ..usual },
            Self::Pool => Setup { rest: POOL, ..usual },
            Self::Routed => Setup { rest: ROUTES, ..usual },
            Self::Limits => Setup {
                listener: ", max_requests: 10000, max_connections: 10000, max_body: 16MiB, body_timeout: 10s, \
                           total_timeout: 60s, timeout: 30s",
                entry: ", max_requests: 10000, max_account_requests: 10000",
                ..usual
            },
            Self::Quiet => Setup { rest: "log: {records: false}\nadmin: {enabled: false}\n", ..usual },
            _ => usual,
        }
    }

    /// The gateway's configuration, with `@PORT@` for its port.
    pub(super) fn configuration(self, mock: SocketAddr) -> String {
        let Setup { listener, entry, rest } = self.setup();
        let openai =
            |key| format!("access_key: ${key}, base_url: 'http://{mock}', provider_interface: openai_chat");
        let mut text = format!(
            "listeners: {{egress_traffic: {{address: 127.0.0.1, port: @PORT@{listener}}}}}\nmodel_providers:\n"
        );
        match self {
            Self::Translated | Self::StreamTranslated => text.push_str(&format!(
                "  - {{model: anthropic/bench, access_key: $BENCH_KEY, base_url: 'http://{mock}'}}\n"
            )),
            _ => text.push_str(&format!("  - {{model: openai/bench, {}{entry}}}\n", openai(KEYS[0]))),
        }
        if self == Self::Pool {
            for (model, key) in [("bench", KEYS[1]), ("bench", KEYS[2]), ("fallback", KEYS[0])] {
                text.push_str(&format!("  - {{model: openai/{model}, {}}}\n", openai(key)));
            }
        }
        text.push_str(rest);
        if self != Self::Quiet {
            // As they are by default, but where nothing else finds them.
            text.push_str("log: {path: records.db}\nadmin: {port: 0}\n");
        }
        text
    }

    /// Other arguments of `waypost up`.
    pub(super) fn arguments(self) -> Vec<String> {
        let format = if self == Self::Quiet { "off" } else { "json" };
        vec!["--log-format".to_owned(), format.to_owned()]
    }
}

const POOL: &str = "model_aliases: {pool: {target: openai/bench}}
reliability: {balance: least_loaded, fallbacks: [openai/fallback]}
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn every_configuration_loads_without_a_warning() {
        for case in Case::value_variants() {
            let text = case.configuration(([127, 0, 0, 1], 9).into()).replace("@PORT@", "12000");
            let loaded = config::parse("bench.yaml", &text, &Environment::of(KEYS.map(|key| (key, key))));
            let loaded = loaded.unwrap_or_else(|problems| panic!("{}: {problems}", case.name()));
            assert!(loaded.warnings.is_empty(), "{}", case.name());
            assert_eq!(case.to_possible_value().unwrap().get_name(), case.name());
        }
    }
}
