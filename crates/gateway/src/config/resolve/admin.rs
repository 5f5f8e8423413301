//! Where operators connect.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::super::diagnostic::Problem;
use super::super::schema::Admin as Written;
use super::super::setting::{Placed, Setting};
use super::super::{Address, Admin, Listener};
use super::{Context, defaults, listeners, tls, values};

/// Shorter ones can be guessed.
const SHORTEST_TOKEN: usize = 16;
/// Browsers of a few operators, and those who scrape.
const CONNECTIONS: u32 = 256;
/// Routes with all of their examples, or a long conversation.
const MAX_BODY: usize = 4 << 20;

/// What holds where a configuration says nothing about it.
pub(in crate::config) fn default_admin() -> Admin {
    let listener = Listener {
        name: "admin".into(),
        address: Address::Tcp((defaults::ADDRESS, defaults::ADMIN_PORT).into()),
        max_body_bytes: MAX_BODY,
        max_connections: CONNECTIONS,
        ..listeners::default_listener()
    };
    Admin {
        listener,
        is_written: false,
        token: None,
        token_source: "none".to_owned(),
        names: Vec::new(),
        metrics_without_token: false,
    }
}

pub(super) fn resolve(
    context: Context<'_>,
    written: &Setting<Written>,
    clients: &[Listener],
) -> Option<Admin> {
    let mut admin = default_admin();
    let Some(placed) = written.given() else { return Some(admin) };
    let section = &placed.value;
    if section.enabled.value() == Some(&false) {
        return None;
    }
    admin.is_written = true;
    let base = admin.listener.address.clone();
    let address = listeners::address(context, &section.address, &section.port, 0, &base);
    if let Some(mode) = listeners::socket_mode(context, &section.address, &section.socket_mode) {
        admin.listener.socket_mode = mode;
    }
    admin.listener.tls = tls::resolve(context, &section.address, &section.tls);
    // Told also where the port is wrong.
    let ip = section.address.value().map(|text| text.trim().trim_matches(['[', ']']).parse::<IpAddr>());
    let is_open = ip.and_then(Result::ok).is_some_and(|ip| !ip.is_loopback());
    if let Some(address) = address {
        admin.listener.address = address;
    }
    let same = |client: &&Listener| client.address == admin.listener.address;
    if let Some(client) = clients.iter().find(same) {
        let problem = Problem::error(format!("`admin` is at the address of the listener `{}`", client.name));
        context.add(problem.at(&placed.place).hint("give it another `port`"));
    }
    if let Some((token, source)) = section.token.given().and_then(|token| token_of(context, token)) {
        (admin.token, admin.token_source) = (Some(token), source);
    }
    if is_open && section.token.is_absent() {
        let problem = Problem::error("`admin` is open to the network and has no `token`");
        let place = section.address.given().map_or(&placed.place, |address| &address.place);
        context.add(problem.at(place).hint(
            "add `token: $WAYPOST_ADMIN_TOKEN` (`openssl rand -hex 24` makes one), or remove `address` for this machine only",
        ));
    }
    admin.names = section.names.items().filter_map(|name| host_name(context, name)).collect();
    admin.metrics_without_token = section.metrics_without_token.value() == Some(&true);
    Some(admin)
}

fn token_of(context: Context<'_>, written: &Placed<String>) -> Option<(SecretString, String)> {
    let (token, source) = values::key(context, "token", written)?;
    let length = token.expose_secret().len();
    if length < SHORTEST_TOKEN && !context.environment.is_without_keys() {
        let problem = Problem::error(format!("`token` has {length} characters, fewer than {SHORTEST_TOKEN}"));
        context.add(problem.at(&written.place).hint("`openssl rand -hex 24` makes one"));
        return None;
    }
    Some((token, source))
}

/// A name as a `host` header has it, without a port.
fn host_name(context: Context<'_>, written: &Placed<String>) -> Option<String> {
    let name = written.value.trim().trim_end_matches('.').to_ascii_lowercase();
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !name.is_empty() && name.bytes().all(is_in_name) {
        return Some(name);
    }
    let problem = Problem::error(format!("not the name of a host: `{}`", values::shorten(&written.value)));
    context.add(problem.at(&written.place).hint("write the name alone, such as `waypost.example.com`"));
    None
}
