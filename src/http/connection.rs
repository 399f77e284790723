//! Wraps a connection with read and write deadlines, because actix-web only limits the first request head and the
//! keep-alive pause. It has no limits for later heads, for bodies, and for clients that do not read responses.
//!
//! Every read and write of the framework passes through the wrapped socket. It fails when the client is too slow, or
//! when the connection is closed to make room for another ([`super::connections`]). The middleware reports what the
//! connection is doing through [`Progress`].

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

use super::connections::{ConnectionPlace, Waiting};

/// The limit for a request's head. The framework responds 408 after it. A head is a packet or two.
pub const HEAD_LIMIT: Duration = Duration::from_secs(9);
/// The same limit for heads that the framework does not limit, with a margin for those that it does.
const LATER_HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The limit for a request's body; 408 after it. A body has at most 64 KiB, so 6 KiB/s is enough.
pub const BODY_TIME_LIMIT: Duration = Duration::from_secs(11);
/// How long the framework reads on after it rejected a body, so that the client can read the response.
pub const LINGER: Duration = Duration::from_secs(3);
/// The limit for a body that no handler reads, which the framework would read forever.
const UNREAD_BODY_LIMIT: Duration = Duration::from_secs(15);
/// How long a client may stop reading a response, and the minimum speed beyond that in bytes a second. A slow mobile
/// connection is four times as fast.
const MAX_READ_PAUSE: Duration = Duration::from_secs(20);
const MIN_READ_SPEED: u32 = 8 * 1024;
/// How much of a response the kernel buffers. Without a limit it would be megabytes for each slow client.
const SEND_BUFFER: usize = 128 * 1024;
/// After this time without any acknowledgement the kernel drops a connection, even one that the server has closed.
#[cfg(target_os = "linux")]
const ACKNOWLEDGEMENT_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Between two requests.
    Idle,
    /// A request's head is arriving.
    Head(Instant),
    /// The head has arrived, the body has not.
    Body(Instant),
    /// The request has arrived, and the server works on it.
    Work,
    /// The response is being written.
    Response,
}

/// What a connection is doing.
pub struct Progress {
    stage: Cell<Stage>,
    waiting: Arc<Waiting>,
}

impl Progress {
    fn new(waiting: Arc<Waiting>) -> Self {
        Self { stage: Cell::new(Stage::Idle), waiting }
    }

    /// Call it when a request's head has arrived, with whether a body follows.
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

    /// Call it when the handler is done. A body that it did not read is still due.
    pub fn answered(&self) {
        if self.stage.get() == Stage::Work {
            self.stage.set(Stage::Response);
        }
    }

    /// Call it when the client has read everything that was written. `late` tells whether the server had to wait for
    /// that.
    fn taken(&self, late: bool) {
        match self.stage.get() {
            Stage::Response => {
                self.stage.set(Stage::Idle);
                self.waiting.wait_since(Instant::now());
            }
            Stage::Work if late => self.waiting.work(),
            Stage::Work | Stage::Idle | Stage::Head(_) | Stage::Body(_) => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.stage.get() {
            Stage::Head(since) => Some(since + LATER_HEAD_LIMIT),
            Stage::Body(since) => Some(since + UNREAD_BODY_LIMIT),
            Stage::Idle | Stage::Work | Stage::Response => None,
        }
    }
}

/// A response that the client does not read.
struct Stall {
    since: Instant,
    /// How many bytes it has read nevertheless.
    taken: u64,
}

impl Stall {
    /// Returns when it began. Later than `since` for a client that reads faster than the minimum speed.
    fn began(&self) -> Instant {
        self.since + Duration::from_millis(self.taken * 1000 / u64::from(MIN_READ_SPEED))
    }

    fn deadline(&self) -> Instant {
        self.began() + MAX_READ_PAUSE
    }
}

/// A socket that fails when the client is too slow, or when it must make room.
pub struct LimitedSocket {
    io: TcpStream,
    progress: Rc<Progress>,
    /// Held until the socket is closed.
    _place: ConnectionPlace,
    timer: Pin<Box<Sleep>>,
    stall: Option<Stall>,
}

impl LimitedSocket {
    /// Wraps a new connection.
    pub fn new(io: TcpStream, place: ConnectionPlace) -> Self {
        let socket = socket2::SockRef::from(&io);
        // If the system rejects an option, the deadlines above still apply.
        let _ = socket.set_send_buffer_size(SEND_BUFFER);
        let _ = socket.set_tcp_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket.set_tcp_user_timeout(Some(ACKNOWLEDGEMENT_LIMIT));
        let progress = Rc::new(Progress::new(place.waiting()));
        Self { io, progress, _place: place, timer: Box::pin(sleep_until(Instant::now())), stall: None }
    }

    /// Returns the progress for the requests of this connection.
    pub fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    /// Fails if a deadline has passed or the connection must make room. Otherwise wakes the task when that happens.
    fn watch(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.progress.waiting.is_closed(cx.waker()) {
            return Err(self.fail(io::ErrorKind::ConnectionAborted, "closed to make room for another connection"));
        }
        let stall = self.stall.as_ref().map(Stall::deadline);
        let Some(deadline) = self.progress.deadline().into_iter().chain(stall).min() else { return Ok(()) };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        match self.timer.as_mut().poll(cx) {
            Poll::Ready(()) => Err(self.fail(io::ErrorKind::TimedOut, "the client is too slow")),
            Poll::Pending => Ok(()),
        }
    }

    fn fail(&self, kind: io::ErrorKind, why: &'static str) -> io::Error {
        // Otherwise the kernel would continue to send what it has buffered. A response that was written completely is
        // still delivered.
        if self.stall.is_some() || kind == io::ErrorKind::TimedOut {
            let _ = socket2::SockRef::from(&self.io).set_linger(Some(Duration::ZERO));
        }
        io::Error::new(kind, why)
    }
}

impl AsyncRead for LimitedSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buf)?;
        if read.is_ready() && buf.filled().len() > before && self.progress.stage.get() == Stage::Idle {
            // Its waiting time continues since the last response, so a client that sends a byte now and then does not
            // look busy.
            self.progress.stage.set(Stage::Head(Instant::now()));
        }
        self.watch(cx)?;
        read.map(Ok)
    }
}

impl AsyncWrite for LimitedSocket {
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

/// Wraps the body of a request, so that it fails if it does not arrive in time.
pub fn with_time_limit(payload: Payload, progress: Option<Rc<Progress>>) -> Payload {
    if matches!(payload, Payload::None) {
        return payload;
    }
    Payload::Stream { payload: Box::pin(LimitedBody { payload, progress, expires: Box::pin(sleep(BODY_TIME_LIMIT)) }) }
}

struct LimitedBody {
    payload: Payload,
    progress: Option<Rc<Progress>>,
    expires: Pin<Box<Sleep>>,
}

impl Stream for LimitedBody {
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
