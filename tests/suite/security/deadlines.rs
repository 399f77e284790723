//! Row 24: the server ends connections of clients that send or read too slowly, and serves others meanwhile.
//! Row 30: many idle connections from one client or many do not keep others out.
//!
//! No test compares times. A slow client never ends its connection itself, so that the end of the connection is the server's
//! doing; the status before the end shows which deadline it was.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::wire::{PATIENCE, connect, connect_from, connect_narrow, dribble, until_closed};
use crate::support::clinic::{location, visit_type};
use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{App, Engine, app, both, eventually};

const SLOWLY: Duration = Duration::from_millis(400);
const REQUEST: &str = "GET /health/live HTTP/1.1\r\nHost: legwork\r\n\r\n";

/// The status of the last response, if there is one.
fn status(said: &str) -> Option<u16> {
    said.rsplit("HTTP/1.1 ").next()?.split(' ').next()?.parse().ok()
}

/// Requests of well-behaved clients, each on a connection of its own, from each of the addresses.
async fn others_are_served(app: &App, addresses: &[&str]) {
    for address in addresses {
        for path in ["/health/live", "/health/ready", "/v1/locations"] {
            app.anon_at(address).get(path).await.expect(200);
        }
    }
}

/// What a slow client sends at once, and what it then sends byte by byte.
struct Slow {
    what: &'static str,
    at_once: &'static str,
    dribbled: &'static str,
    /// The status of the last response before the server ends the connection.
    told: Option<u16>,
}

const SLOW: &[Slow] = &[
    Slow { what: "silence", at_once: "", dribbled: "", told: Some(408) },
    Slow { what: "a dribbled head", at_once: "GET /health/live HTTP/1.1\r\nX-Slow: ", dribbled: "a", told: Some(408) },
    Slow { what: "silence after an answer", at_once: REQUEST, dribbled: "", told: Some(200) },
    Slow {
        what: "a dribbled head after an answer",
        at_once: concat!("GET /health/live HTTP/1.1\r\nHost: legwork\r\n\r\n", "GET /health/live HTTP/1.1\r\nX-Slow: "),
        dribbled: "a",

        told: Some(200),
    },
    Slow {
        what: "a body that stops",
        at_once: "POST /v1/sessions HTTP/1.1\r\nHost: legwork\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        dribbled: "",

        told: Some(408),
    },
    Slow {
        what: "a dribbled body",
        at_once: "POST /v1/sessions HTTP/1.1\r\nHost: legwork\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        dribbled: " ",

        told: Some(408),
    },
    Slow {
        what: "a dribbled body in chunks",
        at_once: "POST /v1/sessions HTTP/1.1\r\nHost: legwork\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        dribbled: "1\r\n \r\n",

        told: Some(408),
    },
    Slow {
        what: "a dribbled body that nobody wants",
        at_once: "POST /nowhere HTTP/1.1\r\nHost: legwork\r\nContent-Length: 1000\r\n\r\n{",
        dribbled: " ",

        told: Some(404),
    },
    Slow {
        what: "dribbled chunks that nobody wants",
        at_once: "POST /nowhere HTTP/1.1\r\nHost: legwork\r\nTransfer-Encoding: chunked\r\n\r\n",
        dribbled: "1\r\n \r\n",

        told: Some(404),
    },
];

async fn meet(base: &str, slow: &Slow) {
    let mut socket = connect(base).await;
    socket.write_all(slow.at_once.as_bytes()).await.expect("sent");
    let (mut reader, mut writer) = socket.split();
    let dribbling = async {
        if !slow.dribbled.is_empty() {
            dribble(&mut writer, slow.dribbled.as_bytes(), SLOWLY).await;
        }
        std::future::pending::<()>().await;
    };
    let said = tokio::select! {
        () = dribbling => unreachable!("it never ends"),
        said = until_closed(&mut reader) => said,
    };
    assert_eq!(status(&said), slow.told, "{} was told {said}", slow.what);
}

