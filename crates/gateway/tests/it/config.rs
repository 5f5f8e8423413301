//! Configurations. A new case is a new file in `tests/fixtures/config/good` or `bad`, no code. `UPDATE=1` rewrites
//! what is generated; `INSTA_UPDATE=always` rewrites snapshots.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use waypost::config::{self, Config, Environment, Loaded, ModelPattern, Rendered};
use waypost::runtime::Runtime;
use waypost_routing::catalog::{Facts, Modality};
use waypost_routing::preference::cascade::LowConfidence;

/// What fixtures refer to. Literal keys in fixtures contain `LEAK`.
const VARIABLES: [(&str, &str); 5] = [
    ("OPENAI_API_KEY", "sk-LEAK-openai"),
    ("ANTHROPIC_API_KEY", "sk-LEAK-anthropic"),
    ("PROJECT", "house-2"),
    ("BLANK", " "),
    ("MULTILINE", "LEAK\nLEAK"),
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn environment() -> Environment {
    Environment::of(VARIABLES)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty(), "no fixtures in {}", folder.display());
    files
}

/// Every fixture of the folder, by its name for diagnostics; `check` says what to compare with the snapshot.
fn snapshots(folder: &str, check: impl Fn(Result<Loaded, Rendered>) -> String) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(fixtures.join(folder));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for path in yaml_files(&fixtures.join(folder)) {
        let file = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let loaded = config::parse(file, &text, &environment());
        no_leak(file, &format!("{loaded:?}"));
        let shown = check(loaded);
        no_leak(file, &shown);
        settings.bind(|| insta::assert_snapshot!(file.trim_end_matches(".yaml"), shown));
    }
}

fn no_leak(file: &str, text: &str) {
    assert!(!text.contains("LEAK"), "{file}: a key is shown:\n{text}");
}

#[test]
fn good_configurations_resolve() {
    snapshots("good", |loaded| {
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        Runtime::new(&loaded.config).unwrap();
        let mut facts = describe(&loaded.config);
        for warning in &loaded.warnings {
            write!(facts, "\n{warning}\n").unwrap();
        }
        facts
    });
}

#[test]
fn bad_configurations_say_what_is_wrong() {
    snapshots("bad", |loaded| {
        let problems = loaded.map(|loaded| describe(&loaded.config)).expect_err("a bad configuration loads");
        let plain = anstream::adapter::strip_str(&format!("{problems:#}")).to_string();
        assert_eq!(plain, problems.to_string(), "colours change nothing else");
        plain
    });
}

/// The facts, without secrets.
fn describe(config: &Config) -> String {
    let mut facts = String::new();
    for listener in &config.listeners {
        writeln!(
            facts,
            "listener {} at {} first byte {:?} idle {:?} body {:?} {} bytes",
            listener.name,
            listener.address,
            listener.first_byte_timeout,
            listener.idle_timeout,
            listener.body_timeout,
            listener.max_body_bytes
        )
        .unwrap();
    }
    for (index, entry) in config.entries.iter().enumerate() {
        let provider = &entry.provider;
        let model = match &entry.model {
            ModelPattern::Exact(model) => model,
            ModelPattern::Any => "*",
        };
        let dialects: Vec<&str> = provider.dialects.iter().map(|dialect| dialect.name()).collect();
        write!(
            facts,
            "entry {} = {model} of {} at {}{} {} {:?} key: {}",
            entry.name,
            provider.id,
            provider.base_url,
            provider.path_of(model),
            dialects.join("+"),
            provider.auth,
            entry.key_source
        )
        .unwrap();
        assert_eq!(
            entry.key.is_some(),
            entry.key_source.contains('$') || entry.key_source.contains("literal")
        );
        for (name, value) in &entry.headers {
            assert!(value.is_sensitive());
            write!(facts, " +{name}").unwrap();
        }
        if let Some(host) = &entry.host {
            write!(facts, " host {host}").unwrap();
        }
        if config.default_entry == Some(index) {
            facts.push_str(" (default)");
        }
        if entry.facts != Facts::default() {
            let Facts { context, prices, modalities, .. } = entry.facts;
            let reads: Option<Vec<&str>> = modalities.map(|all| all.iter().map(Modality::name).collect());
            write!(facts, "\n  facts context {context:?} {prices:?} reads {reads:?}").unwrap();
        }
        facts.push('\n');
    }
    for alias in &config.aliases {
        writeln!(facts, "alias {} → {}", alias.name, alias.models.join(", ")).unwrap();
    }
    for route in &config.routes {
        let words = &route.route;
        writeln!(
            facts,
            "route {} → {} “{}” {:?}",
            words.name,
            route.models.join(", "),
            words.description,
            words.examples
        )
        .unwrap();
        if words.threshold.is_some() || words.domain || !route.tests.is_empty() {
            writeln!(
                facts,
                "  threshold {:?} domain {} tests {:?}",
                words.threshold, words.domain, route.tests
            )
            .unwrap();
        }
    }
    let routing = &config.routing;
    writeln!(facts, "routing {:?} {:?} {:?}", routing.mode, routing.deadline, routing.arch_router).unwrap();
    if routing.arch_router.is_some() || routing.on_low_confidence != LowConfidence::Default {
        let (order, margin, low) = (routing.order, routing.escalation_margin, routing.on_low_confidence);
        writeln!(facts, "asking {order:?} margin {margin} {low:?} {:?}", routing.router_model).unwrap();
    }
    if let Some(tracing) = &config.tracing {
        let tracing = format!("{tracing:#?}").replace(env!("CARGO_PKG_VERSION"), "VERSION");
        writeln!(facts, "{tracing} {:?}", config.log.diagnostics).unwrap();
    }
    facts
}

