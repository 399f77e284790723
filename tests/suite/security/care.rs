//! Who of the practitioners may read what a patient told, and what it takes for the others.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::db::schema::intake_flags;
use legwork::ids::{IntakeFlagId, PatientId, PractitionerId};
use legwork::intake::care::CLINICAL;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::{App, Client, Patient, Reply, both};

const REASON: (&str, &str) = ("Access-Reason", "On call tonight: she telephoned");

/// A draft of the patient's own; its path.
async fn draft(ann: &Patient) -> String {
    let path = format!("/v1/patients/{}/intakes", ann.patient_id);
    ann.post(&path, json!({"form": "rls-history"})).await.expect(201).location()
}

/// A visit of the patient to the clinic's practitioner at the next free time; its path.
async fn visit(app: &App, ann: &Patient, visit_type: &str) -> String {
    let slots = free_slots(&app.anon(), visit_type).await;
    let body = json!({"slot_id": slots[0]["id"], "visit_type_id": visit_type, "patient_id": ann.patient_id});
    ann.post_with("/v1/appointments", body, &[("Idempotency-Key", "visit")]).await.expect(201).location()
}

async fn summary(who: &Client, intake: &str, headers: &[(&str, &str)]) -> Reply {
    who.get_with(&format!("{intake}/summary"), headers).await
}