/// Reads a byte now and then until the connection is reset. At that pace, the bytes that have arrived already would last for
/// an hour, so the socket is asked for its error.
async fn read_slowly(base: &str, path: &str) {
    let mut socket = connect_narrow(base).await;
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: legwork\r\n\r\n").as_bytes()).await.expect("sent");
    let until_reset = async {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let ended = !matches!(socket.read(&mut [0; 1]).await, Ok(1..));
            if ended || socket.take_error().expect("a state").is_some() {
                return;
            }
        }
    };
    timeout(PATIENCE, until_reset).await.expect("the server ends it");
}

/// Reads all of a large response: it takes longer than a reader may pause, but is faster than the required pace.
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
/// Larger than the kernel's send buffer.
const LARGE: &str = "/docs/files/redoc-2.5.4.js";

/// One test for all of them, because they wait most of the time: several of each kind at once, against one server.
#[test]
fn row_24_slow_senders_and_readers_are_disconnected_a_slow_line_is_not_and_others_are_served() {
    app::run(Engine::Sqlite, async |app: App| {
        let whole = app.anon().get(LARGE).await.text.len();
        assert!(whole > 1_000_000, "{whole}");
        let senders = join_all((0..4).flat_map(|_| SLOW).map(|slow| meet(&app.base, slow)));
        let readers = join_all((0..16).map(|_| read_slowly(&app.base, LARGE)));
        let others = async {
            let slow = i64::try_from(4 * SLOW.len() + 16).expect("few");
            let open = || app.env.metrics.connections.get();
            eventually(async || if open() >= slow { Ok(()) } else { Err(format!("{} connections", open())) }).await;
            for _ in 0..20 {
                others_are_served(&app, &["127.0.0.1"]).await;
            }
        };
        let (_, _, (), taken) = tokio::join!(senders, readers, others, read_on_a_thin_line(&app.base, LARGE));
        assert!(taken > whole, "{taken} of {whole} on a thin line");
    });
}

/// Requests that are sent together, and whose responses are not read, do not fill the server's memory.
#[test]
fn row_24_the_next_request_of_a_connection_waits_until_its_responses_are_read() {
    const SENT: usize = 100;
    app::run(Engine::Sqlite, async |app: App| {
        let whole = app.anon().get("/openapi.json").await.text.len();
        let served = || {
            let metrics = app.env.metrics.render();
            let line = metrics.lines().find(|line| line.contains("_count{") && line.contains("/openapi.json"));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).unwrap_or(0)
        };
        let mut socket = connect_narrow(&app.base).await;
        let requests = "GET /openapi.json HTTP/1.1\r\nHost: legwork\r\n\r\n".repeat(SENT);
        socket.write_all(requests.as_bytes()).await.expect("sent");
        eventually(async || if served() > 1 { Ok(()) } else { Err("nothing is served".to_owned()) }).await;
        for _ in 0..20 {
            others_are_served(&app, &["127.0.0.1"]).await;
        }
        assert!(served() < SENT / 2, "{} of {SENT} were served to a client that reads nothing", served());
        // All of them are served once the client reads.
        let (mut taken, mut buffer) = (0, vec![0; 64 * 1024]);
        while taken < SENT * whole {
            let count = socket.read(&mut buffer).await.expect("the connection stands");
            assert!(count > 0, "it ended after {taken} bytes");
            taken += count;
        }
        eventually(async || if served() > SENT { Ok(()) } else { Err(format!("{} were served", served())) }).await;
    });
}

/// Requests that are sent together are answered one after the other.
#[test]
fn row_24_each_of_many_requests_that_are_sent_together_is_answered() {
    const REQUESTS: usize = 500;
    app::run(Engine::Sqlite, async |app: App| {
        let mut socket = connect_narrow(&app.base).await;
        let (mut reader, mut writer) = socket.split();
        let sending = async {
            let get = "GET /health/live HTTP/1.1\r\nHost: legwork\r\n";
            writer.write_all(format!("{get}\r\n").repeat(REQUESTS).as_bytes()).await.expect("sent");
            writer.write_all(format!("{get}Connection: close\r\n\r\n").as_bytes()).await.expect("sent");
        };
        let mut said = String::new();
        let ((), read) = tokio::join!(sending, reader.read_to_string(&mut said));
        read.expect("all responses");
        assert_eq!(said.matches("HTTP/1.1 200 ").count(), REQUESTS + 1);
    });
}

