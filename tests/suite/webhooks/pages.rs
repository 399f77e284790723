//! The pages on which administrators manage webhooks.

use serde_json::json;

use super::receiver::{Answer, Receiver, numbers};
use super::{Hook, change, opened};
use crate::admin_upkeep_pages::{administrator, says, shown};
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::visitor::plain;
use crate::support::{App, both, eventually};

both! {
    async fn a_webhook_is_created_once_changed_paused_and_deleted_on_pages(app: App) {
        let app = opened(app);
        app.clinic().await;
        let (visitor, admin) = (administrator(&app).await, app.admin().await);
        let receiver = Receiver::new().await;
        says(visitor.get("/admin/webhooks?lang=en").await.expect(200), &["None yet."]);
        let new = visitor.get("/admin/webhooks/new?lang=en").await;
        let form = FilledForm::to(&new, "/webhooks/new").with(&[("url", "https://user:word@x.example/"), ("description", "Billing <b>")]);
        let wrong = form.send(&visitor, "/admin/webhooks/new").await;
        says(wrong.expect(422), &["Address: Please check this address", "value=\"Billing <b>\""]);
        let form = FilledForm::to(&wrong, "/webhooks/new").with(&[("url", &receiver.url), ("event_types", "patient.created")]);
        let created = form.send(&visitor, "/admin/webhooks/new").await;
        says(created.expect(201), &["it is not shown again", "Billing <b>"]);
        assert_eq!(created.header("cache-control"), "no-store");
        let secret = shown(&created, "secret");
        assert!(secret.starts_with("whsec_"), "{}", created.text);
        // A browser shows the answer to the second of two clicks.
        let again = form.send(&visitor, "/admin/webhooks/new").await;
        assert_eq!(shown(again.expect(201), "secret"), secret);
        let all = admin.get("/v1/webhooks").await.items();
        assert_eq!((all.len(), &all[0]["event_types"]), (1, &json!(["patient.created"])));
        let path = format!("/admin/webhooks/{}", all[0]["id"].as_str().expect("an id"));
        says(visitor.get("/admin/webhooks?lang=es").await.expect(200), &["Billing <b>", "tipos de eventos: 1", "activo"]);

        // A form that somebody else's change overtook.
        let old = FilledForm::to(&visitor.get(&format!("{path}?lang=en")).await, &path).with(&[("description", "Books")]);
        admin.update(&path.replace("/admin", "/v1"), json!({"event_types": ["appointment.rescheduled"]})).await.expect(200);
        let stale = old.send(&visitor, &path).await;
        says(stale.expect(412), &["Which events: was", "value=\"Books\""]);
        for _ in 0..2 {
            assert_eq!(led_to(&FilledForm::to(&stale, &path).send(&visitor, &path).await), "/admin/webhooks?did=saved&lang=en");
        }
        let page = visitor.get(&format!("{path}/log?lang=en")).await;
        says(page.expect(200), &["Deliveries: Books", "Nothing was sent yet.", &receiver.url, "active"]);
        assert!(!page.text.contains(&secret) && !created.text.contains("Billing <b>"), "{}", page.text);
        for (step, says_so) in [("pause", "paused"), ("resume", "active")] {
            for _ in 0..2 {
                let done = visitor.submit(&page, &format!("{path}/{step}"), &[]).await;
                assert_eq!(led_to(&done), format!("{path}/log?did=saved&lang=en"));
            }
            says(visitor.get(&format!("{path}/log?lang=en")).await.expect(200), &[&format!("State</dt><dd>{says_so}</dd>")]);
        }
        // A secret, once; the earlier one still signs for a week.
        let rotate = FilledForm::to(&page, "/secrets?").with(&[("overlap_hours", "168")]);
        let renewed = rotate.send(&visitor, &format!("{path}/secrets")).await;
        let second = shown(renewed.expect(201), "secret");
        assert_eq!(shown(rotate.send(&visitor, &format!("{path}/secrets")).await.expect(201), "secret"), second);
        assert_ne!(second, secret);
        says(visitor.get(&format!("{path}/log?lang=en")).await.expect(200), &["Stops signing Monday, March 9, 2026"]);
        for _ in 0..2 {
            assert_eq!(led_to(&visitor.submit(&page, &format!("{path}/delete"), &[]).await), "/admin/webhooks?did=saved&lang=en");
        }
        visitor.get(&format!("{path}/log?lang=en")).await.expect(404);
        assert!(admin.get("/v1/webhooks").await.items().is_empty());
    }

    async fn the_page_of_a_webhook_tells_what_was_sent_and_sends_it_again(app: App) {
        let app = opened(app);
        app.clinic().await;
        let (visitor, admin) = (administrator(&app).await, app.admin().await);
        let receiver = Receiver::new().await;
        let hook = Hook::of(&admin, json!({"url": receiver.url, "event_types": ["patient.created"]})).await;
        let path = format!("/admin/webhooks/{}", hook.id);
        let log = async || visitor.get(&format!("{path}/log?lang=en")).await;
        assert_eq!(led_to(&visitor.submit(&log().await, &format!("{path}/test"), &[]).await), format!("{path}/log?did=tested&lang=en"));
        says(log().await.expect(200), &["Test · accepted (204)"]);
        change(&app, "Ann").await;
        let seq = *numbers(&receiver.until_seen(2).await).last().expect("an event");
        let page = eventually(async || match log().await {
            page if plain(&page.text).contains(&format!("Event {seq} · accepted")) => Ok(page),
            page => Err(page.text),
        }).await;
        let again = FilledForm::to(&page, "/redeliveries");
        for _ in 0..2 {
            assert_eq!(led_to(&again.send(&visitor, &format!("{path}/redeliveries")).await), format!("{path}/log?did=again&lang=en"));
        }
        receiver.until_seen(3).await;
        hook.until("redelivery", json!(null)).await;
        let later = eventually(async || match log().await {
            page if plain(&page.text).contains(&format!("Sent again: event {seq} · accepted")) => Ok(page),
            page => Err(page.text),
        }).await;
        assert_eq!(receiver.seen().len(), 3, "sent again once");
        for (from, through) in [("soon", ""), ("9999", ""), ("0", "3"), ("3", "1")] {
            let form = [("from_seq", from), ("through_seq", through)];
            let refused = visitor.submit(&later, &format!("{path}/redeliveries"), &form).await;
            says(refused.expect(422), &["These are not the numbers of such events", "This was not done"]);
        }
        // An event that the receiver refuses is skipped.
        receiver.answer(|_| Answer::Status(500));
        change(&app, "Bob").await;
        let failing = eventually(async || match log().await {
            page if plain(&page.text).contains("Refused by the receiver.</strong> (500)") && page.text.contains("Failing</dt>") => Ok(page),
            page => Err(page.text),
        }).await;
        says(&failing, &["Skip events", "Next attempt:"]);
        says(visitor.submit(&failing, &format!("{path}/skip"), &[("through_seq", "99999")]).await.expect(422), &["These are not the numbers"]);
        let newest = hook.delivery().await["newest_seq"].to_string();
        let skipped = visitor.submit(&failing, &format!("{path}/skip"), &[("through_seq", &newest)]).await;
        assert_eq!(led_to(&skipped), format!("{path}/log?did=skipped&lang=en"));
        assert_eq!(hook.delivery().await["delivered_through_seq"].to_string(), newest);
        visitor.get("/admin/webhooks/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55/log").await.expect(404);
    }

    async fn a_repeated_request_creates_one_webhook_and_shows_the_same_secret(app: App) {
        let admin = app.admin().await;
        let body = json!({"url": "https://systems.example/legwork"});
        let once = async |path: &str, body: &serde_json::Value| admin.post_with(path, body.clone(), &[("Idempotency-Key", "once")]).await;
        let (first, again) = (once("/v1/webhooks", &body).await, once("/v1/webhooks", &body).await);
        assert_eq!((first.expect(201).string("/secret"), first.etag()), (again.expect(201).string("/secret"), again.etag()));
        assert_eq!(admin.get("/v1/webhooks").await.items().len(), 1);
        let secrets = format!("{}/secrets", first.location());
        let (second, repeat) = (once(&secrets, &json!({})).await, once(&secrets, &json!({})).await);
        assert_eq!(second.expect(201).string("/secret"), repeat.expect(201).string("/secret"));
        assert_ne!(second.string("/secret"), first.string("/secret"));
        once("/v1/webhooks", &json!({"url": "https://systems.example/other"})).await.problem(422, "idempotency_key_reused");
    }
}
