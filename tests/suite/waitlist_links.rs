//! The links in the mails with offers, and their page: with its script, and without one through the code in the mail.

use diesel::prelude::*;
use futures_util::future::join_all;
use jiff::SignedDuration;
use legwork::db::schema::{audit_events, users, waitlist_offer_links};
use legwork::ids::UserId;
use serde_json::{Value, json};

use crate::support::booking::{book_nth, path};
use crate::support::browser::{Browser, on_a_phone};
use crate::support::clinic::free_slots;
use crate::support::families::{access, rosa};
use crate::support::mails::Mail;
use crate::support::{App, Client, Clinic, Reply, both};
use crate::waitlist_offers::{of, offers, run, status_of, statuses, wait_for};

/// Offers a free time to a patient who waits for it, and returns the mail about it and the entry.
async fn offered(app: &App, client: &Client, patient: &str, address: &str) -> (Mail, String) {
    let clinic = app.clinic().await;
    offered_in(app, &clinic, client, (patient, address)).await
}

async fn offered_in(app: &App, clinic: &Clinic, client: &Client, (patient, address): (&str, &str)) -> (Mail, String) {
    let slot = free_slots(client, &clinic.check).await[60].clone();
    let entry = wait_for(client, patient, &clinic.check, &slot, json!({})).await;
    run(app).await;
    let mail = app.mails_to(address).await.pop().expect("a mail");
    assert!(mail.text.contains("https://legwork.example/waitlist-offer#token="), "{}", mail.text);
    (mail, entry)
}

async fn by_link(client: &Client, step: &str, token: &str) -> Reply {
    client.post(&format!("/v1/waitlist-offer-links/{step}"), json!({"token": token})).await
}

async fn type_in(client: &Client, page: &str, code: &str) -> Reply {
    client.post_form(page, &[("code", code)], &[]).await
}

async fn visits(client: &Client, patient: &str) -> Vec<Value> {
    client.get(&format!("/v1/appointments?patient_id={patient}")).await.items()
}