#[test]
fn substitution_reaches_keys_and_headers() {
    use secrecy::ExposeSecret;
    let text = "
model_providers:
  - model: openai/gpt-5.2
    access_key: ${OPENAI_API_KEY}
    headers: {x-a: Bearer $ANTHROPIC_API_KEY, x-b: 5$$}
    routing_preferences: [{name: money, description: 'about $OPENAI_API_KEY'}]
";
    let config = config::parse("x.yaml", text, &environment()).unwrap().config;
    let entry = &config.entries[0];
    assert_eq!(entry.key.as_ref().unwrap().expose_secret(), "sk-LEAK-openai");
    assert_eq!(entry.headers[0].1, "Bearer sk-LEAK-anthropic");
    assert_eq!(entry.headers[1].1, "5$");
    assert_eq!(config.routes[0].route.description, "about $OPENAI_API_KEY");
}

#[test]
fn keys_come_from_dotenv_beside_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plano_config.yaml");
    fs::write(folder.path().join(".env"), "WAYPOST_IT_KEY=sk-LEAK-dotenv\n").unwrap();
    fs::write(&file, "llm_providers: [{model: openai/gpt-5.2, access_key: $WAYPOST_IT_KEY}]").unwrap();
    assert_eq!(config::find(folder.path()), Some(file.clone()));
    let loaded = config::load(&file, &Environment::of_process(folder.path())).unwrap();
    assert_eq!(loaded.config.entries[0].key_source, "$WAYPOST_IT_KEY (.env)");
    fs::write(folder.path().join("waypost.yaml"), "").unwrap();
    assert_eq!(config::find(folder.path()), Some(folder.path().join("waypost.yaml")));
}

#[test]
fn files_that_are_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("waypost.yaml");
    let load = |path: &Path| config::load(path, &environment()).map(|_| ()).unwrap_err().to_string();
    assert!(load(&file).contains("there is no such file"));
    assert!(load(folder.path()).contains("this is a folder"));
    fs::write(&file, b"model_providers:\n  - model: openai/\xff\n").unwrap();
    let shown = load(&file);
    assert!(shown.contains("the file is not UTF-8") && shown.contains(":2:19"), "{shown}");
    assert!(load(folder.path()).contains("did you mean"));
    fs::write(&file, "a".repeat(2 << 20)).unwrap();
    assert!(load(&file).contains("larger than 1024 KiB"));
}

#[test]
fn depth_and_anchors_are_bounded() {
    let deep = "[".repeat(50_000);
    let deeper: String = (0..5_000).map(|level| format!("{}a:\n", " ".repeat(level.min(150)))).collect();
    let mut bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let previous = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", [previous.as_str(); 10].join(", ")).unwrap();
    }
    let chain: String = (0..2_000).map(|link| format!("  a{link}: {{target: a{}}}\n", link + 1)).collect();
    let fan: String = (0..60)
        .map(|link| {
            format!(
                "  b{link}: {{targets: [b{0}, b{0}, c{0}]}}\n  c{link}: {{targets: [b{0}, c{0}]}}\n",
                link + 1
            )
        })
        .collect();
    let chains = format!(
        "model_providers: [{{model: openai/a, access_key: $OPENAI_API_KEY}}]\nmodel_aliases:\n{chain}{fan}"
    );
    let many = format!("model_providers:\n{}", "  - {modl: x}\n".repeat(2_000));
    for text in [deep, deeper, bomb, chains, many] {
        let shown = config::parse("x.yaml", &text, &environment()).map(|_| ()).unwrap_err().to_string();
        assert!(shown.contains("x.yaml") && shown.len() < 50_000, "{}", &shown[..2_000.min(shown.len())]);
    }
}

