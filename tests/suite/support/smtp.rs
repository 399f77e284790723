//! A mail server in the test's process, which can be down and can reject mails.

use std::collections::{HashMap, VecDeque};
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
    /// Response codes for the next mails; after these, each mail is accepted.
    answers: Mutex<VecDeque<u16>>,
    /// Recipients that it refuses, with the response.
    refused: Mutex<HashMap<String, (u16, String)>>,
    /// The beginning of addresses for whose mails it does not answer.
    silent_for: Mutex<Option<String>>,
    /// How many recipients it refused.
    refusals: Mutex<usize>,
    /// Every mail that was sent to it, accepted or not, with the response code.
    seen: Mutex<Vec<(u16, Mail)>>,
}

impl Smtp {
    /// A server that does not listen yet, with a reserved port.
    pub fn closed() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let addr = socket.local_addr().expect("an address");
        Self { socket: Some(socket), addr, state: Arc::default() }
    }

    /// A server that accepts connections.
    pub fn open() -> Self {
        let mut server = Self::closed();
        server.reopen();
        server
    }

    /// Accepts connections from now on.
    pub fn reopen(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        let listener = socket.listen(64).and_then(tokio::net::TcpListener::into_std).expect("listen");
        listener.set_nonblocking(false).expect("a blocking listener");
        let handler = Session { state: Arc::clone(&self.state), bytes: Vec::new() };
        // It cannot be stopped; it ends with the process.
        std::thread::spawn(move || {
            let mut server = Server::new(handler);
            // Each connection occupies a thread, even if idle.
            server.with_name("mail.example").with_num_threads(32).with_tcp_listener(listener);
            let _ = server.serve();
        });
    }

    /// The value for `--smtp-url`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.addr)
    }

    /// Sets the response codes for the next mails.
    pub fn answer(&self, codes: &[u16]) {
        self.state.answers.lock().unwrap_or_else(PoisonError::into_inner).extend(codes);
    }

    /// Refuses a recipient from now on, with a code and a text that may begin with an enhanced code.
    pub fn refuse(&self, address: &str, code: u16, text: &str) {
        let response = (code, format!("{text} secret words about {address}"));
        self.state.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(address.to_owned(), response);
    }

    /// Accepts all recipients again.
    pub fn accept_all(&self) {
        self.state.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Does not answer from now on for addresses that begin with this.
    pub fn be_silent_for(&self, begin: &str) {
        *self.state.silent_for.lock().unwrap_or_else(PoisonError::into_inner) = Some(begin.to_owned());
    }

    /// How many recipients it refused so far.
    pub fn refusals(&self) -> usize {
        *self.state.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every mail so far, with its response code.
    pub fn seen(&self) -> Vec<(u16, Mail)> {
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this many mails were sent to it.
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

    fn rcpt(&mut self, to: &str) -> Response {
        let silent_for = self.state.silent_for.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if silent_for.is_some_and(|begin| to.starts_with(&begin)) {
            // Longer than a delivery may take.
            std::thread::sleep(Duration::from_secs(40));
        }
        let refused = self.state.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((code, text)) = refused.get(to) else { return response::OK };
        *self.state.refusals.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        let mut answer = Response::custom(*code, text.clone());
        answer.action = Action::Close;
        answer
    }

    fn data(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let code = self.state.answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front().unwrap_or(250);
        let mail = parse(&self.bytes);
        // A mail server's text may contain personal data, which must not appear anywhere.
        let text = format!("secret words about {}", mail.to);
        self.state.seen.lock().unwrap_or_else(PoisonError::into_inner).push((code, mail));
        let mut answer = Response::custom(code, text);
        // After a rejection mailin reads on and does not even answer QUIT, so close the connection.
        if answer.is_error {
            answer.action = Action::Close;
        }
        answer
    }
}