both! {
    async fn a_link_shows_the_offer_and_claims_it_once(app: App) {
        let (ann, desk, anon) = (app.patient("ann").await, app.desk().await, app.anon());
        let (mail, entry) = offered(&app, &ann, &ann.patient_id, &ann.email).await;
        let token = mail.token();
        let offer = offers(&ann, &ann.patient_id).await.remove(0);
        let shown = by_link(&anon, "view", &token).await;
        for member in ["status", "starts_at", "ends_at", "time_zone", "expires_at"] {
            assert_eq!(shown.expect(200).body[member], offer[member], "{member}");
        }
        let about = ["first_name", "practitioner", "appointment_status", "confirmation_code", "replaces"].map(|member| &shown.body[member]);
        assert_eq!(about, [&json!("ann"), &json!("Dr. Ada Vein"), &Value::Null, &Value::Null, &Value::Null]);
        assert_eq!(shown.body["location"]["phone_display"], "(202) 555-0100");
        let mrn = desk.get(&format!("/v1/patients/{}", ann.patient_id)).await.string("/mrn");
        for secret in ["Tester", "1967", &mrn, &ann.patient_id, &ann.email, &entry] {
            assert!(!shown.text.contains(secret), "{secret} in {}", shown.text);
        }
        // Programs that check mails open links.
        anon.get("/waitlist-offer").await.expect(200);
        assert!(visits(&ann, &ann.patient_id).await.is_empty());

        let claimed = by_link(&anon, "claim", &token).await;
        assert_eq!((claimed.expect(200).string("/status"), claimed.string("/appointment_status")), ("claimed".into(), "booked".into()));
        let booked = visits(&ann, &ann.patient_id).await;
        assert_eq!(booked.len(), 1);
        for member in ["starts_at", "confirmation_code"] {
            assert_eq!(booked[0][member], claimed.body[member], "{member}");
        }
        assert_eq!(status_of(&ann, &entry).await, "booked");
        assert_eq!(offers(&ann, &ann.patient_id).await[0]["appointment_id"], booked[0]["id"]);
        for again in ["claim", "view"] {
            assert_eq!(by_link(&anon, again, &token).await.expect(200).body, claimed.body);
        }
        by_link(&anon, "decline", &token).await.problem(409, "offer_ended");
        assert_eq!(app.mails_to(&ann.email).await.len(), 2, "the offer and the booking");

        // The link shows what became of the appointment.
        let other = free_slots(&ann, booked[0]["visit_type_id"].as_str().expect("a type")).await[70].clone();
        ann.post(&path(&booked[0], "/reschedule"), json!({"slot_id": other["id"]})).await.expect(200);
        assert_eq!(by_link(&anon, "claim", &token).await.expect(200).body["starts_at"], other["starts_at"]);
        desk.post(&path(&booked[0], "/cancel"), json!({"reason": "ill"})).await.expect(200);
        assert_eq!(by_link(&anon, "claim", &token).await.expect(200).string("/appointment_status"), "cancelled");
        desk.delete(&path(&booked[0], "/links")).await.expect(204);
        by_link(&anon, "view", &token).await.problem(404, "not_found");
    }

    async fn claims_by_link_by_code_and_by_session_book_one_visit(app: App) {
        let ann = app.patient("ann").await;
        let (mail, _) = offered(&app, &ann, &ann.patient_id, &ann.email).await;
        let (token, code, anon) = (mail.token(), mail.code(), app.anon());
        let claim = of(&offers(&ann, &ann.patient_id).await[0], "/claim");
        let (links, sessions, codes) = tokio::join!(
            join_all((0..12).map(|_| by_link(&anon, "claim", &token))),
            join_all((0..12).map(|_| ann.post_empty(&claim))),
            join_all((0..8).map(|_| type_in(&anon, "/waitlist-offer-claims", &code))),
        );
        let booked = visits(&ann, &ann.patient_id).await;
        assert_eq!(booked.len(), 1);
        for claimed in &links {
            assert_eq!(claimed.expect(200).body["confirmation_code"], booked[0]["confirmation_code"]);
        }
        for claimed in &sessions {
            assert_eq!(claimed.expect(200).body["appointment_id"], booked[0]["id"]);
        }
        for claimed in &codes {
            assert!(claimed.expect(200).text.contains(booked[0]["confirmation_code"].as_str().expect("a code")), "{}", claimed.text);
        }
    }

    async fn an_offer_that_ended_says_how_and_whether_the_patient_still_waits(app: App) {
        let (ann, bob, anon) = (app.patient("ann").await, app.patient("bob").await, app.anon());
        let (mail, entry) = offered(&app, &ann, &ann.patient_id, &ann.email).await;
        let declined = by_link(&anon, "decline", &mail.token()).await;
        assert_eq!((declined.expect(200).string("/status"), &declined.body["is_waiting"]), ("declined".into(), &json!(true)));
        by_link(&anon, "decline", &mail.token()).await.expect(200);
        let ended = by_link(&anon, "claim", &mail.token()).await;
        assert_eq!(ended.problem(409, "offer_ended")["offer_status"], "declined");
        assert_eq!(status_of(&ann, &entry).await, "waiting");
        assert_eq!(statuses(&offers(&ann, &ann.patient_id).await), ["declined"]);

        let (mail, entry) = offered(&app, &bob, &bob.patient_id, &bob.email).await;
        app.clock.advance(SignedDuration::from_hours(3));
        by_link(&anon, "claim", &mail.token()).await.problem(409, "offer_lapsed");
        by_link(&anon, "decline", &mail.token()).await.problem(409, "offer_lapsed");
        let lapsed = by_link(&anon, "view", &mail.token()).await;
        assert_eq!((lapsed.expect(200).string("/status"), &lapsed.body["is_waiting"]), ("lapsed".into(), &json!(true)));
        let page = type_in(&anon, "/waitlist-offer-claims", &mail.code()).await;
        assert!(page.expect(409).text.contains("It is too late to take this time") && page.text.contains("waitlist is kept"), "{}", page.text);
        bob.post_empty(&format!("/v1/waitlist-entries/{entry}/cancel")).await.expect(200);
        assert_eq!(by_link(&anon, "view", &mail.token()).await.expect(200).body["is_waiting"], false);
        let page = type_in(&anon, "/waitlist-offer", &mail.code()).await;
        assert!(page.expect(200).text.contains("We do not offer other times"), "{}", page.text);
    }

    async fn a_claim_by_link_moves_the_later_visit_and_says_so_before(app: App) {
        let (clinic, ann, anon) = (app.clinic().await, app.patient("ann").await, app.anon());
        let later = book_nth(&ann, &clinic.check, 190, &ann.patient_id).await.body;
        let entry = json!({"patient_id": ann.patient_id, "visit_type_id": clinic.check, "appointment_id": later["id"]});
        ann.post("/v1/waitlist-entries", entry).await.expect(201);
        run(&app).await;
        let mail = app.mails_to(&ann.email).await.pop().expect("a mail");
        let shown = by_link(&anon, "view", &mail.token()).await;
        assert_eq!(shown.expect(200).body["replaces"]["starts_at"], later["starts_at"]);
        let page = type_in(&anon, "/waitlist-offer", &mail.code()).await;
        assert!(page.expect(200).text.contains("this later appointment is moved"), "{}", page.text);
        let claimed = by_link(&anon, "claim", &mail.token()).await;
        assert_eq!(claimed.expect(200).body["replaces"], Value::Null);
        let moved = visits(&ann, &ann.patient_id).await;
        assert_eq!((moved.len(), &moved[0]["id"], &moved[0]["starts_at"]), (1, &later["id"], &claimed.body["starts_at"]));
    }

    async fn a_link_ends_with_the_address_the_access_and_the_offered_time(app: App) {
        let (ann, desk, anon) = (app.patient("ann").await, app.desk().await, app.anon());
        let (mail, _) = offered(&app, &ann, &ann.patient_id, &ann.email).await;
        let (token, record) = (mail.token(), format!("/v1/patients/{}", ann.patient_id));
        let unknown = by_link(&anon, "view", "x").await.problem(404, "not_found")["detail"].clone();
        desk.update(&record, json!({"email": "ANN@patients.example"})).await.expect(200);
        by_link(&anon, "view", &token).await.expect(200);
        desk.update(&record, json!({"email": "anne@patients.example"})).await.expect(200);
        for step in ["view", "claim", "decline"] {
            assert_eq!(by_link(&anon, step, &token).await.problem(404, "not_found")["detail"], unknown);
        }
        type_in(&anon, "/waitlist-offer-claims", &mail.code()).await.expect(404);

        let (rosa, tim) = rosa(&app).await;
        let (mail, _) = offered(&app, &rosa, &tim, "rosa@example.org").await;
        let token = mail.token();
        assert_eq!(by_link(&anon, "view", &token).await.expect(200).string("/first_name"), "Tim");
        let id: UserId = rosa.user_id.parse().expect("an id");
        let address = async |email: &'static str| {
            app.db(move |tx| Ok(diesel::update(users::table.find(id)).set(users::email.eq(email)).execute(tx)?)).await;
        };
        address("new@example.org").await;
        by_link(&anon, "claim", &token).await.problem(404, "not_found");
        address("rosa@example.org").await;
        by_link(&anon, "view", &token).await.expect(200);
        desk.delete(&format!("{}/{}", access(&tim), rosa.user_id)).await.expect(204);
        by_link(&anon, "claim", &token).await.problem(404, "not_found");

        let bob = app.patient("bob").await;
        let (mail, _) = offered(&app, &bob, &bob.patient_id, &bob.email).await;
        let claimed = by_link(&anon, "claim", &mail.token()).await;
        let ends: legwork::clock::Timestamp = claimed.expect(200).string("/ends_at").parse().expect("an instant");
        app.clock.set(ends.minus(SignedDuration::from_secs(1)));
        by_link(&anon, "view", &mail.token()).await.expect(200);
        app.clock.set(ends);
        by_link(&anon, "view", &mail.token()).await.problem(404, "not_found");
    }

    async fn a_guardian_claims_by_link_as_with_the_account(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let (mail, _) = offered(&app, &rosa, &tim, "rosa@example.org").await;
        by_link(&app.anon(), "claim", &mail.token()).await.expect(200);
        let booked = visits(&rosa, &tim).await;
        let history = app.desk().await.get(&path(&booked[0], "/history")).await.items();
        assert_eq!(history[0]["by"], "patient");
    }

    async fn a_claim_by_the_link_of_an_entry_that_a_practitioner_made_gives_no_care_relationship(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob, doctor) = (app.patient("ann").await, app.patient("bob").await, app.doctor().await.without_reason());
        for (author, patient, status) in [(&doctor, &ann, 403), (&bob.client, &bob, 200)] {
            let form = json!({"form": "rls-history"});
            let draft = patient.post(&format!("/v1/patients/{}/intakes", patient.patient_id), form).await.expect(201).location();
            let (mail, _) = offered_in(&app, &clinic, author, (&patient.patient_id, &patient.email)).await;
            by_link(&app.anon(), "claim", &mail.token()).await.expect(200);
            doctor.get(&draft).await.expect(status);
        }
    }

    async fn the_page_without_a_script_shows_claims_and_declines_by_the_code(app: App) {
        let (ann, bob, anon) = (app.patient("ann").await, app.patient("bob").await, app.anon());
        let (mail, _) = offered(&app, &ann, &ann.patient_id, &ann.email).await;
        let code = mail.code();
        assert!(mail.html.contains(&code) && mail.text.lines().any(|line| line == "https://legwork.example/waitlist-offer"), "{}", mail.text);
        let shown = type_in(&anon, "/waitlist-offer", &code.to_lowercase().replace('-', " ")).await;
        assert_eq!((shown.expect(200).header("referrer-policy"), shown.header("cache-control")), ("same-origin", "no-store"));
        assert!(shown.text.contains("Dr. Ada Vein") && shown.text.contains("Take this time") && !shown.text.contains("<script"), "{}", shown.text);
        assert!(!shown.text.contains(" hidden>"), "{}", shown.text);
        for page in ["/waitlist-offer", "/waitlist-offer-claims", "/waitlist-offer-refusals"] {
            for headers in [[("Sec-Fetch-Site", "cross-site")], [("Origin", "https://evil.example")]] {
                anon.post_form(page, &[("code", &code)], &headers).await.problem(403, "foreign_form");
            }
        }
        for form in ["/waitlist-offer-claims", "/waitlist-offer-refusals"] {
            assert_eq!(anon.get(form).await.expect(303).header("location"), "waitlist-offer");
            anon.send_raw(reqwest::Method::DELETE, form, &[], vec![]).await.expect(405);
        }
        assert!(visits(&ann, &ann.patient_id).await.is_empty());
        for _ in 0..2 {
            let claimed = type_in(&anon, "/waitlist-offer-claims", &code).await;
            assert!(claimed.expect(200).text.contains("The appointment is booked"), "{}", claimed.text);
        }
        assert_eq!(visits(&ann, &ann.patient_id).await.len(), 1);
        let late = type_in(&anon, "/waitlist-offer-refusals", &code).await;
        assert!(late.expect(409).text.contains("The appointment is booked"), "{}", late.text);
        let recorded = app.db(|conn| {
            let mine = audit_events::table.filter(audit_events::operation.eq("claim_waitlist_offer_link"));
            Ok(mine.filter(audit_events::outcome.eq("success")).count().get_result::<i64>(conn)?)
        });
        assert!(recorded.await >= 1, "the event is stored with the claim");

        let (mail, entry) = offered(&app, &bob, &bob.patient_id, &bob.email).await;
        let declined = anon.post_form("/waitlist-offer-refusals?lang=es", &[("code", &mail.code())], &[]).await;
        assert!(declined.expect(200).text.contains("No quiere esta hora"), "{}", declined.text);
        assert_eq!(status_of(&bob, &entry).await, "waiting");
    }

    async fn wrong_codes_of_offers_are_slowed_down_by_address(app: App) {
        let ann = app.patient("ann").await;
        let code = offered(&app, &ann, &ann.patient_id, &ann.email).await.0.code();
        let (guesser, other) = (app.anon(), app.anon_at("127.0.0.2"));
        type_in(&guesser, "/waitlist-offer", "K7MP").await.expect(422);
        for page in ["/waitlist-offer", "/waitlist-offer-claims", "/waitlist-offer-refusals", "/waitlist-offer", "/waitlist-offer"] {
            assert!(type_in(&guesser, page, "K7MP-3XWD-9CFH").await.expect(404).text.contains("This code does not work"));
        }
        for page in ["/waitlist-offer", "/waitlist-offer-claims", "/waitlist-offer-refusals"] {
            assert_eq!(type_in(&guesser, page, &code).await.expect(429).header("retry-after"), "10");
        }
        type_in(&other, "/waitlist-offer", &code).await.expect(200);
        app.clock.advance(SignedDuration::from_secs(10));
        type_in(&guesser, "/waitlist-offer-claims", &code).await.expect(200);
    }

    async fn a_time_that_cannot_be_booked_any_more_is_refused_and_the_offer_stays(app: App) {
        let (clinic, ann, anon) = (app.clinic().await, app.patient("ann").await, app.anon());
        let (mail, _) = offered_in(&app, &clinic, &ann, (&ann.patient_id, &ann.email)).await;
        // Another kind of visit at the same time, with another practitioner.
        let admin = app.admin().await;
        let practitioner = crate::support::clinic::practitioner(&admin, "Dr. Other", &clinic.location_id, &[&clinic.follow_up]).await;
        let offer = offers(&ann, &ann.patient_id).await.remove(0);
        let at = offer["starts_at"].as_str().expect("a start");
        let free = ann.get(&format!("/v1/slots?visit_type_id={}&practitioner_id={practitioner}&from={at}&limit=1", clinic.follow_up)).await;
        crate::support::booking::book(&ann, &free.items()[0], &clinic.follow_up, &ann.patient_id).await.expect(201);
        by_link(&anon, "claim", &mail.token()).await.problem(409, "patient_busy");
        let page = type_in(&anon, "/waitlist-offer-claims", &mail.code()).await;
        assert!(page.expect(409).text.contains("We could not book this time"), "{}", page.text);
        assert_eq!(by_link(&anon, "view", &mail.token()).await.expect(200).string("/status"), "offered");
    }

    async fn tokens_codes_and_addresses_of_links_are_not_stored_in_clear_text(app: App) {
        let ann = app.patient("ann").await;
        let (mail, _) = offered(&app, &ann, &ann.patient_id, &ann.email).await;
        let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = app.db(|tx| {
            let digests = (waitlist_offer_links::token_hash, waitlist_offer_links::code_digest, waitlist_offer_links::address_digest);
            Ok(waitlist_offer_links::table.select(digests).load(tx)?)
        }).await;
        let digests: Vec<_> = rows.iter().flat_map(|(token, code, address)| [token, code, address]).collect();
        assert_eq!(digests.len(), 3);
        for secret in [mail.token(), mail.code().replace('-', ""), ann.email.clone()] {
            assert!(digests.iter().all(|digest| !digest.windows(8).any(|window| secret.as_bytes().starts_with(window))), "{secret}");
        }
    }
}

