//! A time that a registration carries: it is reserved, and verifying the address books it.

use futures_util::future::{join, join_all, join3};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::holds::{hold, is_free};
use crate::support::booking::{booking, path, post_booking};
use crate::support::clinic::free_slots;
use crate::support::people::patient_json;
use crate::support::{App, Client, Clinic, Reply, both};

const CHOSEN: &str = "violet otter hums at dawn";

fn registration(email: &str) -> Value {
    json!({
        "email": email, "relation": "self",
        "patient": {"given_name": "Nia", "family_name": "Newcomer", "date_of_birth": "1967-09-14", "administrative_sex": "female",
            "preferred_language": "en", "interpreter_needed": false},
    })
}

fn with_hold(email: &str, held: &Reply) -> Value {
    let mut body = registration(email);
    body["appointment"] =
        json!({"hold_id": held.body["id"], "hold_secret": held.body["secret"], "note": "I come with a walker."});
    body
}

async fn register(client: &Client, body: Value) -> Reply {
    client.post("/v1/registrations", body).await
}

pub(crate) async fn verify(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/email-verifications", json!({"token": token})).await
}

/// The token of the newest mail that verifies this address.
pub(crate) async fn link(app: &App, email: &str) -> String {
    let mails = app.mails_to(email).await;
    mails.iter().rfind(|mail| mail.text.contains("/verify-email#")).expect("a mail").token()
}

/// Holds the free time with this number without a session, and registers with it.
pub(crate) async fn reserved(app: &App, clinic: &Clinic, nth: usize, email: &str) -> Value {
    let slot = free_slots(&app.anon(), &clinic.check).await[nth].clone();
    let held = hold(&app.anon(), &slot, &clinic.check).await;
    register(&app.anon(), with_hold(email, held.expect(201))).await.expect(202);
    slot
}

/// The records that the desk finds by this name.
async fn found(desk: &Client, name: &str) -> Vec<Value> {
    desk.get(&format!("/v1/patients?q={name}")).await.items()
}

pub(crate) async fn visits(app: &App) -> Vec<Value> {
    app.desk().await.get("/v1/appointments?limit=200").await.items()
}

