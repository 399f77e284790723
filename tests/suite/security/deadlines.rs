//! Row 24: who sends or reads too slowly is cut off, and nobody else notices. Each bound has a second or two of slack for a
//! busy machine; the slow sockets of one test wait side by side. Row 30: a crowd of connections takes no room from others.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::wire::{assert_as_calm, connect, connect_from, connect_narrow, dribble, probe, until_closed};
use crate::support::clinic::{location, visit_type};
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{App, Engine, app, both};

const SLACK: Duration = Duration::from_secs(3);
const SLOWLY: Duration = Duration::from_millis(400);
const REQUEST: &str = "GET /health/live HTTP/1.1\r\nHost: legwork\r\n\r\n";

/// An answer's status, if one was begun.
fn status(said: &str) -> Option<u16> {
    said.rsplit("HTTP/1.1 ").next()?.split(' ').next()?.parse().ok()
}

/// What a slow client sends at once, and what it dribbles.
struct Slow {
    what: &'static str,
    at_once: &'static str,
    dribbled: &'static str,
    /// It is over by then, in seconds.
    within: u64,
    /// The last answer before the end, if there must be one.
    told: Option<u16>,
}

const SLOW: &[Slow] = &[
    Slow { what: "silence", at_once: "", dribbled: "", within: 10, told: Some(408) },
    Slow {
        what: "a dribbled head",
        at_once: "GET /health/live HTTP/1.1\r\nX-Slow: ",
        dribbled: "a",
        within: 10,
        told: Some(408),
    },
    Slow { what: "silence after an answer", at_once: REQUEST, dribbled: "", within: 10, told: Some(200) },
    Slow {
        what: "a dribbled head after an answer",
        at_once: concat!("GET /health/live HTTP/1.1\r\nHost: legwork\r\n\r\n", "GET /health/live HTTP/1.1\r\nX-Slow: "),
        dribbled: "a",
        within: 12,
        told: Some(200),
    },
    Slow {
        what: "a body that stops",
        at_once: "POST /v1/sessions HTTP/1.1\r\nHost: legwork\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        dribbled: "",
        within: 15,
        told: Some(408),
    },
    Slow {
        what: "a dribbled body",
        at_once: "POST /v1/sessions HTTP/1.1\r\nHost: legwork\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        dribbled: " ",
        within: 15,
        told: Some(408),
    },
    Slow {
        what: "a dribbled body in chunks",
        at_once: "POST /v1/sessions HTTP/1.1\r\nHost: legwork\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        dribbled: "1\r\n \r\n",
        within: 15,
        told: Some(408),
    },
    Slow {
        what: "a dribbled body that nobody wants",
        at_once: "POST /nowhere HTTP/1.1\r\nHost: legwork\r\nContent-Length: 1000\r\n\r\n{",
        dribbled: " ",
        within: 15,
        told: Some(404),
    },
    Slow {
        what: "dribbled chunks that nobody wants",
        at_once: "POST /nowhere HTTP/1.1\r\nHost: legwork\r\nTransfer-Encoding: chunked\r\n\r\n",
        dribbled: "1\r\n \r\n",
        within: 15,
        told: Some(404),
    },
];

async fn meet(base: &str, slow: &Slow) {
    let mut socket = connect(base).await;
    let since = Instant::now();
    socket.write_all(slow.at_once.as_bytes()).await.expect("sent");
    let (mut reader, mut writer) = socket.split();
    let dribbling = async {
        if !slow.dribbled.is_empty() {
            dribble(&mut writer, slow.dribbled.as_bytes(), SLOWLY).await;
        }
        std::future::pending::<()>().await;
    };
    let (after, said) = tokio::select! {
        () = dribbling => unreachable!("it never ends"),
        closed = until_closed(&mut reader, since) => closed,
    };
    assert!(after < Duration::from_secs(slow.within) + SLACK, "{} was borne for {after:?}", slow.what);
    assert_eq!(status(&said), slow.told, "{} was told {said}", slow.what);
}

/// Reads a byte now and then until the connection is reset; after how long that is. What has arrived before could be read
/// for an hour yet, so the socket is asked for its error.
async fn read_slowly(base: &str, path: &str) -> Duration {
    let mut socket = connect_narrow(base).await;
    let since = Instant::now();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: legwork\r\n\r\n").as_bytes()).await.expect("sent");
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let ended = !matches!(socket.read(&mut [0; 1]).await, Ok(1..));
        if ended || socket.take_error().expect("a state").is_some() {
            return since.elapsed();
        }
        assert!(since.elapsed() < Duration::from_secs(45), "still served");
    }
}

