//! Where traces go: what the configuration says, or else the variables that every exporter of OpenTelemetry reads
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use http::{HeaderName, HeaderValue, Uri};

use super::super::diagnostic::Problem;
use super::super::schema::{self, TracingProtocol};
use super::super::secret::Environment;
use super::super::setting::{Placed, Setting};
use super::{Context, values};
use crate::config::{Collector, Protocol, Tracing};

/// Plano's, and the usual one of a collector on the same machine.
const USUAL: &str = "http://localhost:4317";
/// The port at which collectors speak gRPC.
const GRPC_PORT: u16 = 4317;
/// Where a collector takes traces over HTTP.
const PATH: &str = "/v1/traces";
/// The same over gRPC.
const SERVICE: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Most attributes that a configuration or its environment may add.
const MOST: usize = 64;
/// What names of headers have in them whose values are secrets, or may be.
const SECRET: [&str; 8] = ["auth", "cookie", "credential", "key", "password", "secret", "session", "token"];

pub(super) fn resolve(context: Context<'_>, written: &Setting<schema::Tracing>) -> Option<Tracing> {
    let environment = context.environment;
    let Some(placed) = written.given() else { return from_environment(environment) };
    let tracing = &placed.value;
    context.ignored(
        "tracing.trace_arch_internal",
        &tracing.trace_arch_internal,
        "every request is traced the same way",
    );
    context.ignored("tracing.exporters", &tracing.exporters, "traces go to a collector by OTLP");
    let attributes = tracing.span_attributes.value();
    let header_prefixes = attributes.into_iter().flat_map(|attributes| attributes.header_prefixes.items());
    let header_prefixes: Vec<String> =
        header_prefixes.filter_map(|written| prefix(context, written)).take(MOST).collect();
    let fixed = attributes.into_iter().flat_map(|attributes| attributes.fixed.pairs());
    let mut resource = resource(environment);
    if let Some(name) = tracing.service_name.value().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        set(&mut resource, "service.name", name);
    }
    Some(Tracing {
        ratio: ratio(context, &tracing.random_sampling),
        collector: collector(context, tracing)?,
        header_prefixes,
        attributes: fixed.map(|(name, value)| (name.value.clone(), value.value.clone())).take(MOST).collect(),
        resource,
        content: tracing.content.value().copied().unwrap_or_default(),
    })
}

/// Traces of a configuration that says nothing about them: whoever sets the variables wants some.
pub(in crate::config) fn from_environment(environment: &Environment) -> Option<Tracing> {
    let is = |name: &str, value: &str| {
        environment.own(name).is_some_and(|found| found.trim().eq_ignore_ascii_case(value))
    };
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    let (uri, protocol) = endpoint_of(environment)?;
    let argument = environment.own("OTEL_TRACES_SAMPLER_ARG").and_then(|text| text.trim().parse().ok());
    let ratio = match environment.own("OTEL_TRACES_SAMPLER").as_deref().map(str::trim) {
        Some("always_off" | "parentbased_always_off") => 0.0,
        Some("traceidratio" | "parentbased_traceidratio") => argument.unwrap_or(1.0),
        _ => 1.0,
    };
    Some(Tracing {
        ratio: f64::clamp(ratio, 0.0, 1.0),
        collector: Collector { uri, protocol, headers: headers_of(environment) },
        header_prefixes: Vec::new(),
        attributes: Vec::new(),
        resource: resource(environment),
        content: false,
    })
}

fn ratio(context: Context<'_>, written: &Setting<String>) -> f64 {
    let Some(placed) = written.given() else { return 1.0 };
    match placed.value.trim().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => percent / 100.0,
        _ => {
            let problem = Problem::error("`random_sampling` is not between 0 and 100").at(&placed.place);
            context.add(problem.hint("write a percentage, such as `100` for all requests"));
            1.0
        }
    }
}

