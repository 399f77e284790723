//! Receivers that fail: nothing is missing, and nothing overtakes.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use legwork::privacy::retention;
use serde_json::json;

use super::receiver::{Answer, Received, Receiver, numbers};
use super::{Hook, change, opened, write_events};
use crate::support::{App, both, eventually};

both! {
    async fn an_event_that_fails_is_tried_again_and_later_ones_wait_for_it(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        let mut left = 3;
        receiver.answer(move |request| match request.seq() {
            2 if left > 0 => {
                left -= 1;
                [Answer::Status(302), Answer::Status(500), Answer::Close][left].clone()
            }
            _ => Answer::Status(200),
        });
        app.db(|tx| { write_events(tx, 0, 4); Ok(()) }).await;
        for failed in 1..=3 {
            let delivery = hook.until("failed_attempts", json!(failed)).await;
            assert_eq!(delivery["delivered_through_seq"], 1);
            assert_eq!(delivery["failing_since"], "2026-03-02T14:00:00Z");
            let next = delivery["next_attempt_at"].as_str().expect("a time");
            let next: jiff::Timestamp = next.parse().expect("a time");
            let pause = next.duration_since(app.clock.now().jiff());
            assert!((SignedDuration::from_millis(2_500)..=SignedDuration::from_secs(20)).contains(&pause), "{pause}");
            if failed < 3 {
                app.clock.advance(pause);
            }
        }
        app.clock.advance(SignedDuration::from_hours(1));
        let seen = receiver.until_accepted(4).await;
        assert_eq!(numbers(&seen), [1, 2, 3, 4]);
        let all = receiver.seen();
        assert_eq!(numbers(&all), [1, 2, 2, 2, 2, 3, 4]);
        let ids: BTreeSet<_> = all.iter().filter(|request| request.seq() == 2).map(Received::id).collect();
        assert_eq!(ids.len(), 1, "each attempt has the same id");
        let delivery = hook.until("delivered_through_seq", json!(4)).await;
        assert!(delivery["failing_since"].is_null() && delivery["failed_attempts"] == 0);
        let failures: Vec<_> = hook.attempts().await.iter().filter_map(|attempt| attempt["failure"].as_str().map(str::to_owned)).collect();
        assert_eq!(failures, ["status", "status", "connection"]);
    }

    async fn a_receiver_that_fails_for_days_is_paused_with_a_mail_and_resumes_with_nothing_missing(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        receiver.answer(|_| Answer::Status(500));
        let etag = hook.read().await.etag();
        for name in ["Ann", "Bob"] {
            change(&app, name).await;
        }
        hook.until("failed_attempts", json!(1)).await;
        assert_eq!(hook.read().await.etag(), etag, "deliveries do not change the version");
        app.clock.advance(SignedDuration::from_hours(71));
        hook.until("failed_attempts", json!(2)).await;
        assert_eq!(hook.read().await.body["status"], "active");
        app.clock.advance(SignedDuration::from_hours(4));
        let paused = hook.until_status("paused").await;
        assert_eq!(paused.body["paused_reason"], "failing");
        assert_ne!(paused.etag(), etag);
        let mails = app.mails().await;
        let told: Vec<_> = mails.iter().filter(|mail| mail.subject.contains("webhook")).collect();
        assert_eq!(told.len(), 1, "{mails:#?}");
        assert!(told[0].to.contains("admin@") && told[0].text.contains("127.0.0.1") && told[0].text.contains(&hook.id));
        assert!(!told[0].raw.contains("secret-path"), "the path can be a secret");
        let before = receiver.seen().len();
        app.clock.advance(SignedDuration::from_hours(24));
        change(&app, "Cyd").await;
        receiver.answer(|_| Answer::Status(200));
        assert_eq!(hook.admin.post_empty(&hook.path("/test-events")).await.expect(200).body["status_code"], 200);
        assert_eq!(receiver.seen().len(), before + 1, "a paused webhook gets the test only");
        hook.set(json!({"status": "active"})).await.expect(200);
        let seen = receiver.until_accepted(3).await;
        assert_eq!(numbers(&seen), [0, 1, 2, 3]);
        let delivery = hook.until("delivered_through_seq", json!(3)).await;
        assert!(delivery["failing_since"].is_null() && delivery["missing"].is_null());
        let audited = hook.admin.get("/v1/audit-events?limit=200").await.items();
        assert!(audited.iter().any(|event| event["operation"] == "pause_webhook"), "{audited:#?}");
    }

    async fn a_corrected_url_is_tried_at_once_and_the_failures_of_the_one_before_do_not_count(app: App) {
        let app = opened(app);
        let (old, new) = (Receiver::new().await, Receiver::new().await);
        let hook = Hook::new(&app, &old).await;
        old.answer(|_| Answer::Status(500));
        change(&app, "Ann").await;
        hook.until("failed_attempts", json!(1)).await;
        app.clock.advance(SignedDuration::from_hours(71));
        hook.until("failed_attempts", json!(2)).await;
        // The clock stands still from here on, so a pause would not end.
        hook.set(json!({"url": new.url})).await.expect(200);
        assert_eq!(numbers(&new.until_accepted(1).await), [1]);
        let delivery = hook.until("delivered_through_seq", json!(1)).await;
        assert!(delivery["failing_since"].is_null() && delivery["failed_attempts"] == 0, "{delivery}");
        // Hours of failures at the new one are not days of failures.
        new.answer(|_| Answer::Status(500));
        change(&app, "Bob").await;
        hook.until("failed_attempts", json!(1)).await;
        app.clock.advance(SignedDuration::from_hours(4));
        hook.until("failed_attempts", json!(2)).await;
        assert_eq!(hook.read().await.body["status"], "active");
        // A failure of the new one is forgotten with the next correction, also of a webhook that is paused.
        hook.set(json!({"status": "paused"})).await.expect(200);
        hook.set(json!({"url": old.url})).await.expect(200);
        assert_eq!((hook.delivery().await["failed_attempts"].clone(), hook.read().await.body["status"].clone()), (json!(0), json!("paused")));
    }

    async fn an_attempt_at_the_url_before_does_not_fail_for_the_corrected_one(app: App) {
        let app = opened(app);
        let (old, new) = (Receiver::new().await, Receiver::new().await);
        let hook = Hook::new(&app, &old).await;
        old.answer(|_| Answer::Hang);
        change(&app, "Ann").await;
        old.until_seen(1).await;
        hook.set(json!({"url": new.url})).await.expect(200);
        // The attempt ends by the clock of the machine. That of the service stands still, so a pause would not end.
        assert_eq!(new.until_accepted(1).await.len(), 1);
        let delivery = hook.until("delivered_through_seq", json!(1)).await;
        assert!(delivery["failing_since"].is_null() && delivery["failed_attempts"] == 0, "{delivery}");
        assert_eq!(hook.attempts().await.last().expect("an attempt")["failure"], "timeout");
    }

    async fn a_receiver_that_is_gone_is_paused_at_once(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        receiver.answer(|_| Answer::Status(410));
        change(&app, "Ann").await;
        let paused = hook.until_status("paused").await;
        assert_eq!(paused.body["paused_reason"], "gone");
        assert!(app.mails().await.iter().any(|mail| mail.text.contains("410 Gone")));
        assert_eq!(receiver.seen().len(), 1);
    }

    async fn an_administrator_skips_an_event_that_the_receiver_cannot_take(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        receiver.answer(|request| Answer::Status(if request.seq() == 2 { 422 } else { 200 }));
        app.db(|tx| { write_events(tx, 0, 4); Ok(()) }).await;
        hook.until("failed_attempts", json!(1)).await;
        let skip = async |through: i64| hook.admin.post(&hook.path("/skip"), json!({"through_seq": through})).await;
        for wrong in [0, 5] {
            skip(wrong).await.invalid("/through_seq", "out_of_range");
        }
        let moved = skip(2).await;
        assert_eq!(moved.expect(200).body["delivered_through_seq"], 2);
        assert!(moved.body["next_attempt_at"].is_null());
        assert_eq!(numbers(&receiver.until_accepted(4).await), [1, 3, 4]);
        hook.until("delivered_through_seq", json!(4)).await;
    }

    async fn events_that_were_deleted_while_a_webhook_was_paused_are_named(app: App) {
        let app = opened(app);
        let receiver = Receiver::new().await;
        let hook = Hook::new(&app, &receiver).await;
        app.db(|tx| { write_events(tx, 0, 2); Ok(()) }).await;
        receiver.until_accepted(2).await;
        hook.until("delivered_through_seq", json!(2)).await;
        hook.set(json!({"status": "paused"})).await.expect(200);
        app.db(|tx| { write_events(tx, 2, 5); Ok(()) }).await;
        hook.until("newest_seq", json!(7)).await;
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        change(&app, "Ann").await;
        hook.until("newest_seq", json!(8)).await;
        retention::apply_periodic(&app.env).await;
        hook.set(json!({"status": "active"})).await.expect(200);
        assert_eq!(numbers(&receiver.until_accepted(8).await), [1, 2, 8]);
        let delivery = hook.until("delivered_through_seq", json!(8)).await;
        assert_eq!(delivery["missing"], json!({"from_seq": 3, "through_seq": 7}));
        let attempts = hook.attempts().await;
        let missing = attempts.iter().find(|attempt| attempt["failure"] == "events_expired").expect("an entry of the log");
        assert_eq!((missing["event_seq"].as_i64(), missing["through_seq"].as_i64()), (Some(3), Some(7)));
    }

    async fn a_receiver_that_hangs_delays_no_other(app: App) {
        let app = opened(app);
        let (slow, quick) = (Receiver::new().await, Receiver::new().await);
        let (hook, _other) = (Hook::new(&app, &slow).await, Hook::new(&app, &quick).await);
        slow.answer(|_| Answer::Hang);
        app.db(|tx| { write_events(tx, 0, 5); Ok(()) }).await;
        slow.until_seen(1).await;
        quick.until_accepted(5).await;
        // The attempt ends by the clock of the machine.
        let attempts = eventually(async || match hook.attempts().await {
            attempts if attempts.is_empty() => Err("no attempt".to_owned()),
            attempts => Ok(attempts),
        }).await;
        assert_eq!(attempts[0]["failure"], "timeout");
        assert_eq!(slow.seen().len(), 1);
    }
}
