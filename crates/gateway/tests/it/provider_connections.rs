//! Connections to providers: used again where that is safe, replaced without notice where they were closed, and given up
//! where nobody knows what would come next.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use waypost::serve::Options;

use crate::fake::{PATIENCE, good, json_answer, read_request, told, wait_for_close, write};
use crate::support::{CHAT, Gateway, pair, question};

/// What becomes of a connection once its answer is written.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    Keep,
    Close,
}

/// A provider that keeps connections. It answers the requests that come in turn with what the script says, and notes on
/// which connection each has come.
struct Keeping {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<usize>>>,
    /// Tells of each connection that it has closed.
    is_closed: Receiver<()>,
}

impl Keeping {
    fn start(script: &'static [(&'static str, Then)]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
        let all = Arc::clone(&seen);
        let (closed, is_closed) = told();
        let closed = Arc::new(closed);
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (all, closed, stream) = (Arc::clone(&all), Arc::clone(&closed), stream.unwrap());
                std::thread::spawn(move || {
                    serve(connection, stream, &all, script);
                    closed();
                });
            }
        });
        Self { address, seen, is_closed }
    }

    /// The connection of each request.
    fn connections(&self) -> Vec<usize> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(connection: usize, mut stream: TcpStream, all: &Mutex<Vec<usize>>, script: &[(&str, Then)]) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while let Some(request) = read_request(&mut stream) {
        let turn = {
            let mut all = all.lock().unwrap();
            all.push(connection);
            all.len() - 1
        };
        let (head, then) = script[turn.min(script.len() - 1)];
        let body = good(&request);
        write(&mut stream, head.replace("LENGTH", &body.len().to_string()).replace("BODY", body));
        if then == Then::Close {
            return;
        }
    }
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: LENGTH\r\n\r\nBODY";

/// On one worker, which has one pool.
fn gateway(provider: SocketAddr) -> Gateway {
    Gateway::with_options(&pair(provider, "timeout: 20s"), Options::new(1))
}

#[test]
fn a_connection_is_used_again() {
    let provider = Keeping::start(&[
        (PLAIN, Then::Keep),
        // What is said before the answer, and a body in pieces with something behind it.
        (
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\n{\"i\r\n16\r\nd\":\"1\",\"choices\":[{}]}\r\n0\r\nx-trailer: y\r\n\r\n",
            Then::Keep,
        ),
        ("HTTP/1.1 429 Slow\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}", Then::Keep),
        (PLAIN, Then::Keep),
    ]);
    let gateway = gateway(provider.address);
    let statuses: Vec<u16> = (0..4).map(|_| gateway.chat("m", "Hi").status).collect();
    assert_eq!(statuses, [200, 200, 429, 200]);
    assert_eq!(provider.connections(), [0, 0, 0, 0]);
    // Only the first of them had to connect, and its record says how long that took.
    let lines = gateway.stop();
    let took: Vec<Option<f64>> = lines.iter().map(|line| line["connect_ms"].as_f64()).collect();
    assert!(matches!(took[..], [Some(_), None, None, None]), "{took:?}");
    assert!(took[0] > Some(0.0) && took[0] < lines[0]["first_byte_ms"].as_f64(), "{}", lines[0]);
}

#[test]
fn one_that_was_closed_is_replaced() {
    let provider = Keeping::start(&[(PLAIN, Then::Close)]);
    let gateway = gateway(provider.address);
    for _ in 0..4 {
        assert_eq!(gateway.chat("m", "Hi").status, 200);
        provider.is_closed.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(provider.connections(), [0, 1, 2, 3]);
    gateway.stop();
}

#[test]
fn one_of_which_nobody_knows_what_comes_next_is_given_up() {
    let provider = Keeping::start(&[
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: LENGTH\r\nconnection: close\r\n\r\nBODY",
            Then::Keep,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\ncontent-length: LENGTH\r\n\r\nBODY",
            Then::Keep,
        ),
        // An answer that nobody has asked for.
        (
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: LENGTH\r\n\r\nBODYHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Then::Keep,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\nBODY", Then::Close),
        (PLAIN, Then::Keep),
    ]);
    let gateway = gateway(provider.address);
    for _ in 0..5 {
        assert_eq!(gateway.chat("m", "Hi").status, 200);
    }
    assert_eq!(provider.connections(), [0, 1, 2, 3, 4]);
    gateway.stop();
}

#[test]
fn a_refusal_before_the_end_of_a_request_is_read() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut begin = [0; 1000];
        std::io::Read::read_exact(&mut stream, &mut begin).unwrap();
        stream
            .write_all(&json_answer(413, r#"{"error":{"message":"too long","type":"request_too_large"}}"#))
            .unwrap();
        wait_for_close(&mut stream);
    });
    let gateway = gateway(address);
    // More than sockets hold.
    let body = question(CHAT, "m", &"long ".repeat(2_000_000)).to_string();
    let reply = gateway.post(CHAT, &body);
    assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (413, Some("too long")));
    gateway.stop();
}