fn collector(context: Context<'_>, tracing: &schema::Tracing) -> Option<Collector> {
    let headers = match tracing.headers.given() {
        Some(_) => values::headers(context, &tracing.headers),
        None => headers_of(context.environment),
    };
    let plano = tracing.opentracing_grpc_endpoint.given();
    if let (Some(_), Some(plano)) = (tracing.endpoint.given(), plano) {
        context.add(
            Problem::error("both `endpoint` and `opentracing_grpc_endpoint`")
                .at(&plano.place)
                .hint("give one of the two"),
        );
    }
    let said = tracing.protocol.value().map(|protocol| match protocol {
        TracingProtocol::Grpc => Protocol::Grpc,
        TracingProtocol::Http => Protocol::Http,
    });
    let (written, said) = match tracing.endpoint.given() {
        Some(endpoint) => (Some(endpoint), said),
        None => (plano, said.or_else(|| plano.map(|_| Protocol::Grpc))),
    };
    let (uri, protocol) = match written {
        Some(written) => {
            let text = values::expanded(context, written)?.text;
            let found = endpoint(&text, said);
            if found.is_none() {
                context.add(not_an_address(written));
            }
            found?
        }
        None => match endpoint_of(context.environment) {
            Some((uri, protocol)) if said.is_none_or(|said| said == protocol) => (uri, protocol),
            Some((uri, _)) => {
                let base = format!("{}://{}", uri.scheme_str().unwrap_or("http"), uri.authority()?);
                endpoint(&base, said)?
            }
            None if said == Some(Protocol::Http) => endpoint("http://localhost:4318", said)?,
            None => endpoint(USUAL, said)?,
        },
    };
    Some(Collector { uri, protocol, headers })
}

fn not_an_address(written: &Placed<String>) -> Problem {
    Problem::error("this is not a collector's address")
        .at(&written.place)
        .hint("write it as `http://localhost:4317` or `https://collector.example.com/v1/traces`")
}

/// An address as somebody writes it: with the path to traces, or without.
fn endpoint(text: &str, said: Option<Protocol>) -> Option<(Uri, Protocol)> {
    let uri: Uri = text.trim().parse().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let guess = if uri.port_u16() == Some(GRPC_PORT) { Protocol::Grpc } else { Protocol::Http };
    let protocol = said.unwrap_or(guess);
    let path = uri.path().trim_end_matches('/');
    let path = match protocol {
        Protocol::Grpc if path.is_empty() => SERVICE.to_owned(),
        // gRPC has its own paths.
        Protocol::Grpc => return None,
        Protocol::Http if path.ends_with(PATH) => path.to_owned(),
        Protocol::Http => format!("{path}{PATH}"),
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some((format!("{scheme}://{authority}{path}{query}").parse().ok()?, protocol))
}

/// The address and the protocol that the usual variables name. Their own default is HTTP.
fn endpoint_of(environment: &Environment) -> Option<(Uri, Protocol)> {
    let of_traces = environment.own("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    let base = environment.own("OTEL_EXPORTER_OTLP_ENDPOINT");
    let protocol = environment
        .own("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        .or_else(|| environment.own("OTEL_EXPORTER_OTLP_PROTOCOL"));
    let protocol = match protocol.as_deref().map(str::trim) {
        Some("grpc") => Protocol::Grpc,
        _ => Protocol::Http,
    };
    match (of_traces, protocol) {
        // Taken as it is.
        (Some(whole), Protocol::Http) => Some((whole.trim().parse().ok()?, protocol)),
        (whole, _) => endpoint(&whole.or(base)?, Some(protocol)),
    }
}

/// `name=value,name=value`, the values percent-encoded.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split(',').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_owned(), value.into_owned()))
    })
}

