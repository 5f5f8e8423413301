//! A connection to a provider, plain or over TLS.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a provider shows who connects.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// By an authority that the gateway is told of.
    good: Arc<ServerConfig>,
    /// For the same address, by one that nobody knows.
    bad: Arc<ServerConfig>,
}

impl Identity {
    /// Certificates for an address. The authority of the good one is written into a file.
    ///
    /// # Errors
    /// They cannot be made, or the file not written.
    pub(crate) fn new(address: SocketAddr, authority: &Path) -> anyhow::Result<Self> {
        let (known, unknown) = (issuer()?, issuer()?);
        std::fs::write(authority, known.pem())?;
        Ok(Self { good: config(address, &known)?, bad: config(address, &unknown)? })
    }
}

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> anyhow::Result<Issuer> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

fn config(address: SocketAddr, issuer: &Issuer) -> anyhow::Result<Arc<ServerConfig>> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([address.ip().to_string()])?.signed_by(&key, issuer)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    Ok(Arc::new(builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?))
}

/// A connection.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Takes a connection; the handshake comes with the first bytes.
    ///
    /// # Errors
    /// TLS cannot begin.
    pub(super) fn new(socket: TcpStream, identity: Option<&Identity>, is_good: bool) -> anyhow::Result<Self> {
        let Some(identity) = identity else { return Ok(Self::Plain(socket)) };
        let config = if is_good { &identity.good } else { &identity.bad };
        let connection = ServerConnection::new(Arc::clone(config))?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    /// What lies below.
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
