//! Plain sockets, for clients that misbehave.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// How long a test waits for the server to end a connection. Every deadline of the server is far shorter, and without it the
/// connection would stay open for as long as the client likes.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to the server.
pub async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(address(base)).await.expect("a connection")
}

/// A connection from another address of this machine, such as 127.0.0.2.
pub async fn connect_from(base: &str, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{from}:0").parse().expect("an address")).expect("bound");
    socket.connect(address(base).parse().expect("an address")).await.expect("a connection")
}

/// A connection with a small receive buffer, so that a client that does not read fills it at once.
pub async fn connect_narrow(base: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(address(base).parse().expect("an address")).await.expect("a connection")
}

fn address(base: &str) -> &str {
    base.strip_prefix("http://").expect("a base")
}

/// Sends the bytes one by one, over and over, with this pause, until the server ends the connection.
pub async fn dribble(socket: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], pause: Duration) {
    for byte in bytes.iter().cycle() {
        if socket.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// Waits until the server ends the connection. Returns what it sent before.
pub async fn until_closed(socket: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match timeout(PATIENCE, socket.read(&mut buffer)).await.expect("the server ends it") {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&said).into_owned(),
            Ok(count) => said.extend_from_slice(&buffer[..count]),
        }
    }
}
