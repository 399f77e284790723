//! What the operator's tools ask, what the log says, and how the service stops.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use legwork::actor::Role;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::people::PASSWORD;
use crate::support::process::{Process, command};
use crate::support::site::Site;
use crate::support::{App, Engine, app, both};

both! {
    async fn the_figures_are_openmetrics_and_name_nobody(app: App) {
        let admin = app.admin().await;
        let id = admin.user_id.clone();
        admin.get(&format!("/v1/users/{id}")).await.expect(200);
        app.anon().get("/v1/users/nobody-of-this-name").await.expect(401);
        app.anon().get("/v1/nowhere/at/all").await.expect(404);
        let reply = app.anon().get("/metrics").await;
        reply.expect(200);
        assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
        assert!(reply.text.ends_with("# EOF\n"));
        let counted = |part: &str| reply.text.lines().any(|line| line.contains(part));
        assert!(counted("legwork_http_request_duration_seconds_count{method=\"GET\",route=\"/v1/users/{id}\",status=\"200\"} 1"), "{}", reply.text);
        assert!(counted("route=\"(none)\",status=\"404\"") || counted("route=\"\",status=\"404\""), "{}", reply.text);
        for name in ["db_connections_in_use", "db_write_queue", "db_batch_size_count", "outbox_messages", "outbox_oldest_due_seconds", "password_hash_waiting", "faults_total", "connections_open", "connections_evicted_total", "connections_refused_total", "requests_malformed_total"] {
            assert!(counted(&format!("legwork_{name}")), "{name} is missing:\n{}", reply.text);
        }
        for secret in [id.as_str(), "admin@clinic.example", "nobody-of-this-name", "nowhere"] {
            assert!(!reply.text.contains(secret), "{secret} stands in the figures");
        }
    }

    async fn readiness_ends_when_the_service_is_told_to_stop_and_liveness_does_not(app: App) {
        use std::sync::atomic::Ordering;
        let anon = app.anon();
        anon.get("/health/ready").await.expect(200);
        app.env.accepting.store(false, Ordering::Relaxed);
        let reply = anon.get("/health/ready").await;
        reply.problem(503, "unavailable");
        assert!(!reply.header("retry-after").is_empty());
        anon.get("/health/live").await.expect(200);
    }

    async fn liveness_asks_no_database_whatever_it_is_sent(app: App) {
        let admin = app.admin().await;
        // Every connection is taken for longer than a request waits for one.
        let taken = join_all((0..8).map(|_| {
            app.env.db.read(|_| {
                std::thread::sleep(Duration::from_secs(4));
                Ok(())
            })
        }));
        let asked = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            for headers in [&[][..], &[("Access-Reason", "x")], &[("Idempotency-Key", "k")]] {
                let begun = Instant::now();
                admin.get_with("/health/live", headers).await.expect(200);
                admin.get_with("/metrics", headers).await.expect(200);
                assert!(begun.elapsed() < Duration::from_secs(1), "{headers:?} took {:?}", begun.elapsed());
            }
            // So the database is indeed away.
            admin.get("/v1/me").await.problem(503, "unavailable");
        };
        futures_util::future::join(taken, asked).await;
    }
}

/// A site with an administrator.
fn site() -> Site {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    site.account("admin@clinic.example", Role::Admin);
    site
}

#[test]
fn at_sigterm_readiness_fails_first_and_the_service_goes_on_until_a_balancer_has_noticed() {
    let site = site();
    app::runtime().block_on(async {
        let settings = [("SHUTDOWN_DELAY_SECONDS", "3"), ("SHUTDOWN_SECONDS", "4"), ("HEALTH_ADDR", "127.0.0.1:0")];
        let mut server = Process::start(&site, &settings).await;
        let (anon, probes) = (server.anon(), server.prober());
        let begun = Instant::now();
        server.terminate();
        tokio::time::sleep(Duration::from_millis(500)).await;
        while begun.elapsed() < Duration::from_millis(2500) {
            anon.get("/health/ready").await.problem(503, "unavailable");
            probes.get("/health/ready").await.problem(503, "unavailable");
            // A client of its own, with a new connection.
            server.anon().get("/v1/locations").await.expect(200);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let ended = server.wait(Duration::from_secs(20)).expect("it ends");
        assert!(ended.success(), "{}", server.log());
        let took = begun.elapsed();
        assert!(took > Duration::from_secs(3) && took < Duration::from_secs(3 + 4 + 2), "{took:?}");
    });
}

#[test]
fn a_second_signal_stops_at_once() {
    let site = site();
    app::runtime().block_on(async {
        let settings = [("SHUTDOWN_DELAY_SECONDS", "60"), ("SHUTDOWN_SECONDS", "60")];
        let mut server = Process::start(&site, &settings).await;
        server.anon().sign_in("admin@clinic.example", PASSWORD).await.get("/v1/users").await.expect(200);
        server.terminate();
        while server.anon().get("/health/ready").await.status != 503 {}
        let begun = Instant::now();
        server.terminate();
        assert!(server.wait(Duration::from_secs(10)).expect("it ends").success(), "{}", server.log());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        // What the audit trail was owed was written, and its end told.
        assert!(server.log().contains("audit head"), "{}", server.log());
    });
}

/// Requests that the HTTP library cannot read.
const UNREADABLE: [&[u8]; 5] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: legwork\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\n: no name\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: legwork\r\n\r\n",
];

