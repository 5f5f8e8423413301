//! TLS on a listener, over real connections: who is served, who is not and why, and certificates that change.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use waypost::config::{self, Environment};
use waypost::serve::Options;

use crate::fake::PATIENCE;
use crate::hostile::{bounded, endless};
use crate::process::{Process, wait_for};
use crate::support::{CHAT, Gateway, KEYS, Reply, pair, question, read_reply, request, send};

/// Who issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this machine, and its key.
    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> [String; 2] {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        [params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem()]
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A folder with the files that a configuration names.
struct Files(tempfile::TempDir);

impl Files {
    fn new(pair: &[String; 2]) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.put(pair);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, [certificate, key]: &[String; 2]) {
        fs::write(self.path("tls.crt"), certificate).unwrap();
        fs::write(self.path("tls.key"), key).unwrap();
    }

    /// Keys of a listener; `more` are keys of `tls`.
    fn limits(&self, more: &str) -> String {
        let shown = |name| self.path(name).display().to_string();
        format!("tls: {{certificate: {}, key: {}{more}}}", shown("tls.crt"), shown("tls.key"))
    }
}

fn client(roots: RootCertStore, shows: Option<&[String; 2]>, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some([certificate, key]) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

fn connect(gateway: &Gateway, config: &Arc<ClientConfig>) -> Stream {
    let stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream)
}

fn ask(stream: &mut Stream, path: &str) -> std::io::Result<Reply> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())?;
    // A client that is refused learns it when it reads.
    stream.flush()?;
    let mut first = [0];
    stream.read_exact(&mut first)?;
    Ok(read_reply(first.as_slice().chain(stream)))
}

/// A page over a connection of its own.
fn get(gateway: &Gateway, config: &Arc<ClientConfig>, path: &str) -> Reply {
    ask(&mut connect(gateway, config), path).unwrap()
}

fn failures(page: &str, reason: &str) -> String {
    let line =
        format!("waypost_tls_handshake_failures_total{{listener=\"egress_traffic\",reason=\"{reason}\"}} ");
    page.lines().find_map(|found| found.strip_prefix(&line)).unwrap_or("0").to_owned()
}

#[test]
fn requests_are_answered_over_tls() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    let gateway = Gateway::with(&pair("@ECHO@", &files.limits("")));
    let trusting = client(authority.roots(), None, &[]);
    let mut stream = connect(&gateway, &trusting);
    for stream_it in [false, true] {
        let mut body = question(CHAT, "m", "Hi there");
        body["stream"] = stream_it.into();
        let sent = request(CHAT, "", &body.to_string()).replace("connection: close\r\n", "");
        stream.write_all(sent.as_bytes()).unwrap();
        let reply = read_reply(&mut stream);
        assert_eq!(reply.status, 200);
        assert!(String::from_utf8_lossy(&reply.body).contains("there"));
    }
    // Another authority's clients do not trust it.
    let mut other = connect(&gateway, &client(Authority::new().roots(), None, &[]));
    assert!(ask(&mut other, "/healthz").unwrap_err().to_string().contains("invalid peer certificate"));
    assert_eq!(gateway.stop().len(), 2);
}