both! {
    async fn row_20_an_appointment_opens_the_record_from_a_year_ago_onward(app: App) {
        let clinic = app.clinic().await;
        let doctor = app.doctor().await.without_reason();
        let ann = app.patient("ann").await;
        let intake = draft(&ann).await;
        doctor.get(&intake).await.problem(403, "reason_required");
        let visit = visit(&app, &ann, &clinic.check).await;
        doctor.get(&intake).await.expect(200);
        summary(&doctor, &intake, &[]).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24 * 360));
        doctor.get(&intake).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(24 * 10));
        doctor.get(&intake).await.problem(403, "reason_required");
        // What was called off made nobody their doctor.
        app.clock.set("2026-03-02T14:00:00Z".parse().expect("an instant"));
        let doctor = app.doctor().await.without_reason();
        doctor.get(&intake).await.expect(200);
        ann.post(&format!("{visit}/cancel"), json!({"reason": "I am well again."})).await.expect(200);
        doctor.get(&intake).await.problem(403, "reason_required");
        // The schedule, the cover of the record and the worklists stay everybody's.
        for path in [format!("/v1/patients/{}", ann.patient_id), "/v1/appointments".into(), "/v1/intakes".into(), "/v1/intake-flags".into()] {
            doctor.get(&path).await.expect(200);
        }
    }

    async fn row_20_whoever_owns_a_flag_of_the_patient_reads_on(app: App) {
        let clinic = app.clinic().await;
        let doctor = app.doctor().await.without_reason();
        let ann = app.patient("ann").await;
        let intake = draft(&ann).await;
        let etag = ann.get(&intake).await.etag();
        ann.patch(&intake, &etag, json!({"answers": {"safety": {"bleeding_vein": "yes"}}})).await.expect(200);
        doctor.get(&intake).await.problem(403, "reason_required");
        let patient: PatientId = ann.patient_id.parse().expect("an id");
        let owner: PractitionerId = clinic.practitioner_id.parse().expect("an id");
        app.db(move |tx| {
            let flags = intake_flags::table.filter(intake_flags::patient_id.eq(patient));
            assert!(flags.select(intake_flags::id).first::<IntakeFlagId>(tx).optional()?.is_some(), "a flag was raised");
            Ok(diesel::update(flags).set(intake_flags::owner_id.eq(owner)).execute(tx)?)
        })
        .await;
        doctor.get(&intake).await.expect(200);
    }

    async fn row_20_a_reason_opens_the_record_for_twelve_hours_and_stands_in_the_trail(app: App) {
        app.clinic().await;
        let (admin, doctor) = (app.admin().await, app.doctor().await.without_reason());
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let (intake, other) = (draft(&ann).await, draft(&bob).await);
        summary(&doctor, &intake, &[]).await.problem(403, "reason_required");
        summary(&doctor, &intake, &[("Access-Reason", "why")]).await.invalid("Access-Reason:", "too_short");
        let long = "x".repeat(201);
        summary(&doctor, &intake, &[("Access-Reason", &long)]).await.invalid("Access-Reason:", "too_long");
        summary(&doctor, &intake, &[REASON]).await.expect(200);
        // It is open now, to this practitioner and for this patient.
        summary(&doctor, &intake, &[]).await.expect(200);
        doctor.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.expect(200);
        doctor.get(&other).await.problem(403, "reason_required");
        let opened = admin.get("/v1/audit-events?operation=open_record").await.items();
        assert_eq!(opened.len(), 1, "{opened:#?}");
        assert_eq!((&opened[0]["reason"], &opened[0]["patient_id"]), (&json!(REASON.1), &json!(ann.patient_id)));
        assert_eq!(opened[0]["actor_id"], *doctor.user_id);
        let log = ann.get(&format!("/v1/patients/{}/audit-events", ann.patient_id)).await.items();
        assert!(log.iter().any(|event| event["operation"] == "open_record" && event.get("reason").is_none()), "{log:#?}");
        app.clock.advance(SignedDuration::from_hours(11));
        summary(&doctor, &intake, &[]).await.expect(200);
        app.clock.advance(SignedDuration::from_hours(2));
        summary(&doctor, &intake, &[]).await.problem(403, "reason_required");
        // A change opens it as well, in its own transaction.
        let etag = ann.get(&intake).await.etag();
        let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", etag.as_str())];
        let body = || Some(json!({"answers": {"safety": {"bleeding_vein": "no"}}}));
        doctor.send(Method::PATCH, &intake, &headers, body()).await.problem(403, "reason_required");
        doctor.send(Method::PATCH, &intake, &[headers[0], headers[1], REASON], body()).await.expect(200);
        doctor.get(&intake).await.expect(200);
        assert_eq!(admin.get("/v1/audit-events?operation=open_record").await.items().len(), 2);
        // A reason is nothing to others: who may not see the record sees it no more for it.
        bob.get_with(&intake, &[REASON]).await.problem(404, "not_found");
        app.desk().await.get_with(&format!("{intake}/summary"), &[REASON]).await.problem(403, "role_forbidden");
    }

    async fn row_20_every_clinical_operation_of_the_document_asks_for_a_reason(app: App) {
        app.clinic().await;
        let doctor = app.doctor().await.without_reason();
        let ann = app.patient("ann").await;
        let intake = draft(&ann).await;
        let intake_id = intake.rsplit('/').next().expect("an id").to_owned();
        let document: Value = serde_json::from_str(&legwork::openapi::json().expect("a document")).expect("JSON");
        let mut asked = Vec::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let Some(id) = operation["operationId"].as_str().filter(|id| CLINICAL.contains(id)) else { continue };
                let named = operation["parameters"].as_array().expect("parameters").iter().any(|parameter| parameter["name"] == "Access-Reason");
                assert!(named, "{id} names no Access-Reason");
                let object = if path.starts_with("/v1/patients/") { &ann.patient_id } else { &intake_id };
                let body = match id {
                    "create_intake" => json!({"form": "rls-history"}),
                    "update_intake" => json!({"answers": {}}),
                    "amend_intake" => json!({"answers": {}, "reason": "A slip."}),
                    "void_intake" => json!({"reason": "A slip."}),
                    "review_intake" => json!({"mimic_review": "not_solely_explained"}),
                    _ => Value::Null,
                };
                let mut headers = vec![("If-Match", "\"1\"")];
                headers.extend((method == "patch").then_some(("Content-Type", "application/merge-patch+json")));
                let method: Method = method.to_uppercase().parse().expect("a method");
                let body = (!body.is_null()).then_some(body);
                doctor.send(method, &path.replace("{id}", object), &headers, body).await.problem(403, "reason_required");
                asked.push(id.to_owned());
            }
        }
        asked.sort();
        let mut all: Vec<_> = CLINICAL.iter().map(|id| (*id).to_owned()).collect();
        all.sort();
        assert_eq!(asked, all);
        // Each refusal is in the trail, about the patient whose record was asked for.
        let admin = app.admin().await;
        let query = format!("/v1/audit-events?patient_id={}&outcome=refused", ann.patient_id);
        let patience = Instant::now() + Duration::from_secs(10);
        while admin.get(&query).await.items().len() < CLINICAL.len() {
            assert!(Instant::now() < patience, "{:#?}", admin.get(&query).await.items());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