/// The link of a mail on the test's server, with the page in a language.
fn page(app: &App, mail: &Mail, language: &str) -> String {
    format!("{}/waitlist-offer?lang={language}#token={}", app.base, mail.token())
}

/// The words that the tests press and read, in both languages.
struct Words {
    free: &'static str,
    take: &'static str,
    booked: &'static str,
    refuse: &'static str,
    refused: &'static str,
    kept: &'static str,
    code: &'static str,
    show: &'static str,
    other: &'static str,
}

const WORDS: [(&str, Words); 2] = [
    (
        "en",
        Words {
            free: "This time is free",
            take: "Take this time",
            booked: "The appointment is booked",
            refuse: "No, thank you",
            refused: "You do not want this time",
            kept: "The place on our waitlist is kept. We write",
            code: "The code in our e\u{2011}mail",
            show: "Show the time",
            other: "Español",
        },
    ),
    (
        "es",
        Words {
            free: "Esta hora está libre",
            take: "Aceptar esta hora",
            booked: "La cita está reservada",
            refuse: "No, gracias",
            refused: "No quiere esta hora",
            kept: "El lugar en nuestra lista de espera se mantiene. Volveremos",
            code: "El código de nuestro correo",
            show: "Ver la hora",
            other: "English",
        },
    ),
];