fn headers_of(environment: &Environment) -> Vec<(HeaderName, HeaderValue)> {
    let text = environment
        .own("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
        .or_else(|| environment.own("OTEL_EXPORTER_OTLP_HEADERS"));
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    pairs(&text.unwrap_or_default()).filter_map(header).take(MOST).collect()
}

fn resource(environment: &Environment) -> Vec<(String, String)> {
    let mut resource = vec![("service.name".to_owned(), "waypost".to_owned())];
    let version = env!("CARGO_PKG_VERSION").to_owned();
    resource.push(("service.version".to_owned(), version));
    for (name, value) in pairs(&environment.own("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default()).take(MOST) {
        set(&mut resource, &name, &value);
    }
    if let Some(name) = environment.own("OTEL_SERVICE_NAME") {
        set(&mut resource, "service.name", name.trim());
    }
    resource
}

fn set(resource: &mut Vec<(String, String)>, name: &str, value: &str) {
    resource.retain(|(known, _)| known != name);
    resource.push((name.to_owned(), value.to_owned()));
}

/// The beginning of names of headers, in lower case.
fn prefix(context: Context<'_>, written: &Placed<String>) -> Option<String> {
    let prefix = written.value.trim().to_ascii_lowercase();
    if HeaderName::try_from(prefix.as_str()).is_ok() {
        return Some(prefix);
    }
    let problem = Problem::error("no header's name begins like this").at(&written.place);
    context.add(problem.hint("letters, digits and `-`, such as `x-acme-`"));
    None
}

/// True for a header whose value is a secret, or may be: it is never an attribute.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_where_traces_are_taken() {
        for (text, said, expected) in [
            (
                "http://localhost:4317",
                None,
                Some((Protocol::Grpc, format!("http://localhost:4317{SERVICE}"))),
            ),
            (
                "http://localhost:4318/",
                None,
                Some((Protocol::Http, "http://localhost:4318/v1/traces".to_owned())),
            ),
            (
                "https://c.example/otlp",
                None,
                Some((Protocol::Http, "https://c.example/otlp/v1/traces".to_owned())),
            ),
            (
                "https://c.example/x/v1/traces?a=b",
                None,
                Some((Protocol::Http, "https://c.example/x/v1/traces?a=b".to_owned())),
            ),
            (
                "https://c.example",
                Some(Protocol::Grpc),
                Some((Protocol::Grpc, format!("https://c.example{SERVICE}"))),
            ),
            ("https://c.example/path", Some(Protocol::Grpc), None),
            ("https://user:pass@c.example", None, None),
            ("ftp://c.example", None, None),
            ("localhost:4317", None, None),
            ("", None, None),
        ] {
            let found = endpoint(text, said).map(|(uri, protocol)| (protocol, uri.to_string()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_usual_variables_are_read() {
        assert!(from_environment(&Environment::of([])).is_none());
        let found = from_environment(&Environment::of([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20secret,bad header=x,x-team=blue"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=production,service.name=other"),
            ("OTEL_SERVICE_NAME", "router"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]));
        let found = found.unwrap();
        assert_eq!(found.collector.uri, "http://collector:4318/v1/traces");
        assert_eq!((found.collector.protocol, found.ratio), (Protocol::Http, 0.25));
        let headers: Vec<_> = found
            .collector
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(headers, [("api-key", "a secret"), ("x-team", "blue")]);
        assert!(!format!("{found:?}").contains("a secret"));
        let value = |name: &str| {
            found
                .resource
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (value("service.name"), value("deployment.environment.name")),
            (vec!["router"], vec!["production"])
        );
        // One for traces alone is taken as it is; gRPC has its own path.
        for (variables, expected) in [
            ([("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:1/in"), ("A", "b")], Some("http://c:1/in")),
            (
                [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
                Some("http://c:1/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
            ),
            ([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"), ("OTEL_TRACES_EXPORTER", "none")], None),
            ([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"), ("OTEL_SDK_DISABLED", "TRUE")], None),
        ] {
            let found = from_environment(&Environment::of(variables))
                .map(|tracing| tracing.collector.uri.to_string());
            assert_eq!(found.as_deref(), expected);
        }
    }
}
