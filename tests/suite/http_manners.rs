//! Content negotiation, conditional reads, compression, `OPTIONS`, and the pages that explain problems.

use reqwest::Method;
use serde_json::Value;

use super::broken_input::NOBODY;
use super::openapi::document;
use crate::support::{App, app, both};

both! {
    async fn accept_must_admit_a_media_type_of_the_response(app: App) {
        let (anon, admin) = (app.anon(), app.admin().await);
        for (client, path) in [(&anon, "/v1/locations"), (&admin, "/v1/users"), (&anon, "/health/live")] {
            for accept in ["text/html", "application/json;q=0, */*;q=0", "application/xml"] {
                let reply = client.get_with(path, &[("Accept", accept)]).await;
                let detail = reply.problem(406, "not_acceptable")["detail"].as_str().expect("text").to_owned();
                assert!(detail.contains("application/json"), "{detail}");
            }
            for accept in ["application/json", "application/*", "text/html, */*;q=0.1", "nonsense"] {
                client.get_with(path, &[("Accept", accept)]).await.expect(200);
            }
        }
        // A response without a body has no media type.
        let signed_out = admin.send(Method::DELETE, "/v1/sessions/current", &[("Accept", "text/html")], None).await;
        signed_out.expect(204);
    }

    async fn what_the_caller_has_already_is_not_sent_again(app: App) {
        let admin = app.admin().await;
        let path = format!("/v1/users/{}", admin.user_id);
        let read = admin.get(&path).await;
        let tag = read.expect(200).etag();
        for known in [tag.clone(), format!("\"99\", W/{tag}"), "*".to_owned()] {
            let again = admin.get_with(&path, &[("If-None-Match", &known)]).await;
            assert_eq!((again.status, again.text.as_str(), again.etag()), (304, "", tag.clone()), "{known}");
            assert!(again.header("content-type").is_empty());
        }
        admin.get_with(&path, &[("If-None-Match", "\"99\"")]).await.expect(200);
        admin.update(&path, serde_json::json!({"name": "Another Name"})).await.expect(200);
        admin.get_with(&path, &[("If-None-Match", &tag)]).await.expect(200);
        // Not before the caller is known.
        app.anon().get_with(&path, &[("If-None-Match", "*")]).await.problem(401, "unauthenticated");
    }

    async fn an_empty_if_match_is_not_taken_for_a_missing_one(app: App) {
        let path = format!("/v1/follow-ups/{NOBODY}/cancel");
        let desk = app.desk().await;
        desk.send(Method::POST, &path, &[("If-Match", "")], None).await.problem(400, "malformed_request");
        desk.send(Method::POST, &path, &[], None).await.problem(404, "not_found");
    }

    async fn the_document_is_not_sent_again_and_is_compressed(app: App) {
        let anon = app.anon();
        let plain = anon.get("/openapi.json").await;
        let tag = plain.expect(200).header("etag").to_owned();
        anon.get_with("/openapi.json", &[("If-None-Match", &tag)]).await.expect(304);
        for coding in ["br", "gzip"] {
            let reply = anon.get_with("/openapi.json", &[("Accept-Encoding", coding)]).await;
            assert_eq!(reply.expect(200).header("content-encoding"), coding);
            let small: usize = reply.header("content-length").parse().expect("a length");
            assert!(small * 5 < plain.text.len(), "{coding}: {small} of {}", plain.text.len());
        }
    }

    async fn only_what_everyone_may_read_is_compressed(app: App) {
        let (anon, admin) = (app.anon(), app.admin().await);
        app.clinic().await;
        let accepted = [("Accept-Encoding", "br, gzip")];
        for (client, path, coded) in [
            (&anon, "/v1/intake-forms/rls-history", true), (&anon, "/pages/style.css", true), (&anon, "/problems", true),
            (&admin, "/v1/audit-events", false), (&admin, "/v1/slots", false),
        ] {
            let reply = client.get_with(path, &accepted).await;
            assert_eq!(!reply.header("content-encoding").is_empty(), coded, "{path}");
        }
    }

    async fn options_names_the_methods_of_a_path(app: App) {
        for (path, allow) in [("/v1/users", "GET, HEAD, POST, OPTIONS"), ("/v1/sessions/current", "DELETE, OPTIONS")] {
            let reply = app.anon().send(Method::OPTIONS, path, &[], None).await;
            assert_eq!((reply.status, reply.header("allow"), reply.text.as_str()), (204, allow, ""));
        }
        app.anon().send(Method::OPTIONS, "/v1/nowhere", &[], None).await.problem(404, "not_found");
    }

    async fn the_type_of_every_problem_leads_to_its_explanation(app: App) {
        let anon = app.anon();
        let (document, list) = (document(), anon.get("/problems").await);
        let codes = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().expect("codes").clone();
        assert!(codes.len() > 80);
        for code in codes.iter().filter_map(Value::as_str) {
            assert!(list.text.contains(&format!("href=\"problems/{code}\"")), "{code} is not listed");
            let page = anon.get(&format!("/problems/{code}")).await;
            page.expect(200);
            assert!(page.text.contains(&format!("&quot;code&quot;: &quot;{code}&quot;")), "{code} has no example:\n{}", page.text);
            assert!(page.text.contains("What to do"), "{code}");
        }
        let refused = anon.get("/v1/users").await;
        anon.get(refused.problem(401, "unauthenticated")["type"].as_str().expect("a path")).await.expect(200);
        anon.get("/problems/nonsense").await.problem(404, "not_found");
        let rules = anon.get("/problems/validation_failed").await;
        for code in document["components"]["schemas"]["FieldCode"]["enum"].as_array().expect("codes") {
            assert!(rules.text.contains(&format!("<code>{}</code>", code.as_str().expect("text"))), "{code}");
        }
    }
}

#[test]
fn metrics_are_answered_only_to_clients_that_the_operator_names() {
    for (setting, forwarded, status) in [
        (None, None, 200),
        (None, Some("198.51.100.7"), 404),
        (Some("198.51.100.0/24"), Some("198.51.100.7"), 200),
        (Some("198.51.100.0/24"), Some("203.0.113.9"), 404),
        (Some("198.51.100.0/24"), None, 404),
    ] {
        let mut flags = vec!["--behind-proxy", "127.0.0.1"];
        flags.extend(setting.into_iter().flat_map(|clients| ["--metrics-clients", clients]));
        let app = App::on_sqlite(&flags);
        app::runtime().block_on(async {
            let headers: Vec<_> = forwarded.into_iter().map(|address| ("X-Forwarded-For", address)).collect();
            app.anon().get_with("/metrics", &headers).await.expect(status);
        });
    }
}
