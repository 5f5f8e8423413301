//! Where clients connect.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::diagnostic::{Place, Problem};
use super::super::schema::{Listener as Written, ListenerType, Listeners, Translate};
use super::super::setting::{Placed, Setting};
use super::super::{Address, Listener, Queue};
use super::{Context, defaults, tls, values};
use crate::server::bound;

/// Before the path of a socket in the file system.
const UNIX: &str = "unix:";

pub(super) fn default_listener() -> Listener {
    Listener {
        name: "default".into(),
        address: Address::Tcp((defaults::ADDRESS, defaults::PORT).into()),
        socket_mode: defaults::SOCKET_MODE,
        tls: None,
        connect_timeout: defaults::CONNECT_TIMEOUT,
        first_byte_timeout: defaults::FIRST_BYTE_TIMEOUT,
        idle_timeout: defaults::IDLE_TIMEOUT,
        total_timeout: None,
        keep_alive: Some(defaults::KEEP_ALIVE),
        attempts: None,
        body_timeout: defaults::BODY_TIMEOUT,
        max_body_bytes: defaults::MAX_BODY_BYTES,
        strict: false,
        metadata: false,
        max_connections: defaults::CONNECTIONS,
        max_requests: None,
        queue: Queue::default(),
        head_timeout: defaults::HEAD_TIMEOUT,
        send_timeout: defaults::SEND_TIMEOUT,
    }
}

/// `connect` is the wait for a connection where a listener says no other.
pub(super) fn resolve(
    context: Context<'_>,
    written: &Setting<Listeners>,
    connect: Duration,
) -> Vec<Listener> {
    let base = Listener { connect_timeout: connect, ..default_listener() };
    let mut listeners: Vec<Listener> = match written.value() {
        None => Vec::new(),
        Some(Listeners::Mapping(map)) => {
            let why = "Waypost has no prompt gateway; applications connect to `egress_traffic`";
            context.ignored("listeners.ingress_traffic", &map.ingress_traffic, why);
            let listener = map.egress_traffic.given();
            listener.into_iter().map(|listener| one(context, listener, "egress_traffic", &base).0).collect()
        }
        Some(Listeners::List(items)) => list(context, items, &base),
    };
    if listeners.is_empty() {
        listeners.push(base);
    }
    listeners
}

