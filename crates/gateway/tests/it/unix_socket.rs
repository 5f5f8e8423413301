//! A listener in the file system.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use waypost::serve::Options;

use crate::fake::{PATIENCE, STREAM, chunk, good_events, write};
use crate::process::{Process, START, wait_for};
use crate::support::{CHAT, Gateway, KEYS, Reply, pair, question, read_reply, request};

fn open(path: &Path, sent: &str) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(sent.as_bytes())?;
    Ok(stream)
}

fn get(path: &Path, page: &str) -> std::io::Result<Reply> {
    open(path, &format!("GET {page} HTTP/1.1\r\nhost: test\r\n\r\n")).map(read_reply)
}

fn limits(path: &Path, more: &str) -> String {
    format!("address: 'unix:{}'{more}", path.display())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waypost.sock");
    (folder, path)
}

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn requests_are_answered_over_a_socket_in_the_file_system() {
    let (folder, path) = place();
    let gateway = Gateway::with(&pair("@ECHO@", &limits(&path, "")));
    assert_eq!((mode(&path), names(&folder)), (0o600, vec!["waypost.sock".to_owned()]));
    for is_streamed in [false, true] {
        let mut body = question(CHAT, "m", "Hi there");
        body["stream"] = is_streamed.into();
        let reply = read_reply(open(&path, &request(CHAT, "", &body.to_string())).unwrap());
        assert_eq!(reply.status, 200);
        assert!(String::from_utf8_lossy(&reply.body).contains("there"));
    }
    assert_eq!(gateway.stop().len(), 2);
    assert_eq!(names(&folder), [""; 0], "it is removed");
}

#[test]
fn what_is_there_is_replaced_only_if_nobody_listens() {
    let (folder, path) = place();
    let config = pair("@ECHO@", &limits(&path, ", socket_mode: 0660"));
    // Left by a process that could not remove it.
    drop(UnixListener::bind(&path).unwrap());
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let mut gateway = Gateway::with(&config);
    assert_eq!((get(&path, "/healthz").unwrap().status, mode(&path)), (200, 0o660));

    // Somebody listens; a file that is no socket.
    let (taken, file) = (folder.path().join("taken.sock"), folder.path().join("file"));
    let _listens = UnixListener::bind(&taken).unwrap();
    fs::write(&file, "precious").unwrap();
    for (other, why) in
        [(&taken, "another process listens there"), (&file, "something else than a socket is there")]
    {
        let error = gateway.reload(&pair("@ECHO@", &limits(other, ""))).unwrap_err();
        assert!(error.starts_with(&format!("cannot listen on unix:{}: ", other.display())), "{error}");
        assert!(error.contains(why), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let nowhere = folder.path().join("nowhere/a.sock");
    assert!(gateway.reload(&pair("@ECHO@", &limits(&nowhere, ""))).is_err());
    assert_eq!(get(&path, "/healthz").unwrap().status, 200, "the old one stays");
    gateway.stop();
    let mut left = names(&folder);
    left.sort();
    assert_eq!(left, ["file", "taken.sock"]);
}

#[test]
fn a_new_configuration_moves_it_and_changes_who_may_connect() {
    let (folder, path) = place();
    let other = folder.path().join("other.sock");
    let mut gateway = Gateway::with(&pair("@ECHO@", &limits(&path, "")));
    let mut kept = open(&path, "GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut kept).status, 200);
    gateway.reload(&pair("@ECHO@", &limits(&path, ", socket_mode: '0666'"))).unwrap();
    assert_eq!(mode(&path), 0o666);
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut kept).status, 200, "the connection goes on");
    gateway.reload(&pair("@ECHO@", &limits(&other, ""))).unwrap();
    assert_eq!(get(&other, "/healthz").unwrap().status, 200);
    wait_for("the end of the old one", || !path.exists());
    gateway.stop();
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn operators_can_be_there_as_well() {
    let (folder, path) = place();
    let other = folder.path().join("other.sock");
    let config =
        |path: &Path, more: &str| format!("admin: {{{}}}\n{}", limits(path, more), pair("@ECHO@", ""));
    let mut gateway = Gateway::with(&config(&path, ""));
    let metrics = |path: &Path| {
        read_reply(open(path, "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap()).status
    };
    assert_eq!((metrics(&path), mode(&path)), (200, 0o600));
    gateway.reload(&config(&path, ", socket_mode: 0660")).unwrap();
    assert_eq!((metrics(&path), mode(&path)), (200, 0o660));
    gateway.reload(&config(&other, "")).unwrap();
    assert_eq!(metrics(&other), 200);
    wait_for("the end of the old one", || !path.exists());
    gateway.stop();
    assert_eq!(names(&folder), [""; 0]);
}

/// Who stops accepts those that wait, and streams end.
#[test]
fn a_stop_loses_nobody_and_a_successor_takes_the_place() {
    let (folder, path) = place();
    let (go_on, wait) = crate::fake::gate();
    let provider = crate::fake::Fake::start(move |seen, stream| {
        write(stream, STREAM);
        let events = good_events(seen, &["One", "Two"]);
        write(stream, chunk(&events[..2].concat()));
        wait();
        write(stream, chunk(&events[2..].concat()));
        write(stream, crate::fake::END);
    });
    let options = || Options { shared: true, grace: Duration::from_secs(20), ..Options::new(2) };
    let config = pair(provider.address, &limits(&path, ""));
    let first = Gateway::with_options(&config, options());
    let mut body = question(CHAT, "m", "Hi");
    body["stream"] = true.into();
    let stream = open(&path, &request(CHAT, "", &body.to_string())).unwrap();
    wait_for("the call", || provider.seen().len() == 1);

    let second = Gateway::with_options(&config, options());
    let stopping = std::thread::spawn(move || first.stop());
    go_on.send(()).unwrap();
    let reply = read_reply(stream);
    assert!(reply.text().contains("Two"), "{}", reply.text());
    stopping.join().unwrap();
    assert_eq!(get(&path, "/healthz").unwrap().status, 200, "the file is the successor's");
    second.stop();
    assert_eq!(names(&folder), [""; 0]);
}

/// What systemd does with `ListenStream=/run/waypost.sock`: the file is its own and stays.
#[test]
fn a_socket_can_be_passed() {
    let (folder, path) = place();
    let socket = UnixListener::bind(&path).unwrap();
    let file = folder.path().join("waypost.yaml");
    fs::write(&file, "admin: {port: 0}\n".to_owned() + &pair("127.0.0.1:1", &limits(&path, ""))).unwrap();
    for _ in 0..2 {
        // It waits in the kernel until there is a process.
        let early = open(&path, "GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", START, env!("CARGO_BIN_EXE_waypost")]).arg(&file).envs(KEYS);
        command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
        let process = Process::ready(command);
        assert_eq!(read_reply(early).status, 200);
        assert_eq!(get(&path, "/healthz").unwrap().status, 200);
        process.stop();
        assert!(path.exists());
    }
}
