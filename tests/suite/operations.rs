//! What the operator's tools ask.

use crate::support::{App, both};

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
        for name in ["db_connections_in_use", "db_write_queue", "db_batch_size_count", "outbox_messages", "outbox_oldest_due_seconds", "password_hash_waiting", "faults_total"] {
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
}
