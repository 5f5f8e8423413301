//! Who is let in. The listener is on loopback by default, where two strangers can still reach it: programs of other
//! users, whom a token keeps out, and pages of other sites in the operator's own browser.
//!
//! Such a page can send requests and, without leave, not read the answers; so a request that does something has to have
//! a content type and a header that a page may not send elsewhere without asking first, which is never granted. A page
//! that lets its own name lead to this address (DNS rebinding) could read as well; so a name has to be known here.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use aws_lc_rs::{constant_time, digest, hmac};
use http::header::{
    AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::refused::Refused;
use super::{Access, Desk, Endpoint, Operation};
use crate::proxy::stream::ResponseBody;

/// The header that makes a browser ask for leave before a page of another site may send it.
pub(super) const PAGE: &str = "x-waypost-page";
/// How long a browser stays let in.
const STAY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What browsers are told of every answer.
const PROTECTION: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Puts the headers on an answer that keep other sites away from it.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Lets a request to an endpoint in.
///
/// # Errors
/// 421: by a name that is not known here. 403, 415: from another site, perhaps. 401: without the token.
pub(super) fn check(desk: &Desk, endpoint: &Endpoint, head: &Parts) -> Result<(), Refused> {
    // Whoever looks after the process asks by any name.
    if matches!(endpoint.operation, Operation::Health | Operation::Ready) {
        return Ok(());
    }
    let host = host(head).ok_or_else(|| Refused::bad("expected one `host` header"))?;
    let shown = desk.admin.token.as_ref().and_then(|token| shown(desk, token, &head.headers));
    let is_free = match endpoint.access {
        Access::Anyone => true,
        Access::Scraper => desk.admin.metrics_without_token,
        Access::Operator => false,
    };
    // No page of another site has the token, and what is told to whoever asks is told to them, too.
    let is_told_to_all = endpoint.access == Access::Scraper && is_free;
    if shown != Some(Shown::Token) && !is_told_to_all && !is_known(desk, &host) {
        let refused = Refused::new(StatusCode::MISDIRECTED_REQUEST, "this name is not known here");
        return Err(refused.hint("add it to `admin.names`, or ask by the address or `localhost`"));
    }
    if endpoint.method == Method::POST {
        of_our_page(&head.headers, &host)?;
    }
    if desk.admin.token.is_some() && !is_free && shown.is_none() {
        let refused = Refused::new(StatusCode::UNAUTHORIZED, "the token is needed (`admin.token`)");
        let hint = "send `authorization: Bearer TOKEN`, or log in on the page";
        return Err(refused.hint(hint).header(WWW_AUTHENTICATE, "Bearer"));
    }
    Ok(())
}

fn is_known(desk: &Desk, host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || desk.admin.names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// By which name it was asked.
fn host(head: &Parts) -> Option<Authority> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let written = hosts.next().map(|host| Authority::try_from(host.as_bytes()));
    match (written, hosts.next(), head.uri.authority()) {
        (_, Some(_), _) => None,
        (Some(host), None, None) => host.ok(),
        (None, None, named) => named.cloned(),
        (Some(host), None, Some(named)) => host.ok().filter(|host| host == named),
    }
}

/// A request that does something has to be from a page of ours, or from no page.
fn of_our_page(headers: &HeaderMap, host: &Authority) -> Result<(), Refused> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let refused = Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected a body of JSON");
        return Err(refused.hint("send `content-type: application/json`"));
    }
    let elsewhere = |what: &str| {
        Err(Refused::new(StatusCode::FORBIDDEN, format!("{what}: this may be a page of another site")))
    };
    if headers.get(PAGE).is_none_or(|value| value != "1") {
        let refused = Refused::new(StatusCode::FORBIDDEN, format!("the header `{PAGE}` is missing"));
        return Err(refused.hint(format!("send `{PAGE}: 1`; pages of other sites cannot")));
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    if let Some(origin) = origins.next() {
        let text = origin.to_str().unwrap_or_default();
        let named = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let is_ours =
            named.and_then(|named| named.parse::<Authority>().ok()).is_some_and(|from| from == *host);
        if !is_ours || origins.next().is_some() {
            return elsewhere("`origin` is not this page");
        }
    }
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| !matches!(site, b"same-origin" | b"none")) {
        return elsewhere("`sec-fetch-site` is not `same-origin`");
    }
    Ok(())
}