#[test]
fn a_thousand_requests_that_cannot_be_read_are_a_figure_and_a_line_of_the_log() {
    let site = site();
    app::runtime().block_on(async {
        let mut server = Process::start(&site, &[]).await;
        let before = server.log().lines().count();
        let address = server.base.strip_prefix("http://").expect("a base").to_owned();
        for _ in 0..20 {
            join_all((0..50).map(async |number: usize| {
                let mut socket = tokio::net::TcpStream::connect(&address).await.expect("a connection");
                socket.write_all(UNREADABLE[number % UNREADABLE.len()]).await.expect("sent");
                let mut said = Vec::new();
                let _ = socket.read_to_end(&mut said).await;
                let said = String::from_utf8_lossy(&said);
                assert!(said.starts_with("HTTP/1.1 400"), "{number}: {said}");
            }))
            .await;
        }
        let figures = server.anon().get("/metrics").await;
        assert!(figures.text.contains("legwork_requests_malformed_total 1000\n"), "{}", figures.text);
        server.terminate();
        server.wait(Duration::from_secs(20)).expect("it ends");
        let log = server.log();
        let more = log.lines().count() - before;
        assert!(more < 40, "{more} lines more:\n{log}");
        let told: Vec<_> = log.lines().filter(|line| line.contains("malformed=1000")).collect();
        assert_eq!(told.len(), 1, "{log}");
    });
}

/// The lines of a log in JSON that say this.
fn lines(log: &str, message: &str) -> Vec<(String, Value)> {
    let parsed = log.lines().filter_map(|line| Some((line.to_owned(), serde_json::from_str::<Value>(line).ok()?)));
    parsed.filter(|(_, line)| line["message"] == message).collect()
}

#[test]
fn a_line_of_the_log_says_who_asked_from_where_and_how_long_it_took() {
    let site = site();
    app::runtime().block_on(async {
        let server = Process::start(&site, &[("LOG_FORMAT", "json"), ("BEHIND_PROXY", "127.0.0.1")]).await;
        let admin = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
        for number in 0..20 {
            let id = format!("request-{number}");
            let from = [("X-Request-Id", id.as_str()), ("X-Forwarded-For", "198.51.100.7")];
            admin.get_with("/v1/users", &from).await.expect(200);
            server.anon().get_with("/v1/users", &from).await.expect(401);
        }
        let log = server.log();
        let answered: Vec<_> = lines(&log, "answered")
            .into_iter()
            .filter(|(_, line)| line["span"]["request_id"].as_str().is_some_and(|id| id.starts_with("request-")))
            .collect();
        assert_eq!(answered.len(), 40, "{log}");
        for (text, line) in &answered {
            assert_eq!(line["client"], "198.51.100.7", "{text}");
            let account = (line["status"] == 200).then_some(admin.user_id.as_str());
            assert_eq!(line["account"].as_str(), account, "{text}");
            let (_, millis) = text.split_once("\"millis\":").expect("a duration");
            let millis = millis.split([',', '}']).next().expect("a number");
            assert!(millis.parse::<f64>().is_ok_and(|millis| millis > 0.0), "{text}");
            assert!(millis.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 3), "{text}");
        }
    });
}

#[test]
fn the_log_is_told_the_head_of_the_audit_trail_when_there_is_a_new_one() {
    let site = site();
    app::runtime().block_on(async {
        for (signs_in, heads) in [(false, 1), (true, 2)] {
            let mut server = Process::start(&site, &[("LOG_FORMAT", "json")]).await;
            let patience = Instant::now() + Duration::from_secs(10);
            while lines(&server.log(), "audit head").is_empty() && Instant::now() < patience {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            if signs_in {
                let _ = server.anon().sign_in("admin@clinic.example", PASSWORD).await;
            }
            server.terminate();
            server.wait(Duration::from_secs(20)).expect("it ends");
            let told: Vec<_> =
                lines(&server.log(), "audit head").into_iter().map(|(_, line)| line["head"].clone()).collect();
            assert_eq!(told.len(), heads, "{}", server.log());
            assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
        }
    });
}

/// SQLite's memory is spread over the threads that serve requests; the C library's allocator does not give it back.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_libraries_in_c_use_the_allocator_that_gives_memory_back() {
    let output =
        command(&site()).arg("openapi").env("MALLOC_CONF", "stats_print:true").output().expect("run the program");
    // The variable is read only by a jemalloc that has taken the place of the C library's allocator.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("jemalloc statistics") && said.contains("background_thread: true"), "{said}");
}
