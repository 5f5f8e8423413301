//! A client that holds what it gets against what it has to be: HTTP/1.1 with a connection for itself, or HTTP/2 with
//! many streams on one.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use waypost::bench::ANSWER;
use waypost::bench::mock::{self, FINISH};

type Body = Full<Bytes>;

/// One connection.
pub(crate) enum Connection {
    One(http1::SendRequest<Body>),
    Many(http2::SendRequest<Body>),
}

impl Connection {
    /// HTTP/1.1.
    pub(crate) async fn one(address: SocketAddr) -> Result<Self> {
        let (sender, connection) = http1::handshake(stream(address).await?).await?;
        tokio::spawn(connection);
        Ok(Self::One(sender))
    }

    /// HTTP/2, known beforehand.
    pub(crate) async fn many(address: SocketAddr) -> Result<Self> {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream(address).await?).await?;
        tokio::spawn(connection);
        Ok(Self::Many(sender))
    }

    /// For a second request at the same time, where the connection takes one.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::One(_) => None,
            Self::Many(sender) => Some(Self::Many(sender.clone())),
        }
    }

    /// Sends a request and waits for the head of the answer, which has to be of success.
    pub(super) async fn ask(&mut self, ask: &Ask, address: SocketAddr) -> Result<Response<Incoming>> {
        self.post("/v1/chat/completions", ask.body(), address).await
    }

    /// The same of any request.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        body: Bytes,
        address: SocketAddr,
    ) -> Result<Response<Incoming>> {
        let host = address.to_string();
        let request = Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/json");
        let body = Full::new(body);
        let response = match self {
            Self::One(sender) => {
                sender.ready().await?;
                sender.send_request(request.uri(path).header(HOST, host).body(body)?).await?
            }
            Self::Many(sender) => {
                sender.ready().await?;
                sender.send_request(request.uri(format!("http://{host}{path}")).body(body)?).await?
            }
        };
        ensure!(response.status() == 200, "status {}", response.status());
        Ok(response)
    }
}

async fn stream(address: SocketAddr) -> Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// `m` or `c`.
    pub(super) model: &'static str,
    /// What the provider shall do.
    pub(super) order: String,
    pub(super) stream: bool,
    /// Bytes of conversation beside it.
    pub(super) ballast: usize,
}

impl Ask {
    fn body(&self) -> Bytes {
        let Self { model, order, stream, ballast } = self;
        let ballast = "word ".repeat(ballast / 5);
        format!(
            "{{\"model\":\"{model}\",\"stream\":{stream},\"max_tokens\":100,\"messages\":[{{\"role\":\"user\",\
             \"content\":\"[[{order}]] {ballast}\"}}]}}"
        )
        .into()
    }
}

/// Reads a stream to its end, which has to be a clean one; `on_delay` gets the age of each event in nanoseconds.
pub(super) async fn read_stream(response: Response<Incoming>, mut on_delay: impl FnMut(u64)) -> Result<()> {
    let mut body = response.into_body();
    let mut tail = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame?;
        let Some(data) = frame.data_ref() else { continue };
        let now = mock::now();
        for_each_time(data, |sent| on_delay(now.saturating_sub(sent)));
        tail.extend_from_slice(data);
        let surplus = tail.len().saturating_sub(64);
        tail.drain(..surplus);
    }
    ensure!(tail.ends_with(b"data: [DONE]\n\n"), "a stream without its end");
    Ok(())
}

/// Reads a stream up to its first word, which is a time.
pub(super) async fn read_first(response: &mut Response<Incoming>) -> Result<()> {
    let mut seen = Vec::new();
    while let Some(frame) = response.body_mut().frame().await {
        seen.extend_from_slice(frame?.data_ref().map_or(&[], Bytes::as_ref));
        if seen.contains(&b'@') {
            return Ok(());
        }
    }
    bail!("a stream without a word")
}

/// Reads a plain answer.
pub(super) async fn read_plain(response: Response<Incoming>) -> Result<()> {
    let bytes = response.into_body().collect().await?.to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&bytes)?;
    ensure!(answer["choices"][0]["message"]["content"] == ANSWER, "another answer: {answer}");
    Ok(())
}

/// Ends all idle streams.
pub(super) async fn finish(provider: SocketAddr) -> Result<()> {
    let (mut sender, connection) = http1::handshake::<_, Body>(stream(provider).await?).await?;
    tokio::spawn(connection);
    let request = Request::builder().uri(FINISH).header(HOST, "provider").body(Full::new(Bytes::new()));
    let response = sender.send_request(request.context("a request")?).await?;
    ensure!(response.status() == 200, "the provider did not finish");
    Ok(())
}

fn for_each_time(data: &[u8], mut found: impl FnMut(u64)) {
    for part in data.split(|byte| *byte == b'@') {
        if part.len() == 19
            && let Some(time) = std::str::from_utf8(part).ok().and_then(|text| text.parse().ok())
        {
            found(time);
        }
    }
}
