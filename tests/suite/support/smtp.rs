//! A real mail server in the test's own process, that can be away and can refuse.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mailin_embedded::{Action, Handler, Response, Server, response};
use tokio::net::TcpSocket;

use super::mails::{Mail, parse};

/// A mail server with a port of its own, which refuses connections until it is opened.
pub struct Smtp {
    socket: Option<TcpSocket>,
    addr: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Codes with which the next mails are answered; after these, each is taken.
    answers: Mutex<VecDeque<u16>>,
    /// Every mail that was handed over, taken or not, with the answer.
    seen: Mutex<Vec<(u16, Mail)>>,
}

impl Smtp {
    /// A server that is not there yet, though its port is kept for it.
    pub fn closed() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let addr = socket.local_addr().expect("an address");
        Self { socket: Some(socket), addr, state: Arc::default() }
    }

    /// A server that takes connections.
    pub fn open() -> Self {
        let mut server = Self::closed();
        server.reopen();
        server
    }

    /// Takes connections from now on.
    pub fn reopen(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        let listener = socket.listen(64).and_then(tokio::net::TcpListener::into_std).expect("listen");
        listener.set_nonblocking(false).expect("a blocking listener");
        let handler = Session { state: Arc::clone(&self.state), bytes: Vec::new() };
        // It has no way to be stopped; it ends with the process.
        std::thread::spawn(move || {
            let mut server = Server::new(handler);
            // Each connection, an idle one too, has a thread to itself.
            server.with_name("mail.example").with_num_threads(32).with_tcp_listener(listener);
            let _ = server.serve();
        });
    }

    /// For `--smtp-url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.addr)
    }

    /// Answers the next mails with these codes.
    pub fn answer(&self, codes: &[u16]) {
        self.state.answers.lock().unwrap_or_else(PoisonError::into_inner).extend(codes);
    }

    /// Every mail that was handed over so far, with the answer it got.
    pub fn seen(&self) -> Vec<(u16, Mail)> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many mails were handed over.
    pub async fn wait_for(&self, count: usize) -> Vec<(u16, Mail)> {
        let patience = Instant::now() + Duration::from_secs(15);
        loop {
            let seen = self.seen();
            if seen.len() >= count {
                return seen;
            }
            assert!(Instant::now() < patience, "{} of {count} mails came", seen.len());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// One connection.
#[derive(Clone)]
struct Session {
    state: Arc<State>,
    bytes: Vec<u8>,
}

impl Handler for Session {
    fn mail(&mut self, _: IpAddr, _: &str, _: &str) -> Response {
        self.bytes.clear();
        response::OK
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let code = self.state.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(250);
        let mail = parse(&self.bytes);
        // A server's words may hold anything; none of it may come out of ours.
        let text = format!("secret words about {}", mail.to);
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).push((code, mail));
        let mut answer = Response::custom(code, text);
        // After a refusal mailin goes on reading the mail and leaves even QUIT unanswered: hang up instead.
        if answer.is_error {
            answer.action = Action::Close;
        }
        answer
    }
}
