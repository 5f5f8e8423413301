//! The HTTP client toward providers.
//!
//! One client per worker thread, so that its pool is never contended. HTTP/1.1 only: over one HTTP/2 connection all
//! streams of a provider would share one flow-control window and one fate (`docs/decisions/0002-http-stack.md`). gRPC,
//! which traces are exported by, knows no other, and has [`Http2Client`].

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response, Uri};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper_rustls::builderstates::WantsProtocols1;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::{self, Client as PooledClient};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;
use waypost_dialect::envelope::Pieces;

pub(super) use super::http1::all;
pub use super::http1::{Body, Error, Wanted};
use super::http1::{Connection, Io, Origin, Pool, Unanswered};

/// What all workers' clients share: the TLS configuration (root certificates are read once) and the proxy settings.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    tls: Arc<rustls::ClientConfig>,
    proxy: Arc<Matcher>,
    connect_timeout: Duration,
}

impl ClientSettings {
    /// Reads the platform's root certificates (`SSL_CERT_FILE` is honoured) and the usual proxy variables
    /// (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
    ///
    /// # Errors
    /// The platform's certificate verifier cannot be set up.
    pub fn from_platform(connect_timeout: Duration) -> Result<Self, rustls::Error> {
        Ok(Self { tls: Arc::new(platform_tls()?), proxy: Arc::new(Matcher::from_env()), connect_timeout })
    }

    fn connector(&self) -> HttpsConnectorBuilder<WantsProtocols1> {
        HttpsConnectorBuilder::new().with_tls_config((*self.tls).clone()).https_or_http()
    }

    fn dial(&self, connect: Duration) -> Dial {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        // Divided among the addresses of a name, so that one of them which is silent leaves time for the others.
        http.set_connect_timeout(Some(connect));
        http.set_keepalive(Some(Duration::from_secs(60)));
        Dial { http, proxy: Arc::clone(&self.proxy) }
    }
}

/// TLS toward servers that the platform's root certificates vouch for.
///
/// # Errors
/// The platform's certificate verifier cannot be set up.
pub(crate) fn platform_tls() -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .try_with_platform_verifier()?
        .with_no_client_auth())
}

/// One worker's client with its pool of connections.
#[derive(Debug, Clone)]
pub struct Client {
    settings: ClientSettings,
    pool: Arc<Pool>,
}

impl Client {
    /// A client with an empty pool. Must be used on the worker's own runtime.
    #[must_use]
    pub fn new(settings: &ClientSettings) -> Self {
        Self { settings: settings.clone(), pool: Arc::default() }
    }

    /// The usual wait for a connection.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
    }

    /// As [`Self::send_within`], with the usual wait for a connection and all headers of the answer.
    ///
    /// # Errors
    /// The same.
    pub async fn send(&self, mut request: Request<Segments>) -> Result<Response<Body>, Error> {
        self.send_within(self.settings.connect_timeout, &mut request, all, &mut None).await
    }

    /// Sends one request and waits for the response's head. A new connection has to be there within `connect`, the name's
    /// address, a proxy's tunnel and TLS included; how long it took stands in `connecting` as soon as that is known. A
    /// pooled connection that turns out to be closed before anything was written is replaced without notice; nothing else
    /// is ever sent twice. The answer has the headers that are `wanted`; the request's body is gone then.
    ///
    /// # Errors
    /// DNS, connection, TLS or HTTP failure before the head was complete.
    pub async fn send_within(
        &self,
        connect: Duration,
        request: &mut Request<Segments>,
        wanted: Wanted,
        connecting: &mut Option<Duration>,
    ) -> Result<Response<Body>, Error> {
        let origin = Origin::of(request.uri()).ok_or(Error::Malformed("its address has no host"))?;
        while let Some(connection) = self.pool.take(&origin) {
            match connection.exchange(request, wanted).await {
                Ok(response) => return Ok(response),
                Err(Unanswered { is_unsent: true, .. }) => {}
                Err(Unanswered { error, .. }) => return Err(error),
            }
        }
        let started = Instant::now();
        let io = Box::pin(self.connect(connect, request.uri().clone())).await;
        *connecting = Some(started.elapsed());
        let io = io?;
        let connection = Connection::new(io, origin, Arc::downgrade(&self.pool));
        connection.exchange(request, wanted).await.map_err(|unanswered| unanswered.error)
    }

    async fn connect(&self, within: Duration, destination: Uri) -> Result<Io, Error> {
        let mut connector =
            HttpsConnector::from((self.settings.dial(within), Arc::clone(&self.settings.tls)));
        let connecting = async {
            poll_fn(|context| connector.poll_ready(context)).await?;
            connector.call(destination).await
        };
        let connected =
            tokio::time::timeout(within, connecting).await.map_err(|_late| Error::Late(within))?;
        connected.map(TokioIo::new).map_err(Error::Connect)
    }
}