/// Reads all of a large answer, slower than the time that a reader who stands still has, faster than the pace asked for.
async fn read_on_a_thin_line(base: &str, path: &str) -> usize {
    let mut socket = connect_narrow(base).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: legwork\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("sent");
    let (mut taken, mut buffer, begun) = (0, vec![0; 8 * 1024], Instant::now());
    loop {
        match socket.read(&mut buffer).await.expect("the connection stands") {
            0 => return taken,
            count => taken += count,
        }
        let due = Duration::from_micros(taken as u64 * 1_000_000 / THIN_LINE);
        tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
    }
}

/// Bytes a second.
const THIN_LINE: u64 = 56_000;
/// Larger than what the kernel keeps of an answer.
const LARGE: &str = "/docs/swagger-ui-bundle.js";

/// One test, as all of them wait most of the time: several of each kind at once, against one server.
#[test]
fn row_24_slow_senders_and_readers_are_cut_off_a_thin_line_is_not_and_others_stay_fast() {
    app::run(Engine::Sqlite, async |app: App| {
        let calm = probe(&app, 20).await;
        let whole = app.anon().get(LARGE).await.text.len();
        assert!(whole > 1_000_000, "{whole}");
        let senders = join_all((0..4).flat_map(|_| SLOW).map(|slow| meet(&app.base, slow)));
        let readers = join_all((0..16).map(|_| read_slowly(&app.base, LARGE)));
        let busy = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            probe(&app, 200).await
        };
        let (_, borne, busy, taken) = tokio::join!(senders, readers, busy, read_on_a_thin_line(&app.base, LARGE));
        for after in borne {
            assert!(after < Duration::from_secs(30) + SLACK, "a slow reader was borne for {after:?}");
        }
        assert!(taken > whole, "{taken} of {whole} on a thin line");
        assert_as_calm(calm, busy);
    });
}

/// Connections that do as little as a client can, and open anew a moment after they were closed. They have a thread of their
/// own, and end when this is dropped.
struct Crowd(Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)>);

impl Crowd {
    fn gather(base: &str, addresses: &[String], each: usize) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (base, addresses) = (base.to_owned(), addresses.to_vec());
        let thread = std::thread::spawn(move || {
            app::runtime().block_on(async {
                tokio::select! {
                    () = Self::mill(&base, &addresses, each) => {}
                    _ = stopped => {}
                }
            });
        });
        Self(Some((stop, thread)))
    }

    async fn mill(base: &str, addresses: &[String], each: usize) {
        let slow_head = b"GET /health/live HTTP/1.1\r\nX-Slow: ";
        let unread = format!("GET {LARGE} HTTP/1.1\r\nHost: legwork\r\n\r\n");
        let openings: [&[u8]; 4] = [b"", slow_head, REQUEST.as_bytes(), unread.as_bytes()];
        let members = addresses.iter().flat_map(|from| (0..each).map(move |number| (from, openings[number % 4])));
        join_all(members.map(async |(from, opening)| {
            loop {
                let mut socket = connect_from(base, from).await;
                // It may be closed already.
                let _ = socket.write_all(opening).await;
                until_gone(&socket).await;
            }
        }))
        .await;
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

/// Waits for the end of a connection without reading from it, so that what it asked for stays with the server.
async fn until_gone(socket: &TcpStream) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match socket.ready(Interest::READABLE | Interest::WRITABLE).await {
            Ok(state) if !state.is_read_closed() && !state.is_write_closed() => {}
            _ => return,
        }
    }
}

