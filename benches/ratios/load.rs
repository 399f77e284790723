//! The load: some clients, each on a connection of its own that stays open, each with one request under way.

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

/// How long after its time a load may last.
const GRACE: Duration = Duration::from_secs(20);

/// What came of a load.
pub struct Tally {
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Of each request that was answered as expected, shortest first; there are no others.
    pub latencies: Vec<Duration>,
}

/// Sends one request, and gives the body of the answer.
///
/// # Errors
/// Where the answer has another status than `expected`.
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

/// Sends what `next` gives for 0, 1, 2 … until it gives nothing or the time is over, and waits for the last answers.
///
/// # Errors
/// Where an answer has another status than `expected`.
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