/// A client for servers that speak HTTP/2 alone, also without TLS ("prior knowledge", RFC 9113 section 3.3).
#[derive(Debug, Clone)]
pub struct Http2Client(PooledClient<HttpsConnector<Dial>, Segments>);

impl Http2Client {
    /// Must be made on the runtime that it is used on.
    #[must_use]
    pub fn new(settings: &ClientSettings) -> Self {
        let connector =
            settings.connector().enable_http2().wrap_connector(settings.dial(settings.connect_timeout));
        let mut builder = PooledClient::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).timer(TokioTimer::new()).http2_only(true);
        Self(builder.build(connector))
    }

    /// Sends one request and waits for the response's head.
    ///
    /// # Errors
    /// DNS, connection, TLS or HTTP failure before the head was complete.
    pub async fn send(&self, request: Request<Segments>) -> Result<Response<Incoming>, legacy::Error> {
        self.0.request(request).await
    }
}

/// A request body in a few pieces, sent without joining them: the client's bytes around what was spliced in.
#[derive(Debug, Default, Clone)]
pub struct Segments {
    pieces: Pieces,
    next: usize,
}

impl Segments {
    /// Bodies up to this size are joined: one small copy is cheaper than several writes.
    const JOIN_UP_TO: usize = 16 * 1024;

    /// The pieces in order; empty ones are skipped.
    #[must_use]
    pub fn new(pieces: Pieces) -> Self {
        let length: usize = pieces.iter().map(Bytes::len).sum();
        if pieces[0].len() == length || length > Self::JOIN_UP_TO {
            return Self { pieces, next: 0 };
        }
        Self::whole(pieces.concat())
    }

    /// One piece.
    #[must_use]
    pub fn whole(body: impl Into<Bytes>) -> Self {
        let mut pieces = Pieces::default();
        pieces[0] = body.into();
        Self { pieces, next: 0 }
    }

    /// How many bytes are still to be sent.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.rest().iter().map(|piece| piece.len() as u64).sum()
    }

    /// Something is still to be sent.
    pub(super) fn has_more(&self) -> bool {
        self.rest().iter().any(|piece| !piece.is_empty())
    }

    /// So many bytes have been sent.
    pub(super) fn advance(&mut self, mut count: usize) {
        for piece in self.pieces.iter_mut().skip(self.next) {
            let step = count.min(piece.len());
            piece.advance(step);
            count -= step;
        }
    }

    /// What is still to be sent, in order.
    #[must_use]
    pub fn rest(&self) -> &[Bytes] {
        self.pieces.get(self.next..).unwrap_or_default()
    }
}

impl http_body::Body for Segments {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let next = self.next;
        let Some(step) = self.rest().iter().position(|piece| !piece.is_empty()) else {
            return Poll::Ready(None);
        };
        self.next = next + step + 1;
        Poll::Ready(self.pieces.get_mut(next + step).map(|piece| Ok(Frame::data(std::mem::take(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        !self.has_more()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

/// Opens connections: directly, or through the HTTP proxy that the environment names for `https` destinations.
#[derive(Debug, Clone)]
pub struct Dial {
    http: HttpConnector,
    proxy: Arc<Matcher>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let intercept = match destination.scheme_str() {
            Some("https") => self.proxy.intercept(&destination),
            _ => None,
        };
        let mut http = self.http.clone();
        Box::pin(async move {
            match intercept {
                None => Ok(http.call(destination).await?),
                Some(intercept) => {
                    let mut tunnel = Tunnel::new(intercept.uri().clone(), http);
                    if let Some(auth) = intercept.basic_auth() {
                        tunnel = tunnel.with_auth(auth.clone());
                    }
                    Ok(tunnel.call(destination).await?)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body::Body as _;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn segments_come_out_whole() {
        let big = Bytes::from(vec![b'x'; Segments::JOIN_UP_TO]);
        let small = Bytes::from_static;
        for pieces in [
            [small(b"a"), small(b"b"), small(b"c"), small(b"d"), small(b"e")],
            [Bytes::new(), small(b"b"), big.clone(), Bytes::new(), Bytes::new()],
            [big.clone(), Bytes::new(), small(b"c"), Bytes::new(), small(b"e")],
            [big, Bytes::new(), Bytes::new(), Bytes::new(), Bytes::new()],
        ] {
            let mut all = Pieces::default();
            all[..5].clone_from_slice(&pieces);
            let segments = Segments::new(all);
            let expected = pieces.concat();
            assert_eq!(segments.size_hint().exact(), Some(expected.len() as u64));
            assert_eq!(segments.collect().await.unwrap().to_bytes(), expected);
        }
    }
}