#[tokio::test]
async fn clients_choose_the_http_by_alpn() {
    use http_body_util::{BodyExt, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    let gateway = Gateway::with(&pair("@ECHO@", &files.limits("")));
    for (offered, chosen) in [
        (&[b"h2".as_slice(), b"http/1.1"] as &[&[u8]], Some(b"h2".as_slice())),
        (&[b"http/1.1", b"h2"], Some(b"h2")),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let connector = tokio_rustls::TlsConnector::from(client(authority.roots(), None, offered));
        let tcp = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
        let stream = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        let request = http::Request::get("https://localhost/healthz").header("host", "localhost");
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let io = TokioIo::new(stream);
        let response = if chosen == Some(b"h2") {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        };
        assert_eq!(response.collect().await.unwrap().to_bytes(), "ok\n");
    }
    // Nothing in common.
    let connector = tokio_rustls::TlsConnector::from(client(authority.roots(), None, &[b"spdy/3"]));
    let tcp = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    assert!(connector.connect(ServerName::try_from("127.0.0.1").unwrap(), tcp).await.is_err());
    tokio::task::spawn_blocking(move || gateway.stop()).await.unwrap();
}

#[test]
fn a_certificate_changes_under_running_connections_and_a_bad_one_does_not_count() {
    let authority = Authority::new();
    let pairs: Vec<_> = (0..3).map(|_| authority.issue(|_| ())).collect();
    let files = Files::new(&pairs[0]);
    let gateway = Gateway::with(&pair("@ECHO@", &files.limits("")));
    let trusting = client(authority.roots(), None, &[]);
    let shows = |of: &[String; 2]| {
        let mut stream = connect(&gateway, &trusting);
        assert_eq!(ask(&mut stream, "/healthz").unwrap().status, 200);
        let shown = stream.conn.peer_certificates().unwrap().first().cloned().unwrap();
        shown == CertificateDer::from_pem_slice(of[0].as_bytes()).unwrap()
    };
    let standing = || get(&gateway, &trusting, "/readyz?verbose").json()["certificates"][0].clone();
    assert!(shows(&pairs[0]));
    assert_eq!(standing()["listener"], "egress_traffic");
    assert!(standing()["expires"].as_str().unwrap().starts_with("4096-"), "{}", standing());
    assert!(!gateway.renew_certificates(false));
    let mut kept = connect(&gateway, &trusting);
    assert_eq!(ask(&mut kept, "/healthz").unwrap().status, 200);

    // Taken at the second look: whoever writes it may not have been done at the first.
    files.put(&pairs[1]);
    assert!(gateway.renew_certificates(false));
    assert!(shows(&pairs[0]));
    assert!(!gateway.renew_certificates(false));
    assert!(shows(&pairs[1]));
    assert_eq!(ask(&mut kept, "/healthz").unwrap().status, 200, "a connection goes on");

    // The certificate of one pair and the key of another: the old one stays, and it is told.
    fs::write(files.path("tls.crt"), &pairs[2][0]).unwrap();
    gateway.renew_certificates(false);
    gateway.renew_certificates(false);
    assert!(shows(&pairs[1]));
    let problem = standing()["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("tls.key: it is not the key of the first certificate"), "{problem}");
    assert_eq!(get(&gateway, &trusting, "/readyz").status, 200);

    // It is complete now; whoever is told to look does not wait.
    files.put(&pairs[2]);
    gateway.renew_certificates(true);
    assert!(shows(&pairs[2]));
    assert_eq!(standing()["problem"], Value::Null);

    // Gone, and back through a link to a link, as Kubernetes has secrets.
    fs::remove_file(files.path("tls.crt")).unwrap();
    gateway.renew_certificates(true);
    assert!(shows(&pairs[2]));
    for (version, pair) in [("v1", &pairs[0]), ("v2", &pairs[1])] {
        let folder = files.path(version);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), &pair[0]).unwrap();
        fs::write(folder.join("tls.key"), &pair[1]).unwrap();
        std::os::unix::fs::symlink(&folder, files.path("new")).unwrap();
        fs::rename(files.path("new"), files.path("..data")).unwrap();
        for name in ["tls.crt", "tls.key"] {
            let _gone = fs::remove_file(files.path(name));
            std::os::unix::fs::symlink(Path::new("..data").join(name), files.path(name)).unwrap();
        }
        gateway.renew_certificates(false);
        gateway.renew_certificates(false);
        assert!(shows(pair), "{version}");
    }
    let page = gateway.get("/metrics");
    for (metric, value) in [
        ("reloads_total{listener=\"egress_traffic\",outcome=\"applied\"}", "4"),
        ("reloads_total{listener=\"egress_traffic\",outcome=\"refused\"}", "2"),
        ("expiry_timestamp_seconds{listener=\"egress_traffic\"}", "67090118400"),
    ] {
        let line = format!("waypost_tls_certificate_{metric} {value}\n");
        assert!(page.text().contains(&line), "{line}{}", page.text());
    }
    gateway.stop();
}

