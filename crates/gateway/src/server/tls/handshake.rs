//! The handshake of one connection, within the time for a request's head. Whoever speaks plain HTTP is told what to do.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use waypost_dialect::ClientDialect;
use waypost_dialect::error::{ApiError, ErrorKind};

use crate::server::socket::Outgoing;

/// How long the sender of a plain request may take to read that it is one, and how much of it is read meanwhile: a
/// connection that is closed over unread bytes is reset, and the answer lost.
const LINGER: (Duration, u64) = (Duration::from_secs(1), 64 * 1024);

/// Why there is no TLS.
#[derive(Debug)]
pub(in crate::server) enum Failure {
    /// Nothing was said: a check whether the port is open.
    Nothing,
    /// It took too long.
    Timeout,
    /// HTTP without TLS.
    Plain,
    /// The client has no certificate that is trusted here.
    Client(io::Error),
    /// No version, cipher or protocol is known to both.
    Incompatible(io::Error),
    /// Anything else.
    Other(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing was said"),
            Self::Timeout => f.write_str("it took longer than `head_timeout`"),
            Self::Plain => f.write_str("HTTP without TLS"),
            Self::Client(error) | Self::Incompatible(error) | Self::Other(error) => error.fmt(f),
        }
    }
}

impl Failure {
    /// For metrics; `None` if it is none.
    pub(in crate::server) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Timeout => Some("timeout"),
            Self::Plain => Some("plain_http"),
            Self::Client(_) => Some("client_certificate"),
            Self::Incompatible(_) => Some("incompatible"),
            Self::Other(_) => Some("other"),
        }
    }

    fn of(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
        match cause {
            Some(rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_)) => {
                Self::Client(error)
            }
            Some(rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol) => {
                Self::Incompatible(error)
            }
            _ => Self::Other(error),
        }
    }
}

/// Shakes hands with a client that has just connected.
pub(in crate::server) async fn accept(
    config: Arc<ServerConfig>,
    mut stream: Outgoing<TcpStream>,
    limit: Duration,
) -> Result<TlsStream<Outgoing<TcpStream>>, Failure> {
    let shaking = async {
        let mut first = [0];
        match stream.inner().peek(&mut first).await {
            Ok(0) => return Err(Failure::Nothing),
            Ok(_) => {}
            Err(error) => return Err(Failure::Other(error)),
        }
        // TLS begins with a record of type 22, HTTP with the name of a method.
        if first[0].is_ascii_uppercase() {
            let _gone = tokio::time::timeout(LINGER.0, refuse(&mut stream)).await;
            return Err(Failure::Plain);
        }
        TlsAcceptor::from(config).accept(stream).await.map_err(Failure::of)
    };
    tokio::time::timeout(limit, shaking).await.unwrap_or(Err(Failure::Timeout))
}

async fn refuse(stream: &mut Outgoing<TcpStream>) -> io::Result<()> {
    let message =
        "this address speaks TLS, and the request came without: ask `https://` instead of `http://`";
    let error =
        ApiError::new(ErrorKind::InvalidRequest, message).with_code("plain_http_request_sent_to_tls_port");
    let body = ClientDialect::OpenAiChat.codec().encode_error(&error);
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER.1), &mut tokio::io::sink()).await?;
    Ok(())
}
