//! Row 24: who sends or reads too slowly is cut off, and nobody else notices. Each bound has a second or two of slack for a
//! busy machine; the slow sockets of one test wait side by side.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::wire::{assert_as_calm, connect, connect_narrow, dribble, probe, until_closed};
use crate::support::clinic::{location, visit_type};
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

#[test]
fn row_24_silent_and_slow_senders_are_cut_off_while_others_stay_fast() {
    app::run(Engine::Sqlite, async |app: App| {
        let calm = probe(&app, 20).await;
        // Several of each kind at once.
        let slow = join_all((0..4).flat_map(|_| SLOW).map(|slow| meet(&app.base, slow)));
        let busy = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            probe(&app, 200).await
        };
        let (_, busy) = futures_util::future::join(slow, busy).await;
        assert_as_calm(calm, busy);
    });
}

/// Reads a byte now and then until the connection ends.
async fn read_slowly(base: &str, path: &str) -> Duration {
    let mut socket = connect_narrow(base).await;
    let since = Instant::now();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: legwork\r\n\r\n").as_bytes()).await.expect("sent");
    let mut taken = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        match socket.read(&mut [0; 1]).await {
            Ok(0) | Err(_) => return since.elapsed(),
            Ok(count) => taken += count,
        }
        assert!(since.elapsed() < Duration::from_secs(45), "still served after {taken} bytes");
    }
}

#[test]
fn row_24_slow_readers_are_cut_off_while_others_stay_fast() {
    app::run(Engine::Sqlite, async |app: App| {
        let calm = probe(&app, 20).await;
        let whole = app.anon().get("/docs/swagger-ui-bundle.js").await.text.len();
        assert!(whole > 1_000_000, "an answer larger than what the kernel keeps: {whole}");
        let slow = join_all((0..16).map(|_| read_slowly(&app.base, "/docs/swagger-ui-bundle.js")));
        let busy = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            probe(&app, 200).await
        };
        let (ended, busy) = futures_util::future::join(slow, busy).await;
        for after in ended {
            assert!(after < Duration::from_secs(30) + SLACK, "a slow reader was borne for {after:?}");
        }
        assert_as_calm(calm, busy);
    });
}

#[test]
fn row_24_a_reader_on_a_thin_line_gets_all_of_a_large_answer() {
    app::run(Engine::Sqlite, async |app: App| {
        let whole = app.anon().get("/docs/swagger-ui-bundle.js").await.text.len();
        let mut socket = connect_narrow(&app.base).await;
        let request = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: legwork\r\nConnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.expect("sent");
        let (mut taken, mut buffer) = (0, vec![0; 16 * 1024]);
        // Some 100 KiB a second: more than the twenty seconds of a reader that stands still would be too long here.
        loop {
            match socket.read(&mut buffer).await.expect("the connection stands") {
                0 => break,
                count => taken += count,
            }
            tokio::time::sleep(Duration::from_millis(if taken % 3 == 0 { 80 } else { 30 })).await;
        }
        assert!(taken > whole, "{taken} of {whole}");
    });
}

#[test]
fn row_24_more_connections_than_there_may_be_wait_for_their_turn() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let clock = legwork::clock::Clock::manual(crate::support::START.parse().expect("an instant"));
    let app = App::start(site, clock, &["--max-connections", "8"]);
    app::runtime().block_on(async {
        let silent: Vec<_> = join_all((0..8).map(|_| connect(&app.base))).await;
        let begun = Instant::now();
        app.anon().get("/health/live").await.expect(200);
        // The silent ones are cut off, and then there is room.
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        drop(silent);
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
