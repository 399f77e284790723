//! Row 20: what one member of the staff alone cannot do to read a record through an account of their own.

use jiff::SignedDuration;
use legwork::actor::Role;
use legwork::ids::PractitionerId;
use serde_json::{Value, json};

use crate::support::access::*;
use crate::support::clinic::{self, free_slots};
use crate::support::people::{self, patient_json};
use crate::support::{App, Client, Patient, book, both};

/// Books a free time of the practitioner. Returns the path of the visit.
async fn book_with(who: &Client, patient: &str, practitioner: &str, visit_type: &str, nth: usize) -> String {
    book(who, &time(who, practitioner, visit_type, nth).await, visit_type, patient).await.expect(201).location()
}

/// The id of the practitioner's nth free slot.
async fn time(who: &Client, practitioner: &str, visit_type: &str, nth: usize) -> Value {
    let slots = free_slots(who, visit_type).await.into_iter();
    slots.filter(|slot| slot["practitioner_id"] == practitioner).nth(nth).expect("a free time")["id"].clone()
}

/// Another account of the staff, signed in.
async fn colleague(app: &App, email: &str, role: Role, practitioner: Option<PractitionerId>) -> Client {
    app.account(email, role, practitioner).await;
    app.anon().sign_in(email, people::PASSWORD).await
}

