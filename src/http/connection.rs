//! Wraps a connection with read and write deadlines, because actix-web only limits the first request head and the
//! keep-alive pause. It has no limits for later heads, for bodies, and for clients that do not read responses.
//!
//! Every read and write of the framework passes through the wrapped socket. It fails when the client is too slow, or
//! when the connection is closed to make room for another ([`super::connections`]). The middleware reports what the
//! connection is doing through [`Progress`].
//!
//! The framework decodes all requests that it has read, however many, and needs some 6 KB for each. So the socket gives
//! it a few requests at a time, and nothing while one is unanswered or its response is unread. What the client sends
//! meanwhile stays in the kernel, whose buffer slows the client down.

use std::cell::Cell;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_http::error::PayloadError;
use actix_web::dev::Payload;
use actix_web::rt::net::TcpStream;
use actix_web::web::{Bytes, BytesMut};
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
/// The most requests that the framework gets at once. It reads all that it gets and keeps their responses, so this bounds its memory.
const MAX_HEADS: usize = 8;
/// How much of what a client has sent is read and dropped when the connection is closed.
const MAX_UNREAD: usize = 128 * 1024;
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
    /// The request is answered, but the handler has not read the body. The framework discards the rest.
    Discard(Instant),
    /// The request has arrived, and the server works on it.
    Work,
    /// The response is being written.
    Response,
}

/// What a connection is doing.
pub struct Progress {
    stage: Cell<Stage>,
    waiting: Arc<Waiting>,
    /// Whether the handler waits for more of the body.
    wants_body: Cell<bool>,
    /// Whether the response is a stream without an end. Its connection is at work, however quiet it is.
    streams: Cell<bool>,
}

impl Progress {
    fn new(waiting: Arc<Waiting>) -> Self {
        Self { stage: Cell::new(Stage::Idle), waiting, wants_body: Cell::new(false), streams: Cell::new(false) }
    }