/// Half-written files: cut anywhere, or with a line less. Nothing panics, and no key is shown.
#[test]
fn damaged_files_are_refused_quietly() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    for path in ["good", "bad"].iter().flat_map(|folder| yaml_files(&fixtures.join(folder))) {
        let text = fs::read_to_string(&path).unwrap();
        let cuts = text.char_indices().step_by(7).map(|(at, _)| text[..at].to_owned());
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let without = (0..lines.len()).map(|line| [&lines[..line], &lines[line + 1..]].concat().concat());
        for damaged in cuts.chain(without) {
            let loaded = config::parse("damaged.yaml", &damaged, &environment());
            no_leak(&path.display().to_string(), &format!("{loaded:?}"));
        }
    }
}

#[test]
fn no_file_means_the_keys_in_the_environment() {
    assert!(config::detect(&Environment::of([])).is_none());
    let loaded = config::detect(&environment()).unwrap();
    let facts = describe(&loaded.config);
    assert!(facts.starts_with("listener default at 127.0.0.1:12000"), "{facts}");
    assert!(facts.contains("entry openai/* = * of openai"), "{facts}");
    assert!(facts.contains("key: $ANTHROPIC_API_KEY (environment)"), "{facts}");
    assert_eq!(loaded.config.entries.len(), 2);
    no_leak("detect", &format!("{loaded:?}{:?}", environment()));
    // An address of one's own: where its parts are set, too.
    let detected = |variables: [(&str, &str); 4]| {
        let loaded = config::detect(&Environment::of(variables)).unwrap();
        let entries = loaded.config.entries.into_iter();
        entries.map(|entry| format!("{} {}", entry.name, entry.provider.base_url)).collect::<Vec<_>>()
    };
    assert_eq!(
        detected([
            ("AWS_BEARER_TOKEN_BEDROCK", "k"),
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("AZURE_OPENAI_API_KEY", "k"),
            ("OPENAI_API_KEY", "k"),
        ]),
        [
            "amazon_bedrock/* https://bedrock-runtime.eu-west-1.amazonaws.com",
            "openai/* https://api.openai.com"
        ]
    );
    assert_eq!(
        detected([
            ("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.x"),
            ("GOOGLE_CLOUD_PROJECT", "p"),
            ("CLOUD_ML_REGION", "global"),
            ("AZURE_RESOURCE_NAME", "not/a/name"),
        ]),
        ["vertex_ai/* https://aiplatform.googleapis.com"]
    );
}

#[test]
fn examples_load_and_name_the_schema() {
    let variables = Environment::of([
        ("OPENAI_API_KEY", "k"),
        ("ANTHROPIC_API_KEY", "k"),
        ("AZURE_OPENAI_API_KEY", "k"),
        ("AZURE_OPENAI_API_KEY_2", "k"),
        ("GOOGLE_CLOUD_PROJECT", "p"),
        ("AWS_BEARER_TOKEN_BEDROCK", "k"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "k"),
    ]);
    for path in yaml_files(&root().join("examples")) {
        let text = fs::read_to_string(&path).unwrap();
        let loaded = config::parse(&path.display().to_string(), &text, &variables);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let first = text.lines().next().unwrap();
        let schema = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{}: {first}", path.display()));
        assert!(path.parent().unwrap().join(schema).is_file(), "{schema}");
    }
}

#[test]
fn the_schema_is_current() {
    current("docs/reference/waypost.schema.json", &format!("{}\n", config::json_schema()));
}

#[test]
fn the_reference_is_current() {
    let schema: Value = serde_json::from_str(&config::json_schema()).unwrap();
    current("docs/reference/configuration.md", &reference(&schema));
}