/// How an operator has shown who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// By the token itself, which browsers do not send by themselves.
    Token,
    /// By the cookie of a login.
    Cookie,
}

fn shown(desk: &Desk, token: &SecretString, headers: &HeaderMap) -> Option<Shown> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, shown) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| shown.trim())
    });
    if let Some(shown) = bearer {
        return is_token(token, shown).then_some(Shown::Token);
    }
    let name = cookie_name(desk);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let is_let_in = pairs.any(|(key, value)| key == name && is_let_in(token, value, SystemTime::now()));
    is_let_in.then_some(Shown::Cookie)
}

/// Hashes are compared, so that how long it takes tells nothing of the token, nor of its length.
fn is_token(token: &SecretString, shown: &str) -> bool {
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    let (expected, shown) = (hash(token.expose_secret()), hash(shown));
    constant_time::verify_slices_are_equal(expected.as_ref(), shown.as_ref()).is_ok()
}

/// Cookies are shared by all ports of a host; each instance has its own.
fn cookie_name(desk: &Desk) -> String {
    format!("waypost_{}", desk.port)
}

/// Until when a browser is let in, signed with the token: nothing is to be remembered, and another token ends it.
fn pass(token: &SecretString, until: u64) -> String {
    let tag = hmac::sign(&key(token), claim(until).as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{until}.{hex}")
}

fn is_let_in(token: &SecretString, pass: &str, now: SystemTime) -> bool {
    let Some((until, hex)) = pass.split_once('.') else { return false };
    let Ok(until) = until.parse::<u64>() else { return false };
    let tag: Option<Vec<u8>> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let is_signed = tag.is_some_and(|tag| hmac::verify(&key(token), claim(until).as_bytes(), &tag).is_ok());
    is_signed && seconds(now) < until
}

fn key(token: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token.expose_secret().as_bytes())
}

fn claim(until: u64) -> String {
    format!("waypost admin until {until}")
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `POST /api/login`: `{"token": …}`; a browser that shows the token gets a cookie that no script can read.
///
/// # Errors
/// 400: another body. 401: another token.
pub(super) fn login(desk: &Desk, body: &[u8]) -> Result<Response<ResponseBody>, Refused> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Login {
        token: String,
    }
    // The parser's message would quote what was sent.
    let login: Login =
        serde_json::from_slice(body).map_err(|_told| Refused::bad("expected `{\"token\": \"…\"}`"))?;
    let Some(token) = &desk.admin.token else { return Ok(told(None)) };
    if !is_token(token, &login.token) {
        let refused = Refused::new(StatusCode::UNAUTHORIZED, "this is not the token");
        return Err(refused.hint("it is `admin.token` of the configuration"));
    }
    let pass = pass(token, seconds(SystemTime::now() + STAY));
    Ok(told(Some(cookie(desk, &pass, STAY))))
}

/// `POST /api/logout`: the cookie is taken back.
pub(super) fn logout(desk: &Desk) -> Response<ResponseBody> {
    told(Some(cookie(desk, "", Duration::ZERO)))
}

fn cookie(desk: &Desk, value: &str, stay: Duration) -> String {
    let (name, seconds) = (cookie_name(desk), stay.as_secs());
    // A browser would send it to any port of this host, also without TLS.
    let secure = if desk.admin.listener.tls.is_some() { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn told(cookie: Option<String>) -> Response<ResponseBody> {
    let mut response = super::json(json!({"ok": true}).to_string());
    let cookie = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok());
    response.headers_mut().extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_holds_for_its_token_and_its_time() {
        let token = SecretString::from("0123456789abcdef");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let good = pass(&token, 1001);
        assert!(is_let_in(&token, &good, now));
        assert!(!is_let_in(&token, &good, now + Duration::from_secs(1)));
        assert!(!is_let_in(&SecretString::from("another token 16"), &good, now));
        let (_, tag) = good.split_once('.').unwrap();
        for forged in
            [format!("9999.{tag}"), format!("1001.{}", &tag[1..]), "1001.".to_owned(), String::new()]
        {
            assert!(!is_let_in(&token, &forged, now), "{forged}");
        }
        assert!(!good.contains(token.expose_secret()));
    }
}
