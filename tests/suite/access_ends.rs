//! When access to a patient ends: with the birthday of a minor, after a correction of the birth date, and at another age of adulthood.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use futures_util::future::join3;
use jiff::SignedDuration;
use legwork::clock::Timestamp;
use legwork::db::Conn;
use legwork::db::schema::patient_access;
use legwork::db::types::Date;
use legwork::patients::access::end_times::update_all_ends;
use serde_json::{Value, json};

use crate::merging::merge;
use crate::support::booking::book_nth;
use crate::support::clinic::free_slots;
use crate::support::families::{PASSWORD, access, confirm, person, rosa};
use crate::support::{App, Engine, both, eventually, people};

/// The day on which access to a patient ends.
async fn ends_on(app: &App, patient: &str) -> Option<String> {
    let id: legwork::ids::PatientId = patient.parse().expect("an id");
    let row = move |conn: &mut Conn| {
        let of_patient = patient_access::table.filter(patient_access::patient_id.eq(id));
        Ok(of_patient.select(patient_access::ends_on).first::<Option<Date>>(conn)?)
    };
    app.db(row).await.map(|day| day.0.to_string())
}

both! {
    async fn access_to_a_child_ends_with_the_birthday_in_every_query(app: App) {
        let clinic = app.clinic().await;
        let (rosa, tim) = rosa(&app).await;
        let desk = app.desk().await;
        let slot = free_slots(&rosa, &clinic.check).await.remove(0);
        let booking = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": tim});
        let visit = rosa.post_with("/v1/appointments", booking, &[("Idempotency-Key", "b1")]).await;
        let visit = format!("/v1/appointments/{}", visit.expect(201).id());
        let intake = rosa.post(&format!("/v1/patients/{tim}/intakes"), json!({"form": "rls-history"})).await.expect(201).location();
        let paths = [
            format!("/v1/patients/{tim}"), format!("/v1/patients/{tim}/consents"), access(&tim), visit.clone(), format!("{visit}/history"),
            format!("{visit}/calendar.ics"), intake, format!("/v1/patients/{tim}/intakes"), format!("/v1/patients/{tim}/rls-timeline"),
        ];
        // 2028-07-04 begins at 04:00 UTC in New York.
        app.clock.set("2028-07-04T03:59:59Z".parse().expect("an instant"));
        for path in &paths {
            rosa.get(path).await.expect(200);
        }
        assert_eq!(rosa.get("/v1/appointments").await.items().len(), 1);
        app.clock.advance(SignedDuration::from_secs(1));
        for path in &paths {
            rosa.get(path).await.problem(404, "not_found");
        }
        assert!(rosa.get("/v1/appointments").await.items().is_empty());
        rosa.post(&format!("{visit}/cancel"), json!({"reason": "x"})).await.problem(404, "not_found");
        assert_eq!(rosa.get("/v1/me").await.body["patients"], json!([]));
        let shown = desk.get(&access(&tim)).await.items();
        assert_eq!((&shown[0]["ended"], &shown[0]["relation"]), (&json!(true), &json!("parent")));

        // He asks for her help: access to an adult does not end automatically.
        desk.post(&access(&tim), json!({"email": "rosa@example.org", "relation": "caregiver"})).await.expect(201);
        confirm(&app, &tim, &rosa.user_id).await;
        assert_eq!(rosa.get(&paths[0]).await.expect(200).status, 200);
        assert_eq!(rosa.get("/v1/me").await.body["patients"][0]["ends_on"], Value::Null);
    }

    async fn a_corrected_birth_date_changes_the_end_of_the_access(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let desk = app.desk().await;
        let path = format!("/v1/patients/{tim}");
        for (born, ends_on) in [("2008-03-04", "2026-03-04"), ("2012-02-29", "2030-03-01")] {
            desk.update(&path, json!({"date_of_birth": born})).await.expect(200);
            assert_eq!(rosa.get("/v1/me").await.body["patients"][0]["ends_on"], json!(ends_on), "{born}");
        }
        // An end that has passed takes effect at once.
        app.clock.advance(SignedDuration::from_hours(24 * 8));
        desk.update(&path, json!({"date_of_birth": "2008-03-04"})).await.expect(200);
        rosa.get(&path).await.problem(404, "not_found");
    }

    async fn a_parent_changes_nothing_after_a_corrected_birth_date_has_ended_the_access(app: App) {
        let clinic = app.clinic().await;
        let (rosa, tim) = rosa(&app).await;
        let (desk, path) = (app.desk().await, format!("/v1/patients/{tim}"));
        let etag = desk.get(&path).await.header("etag").to_owned();
        // On PostgreSQL the correction waits for the record first, and the parent's request passes its check of the access meanwhile.
        let mut holder = (app.engine == Engine::Postgres).then(|| app.site.connect());
        let locked = format!("BEGIN; SELECT 1 FROM patients WHERE id = '{tim}' FOR UPDATE");
        if let Some(holder) = &mut holder {
            holder.batch_execute(&locked).expect("locked");
        }
        let pause = async |millis| tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
        let correct = desk.patch(&path, &etag, json!({"date_of_birth": "2008-03-01"}));
        let wait = async {
            pause(300).await;
            rosa.post("/v1/waitlist-entries", json!({"patient_id": tim, "visit_type_id": clinic.check})).await
        };
        let release = async {
            pause(800).await;
            if let Some(holder) = &mut holder {
                holder.batch_execute("COMMIT").expect("released");
            }
        };
        let (corrected, waiting, ()) = join3(correct, wait, release).await;
        corrected.expect(200);
        waiting.problem(404, "not_found");
    }

    async fn a_new_adult_age_applies_from_the_next_start_and_restores_no_access(app: App) {
        let (_, tim) = rosa(&app).await;
        let rosa_again = async |app: &App| app.anon().sign_in("rosa@example.org", PASSWORD).await;
        let ends_on = async |app: &App, day: &str| {
            let rosa = rosa_again(app).await;
            // The server computes it in the background after its start.
            eventually(async || match rosa.get("/v1/me").await.body["patients"][0]["ends_on"].clone() {
                ends_on if ends_on == json!(day) => Ok(()),
                ends_on => Err(format!("{ends_on} instead of {day}")),
            })
            .await;
        };
        let app = app.restart(&["--adult-age", "21"]);
        ends_on(&app, "2031-07-04").await;
        let app = app.restart(&["--adult-age", "16"]);
        ends_on(&app, "2026-07-04").await;
        assert_eq!(update_all_ends(&app.env).await.expect("reckoned"), 0, "once");
        app.clock.set("2026-07-05T12:00:00Z".parse().expect("an instant"));
        let app = app.restart(&["--adult-age", "18"]);
        assert_eq!(update_all_ends(&app.env).await.expect("reckoned"), 0);
        rosa_again(&app).await.get(&format!("/v1/patients/{tim}")).await.problem(404, "not_found");
    }

    async fn a_new_adult_age_ends_access_that_was_given_after_it_and_is_not_stopped_by_a_merged_record(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut twice = person("Tim", "2010-07-04");
        twice["relation"] = json!("parent");
        let duplicate = rosa.post("/v1/patients", twice).await.expect(201).id();
        merge(&desk, &tim, &duplicate).await.expect(201);
        let mut abe = crate::support::people::patient_json("Abe", "abe@example.org");
        abe["date_of_birth"] = json!("2007-01-01");
        let adult = desk.post("/v1/patients", abe).await.expect(201).id();
        desk.post(&access(&adult), json!({"email": "rosa@example.org", "relation": "caregiver"})).await.expect(201);
        confirm(&app, &adult, &rosa.user_id).await;
        let app = app.restart(&["--adult-age", "20"]);
        update_all_ends(&app.env).await.expect("computed");
        for patient in [&tim, &duplicate] {
            assert_eq!(ends_on(&app, patient).await.as_deref(), Some("2030-07-04"));
        }
        // Access that was given for an adult has no end at any age, and the adult still gets the mails.
        assert_eq!(ends_on(&app, &adult).await, None);
        let told = app.mails_to("abe@example.org").await.len();
        let desk = app.anon().sign_in("desk@clinic.example", people::PASSWORD).await;
        book_nth(&desk, &clinic.check, 0, &adult).await.expect(201);
        assert_eq!(app.mails_to("abe@example.org").await.len(), told + 1);
        let app = app.restart(&["--adult-age", "18"]);
        update_all_ends(&app.env).await.expect("computed");
        assert_eq!(ends_on(&app, &adult).await, None);
        // He was 15 when she got access. Nor does what waits or is stopped keep its end.
        app.db(|conn| Ok(diesel::update(patient_access::table).set(patient_access::pending.eq(true)).execute(conn)?)).await;
        let app = app.restart(&["--adult-age", "15"]);
        update_all_ends(&app.env).await.expect("computed");
        for patient in [&tim, &duplicate] {
            assert_eq!(ends_on(&app, patient).await.as_deref(), Some("2025-07-04"), "an end does not vanish");
        }
        app.db(|conn| Ok(diesel::update(patient_access::table).set(patient_access::pending.eq(false)).execute(conn)?)).await;
        let rosa = app.anon().sign_in("rosa@example.org", PASSWORD).await;
        rosa.get(&format!("/v1/patients/{tim}")).await.problem(404, "not_found");
    }

    async fn a_patient_without_an_address_is_on_the_call_list_before_their_birthday(app: App) {
        let (_, tim) = rosa(&app).await;
        app.clock.set("2028-06-04T04:00:00Z".parse().expect("an instant"));
        assert_eq!(legwork::patients::access::coming_of_age::notify_all(&app.env).await.expect("told"), 1);
        let desk = app.desk().await;
        let calls = desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!((calls.len(), &calls[0]["kind"], &calls[0]["patient_id"]), (1, &json!("coming_of_age"), &json!(tim)));
        let words = calls[0]["to_say"].as_str().expect("words");
        assert!(words.contains("Tim Example") && words.contains("You come of age on Tuesday, July 4, 2028."), "{words}");
        let to_rosa = app.mails_to("rosa@example.org").await.pop().expect("a mail");
        assert!(to_rosa.subject.starts_with("Your access to Tim's appointments"), "{}", to_rosa.subject);
    }

    async fn no_mail_about_a_child_is_sent_again_after_the_access_ended(app: App) {
        let clinic = app.clinic().await;
        let (rosa, tim) = rosa(&app).await;
        let desk = app.desk().await;
        let slot = free_slots(&rosa, &clinic.check).await.remove(0);
        let booking = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": tim});
        rosa.post_with("/v1/appointments", booking, &[("Idempotency-Key", "b1")]).await.expect(201);
        app.mails().await;
        let sent = desk.get("/v1/messages?status=sent").await.items();
        let booked = sent.iter().find(|message| message["kind"] == "appointment_booked").expect("the mail");
        let resend = format!("/v1/messages/{}/resend", booked["id"].as_str().expect("an id"));
        let again = async || {
            let reply = desk.post_empty(&resend).await;
            app.mails().await;
            reply
        };
        again().await.expect(202);
        // The access expires, is granted again, and is revoked.
        app.clock.set("2028-07-04T04:00:00Z".parse().expect("an instant"));
        again().await.problem(409, "recipient_changed");
        desk.post(&access(&tim), json!({"email": "rosa@example.org", "relation": "caregiver"})).await.expect(201);
        confirm(&app, &tim, &rosa.user_id).await;
        again().await.expect(202);
        desk.delete(&format!("{}/{}", access(&tim), rosa.user_id)).await.expect(204);
        again().await.problem(409, "recipient_changed");
        assert_eq!(app.mails_to("rosa@example.org").await.len(), 5, "the verification, the booking, it twice again, and that the access was taken back");
    }

    async fn access_that_is_given_again_before_the_job_of_a_new_adult_age_ran_keeps_an_end(app: App) {
        let (_, tim) = rosa(&app).await;
        app.desk().await;
        let app = app.restart(&["--adult-age", "15"]);
        // The job of the start.
        eventually(async || match ends_on(&app, &tim).await.as_deref() {
            Some("2025-07-04") => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        // As if it had not run yet.
        let (day, at) = (Date(jiff::civil::date(2028, 7, 4)), "2028-07-04T04:00:00Z".parse::<Timestamp>().expect("an instant"));
        let as_before = (patient_access::pending.eq(true), patient_access::ends_on.eq(day), patient_access::ends_at.eq(at));
        app.db(move |conn| Ok(diesel::update(patient_access::table).set(as_before).execute(conn)?)).await;
        let desk = app.anon().sign_in("desk@clinic.example", people::PASSWORD).await;
        desk.post(&access(&tim), json!({"email": "rosa@example.org", "relation": "parent"})).await.expect(201);
        assert_eq!(ends_on(&app, &tim).await.as_deref(), Some("2025-07-04"));
    }
}
