//! Where traces go, and which.

/// Traces of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracing {
    /// Which part of the requests is traced that bring no context of their own, from 0 to 1.
    pub ratio: f64,
    /// Where they go.
    pub collector: Collector,
    /// Client headers that begin like this become attributes.
    pub header_prefixes: Vec<String>,
    /// Attributes with a fixed value.
    pub attributes: Vec<(String, String)>,
    /// What is said of this process.
    pub resource: Vec<(String, String)>,
    /// What is said goes along, as far as it is kept.
    pub content: bool,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct Collector {
    /// The whole address.
    pub uri: http::Uri,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Headers to add; some are keys.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Over HTTP/2 with frames of gRPC.
    Grpc,
    /// A POST of protobuf.
    Http,
}

impl Protocol {
    /// The word in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}
