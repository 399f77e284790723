//! Row 4: security headers, and the origins that are allowed.

use reqwest::Method;
use serde_json::json;

use crate::support::process::Process;
use crate::support::site::Site;
use crate::support::{App, Client, Engine, Reply, app, both};

const ORIGIN: &str = "https://app.clinic.example";

async fn answers_of_every_kind(anon: &Client, admin: &Client) -> Vec<Reply> {
    vec![
        anon.get("/health/live").await,
        anon.get("/metrics").await,
        anon.get("/openapi.json").await,
        anon.get("/docs").await,
        anon.get("/docs/").await,
        anon.get("/docs/nowhere").await,
        anon.get("/v1/locations").await,
        anon.get("/v1/locations?nonsense=1").await,
        anon.get("/v1/users").await,
        anon.get("/nowhere").await,
        anon.get("/v1/../../etc/passwd").await,
        anon.delete("/v1/locations").await,
        anon.send(Method::OPTIONS, "/v1/locations", &[], None).await,
        anon.send(Method::HEAD, "/v1/locations", &[], None).await,
        anon.with_token("a.b.c").get("/v1/me").await,
        anon.post("/v1/sessions", json!({})).await,
        anon.send_raw(Method::POST, "/v1/sessions", &[("Content-Type", "application/json")], b"{".to_vec()).await,
        admin.get("/v1/users").await,
        admin.post("/v1/users", json!({"email": "d@clinic.example", "name": "D", "role": "front_desk"})).await,
    ]
}

both! {
    async fn row_04_every_response_has_the_security_headers_and_no_version(app: App) {
        let (anon, admin) = (app.anon(), app.admin().await);
        for reply in answers_of_every_kind(&anon, &admin).await {
            let request = &reply.request;
            // The document is public, and asked for again by its ETag.
            let kept = if request.ends_with("/openapi.json") { "no-cache" } else { "no-store" };
            assert_eq!(reply.header("cache-control"), kept, "{request}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff", "{request}");
            // Pages send forms to this service, and `no-referrer` would hide their origin.
            let referrer = if request.ends_with("/docs/") { "same-origin" } else { "no-referrer" };
            assert_eq!(reply.header("referrer-policy"), referrer, "{request}");
            assert_eq!(reply.header("strict-transport-security"), "max-age=31536000", "{request}");
            let policy = reply.header("content-security-policy");
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{request}: {policy}");
            assert!(!policy.contains("unsafe"), "{request}: {policy}");
            assert_eq!(policy.contains("script-src 'self'"), request.ends_with("/docs/"), "{request}: {policy}");
            for name in ["server", "x-powered-by", "via", "access-control-allow-origin"] {
                assert_eq!(reply.header(name), "", "{request} tells {name}");
            }
        }
    }

    async fn row_04_no_origin_is_allowed_by_default(app: App) {
        let preflight = [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST")];
        let reply = app.anon().send(Method::OPTIONS, "/v1/sessions", &preflight, None).await;
        let problem = reply.problem(403, "origin_not_allowed");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("CORS_ORIGINS")), "{problem}");
        assert_eq!(reply.header("access-control-allow-origin"), "");
        // Not even an origin of this machine, because this is no demo.
        let preflight = [("Origin", "http://localhost:5173"), ("Access-Control-Request-Method", "POST")];
        app.anon().send(Method::OPTIONS, "/v1/sessions", &preflight, None).await.problem(403, "origin_not_allowed");
        // Other requests are answered as usual.
        let plain = app.anon().send(Method::OPTIONS, "/v1/sessions", &[("Origin", ORIGIN)], None).await;
        assert_eq!(plain.expect(204).header("access-control-allow-origin"), "");
    }
}

#[test]
fn row_04_the_log_names_the_setting_that_would_allow_a_rejected_origin() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    app::runtime().block_on(async {
        let server = Process::start(&site, &[]).await;
        for origin in [ORIGIN, "not an origin but words"] {
            let preflight = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
            let reply = server.anon().send(Method::OPTIONS, "/v1/sessions", &preflight, None).await;
            reply.problem(403, "origin_not_allowed");
        }
        let log = server.log();
        let told: Vec<_> = log.lines().filter(|line| line.contains("CORS_ORIGINS")).collect();
        assert_eq!(told.len(), 2, "{log}");
        assert!(told[0].contains(ORIGIN) && !log.contains("but words"), "{log}");
    });
}