both! {
    async fn verifying_the_address_books_the_time_that_the_registration_carried(app: App) {
        let clinic = app.clinic().await;
        let (anon, email) = (app.anon(), "nia@patients.example");
        let slot = free_slots(&anon, &clinic.check).await[9].clone();
        let held = hold(&anon, &slot, &clinic.check).await;
        let secret = held.expect(201).string("/secret");
        register(&anon, with_hold(email, &held)).await.expect(202);
        let shown = anon.get_with(&held.location(), &[("Hold-Secret", &secret)]).await;
        assert_eq!(shown.expect(200).body["expires_at"], "2026-03-02T14:30:00Z");
        assert!(shown.body["reserved"] == true && shown.body["renewable"] == false, "{}", shown.text);
        let renewal = anon.send(Method::POST, &format!("{}/renew", held.location()), &[("Hold-Secret", &secret)], None).await;
        renewal.problem(409, "hold_reserved");
        let mail = app.mails_to(email).await.pop().expect("a mail");
        for part in ["11:30 AM", "Check", "1 Main Street, Springfield", "until Monday, March 2, 2026, 9:30 AM (EST)"] {
            assert!(mail.text.contains(part), "{part} in {}", mail.text);
        }
        assert!(!mail.text.contains("walker") && !mail.text.contains(&secret));

        app.clock.advance(SignedDuration::from_mins(20));
        assert!(!is_free(&anon, &slot, &clinic.check).await);
        let verified = verify(&app, &mail.token()).await;
        let visit = &verified.expect(200).body["appointment"];
        assert_eq!((&visit["starts_at"], &visit["status"]), (&slot["starts_at"], &json!("booked")));
        assert!(visit["note"] == "I come with a walker." && verified.body.get("not_booked").is_none(), "{}", verified.text);
        let confirmation = app.mails_to(email).await.pop().expect("a mail");
        assert!(confirmation.raw.contains("text/calendar"));
        assert_eq!(verified.body["email"], email);
        // The same click again, and again after the password was set.
        let again = verify(&app, &mail.token()).await;
        assert_eq!(again.expect(200).body, json!({"appointment": visit}));
        let password = json!({"token": verified.string("/password_token"), "new_password": CHOSEN});
        anon.post("/v1/password-resets/confirm", password).await.expect(204);
        let nia = app.anon().sign_in(email, CHOSEN).await;
        assert_eq!(nia.get("/v1/appointments").await.items().len(), 1);
        anon.get_with(&held.location(), &[("Hold-Secret", &secret)]).await.problem(404, "not_found");
        // It shows the visit as it is now, while the link would still work.
        nia.post(&path(visit, "/cancel"), json!({"reason": "I am away."})).await.expect(200);
        assert_eq!(verify(&app, &mail.token()).await.expect(200).body["appointment"]["status"], "cancelled");
        app.clock.advance(SignedDuration::from_hours(24));
        verify(&app, &mail.token()).await.invalid("/token", "invalid_token");
    }

    async fn the_mail_about_a_reserved_time_names_the_visit_in_the_readers_language(app: App) {
        let clinic = app.clinic().await;
        let path = format!("/v1/visit-types/{}", clinic.check);
        app.admin().await.update(&path, json!({"public_name_es": "Control breve"})).await.expect(200);
        let slot = free_slots(&app.anon(), &clinic.check).await[9].clone();
        let held = hold(&app.anon(), &slot, &clinic.check).await;
        let mut body = with_hold("nia@patients.example", held.expect(201));
        body["patient"]["preferred_language"] = json!("es");
        register(&app.anon(), body).await.expect(202);
        let mail = app.mails_to("nia@patients.example").await.pop().expect("a mail");
        assert!(mail.text.contains("Control breve") && !mail.text.contains("Check"), "{}", mail.text);
    }

    /// Neither the responses nor the search tell which addresses are registered.
    async fn a_time_is_reserved_alike_for_known_and_unknown_addresses(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        app.desk().await;
        register(&app.anon_at("127.5.5.5"), registration("waits@patients.example")).await.expect(202);
        for _ in 0..6 {
            register(&app.anon(), registration("full@patients.example")).await.expect(202);
        }
        let disabled = app.patient("disabled").await;
        let path = format!("/v1/users/{}", disabled.client.user_id);
        app.admin().await.update(&path, json!({"disabled": true})).await.expect(200);
        let addresses = ["new@patients.example", &ann.email, "desk@clinic.example", "waits@patients.example",
            "full@patients.example", &disabled.email];
        let slots: Vec<Value> = free_slots(&app.anon(), &clinic.check).await.into_iter().step_by(9).take(addresses.len()).collect();
        let mut replies = Vec::new();
        for (number, (slot, email)) in slots.iter().zip(addresses).enumerate() {
            let stranger = if number < 3 { app.anon() } else { app.anon_at("127.7.7.7") };
            let held = hold(&stranger, slot, &clinic.check).await;
            let reply = register(&app.anon(), with_hold(email, held.expect(201))).await;
            replies.push((reply.expect(202).text.clone(), stranger.get_with(&held.location(), &[("Hold-Secret", &held.string("/secret"))]).await));
        }
        for (text, shown) in &replies {
            assert_eq!((text.as_str(), &shown.expect(200).body["expires_at"]), ("", &json!("2026-03-02T14:30:00Z")));
        }
        app.clock.advance(SignedDuration::from_mins(29));
        for slot in &slots {
            assert!(!is_free(&app.anon(), slot, &clinic.check).await, "{slot}");
        }
        app.clock.advance(SignedDuration::from_mins(1));
        for slot in &slots[1..] {
            assert!(is_free(&app.anon(), slot, &clinic.check).await, "{slot}");
        }
        let told = app.mails_to(&ann.email).await.pop().expect("a mail").text;
        assert!(told.contains("It is reserved until Monday, March 2, 2026, 9:30 AM (EST)"), "{told}");
        assert!(visits(&app).await.is_empty());
    }

    async fn the_owner_of_a_known_address_signs_in_and_takes_the_reserved_time(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let slot = free_slots(&app.anon(), &clinic.check).await[3].clone();
        let held = hold(&app.anon(), &slot, &clinic.check).await;
        register(&app.anon(), with_hold(&ann.email, held.expect(201))).await.expect(202);
        app.clock.advance(SignedDuration::from_mins(20));
        let mut body = booking(&slot, &clinic.check, &ann.patient_id);
        (body["hold_id"], body["hold_secret"]) = (held.body["id"].clone(), held.body["secret"].clone());
        post_booking(&ann, body).await.expect(201);
    }

    async fn a_reservation_that_lapsed_verifies_the_address_and_offers_other_times(app: App) {
        let clinic = app.clinic().await;
        let email = "nia@patients.example";
        let slot = reserved(&app, &clinic, 9, email).await;
        app.clock.advance(SignedDuration::from_mins(30));
        let token = link(&app, email).await;
        let verified = verify(&app, &token).await;
        let missed = &verified.expect(200).body["not_booked"];
        assert_eq!(missed["code"], "hold_lapsed");
        // The time is free again, and the first that is offered.
        assert_eq!(missed["next_free"][0]["id"], slot["id"]);
        assert!(verified.body.get("appointment").is_none() && visits(&app).await.is_empty());
        // A second click says the same, without a second token for a password.
        let again = verify(&app, &token).await;
        assert_eq!(again.expect(200).body["not_booked"], *missed);
        assert!(again.body.get("password_token").is_none());
        let password = json!({"token": verified.string("/password_token"), "new_password": CHOSEN});
        app.anon().post("/v1/password-resets/confirm", password).await.expect(204);
        let nia = app.anon().sign_in(email, CHOSEN).await;
        let patient = nia.get("/v1/me").await.body["patients"][0]["id"].as_str().expect("an id").to_owned();
        post_booking(&nia, booking(&missed["next_free"][0], &clinic.check, &patient)).await.expect(201);
    }

    async fn a_kind_of_visit_that_is_not_booked_any_more_has_no_other_times(app: App) {
        let (clinic, admin, desk, ann) = (app.clinic().await, app.admin().await, app.desk().await, app.patient("ann").await);
        let email = "nia@patients.example";
        let slot = reserved(&app, &clinic, 9, email).await;
        let token = link(&app, email).await;
        let kind = format!("/v1/visit-types/{}", clinic.check);
        // Staff still book it.
        admin.update(&kind, json!({"online_bookable": false})).await.expect(200);
        let mut gone = booking(&slot, &clinic.check, &ann.patient_id);
        gone["slot_id"] = json!(clinic.practitioner_id);
        let refused = post_booking(&ann, gone.clone()).await;
        assert_eq!(refused.problem(409, "slot_taken")["next_free"], json!([]));
        let refused = post_booking(&desk, gone).await;
        assert_eq!(refused.problem(409, "slot_taken")["next_free"].as_array().map(Vec::len), Some(5));
        admin.update(&kind, json!({"active": false})).await.expect(200);
        let verified = verify(&app, &token).await;
        let missed = &verified.expect(200).body["not_booked"];
        assert_eq!((&missed["code"], &missed["next_free"]), (&json!("not_offered"), &json!([])), "{}", verified.text);
    }

    async fn the_link_of_a_missed_time_books_one_of_the_other_times(app: App) {
        let clinic = app.clinic().await;
        let email = "nia@patients.example";
        let slot = reserved(&app, &clinic, 9, email).await;
        let token = link(&app, email).await;
        let at = |token: &str, slot: &Value| json!({"token": token, "slot_id": slot["id"]});
        let ask = async |body: Value| app.anon().post("/v1/email-verifications", body).await;
        // Until the link is followed, its own time counts.
        ask(at(&token, &slot)).await.invalid("/slot_id", "forbidden_field");
        app.clock.advance(SignedDuration::from_mins(30));
        let offered = verify(&app, &token).await.body["not_booked"]["next_free"].clone();
        let [first, second] = [&offered[0], &offered[1]];
        // Somebody else is faster.
        let ann = app.patient("ann").await;
        post_booking(&ann, booking(first, &clinic.check, &ann.patient_id)).await.expect(201);
        let late = ask(at(&token, first)).await;
        assert_eq!(late.expect(200).body["not_booked"]["code"], "slot_taken");
        let others = late.body["not_booked"]["next_free"].as_array().expect("other times");
        assert!(others.len() > 1 && others.iter().all(|other| other["id"] != first["id"]), "{}", late.text);
        ask(json!({"token": token, "slot_id": clinic.practitioner_id})).await.expect(200);
        let booked = ask(at(&token, second)).await;
        assert_eq!(booked.expect(200).string("/appointment/starts_at"), second["starts_at"]);
        assert_eq!(booked.body["appointment"]["note"], "I come with a walker.");
        assert!(booked.body.get("password_token").is_none());
        // The link is now one that has booked its visit.
        for body in [at(&token, &others[1]), json!({"token": token})] {
            assert_eq!(ask(body).await.expect(200).body["appointment"]["id"], booked.body["appointment"]["id"]);
        }
        assert_eq!(visits(&app).await.len(), 2);
        let code = booked.string("/appointment/confirmation_code");
        assert!(app.mails_to(email).await.last().expect("a mail").text.contains(&code));
    }

    async fn of_many_other_times_chosen_at_once_a_missed_link_books_one(app: App) {
        let clinic = app.clinic().await;
        let email = "nia@patients.example";
        reserved(&app, &clinic, 9, email).await;
        let token = link(&app, email).await;
        app.clock.advance(SignedDuration::from_mins(30));
        let offered = verify(&app, &token).await.body["not_booked"]["next_free"].clone();
        let offered = offered.as_array().expect("times");
        let replies = join_all((0..12).map(|turn| {
            let body = json!({"token": token, "slot_id": offered[turn % offered.len()]["id"]});
            let anon = app.anon();
            async move { anon.post("/v1/email-verifications", body).await }
        }))
        .await;
        let booked = &visits(&app).await;
        assert_eq!(booked.len(), 1);
        for reply in &replies {
            assert_eq!(reply.expect(200).body["appointment"]["id"], booked[0]["id"], "{}", reply.text);
        }
    }

    async fn a_time_that_cannot_be_booked_any_more_verifies_the_address_and_says_why(app: App) {
        let clinic = app.clinic().await;
        let admin = app.admin().await;
        reserved(&app, &clinic, 9, "one@patients.example").await;
        let slot = reserved(&app, &clinic, 60, "two@patients.example").await;
        let away = json!({
            "kind": "time_off", "starts_at": slot["starts_at"], "ends_at": slot["ends_at"], "reason": "Ill",
        });
        admin.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), away).await.expect(201);
        let missed = verify(&app, &link(&app, "two@patients.example").await).await;
        assert_eq!(missed.expect(200).body["not_booked"]["code"], "hold_lapsed");
        let visit_type = format!("/v1/visit-types/{}", clinic.check);
        admin.update(&visit_type, json!({"online_bookable": false})).await.expect(200);
        let missed = verify(&app, &link(&app, "one@patients.example").await).await;
        assert_eq!(missed.expect(200).body["not_booked"]["code"], "not_online_bookable");
        assert!(missed.body["password_token"].is_string() && visits(&app).await.is_empty());
    }

    async fn a_registration_with_a_hold_that_is_gone_is_refused_for_every_address(app: App) {
        let clinic = app.clinic().await;
        let (anon, ann) = (app.anon(), app.patient("ann").await);
        let slots = free_slots(&anon, &clinic.check).await;
        let held = hold(&anon, &slots[3], &clinic.check).await;
        let mut wrong = with_hold("new@patients.example", held.expect(201));
        wrong["appointment"]["hold_secret"] = json!("a guess");
        register(&anon, wrong).await.problem(409, "hold_lapsed");
        let mut long = with_hold("new@patients.example", &held);
        long["appointment"]["hold_secret"] = json!("x".repeat(129));
        register(&anon, long).await.invalid("/appointment/hold_secret", "too_long");
        // The hold of an account has no secret.
        let hers = hold(&ann, &slots[5], &clinic.check).await;
        let mut taken = with_hold("new@patients.example", &held);
        taken["appointment"]["hold_id"] = hers.expect(201).body["id"].clone();
        register(&anon, taken).await.problem(409, "hold_lapsed");
        app.clock.advance(SignedDuration::from_mins(10));
        let mut told = Vec::new();
        for email in ["new@patients.example", ann.email.as_str()] {
            let reply = register(&anon, with_hold(email, &held)).await;
            let problem = reply.problem(409, "hold_lapsed");
            assert_eq!(problem["pointer"], "/appointment/hold_id");
            assert_eq!(problem["next_free"][0]["id"], slots[3]["id"]);
            let mut problem = problem.clone();
            problem.as_object_mut().expect("an object").remove("request_id");
            told.push(problem);
        }
        assert_eq!(told[0], told[1]);
        assert!(app.mails_to("new@patients.example").await.is_empty());
    }

    async fn a_used_link_shows_the_visit_until_staff_revoke_its_links_or_the_account_has_another_address(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        for (nth, email) in [(9, "nia@patients.example"), (12, "noa@patients.example")] {
            reserved(&app, &clinic, nth, email).await;
            let token = link(&app, email).await;
            let first = verify(&app, &token).await.expect(200).body.clone();
            assert_eq!(verify(&app, &token).await.expect(200).body["appointment"], first["appointment"]);
            if nth == 9 {
                desk.delete(&path(&first["appointment"], "/links")).await.expect(204);
            } else {
                let password = json!({"token": first["password_token"], "new_password": CHOSEN});
                app.anon().post("/v1/password-resets/confirm", password).await.expect(204);
                assert_eq!(verify(&app, &token).await.expect(200).body["appointment"], first["appointment"]);
                let noa = app.anon().sign_in(email, CHOSEN).await;
                let change = json!({"new_email": "other@patients.example", "current_password": CHOSEN});
                noa.post("/v1/me/email", change).await.expect(202);
                let proof = app.mails_to("other@patients.example").await.pop().expect("a mail").token();
                let body = json!({"token": proof, "current_password": CHOSEN});
                app.anon().post("/v1/email-verifications", body).await.expect(204);
            }
            verify(&app, &token).await.invalid("/token", "invalid_token");
        }
    }

    async fn two_clicks_at_once_book_once(app: App) {
        let clinic = app.clinic().await;
        let email = "nia@patients.example";
        reserved(&app, &clinic, 9, email).await;
        let token = link(&app, email).await;
        let replies = join_all((0..8).map(|_| verify(&app, &token))).await;
        let booked = replies[0].expect(200).body["appointment"]["id"].clone();
        assert!(booked.is_string());
        for reply in &replies {
            assert_eq!(reply.expect(200).body["appointment"]["id"], booked);
        }
        assert_eq!(replies.iter().filter(|reply| reply.body["password_token"].is_string()).count(), 1);
        assert_eq!(visits(&app).await.len(), 1);
        let confirmations = app.mails_to(email).await;
        assert_eq!(confirmations.iter().filter(|mail| mail.raw.contains("text/calendar")).count(), 1);
    }

    async fn another_registration_with_the_same_hold_does_not_prolong_the_reservation_and_replaces_a_mistyped_address(app: App) {
        let clinic = app.clinic().await;
        let (anon, desk) = (app.anon(), app.desk().await);
        let slot = free_slots(&anon, &clinic.check).await[9].clone();
        let held = hold(&anon, &slot, &clinic.check).await;
        register(&anon, with_hold("mistyped@patients.example", held.expect(201))).await.expect(202);
        let mistyped = link(&app, "mistyped@patients.example").await;
        app.clock.advance(SignedDuration::from_mins(20));
        register(&anon, with_hold("nia@patients.example", &held)).await.expect(202);
        // Whoever owns the first mailbox has neither the visit nor the record.
        verify(&app, &mistyped).await.invalid("/token", "invalid_token");
        assert_eq!(found(&desk, "Newcomer").await.len(), 1);
        let mail = app.mails_to("nia@patients.example").await.pop().expect("a mail");
        assert!(mail.text.contains("until Monday, March 2, 2026, 9:30 AM (EST)"), "{}", mail.text);
        verify(&app, &mail.token()).await.expect(200).string("/appointment/id");
        verify(&app, &mistyped).await.invalid("/token", "invalid_token");
        assert_eq!(visits(&app).await.len(), 1);
    }

    async fn the_link_of_an_earlier_registration_with_the_same_hold_is_void_whatever_the_new_address_is(app: App) {
        let clinic = app.clinic().await;
        let (ann, full) = (app.patient("ann").await, app.patient("full").await);
        // One more gets no mail in this hour.
        for _ in 0..10 {
            register(&app.anon(), registration(&full.email)).await.expect(202);
        }
        let mails = app.mails_to(&full.email).await.len();
        for (nth, second) in ["unknown@patients.example", &ann.email, &full.email].into_iter().enumerate() {
            let own = format!("own{nth}@patients.example");
            let slot = free_slots(&app.anon(), &clinic.check).await[9].clone();
            let held = hold(&app.anon(), &slot, &clinic.check).await;
            register(&app.anon(), with_hold(&own, held.expect(201))).await.expect(202);
            register(&app.anon(), with_hold(second, &held)).await.expect(202);
            verify(&app, &link(&app, &own).await).await.invalid("/token", "invalid_token");
        }
        assert_eq!(app.mails_to(&full.email).await.len(), mails);
    }

    async fn a_corrected_address_leaves_what_others_registered_at_the_mistyped_one(app: App) {
        let clinic = app.clinic().await;
        let (anon, owner, desk) = (app.anon(), app.anon_at("127.5.5.5"), app.desk().await);
        let mut other = registration("mistyped@patients.example");
        other["patient"]["family_name"] = json!("Owner");
        register(&owner, other).await.expect(202);
        let owners = link(&app, "mistyped@patients.example").await;
        let slot = free_slots(&anon, &clinic.check).await[9].clone();
        let held = hold(&anon, &slot, &clinic.check).await;
        register(&anon, with_hold("mistyped@patients.example", held.expect(201))).await.expect(202);
        let mistyped = link(&app, "mistyped@patients.example").await;
        register(&anon, with_hold("nia@patients.example", &held)).await.expect(202);
        verify(&app, &mistyped).await.invalid("/token", "invalid_token");
        assert_eq!((found(&desk, "Owner").await.len(), found(&desk, "Newcomer").await.len()), (1, 1));
        verify(&app, &owners).await.expect(200).string("/password_token");
        verify(&app, &link(&app, "nia@patients.example").await).await.expect(200).string("/appointment/id");
    }

    async fn a_registration_that_waits_in_its_link_and_a_link_that_is_sent_again_book_their_time(app: App) {
        let clinic = app.clinic().await;
        let (email, owner) = ("nia@patients.example", app.anon_at("127.5.5.5"));
        register(&app.anon(), registration(email)).await.expect(202);
        let slot = free_slots(&owner, &clinic.check).await[9].clone();
        let held = hold(&owner, &slot, &clinic.check).await;
        let mut body = with_hold(email, held.expect(201));
        body["patient"]["given_name"] = json!("Nora");
        register(&owner, body).await.expect(202);
        owner.post("/v1/email-verifications/resend", json!({"email": email})).await.expect(202);
        let mail = app.mails_to(email).await.pop().expect("a mail");
        assert!(mail.text.contains("Registered by: Nora Newcomer") && mail.text.contains("11:30 AM"), "{}", mail.text);
        let verified = verify(&app, &mail.token()).await;
        let patient = verified.expect(200).string("/appointment/patient_id");
        let desk = app.desk().await;
        assert_eq!(desk.get(&format!("/v1/patients/{patient}")).await.expect(200).body["given_name"], "Nora");
        // A mail that is sent after the reservation has lapsed does not name it.
        reserved(&app, &clinic, 30, "late@patients.example").await;
        app.clock.advance(SignedDuration::from_mins(40));
        app.anon().post("/v1/email-verifications/resend", json!({"email": "late@patients.example"})).await.expect(202);
        let mail = app.mails_to("late@patients.example").await.pop().expect("a mail");
        assert!(!mail.text.contains("We keep this time"), "{}", mail.text);
        assert_eq!(verify(&app, &mail.token()).await.expect(200).body["not_booked"]["code"], "hold_lapsed");
    }

    async fn a_parent_books_for_a_child_before_there_is_an_account(app: App) {
        let clinic = app.clinic().await;
        let email = "rosa@patients.example";
        let slot = free_slots(&app.anon(), &clinic.check).await[9].clone();
        let held = hold(&app.anon(), &slot, &clinic.check).await;
        let mut body = with_hold(email, held.expect(201));
        (body["relation"], body["name"]) = (json!("parent"), json!("Rosa Newcomer"));
        (body["patient"]["given_name"], body["patient"]["date_of_birth"]) = (json!("Leo"), json!("2015-09-14"));
        register(&app.anon(), body).await.expect(202);
        verify(&app, &link(&app, email).await).await.expect(200).string("/appointment/id");
        assert_eq!(visits(&app).await.len(), 1);
    }

    /// Whatever comes first: nothing is booked twice, nothing deadlocks, and the losers are told so.
    async fn a_reservation_a_booking_and_a_move_that_race_for_one_time_have_one_winner(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let bob = desk.post("/v1/patients", patient_json("Bob", "bob@patients.example")).await.expect(201).id();
        let slots = free_slots(&desk, &clinic.check).await;
        let moving = post_booking(&desk, booking(&slots[40], &clinic.check, &bob)).await;
        let moving = moving.expect(201).body.clone();
        for turn in 0..4 {
            let (slot, stranger) = (&slots[turn * 2], app.anon_at(&format!("127.6.{turn}.1")));
            let held = hold(&stranger, slot, &clinic.check).await;
            let email = format!("nia-{turn}@patients.example");
            let mut body = booking(slot, &clinic.check, &ann.patient_id);
            (body["hold_id"], body["hold_secret"]) = (held.expect(201).body["id"].clone(), held.body["secret"].clone());
            let released = async {
                if turn % 2 == 1 {
                    stranger.send(Method::DELETE, &held.location(), &[("Hold-Secret", &held.string("/secret"))], None).await;
                }
            };
            let (rescheduled, to) = (path(&moving, "/reschedule"), json!({"slot_id": slot["id"]}));
            let requests = join3(
                register(&stranger, with_hold(&email, &held)),
                post_booking(&ann, body),
                desk.post(&rescheduled, to),
            );
            let ((registered, booked, moved), ()) = join(requests, released).await;
            assert!([202, 409].contains(&registered.status), "{}", registered.text);
            assert!([200, 409].contains(&moved.status) && [201, 409].contains(&booked.status), "{} {}", moved.text, booked.text);
            let mut won = usize::from(moved.status == 200) + usize::from(booked.status == 201);
            if registered.status == 202 {
                let verified = verify(&app, &link(&app, &email).await).await;
                won += usize::from(verified.expect(200).body["appointment"].is_object());
            }
            // A hold that is released meanwhile may leave the time to nobody.
            assert!(won == 1 || (won == 0 && turn % 2 == 1), "{won}: {} {} {}", registered.text, booked.text, moved.text);
            let there = visits(&app).await;
            let at_once = there.iter().filter(|visit| visit["starts_at"] == slot["starts_at"]).count();
            assert_eq!(at_once, won, "{there:#?}");
        }
    }

    async fn a_reservation_counts_as_a_hold_of_its_address_and_day(app: App) {
        let clinic = app.clinic().await;
        let anon = app.anon();
        for turn in 0..4 {
            reserved(&app, &clinic, 9 * turn, &format!("nia-{turn}@patients.example")).await;
        }
        app.clock.advance(SignedDuration::from_mins(15));
        let slot = free_slots(&anon, &clinic.check).await[50].clone();
        hold(&anon, &slot, &clinic.check).await.problem(409, "hold_limit");
        let last = link(&app, "nia-3@patients.example").await;
        verify(&app, &last).await.expect(200).string("/appointment/id");
        hold(&anon, &slot, &clinic.check).await.expect(201);
    }
}
