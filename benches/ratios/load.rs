//! The load: several clients, each with its own open connection and one request at a time.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Outcome;
use crate::child::Child;
use crate::clinic::Prepared;

type Sender = http1::SendRequest<Full<Bytes>>;

/// The maximum time of a load after its planned end.
const GRACE: Duration = Duration::from_secs(20);

/// The result of a load.
pub struct Tally {
    /// From the first request to the last response.
    pub seconds: f64,
    /// The latency of each request, shortest first; every request succeeded.
    pub latencies: Vec<Duration>,
}

/// Sends one request and returns the body of the response.
///
/// # Errors
/// If the response has another status than `expected`.
pub async fn once(side: &Child, request: Prepared, expected: StatusCode) -> Outcome<String> {
    let mut sender = connect(side).await?;
    ask(&mut sender, request, expected).await
}

async fn connect(side: &Child) -> Outcome<Sender> {
    let stream = TcpStream::connect(side.address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(sender: &mut Sender, request: Prepared, expected: StatusCode) -> Outcome<String> {
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = String::from_utf8(answer.into_body().collect().await?.to_bytes().into())?;
    if status == expected { Ok(body) } else { Err(format!("{status}: {body}").into()) }
}

/// Sends the requests of `next` for 0, 1, 2 … until it returns `None` or the time is over. Waits for the last responses.
///
/// # Errors
/// If a response has another status than `expected`.
pub async fn drive(
    side: &Child,
    clients: usize,
    time: Duration,
    expected: StatusCode,
    next: impl Fn(usize) -> Option<Prepared>,
) -> Outcome<Tally> {
    let (turn, latencies) = (Cell::new(0), RefCell::new(Vec::new()));
    let senders = try_join_all((0..clients).map(|_| connect(side))).await?;
    let started = Instant::now();
    let clients = senders.into_iter().map(|mut sender| {
        let (turn, latencies, next) = (&turn, &latencies, &next);
        async move {
            while started.elapsed() < time
                && let Some(request) = next(turn.replace(turn.get() + 1))
            {
                let sent = Instant::now();
                ask(&mut sender, request, expected).await?;
                latencies.borrow_mut().push(sent.elapsed());
            }
            Outcome::Ok(())
        }
    });
    timeout(time + GRACE, try_join_all(clients)).await??;
    let seconds = started.elapsed().as_secs_f64();
    let mut latencies = latencies.into_inner();
    latencies.sort_unstable();
    Ok(Tally { seconds, latencies })
}