#[test]
fn row_04_a_demo_allows_origins_of_this_machine_only() {
    let site = Site::without_schema(Engine::Sqlite).expect("SQLite is always there");
    app::runtime().block_on(async {
        let server = Process::start_demo(&site).await;
        for (origin, is_admitted) in [
            ("http://localhost:5173", true),
            ("http://127.0.0.1:3000", true),
            ("http://localhost", true),
            ("http://localhost.evil.example", false),
            ("http://localhost:5173.evil.example", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let preflight = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
            let asked = server.anon().send(Method::OPTIONS, "/v1/sessions", &preflight, None).await;
            let got = server.anon().get_with("/v1/locations", &[("Origin", origin)]).await;
            got.expect(200);
            for reply in [&asked, &got] {
                let admitted = if is_admitted { origin } else { "" };
                assert_eq!(reply.header("access-control-allow-origin"), admitted, "{origin}: {}", reply.request);
            }
            if is_admitted {
                asked.expect(200);
            } else {
                asked.problem(403, "origin_not_allowed");
            }
        }
    });
}

#[test]
fn row_04_without_tls_there_is_no_hsts_header() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let clock = legwork::clock::Clock::manual(crate::support::START.parse().expect("an instant"));
    let app = App::start(site, clock, &["--public-url", "http://127.0.0.1:8080"]);
    app::runtime().block_on(async {
        assert_eq!(app.anon().get("/health/live").await.header("strict-transport-security"), "");
    });
}

fn names(reply: &Reply, header: &str) -> Vec<String> {
    let mut names: Vec<_> = reply.header(header).split(',').map(|name| name.trim().to_lowercase()).collect();
    names.sort_unstable();
    names
}

#[test]
fn row_04_exactly_the_listed_origins_are_allowed_and_preflights_need_no_token() {
    let site = Site::new(Engine::Sqlite).expect("SQLite is always there");
    let clock = legwork::clock::Clock::manual(crate::support::START.parse().expect("an instant"));
    let app = App::start(site, clock, &["--cors-origins", "https://app.clinic.example,http://localhost:5173"]);
    app::runtime().block_on(async {
        let (anon, admin) = (app.anon(), app.admin().await);
        for origin in [ORIGIN, "http://localhost:5173"] {
            let wanted = "authorization, content-type, if-match, idempotency-key, access-reason";
            let preflight = [
                ("Origin", origin),
                ("Access-Control-Request-Method", "PATCH"),
                ("Access-Control-Request-Headers", wanted),
            ];
            let reply = anon.send(Method::OPTIONS, "/v1/users", &preflight, None).await;
            reply.expect(200);
            assert_eq!(reply.header("access-control-allow-origin"), origin);
            assert_eq!(reply.header("access-control-allow-credentials"), "");
            let allowed = names(&reply, "access-control-allow-headers");
            for name in wanted.split(", ") {
                assert!(allowed.contains(&name.to_owned()), "{name} in {allowed:?}");
            }
            assert!(names(&reply, "access-control-allow-methods").contains(&"patch".to_owned()));
            assert!(names(&reply, "vary").contains(&"origin".to_owned()));

            // The client can read the response of a request, of an error and of a request without a token.
            let with = [("Origin", origin)];
            for reply in [
                admin.get_with("/v1/users", &with).await,
                admin.get_with("/v1/users?nonsense=1", &with).await,
                anon.get_with("/v1/users", &with).await,
                anon.get_with("/nowhere", &with).await,
            ] {
                assert_eq!(reply.header("access-control-allow-origin"), origin, "{}", reply.request);
                assert_eq!(
                    names(&reply, "access-control-expose-headers"),
                    ["etag", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id"]
                );
                assert!(names(&reply, "vary").contains(&"origin".to_owned()), "{}", reply.request);
            }
        }
        for stranger in [
            "https://evil.example",
            "https://app.clinic.example.evil.example",
            "http://app.clinic.example",
            "https://app.clinic.example:444",
            "null",
            "https://APP.clinic.example",
        ] {
            let preflight = [("Origin", stranger), ("Access-Control-Request-Method", "GET")];
            for reply in [
                anon.send(Method::OPTIONS, "/v1/users", &preflight, None).await,
                anon.get_with("/v1/locations", &[("Origin", stranger)]).await,
            ] {
                assert_eq!(reply.header("access-control-allow-origin"), "", "{stranger}: {}", reply.request);
                assert!(reply.status < 500);
            }
        }
    });
}
