//! Plain sockets, for what no well-behaved client does.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::App;

/// A connection to the server.
pub async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(address(base)).await.expect("a connection")
}

/// A connection from an address of this machine: all of 127.0.0.0/8 is.
pub async fn connect_from(base: &str, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{from}:0").parse().expect("an address")).expect("bound");
    socket.connect(address(base).parse().expect("an address")).await.expect("a connection")
}

/// A connection whose own side takes hardly anything ahead of the reader.
pub async fn connect_narrow(base: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(address(base).parse().expect("an address")).await.expect("a connection")
}

fn address(base: &str) -> &str {
    base.strip_prefix("http://").expect("a base")
}

/// Sends the bytes one by one, with this pause, until they are out or the server has had enough.
pub async fn dribble(socket: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], pause: Duration) {
    for byte in bytes.iter().cycle() {
        if socket.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Waits until the server ends the connection; after how long, and what it said.
pub async fn until_closed(socket: &mut (impl AsyncReadExt + Unpin), since: Instant) -> (Duration, String) {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match timeout(Duration::from_mins(1), socket.read(&mut buffer)).await.expect("the server ends it") {
            Ok(0) | Err(_) => return (since.elapsed(), String::from_utf8_lossy(&said).into_owned()),
            Ok(count) => said.extend_from_slice(&buffer[..count]),
        }
    }
}

/// The slowest of some quick requests that a well-behaved client makes meanwhile.
pub async fn probe(app: &App, count: usize) -> Duration {
    let anon = app.anon();
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let begun = Instant::now();
        anon.get("/v1/locations").await.expect(200);
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    slowest
}

/// Whether well-behaved clients notice nothing: generous, as other tests share the machine.
#[track_caller]
pub fn assert_as_calm(calm: Duration, busy: Duration) {
    assert!(busy < calm * 20 + Duration::from_secs(1), "calm {calm:?}, busy {busy:?}");
}
