//! That the harness itself stands.

use crate::support::{App, both};

both! {
    async fn each_test_has_a_server_that_is_ready(app: App) {
        let reply = app.anon().get("/health/ready").await;
        reply.expect(200);
        assert_eq!(reply.body["status"], "ready");
        assert!(app.mails().await.is_empty());
        let app = app.restart(&["--clinic-name", "Another"]);
        app.anon().get("/health/ready").await.expect(200);
        assert_eq!(app.env.config.settings.clinic_name, "Another");
    }

    async fn what_leads_nowhere_is_a_problem(app: App) {
        app.anon().get("/v1/nowhere?x=1").await.problem(404, "not_found");
    }

    async fn staff_can_sign_in_and_again_after_the_clock_was_turned(app: App) {
        let admin = app.admin().await;
        admin.get("/v1/users").await.expect(200);
        app.clock.advance(jiff::SignedDuration::from_hours(1));
        admin.get("/v1/users").await.expect(200);
    }
}