/// Connections that do as little as possible, and reconnect after they were closed. They have their own
/// thread, and end when this is dropped.
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
                // The connection may be closed already.
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

/// Waits for the end of a connection without reading from it, so that the server keeps the response.
async fn until_gone(socket: &TcpStream) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match socket.ready(Interest::READABLE | Interest::WRITABLE).await {
            Ok(state) if !state.is_read_closed() && !state.is_write_closed() => {}
            _ => return,
        }
    }
}

/// Well-behaved clients and the operator's probes are served while such a crowd holds more connections than the server allows.
fn others_are_served_beside(addresses: &[String], each: usize, neighbour: &str) {
    let app = App::on_sqlite(&["--max-connections", "200", "--max-connections-per-client", "50"]);
    app::runtime().block_on(async {
        let crowd = Crowd::gather(&app.base, addresses, each);
        let metrics = &app.env.metrics;
        eventually(async || match metrics.connections_evicted.get() {
            0 => Err(format!("{} connections are no crowd", metrics.connections.get())),
            _ => Ok(()),
        })
        .await;
        for _ in 0..20 {
            others_are_served(&app, &["127.0.0.1", neighbour]).await;
        }
        assert!(metrics.connections.get() <= 200);
        drop(crowd);
    });
}

#[test]
fn row_30_idle_connections_from_one_address_block_no_client_not_even_at_that_address() {
    others_are_served_beside(&["127.0.0.2".into()], 250, "127.0.0.2");
}

#[test]
fn row_30_idle_connections_from_many_addresses_block_no_client() {
    let addresses: Vec<_> = (10..30).map(|number| format!("127.0.0.{number}")).collect();
    others_are_served_beside(&addresses, 13, "127.0.0.10");
}

#[test]
fn row_30_a_proxy_may_have_more_connections_than_a_client() {
    let app = App::on_sqlite(&[
        "--max-connections",
        "120",
        "--max-connections-per-client",
        "4",
        "--behind-proxy",
        "127.0.0.2",
    ]);
    app::runtime().block_on(async {
        for (address, open) in [("127.0.0.2", 20), ("127.0.0.3", 4)] {
            let mut sockets = Vec::new();
            for _ in 0..20 {
                sockets.push(connect_from(&app.base, address).await);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let is_open = |socket: &TcpStream| {
                matches!(socket.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
            };
            // The server has taken the last connection, and closed as many as it must.
            eventually(async || match sockets.iter().filter(|socket| is_open(socket)).count() {
                count if count == open && app.env.metrics.connections.get() >= i64::try_from(open).expect("few") => Ok(()),
                count => Err(format!("{count} of {address} are open")),
            })
            .await;
            // The oldest were closed.
            assert!(sockets.iter().rev().take(open).all(is_open), "{address}");
        }
    });
}

#[test]
fn row_30_the_health_address_serves_probes_only() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[("HEALTH_ADDR", "127.0.0.1:0"), ("MAX_CONNECTIONS", "8")]).await;
        let probes = server.probes();
        let crowd = Crowd::gather(&probes, &["127.0.0.2".into()], 100);
        for _ in 0..20 {
            for path in ["/health/live", "/health/ready", "/metrics"] {
                server.prober().get(path).await.expect(200);
            }
        }
        for path in ["/", "/v1/locations", "/docs/", "/openapi.json", "/verify-email", "/v1/sessions"] {
            // Not the test's client, which compares with the document of the main address.
            let reply = reqwest::get(format!("{probes}{path}")).await.expect("a response");
            assert_eq!(reply.status().as_u16(), 404, "{path}");
        }
        // The service's main address serves them as well.
        server.anon().get("/health/ready").await.expect(200);
        drop(crowd);
    });
}

both! {
    async fn row_24_a_body_over_64_kib_is_rejected_before_its_end(app: App) {
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
            let said = until_closed(&mut socket).await;
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