/// Compares a generated file; `UPDATE=1` writes it.
pub(crate) fn current(file: &str, expected: &str) {
    let path = root().join(file);
    #[expect(clippy::disallowed_methods, reason = "a switch of the tests, not of the gateway")]
    if std::env::var("UPDATE").is_ok() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{file} is stale: UPDATE=1 cargo test -p waypost --test it config");
}

/// The reference page, from the schema.
fn reference(schema: &Value) -> String {
    let mut page = "# Configuration\n\nGenerated from the JSON Schema (`waypost schema`), which editors read from [waypost.schema.json](waypost.schema.json). \
        Examples are in [examples](../../examples); what differs from Plano is in [From Plano](../guides/from-plano.md).\n\n\
        Variables: `$NAME` and `${NAME}` are replaced in `access_key`, in `token` of `admin`, in the values of `headers`, in the parts of an address (`region` and the like) and in the paths of a listener, nowhere else; `$$` is a dollar \
        sign. They come from the environment, then from `.env` beside the configuration.\n"
        .to_owned();
    section(&mut page, "The file", schema);
    for (heading, name) in [
        ("`listeners`, as a mapping", "ListenerMap"),
        ("A listener", "Listener"),
        ("`tls` of a listener", "Tls"),
        ("`admin`", "Admin"),
        ("An item of `model_providers`", "Entry"),
        ("`reliability`", "Reliability"),
        ("`cost` of an item of `model_providers`", "Cost"),
        ("`routing_preferences` of an item of `model_providers`", "Preference"),
        ("An item of `model_aliases`", "Alias"),
        ("An item of `routing_preferences`", "Route"),
        ("`selection_policy`", "SelectionPolicy"),
        ("`routing`", "Routing"),
        ("`router_model` of `routing`", "RouterModel"),
        ("`session_cache` of `routing`", "SessionCache"),
        ("`routing_budget` of `routing`", "RoutingBudget"),
        ("`state_storage`", "StateStorage"),
        ("`log`", "Log"),
        ("`tracing`", "Tracing"),
        ("`span_attributes` of `tracing`", "SpanAttributes"),
        ("`overrides`", "Overrides"),
    ] {
        section(&mut page, heading, &schema["definitions"][name]);
    }
    let definitions = schema["definitions"].as_object().unwrap();
    assert_eq!(definitions.len(), 21, "a definition without a section: {:?}", definitions.keys());
    page
}

fn section(page: &mut String, heading: &str, schema: &Value) {
    let line = |text: &Value| text.as_str().unwrap_or_default().replace('\n', " ");
    let properties = schema["properties"].as_object().unwrap_or_else(|| panic!("{heading}: {schema}"));
    write!(
        page,
        "\n## {heading}\n\n{}\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n",
        line(&schema["description"])
    )
    .unwrap();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut ignored = Vec::new();
    for (key, property) in properties {
        let description = line(&property["description"]);
        assert!(!description.is_empty(), "{heading}: `{key}` is not described");
        if description.starts_with("Plano's, ignored") {
            ignored.push(format!("`{key}`"));
            continue;
        }
        let default = match &property["default"] {
            Value::Null if required.contains(&key.as_str()) => "required".to_owned(),
            Value::Null => String::new(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        writeln!(page, "| `{key}` | {} | {default} | {description} |", kind(property)).unwrap();
    }
    if !ignored.is_empty() {
        write!(
            page,
            "\nKeys of Plano that are accepted and ignored, with a warning: {}.\n",
            ignored.join(", ")
        )
        .unwrap();
    }
}

/// A property's type in words.
fn kind(property: &Value) -> String {
    if let Some(name) = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str()) {
        return match name.rsplit('/').next().unwrap() {
            "Listeners" => "mapping or list".to_owned(),
            _ => "mapping".to_owned(),
        };
    }
    if let Some(values) = property["enum"].as_array() {
        return values
            .iter()
            .filter_map(|value| Some(format!("`{}`", value.as_str()?)))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let name = |kind: &Value| match kind.as_str().unwrap_or_default() {
        "string" => "text".to_owned(),
        "integer" => "whole number".to_owned(),
        "number" => "number".to_owned(),
        "boolean" => "`true`, `false`".to_owned(),
        "array" => "list".to_owned(),
        "object" => "mapping".to_owned(),
        _ => "any".to_owned(),
    };
    match &property["type"] {
        Value::Array(kinds) => kinds.iter().map(name).collect::<Vec<_>>().join(" or "),
        kind => name(kind),
    }
}
