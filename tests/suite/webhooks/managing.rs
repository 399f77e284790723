//! Webhooks as administrators manage them.

use diesel::prelude::*;
use legwork::db::schema::webhook_endpoints;
use serde_json::json;

use super::receiver::Receiver;
use super::{Hook, opened};
use crate::support::{App, both};

const URL: &str = "https://systems.example/legwork";

both! {
    async fn an_administrator_creates_reads_changes_and_deletes_a_webhook(app: App) {
        let admin = app.admin().await;
        let body = json!({"url": URL, "description": " Billing ", "event_types": ["patient.created", "appointment.booked", "patient.created"]});
        let created = admin.post("/v1/webhooks", body).await;
        let secret = created.expect(201).string("/secret");
        assert!(secret.starts_with("whsec_") && secret.len() == 50, "{}", secret.len());
        let path = created.location();
        let shown = admin.get(&path).await;
        assert_eq!(shown.expect(200).etag(), created.etag());
        assert!(!shown.text.contains(&secret) && shown.body.get("secret").is_none());
        assert_eq!(shown.body["event_types"], json!(["appointment.booked", "patient.created"]));
        assert_eq!(shown.body["description"], "Billing");
        assert_eq!(shown.body["status"], "active");
        assert_eq!(shown.body["secrets"], json!([{"created_at": "2026-03-02T14:00:00Z", "ends_at": null}]));
        assert_eq!(admin.get("/v1/webhooks").await.items(), std::slice::from_ref(&shown.body));

        let paused = admin.update(&path, json!({"status": "paused", "description": null, "event_types": []})).await;
        assert_eq!(paused.expect(200).body["paused_reason"], "administrator");
        assert_eq!(paused.body["paused_at"], "2026-03-02T14:00:00Z");
        assert!(paused.body["description"].is_null() && paused.body["event_types"] == json!([]));
        admin.patch(&path, &shown.etag(), json!({"status": "active"})).await.problem(412, "stale");
        admin.patch(&path, "", json!({"status": "active"})).await.problem(428, "precondition_required");
        let same = admin.update(&path, json!({"status": "paused", "url": URL})).await;
        assert_eq!(same.expect(200).etag(), paused.etag());
        let active = admin.update(&path, json!({"status": "active"})).await;
        assert!(active.expect(200).body["paused_at"].is_null() && active.body["paused_reason"].is_null());

        app.desk().await.get(&path).await.problem(403, "role_forbidden");
        admin.delete(&path).await.expect(204);
        admin.delete(&path).await.problem(404, "not_found");
        for rest in ["", "/delivery", "/attempts"] {
            admin.get(&format!("{path}{rest}")).await.problem(404, "not_found");
        }
        let audited = admin.get("/v1/audit-events?limit=200").await.items();
        let done = |operation: &str| audited.iter().filter(|event| event["operation"] == operation && event["outcome"] == "success").count();
        assert_eq!((done("create_webhook"), done("delete_webhook")), (1, 1), "{audited:#?}");
        assert!(done("update_webhook") >= 2);
    }

    async fn row_29_a_url_that_no_webhook_may_have_is_refused(app: App) {
        let admin = app.admin().await;
        for url in ["http://systems.example/", "https://user:word@systems.example/", "https://systems.example/#x", "https://10.0.0.1/",
            "https://[::1]/", "https://169.254.169.254/latest", "http://localhost/", "ftp://systems.example/", "nonsense"] {
            admin.post("/v1/webhooks", json!({"url": url})).await.invalid("/url", "invalid_url");
        }
        let hook = Hook::of(&admin, json!({"url": URL})).await;
        hook.set(json!({"url": "https://127.0.0.1/"})).await.invalid("/url", "invalid_url");
        hook.set(json!({"url": null})).await.expect(422);
        hook.set(json!({"url": "https://1.1.1.1/x"})).await.expect(200);
    }

    async fn row_29_the_secret_is_shown_once_stored_encrypted_and_replaced_with_an_overlap(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        let rotated = hook.admin.post(&hook.path("/secrets"), json!({"overlap_hours": 2})).await;
        let new = rotated.expect(201).string("/secret");
        assert_ne!(new, hook.secret);
        assert_eq!(rotated.body["secrets"][0]["ends_at"], "2026-03-02T16:00:00Z");
        assert!(rotated.body["secrets"][1]["ends_at"].is_null());
        let stored: Vec<(Vec<u8>, Option<Vec<u8>>)> = app.db(|tx| {
            Ok(webhook_endpoints::table.select((webhook_endpoints::secret, webhook_endpoints::previous_secret)).load(tx)?)
        }).await;
        for secret in [&hook.secret, &new] {
            let is_there = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!stored.iter().any(|(one, other)| is_there(one) || other.as_deref().is_some_and(is_there)));
        }

        let last = async || {
            let sent = hook.admin.post_empty(&hook.path("/test-events")).await;
            assert!(sent.expect(200).body["failure"].is_null(), "{}", sent.text);
            receiver.seen().pop().expect("a request")
        };
        let both = last().await;
        assert!(both.is_signed_with(&new) && both.is_signed_with(&hook.secret));
        app.clock.advance(jiff::SignedDuration::from_hours(2));
        let one = last().await;
        assert!(one.is_signed_with(&new) && !one.is_signed_with(&hook.secret));
        assert_eq!(hook.read().await.body["secrets"].as_array().expect("secrets").len(), 1);
        // Without an overlap the older one ends at once, and so does one that had an overlap.
        let third = hook.admin.post(&hook.path("/secrets"), json!({"overlap_hours": 0})).await.expect(201).string("/secret");
        let one = last().await;
        assert!(one.is_signed_with(&third) && !one.is_signed_with(&new));
        for hours in [-1, 721] {
            hook.admin.post(&hook.path("/secrets"), json!({"overlap_hours": hours})).await.invalid("/overlap_hours", "out_of_range");
        }
    }

    async fn a_clinic_has_at_most_fifty_webhooks(app: App) {
        let admin = app.admin().await;
        let first = Hook::of(&admin, json!({"url": URL})).await;
        for _ in 1..50 {
            Hook::of(&admin, json!({"url": URL})).await;
        }
        admin.post("/v1/webhooks", json!({"url": URL})).await.problem(409, "too_many_webhooks");
        admin.delete(&first.path("")).await.expect(204);
        Hook::of(&admin, json!({"url": URL})).await;
        let page = admin.get("/v1/webhooks?limit=49").await;
        let rest = admin.get(&format!("/v1/webhooks?limit=49&cursor={}", page.string("/next_cursor"))).await;
        assert_eq!((page.items().len(), rest.items().len()), (49, 1));
    }
}
