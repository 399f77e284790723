//! What a receiver gets.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use legwork::privacy::retention;
use serde_json::json;

use super::receiver::{Answer, Receiver, numbers};
use super::{Hook, change, opened, write_events};
use crate::events::read_all;
use crate::support::{App, both, eventually};

both! {
    async fn row_29_events_arrive_in_order_signed_and_with_what_the_list_of_events_shows(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        change(&app, "Before").await;
        let desk = app.desk().await;
        let before = crate::events::until_seen(&desk, "patient.created").await.len();
        let hook = Hook::new(&app, &receiver).await;
        for name in ["Ann", "Bob", "Cyd"] {
            change(&app, name).await;
        }
        let first = i64::try_from(before).expect("few") + 1;
        let seen = receiver.until_accepted(first + 2).await;
        assert_eq!(numbers(&seen), [first, first + 1, first + 2], "only events after the creation, each once");
        let (listed, newest) = read_all(&desk, first - 1, "").await;
        for (request, event) in seen.iter().zip(&listed) {
            assert_eq!(request.line, "POST /hook/secret-path?tenant=1 HTTP/1.1");
            assert_eq!(request.header("content-type"), "application/json");
            assert!(receiver.url.contains(&format!("//{}/", request.header("host"))), "{}", request.header("host"));
            assert_eq!(request.body, json!({"type": event["type"], "timestamp": event["occurred_at"], "data": event}));
            assert!(request.is_signed_with(&hook.secret) && !request.is_signed_with("whsec_AAAA"));
            assert_eq!(request.header("webhook-timestamp"), "1772460000");
        }
        let ids: BTreeSet<_> = seen.iter().map(|request| request.id().to_owned()).collect();
        assert_eq!(ids.len(), 3);
        let delivery = hook.until("delivered_through_seq", json!(newest)).await;
        assert_eq!(delivery["newest_seq"], newest);
        assert!(["failing_since", "next_attempt_at", "redelivery", "missing"].iter().all(|member| delivery[*member].is_null()));
        let attempts = hook.attempts().await;
        assert_eq!(attempts.len(), 3);
        assert_eq!(attempts[0]["event_seq"], first + 2);
        for attempt in &attempts {
            assert_eq!((attempt["kind"].as_str(), attempt["status_code"].as_i64()), (Some("delivery"), Some(204)));
            assert!(attempt["failure"].is_null() && attempt["through_seq"].is_null());
        }
        // The log is deleted after its time.
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        retention::apply_periodic(&app.env).await;
        assert!(hook.attempts().await.is_empty());
    }

    async fn a_webhook_gets_the_types_of_events_that_it_asked_for(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::of(&app.admin().await, json!({"url": receiver.url, "event_types": ["patient.created"]})).await;
        app.db(|tx| { write_events(tx, 0, 150); Ok(()) }).await;
        change(&app, "Ann").await;
        let seen = receiver.until_accepted(151).await;
        assert_eq!(numbers(&seen), [151]);
        hook.until("delivered_through_seq", json!(151)).await;
        hook.set(json!({"event_types": ["appointment.updated"]})).await.expect(200);
        app.db(|tx| { write_events(tx, 150, 1); Ok(()) }).await;
        change(&app, "Bob").await;
        receiver.until_accepted(152).await;
        hook.until("delivered_through_seq", json!(153)).await;
        assert_eq!(numbers(&receiver.seen()), [151, 152]);
    }

    async fn a_test_event_says_whether_the_receiver_works_and_moves_nothing(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        hook.set(json!({"status": "paused"})).await.expect(200);
        let before = hook.delivery().await;
        let sent = hook.admin.post_empty(&hook.path("/test-events")).await;
        assert_eq!(sent.expect(200).body["kind"], "test");
        assert_eq!(sent.body["status_code"], 204);
        let seen = receiver.seen();
        assert_eq!(seen[0].body, json!({"type": "webhook.test", "timestamp": "2026-03-02T14:00:00Z", "data": {"webhook_id": hook.id}}));
        assert!(seen[0].is_signed_with(&hook.secret));
        receiver.answer(|_| Answer::Status(503));
        let failed = hook.admin.post_empty(&hook.path("/test-events")).await;
        assert_eq!((failed.expect(200).body["failure"].as_str(), failed.body["status_code"].as_i64()), (Some("status"), Some(503)));
        assert_eq!(hook.attempts().await.len(), 2);
        assert_eq!(hook.delivery().await, before);
    }

    async fn events_are_sent_again_on_request_with_the_ids_that_they_had(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        app.db(|tx| { write_events(tx, 0, 10); Ok(()) }).await;
        let first = receiver.until_accepted(10).await;
        hook.until("delivered_through_seq", json!(10)).await;
        let redeliver = async |from: i64, through: i64| {
            let body = json!({"from_seq": from, "through_seq": through});
            hook.admin.post(&hook.path("/redeliveries"), body).await
        };
        redeliver(4, 6).await.expect(202);
        let seen = receiver.until_seen(13).await;
        assert_eq!(numbers(&seen[10..]), [4, 5, 6]);
        for again in &seen[10..] {
            let before = first.iter().find(|request| request.seq() == again.seq()).expect("sent before");
            assert_eq!((again.id(), &again.body), (before.id(), &before.body));
        }
        hook.until("redelivery", json!(null)).await;
        assert_eq!(hook.attempts().await.iter().filter(|attempt| attempt["kind"] == "redelivery").count(), 3);

        // New events follow, and one that fails again waits as a new one does.
        receiver.answer(|request| Answer::Status(if request.seq() == 2 { 500 } else { 200 }));
        redeliver(1, 3).await.expect(202);
        hook.until("failed_attempts", json!(1)).await;
        redeliver(1, 1).await.problem(409, "redelivery_in_progress");
        assert_eq!(hook.delivery().await["redelivery"], json!({"from_seq": 2, "through_seq": 3}));
        app.db(|tx| { write_events(tx, 10, 1); Ok(()) }).await;
        receiver.answer(|_| Answer::Status(200));
        app.clock.advance(SignedDuration::from_secs(5));
        assert_eq!(numbers(&receiver.until_accepted(11).await[13..]), [1, 2, 3, 11]);

        for (from, through, pointer) in [(0, 1, "/from_seq"), (3, 2, "/through_seq"), (1, 1001, "/through_seq"), (1, 12, "/through_seq")] {
            redeliver(from, through).await.invalid(pointer, "out_of_range");
        }
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        retention::apply_periodic(&app.env).await;
        assert_eq!(redeliver(1, 3).await.problem(410, "events_expired")["oldest_seq"], 11);
    }

    async fn a_paused_webhook_gets_nothing_and_a_deleted_one_neither(app: App) {
        let app = opened(app);
        let (receiver, other) = (Receiver::new().await, Receiver::new().await);
        let (hook, gone) = (Hook::new(&app, &receiver).await, Hook::new(&app, &receiver).await);
        let active = Hook::new(&app, &other).await;
        hook.set(json!({"status": "paused"})).await.expect(200);
        gone.admin.delete(&gone.path("")).await.expect(204);
        change(&app, "Ann").await;
        other.until_accepted(1).await;
        assert!(receiver.seen().is_empty());
        hook.set(json!({"status": "active"})).await.expect(200);
        assert_eq!(numbers(&receiver.until_accepted(1).await), [1]);
        let metrics = eventually(async || {
            let text = app.anon().get("/metrics").await.text;
            if text.contains("legwork_webhook_attempts_total{outcome=\"delivered\"} 2") { Ok(text) } else { Err(text) }
        }).await;
        assert!(metrics.contains("legwork_webhook_lag_events"), "{metrics}");
        active.until("delivered_through_seq", json!(1)).await;
    }
}
