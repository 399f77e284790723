//! Laboratory results that the clinic enters: they form one series with those of the answers.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::intakes::{ON_CALL, begin, example, june, patients_example, submitted};
use crate::support::{App, Client, both};

fn result(test: &str, value: f64, unit: &str, day: &str) -> Value {
    json!({"test": test, "value": value, "unit": unit, "collected_on": day, "source": "lab_report"})
}

/// Enters a result, and returns how the intake is computed then.
async fn entered(desk: &Client, doctor: &Client, patient: &str, intake: &str, result: Value) -> Value {
    desk.post(&format!("/v1/patients/{patient}/lab-results"), result).await.expect(201);
    doctor.get(intake).await.expect(200).body["computed"].clone()
}

/// Returns the rule of each flag that the answers and results raise now.
async fn raised(doctor: &Client) -> Vec<String> {
    let flags = doctor.get("/v1/intake-flags").await.items();
    let raised = flags.iter().filter(|flag| flag["withdrawn_at"].is_null());
    raised.map(|flag| flag["rule"].as_str().unwrap_or_default().to_owned()).collect()
}

both! {
    async fn a_result_of_the_clinic_replaces_an_older_one_of_the_answers_and_moves_the_flags(app: App) {
        let app = june(app);
        let (ann, doctor, desk) = (app.patient("ann").await, app.doctor().await, app.desk().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await;
        let has = |rules: &[String], rule: &str| rules.iter().any(|one| one == rule);
        assert!(has(&raised(&doctor).await, "iron_review"));
        let version = doctor.get(&path).await.header("etag").to_owned();

        let computed = entered(&desk, &doctor, &ann.patient_id, &path, result("hemoglobin", 6.9, "g/dL", "2026-06-09")).await;
        assert_eq!(computed["flags"][0], json!({"rule": "hemoglobin_below_8", "urgency": "same_day"}));
        assert!(has(&raised(&doctor).await, "hemoglobin_below_8"));
        assert_eq!(app.mails_to(ON_CALL).await.len(), 1, "the clinic is told once");
        assert_ne!(doctor.get(&path).await.header("etag"), version, "the findings are part of the intake");

        let computed = entered(&desk, &doctor, &ann.patient_id, &path, result("ferritin", 96.0, "ng/mL", "2026-06-09")).await;
        assert_eq!(computed["iron_review_band"], "ferritin_le_75_or_tsat_lt_20", "TSAT is still the low one of the answers");
        let computed = entered(&desk, &doctor, &ann.patient_id, &path, result("tsat", 31.0, "%", "2026-06-09")).await;
        assert_eq!((computed["iron_review_band"].clone(), computed["tsat_percent"].clone()), (json!("ferritin_gt_75_le_100"), json!(31.0)));
        let rules = raised(&doctor).await;
        assert!(has(&rules, "iron_review_intravenous") && !has(&rules, "iron_review"), "{rules:?}");
        let version = doctor.get(&path).await.header("etag").to_owned();
        let older = entered(&desk, &doctor, &ann.patient_id, &path, result("ferritin", 12.0, "ng/mL", "2026-01-05")).await;
        assert_eq!(older, computed, "an older sample changes nothing");
        assert_eq!(doctor.get(&path).await.header("etag"), version);

        app.clock.advance(SignedDuration::from_hours(48));
        entered(&desk, &doctor, &ann.patient_id, &path, result("hemoglobin", 12.4, "g/dL", "2026-06-11")).await;
        assert!(!has(&raised(&doctor).await, "hemoglobin_below_8"));

        let summary = doctor.get(&format!("{path}/summary")).await;
        let labs = summary.expect(200).body["labs"].as_array().expect("values").clone();
        assert_eq!((labs[0]["value"].clone(), labs[0]["entered_in"].clone()), (json!(12.4), json!("lab_results")));
        assert!(labs.iter().any(|lab| lab["value"] == 42.0 && lab["entered_in"] == "answers"), "{labs:?}");
        let page = doctor.get_with(&format!("{path}/summary"), &[("Accept", "text/html")]).await;
        assert!(page.expect(200).text.contains("· clinic</td>"), "{}", page.text);
    }

    async fn a_result_counts_for_an_open_draft_and_for_answers_that_come_later(app: App) {
        let app = june(app);
        let (ann, doctor, desk) = (app.patient("ann").await, app.doctor().await, app.desk().await);
        let results = format!("/v1/patients/{}/lab-results", ann.patient_id);
        desk.post(&results, result("ferritin", 20.0, "ng/mL", "2026-06-01")).await.expect(201);
        let path = begin(&ann, &ann.patient_id).await.location();
        desk.post(&results, result("hemoglobin", 6.9, "g/dL", "2026-06-09")).await.expect(201);
        let draft = ann.get(&path).await;
        assert_eq!(draft.expect(200).body["notices"][0]["rule"], "hemoglobin_below_8");
        doctor.get(&path).await.expect(200);
        let rules = raised(&doctor).await;
        assert!(rules.contains(&"hemoglobin_below_8".to_owned()), "{rules:?}");

        let mut answers = patients_example();
        answers.as_object_mut().expect("an object").remove("labs");
        ann.update(&path, json!({"answers": answers})).await.expect(200);
        ann.post_empty(&format!("{path}/submit")).await.expect(200);
        let computed = doctor.get(&path).await.expect(200).body["computed"].clone();
        assert_eq!(computed["iron_review_band"], "ferritin_le_75_or_tsat_lt_20");
        let rules = raised(&doctor).await;
        assert!(["hemoglobin_below_8", "iron_review"].iter().all(|rule| rules.iter().any(|one| one == rule)), "{rules:?}");
    }

    async fn a_correction_keeps_the_replaced_version_and_moves_the_flags(app: App) {
        let app = june(app);
        let (ann, doctor, desk) = (app.patient("ann").await, app.doctor().await, app.desk().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await;
        let severe = || result("hemoglobin", 6.9, "g/dL", "2026-06-09");
        let entered = desk.post(&format!("/v1/patients/{}/lab-results", ann.patient_id), severe()).await;
        let (place, etag) = (entered.expect(201).location(), entered.etag());
        assert_eq!((entered.body["status"].clone(), entered.body["updated_at"].clone()), (json!("final"), Value::Null));
        let correct = format!("{place}/correct");
        let correction = || json!({"result": result("hemoglobin", 12.9, "g/dL", "2026-06-09"), "reason": "The digits were swapped."});

        ann.post(&correct, correction()).await.problem(403, "role_forbidden");
        let mut wrong = correction();
        wrong["result"]["value"] = 400.into();
        wrong["reason"] = " ".into();
        desk.post(&correct, wrong).await.invalid("/result/value", "out_of_range");
        desk.post_with(&correct, correction(), &[("If-Match", "\"7\"")]).await.problem(412, "stale");
        let corrected = desk.post_with(&correct, correction(), &[("If-Match", &etag), ("Idempotency-Key", "c1")]).await;
        assert_eq!((corrected.expect(200).body["status"].clone(), corrected.body["value"].clone()), (json!("corrected"), json!(12.9)));
        assert_eq!(corrected.etag(), "\"2\"");
        let again = desk.post_with(&correct, correction(), &[("If-Match", &etag), ("Idempotency-Key", "c1")]).await;
        assert_eq!(again.expect(200).body, corrected.body, "a repeat corrects once");

        assert!(!raised(&doctor).await.contains(&"hemoglobin_below_8".to_owned()));
        assert_eq!(ann.get(&place).await.expect(200).body, corrected.body);
        ann.get(&format!("{place}/versions")).await.problem(403, "role_forbidden");
        desk.get(&format!("{place}/versions")).await.problem(403, "role_forbidden");
        let versions = doctor.get(&format!("{place}/versions")).await.items();
        assert_eq!(versions.len(), 1);
        assert_eq!(
            (&versions[0]["result"], &versions[0]["reason"], &versions[0]["version"]),
            (&entered.body, &json!("The digits were swapped."), &json!(1))
        );
        let labs = doctor.get(&format!("{path}/summary")).await.expect(200).body["labs"].clone();
        assert!(labs.as_array().expect("values").iter().all(|lab| lab["value"] != 6.9), "{labs}");
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await.expect(200).body["lab_results"].clone();
        assert_eq!((export[0]["value"].clone(), export[0]["versions"][0]["result"]["value"].clone()), (json!(12.9), json!(6.9)));
    }

    async fn a_result_entered_in_error_counts_nowhere_and_stays_visible_to_practitioners(app: App) {
        let app = june(app);
        let (ann, bob, doctor, desk) = (app.patient("ann").await, app.patient("bob").await, app.doctor().await, app.desk().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await;
        let before = doctor.get(&path).await.expect(200).body["computed"].clone();
        let results = format!("/v1/patients/{}/lab-results", ann.patient_id);
        let place = desk.post(&results, result("hemoglobin", 6.9, "g/dL", "2026-06-09")).await.expect(201).location();
        let (void, reason) = (format!("{place}/void"), || json!({"reason": "Of another patient."}));
        bob.post(&void, reason()).await.problem(403, "role_forbidden");
        let voided = desk.post_with(&void, reason(), &[("If-Match", "\"1\"")]).await;
        assert!(voided.expect(204).text.is_empty(), "the front desk reads no results");
        desk.post(&void, reason()).await.problem(409, "status_conflict");
        let correction = json!({"result": result("hemoglobin", 12.9, "g/dL", "2026-06-09"), "reason": "A slip."});
        let refused = desk.post(&format!("{place}/correct"), correction).await;
        assert_eq!(refused.problem(409, "status_conflict")["lab_result_status"], "entered-in-error");

        assert_eq!(doctor.get(&path).await.expect(200).body["computed"], before, "it counts nowhere");
        assert!(!raised(&doctor).await.contains(&"hemoglobin_below_8".to_owned()));
        let timeline = doctor.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.expect(200).body["iron"].clone();
        assert!(timeline.as_array().expect("values").iter().all(|point| point["value"] != 6.9), "{timeline}");
        let shown = doctor.get(&place).await;
        assert_eq!((shown.expect(200).body["status"].clone(), shown.body["value"].clone()), (json!("entered-in-error"), json!(6.9)));
        assert_eq!(doctor.get(&results).await.items().len(), 1);
        assert_eq!(doctor.get(&format!("{place}/versions")).await.items()[0]["reason"], "Of another patient.");
        // It may tell of another patient.
        ann.get(&place).await.problem(404, "not_found");
        assert_eq!(ann.get(&results).await.items().len(), 0);
        let export = ann.get(&format!("/v1/patients/{}/export", ann.patient_id)).await.expect(200).body["lab_results"].clone();
        assert_eq!(export, json!([]));
        // Nor what the rules found from it, in flags and in the versions that were replaced meanwhile.
        let place = desk.post(&results, result("hemoglobin", 6.8, "g/dL", "2026-06-09")).await.expect(201).location();
        let amended = json!({"answers": {"symptoms": {"severity_0_10": 8}}, "reason": "A slip."});
        doctor.post(&format!("{path}/amend"), amended).await.expect(200);
        desk.post(&format!("{place}/void"), reason()).await.expect(204);
        let export = format!("/v1/patients/{}/export", ann.patient_id);
        let theirs = ann.get(&export).await;
        theirs.expect(200);
        assert!(!theirs.text.contains("hemoglobin_below_8"), "{}", theirs.text);
        let versions = |export: &Value| export["intakes"][0]["versions"].as_array().expect("versions").clone();
        assert_eq!(versions(&theirs.body)[0]["computed"], Value::Null);
        let doctors = doctor.get(&export).await.expect(200).body.clone();
        assert!(versions(&doctors)[0]["computed"].is_object(), "practitioners see the whole record");
        // A practitioner who may not read a patient's results gives a reason before changing one.
        let bobs = format!("/v1/patients/{}/lab-results", bob.patient_id);
        let place = desk.post(&bobs, result("hemoglobin", 12.9, "g/dL", "2026-06-09")).await.expect(201).location();
        let stranger = app.doctor().await.without_reason();
        let correction = json!({"result": result("hemoglobin", 13.1, "g/dL", "2026-06-09"), "reason": "A slip."});
        stranger.post(&format!("{place}/correct"), correction.clone()).await.problem(403, "reason_required");
        stranger.post(&format!("{place}/void"), reason()).await.problem(403, "reason_required");
        doctor.post(&format!("{place}/correct"), correction).await.expect(200);
        let events = app.admin().await.get("/v1/audit-events?operation=void_lab_result&outcome=success").await.items();
        assert_eq!(events.len(), 2, "{events:#?}");
    }
}