#[test]
fn another_configuration_brings_other_certificates_or_none() {
    let authority = Authority::new();
    let (first, second) = (Files::new(&authority.issue(|_| ())), Files::new(&authority.issue(|_| ())));
    let trusting = client(authority.roots(), None, &[]);
    let mut gateway = Gateway::with(&pair("@ECHO@", ""));
    let mut plain = TcpStream::connect(gateway.address).unwrap();
    let asked = b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";
    plain.write_all(asked).unwrap();
    assert_eq!(read_reply(&mut plain).status, 200);
    let address = gateway.address;
    let mut kept = None;
    for files in [&first, &second] {
        gateway.reload(&pair("@ECHO@", &files.limits(""))).unwrap();
        assert_eq!(gateway.address, address);
        let stream = kept.get_or_insert_with(|| connect(&gateway, &trusting));
        assert_eq!(ask(stream, "/healthz").unwrap().status, 200);
        assert_eq!(get(&gateway, &trusting, "/healthz").status, 200);
    }
    plain.write_all(asked).unwrap();
    assert_eq!(read_reply(plain).status, 200, "one that is open speaks on as it does");
    gateway.reload(&pair("@ECHO@", "")).unwrap();
    assert_eq!(gateway.get("/healthz").status, 200);
    gateway.stop();
}

#[test]
fn clients_show_certificates_where_they_have_to() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = Files::new(&authority.issue(|_| ()));
    fs::write(files.path("ca.pem"), clients.0.pem()).unwrap();
    let known = clients.issue(|_| ());
    let unknown = Authority::new().issue(|_| ());
    let expired = clients.issue(|params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    let ca = format!(", client_ca: {}", files.path("ca.pem").display());
    for (more, without) in [(ca.clone(), false), (format!("{ca}, client_certificate: optional"), true)] {
        let gateway = Gateway::with(&pair("@ECHO@", &files.limits(&more)));
        for (shown, is_welcome) in
            [(Some(&known), true), (None, without), (Some(&unknown), false), (Some(&expired), false)]
        {
            let mut stream = connect(&gateway, &client(authority.roots(), shown, &[]));
            let answer = ask(&mut stream, "/healthz");
            assert_eq!(
                answer.is_ok_and(|reply| reply.status == 200),
                is_welcome,
                "{more}: {}",
                shown.is_some()
            );
        }
        let page = gateway.get("/metrics");
        assert_eq!(failures(page.text(), "client_certificate"), if without { "2" } else { "3" });
        gateway.stop();
    }
}

#[test]
fn the_oldest_version_can_be_chosen() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    for (more, is_welcome) in [("", true), (", min_version: 1.2", true), (", min_version: 1.3", false)] {
        let gateway = Gateway::with(&pair("@ECHO@", &files.limits(more)));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let old = ClientConfig::builder_with_provider(provider);
        let old = old.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
        let old = Arc::new(old.with_root_certificates(authority.roots()).with_no_client_auth());
        assert_eq!(ask(&mut connect(&gateway, &old), "/healthz").is_ok(), is_welcome, "{more}");
        let page = gateway.get("/metrics");
        assert_eq!(failures(page.text(), "incompatible"), if is_welcome { "0" } else { "1" });
        gateway.stop();
    }
}

#[test]
fn plain_http_is_told_what_to_do() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    let gateway = Gateway::with(&pair("@ECHO@", &files.limits("")));
    let body = question(CHAT, "m", &"x".repeat(20_000)).to_string();
    let reply = send(gateway.address, &[request(CHAT, "", &body).as_bytes()]);
    assert_eq!((reply.status, reply.header("connection")), (400, "close"));
    assert_eq!(reply.json()["error"]["code"], "plain_http_request_sent_to_tls_port");
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("`https://`"), "{}", reply.text());
    // Neither TLS nor HTTP; and a check whether the port is open, which is no failure.
    let mut odd = TcpStream::connect(gateway.address).unwrap();
    odd.write_all(b"\x00\x01\x02\x03\x04\x05\x06\x07").unwrap();
    let _closed = odd.read_to_end(&mut Vec::new());
    drop(TcpStream::connect(gateway.address).unwrap());
    // It is counted when the client has been told already.
    let counted = || {
        let page = gateway.get("/metrics");
        [failures(page.text(), "plain_http"), failures(page.text(), "other")]
    };
    assert!((0..5000).any(|_| counted() == ["1", "1"]), "{:?}", counted());
    gateway.stop();
}

