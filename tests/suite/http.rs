//! Behaviour of all endpoints: strict input, problem documents, preconditions, request ids, headers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::people::PASSWORD;
use crate::support::{App, Client, Reply, both};

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn raw(client: &Client, path: &str, body: &str) -> Reply {
    client.send_raw(Method::POST, path, &[JSON], body.as_bytes().to_vec()).await
}

async fn a_user(admin: &Client) -> Reply {
    let body = json!({"email": "dana@clinic.example", "name": "Dana Desk", "role": "front_desk"});
    let reply = admin.post("/v1/users", body).await;
    reply.expect(201);
    reply
}

both! {
    async fn a_body_that_is_not_json_is_malformed(app: App) {
        let anon = app.anon();
        for body in ["", "{", "{\"email\": }", "email=a", "{\"email\":\"a@b.example\",\"password\":\"x\"} {}", "\u{0}"] {
            raw(&anon, "/v1/sessions", body).await.problem(400, "malformed_request");
        }
        let broken = b"{\"email\": \"\xff\xfe\", \"password\": \"x\"}".to_vec();
        anon.send_raw(Method::POST, "/v1/sessions", &[JSON], broken).await.problem(400, "malformed_request");
        let deep = "[".repeat(20_000);
        let reply = raw(&anon, "/v1/sessions", &deep).await;
        assert!([400, 422].contains(&reply.status), "{}", reply.text);
    }

    async fn json_of_the_wrong_shape_gets_an_error_with_its_pointer(app: App) {
        let anon = app.anon();
        for (body, pointer, code) in [
            (r#"{"email": 7, "password": "x"}"#, "/email", "wrong_type"),
            (r#"{"email": null, "password": "x"}"#, "/email", "wrong_type"),
            (r#"{"email": ["a"], "password": "x"}"#, "/email", "wrong_type"),
            (r#"{"password": "x"}"#, "/email", "required"),
            (r#"{"email": "a", "password": "x", "e-mail": "b"}"#, "/e-mail", "unknown_field"),
            (r#"{"email": "a", "email": "b", "password": "x"}"#, "/email", "duplicate_field"),
        ] {
            raw(&anon, "/v1/sessions", body).await.invalid(pointer, code);
        }
        let reply = raw(&anon, "/v1/sessions", r#"{"email": {"secret-value": 1}, "password": "x"}"#).await;
        assert!(!reply.invalid("/email", "wrong_type").text.contains("secret-value"));
    }

    async fn unknown_and_repeated_query_parameters_are_rejected(app: App) {
        let admin = app.admin().await;
        admin.get("/v1/users?colour=red").await.invalid("?colour", "unknown_parameter");
        let twice = admin.get("/v1/users?limit=1&limit=2").await;
        assert_eq!(twice.problem(422, "validation_failed")["errors"][0]["pointer"], "?limit");
        for limit in ["0", "201", "-1", "ten"] {
            admin.get(&format!("/v1/users?limit={limit}")).await.problem(422, "validation_failed");
        }
        admin.get("/v1/users?cursor=nonsense").await.problem(422, "validation_failed");
        admin.get("/v1/users?limit=200").await.expect(200);
    }

    async fn an_unknown_path_or_an_invalid_id_is_not_found(app: App) {
        let admin = app.admin().await;
        admin.get_with("/", &[("Accept", "application/json")]).await.problem(404, "not_found");
        for path in ["/v1", "/v1/nowhere", "/v1/users/", "/v1/users/not-an-id", "/v1/users/%00", "/v1//users"] {
            admin.get(path).await.problem(404, "not_found");
        }
        let unknown = "/v1/users/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55";
        admin.get(unknown).await.problem(404, "not_found");
    }

    async fn a_wrong_method_gets_the_allowed_ones(app: App) {
        let anon = app.anon();
        for (method, path, allow) in [
            (Method::DELETE, "/v1/users", "GET, HEAD, POST, OPTIONS"),
            (Method::PUT, "/v1/sessions/current", "DELETE, OPTIONS"),
            (Method::POST, "/health/live", "GET, HEAD, OPTIONS"),
            (Method::DELETE, "/v1/users/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "GET, HEAD, PATCH, OPTIONS"),
        ] {
            let reply = anon.send(method, path, &[], None).await;
            reply.problem(405, "method_not_allowed");
            assert_eq!(reply.header("allow"), allow, "{path}");
        }
    }

    async fn head_gets_the_response_of_get_without_its_body(app: App) {
        let (anon, admin) = (app.anon(), app.admin().await);
        for (client, path, status) in [
            (&anon, "/health/live", 200), (&anon, "/openapi.json", 200), (&admin, "/v1/users", 200),
            (&anon, "/v1/users", 401), (&admin, "/v1/users?nonsense=1", 422), (&anon, "/nowhere", 404),
        ] {
            let (head, get) = (client.send(Method::HEAD, path, &[], None).await, client.get(path).await);
            assert_eq!((head.status, get.status, head.text.as_str()), (status, status, ""), "{path}");
            assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        }
        anon.send(Method::HEAD, "/v1/registrations", &[], None).await.expect(405);
    }

    async fn the_size_of_a_body_is_limited(app: App) {
        let anon = app.anon();
        let body = json!({"email": "a@b.example", "password": "x".repeat(70_000)}).to_string();
        let reply = raw(&anon, "/v1/sessions", &body).await;
        assert_eq!(reply.problem(413, "body_too_large")["limit"], 65_536);
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = format!("grant_type={}", "x".repeat(70_000)).into_bytes();
        for path in ["/oauth2/token", "/verify-email", "/follow-up", "/waitlist-offer"] {
            assert_eq!(anon.send_raw(Method::POST, path, &form, body.clone()).await.status, 413, "{path}");
        }
        // At least as large as its content.
        let body = json!({"email": "a@b.example", "password": "x".repeat(60_000)}).to_string();
        assert_ne!(raw(&anon, "/v1/sessions", &body).await.status, 413);
    }

    async fn a_body_requires_its_media_type(app: App) {
        let (anon, admin) = (app.anon(), app.admin().await);
        let body = json!({"email": "a@b.example", "password": "x"}).to_string().into_bytes();
        for headers in [&[][..], &[("Content-Type", "text/plain")], &[("Content-Type", "application/x-www-form-urlencoded")]] {
            let reply = anon.send_raw(Method::POST, "/v1/sessions", headers, body.clone()).await;
            reply.problem(415, "unsupported_media_type");
        }
        let charset = [("Content-Type", "application/json; charset=utf-8")];
        assert_ne!(anon.send_raw(Method::POST, "/v1/sessions", &charset, body).await.status, 415);
        for charset in ["iso-8859-1", "utf-16"] {
            let media = format!("application/json; charset={charset}");
            let headers = [("Content-Type", media.as_str())];
            anon.send_raw(Method::POST, "/v1/sessions", &headers, b"{}".to_vec()).await.problem(415, "unsupported_media_type");
        }
        let user = a_user(&admin).await;
        let text = [("Content-Type", "text/plain"), ("If-Match", "\"1\"")];
        let reply = admin.send_raw(Method::PATCH, &user.location(), &text, b"{}".to_vec()).await;
        reply.problem(415, "unsupported_media_type");
    }

    async fn a_merge_patch_may_be_sent_as_plain_json(app: App) {
        let admin = app.admin().await;
        let user = a_user(&admin).await;
        let (tag, path) = (user.etag(), user.location());
        let plain = [JSON, ("If-Match", tag.as_str())];
        let reply = admin.send_raw(Method::PATCH, &path, &plain, br#"{"name": "Dora"}"#.to_vec()).await;
        assert_eq!(reply.expect(200).string("/name"), "Dora");
    }

    async fn a_change_requires_if_match(app: App) {
        let admin = app.admin().await;
        let user = a_user(&admin).await;
        let path = user.location();
        assert_eq!(admin.get(&path).await.expect(200).etag(), user.etag());
        admin.patch(&path, "", json!({"name": "Dora"})).await.problem(428, "precondition_required");
        for stale in ["\"99\"", "W/\"1\"", "\"x\""] {
            admin.patch(&path, stale, json!({"name": "Dora"})).await.problem(412, "stale");
        }
        let changed = admin.patch(&path, &user.etag(), json!({"name": "Dora"})).await;
        assert_eq!(changed.expect(200).string("/name"), "Dora");
        assert_ne!(changed.etag(), user.etag());
        admin.patch(&path, &user.etag(), json!({"name": "Dina"})).await.problem(412, "stale");
        admin.patch(&path, "*", json!({"name": "Dina"})).await.expect(200);
    }

    async fn a_request_keeps_its_own_id_if_that_is_safe_to_log(app: App) {
        let anon = app.anon();
        let reply = anon.get_with("/health/live", &[("X-Request-Id", "client-0001")]).await;
        assert_eq!(reply.header("x-request-id"), "client-0001");
        for harmful in ["short", "with space and more", "<script>alert(1)</script>", &"x".repeat(65)] {
            let reply = anon.get_with("/v1/nowhere", &[("X-Request-Id", harmful)]).await;
            reply.problem(404, "not_found");
            assert_ne!(reply.header("x-request-id"), harmful);
            assert!(reply.header("x-request-id").parse::<uuid::Uuid>().is_ok());
        }
    }

    async fn every_response_has_the_security_headers(app: App) {
        let (anon, admin) = (app.anon(), app.admin().await);
        for reply in [anon.get("/health/live").await, anon.get("/v1/nowhere").await, admin.get("/v1/users").await] {
            assert_eq!(reply.header("cache-control"), "no-store", "{}", reply.request);
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert_eq!(reply.header("referrer-policy"), "no-referrer");
            assert!(reply.header("content-security-policy").contains("default-src 'none'"));
            assert!(!reply.header("x-request-id").is_empty());
        }
    }

    async fn a_request_without_a_session_gets_401_with_the_scheme(app: App) {
        let reply = app.anon().get("/v1/users").await;
        reply.problem(401, "unauthenticated");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        for token in ["", "x", "a.b.c", &"x".repeat(5000)] {
            let reply = app.anon().with_token(token).get("/v1/users").await;
            assert_eq!(reply.status, 401, "{token}: {}", reply.text);
        }
        for scheme in ["Basic Zm9vOmJhcg==", "Bearer", "bearer"] {
            let reply = app.anon().get_with("/v1/users", &[("Authorization", scheme)]).await;
            assert_eq!(reply.status, 401, "{scheme}: {}", reply.text);
        }
    }

    async fn a_repeated_request_runs_once_and_gets_the_same_response(app: App) {
        let admin = app.admin().await;
        let body = |name: &str| json!({"email": "erin@clinic.example", "name": name, "role": "front_desk"});
        let key = [("Idempotency-Key", "0b6f6c1e-once")];
        let first = admin.post_with("/v1/users", body("Erin"), &key).await;
        first.expect(201);
        let again = admin.post_with("/v1/users", body("Erin"), &key).await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!((again.location(), again.etag()), (first.location(), first.etag()));
        admin.post_with("/v1/users", body("Other"), &key).await.problem(422, "idempotency_key_reused");
        // A key belongs to its account, and rejections are not stored.
        let refused = [("Idempotency-Key", "refused-first")];
        admin.post_with("/v1/users", json!({"email": "x", "name": "X", "role": "front_desk"}), &refused).await.problem(422, "validation_failed");
        admin.post_with("/v1/users", json!({"email": "finn@clinic.example", "name": "Finn", "role": "front_desk"}), &refused).await.expect(201);
        for bad in ["", "with space", &"x".repeat(256)] {
            admin.post_with("/v1/users", body("Erin"), &[("Idempotency-Key", bad)]).await.invalid("Idempotency-Key:", "wrong_value");
        }
        assert_eq!(app.mails_to("erin@clinic.example").await.len(), 1);
    }

    async fn fifty_parallel_repeats_run_once(app: App) {
        let admin = app.admin().await;
        let body = json!({"email": "gail@clinic.example", "name": "Gail", "role": "front_desk"});
        let post = || admin.post_with("/v1/users", body.clone(), &[("Idempotency-Key", "fifty")]);
        let replies = futures_util::future::join_all((0..50).map(|_| post())).await;
        let made: Vec<&Value> = replies.iter().filter(|reply| reply.status == 201).map(|reply| &reply.body).collect();
        assert!(!made.is_empty());
        assert!(made.iter().all(|body| *body == made[0]));
        for reply in replies.iter().filter(|reply| reply.status != 201) {
            reply.problem(409, "request_in_progress");
        }
        assert_eq!(app.mails_to("gail@clinic.example").await.len(), 1);
    }

    async fn row_08_parallel_repeats_without_a_session_wait_for_each_other_and_none_is_refused(app: App) {
        let anon = app.anon();
        let body = json!({
            "email": "hal@example.org", "relation": "self",
            "patient": {"given_name": "Hal", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "male",
                "preferred_language": "en", "interpreter_needed": false},
        });
        let post = || anon.post_with("/v1/registrations", body.clone(), &[("Idempotency-Key", "twenty")]);
        for reply in futures_util::future::join_all((0..20).map(|_| post())).await {
            reply.expect(202);
        }
        assert_eq!(app.mails_to("hal@example.org").await.len(), 1);
    }

    async fn a_panic_in_a_transaction_ends_one_request_only(app: App) {
        for _ in 0..3 {
            let outcome = app.env.db.write(|_| -> legwork::error::Result<()> { panic!("on purpose") }).await;
            assert!(matches!(outcome, Err(legwork::error::Error::Internal(_))), "{outcome:?}");
            let outcome = app.env.db.read(|_| -> legwork::error::Result<()> { panic!("on purpose") }).await;
            assert!(matches!(outcome, Err(legwork::error::Error::Internal(_))), "{outcome:?}");
        }
        let admin = app.admin().await;
        a_user(&admin).await;
        app.anon().sign_in("admin@clinic.example", PASSWORD).await.get("/v1/users").await.expect(200);
    }
}

/// The server's middleware around handlers that panic or fail.
#[test]
fn a_panic_or_framework_error_in_a_handler_is_a_problem_response_and_the_worker_survives() {
    use actix_web::{App, HttpResponse, test, web};
    async fn panics() -> HttpResponse {
        panic!("on purpose")
    }
    async fn is_bare() -> HttpResponse {
        HttpResponse::RequestTimeout().finish()
    }
    crate::support::app::run(crate::support::Engine::Sqlite, async |app: crate::support::App| {
        let service = test::init_service(
            App::new()
                .app_data(web::Data::new(app.env.clone()))
                .wrap(actix_web::middleware::from_fn(legwork::http::middleware::wrap))
                .route("/panics", web::get().to(panics))
                .route("/bare", web::get().to(is_bare)),
        )
        .await;
        for (path, status, code) in
            [("/panics", 500, "internal"), ("/bare", 408, "request_timeout"), ("/panics", 500, "internal")]
        {
            let request = test::TestRequest::get().uri(path).to_request();
            let response = match actix_web::dev::Service::call(&service, request).await {
                Ok(response) => response.into_parts().1,
                Err(error) => error.error_response(),
            };
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().get("content-type").expect("a type"), "application/problem+json");
            assert!(response.headers().contains_key("x-request-id"));
            let body = actix_web::body::to_bytes(response.into_body()).await.unwrap_or_else(|_| panic!("a body"));
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!((&body["code"], &body["instance"]), (&json!(code), &json!(path)));
            assert!(!body.to_string().contains("on purpose"));
        }
    });
}
