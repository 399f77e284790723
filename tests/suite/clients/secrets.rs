//! Rotation with an overlap, and revocation.

use jiff::SignedDuration;
use serde_json::json;

use super::{Machine, ask, refused};
use crate::support::{App, both};

both! {
    async fn an_old_secret_works_until_the_overlap_ends(app: App) {
        let admin = app.admin().await;
        let old = Machine::new(&app, &["slots:read"]).await;
        let rotated = admin.post(&old.path("/secrets"), json!({})).await;
        let new = Machine { id: old.id.clone(), secret: rotated.expect(201).string("/client_secret") };
        assert_eq!(rotated.body["secrets"][0]["ends_at"], "2026-03-03T14:00:00Z");
        assert!(rotated.body["secrets"][1]["ends_at"].is_null());
        for machine in [&old, &new] {
            ask(&app, &machine.form(&[])).await.expect(200);
        }
        app.clock.advance(SignedDuration::from_hours(24));
        refused(&ask(&app, &old.form(&[])).await, 401, "invalid_client");
        ask(&app, &new.form(&[])).await.expect(200);

        // A longer overlap does not prolong an earlier end. Without one, the older secrets end at once.
        admin.post(&old.path("/secrets"), json!({"overlap_hours": 1})).await.expect(201);
        let third = admin.post(&old.path("/secrets"), json!({"overlap_hours": 720})).await;
        assert_eq!(third.expect(201).body["secrets"][0]["ends_at"], "2026-03-03T15:00:00Z");
        for _ in 0..2 {
            admin.post(&old.path("/secrets"), json!({"overlap_hours": 720})).await.expect(201);
        }
        admin.post(&old.path("/secrets"), json!({})).await.problem(409, "too_many_secrets");
        let last = admin.post(&old.path("/secrets"), json!({"overlap_hours": 0})).await;
        assert_eq!(last.expect(201).body["secrets"].as_array().expect("secrets").len(), 1);
        refused(&ask(&app, &new.form(&[])).await, 401, "invalid_client");
        for hours in [-1, 721] {
            admin.post(&old.path("/secrets"), json!({"overlap_hours": hours})).await.invalid("/overlap_hours", "out_of_range");
        }
        let last_id = last.string("/secrets/0/id");
        let other = Machine::new(&app, &["slots:read"]).await;
        admin.delete(&other.path(&format!("/secrets/{last_id}"))).await.problem(404, "not_found");
        admin.delete(&other.path("/secrets/nonsense")).await.problem(404, "not_found");
        let last = Machine { id: old.id.clone(), secret: last.string("/client_secret") };
        ask(&app, &last.form(&[])).await.expect(200);
        admin.delete(&old.path(&format!("/secrets/{last_id}"))).await.expect(204);
        admin.delete(&old.path(&format!("/secrets/{last_id}"))).await.problem(404, "not_found");
        refused(&ask(&app, &last.form(&[])).await, 401, "invalid_client");
        // Ended secrets are purged with the ended sessions.
        app.clock.advance(SignedDuration::from_hours(24 * 400));
        let env = app.env.clone();
        let purged = app.db(move |tx| legwork::accounts::purge::round(tx, &env)).await;
        assert!(purged >= 6, "{purged}");
    }

    async fn a_repeated_request_creates_one_client_and_shows_the_same_secret(app: App) {
        let admin = app.admin().await;
        let body = json!({"name": "Phones", "role": "front_desk", "scopes": ["slots:read"]});
        let once = async |path: &str, body: &serde_json::Value| admin.post_with(path, body.clone(), &[("Idempotency-Key", "once")]).await;
        let (first, again) = (once("/v1/clients", &body).await, once("/v1/clients", &body).await);
        assert_eq!(first.expect(201).string("/client_secret"), again.expect(201).string("/client_secret"));
        assert_eq!((first.id(), first.etag()), (again.id(), again.etag()));
        assert_eq!(admin.get("/v1/clients").await.items().len(), 1);
        let secrets = format!("{}/secrets", first.location());
        let (second, repeat) = (once(&secrets, &json!({})).await, once(&secrets, &json!({})).await);
        assert_eq!(second.expect(201).string("/client_secret"), repeat.expect(201).string("/client_secret"));
        assert_eq!(admin.get(&first.location()).await.body["secrets"].as_array().map(Vec::len), Some(2));
        let machine = Machine { id: first.id(), secret: repeat.string("/client_secret") };
        ask(&app, &machine.form(&[])).await.expect(200);
    }

    async fn a_revoked_client_stays_in_the_list_and_does_nothing_more(app: App) {
        let admin = app.admin().await;
        let machine = Machine::new(&app, &["slots:read", "resources:read"]).await;
        let caller = machine.caller(&app).await;
        caller.get("/v1/resources").await.expect(200);
        admin.delete(&machine.path("")).await.expect(204);
        caller.get("/v1/resources").await.problem(401, "unauthenticated");
        refused(&ask(&app, &machine.form(&[])).await, 401, "invalid_client");
        let shown = admin.get(&machine.path("")).await;
        assert_eq!(shown.expect(200).body["revoked_at"], "2026-03-02T14:00:00Z");
        assert_eq!(shown.body["secrets"], json!([]));
        admin.delete(&machine.path("")).await.expect(204);
        admin.update(&machine.path(""), json!({"name": "Again"})).await.problem(409, "client_revoked");
        admin.post(&machine.path("/secrets"), json!({})).await.problem(409, "client_revoked");
        admin.delete("/v1/clients/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55").await.problem(404, "not_found");
        let person = app.desk().await.user_id;
        for path in [format!("/v1/clients/{person}"), format!("/v1/users/{}", machine.id)] {
            admin.get(&path).await.problem(404, "not_found");
        }
    }
}