fn list(context: Context<'_>, items: &[Setting<Written>], base: &Listener) -> Vec<Listener> {
    let mut listeners = Vec::new();
    let mut addresses: HashMap<Address, &Place> = HashMap::new();
    for item in items.iter().filter_map(Setting::given).filter(|item| is_for_models(context, item)) {
        let (listener, address) = one(context, item, "model", base);
        if let Some(address) = address
            && let Some(first) = addresses.insert(address.clone(), &item.place)
        {
            let hint = match address {
                Address::Tcp(_) => "give one of them another `port`",
                Address::Unix(_) => "give one of them another path",
            };
            context.add(
                Problem::error(format!("two listeners at {address}"))
                    .at(&item.place)
                    .related(first, "the other one")
                    .hint(hint),
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

/// A listener, and its address if it could be read.
fn one(
    context: Context<'_>,
    written: &Placed<Written>,
    usual_name: &str,
    base: &Listener,
) -> (Listener, Option<Address>) {
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
    let address = address(context, &listener.address, &listener.port, 1, &base.address);
    let resolved = Listener {
        name: listener.name.value().map_or(usual_name, String::as_str).into(),
        address: address.clone().unwrap_or_else(|| base.address.clone()),
        socket_mode: socket_mode(context, &listener.address, &listener.socket_mode)
            .unwrap_or(base.socket_mode),
        tls: tls::resolve(context, &listener.address, &listener.tls),
        connect_timeout: values::duration(
            context,
            "connect_timeout",
            &listener.connect_timeout,
            base.connect_timeout,
        ),
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
        metadata: listener.metadata.value().copied().unwrap_or(base.metadata),
    };
    (resolved, address)
}

/// Where a listener is: `default` where nothing is said. Its port is `least` or more.
pub(super) fn address(
    context: Context<'_>,
    written: &Setting<String>,
    port: &Setting<i64>,
    least: u16,
    default: &Address,
) -> Option<Address> {
    if let Some(written) = written.given()
        && let Some(path) = unix_path(&written.value)
    {
        if let Some(port) = port.given() {
            let problem = Problem::warning("`port` has no effect: a socket in the file system has none");
            context.add(problem.at(&port.place).hint("remove it"));
        }
        return socket(context, written, path);
    }
    let default = default.tcp()?;
    let ip = interface(context, written, default.ip());
    let port = port_of(context, port, least, default.port());
    Some(Address::Tcp((ip?, port?).into()))
}

/// What stands after `unix:`; `unix://` is the same.
pub(super) fn unix_path(written: &str) -> Option<&str> {
    let path = written.trim().strip_prefix(UNIX)?;
    Some(path.strip_prefix("//").unwrap_or(path))
}

fn socket(context: Context<'_>, written: &Placed<String>, path: &str) -> Option<Address> {
    let expanded =
        values::expanded(context, &Placed { value: path.to_owned(), place: written.place.clone() })?;
    let path = Path::new(&expanded.text);
    let problem = if !path.is_absolute() {
        Problem::error(format!("`address` is not an absolute path: `{}`", values::shorten(&expanded.text)))
    } else if path.file_name().is_none() || expanded.text.ends_with('/') {
        Problem::error("`address` is a folder, not a file in one")
    } else if expanded.text.contains('\0') {
        Problem::error("`address` holds a zero byte")
    } else if !bound::fits(path) {
        let problem = format!("the path of a socket has at most {} bytes", bound::LONGEST_PATH);
        context.add(
            Problem::error(problem)
                .at(&written.place)
                .hint("choose a shorter folder, such as `/run/waypost`"),
        );
        return None;
    } else {
        return Some(Address::Unix(PathBuf::from(path)));
    };
    context.add(problem.at(&written.place).hint("write it as `unix:/run/waypost/waypost.sock`"));
    None
}

/// Who may connect to a socket in the file system, if it is said.
pub(super) fn socket_mode(
    context: Context<'_>,
    address: &Setting<String>,
    mode: &Setting<String>,
) -> Option<u32> {
    let written = mode.given()?;
    if address.value().is_none_or(|address| unix_path(address).is_none()) {
        let problem =
            Problem::warning("`socket_mode` has no effect: the listener has an interface and a port");
        context.add(problem.at(&written.place).hint("remove it, or write `address: unix:/…`"));
    }
    let text = written.value.trim();
    let mode = u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok();
    let mode = mode.filter(|mode| *mode <= 0o777 && mode & 0o600 == 0o600);
    if mode.is_none() {
        let problem =
            Problem::error(format!("`socket_mode` is not a mode of a socket: `{}`", values::shorten(text)));
        context.add(problem.at(&written.place).hint(
            "`0600` for the same user, `0660` for the group as well, `0666` for everyone on this machine",
        ));
    }
    mode
}

fn interface(context: Context<'_>, setting: &Setting<String>, default: IpAddr) -> Option<IpAddr> {
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
        Err(_) if text.starts_with('/') => "write `unix:` before the path of a socket",
        Err(_) => "`127.0.0.1` for this machine only, `0.0.0.0` for all interfaces",
    };
    context.add(problem.at(&written.place).hint(hint));
    None
}

fn port_of(context: Context<'_>, setting: &Setting<i64>, least: u16, default: u16) -> Option<u16> {
    let written = match setting {
        Setting::Given(written) => written,
        Setting::Absent => return Some(default),
        Setting::Broken => return None,
    };
    let port = u16::try_from(written.value).ok().filter(|port| *port >= least);
    if port.is_none() {
        let problem = Problem::error("`port` is not a port");
        context.add(problem.at(&written.place).hint(format!("a number from {least} to 65535")));
    }
    port
}