both! {
    async fn row_20_a_practitioner_gets_no_care_relationship_through_an_account_that_they_gave_access(app: App) {
        let (clinic, desk, admin) = (app.clinic().await, app.desk().await, app.admin().await);
        let other = clinic::practitioner(&admin, "Dr. Otto Elsewhere", &clinic.location_id, &[&clinic.check]).await;
        let (own, check) = (clinic.practitioner_id.as_str(), clinic.check.as_str());
        let doctor = app.doctor().await.without_reason();
        let (bob, mallory) = (app.patient("bob").await, account(&app, "mallory@example.org").await);
        let kim = child(&desk, &bob).await;
        let timeline = format!("/v1/patients/{kim}/rls-timeline");
        // A reason lasts for hours, so what it opens is not given away by one person.
        let body = json!({"email": mallory.email, "relation": "guardian"});
        let given = doctor.post_with(&access(&kim), body, &[REASON]).await;
        assert_eq!(given.expect(201).body["confirmation_required"], true);
        reads_nothing(&mallory, &kim).await;
        confirm(&desk, &kim, &mallory).await.expect(200);
        // By then the reason opens the record no more.
        app.clock.advance(SignedDuration::from_hours(13));
        let visit = book_with(&mallory, &kim, own, check, 2).await;
        let moved = book_with(&mallory, &kim, &other, check, 8).await;
        let slot = time(&mallory, own, check, 12).await;
        mallory.post(&format!("{moved}/reschedule"), json!({"slot_id": slot})).await.expect(200);
        desk.delete(&format!("{}/{}", access(&kim), mallory.user_id)).await.expect(204);
        doctor.get(&timeline).await.problem(403, "reason_required");
        // Nor after the access was given again by another person.
        give(&desk, &kim, &mallory, "guardian").await.expect(201);
        let slot = time(&mallory, own, check, 4).await;
        mallory.post(&format!("{visit}/reschedule"), json!({"slot_id": slot})).await.expect(200);
        doctor.get(&timeline).await.problem(403, "reason_required");
        // A parent whose access the desk gave chooses the practitioner.
        let slot = time(&bob, own, check, 6).await;
        bob.post(&format!("{visit}/reschedule"), json!({"slot_id": slot})).await.expect(200);
        doctor.get(&timeline).await.expect(200);
        // What the parent chose stays the same if staff or the patient move the time.
        let slot = time(&mallory, own, check, 3).await;
        mallory.post(&format!("{visit}/reschedule"), json!({"slot_id": slot})).await.expect(200);
        doctor.get(&timeline).await.expect(200);
    }

    async fn row_20_a_practitioner_gives_access_alone_only_to_patients_who_were_booked_with_them(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let doctor = app.doctor().await.without_reason();
        let (bob, mallory) = (app.patient("bob").await, account(&app, "mallory@example.org").await);
        let kim = child(&desk, &bob).await;
        let check_in = format!("{}/check-in", book_with(&doctor, &kim, &clinic.practitioner_id, &clinic.check, 2).await);
        doctor.send(reqwest::Method::POST, &check_in, &[REASON], None).await.expect(200);
        assert_eq!(give(&doctor, &kim, &mallory, "guardian").await.expect(201).body["confirmation_required"], true);
        desk.delete(&format!("{}/{}", access(&kim), mallory.user_id)).await.expect(204);
        book_with(&desk, &kim, &clinic.practitioner_id, &clinic.check, 8).await;
        assert_eq!(give(&doctor, &kim, &mallory, "guardian").await.expect(201).body["confirmation_required"], false);
    }

    async fn row_20_the_link_in_the_mail_works_after_staff_took_the_access_away(app: App) {
        let (desk, bob, carl) = (app.desk().await, app.patient("bob").await, app.patient("carl").await);
        let kim = child(&desk, &bob).await;
        let path = format!("{}/{}", access(&kim), carl.user_id);
        for round in 1..3 {
            give(&desk, &kim, &carl, "parent").await.expect(201);
            reads_all(&carl, &kim).await;
            desk.delete(&path).await.expect(204);
            let ended = noticed(&app, &bob.email).await;
            assert_eq!(ended.len(), round, "those who were told of the access are told of its end");
            assert!(ended[0].text.contains("ended the access of an account to Kim's record"), "{}", ended[0].text);
        }
        let token = told(&app, &bob.email).await.pop().expect("a mail").token();
        for _ in 0..2 {
            object(&app, &token).await.expect(204);
        }
        assert!(listed(&desk, &kim, &carl).await["stopped_at"].is_string(), "the clinic sees the objection");
        for holder in [&carl, &app.patient("eve").await] {
            let given = give(&desk, &kim, holder, "parent").await;
            assert_eq!(given.expect(201).body["confirmation_required"], true);
        }
        // No mail is sent about the end of access that the patient's side stopped.
        desk.delete(&path).await.expect(204);
        desk.delete(&path).await.problem(404, "not_found");
    }

    async fn row_20_each_mailed_link_stops_the_access_whatever_staff_do_to_it_later(app: App) {
        let (desk, admin, bob, carl) = (app.desk().await, app.admin().await, app.patient("bob").await, app.patient("carl").await);
        let kim = child(&desk, &bob).await;
        let path = format!("{}/{}", access(&kim), carl.user_id);
        give(&desk, &kim, &carl, "guardian").await.expect(201);
        let first = told(&app, &bob.email).await.pop().expect("a mail").token();
        for relation in ["caregiver", "guardian", "parent"] {
            give(&desk, &kim, &carl, relation).await.expect(201);
        }
        desk.delete(&path).await.expect(204);
        give(&desk, &kim, &carl, "parent").await.expect(201);
        reads_all(&carl, &kim).await;
        object(&app, &first).await.expect(204);
        reads_nothing(&carl, &kim).await;
        assert!(listed(&desk, &kim, &carl).await["stopped_at"].is_string(), "the clinic sees the objection");

        // A link of more than 30 days ends with the next grant.
        let eve = app.patient("eve").await;
        help(&desk, &admin, &kim, &eve).await;
        let old = told(&app, &bob.email).await.pop().expect("a mail").token();
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        desk.delete(&format!("{}/{}", access(&kim), eve.user_id)).await.expect(204);
        give(&desk, &kim, &eve, "caregiver").await.expect(201);
        object(&app, &old).await.invalid("/token", "invalid_token");
        reads_all(&eve, &kim).await;
    }

    async fn row_20_a_corrected_birth_date_neither_revives_ended_access_nor_removes_the_end_of_a_parents(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let bob = app.patient("bob").await;
        // Bob added Kim himself. A correction that makes an adult of Kim leaves no access without an end.
        let mut kim = patient_json("Kim", "");
        (kim["date_of_birth"], kim["email"], kim["relation"]) = (json!("2009-06-01"), Value::Null, json!("parent"));
        let kim = bob.post("/v1/patients", kim).await.expect(201).id();
        let born = async |patient: &str, day: &str| {
            desk.update(&format!("/v1/patients/{patient}"), json!({"date_of_birth": day})).await.expect(200);
        };
        born(&kim, "2010-06-01").await;
        reads_all(&bob, &kim).await;
        born(&kim, "2007-06-01").await;
        reads_nothing(&bob, &kim).await;
        assert_eq!(listed(&desk, &kim, &bob).await["confirmation_required"], true);
        // Access that ended on the birthday stays ended, also if two members of the staff gave it.
        let lee = child(&desk, &bob).await;
        born(&lee, "2008-05-05").await;
        let carl = account(&app, "carl@example.org").await;
        give(&desk, &lee, &carl, "guardian").await.expect(201);
        confirm(&admin, &lee, &carl).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24 * 80));
        for day in ["2008-05-04", "2007-05-05", "2006-01-01"] {
            born(&lee, day).await;
            for holder in [&bob, &carl] {
                reads_nothing(holder, &lee).await;
                assert_eq!(listed(&desk, &lee, holder).await["ended"], true, "{day}");
            }
        }
        // A minor again: a second member of the staff confirms.
        born(&lee, "2011-05-05").await;
        reads_nothing(&carl, &lee).await;
        assert_eq!(listed(&desk, &lee, &carl).await["confirmation_required"], true);
    }

    async fn row_20_a_later_birth_date_prolongs_no_access_before_a_second_staff_member_confirms(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (bob, carl) = (app.patient("bob").await, app.patient("carl").await);
        let kim = child(&desk, &bob).await;
        give(&desk, &kim, &carl, "guardian").await.expect(201);
        let born = async |day: &str| {
            desk.update(&format!("/v1/patients/{kim}"), json!({"date_of_birth": day})).await.expect(200);
        };
        // An earlier one ends it earlier.
        born("2010-05-05").await;
        reads_all(&carl, &kim).await;
        born("2015-05-05").await;
        reads_nothing(&carl, &kim).await;
        assert_eq!(listed(&desk, &kim, &carl).await["confirmation_required"], true);
        let notices = noticed(&app, &bob.email).await;
        assert_eq!(notices.len(), 2);
        assert!(notices[0].text.contains("changed the birth date in Kim's record"), "{}", notices[0].text);
        confirm(&desk, &kim, &carl).await.problem(403, "second_person_required");
        assert_eq!(confirm(&admin, &kim, &carl).await.expect(200).string("/ends_on"), "2033-05-05");
        reads_all(&carl, &kim).await;
        // Access that has ended does not begin again.
        let eve = app.patient("eve").await;
        let lee = child(&desk, &eve).await;
        app.clock.set("2029-05-05T12:00:00Z".parse().expect("an instant"));
        desk.update(&format!("/v1/patients/{lee}"), json!({"date_of_birth": "2015-05-05"})).await.expect(200);
        reads_nothing(&eve, &lee).await;
    }

    async fn row_20_two_accounts_of_one_person_are_not_two_persons(app: App) {
        let clinic = app.clinic().await;
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        let practitioner: PractitionerId = clinic.practitioner_id.parse().expect("an id");
        let second = colleague(&app, "second@clinic.example", Role::Practitioner, Some(practitioner)).await;
        let tagged = colleague(&app, "desk+two@clinic.example", Role::FrontDesk, None).await;
        for (giver, same) in [(app.doctor().await, &second), (app.desk().await, &tagged)] {
            give(&giver, &ann.patient_id, &carl, "guardian").await.expect(201);
            let path = format!("{}/{}/confirm", access(&ann.patient_id), carl.user_id);
            let refused = same.send(reqwest::Method::POST, &path, &[REASON], None).await;
            refused.problem(403, "second_person_required");
            reads_nothing(&carl, &ann.patient_id).await;
            app.desk().await.delete(&format!("{}/{}", access(&ann.patient_id), carl.user_id)).await.expect(204);
        }
    }

    async fn row_20_the_person_who_changed_the_record_is_not_the_second_person(app: App) {
        app.clinic().await;
        let (desk, admin, doctor) = (app.desk().await, app.admin().await, app.doctor().await);
        let mallory = account(&app, "mallory@example.org").await;
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        readdress(&admin, &fay, json!(mallory.email)).await;
        // A later change of another person does not hide it.
        desk.update(&format!("/v1/patients/{fay}"), json!({"phone": "+1 212 555 0144"})).await.expect(200);
        assert_eq!(give(&desk, &fay, &mallory, "self").await.expect(201).body["confirmation_required"], true);
        confirm(&admin, &fay, &mallory).await.problem(403, "second_person_required");
        reads_nothing(&mallory, &fay).await;
        confirm(&doctor, &fay, &mallory).await.expect(200);
    }

    async fn row_20_an_address_that_staff_entered_gives_an_own_account_only_while_the_record_is_new(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        let gus = desk.post("/v1/patients", patient_json("Gus", "gus@example.org")).await.expect(201).id();
        // A walk-in is registered, invited, and accepts on another day.
        let invitation = json!({"email": "fay@example.org", "relation": "self"});
        desk.post(&format!("/v1/patients/{fay}/invitations"), invitation).await.expect(202);
        app.clock.advance(SignedDuration::from_hours(25));
        let token = app.mails_to("fay@example.org").await.pop().expect("a mail").token();
        app.anon().post("/v1/invitations/accept", json!({"token": token, "new_password": PASSWORD})).await.expect(204);
        let client = app.anon().sign_in("fay@example.org", PASSWORD).await;
        reads_all(&Patient { client, patient_id: String::new(), email: "fay@example.org".into() }, &fay).await;
        // Later the record may have something to read, and its address is only what staff typed.
        let own = account(&app, "gus@example.org").await;
        assert_eq!(give(&desk, &gus, &own, "self").await.expect(201).body["confirmation_required"], true);
        reads_nothing(&own, &gus).await;
        confirm(&admin, &gus, &own).await.expect(200);
        reads_all(&own, &gus).await;
    }
}
