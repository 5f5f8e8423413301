//! `waypost run`, as a shell sees it: a program that answers for a coding agent is a line of `sh`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::support::{CHAT, Gateway, question, request, send, start_echo};

/// `waypost run` in a folder of its own.
struct Run {
    folder: tempfile::TempDir,
}

struct Started {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Run {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A configuration whose address nobody answers at.
    fn with_config(listener: SocketAddr) -> Self {
        let run = Self::new();
        let yaml = format!(
            "listeners: {{egress_traffic: {{address: 127.0.0.1, port: {}}}}}\nmodel_providers:\n  - {{model: openai/m, \
             access_key: $OPENAI_API_KEY, base_url: 'http://{}', default: true}}\n",
            listener.port(),
            start_echo()
        );
        fs::write(run.folder.path().join("waypost.yaml"), yaml).unwrap();
        run
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waypost"));
        command.current_dir(self.folder.path()).env("NO_COLOR", "1").env("OPENAI_API_KEY", "sk-LEAK");
        // Records go where a person's programs keep what they remember.
        command.env("HOME", self.folder.path());
        for name in [
            "XDG_STATE_HOME",
            "STATE_DIRECTORY",
            "http_proxy",
            "HTTP_PROXY",
            "all_proxy",
            "ALL_PROXY",
            "WAYPOST_URL",
            "WAYPOST_KEY",
        ] {
            command.env_remove(name);
        }
        command.arg("run").args(arguments);
        command
    }

    fn start(&self, arguments: &[&str]) -> Started {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Started { child, input, output }
    }

    /// What it prints; it has to end with this code.
    fn output(&self, code: i32, arguments: &[&str]) -> (String, String) {
        let output = self.command(arguments).output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{err}");
        assert!(!out.contains("LEAK") && !err.contains("LEAK"), "{out}{err}");
        (out, err)
    }
}

impl Started {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, name: &str) {
        assert!(
            Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success()
        );
    }
}

