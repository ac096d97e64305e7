//! Requests in pieces, requests that are none, and connections that end in the middle.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::harness::{Server, random::Random};

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// All that the server sends until it closes.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset in place of a clean end: the server closed with bytes of ours unread.
    let _ = stream.read_to_end(&mut all);
    all
}

const REQUESTS: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\nx\r\ny\r\nGET a\r\n*3\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n*1\r\n$4\r\nQUIT\r\n";
const REPLIES: &[u8] = b"+OK\r\n$4\r\nx\r\ny\r\n*2\r\n$4\r\nx\r\ny\r\n$-1\r\n+OK\r\n";

#[test]
fn requests_may_be_cut_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2"]);
    for cut in 1..REQUESTS.len() {
        let mut stream = connect(&server);
        stream.write_all(&REQUESTS[..cut]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        stream.write_all(&REQUESTS[cut..]).unwrap();
        assert_eq!(
            rest(stream).escape_ascii().to_string(),
            REPLIES.escape_ascii().to_string(),
            "cut at {cut}"
        );
    }
    let mut stream = connect(&server);
    for byte in REQUESTS {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(rest(stream), REPLIES);
}

#[test]
fn a_client_that_sends_and_closes_its_side_gets_its_replies() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--appendfsync", "always"]);
    let mut stream = connect(&server);
    stream.write_all(&REQUESTS[..REQUESTS.len() - 14]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(stream), REPLIES[..REPLIES.len() - 5]);
}

#[test]
fn broken_requests_are_answered_and_closed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &[]);
    let cases: [(&[u8], &[u8]); 4] = [
        (b"PING\r\n*x\r\n", b"+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n$-5\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\nPING\r\n", b"-ERR Protocol error: expected '$', got 'P'\r\n"),
        (b"SET \"a\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
    ];
    for (request, reply) in cases {
        let mut stream = connect(&server);
        stream.write_all(request).unwrap();
        assert_eq!(rest(stream).escape_ascii().to_string(), reply.escape_ascii().to_string());
    }
}

#[test]
fn garbage_harms_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2"]);
    let mut other = server.client();
    let mut random = Random::new(11);
    for round in 0..200 {
        let mut stream = connect(&server);
        let mut bytes: Vec<u8> = (0..random.below(4000)).map(|_| random.next() as u8).collect();
        if round % 2 == 0 {
            bytes.splice(0..0, *b"*3\r\n$3\r\nSET\r\n");
        }
        let _ = stream.write_all(&bytes); // the server may have closed already
        let _ = stream.shutdown(Shutdown::Both);
        assert_eq!(other.raw(&["PING"]), b"+PONG\r\n");
    }
}

#[test]
fn a_large_value_goes_in_and_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::everfast(dir.path(), &["--shards", "2", "--proto-max-bulk-len", "64mb"]);
    let mut client = server.client();
    let value = vec![b'v'; 40 << 20];
    for key in [&b"one"[..], b"two"] {
        assert_eq!(client.raw(&[&b"SET"[..], key, &value]), b"+OK\r\n");
        let reply = client.raw(&[&b"GET"[..], key]);
        assert!(
            reply.len() == value.len() + 13 && reply[11..].starts_with(&value),
            "{} bytes came back",
            reply.len()
        );
    }
    let mut stream = connect(&server);
    stream.write_all(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$67108865\r\n").unwrap();
    assert_eq!(rest(stream), b"-ERR Protocol error: invalid bulk length\r\n");
}