#[test]
fn a_handshake_that_stalls_keeps_nobody_waiting_and_ends() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    let gateway = Gateway::with_options(
        &pair("@ECHO@", &format!("head_timeout: 400ms, {}", files.limits(""))),
        Options { grace: Duration::from_millis(50), ..Options::new(1) },
    );
    let trusting = client(authority.roots(), None, &[]);
    // Silent; in the middle of its first record; after the handshake; in the middle of the preface of HTTP/2, which makes
    // more bytes on the wire than the preface has.
    let silent = TcpStream::connect(gateway.address).unwrap();
    let mut halfway = TcpStream::connect(gateway.address).unwrap();
    halfway.write_all(&[22, 3, 1, 2, 0, 1, 0, 1]).unwrap();
    let mut mute = connect(&gateway, &trusting);
    mute.conn.complete_io(&mut mute.sock).unwrap();
    let mut begun = connect(&gateway, &trusting);
    begun.write_all(b"PRI").unwrap();
    assert_eq!(get(&gateway, &trusting, "/healthz").status, 200);
    for mut stream in [silent, halfway, mute.sock, begun.sock] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // Some are told so by TLS before.
        if let Err(error) = stream.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
    let page = gateway.get("/metrics");
    assert_eq!(failures(page.text(), "timeout"), "2");
    // A stop does not wait for one.
    let _silent = TcpStream::connect(gateway.address).unwrap();
    gateway.stop();
}

/// TLS has a buffer of its own between the answer and the socket.
#[test]
fn a_client_that_does_not_read_is_given_up() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    let (provider, is_closed) = endless();
    let limits = format!("send_timeout: 400ms, {}", files.limits(""));
    let gateway = Gateway::with(&pair(provider.address, &limits));
    let mut body = question(CHAT, "m", "Hi");
    body["stream"] = true.into();
    bounded(|| {
        let mut stream = connect(&gateway, &client(authority.roots(), None, &[]));
        stream.write_all(request(CHAT, "", &body.to_string()).as_bytes()).unwrap();
        is_closed.recv_timeout(PATIENCE).expect("the call goes on");
        drop(stream);
    });
    let lines = gateway.stop();
    assert_eq!((lines.len(), &lines[0]["status"]), (1, &499.into()), "{lines:?}");
}