/// Presses the buttons of a page that shows the offer.
async fn answer(app: &App, phone: &Browser, words: &Words, takes: bool) {
    phone.see(words.free).await;
    phone.see("Dr. Ada Vein").await;
    phone.expect_accessible().await;
    phone.press(if takes { words.take } else { words.refuse }).await;
    phone.see(if takes { words.booked } else { words.refused }).await;
    if !takes {
        phone.see(words.kept).await;
    }
    phone.expect_accessible().await;
    assert!(!phone.text().await.contains(words.take), "nothing is left to press on {}", app.base);
}

#[test]
fn an_offer_is_claimed_and_declined_by_its_link_in_both_languages() {
    on_a_phone(async |app: App, phone: Browser| {
        for ((language, words), names) in WORDS.iter().zip([["ann", "bea"], ["carl", "dora"]]) {
            for (name, takes) in names.into_iter().zip([true, false]) {
                let patient = app.patient(name).await;
                let (mail, _) = offered(&app, &patient, &patient.patient_id, &patient.email).await;
                phone.open_page(&page(&app, &mail, language)).await;
                answer(&app, &phone, words, takes).await;
                assert_eq!(visits(&patient, &patient.patient_id).await.len(), usize::from(takes));
                phone.reload().await;
                phone.see(if takes { words.booked } else { words.refused }).await;
            }
        }
        phone.open_page(&format!("{}/waitlist-offer#token=unknown", app.base)).await;
        phone.see("This link does not work any more").await;
        phone.open_page(&format!("{}/waitlist-offer", app.base)).await;
        phone.see("type in its code").await;
        phone.expect_accessible().await;
    });
}

#[test]
fn an_offer_is_claimed_and_declined_by_its_code_without_a_script_in_both_languages() {
    on_a_phone(async |app: App, phone: Browser| {
        phone.without_scripts().await;
        for ((language, words), names) in WORDS.iter().zip([["ann", "bea"], ["carl", "dora"]]) {
            for (name, takes) in names.into_iter().zip([true, false]) {
                let patient = app.patient(name).await;
                let (mail, _) = offered(&app, &patient, &patient.patient_id, &patient.email).await;
                phone.open_page(&page(&app, &mail, language)).await;
                phone.fill(words.code, &mail.code()).await;
                phone.expect_accessible().await;
                phone.press(words.show).await;
                phone.see(words.free).await;
                // The other language and back.
                let other = &WORDS.iter().find(|(other, _)| other != language).expect("two languages").1;
                phone.press(words.other).await;
                phone.see(other.free).await;
                phone.press(other.other).await;
                answer(&app, &phone, words, takes).await;
                assert_eq!(visits(&patient, &patient.patient_id).await.len(), usize::from(takes));
            }
        }
    });
}
