//! A connection with deadlines. actix-web has one for the head of a connection's first request and one between requests;
//! it has none for later heads, for bodies, and for answers that nobody reads.
//!
//! The socket is wrapped: every read and write of the framework passes here and fails once the client is too slow, or once
//! the connection is closed to make room for another ([`super::connections`]). What the connection is at, the middleware
//! knows, and tells by way of [`Progress`].

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_web::dev::Payload;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::connections::{Place, Waiting};

/// A request's head is there after this time; the framework then answers 408. A head is a packet or two.
pub const HEAD: Duration = Duration::from_secs(9);
/// The same for the heads of which the framework takes no care, with room for those of which it does.
const LATER_HEAD: Duration = Duration::from_secs(10);
/// A body is there after this time, else 408. It has 64 KiB at most: 5 KiB/s will do.
pub const BODY: Duration = Duration::from_secs(11);
/// How long the framework waits for the rest of a body that it refused, so that the client can read why.
pub const LINGER: Duration = Duration::from_secs(3);
/// The same for a body that no handler reads, which the framework may take for ever.
const UNWANTED_BODY: Duration = Duration::from_secs(15);
/// How long a client may stop reading an answer, and how fast it must read at least beyond that, in bytes a second: a slow
/// phone's line is four times as fast.
const READING: Duration = Duration::from_secs(20);
const READING_PACE: u32 = 8 * 1024;
/// What the kernel takes of an answer ahead of the client. Without a bound it would be megabytes for each slow reader.
const SEND_BUFFER: usize = 128 * 1024;
/// After this time without any acknowledgement the kernel gives a connection up, also one that we have closed already.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Between requests.
    Idle,
    /// A request has begun to arrive.
    Head(Instant),
    /// Its head is there, its body is not.
    Body(Instant),
    /// It is all there, and worked on.
    Work,
    /// The answer is being written.
    Answer,
}

/// What a connection is at.
pub struct Progress {
    stage: Cell<Stage>,
    waiting: Arc<Waiting>,
}

impl Progress {
    fn new(waiting: Arc<Waiting>) -> Self {
        Self { stage: Cell::new(Stage::Idle), waiting }
    }

    /// A request's head is there; whether a body follows.
    pub fn head_read(&self, has_body: bool) {
        if has_body {
            let now = Instant::now();
            self.stage.set(Stage::Body(now));
            self.waiting.wait_since(now);
        } else {
            self.body_read();
        }
    }

    fn body_read(&self) {
        self.stage.set(Stage::Work);
        self.waiting.work();
    }

    /// The handler is done. A body that it did not read stays due.
    pub fn answered(&self) {
        if self.stage.get() == Stage::Work {
            self.stage.set(Stage::Answer);
        }
    }

    /// The client has taken all that there was to write; whether it let the server wait for that.
    fn taken(&self, late: bool) {
        match self.stage.get() {
            Stage::Answer => {
                self.stage.set(Stage::Idle);
                self.waiting.wait_since(Instant::now());
            }
            Stage::Work if late => self.waiting.work(),
            Stage::Work | Stage::Idle | Stage::Head(_) | Stage::Body(_) => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.stage.get() {
            Stage::Head(since) => Some(since + LATER_HEAD),
            Stage::Body(since) => Some(since + UNWANTED_BODY),
            Stage::Idle | Stage::Work | Stage::Answer => None,
        }
    }
}

/// An answer that the client does not take.
struct Stall {
    since: Instant,
    /// What it has taken nevertheless, in bytes.
    taken: u64,
}

impl Stall {
    /// When it began, for a client that has read at the least pace since; later for one that reads faster.
    fn began(&self) -> Instant {
        self.since + Duration::from_millis(self.taken * 1000 / u64::from(READING_PACE))
    }

    fn deadline(&self) -> Instant {
        self.began() + READING
    }
}

/// A socket that fails once its client is too slow, or once it has to make room.
pub struct Guarded {
    io: TcpStream,
    progress: Rc<Progress>,
    /// Held until the socket is closed.
    _place: Place,
    alarm: Pin<Box<Sleep>>,
    stall: Option<Stall>,
}

impl Guarded {
    /// Takes a fresh connection.
    pub fn new(io: TcpStream, place: Place) -> Self {
        let socket = socket2::SockRef::from(&io);
        // Whichever of them the system refuses, the deadlines above still hold.
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
        let _ = socket.set_tcp_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        let progress = Rc::new(Progress::new(place.waiting()));
        Self { io, progress, _place: place, alarm: Box::pin(sleep_until(Instant::now())), stall: None }
    }

    /// For the requests that will come over this connection.
    pub fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    /// Fails once a deadline has passed or the connection has to make room, else wakes the task when that happens.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.progress.waiting.is_closed(cx.waker()) {
            return Err(self.give_up(io::ErrorKind::ConnectionAborted, "closed to make room for another"));
        }
        let stall = self.stall.as_ref().map(Stall::deadline);
        let Some(deadline) = self.progress.deadline().into_iter().chain(stall).min() else { return Ok(()) };
        if self.alarm.deadline() != deadline {
            self.alarm.as_mut().reset(deadline);
        }
        match self.alarm.as_mut().poll(cx) {
            Poll::Ready(()) => Err(self.give_up(io::ErrorKind::TimedOut, "the client is too slow")),
            Poll::Pending => Ok(()),
        }
    }

    fn give_up(&self, kind: io::ErrorKind, why: &'static str) -> io::Error {
        // Otherwise the kernel would go on serving what it holds. An answer that was written whole is still delivered.
        if self.stall.is_some() || kind == io::ErrorKind::TimedOut {
            let _ = socket2::SockRef::from(&self.io).set_linger(Some(Duration::ZERO));
        }
        io::Error::new(kind, why)
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf)?;
        if read.is_ready() && buf.filled().len() > before && self.progress.stage.get() == Stage::Idle {
            // It goes on waiting since the answer before: who sends a byte now and then does not look busy.
            self.progress.stage.set(Stage::Head(Instant::now()));
        }
        self.watch(cx)?;
        read.map(Ok)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes)?;
        match (written, &mut self.stall) {
            (Poll::Ready(count), Some(stall)) => stall.taken += count as u64,
            (Poll::Pending, stall @ None) => *stall = Some(Stall { since: Instant::now(), taken: 0 }),
            (Poll::Ready(_), None) | (Poll::Pending, Some(_)) => {}
        }
        if let Some(stall) = &self.stall {
            self.progress.waiting.wait_since(stall.began());
        }
        self.watch(cx)?;
        written.map(Ok)
    }

    /// The framework flushes when the socket has taken all that it has to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let late = self.stall.take().is_some();
        self.progress.taken(late);
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The body of a request, which fails if it is not there in time.
pub fn timely(payload: Payload, progress: Option<Rc<Progress>>) -> Payload {
    if matches!(payload, Payload::None) {
        return payload;
    }
    Payload::Stream { payload: Box::pin(Timely { payload, progress, expires: Box::pin(sleep(BODY)) }) }
}

struct Timely {
    payload: Payload,
    progress: Option<Rc<Progress>>,
    expires: Pin<Box<Sleep>>,
}

impl Stream for Timely {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.payload).poll_next(cx);
        match next {
            Poll::Ready(None) => {
                if let Some(progress) = &self.progress {
                    progress.body_read();
                }
                next
            }
            Poll::Pending if self.expires.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))))
            }
            _ => next,
        }
    }
}
