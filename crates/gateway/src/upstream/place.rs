//! Where a provider's server is, for whoever is told of calls.

use std::sync::Arc;

use http::Uri;

/// Where a provider's server is.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Place {
    /// Of an address.
    pub(super) fn of(uri: &Uri) -> Option<Arc<Self>> {
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(usual);
        Some(Arc::new(Self { host: uri.host()?.trim_matches(['[', ']']).to_owned(), port }))
    }
}
