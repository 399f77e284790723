//! Operations: health, metrics, log lines, and how the service stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use legwork::actor::Role;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::people::PASSWORD;
use crate::support::process::{Process, command};
use crate::support::site::Site;
use crate::support::{App, Engine, app, both, eventually};

both! {
    async fn the_metrics_are_openmetrics_and_contain_no_personal_data(app: App) {
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
        for name in ["db_connections_in_use", "db_write_queue", "db_batch_size_count", "outbox_messages", "outbox_oldest_due_seconds", "password_hash_waiting", "password_hashes_total", "password_hashes_refused_total", "faults_total", "connections_open", "connections_evicted_total", "connections_refused_total", "requests_malformed_total"] {
            assert!(counted(&format!("legwork_{name}")), "{name} is missing:\n{}", reply.text);
        }
        for secret in [id.as_str(), "admin@clinic.example", "nobody-of-this-name", "nowhere"] {
            assert!(!reply.text.contains(secret), "{secret} is in the metrics");
        }
    }

    async fn readiness_fails_while_the_service_stops_and_liveness_does_not(app: App) {
        let anon = app.anon();
        anon.get("/health/ready").await.expect(200);
        app.env.accepting.store(false, Ordering::Relaxed);
        let reply = anon.get("/health/ready").await;
        reply.problem(503, "unavailable");
        assert!(!reply.header("retry-after").is_empty());
        anon.get("/health/live").await.expect(200);
    }

    async fn liveness_needs_no_database_whatever_headers_it_gets(app: App) {
        let admin = app.admin().await;
        // Every connection is in use until the last request is answered.
        let (in_use, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let taken = join_all((0..8).map(|_| {
            let (in_use, answered) = (Arc::clone(&in_use), Arc::clone(&answered));
            app.env.db.read(move |_| {
                in_use.fetch_add(1, Ordering::Relaxed);
                while !answered.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            })
        }));
        let asked = async {
            let count = || in_use.load(Ordering::Relaxed);
            eventually(async || if count() == 8 { Ok(()) } else { Err(format!("{} in use", count())) }).await;
            for headers in [&[][..], &[("Access-Reason", "x")], &[("Idempotency-Key", "k")]] {
                admin.get_with("/health/live", headers).await.expect(200);
                admin.get_with("/metrics", headers).await.expect(200);
            }
            // A request that needs the database is rejected.
            admin.get("/v1/me").await.problem(503, "unavailable");
            answered.store(true, Ordering::Relaxed);
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
fn after_sigterm_readiness_fails_while_requests_are_served_until_the_shutdown_delay_ends() {
    let site = site();
    app::runtime().block_on(async {
        let delay = Duration::from_secs(5);
        let settings = [("SHUTDOWN_DELAY_SECONDS", "5"), ("SHUTDOWN_SECONDS", "4"), ("HEALTH_ADDR", "127.0.0.1:0")];
        let mut server = Process::start(&site, &settings).await;
        let (anon, probes) = (server.anon(), server.prober());
        let begun = Instant::now();
        server.terminate();
        eventually(async || match probes.get("/health/ready").await.status {
            503 => Ok(()),
            status => Err(format!("readiness is {status}")),
        })
        .await;
        for _ in 0..3 {
            anon.get("/health/ready").await.problem(503, "unavailable");
            probes.get("/health/ready").await.problem(503, "unavailable");
            // A client of its own, with a new connection.
            server.anon().get("/v1/locations").await.expect(200);
        }
        let ended = server.wait(Duration::from_mins(1)).expect("it ends");
        assert!(ended.success(), "{}", server.log());
        assert!(begun.elapsed() > delay, "it ended before a balancer could notice");
    });
}

#[test]
fn a_second_signal_stops_at_once() {
    let site = site();
    app::runtime().block_on(async {
        let settings = [("SHUTDOWN_DELAY_SECONDS", "600"), ("SHUTDOWN_SECONDS", "600")];
        let mut server = Process::start(&site, &settings).await;
        server.anon().sign_in("admin@clinic.example", PASSWORD).await.get("/v1/users").await.expect(200);
        server.terminate();
        while server.anon().get("/health/ready").await.status != 503 {}
        server.terminate();
        // Both delays together would take twenty minutes.
        assert!(server.wait(Duration::from_mins(2)).expect("it ends").success(), "{}", server.log());
        // The waiting audit events were stored, and the log has the head.
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
fn a_thousand_malformed_requests_are_one_metric_and_one_log_line() {
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

/// The lines of a JSON log with this message.
fn lines(log: &str, message: &str) -> Vec<(String, Value)> {
    let parsed = log.lines().filter_map(|line| Some((line.to_owned(), serde_json::from_str::<Value>(line).ok()?)));
    parsed.filter(|(_, line)| line["message"] == message).collect()
}

#[test]
fn a_log_line_has_the_account_the_client_address_and_the_duration() {
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
        let answered: Vec<_> = lines(&log, "request completed")
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
fn the_log_contains_each_new_head_of_the_audit_trail() {
    let site = site();
    app::runtime().block_on(async {
        for (signs_in, heads) in [(false, 1), (true, 2)] {
            let mut server = Process::start(&site, &[("LOG_FORMAT", "json")]).await;
            eventually(async || {
                let is_there = !lines(&server.log(), "audit head").is_empty();
                if is_there { Ok(()) } else { Err("the log does not tell the head".to_owned()) }
            })
            .await;
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

/// SQLite allocates on the threads that serve requests, and the C library's allocator does not return that memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_c_libraries_use_jemalloc() {
    let output =
        command(&site()).arg("openapi").env("MALLOC_CONF", "stats_print:true").output().expect("run the program");
    // Only a jemalloc that replaces the C library's allocator reads this variable.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("jemalloc statistics") && said.contains("background_thread: true"), "{said}");
}
