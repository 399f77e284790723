//! Repeats with an `Idempotency-Key`: what they show, and their audit events.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::audit::events_until;
use crate::support::clinic::{free_slots, practitioner};
use crate::support::intakes::patients_example;
use crate::support::{App, Client, Patient, Reply, both};

const REASON: (&str, &str) = ("Access-Reason", "On call tonight: she telephoned");

/// Submits an intake that raises flags. Returns its path.
async fn submitted(ann: &Patient) -> String {
    let mut answers = patients_example();
    answers["safety"]["bleeding_vein"] = json!("yes");
    answers["safety"]["bleeding_vein_uncontrolled"] = json!("no");
    let begun = ann.post(&format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-history"})).await;
    let path = begun.expect(201).location();
    ann.patch(&path, &begun.etag(), json!({"answers": answers})).await.expect(200);
    ann.post_empty(&format!("{path}/submit")).await.expect(200);
    path
}

/// The path at which the first of the patient's flags is acknowledged.
async fn acknowledge(app: &App, ann: &Patient) -> String {
    let flags = app.admin().await.get(&format!("/v1/intake-flags?patient_id={}", ann.patient_id)).await.items();
    format!("/v1/intake-flags/{}/acknowledge", flags[0]["id"].as_str().expect("an id"))
}

async fn once(who: &Client, (path, body): &(String, Value), headers: &[(&str, &str)]) -> Reply {
    who.post_with(path, body.clone(), &[&[("Idempotency-Key", "once")], headers].concat()).await
}

both! {
    async fn row_20_a_repeat_shows_a_practitioner_no_more_than_a_first_request(app: App) {
        app.clock.advance(SignedDuration::from_hours(24 * 100));
        let (admin, ann, bob) = (app.admin().await, app.patient("ann").await, app.patient("bob").await);
        let doctor = app.doctor().await.without_reason();
        let intake = submitted(&ann).await;
        let (record, id) = (format!("/v1/patients/{}", ann.patient_id), intake.rsplit('/').next().expect("an id"));
        let deeds = [
            (acknowledge(&app, &ann).await, json!({"note": "Called."})),
            (format!("{intake}/review"), json!({"mimic_review": "not_solely_explained"})),
            (format!("{intake}/amend"), json!({"answers": {"symptoms": {"symptom_onset_date": "2008"}}, "reason": "A slip."})),
            (format!("{record}/intakes"), json!({"form": "rls-history", "copy_from": id})),
            (format!("{intake}/void"), json!({"reason": "Another patient's."})),
            (format!("{record}/access"), json!({"email": bob.email, "relation": "caregiver"})),
            (format!("{record}/invitations"), json!({"email": "carl@example.org", "relation": "caregiver"})),
        ];
        let mut answered = Vec::new();
        for deed in &deeds {
            let first = once(&doctor, deed, &[REASON]).await;
            assert!(first.status < 300, "{}: {}", deed.0, first.text);
            // With a reason, the record is accessible.
            assert_eq!(once(&doctor, deed, &[]).await.text, first.text, "{}", deed.0);
            answered.push(first.text);
        }
        app.clock.advance(SignedDuration::from_hours(13));
        doctor.get(&intake).await.problem(403, "reason_required");
        for deed in &deeds {
            once(&doctor, deed, &[]).await.problem(403, "reason_required");
        }
        assert_eq!(admin.get("/v1/audit-events?operation=open_record").await.items().len(), 1);
        for (deed, first) in deeds.iter().zip(answered) {
            assert_eq!(once(&doctor, deed, &[REASON]).await.text, first, "{}", deed.0);
        }
        assert_eq!(admin.get("/v1/audit-events?operation=open_record").await.items().len(), 2);
        // The patient's access log has each of them.
        let query = format!("patient_id={}&actor_id={}", ann.patient_id, doctor.user_id);
        events_until(&admin, &format!("{query}&outcome=replayed"), |events| events.len() == 2 * deeds.len()).await;
        events_until(&admin, &format!("{query}&outcome=refused"), |events| events.len() == deeds.len() + 1).await;
    }

    async fn row_20_a_repeat_shows_nothing_once_the_visit_is_cancelled(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let doctor = app.doctor().await.without_reason();
        let ann = app.patient("ann").await;
        let slots = free_slots(&desk, &clinic.check).await;
        let slot = slots.iter().find(|slot| slot["practitioner_id"] == *clinic.practitioner_id).expect("a free time");
        let body = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": ann.patient_id});
        let visit = desk.post_with("/v1/appointments", body, &[("Idempotency-Key", "visit")]).await.expect(201).location();
        let deed = (format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-history"}));
        let first = once(&doctor, &deed, &[]).await;
        assert_eq!(once(&doctor, &deed, &[]).await.expect(201).text, first.text);
        desk.post(&format!("{visit}/cancel"), json!({"reason": "Not needed."})).await.expect(200);
        once(&doctor, &deed, &[]).await.problem(403, "reason_required");
    }

    async fn row_19_a_repeat_names_the_patients_of_its_first_request(app: App) {
        let (admin, clinic) = (app.admin().await, app.clinic().await);
        let doctor = practitioner(&admin, "Dr. Otto Elsewhere", &clinic.location_id, &[&clinic.check]).await;
        for name in ["ann", "bob"] {
            let patient = app.patient(name).await;
            let slots = free_slots(&admin, &clinic.check).await;
            let slot = slots.iter().find(|slot| slot["practitioner_id"] == *doctor).expect("a free time");
            let body = json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": patient.patient_id});
            admin.post_with("/v1/appointments", body, &[("Idempotency-Key", name)]).await.expect(201);
        }
        let away = json!({"kind": "time_off", "starts_at": "2026-03-02T05:00:00Z", "ends_at": "2026-04-02T05:00:00Z", "reason": "Ill"});
        let off = (format!("/v1/practitioners/{doctor}/exceptions"), away);
        let cid = app.patient("cid").await;
        let draft = (format!("/v1/patients/{}/intakes", cid.patient_id), json!({"form": "rls-history"}));
        for (operation, deed, shown) in [("create_exception", &off, 2), ("create_intake", &draft, 0)] {
            let first = once(&admin, deed, &[]).await;
            assert_eq!(once(&admin, deed, &[]).await.expect(201).text, first.text);
            let events = events_until(&admin, &format!("operation={operation}"), |events| events.len() == 2).await;
            let [repeat, deed] = ["replayed", "success"].map(|outcome| {
                events.iter().find(|event| event["outcome"] == outcome).expect("an event")
            });
            assert_eq!(repeat["patient_id"], deed["patient_id"]);
            assert_eq!(repeat["shown_patient_ids"], deed["shown_patient_ids"]);
            assert_eq!(repeat["shown_patient_ids"].as_array().map(Vec::len), Some(shown), "{repeat:#?}");
        }
        events_until(&admin, &format!("patient_id={}&outcome=replayed", cid.patient_id), |events| events.len() == 1).await;
    }
}
