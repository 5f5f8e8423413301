//! Another gateway, or a plain proxy, in place of ours.

use std::net::SocketAddr;

use http::{HeaderValue, Uri};

use super::ask::Place;

/// Where another gateway is.
#[derive(Debug, Clone)]
pub struct Target {
    /// As it was given.
    pub url: String,
    host: String,
    path: String,
    /// The model to ask for.
    pub model: String,
    /// For the `authorization` header; `Debug` does not show it.
    pub authorization: Option<HeaderValue>,
    /// Processes of it, for processor time and memory.
    pub processes: Vec<u32>,
}

/// The host of a gateway's API, such as `http://127.0.0.1:4000/v1`, and its path; without one it is `/v1`.
fn parse(url: &str) -> Result<(String, String), String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err("the load speaks plain HTTP: begin with `http://`".to_owned()),
        _ => return Err("begin with `http://`".to_owned()),
    }
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let authority = authority.ok_or("no host, or a user before it")?;
    let base = match uri.path().trim_end_matches('/') {
        "" => "/v1",
        path => path,
    };
    let path = if base.ends_with("/chat/completions") {
        base.to_owned()
    } else {
        format!("{base}/chat/completions")
    };
    Ok((authority.to_string(), path))
}

impl Target {
    /// A gateway that is asked for this model.
    ///
    /// # Errors
    /// The address is none, or not plain HTTP.
    pub fn new(url: &str, model: String) -> Result<Self, String> {
        let (host, path) = parse(url)?;
        Ok(Self { url: url.to_owned(), host, path, model, authorization: None, processes: Vec::new() })
    }

    /// Finds its address.
    pub(super) async fn place(&self) -> anyhow::Result<Place> {
        let with_port = match self.host.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => self.host.clone(),
            _ => format!("{}:80", self.host),
        };
        let mut found = tokio::net::lookup_host(&with_port)
            .await
            .map_err(|error| anyhow::anyhow!("`--url`: cannot find {}: {error}", self.host))?;
        let address: SocketAddr =
            found.next().ok_or_else(|| anyhow::anyhow!("`--url`: {} has no address", self.host))?;
        let (host, path) = (self.host.clone(), self.path.clone());
        Ok(Place { address, host, path, authorization: self.authorization.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_path_or_none() {
        let paths = [
            ("http://127.0.0.1:4000", "127.0.0.1:4000", "/v1/chat/completions"),
            ("http://127.0.0.1:4000/", "127.0.0.1:4000", "/v1/chat/completions"),
            ("http://proxy/api/v1/", "proxy", "/api/v1/chat/completions"),
            ("http://proxy/x/chat/completions", "proxy", "/x/chat/completions"),
        ];
        for (url, host, path) in paths {
            assert_eq!(parse(url).unwrap(), (host.to_owned(), path.to_owned()), "{url}");
        }
        for wrong in ["https://proxy", "proxy:80", "http://user@proxy", "/v1", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
