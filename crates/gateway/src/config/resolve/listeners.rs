//! Where clients connect.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use super::super::diagnostic::{Place, Problem};
use super::super::schema::{Listener as Written, ListenerType, Listeners, Translate};
use super::super::setting::{Placed, Setting};
use super::super::{Listener, Queue};
use super::{Context, defaults, values};

pub(super) fn default_listener() -> Listener {
    Listener {
        name: "default".into(),
        address: defaults::ADDRESS,
        port: defaults::PORT,
        first_byte_timeout: defaults::FIRST_BYTE_TIMEOUT,
        idle_timeout: defaults::IDLE_TIMEOUT,
        total_timeout: None,
        keep_alive: Some(defaults::KEEP_ALIVE),
        attempts: None,
        body_timeout: defaults::BODY_TIMEOUT,
        max_body_bytes: defaults::MAX_BODY_BYTES,
        strict: false,
        max_connections: defaults::CONNECTIONS,
        max_requests: None,
        queue: Queue::default(),
        head_timeout: defaults::HEAD_TIMEOUT,
        send_timeout: defaults::SEND_TIMEOUT,
    }
}

pub(super) fn resolve(context: Context<'_>, written: &Setting<Listeners>) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = match written.value() {
        None => Vec::new(),
        Some(Listeners::Mapping(map)) => {
            let why = "Waypost has no prompt gateway; applications connect to `egress_traffic`";
            context.ignored("listeners.ingress_traffic", &map.ingress_traffic, why);
            let listener = map.egress_traffic.given();
            listener.into_iter().map(|listener| one(context, listener, "egress_traffic").0).collect()
        }
        Some(Listeners::List(items)) => list(context, items),
    };
    if listeners.is_empty() {
        listeners.push(default_listener());
    }
    listeners
}

fn list(context: Context<'_>, items: &[Setting<Written>]) -> Vec<Listener> {
    let mut listeners = Vec::new();
    let mut sockets: HashMap<(IpAddr, u16), &Place> = HashMap::new();
    for item in items.iter().filter_map(Setting::given).filter(|item| is_for_models(context, item)) {
        let (listener, socket) = one(context, item, "model");
        if let Some((address, port)) = socket
            && let Some(first) = sockets.insert((address, port), &item.place)
        {
            context.add(
                Problem::error(format!("two listeners at {}", SocketAddr::from((address, port))))
                    .at(&item.place)
                    .related(first, "the other one")
                    .hint("give one of them another `port`"),
            );
        }
        listeners.push(listener);
    }
    listeners
}

fn is_for_models(context: Context<'_>, listener: &Placed<Written>) -> bool {
    let Some(kind) = listener.value.kind.given() else { return true };
    let name = match kind.value {
        ListenerType::Model => return true,
        ListenerType::Prompt => "prompt",
        ListenerType::Agent => "agent",
    };
    let problem =
        Problem::warning(format!("a listener of type `{name}` is ignored: Waypost serves models only"));
    context.add(problem.at(&kind.place));
    false
}

/// A listener, and its address and port if they could be read.
fn one(
    context: Context<'_>,
    written: &Placed<Written>,
    usual_name: &str,
) -> (Listener, Option<(IpAddr, u16)>) {
    let listener = &written.value;
    for (key, setting) in [
        ("router", &listener.router),
        ("agents", &listener.agents),
        ("input_filters", &listener.input_filters),
        ("output_filters", &listener.output_filters),
    ] {
        let why = match key {
            "router" | "agents" => "Waypost runs no agents",
            _ => "Waypost runs no filters",
        };
        context.ignored(key, setting, why);
    }
    let base = default_listener();
    let address = address(context, &listener.address, base.address);
    let port = port(context, &listener.port, base.port);
    let resolved = Listener {
        name: listener.name.value().map_or(usual_name, String::as_str).into(),
        address: address.unwrap_or(base.address),
        port: port.unwrap_or(base.port),
        first_byte_timeout: values::duration(context, "timeout", &listener.timeout, base.first_byte_timeout),
        idle_timeout: values::duration(context, "idle_timeout", &listener.idle_timeout, base.idle_timeout),
        total_timeout: values::optional_duration(context, "total_timeout", &listener.total_timeout),
        keep_alive: values::duration_or_off(
            context,
            "keep_alive",
            &listener.keep_alive,
            defaults::KEEP_ALIVE,
        ),
        attempts: values::count(context, "max_retries", &listener.max_retries, 0, defaults::ATTEMPTS_MOST)
            .map(|repeated| repeated + 1),
        body_timeout: values::duration(context, "body_timeout", &listener.body_timeout, base.body_timeout),
        max_body_bytes: values::size(context, "max_body", &listener.max_body, base.max_body_bytes),
        max_connections: values::count(context, "max_connections", &listener.max_connections, 1, u32::MAX)
            .unwrap_or(base.max_connections),
        max_requests: values::count(context, "max_requests", &listener.max_requests, 1, u32::MAX),
        queue: Queue {
            places: values::count(context, "queue", &listener.queue, 0, u32::MAX)
                .unwrap_or(base.queue.places),
            time: values::duration(context, "queue_timeout", &listener.queue_timeout, base.queue.time),
        },
        head_timeout: values::duration(context, "head_timeout", &listener.head_timeout, base.head_timeout),
        send_timeout: values::duration(context, "send_timeout", &listener.send_timeout, base.send_timeout),
        strict: listener.translate.value() == Some(&Translate::Strict),
    };
    (resolved, address.zip(port))
}

pub(super) fn address(context: Context<'_>, setting: &Setting<String>, default: IpAddr) -> Option<IpAddr> {
    let written = match setting {
        Setting::Given(written) => written,
        Setting::Absent => return Some(default),
        Setting::Broken => return None,
    };
    let text = written.value.trim();
    if text.eq_ignore_ascii_case("localhost") {
        return Some(defaults::ADDRESS);
    }
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
        return Some(address);
    }
    let problem = Problem::error(format!("`address` is not an IP address: `{}`", values::shorten(text)));
    let hint = match text.parse::<SocketAddr>() {
        Ok(_) => "put the port under `port`",
        Err(_) => "`127.0.0.1` for this machine only, `0.0.0.0` for all interfaces",
    };
    context.add(problem.at(&written.place).hint(hint));
    None
}

fn port(context: Context<'_>, setting: &Setting<i64>, default: u16) -> Option<u16> {
    let written = match setting {
        Setting::Given(written) => written,
        Setting::Absent => return Some(default),
        Setting::Broken => return None,
    };
    let port = u16::try_from(written.value).ok().filter(|port| *port > 0);
    if port.is_none() {
        let problem = Problem::error("`port` is not a port");
        context.add(problem.at(&written.place).hint("a number from 1 to 65535"));
    }
    port
}
