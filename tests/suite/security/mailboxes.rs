//! Row 3: limits of mails to one mailbox, and which mails its owner still gets.

use diesel::prelude::*;
use futures_util::future::join_all;
use jiff::SignedDuration;
use legwork::accounts::store::find_by_email;
use legwork::accounts::{notices, purge};
use legwork::clock::Timestamp;
use legwork::db::schema::{address_requests, messages};
use legwork::env::Env;
use legwork::messages::model::{Envelope, Mail as Content, Recipient, SecurityEvent};
use legwork::messages::outbox;
use serde_json::{Value, json};

use super::second_factor::enrol;
use crate::support::clinic::free_slots;
use crate::support::intakes::{ON_CALL, begin, save};
use crate::support::mails::Mail;
use crate::support::smtp::Smtp;
use crate::support::{App, Client, Patient, Reply, book, both};

const PASSWORD: &str = "violet otter hums at dawn";

fn registration(email: &str) -> Value {
    json!({
        "email": email, "relation": "self",
        "patient": {"given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14",
            "administrative_sex": "female", "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false},
    })
}

async fn ask_for_reset(app: &App, email: &str) {
    app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
}

/// The number of messages to an address, in any case.
async fn written(app: &App, email: &str) -> usize {
    let email = email.to_lowercase();
    let all: Vec<Option<String>> = app.db(|tx| Ok(messages::table.select(messages::email).load(tx)?)).await;
    all.into_iter().flatten().filter(|address| address.to_lowercase() == email).count()
}

async fn cancel(client: &Client, appointment: &Reply) {
    let path = format!("/v1/appointments/{}/cancel", appointment.id());
    client.post(&path, json!({"reason": "other plans"})).await.expect(200);
}

fn method(mail: &Mail) -> &str {
    let calendar = mail.ics.as_deref().expect("an invitation");
    calendar.lines().find_map(|line| line.strip_prefix("METHOD:")).expect("a method")
}

/// A patient whose mailbox got two mails about appointments in this hour, with a limit of six.
async fn busy_mailbox(app: &App, slots: &[Value], check: &str) -> Patient {
    let (ann, desk) = (app.patient("ann").await, app.desk().await);
    for slot in &slots[..2] {
        book(&desk, slot, check, &ann.patient_id).await.expect(201);
        app.mails().await;
    }
    assert_eq!(app.mails_to(&ann.email).await.len(), 2);
    ann
}

both! {
    async fn row_03_registrations_by_strangers_leave_the_owners_reset_link_valid(app: App) {
        let ann = app.patient("ann").await;
        for _ in 0..8 {
            app.anon().post("/v1/registrations", registration(&ann.email)).await.expect(202);
        }
        assert_eq!(app.mails_to(&ann.email).await.len(), 5);
        ask_for_reset(&app, &ann.email).await;
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 6, "no other kind of mail uses the reset's number up");
        // Repeated requests by a stranger use up that number as well; the last mailed link stays valid.
        for _ in 0..9 {
            ask_for_reset(&app, &ann.email).await;
        }
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 10);
        let body = json!({"token": mails[9].token(), "new_password": PASSWORD});
        app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
    }

    async fn row_03_an_owner_gets_another_link_if_a_thief_has_voided_the_last_one(app: App) {
        let ann = app.patient("ann").await;
        for _ in 0..6 {
            ask_for_reset(&app, &ann.email).await;
        }
        // A thief who knows the password changes it, which voids the links.
        let change = json!({"current_password": crate::support::people::PASSWORD, "new_password": "a thief's own password"});
        ann.post("/v1/me/password", change).await.expect(204);
        let resets = async || -> Vec<Mail> {
            let mails = app.mails_to(&ann.email).await;
            mails.into_iter().filter(|mail| mail.text.contains("#token=")).collect()
        };
        assert_eq!(resets().await.len(), 5);
        for _ in 0..3 {
            ask_for_reset(&app, &ann.email).await;
        }
        let mails = resets().await;
        assert_eq!(mails.len(), 6, "one beyond the limit, and no more while its link works");
        let body = json!({"token": mails[5].token(), "new_password": PASSWORD});
        app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
        ann.get("/v1/me").await.expect(401);
    }

    async fn row_03_a_thief_who_changes_the_password_again_and_again_keeps_no_reset_link_from_the_owner(app: App) {
        let ann = app.patient("ann").await;
        let mut password = crate::support::people::PASSWORD.to_owned();
        let mut changes = 0;
        for n in 0..30 {
            ask_for_reset(&app, &ann.email).await;
            let next = format!("a thief's password number {n}");
            let changed = ann.post("/v1/me/password", json!({"current_password": password, "new_password": next})).await;
            if changed.status == 204 {
                (password, changes) = (next, changes + 1);
            } else {
                changed.problem(429, "too_many_changes");
                assert_eq!(changed.header("retry-after"), "3600");
            }
        }
        assert_eq!(changes, 5);
        // Some minutes later the owner asks, and gets a link at once or has one already.
        app.clock.advance(SignedDuration::from_mins(5));
        ask_for_reset(&app, &ann.email).await;
        ann.post("/v1/me/password", json!({"current_password": password, "new_password": "one more password of a thief"}))
            .await
            .problem(429, "too_many_changes");
        let mails: Vec<Mail> = app.mails_to(&ann.email).await;
        let link = mails.iter().rfind(|mail| mail.text.contains("#token=")).expect("a link").token();
        app.anon().post("/v1/password-resets/confirm", json!({"token": link, "new_password": PASSWORD})).await.expect(204);
        ann.get("/v1/me").await.expect(401);
        // The thief's changes do not count against the owner.
        let owner = app.anon().sign_in(&ann.email, PASSWORD).await;
        let change = json!({"current_password": PASSWORD, "new_password": "amber heron waits by the weir"});
        owner.post("/v1/me/password", change).await.expect(204);
    }

    async fn row_03_the_limit_of_changes_ends_an_hour_after_the_last_one(app: App) {
        let ann = app.patient("ann").await;
        let mut password = crate::support::people::PASSWORD.to_owned();
        for n in 0..5 {
            let next = format!("violet otter hums at dawn {n}");
            ann.post("/v1/me/password", json!({"current_password": password, "new_password": next})).await.expect(204);
            password = next;
        }
        let change = json!({"current_password": password, "new_password": PASSWORD});
        ann.post("/v1/me/password", change.clone()).await.problem(429, "too_many_changes");
        app.clock.advance(SignedDuration::from_mins(60));
        let owner = app.anon().sign_in(&ann.email, &password).await;
        owner.post("/v1/me/password", change).await.expect(204);
    }

    async fn row_03_switching_the_second_factor_off_and_on_voids_few_reset_links(app: App) {
        let ann = app.patient("ann").await;
        let off = async |code: &str| {
            let body = json!({"current_password": crate::support::people::PASSWORD, "totp_code": code});
            ann.post("/v1/me/second-factor/disable", body).await
        };
        for _ in 0..5 {
            let (_, codes) = enrol(&app, &ann).await;
            off(&codes[0]).await.expect(204);
        }
        let (_, codes) = enrol(&app, &ann).await;
        ask_for_reset(&app, &ann.email).await;
        off(&codes[0]).await.problem(429, "too_many_changes");
        let mails = app.mails_to(&ann.email).await;
        let link = mails.iter().rfind(|mail| mail.text.contains("#token=")).expect("a link").token();
        app.anon().post("/v1/password-resets/confirm", json!({"token": link, "new_password": PASSWORD})).await.expect(204);
    }

    async fn row_03_an_account_has_few_mails_sent_to_new_addresses_taken_or_not(app: App) {
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let ask = async |address: &str| {
            let body = json!({"current_password": crate::support::people::PASSWORD, "new_email": address});
            ann.post("/v1/me/email", body).await
        };
        for number in 0..4 {
            ask(&format!("stranger{number}@example.org")).await.expect(202);
        }
        ask(&bob.email).await.expect(202);
        for address in ["stranger5@example.org", &bob.email] {
            let refused = ask(address).await;
            refused.problem(429, "too_many_changes");
            assert_eq!(refused.header("retry-after"), "3600");
        }
        assert!(app.mails_to("stranger5@example.org").await.is_empty());
        app.clock.advance(SignedDuration::from_mins(60));
        let ann = app.anon().sign_in(&ann.email, crate::support::people::PASSWORD).await;
        let body = json!({"current_password": crate::support::people::PASSWORD, "new_email": "ann.new@example.org"});
        ann.post("/v1/me/email", body).await.expect(202);
    }

    async fn row_03_reset_links_do_not_wait_while_a_mailbox_is_busy(app: App) {
        let ann = app.patient("ann").await;
        let app = app.restart(&["--max-notices-per-hour", "3"]);
        for _ in 0..5 {
            ask_for_reset(&app, &ann.email).await;
        }
        assert_eq!(app.mails_to(&ann.email).await.len(), 5);
    }

    async fn row_03_another_account_does_not_use_up_the_links_to_an_owners_new_address(app: App) {
        let (ann, mallory) = (app.patient("ann").await, app.patient("mallory").await);
        let body = json!({"current_password": crate::support::people::PASSWORD, "new_email": "new-home@example.org"});
        for _ in 0..5 {
            mallory.post("/v1/me/email", body.clone()).await.expect(202);
        }
        assert_eq!(written(&app, "new-home@example.org").await, 5);
        for _ in 0..3 {
            ann.post("/v1/me/email", body.clone()).await.expect(202);
        }
        let mails = app.mails_to("new-home@example.org").await;
        assert_eq!(mails.len(), 6, "the first link of each account");
        let link = json!({"token": mails[5].token(), "current_password": crate::support::people::PASSWORD});
        app.anon().post("/v1/email-verifications", link).await.expect(204);
        app.anon().sign_in("new-home@example.org", crate::support::people::PASSWORD).await.get("/v1/me").await.expect(200);
    }

    async fn row_08_a_request_about_any_address_ends_with_a_commit(app: App) {
        let ann = app.patient("ann").await;
        let noted = async || app.db(|tx| Ok(address_requests::table.count().get_result::<i64>(tx)?)).await;
        let mut expected = noted().await;
        for email in [ann.email.as_str(), "nobody@example.org"] {
            ask_for_reset(&app, email).await;
            app.anon().post("/v1/email-verifications/resend", json!({"email": email})).await.expect(202);
            app.anon().post("/v1/registrations", registration(email)).await.expect(202);
            expected += 3;
            assert_eq!(noted().await, expected, "{email}");
        }
        app.clock.advance(SignedDuration::from_hours(1));
        let env = app.env.clone();
        app.db(move |tx| purge::round(tx, &env)).await;
        assert_eq!(noted().await, 0, "they are only kept for hours");
    }

    async fn row_03_parallel_resets_send_no_more_mails_than_sequential_ones(app: App) {
        let ann = app.patient("ann").await;
        join_all((0..20).map(|_| ask_for_reset(&app, &ann.email))).await;
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 5);
        let mut good = 0;
        for mail in &mails {
            let body = json!({"token": mail.token(), "new_password": PASSWORD});
            good += usize::from(app.anon().post("/v1/password-resets/confirm", body).await.status == 204);
        }
        assert_eq!(good, 1, "one of the links works: the last");
    }

    async fn row_03_an_address_in_another_case_is_the_same_mailbox(app: App) {
        for email in ["new@example.org", "New@example.org", "nEw@example.org", "neW@example.org", "NEw@example.org", "NEW@example.org", "new@Example.org"] {
            app.anon().post("/v1/registrations", registration(email)).await.expect(202);
        }
        assert_eq!(written(&app, "new@example.org").await, 5);
    }

    async fn row_03_addresses_with_a_tag_are_the_same_mailbox(app: App) {
        for number in 0..8 {
            app.anon().post("/v1/registrations", registration(&format!("new+{number}@example.org"))).await.expect(202);
            app.anon().post("/v1/registrations", registration(&format!("\"new\"@{number}.example.org"))).await.invalid("/email", "not_an_email");
        }
        let sent: i64 = app.db(|tx| Ok(messages::table.filter(messages::email.like("new%")).count().get_result(tx)?)).await;
        assert_eq!(sent, 5);
        // The tags do not use up the mail of the owner, who has another address.
        app.anon_at("127.5.5.5").post("/v1/registrations", registration("new@example.org")).await.expect(202);
        assert_eq!(written(&app, "new@example.org").await, 1);
    }

    async fn row_03_the_networks_of_one_ipv6_site_do_not_use_up_the_owners_verification_link(app: App) {
        let app = app.restart(&["--behind-proxy", "127.0.0.1"]);
        let ask = async |path: &str, body: Value, from: String| {
            app.anon().post_with(path, body, &[("X-Forwarded-For", &from)]).await.expect(202);
        };
        // Twenty /56 networks of one /48.
        let site = |number: usize| format!("2001:db8:1:{number:x}00::1");
        join_all((1..=20).map(|number| ask("/v1/registrations", registration("new@example.org"), site(number)))).await;
        assert_eq!(written(&app, "new@example.org").await, 5);
        ask("/v1/registrations", registration("new@example.org"), "2001:db8:2::1".into()).await;
        assert_eq!(written(&app, "new@example.org").await, 6);
        // A caller who has another caller's link sent again counts as the one who asked for it.
        ask("/v1/registrations", registration("ann@example.org"), "192.0.2.7".into()).await;
        let again = |_| ask("/v1/email-verifications/resend", json!({"email": "ann@example.org"}), "198.51.100.1".into());
        join_all((1..=20).map(again)).await;
        assert_eq!(written(&app, "ann@example.org").await, 5);
        ask("/v1/registrations", registration("ann@example.org"), "203.0.113.7".into()).await;
        assert_eq!(written(&app, "ann@example.org").await, 6);
    }

    async fn row_08_asking_for_a_new_address_has_the_same_effects_whoever_has_it(app: App) {
        let staff = app.desk().await.get("/v1/me").await.string("/user/email");
        let (known, full) = (app.patient("known").await.email, app.patient("full").await.email);
        for _ in 0..6 {
            app.anon().post("/v1/registrations", registration(&full)).await.expect(202);
            app.anon().post("/v1/registrations", registration("busy@example.org")).await.expect(202);
        }
        let mut seen = Vec::new();
        let asked = ["unknown@example.org", "busy@example.org", known.as_str(), full.as_str(), staff.as_str()];
        for (nth, address) in asked.into_iter().enumerate() {
            let own = app.patient(&format!("own{nth}")).await;
            let second = format!("second{nth}@example.org");
            let ask = async |to: &str| own.post("/v1/me/email", json!({"current_password": crate::support::people::PASSWORD, "new_email": to})).await.status;
            assert_eq!((ask(&second).await, ask(address).await), (202, 202), "{address}");
            let token = app.mails_to(&second).await.pop().expect("a link").token();
            let followed = app.anon().post("/v1/email-verifications", json!({"token": token, "current_password": crate::support::people::PASSWORD})).await;
            seen.push((followed.status, written(&app, &own.email).await));
        }
        assert!(seen.iter().all(|one| *one == seen[0]) && seen[0].0 == 204, "{seen:?}");
    }

    async fn row_03_a_domain_in_another_script_is_the_same_address(app: App) {
        for email in ["new@m\u{fc}nchen.example", "new@M\u{dc}NCHEN.example", "new@xn--mnchen-3ya.example"] {
            app.anon().post("/v1/registrations", registration(email)).await.expect(202);
        }
        assert_eq!(written(&app, "new@xn--mnchen-3ya.example").await, 3);
    }

    /// Otherwise the time of a stranger's own mail would tell whether the address for which they asked with it has an account.
    async fn row_08_a_mail_does_not_wait_for_others_that_were_due_with_it(app: App) {
        let smtp = Smtp::open();
        smtp.be_silent_for("known");
        let app = app.restart(&["--smtp-url", &smtp.url()]);
        let env = app.env.clone();
        app.db(move |tx| {
            for (nth, email) in (0..5).map(|nth| (nth, format!("known{nth}@example.org"))).chain([(5, "own@example.org".to_owned())]) {
                let recipient = Recipient { name: None, email: Some(email), phone: None, language: "en".to_owned() };
                let mail = Content::ResetPassword { token: format!("token-012345678{nth}") };
                outbox::enqueue(tx, &env, &Envelope { recipient, patient_id: None, appointment_id: None, mail })?;
            }
            Ok(())
        })
        .await;
        let seen = smtp.wait_for(1).await;
        assert_eq!(seen[0].1.to, "own@example.org");
    }

    async fn row_08_a_mail_that_strangers_can_cause_is_due_at_a_random_time_within_seconds(app: App) {
        let env = Env { mail_spread: outbox::SPREAD, ..app.env.clone() };
        let now = app.clock.now();
        let due = app
            .db(move |tx| {
                for nth in 0..40 {
                    let recipient = Recipient {
                        name: None, email: Some(format!("stranger{nth}@example.org")), phone: None, language: "en".to_owned(),
                    };
                    let mail = Content::ResetPassword { token: "token-0123456789".into() };
                    outbox::enqueue(tx, &env, &Envelope { recipient, patient_id: None, appointment_id: None, mail })?;
                }
                Ok(messages::table.select(messages::due_at).load::<Timestamp>(tx)?)
            })
            .await;
        let latest = now.plus(SignedDuration::from_millis(outbox::SPREAD.into()));
        let waiting: Vec<_> = due.iter().filter(|due| **due > now).collect();
        // Of those that are due at once, the worker may have leased some.
        assert!(waiting.len() > 30 && waiting.iter().filter(|due| ***due <= latest).count() > 30, "{due:?}");
        let different: std::collections::BTreeSet<_> = waiting.iter().collect();
        assert!(different.len() > 20, "{different:?}");
    }

    async fn row_03_staff_get_an_error_when_a_mailbox_has_had_its_invitations(app: App) {
        let (desk, email) = (app.desk().await, "rosa@example.org");
        let body = crate::support::people::patient_json("Rosa", email);
        let path = format!("/v1/patients/{}/invitations", desk.post("/v1/patients", body).await.expect(201).id());
        let invite = || desk.post(&path, json!({"email": email, "relation": "self"}));
        for _ in 0..10 {
            invite().await.expect(202);
        }
        let refused = invite().await;
        refused.problem(429, "mailbox_full");
        assert_eq!(refused.header("retry-after"), "3600");
        let mails = app.mails_to(email).await;
        assert_eq!(mails.len(), 10);
        // The last link is as valid as before the rejection.
        let body = json!({"token": mails[9].token(), "new_password": PASSWORD, "name": "Rosa Tester"});
        app.anon().post("/v1/invitations/accept", body).await.expect(204);
        app.clock.advance(SignedDuration::from_mins(61));
        desk.post(&path, json!({"email": "other@example.org", "relation": "parent"})).await.expect(202);
    }

    async fn row_03_a_mailbox_gets_one_mail_for_each_sign_in_change_and_a_bounded_number(app: App) {
        let ann = app.patient("ann").await;
        let tell = async |event: SecurityEvent| {
            let (env, email) = (app.env.clone(), ann.email.clone());
            app.db(move |tx| {
                let user = find_by_email(tx, &email)?.expect("ann's account");
                notices::tell(tx, &env, &user, event)
            }).await;
        };
        for _ in 0..40 {
            tell(SecurityEvent::RecoveryCodesRenewed).await;
        }
        assert_eq!(written(&app, &ann.email).await, 10);
        // Other kinds of changes are still notified.
        for _ in 0..3 {
            tell(SecurityEvent::SecondFactorOff).await;
            tell(SecurityEvent::PasswordChanged).await;
        }
        assert_eq!(written(&app, &ann.email).await, 12);
        // More than a third of the hourly limit: the rest is sent a little later.
        assert_eq!(app.mails_to(&ann.email).await.len(), 10);
        app.clock.advance(SignedDuration::from_secs(31));
        assert_eq!(app.mails_to(&ann.email).await.len(), 12);
    }

    async fn row_03_forty_bookings_and_cancellations_within_a_minute_send_few_mails(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slots = free_slots(&app.anon(), &clinic.check).await;
        for slot in slots.iter().take(40) {
            let booked = book(&ann, slot, &clinic.check, &ann.patient_id).await;
            booked.expect(201);
            cancel(&ann, &booked).await;
        }
        let at_once = app.mails_to(&ann.email).await.len();
        assert_eq!(at_once, 10, "a third of the number of an hour");
        assert_eq!(written(&app, &ann.email).await, 80);
        // A visit that is not cancelled is mailed a little later.
        let stays = book(&ann, &slots[50], &clinic.check, &ann.patient_id).await.expect(201).id();
        app.clock.advance(SignedDuration::from_secs(31));
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), at_once + 1);
        let of_it: Vec<_> = mails.iter().filter(|mail| mail.ics.as_ref().is_some_and(|ics| ics.contains(&stays))).collect();
        assert_eq!(of_it.iter().map(|mail| method(mail)).collect::<Vec<_>>(), ["REQUEST"]);
    }

    async fn row_03_a_throttled_mailbox_gets_the_last_state_of_each_visit(app: App) {
        let clinic = app.clinic().await;
        let app = app.restart(&["--max-notices-per-hour", "6"]);
        let slots = free_slots(&app.anon(), &clinic.check).await;
        let ann = busy_mailbox(&app, &slots, &clinic.check).await;
        let desk = app.desk().await;
        // Rescheduled before its booking was mailed: one request, with the sequence of the change.
        let moved = book(&desk, &slots[4], &clinic.check, &ann.patient_id).await;
        let path = format!("/v1/appointments/{}/reschedule", moved.expect(201).id());
        desk.post(&path, json!({"slot_id": slots[6]["id"]})).await.expect(200);
        // Cancelled by the clinic before its booking was mailed: still mailed, because the patient may know of the booking.
        let lost = book(&desk, &slots[8], &clinic.check, &ann.patient_id).await;
        lost.expect(201);
        cancel(&desk, &lost).await;
        // Cancelled by the patient before its booking was mailed: no mail is needed.
        let dropped = book(&ann, &slots[10], &clinic.check, &ann.patient_id).await;
        dropped.expect(201);
        cancel(&ann, &dropped).await;
        assert_eq!(app.mails_to(&ann.email).await.len(), 2);
        app.clock.advance(SignedDuration::from_secs(31));
        let mails = app.mails_to(&ann.email).await;
        let said: Vec<_> = mails[2..].iter().map(|mail| (method(mail), mail.ics.as_deref().unwrap_or_default())).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        for (expected, id, sequence) in [("REQUEST", moved.id(), "SEQUENCE:1\r\n"), ("CANCEL", lost.id(), "SEQUENCE:1\r\n")] {
            assert!(
                said.iter().any(|(method, ics)| *method == expected && ics.contains(&id) && ics.contains(sequence)),
                "{expected} of {id} in {said:?}"
            );
        }
        let struck = desk.get("/v1/messages?status=done").await.items();
        assert_eq!(struck.len(), 4);
        assert!(struck.iter().all(|message| message["done"]["by"].is_null() && message["attempts"] == 0), "{struck:?}");
        let first = struck[0]["id"].as_str().expect("an id");
        desk.post_empty(&format!("/v1/messages/{first}/resend")).await.problem(409, "message_done");
    }

    async fn row_03_alerts_that_one_account_causes_do_not_hold_back_the_alert_about_another_patient(app: App) {
        let app = app.restart(&["--urgent-mail-to", ON_CALL, "--max-notices-per-hour", "6"]);
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let path = begin(&ann, &ann.patient_id).await.location();
        let questions = [
            "chest_pain_breathlessness", "sudden_cold_pale_leg", "new_weakness_saddle_bladder_bowel", "acute_unilateral_leg_symptoms",
            "bleeding_vein", "spreading_hot_redness", "self_harm_thoughts",
        ];
        for question in questions {
            save(&ann, &path, json!({"safety": {question: "yes"}})).await;
            app.clock.advance(SignedDuration::from_mins(2));
            app.mails().await;
        }
        let before = app.mails_to(ON_CALL).await.len();
        assert!(before >= 6, "the limit of the hour is reached: {before}");

        let path = begin(&ben, &ben.patient_id).await.location();
        save(&ben, &path, json!({"safety": {"sudden_cold_pale_leg": "yes"}})).await;
        app.clock.advance(SignedDuration::from_mins(2));
        assert_eq!(app.mails_to(ON_CALL).await.len(), before + 1);
        // Alerts within two minutes are one mail.
        for question in ["bleeding_vein", "self_harm_thoughts", "chest_pain_breathlessness"] {
            save(&ben, &path, json!({"safety": {question: "yes"}})).await;
        }
        app.clock.advance(SignedDuration::from_mins(2));
        assert_eq!(app.mails_to(ON_CALL).await.len(), before + 2);
    }

    async fn row_03_mails_about_visits_over_the_hourly_limit_wait_and_none_is_lost(app: App) {
        let clinic = app.clinic().await;
        let app = app.restart(&["--max-notices-per-hour", "6"]);
        let slots = free_slots(&app.anon(), &clinic.check).await;
        let ann = busy_mailbox(&app, &slots, &clinic.check).await;
        let desk = app.desk().await;
        for slot in &slots[2..9] {
            book(&desk, slot, &clinic.check, &ann.patient_id).await.expect(201);
        }
        for (minutes, expected) in [(0, 2), (1, 6), (30, 6), (29, 8), (1, 9)] {
            app.clock.advance(SignedDuration::from_mins(minutes));
            assert_eq!(app.mails_to(&ann.email).await.len(), expected, "{minutes} minutes later");
        }
        // Another mailbox is not affected, nor another kind of mail.
        let bob = app.patient("bob").await;
        book(&desk, &slots[20], &clinic.check, &bob.patient_id).await.expect(201);
        assert_eq!(app.mails_to(&bob.email).await.len(), 1);
        ask_for_reset(&app, &ann.email).await;
        assert_eq!(app.mails_to(&ann.email).await.len(), 10);
    }
}
