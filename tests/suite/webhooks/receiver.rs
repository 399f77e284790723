//! A receiver of webhooks on a free port of this machine, which accepts, fails and lies as the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use standardwebhooks::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::eventually;

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The request line.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub text: String,
    pub body: Value,
    /// Whether it was answered with 2xx.
    pub accepted: bool,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// `webhook-id`.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The number of the event.
    pub fn seq(&self) -> i64 {
        self.body["data"]["seq"].as_i64().unwrap_or_default()
    }

    /// Whether one of the signatures is that of the secret, by an implementation that is not ours.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let timestamp = self.header("webhook-timestamp").parse().expect("seconds");
        let expected = Webhook::new(secret).expect("a secret").sign(self.id(), timestamp, self.text.as_bytes());
        let expected = expected.expect("a signature");
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}

/// How a receiver answers.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    /// 302 to this URL.
    Redirect(String),
    /// Closes the connection without a response.
    Close,
    /// Never responds.
    Hang,
    /// 200 with a body that never ends.
    EndlessBody,
    /// Headers that never end.
    EndlessHead,
    /// Headers a byte at a time.
    SlowHead,
    /// No HTTP.
    Nonsense,
}

type Script = Box<dyn FnMut(&Received) -> Answer + Send>;

/// A receiver. It stops when it is dropped.
pub struct Receiver {
    pub url: String,
    seen: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    /// Accepts everything.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook/secret-path?tenant=1", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(|_: &Received| Answer::Status(204))));
        let (all, told) = (Arc::clone(&seen), Arc::clone(&script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (all, told) = (Arc::clone(&all), Arc::clone(&told));
                tokio::spawn(async move {
                    // An error is a client that has gone away.
                    let _ = serve(stream, &all, &told).await;
                });
            }
        });
        Self { url, seen, script, task }
    }

    /// From now on answers as this says.
    pub fn answer(&self, script: impl FnMut(&Received) -> Answer + Send + 'static) {
        *locked(&self.script) = Box::new(script);
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Received> {
        locked(&self.seen).clone()
    }

    /// The requests that it accepted.
    pub fn accepted(&self) -> Vec<Received> {
        self.seen().into_iter().filter(|request| request.accepted).collect()
    }

    /// Waits until this many requests have arrived.
    pub async fn until_seen(&self, count: usize) -> Vec<Received> {
        eventually(async || match self.seen() {
            seen if seen.len() >= count => Ok(seen),
            seen => Err(format!("{} of {count} requests", seen.len())),
        })
        .await
    }

    /// Waits until it has accepted the event with this number.
    pub async fn until_accepted(&self, seq: i64) -> Vec<Received> {
        eventually(async || match self.accepted() {
            seen if seen.iter().any(|request| request.seq() == seq) => Ok(seen),
            seen => Err(format!("not {seq} among {:?}", numbers(&seen))),
        })
        .await
    }
}

/// The numbers of the events.
pub fn numbers(requests: &[Received]) -> Vec<i64> {
    requests.iter().map(Received::seq).collect()
}

async fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Received>>, script: &Mutex<Script>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut received = loop {
        if let Some(received) = parse(&bytes) {
            break received;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    };
    let answer = (locked(script))(&received);
    received.accepted = matches!(answer, Answer::Status(200..300) | Answer::EndlessBody);
    locked(seen).push(received);
    match answer {
        Answer::Status(status) => {
            stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).await
        }
        Answer::Redirect(to) => {
            let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        Answer::Close => Ok(()),
        Answer::Hang => std::future::pending().await,
        Answer::Nonsense => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await,
        Answer::EndlessBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            endless(&mut stream, &[b'x'; 4096], Duration::ZERO).await
        }
        Answer::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            endless(&mut stream, format!("X-Long: {}\r\n", "x".repeat(1000)).as_bytes(), Duration::ZERO).await
        }
        Answer::SlowHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await?;
            endless(&mut stream, b"x", Duration::from_millis(100)).await
        }
    }
}

async fn endless(stream: &mut TcpStream, part: &[u8], pause: Duration) -> std::io::Result<()> {
    loop {
        stream.write_all(part).await?;
        tokio::time::sleep(pause).await;
    }
}

/// Reads a request. None if some of it has not arrived yet.
fn parse(bytes: &[u8]) -> Option<Received> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let (line, rest) = head.split_once("\r\n")?;
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<_, _> = rest.split("\r\n").filter_map(header).collect();
    let length: usize = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    (body.len() >= length).then(|| Received {
        line: line.to_owned(),
        headers,
        text: body.to_owned(),
        body: serde_json::from_str(body).unwrap_or_default(),
        accepted: false,
    })
}