#[test]
fn what_is_wrong_with_the_files_is_told_and_nothing_of_them_shown() {
    let authority = Authority::new();
    let good = authority.issue(|_| ());
    let other = authority.issue(|_| ());
    let expired = authority.issue(|params| params.not_after = date_time_ymd(2020, 2, 29));
    let later = authority.issue(|params| params.not_before = date_time_ymd(4000, 1, 1));
    let pair_of = |certificate: &str, key: &str| [certificate.to_owned(), key.to_owned()];
    let encrypted = good[1].replace("PRIVATE", "ENCRYPTED PRIVATE");
    let (cut, _) = good[0].split_at(good[0].len() / 2);
    for (files, outcome) in [
        (&good, None),
        (&pair_of(&good.concat(), &good.concat()), None),
        (
            &pair_of(&good[0], &other[1]),
            Some("error: `tls.key` (@): it is not the key of the first certificate"),
        ),
        (&pair_of(&good[0], &encrypted), Some("error: `tls.key` (@): the key is encrypted")),
        (
            &pair_of(&good[0], &good[0]),
            Some("error: `tls.key` (@): there are certificates in it, and no key"),
        ),
        (&pair_of(&good[0], "LEAK"), Some("error: `tls.key` (@): there is no private key in it")),
        (&pair_of(&good[1], &good[1]), Some("error: `tls.certificate` (@): there is no certificate in it")),
        (&pair_of(cut, &good[1]), Some("error: `tls.certificate` (@): it is not PEM")),
        (
            &pair_of("-----BEGIN CERTIFICATE-----\nTEVBSw==\n-----END CERTIFICATE-----\n", &good[1]),
            Some("error: `tls.certificate` (@): the first certificate in it is not X.509"),
        ),
        (
            &pair_of(&"x".repeat(2 << 20), &good[1]),
            Some("error: `tls.certificate` (@): it is larger than 1024 KiB"),
        ),
        (&expired, Some("warning: the certificate has expired on 2020-02-29T00:00:00Z (@)")),
        (&later, Some("warning: the certificate does not hold before 4000-01-01T00:00:00Z (@)")),
    ] {
        let folder = Files::new(files);
        let text = pair("127.0.0.1:1", &folder.limits(""));
        let said = match config::parse("test.yaml", &text, &Environment::of(KEYS)) {
            Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect::<String>(),
            Err(problems) => problems.to_string(),
        };
        let is_of_key = outcome.is_some_and(|outcome| outcome.contains(".key"));
        let path = folder.path(if is_of_key { "tls.key" } else { "tls.crt" }).display().to_string();
        match outcome {
            Some(outcome) => assert!(said.starts_with(&outcome.replace('@', &path)), "{outcome}: {said}"),
            None => assert_eq!(said, ""),
        }
        for line in good.iter().chain(&other).flat_map(|pem| pem.lines()) {
            assert!(line.starts_with("-----") || !said.contains(line), "{said}");
        }
        assert!(!said.contains("LEAK") && !said.contains("TEVBSw"), "{said}");
    }
}

/// Operators' listener is one like the others.
#[test]
fn operators_are_answered_over_tls_as_well() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    let mut gateway = Gateway::with(&format!("admin: {{{}}}\n{}", files.limits(""), pair("@ECHO@", "")));
    let trusting = client(authority.roots(), None, &[]);
    let connect_to = |address, trusting: &Arc<ClientConfig>| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(trusting), name).unwrap(), stream)
    };
    let ask_admin =
        |gateway: &Gateway, path: &str| ask(&mut connect_to(gateway.admin(), &trusting), path).unwrap();
    assert_eq!(ask_admin(&gateway, "/healthz").status, 200);
    // What is given over TLS is not sent without it.
    let mut stream = connect_to(gateway.admin(), &trusting);
    let out = "POST /api/logout HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-waypost-page: 1\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(out.as_bytes()).unwrap();
    let cookie = read_reply(stream).header("set-cookie").to_owned();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    files.put(&authority.issue(|_| ()));
    gateway.renew_certificates(true);
    let page = ask_admin(&gateway, "/metrics");
    let line = "waypost_tls_certificate_reloads_total{listener=\"admin\",outcome=\"applied\"} 1\n";
    assert!(page.text().contains(line), "{}", page.text());
    // The same address without TLS.
    gateway.reload(&pair("@ECHO@", "")).unwrap();
    assert!(!gateway.get("/metrics").text().contains("expiry_timestamp_seconds{listener"));
    gateway.stop();
}

/// The program looks by itself, and when it is told to.
#[test]
fn the_program_renews_certificates() {
    let authority = Authority::new();
    let files = Files::new(&authority.issue(|_| ()));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = files.path("waypost.yaml");
    fs::write(
        &file,
        "admin: {port: 0}\n".to_owned()
            + &pair("127.0.0.1:1", &format!("port: {port}, {}", files.limits(""))),
    )
    .unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waypost"));
    command.arg("up").arg(&file).envs(KEYS);
    let process = Process::ready(command);
    files.put(&authority.issue(|_| ()));
    process.says("the certificate has been renewed");
    fs::write(files.path("tls.key"), "nothing").unwrap();
    let said = process.says("the certificate is not renewed, and the old one stays in use");
    assert!(said.contains("tls.key: there is no private key in it"), "{said}");
    files.put(&authority.issue(|_| ()));
    process.signal("HUP");
    let said = process.says("the configuration has been reloaded");
    drop(said);
    wait_for("the page", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    process.stop();
}
