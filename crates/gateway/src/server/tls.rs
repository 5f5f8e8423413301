//! TLS of a listener: what it shows clients and whom it trusts, made of files.

pub(super) mod handshake;
pub(crate) mod identity;
mod validity;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};

use crate::config::{Clients, Tls, TlsVersion};
pub(crate) use validity::Validity;

/// A larger file holds something else.
const LARGEST: u64 = 1 << 20;
/// Which HTTP a client may choose (RFC 7301), best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the files say, ready to be used.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) config: Arc<ServerConfig>,
    /// When the certificate holds.
    pub(crate) validity: Validity,
}

/// What is wrong with the files. It quotes none of them.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) part: Part,
    pub(crate) problem: String,
    pub(crate) hint: &'static str,
}

/// One of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Certificate,
    Key,
    ClientCa,
}

impl Part {
    fn flaw(self, problem: impl Into<String>, hint: &'static str) -> Flaw {
        Flaw { part: self, problem: problem.into(), hint }
    }
}

/// Reads the files and makes of them what handshakes need.
///
/// # Errors
/// One of them cannot be read or does not hold what it has to, or the key is not the certificate's.
pub(crate) fn load(settings: &Tls) -> Result<Material, Flaw> {
    let chain = certificates(Part::Certificate, &settings.certificate)?;
    let leaf = chain.first().map(|leaf| leaf.as_ref()).unwrap_or_default();
    let validity = Validity::of(leaf).ok_or_else(|| {
        Part::Certificate.flaw("the first certificate in it is not X.509", "is it a certificate in PEM?")
    })?;
    let key = private_key(&settings.key)?;
    let provider = Arc::new(default_provider());
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Part::Key.flaw(
            "it is not the key of the first certificate",
            "the server's own certificate comes first in its file, those of its issuers after it",
        ),
        rustls::Error::InvalidCertificate(_) => Part::Certificate
            .flaw("the first certificate in it cannot be read", "is it a certificate in PEM?"),
        _ => Part::Key.flaw(
            "this kind of key cannot be used",
            "use ECDSA (P-256, P-384), Ed25519, or RSA of 2048 bits or more",
        ),
    })?;
    let versions: &[_] = match settings.min_version {
        TlsVersion::V1_2 => &[&TLS13, &TLS12],
        TlsVersion::V1_3 => &[&TLS13],
    };
    let unusable = |error: &dyn std::fmt::Display| {
        Part::Certificate.flaw(format!("TLS cannot be set up: {error}"), "is the certificate a server's?")
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_protocol_versions(versions).map_err(|error| unusable(&error))?;
    let builder = match &settings.clients {
        None => builder.with_no_client_auth(),
        Some(Clients { ca, required }) => {
            let roots = Arc::new(authorities(ca)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = if *required { verifier } else { verifier.allow_unauthenticated() };
            let verifier = verifier.build().map_err(|error| {
                Part::ClientCa
                    .flaw(format!("it cannot be used: {error}"), "are these certificates of authorities?")
            })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
    // Clients that come again bring the session along; nothing has to be kept for them here.
    config.ticketer = Ticketer::new().map_err(|error| unusable(&error))?;
    Ok(Material { config: Arc::new(config), validity })
}

fn certificates(part: Part, path: &Path) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let pem = read(part, path)?;
    // What the reader says of a line quotes it.
    let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|_quotes| part.flaw("it is not PEM", "is it cut off?"))?;
    if all.is_empty() {
        return Err(part.flaw(
            "there is no certificate in it",
            "`-----BEGIN CERTIFICATE-----` begins one; from DER, `openssl x509 -inform der` makes PEM",
        ));
    }
    Ok(all)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Flaw> {
    let pem = read(Part::Key, path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_quotes| {
        let has = |words: &[u8]| memchr::memmem::find(&pem, words).is_some();
        if has(b"ENCRYPTED") {
            Part::Key.flaw("the key is encrypted", "`openssl pkey` takes the passphrase off")
        } else if has(b"-----BEGIN CERTIFICATE-----") {
            Part::Key.flaw("there are certificates in it, and no key", "name the file of the private key")
        } else {
            Part::Key.flaw(
                "there is no private key in it",
                "`-----BEGIN PRIVATE KEY-----` begins one; from DER, `openssl pkey -inform der` makes PEM",
            )
        }
    })
}

fn authorities(path: &Path) -> Result<RootCertStore, Flaw> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(Part::ClientCa, path)? {
        roots.add(certificate).map_err(|_error| {
            Part::ClientCa
                .flaw("a certificate in it cannot be read", "are all of them certificates of authorities?")
        })?;
    }
    Ok(roots)
}

fn read(part: Part, path: &Path) -> Result<Vec<u8>, Flaw> {
    let read = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST + 1), &mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) if bytes.len() as u64 > LARGEST => {
            Err(part.flaw(format!("it is larger than {} KiB", LARGEST >> 10), "is it the right file?"))
        }
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(part.flaw(
            format!("it cannot be read: {error}"),
            "the file has to be there and readable for the user that runs Waypost",
        )),
    }
}
