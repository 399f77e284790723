//! A proxy in front of PostgreSQL that records what its clients send.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::site::Site;

/// What a client sent before it waited for the response: one round trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A statement to prepare.
    Prepare(String),
    /// A statement to run, prepared or not.
    Run(String),
}

impl Sent {
    /// Returns whether it runs a statement that begins like this.
    pub fn runs(&self, start: &str) -> bool {
        matches!(self, Self::Run(sql) if sql.starts_with(start))
    }
}

type Connections = Arc<Mutex<Vec<Vec<Sent>>>>;

/// The proxy. Runs until the test process ends.
pub struct Wire {
    /// The site's database, through the proxy.
    pub database_url: String,
    connections: Connections,
}

impl Wire {
    /// Starts a proxy in front of a site's server.
    pub fn tap(site: &Site) -> Self {
        let (start, rest) = site.database_url.split_once("127.0.0.1:").expect("a local server");
        let (port, database) = rest.split_once('/').expect("a database");
        let server = format!("127.0.0.1:{port}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let connections = Connections::default();
        let shared = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&server) else { return };
                connect(client, server, &shared);
            }
        });
        // Encryption would hide the messages.
        let database_url = format!("{start}{address}/{database}?sslmode=disable&gssencmode=disable");
        Self { database_url, connections }
    }

    /// The transactions that were committed since the last call, each from `BEGIN` to `COMMIT`.
    pub fn take_transactions(&self) -> Vec<Vec<Sent>> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let mut committed = Vec::new();
        for sent in connections.iter_mut().map(std::mem::take) {
            for part in sent.split_inclusive(|sent| sent.runs("COMMIT")) {
                if let Some(begin) = part.iter().rposition(|sent| sent.runs("BEGIN")) {
                    committed.push(part[begin..].to_vec());
                }
            }
        }
        committed
    }
}

/// Copies both directions of a connection, and records the client's.
fn connect(client: TcpStream, server: TcpStream, connections: &Connections) {
    let number = {
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(Vec::new());
        connections.len() - 1
    };
    for socket in [&client, &server] {
        socket.set_nodelay(true).expect("send at once");
    }
    let (mut answers, mut back) = (server.try_clone().expect("a socket"), client.try_clone().expect("a socket"));
    thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let connections = Arc::clone(connections);
    thread::spawn(move || {
        let _ = forward(client, &server, &mut |sent| {
            connections.lock().unwrap_or_else(PoisonError::into_inner)[number].push(sent);
        });
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// Copies the client's messages: after the first one, which has no type, a byte for the type and the length with itself.
fn forward(client: TcpStream, mut server: &TcpStream, record: &mut dyn FnMut(Sent)) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut statements = HashMap::new();
    let mut is_first = true;
    loop {
        let mut message = vec![0; if is_first { 4 } else { 5 }];
        client.read_exact(&mut message)?;
        let header = message.len();
        let length = message[header - 4..].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        message.resize(header + length - 4, 0);
        client.read_exact(&mut message[header..])?;
        if !is_first {
            let texts: Vec<_> = message[header..]
                .split(|byte| *byte == 0)
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect();
            match (message[0], texts.as_slice()) {
                (b'Q', [sql, ..]) => record(Sent::Run(sql.clone())),
                (b'P', [name, sql, ..]) => {
                    statements.insert(name.clone(), sql.clone());
                    record(Sent::Prepare(sql.clone()));
                }
                (b'B', [_, name, ..]) => record(Sent::Run(statements.get(name).cloned().unwrap_or_default())),
                _ => {}
            }
        }
        is_first = false;
        server.write_all(&message)?;
    }
}
