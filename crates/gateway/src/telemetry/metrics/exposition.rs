//! In which of its two formats a scraper gets the page
//! (<https://prometheus.io/docs/instrumenting/content_negotiation/>).

use http::HeaderMap;
use http::header::ACCEPT;
use prometheus_client::encoding::prometheus_text;

/// A format of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' own, which everything reads.
    Text,
    /// OpenMetrics 1.0 (<https://github.com/prometheus/OpenMetrics>).
    OpenMetrics,
}

impl Exposition {
    /// The one that a scraper likes best (RFC 9110 section 12.5.1); text if it does not say.
    #[must_use]
    pub fn wanted(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let mut best = (Self::Text, 0.0);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Text,
                _ => continue,
            };
            let mut quality: f32 = 1.0;
            let mut is_known = true;
            for part in parts {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                match name.trim() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" if form == Self::OpenMetrics => {
                        is_known = matches!(value.trim(), "1.0.0" | "0.0.1")
                    }
                    _ => {}
                }
            }
            if is_known && quality > best.1 {
                best = (form, quality);
            }
        }
        best.0
    }

    /// What the page's `content-type` says.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_what_it_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;\
                          q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (Some(prometheus), Exposition::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Exposition::OpenMetrics),
            (Some("text/plain, application/openmetrics-text;q=0.9"), Exposition::Text),
            (Some("application/openmetrics-text;version=2.0.0, */*;q=0.1"), Exposition::Text),
            (Some("application/openmetrics-text;q=0"), Exposition::Text),
            (Some("application/openmetrics-text;q=many"), Exposition::Text),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), Exposition::Text),
            (Some("*/*"), Exposition::Text),
            (Some(""), Exposition::Text),
            (None, Exposition::Text),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(accept.map(|accept| (ACCEPT, accept.parse().unwrap())));
            assert_eq!(Exposition::wanted(&headers), expected, "{accept:?}");
        }
    }
}