/// An address where nobody listens, and the socket that keeps it from everybody else.
fn nobody() -> (TcpListener, SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Accepts nothing: somebody who is no gateway.
fn silent() -> (TcpListener, SocketAddr) {
    let (socket, address) = nobody();
    let accepting = socket.try_clone().unwrap();
    std::thread::spawn(move || {
        for connection in accepting.incoming().map_while(Result::ok) {
            let mut connection: TcpStream = connection;
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 11\r\n\r\n{\"data\":[]}",
            );
        }
    });
    (socket, address)
}

#[test]
fn a_gateway_runs_as_long_as_the_program() {
    let (_socket, address) = silent();
    let run = Run::with_config(address);
    let mut started =
        run.start(&["--", "sh", "-c", "echo $OPENAI_BASE_URL; echo $OPENAI_API_KEY; read line; exit 7"]);
    let url = started.line();
    assert_eq!(started.line(), "waypost", "the provider's key is not the program's");
    let at: SocketAddr = url.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap().parse().unwrap();
    assert_ne!(at, address, "somebody else is there");
    let reply = send(at, &[request(CHAT, "", &question(CHAT, "m", "hello").to_string()).as_bytes()]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    started.input.write_all(b"\n").unwrap();
    assert_eq!(started.child.wait().unwrap().code(), Some(7));
    assert!(TcpStream::connect(at).is_err(), "the gateway is gone with it");
}

#[test]
fn a_gateway_that_runs_is_used_and_the_program_takes_our_place() {
    let gateway = Gateway::start();
    let url = format!("http://{}", gateway.address);
    let run = Run::new();
    let script = "echo $ANTHROPIC_BASE_URL $GOOGLE_GEMINI_BASE_URL; echo $$; kill -TERM $$";
    let mut started = run.start(&["--url", &url, "--", "sh", "-c", script]);
    assert_eq!(started.line(), format!("{url} {url}"));
    assert_eq!(started.line(), started.child.id().to_string());
    assert_eq!(started.child.wait().unwrap().signal(), Some(15));
    gateway.stop();
}

#[test]
fn signals_reach_the_program_and_its_end_is_ours() {
    let (_socket, address) = silent();
    let run = Run::with_config(address);
    let script = "trap 'exit 9' TERM; trap 'echo hung up' HUP; echo up; while :; do read line; done";
    let mut started = run.start(&["--", "sh", "-c", script]);
    assert_eq!(started.line(), "up");
    // A terminal sends it to the program by itself.
    started.signal("INT");
    // A shell sees to a trap after the line that it reads, or in the middle of it.
    started.signal("HUP");
    let _ = started.input.write_all(b"\n");
    assert_eq!(started.line(), "hung up");
    started.signal("TERM");
    let _ = started.input.write_all(b"\n");
    assert_eq!(started.child.wait().unwrap().code(), Some(9));
    run.output(128 + 9, &["--", "sh", "-c", "kill -KILL $$"]);
    run.output(0, &["--", "true"]);
}

#[test]
fn a_shell_can_set_what_a_tool_reads() {
    let gateway = Gateway::start();
    let url = format!("http://{}", gateway.address);
    let run = Run::new();
    let (claude, _) = run.output(0, &["claude", "--url", &url, "--print-env"]);
    let script = format!(
        "{claude}echo \"$ANTHROPIC_BASE_URL $ANTHROPIC_AUTH_TOKEN $ANTHROPIC_MODEL <$OPENAI_API_KEY>\""
    );
    let shell = Command::new("sh").args(["-c", &script]).env("OPENAI_API_KEY", "sk-LEAK").output().unwrap();
    assert_eq!(String::from_utf8(shell.stdout).unwrap(), format!("{url} waypost auto <>\n"), "{claude}");
    let (codex, _) = run.output(0, &["codex", "--url", &url, "--print-env", "--model", "a\"b"]);
    assert!(codex.contains("alias codex=") && codex.contains("model=\"a\\\"b\""), "{codex}");
    run.output(0, &["--url", &url, "--", "true"]);
    assert_eq!(gateway.stop(), Vec::<serde_json::Value>::new(), "nobody has asked the gateway anything");
}

#[test]
fn keys_of_all_providers_stay_here() {
    let (_socket, address) = silent();
    let run = Run::with_config(address);
    let path = run.folder.path().join("waypost.yaml");
    let yaml = fs::read_to_string(&path).unwrap().replace("$OPENAI_API_KEY", "$TEAM_KEY");
    fs::write(&path, yaml).unwrap();
    let names = ["GROQ_API_KEY", "MISTRAL_API_KEY", "ANTHROPIC_AUTH_TOKEN", "TEAM_KEY", "OPENAI_API_KEY"];
    let shown = names.map(|name| format!("<${name}>")).concat();
    let said = |more: &[&str]| {
        let mut command =
            run.command(&[more, &["--", "sh", "-c", &format!("echo \"{shown} $GITHUB_TOKEN\"")]].concat());
        names.iter().for_each(|name| _ = command.env(name, "sk-LEAK"));
        let output = command.env("GITHUB_TOKEN", "of-git").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(said(&[]), "<><><><><waypost> of-git\n");
    assert_eq!(said(&["--keep-keys"]).matches("sk-LEAK").count(), 5);
}

#[test]
fn what_is_wrong_is_said() {
    let (_socket, address) = silent();
    let url = format!("http://{address}");
    let run = Run::with_config(address);
    for (arguments, code, words) in [
        (&[][..], 2, "nothing to run"),
        (&["--", "no-such-program"], 1, "cannot start `no-such-program`; is it on the `PATH`?"),
        (&["--url", &url, "--", "true"], 1, "no gateway answers at"),
        (&["--url", "ftp://x", "--", "true"], 1, "is not an address such as"),
        (&["--url", "http://x/v1", "--", "true"], 1, "is not an address such as"),
        (&["--config", "nothing.yaml", "--", "true"], 2, "there is no such file"),
    ] {
        let (_, errors) = run.output(code, arguments);
        assert!(errors.contains(words), "{arguments:?}: {errors}");
    }
    let (_, warning) = run.output(0, &["--print-env"]);
    assert!(warning.contains("no gateway answers at"), "{warning}");
}

#[test]
fn what_the_gateway_says_goes_into_a_file() {
    let (_socket, address) = silent();
    let run = Run::with_config(address);
    let mut started =
        run.start(&["--log-file", "run.log", "--", "sh", "-c", "echo $OPENAI_BASE_URL; read line"]);
    let url = started.line();
    let at: SocketAddr = url.strip_prefix("http://").unwrap().strip_suffix("/v1").unwrap().parse().unwrap();
    send(at, &[request(CHAT, "", &question(CHAT, "m", "hello").to_string()).as_bytes()]);
    started.input.write_all(b"\n").unwrap();
    assert!(started.child.wait().unwrap().success());
    let log = fs::read_to_string(run.folder.path().join("run.log")).unwrap();
    assert!(log.contains("\"/v1/chat/completions\"") && !log.contains("LEAK"), "{log}");
}
