//! Records that were made by mistake: retiring them, and undoing that.

use serde_json::json;

use crate::appointments::{act, turn_to};
use crate::merging::{path, preview, record};
use crate::support::booking::book_nth;
use crate::support::clinic::free_slots;
use crate::support::intakes::begin;
use crate::support::{App, Client, book, both, eventually};

both! {
    async fn a_record_made_by_mistake_is_retired_and_that_is_undone(app: App) {
        let clinic = app.clinic().await;
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let (mistake, used) = (record(&desk, "Mia").await, record(&desk, "Una").await);
        let retirements = format!("{}/retirements", path(&mistake));
        let reason = json!({"reason": "Typed by mistake"});
        let retire = async |client: &Client, patient: &str, version: &str| {
            client.post_with(&format!("{}/retirements", path(patient)), reason.clone(), &[("If-Match", version)]).await
        };
        let visit = book_nth(&desk, &clinic.check, 0, &used).await;
        assert_eq!(retire(&desk, &used, "\"1\"").await.problem(409, "patient_in_use")["used_by"], json!(["appointments"]));
        desk.post(&format!("{}/cancel", visit.location()), json!({"reason": "Twice"})).await.expect(200);
        retire(&desk, &used, "\"1\"").await.expect(201);

        retire(&doctor, &mistake, "\"1\"").await.problem(403, "role_forbidden");
        desk.post(&retirements, reason.clone()).await.problem(428, "precondition_required");
        retire(&desk, &mistake, "\"7\"").await.problem(412, "stale");
        let long = json!({"reason": "x".repeat(501)});
        desk.post_with(&retirements, long, &[("If-Match", "\"1\"")]).await.invalid("/reason", "too_long");
        let retired = retire(&desk, &mistake, "\"1\"").await;
        assert_eq!(retired.expect(201).body["reason"], "Typed by mistake");
        assert_eq!(desk.get(&retired.location()).await.expect(200).body, retired.body);
        let shown = desk.get(&path(&mistake)).await;
        assert_eq!((&shown.body["active"], &shown.body["retired_at"]), (&json!(false), &json!("2026-03-02T14:00:00Z")));
        assert!(desk.get("/v1/patients?q=tester").await.items().is_empty());
        assert_eq!(desk.get("/v1/patients?include_inactive=true").await.items().len(), 2);
        let slot = free_slots(&desk, &clinic.check).await[0].clone();
        book(&desk, &slot, &clinic.check, &mistake).await.problem(409, "patient_retired");
        retire(&desk, &mistake, &shown.etag()).await.problem(409, "patient_retired");
        preview(&desk, &used, &mistake).await.problem(409, "patient_retired");

        // Nobody could acknowledge the flag of a record that is not in use.
        let urgent = record(&desk, "Flora").await;
        let draft = begin(&desk, &urgent).await;
        desk.update(&draft.location(), json!({"answers": {"safety": {"spreading_hot_redness": "yes"}}})).await.expect(200);
        assert_eq!(retire(&desk, &urgent, "\"1\"").await.problem(409, "patient_in_use")["used_by"], json!(["intake_flags"]));
        let flags = doctor.get(&format!("/v1/intake-flags?patient_id={urgent}")).await.items();
        let acknowledge = format!("/v1/intake-flags/{}/acknowledge", flags[0]["id"].as_str().expect("an id"));
        doctor.post(&acknowledge, json!({"note": "Typed by mistake."})).await.expect(200);
        retire(&desk, &urgent, "\"1\"").await.expect(201);

        let undo = format!("{}/undo", retired.location());
        let undone = desk.post_empty(&undo).await;
        assert_eq!(undone.expect(200).body["undone_at"], "2026-03-02T14:00:00Z");
        desk.post_empty(&undo).await.problem(409, "already_undone");
        assert_eq!(desk.get(&retirements).await.items(), std::slice::from_ref(&undone.body));
        assert_eq!(desk.get("/v1/patients?q=tester").await.items().len(), 1);
        book(&desk, &slot, &clinic.check, &mistake).await.expect(201);
        let kinds = eventually(async || {
            let query = "/v1/events?after=0&limit=200&types=patient.retired,patient.retirement_undone";
            let events = desk.get(query).await.items();
            if events.len() == 4 { Ok(events) } else { Err(format!("{events:?}")) }
        }).await;
        assert_eq!(kinds[3]["type"], "patient.retirement_undone");

        // The holder of an account is told when the access ends, so it ends first.
        let ann = app.patient("ann").await;
        let of_account = retire(&desk, &ann.patient_id, "\"1\"").await;
        assert_eq!(of_account.problem(409, "patient_in_use")["used_by"], json!(["access"]));
    }
    async fn a_missed_visit_of_a_retired_record_does_not_take_place_after_all(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mistake = record(&desk, "Mia").await;
        let visit = book_nth(&desk, &clinic.check, 4, &mistake).await.body;
        turn_to(&app, &visit, 10);
        act(&desk, &visit, "no-show").await.expect(200);
        let reason = json!({"reason": "Typed by mistake"});
        let retired = desk.post_with(&format!("{}/retirements", path(&mistake)), reason, &[("If-Match", "\"1\"")]).await;
        retired.expect(201);
        for step in ["check-in", "undo"] {
            act(&desk, &visit, step).await.problem(409, "patient_retired");
        }
        let shown = desk.get(&crate::support::booking::path(&visit, "")).await;
        assert_eq!(shown.expect(200).body["status"], "noshow");
        // The record is in use again, and the patient comes late.
        desk.post_empty(&format!("{}/undo", retired.location())).await.expect(200);
        act(&desk, &visit, "check-in").await.expect(200);
        act(&desk, &visit, "complete").await.expect(200);
    }

    async fn the_draft_of_a_retired_record_is_not_continued(app: App) {
        let (_, desk) = (app.clinic().await, app.desk().await);
        let mistake = record(&desk, "Mia").await;
        let draft = begin(&desk, &mistake).await;
        let reason = json!({"reason": "Typed by mistake"});
        let retire = format!("{}/retirements", path(&mistake));
        desk.post_with(&retire, reason, &[("If-Match", "\"1\"")]).await.expect(201);
        let answers = json!({"answers": {"safety": {"spreading_hot_redness": "no"}}});
        desk.update(&draft.location(), answers).await.problem(409, "patient_retired");
    }
}