/// What well-behaved clients and the operator's probes meet beside such a crowd of more connections than there may be.
fn others_are_served_beside(addresses: &[String], each: usize, neighbour: &str) {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let clock = legwork::clock::Clock::manual(crate::support::START.parse().expect("an instant"));
    let app = App::start(site, clock, &["--max-connections", "200", "--max-connections-per-client", "50"]);
    app::runtime().block_on(async {
        let calm = probe(&app, 20).await;
        let crowd = Crowd::gather(&app.base, addresses, each);
        let metrics = &app.env.metrics;
        let patience = Instant::now() + Duration::from_secs(20);
        while metrics.connections_evicted.get() == 0 {
            assert!(Instant::now() < patience, "{} connections are no crowd", metrics.connections.get());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for _ in 0..10 {
            // Each on a connection of its own.
            for address in ["127.0.0.1", neighbour] {
                for path in ["/health/live", "/health/ready", "/v1/locations"] {
                    let begun = Instant::now();
                    app.anon_at(address).get(path).await.expect(200);
                    assert!(begun.elapsed() < Duration::from_secs(1), "{path} took {:?}", begun.elapsed());
                }
            }
        }
        let busy = probe(&app, 100).await;
        assert_as_calm(calm, busy);
        assert!(metrics.connections.get() <= 200);
        drop(crowd);
    });
}

#[test]
fn row_30_a_crowd_of_silent_connections_from_one_address_hinders_nobody_not_even_at_that_address() {
    others_are_served_beside(&["127.0.0.2".into()], 250, "127.0.0.2");
}

#[test]
fn row_30_a_crowd_from_many_addresses_hinders_nobody() {
    let addresses: Vec<_> = (10..30).map(|number| format!("127.0.0.{number}")).collect();
    others_are_served_beside(&addresses, 13, "127.0.0.10");
}

#[test]
fn row_30_a_proxy_may_have_more_connections_than_a_client() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let clock = legwork::clock::Clock::manual(crate::support::START.parse().expect("an instant"));
    let bounds = ["--max-connections", "120", "--max-connections-per-client", "4", "--behind-proxy", "127.0.0.2"];
    let app = App::start(site, clock, &bounds);
    app::runtime().block_on(async {
        for (address, open) in [("127.0.0.2", 20), ("127.0.0.3", 4)] {
            let mut sockets = Vec::new();
            for _ in 0..20 {
                sockets.push(connect_from(&app.base, address).await);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            let is_open = |socket: &TcpStream| {
                matches!(socket.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
            };
            assert_eq!(sockets.iter().filter(|socket| is_open(socket)).count(), open, "of {address}");
            // It is the oldest that went.
            assert!(sockets.iter().rev().take(open).all(is_open), "{address}");
        }
    });
}

#[test]
fn row_30_probes_have_an_address_of_their_own_that_serves_nothing_else() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[("HEALTH_ADDR", "127.0.0.1:0"), ("MAX_CONNECTIONS", "8")]).await;
        let probes = server.probes();
        let crowd = Crowd::gather(&probes, &["127.0.0.2".into()], 100);
        tokio::time::sleep(Duration::from_millis(500)).await;
        for path in ["/health/live", "/health/ready", "/metrics"] {
            let begun = Instant::now();
            server.prober().get(path).await.expect(200);
            assert!(begun.elapsed() < Duration::from_secs(1), "{path} took {:?}", begun.elapsed());
        }
        for path in ["/", "/v1/locations", "/docs/", "/openapi.json", "/verify-email", "/v1/sessions"] {
            server.prober().get(path).await.problem(404, "not_found");
        }
        // The service's own address has them as well.
        server.anon().get("/health/ready").await.expect(200);
        drop(crowd);
    });
}

both! {
    async fn row_24_a_body_over_64_kib_is_refused_without_being_read_to_its_end(app: App) {
        for length in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
            let mut socket = connect(&app.base).await;
            let head = format!("POST /v1/sessions HTTP/1.1\r\nHost: legwork\r\nContent-Type: application/json\r\n{length}\r\n\r\n");
            socket.write_all(head.as_bytes()).await.expect("sent");
            let chunk = format!("4000\r\n{}\r\n", " ".repeat(0x4000));
            for _ in 0..8 {
                if socket.write_all(chunk.as_bytes()).await.is_err() {
                    break;
                }
            }
            let (_, said) = until_closed(&mut socket, Instant::now()).await;
            assert_eq!(status(&said), Some(413), "{length}: {said}");
        }
    }

    async fn row_24_deeply_nested_json_is_malformed(app: App) {
        let admin = app.admin().await;
        location(&admin, "Main Street", "America/New_York").await;
        visit_type(&admin, "Check", 15).await;
        for path in ["/v1/sessions", "/v1/registrations"] {
            let deep = format!("{{\"email\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
            let headers = [("Content-Type", "application/json")];
            let reply = app.anon().send_raw(reqwest::Method::POST, path, &headers, deep.into_bytes()).await;
            reply.problem(400, "malformed_request");
        }
        app.anon().post("/v1/sessions", json!({"email": [[]], "password": "x"})).await.problem(422, "validation_failed");
    }
}