    /// Call it when a request's head has arrived, with whether a body follows.
    pub fn head_read(&self, has_body: bool) {
        if has_body {
            let now = Instant::now();
            self.stage.set(Stage::Body(now));
            // The framework can keep the connection after a short body that no handler reads.
            self.wants_body.set(true);
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
        match self.stage.get() {
            Stage::Work if self.streams.get() => {}
            Stage::Work => self.stage.set(Stage::Response),
            Stage::Body(since) => self.stage.set(Stage::Discard(since)),
            Stage::Idle | Stage::Head(_) | Stage::Discard(_) | Stage::Response => {}
        }
    }

    /// Marks the response of the request in progress as a stream, until the returned value is dropped.
    pub fn stream(self: Rc<Self>) -> Streaming {
        self.streams.set(true);
        Streaming(self)
    }

    /// Returns whether the framework can need more of what the client sends.
    fn can_read(&self) -> bool {
        match self.stage.get() {
            Stage::Idle | Stage::Head(_) | Stage::Discard(_) => true,
            Stage::Body(_) => self.wants_body.get(),
            Stage::Work | Stage::Response => false,
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
            Stage::Work | Stage::Idle | Stage::Head(_) | Stage::Body(_) | Stage::Discard(_) => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.stage.get() {
            Stage::Head(since) => Some(since + LATER_HEAD_LIMIT),
            Stage::Body(since) | Stage::Discard(since) => Some(since + UNREAD_BODY_LIMIT),
            Stage::Idle | Stage::Work | Stage::Response => None,
        }
    }
}

/// A response without an end. Keep it as long as the response is written.
pub struct Streaming(Rc<Progress>);

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.streams.set(false);
        self.0.answered();
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
    /// Whether the framework has yet to decode what it has read.
    has_undecoded: bool,
    /// What was read together with requests before it. At most one read of the framework, which is 8 KiB.
    rest: BytesMut,
    /// The task of the connection, if the client has sent something that the framework does not get yet.
    held: Option<Waker>,
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
        let timer = Box::pin(sleep_until(Instant::now()));
        Self {
            io,
            progress,
            _place: place,
            timer,
            stall: None,
            has_undecoded: false,
            rest: BytesMut::new(),
            held: None,
        }
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

    fn can_read(&self) -> bool {
        self.stall.is_none() && self.progress.can_read()
    }

    /// Reads no more than [`MAX_HEADS`] requests, and keeps what follows them for the next time.
    fn poll_piece(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.rest.is_empty() {
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        } else {
            let next = self.rest.len().min(buf.remaining());
            buf.put_slice(&self.rest.split_to(next));
        }
        let read = buf.filled().get(before..).unwrap_or_default();
        let piece = end_of_heads(read);
        if let Some(rest) = read.get(piece..).filter(|rest| !rest.is_empty()) {
            let mut all = BytesMut::from(rest);
            all.extend_from_slice(&self.rest);
            self.rest = all;
            buf.set_filled(before + piece);
        }
        if piece > 0 {
            self.has_undecoded = true;
            self.progress.wants_body.set(false);
            if self.progress.stage.get() == Stage::Idle {
                // Its waiting time continues since the last response, so a client that sends a byte now and then does
                // not look busy.
                self.progress.stage.set(Stage::Head(Instant::now()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the end of the connection only, which is all that the framework needs to know for now.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() && ready!(self.io.poll_peek(cx, &mut ReadBuf::new(&mut [0])))? == 0 {
            return Poll::Ready(Ok(()));
        }
        self.held = Some(cx.waker().clone());
        Poll::Pending
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

/// Returns the end of the [`MAX_HEADS`]th empty line, or of the bytes. A head ends with an empty line; those of a body count too, which
/// only makes the piece shorter.
fn end_of_heads(bytes: &[u8]) -> usize {
    let mut line = 0;
    let ends = bytes.iter().enumerate().filter_map(|(at, byte)| (*byte == b'\n').then_some(at + 1));
    let empty = ends.filter(|end| {
        let length = end - mem::replace(&mut line, *end);
        // A line end of one byte is as good for the framework.
        length == 1 || (length == 2 && bytes.get(end - 2) == Some(&b'\r'))
    });
    empty.into_iter().nth(MAX_HEADS - 1).unwrap_or(bytes.len())
}

impl AsyncRead for LimitedSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // The framework reads until nothing comes, and decodes then.
        let has_undecoded = mem::take(&mut self.has_undecoded);
        let read = if has_undecoded || !self.can_read() { self.poll_end(cx)? } else { self.poll_piece(cx, buf)? };
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

    /// The framework flushes when the socket has taken all that it has to write. It has decoded and answered what it can
    /// before.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let late = self.stall.take().is_some();
        self.progress.taken(late);
        if self.can_read()
            && let Some(task) = self.held.take()
        {
            task.wake();
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        // The kernel resets a connection that is closed with unread data, and the client could lose the response.
        let mut unread = [0; 4096];
        for _ in 0..MAX_UNREAD / unread.len() {
            if !matches!(self.io.try_read(&mut unread), Ok(1..)) {
                break;
            }
        }
        Poll::Ready(Ok(()))
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
            Poll::Pending => {
                if let Some(progress) = &self.progress {
                    progress.wants_body.set(true);
                }
                next
            }
            Poll::Ready(_) => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::super::connections::Connections;
    use super::*;

    /// A client, and the server's end of its connection.
    async fn connection() -> (TcpStream, LimitedSocket) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (io, peer) = listener.accept().await.expect("accepted");
        let place = Connections::new(9, 9, None, Arc::default()).admit(Some(peer.ip())).expect("room");
        (client, LimitedSocket::new(io, place))
    }

    /// Reads like the framework: until nothing comes. Returns how much there was, or none at the end of the connection.
    async fn read(socket: &mut LimitedSocket) -> Option<usize> {
        // So that everything sent has arrived.
        if socket.rest.is_empty() {
            socket.io.readable().await.expect("readable");
        }
        let mut space = [0; 8192];
        let mut buf = ReadBuf::new(&mut space);
        poll_fn(|cx| {
            loop {
                let before = buf.filled().len();
                match Pin::new(&mut *socket).poll_read(cx, &mut buf) {
                    Poll::Pending => return Poll::Ready(Some(buf.filled().len())),
                    Poll::Ready(result) => result.expect("read"),
                }
                if buf.filled().len() == before {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }

    async fn flush(socket: &mut LimitedSocket) {
        poll_fn(|cx| Pin::new(&mut *socket).poll_flush(cx)).await.expect("flushed");
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const PIECE: Option<usize> = Some(MAX_HEADS * REQUEST.len());

    #[actix_web::test]
    async fn the_framework_reads_a_piece_at_a_time_and_none_while_it_has_a_request() {
        let (mut client, mut socket) = connection().await;
        client.write_all(&REQUEST.repeat(10 * MAX_HEADS)).await.expect("sent");
        // The framework has not decoded the requests yet.
        for _ in 0..3 {
            assert_eq!(read(&mut socket).await, PIECE);
            flush(&mut socket).await;
            assert!(socket.held.is_none(), "it continues at once");
        }
        let progress = socket.progress();
        progress.head_read(false);
        for _ in 0..3 {
            assert_eq!(read(&mut socket).await, Some(0));
            flush(&mut socket).await;
            assert!(socket.held.is_some());
        }
        progress.answered();
        flush(&mut socket).await;
        assert!(socket.held.is_none(), "it continues after the response");
        assert_eq!(read(&mut socket).await, PIECE);
        // A response that the client does not read.
        socket.stall = Some(Stall { since: Instant::now(), taken: 0 });
        assert_eq!(read(&mut socket).await, Some(0));
        flush(&mut socket).await;
        assert_eq!(read(&mut socket).await, PIECE);
    }

    #[actix_web::test]
    async fn the_framework_reads_the_next_piece_of_a_body_when_the_handler_waits_for_it() {
        let (mut client, mut socket) = connection().await;
        client.write_all(&b"{}\r\n\r\n".repeat(10 * MAX_HEADS)).await.expect("sent");
        let progress = socket.progress();
        progress.head_read(true);
        let pending: Pin<Box<dyn Stream<Item = _>>> = Box::pin(futures_util::stream::pending());
        let payload = Payload::Stream { payload: pending };
        let mut body = with_time_limit(payload, Some(Rc::clone(&progress)));
        for _ in 0..3 {
            assert_eq!(read(&mut socket).await, Some(MAX_HEADS * 6));
            assert_eq!(read(&mut socket).await, Some(0));
            let mut task = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut body).poll_next(&mut task).is_pending());
            flush(&mut socket).await;
            assert!(socket.held.is_none(), "it continues at once");
        }
        // A body that no handler reads is discarded after the response.
        assert_eq!(read(&mut socket).await, Some(MAX_HEADS * 6));
        assert_eq!(read(&mut socket).await, Some(0));
        progress.answered();
        for _ in 0..3 {
            assert_eq!(read(&mut socket).await, Some(MAX_HEADS * 6));
        }
    }

    #[test]
    fn a_piece_ends_after_a_number_of_empty_lines_however_lines_end() {
        let plenty = 3 * MAX_HEADS;
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\nhost: a\n\r\n",
        ] {
            assert_eq!(end_of_heads(head.repeat(plenty).as_bytes()), MAX_HEADS * head.len(), "{head:?}");
            assert_eq!(end_of_heads(head.as_bytes()), head.len());
        }
        let body = "a line\r\n".repeat(plenty);
        assert_eq!(end_of_heads(body.as_bytes()), body.len());
    }

    #[actix_web::test]
    async fn the_end_of_a_connection_is_noticed_while_it_has_a_request() {
        let (mut client, mut socket) = connection().await;
        client.write_all(b"a").await.expect("sent");
        assert_eq!(read(&mut socket).await, Some(1));
        socket.progress().head_read(false);
        client.shutdown().await.expect("shut down");
        assert_eq!(read(&mut socket).await, None);
    }
}
