//! Findings that come due by the clock or by newer rules, and flags of laboratory results without an intake.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::db::schema::intakes;
use legwork::ids::IntakeId;
use legwork::sealed::Sealed;
use serde_json::{Value, json};

use crate::support::intakes::{ON_CALL, begin, example, june, submitted};
use crate::support::{App, Patient, both};

fn result(test: &str, value: f64, unit: &str, day: &str) -> Value {
    json!({"test": test, "value": value, "unit": unit, "collected_on": day, "source": "lab_report"})
}

/// Returns the flags of a rule that is raised now. Signs in and opens the record, because sessions and openings end.
async fn raised(app: &App, patient: &Patient, rule: &str) -> Vec<Value> {
    let doctor = app.doctor().await;
    doctor.get(&format!("/v1/patients/{}/rls-timeline", patient.patient_id)).await.expect(200);
    let mut flags = doctor.get("/v1/intake-flags").await.items();
    flags.retain(|flag| flag["rule"] == rule && flag["withdrawn_at"].is_null());
    flags
}

async fn compute(app: &App) -> usize {
    legwork::intake::due::compute_due(&app.env).await.expect("computed")
}

fn days(app: &App, count: i64) {
    app.clock.advance(SignedDuration::from_hours(24 * count));
}

fn id_of(path: &str) -> IntakeId {
    path.rsplit('/').next().and_then(|id| id.parse().ok()).expect("an id")
}

/// The worked example with iron by mouth since 2026-05-20, after its ferritin of 2026-05-12.
fn with_iron() -> Value {
    let mut answers = example();
    let iron = json!({"name": "ferrous sulfate", "status": "current", "started_on": "2026-05-20"});
    answers["medications"].as_array_mut().expect("medicines").push(iron);
    answers
}

both! {
    async fn a_ferritin_under_iron_comes_due_by_the_clock_on_several_instances_once(app: App) {
        let app = june(app);
        let ann = app.patient("ann").await;
        let path = submitted(&app.doctor().await, &ann.patient_id, with_iron()).await;
        // Twelve weeks after the start is 2026-08-12. Today is 2026-06-10.
        days(&app, 62);
        assert_eq!(compute(&app).await, 0);
        assert!(raised(&app, &ann, "iron_monitoring_due").await.is_empty());
        let before = app.doctor().await.get(&path).await.expect(200).etag();
        days(&app, 1);
        let (one, other) = tokio::join!(compute(&app), compute(&app));
        assert!(one + other >= 1);
        assert_eq!(compute(&app).await, 0);
        assert_eq!(raised(&app, &ann, "iron_monitoring_due").await.len(), 1);
        let due = app.doctor().await.get(&path).await;
        assert_eq!(due.expect(200).body["computed"]["iron_monitoring"][0]["due"], true);
        assert_ne!(due.etag(), before, "the findings are part of the intake");

        // A newer ferritin ends it until the next one is due, six months later.
        let results = format!("/v1/patients/{}/lab-results", ann.patient_id);
        app.desk().await.post(&results, result("ferritin", 60.0, "ng/mL", "2026-08-12")).await.expect(201);
        assert!(raised(&app, &ann, "iron_monitoring_due").await.is_empty());
        days(&app, 183);
        assert_eq!(compute(&app).await, 0);
        days(&app, 1);
        assert_eq!(compute(&app).await, 1);
        assert_eq!(raised(&app, &ann, "iron_monitoring_due").await.len(), 1);
        assert!(raised(&app, &ann, "ferritin_out_of_date").await.is_empty());
        days(&app, 182);
        compute(&app).await;
        assert_eq!(raised(&app, &ann, "ferritin_out_of_date").await.len(), 1);
    }

    async fn the_day_that_a_review_set_comes_due_and_a_later_review_ends_it(app: App) {
        let app = june(app);
        let ann = app.patient("ann").await;
        let path = submitted(&app.doctor().await, &ann.patient_id, example()).await;
        let review = |on: &str| json!({"mimic_review": "not_solely_explained", "recheck_on": on});
        app.doctor().await.post(&format!("{path}/review"), review("2026-08-26")).await.expect(200);
        days(&app, 76);
        assert_eq!(compute(&app).await, 0);
        days(&app, 1);
        assert_eq!(compute(&app).await, 1);
        let flags = raised(&app, &ann, "recheck_due").await;
        assert_eq!((flags.len(), &flags[0]["urgency"]), (1, &json!("routine")));
        app.doctor().await.post(&format!("{path}/review"), review("2026-12-01")).await.expect(200);
        assert!(raised(&app, &ann, "recheck_due").await.is_empty());
    }

    async fn newer_rules_compute_what_counts_again_and_what_cannot_be_computed_keeps_nothing_else_waiting(app: App) {
        let app = june(app);
        let (ann, bob, doctor) = (app.patient("ann").await, app.patient("bob").await, app.doctor().await);
        let old = submitted(&doctor, &ann.patient_id, example()).await;
        days(&app, 1);
        let path = submitted(&doctor, &ann.patient_id, with_iron()).await;
        let broken = submitted(&doctor, &bob.patient_id, example()).await;
        let (version, broken_id) = (doctor.get(&path).await.etag(), id_of(&broken));
        app.db(move |tx| {
            diesel::update(intakes::table).set(intakes::rule_set.eq(1)).execute(tx)?;
            let garbage = intakes::answers.eq(Sealed::<legwork::intake::model::Answers>::from_bytes(vec![0; 40]));
            Ok(diesel::update(intakes::table.find(broken_id)).set(garbage).execute(tx)?)
        }).await;
        assert_eq!(compute(&app).await, 3);
        assert_eq!(compute(&app).await, 0, "the broken one waits for a day");
        let (newest, older) = (id_of(&path), id_of(&old));
        let rule_sets = app.db(move |tx| {
            let rows = intakes::table.filter(intakes::id.eq_any([newest, older])).select((intakes::rule_set, intakes::due_at));
            Ok(rows.order(intakes::authored_at).load::<(Option<i32>, Option<legwork::clock::Timestamp>)>(tx)?)
        }).await;
        let current = Some(rls::rule_set_number());
        assert!(rule_sets[0] == (current, None), "an older intake keeps the findings of its time");
        assert!(rule_sets[1].0 == current && rule_sets[1].1.is_some());
        assert_eq!(doctor.get(&path).await.etag(), version, "the same findings are no new version");
        days(&app, 1);
        assert_eq!(compute(&app).await, 1);
    }

    async fn a_dangerous_result_raises_its_flag_without_an_intake_and_the_first_history_takes_it_over(app: App) {
        let app = june(app);
        let (ann, doctor, desk) = (app.patient("ann").await, app.doctor().await, app.desk().await);
        let results = format!("/v1/patients/{}/lab-results", ann.patient_id);
        desk.post(&results, result("ferritin", 20.0, "ng/mL", "2026-06-08")).await.expect(201);
        assert_eq!(doctor.get("/v1/intake-flags").await.items(), Vec::<Value>::new(), "low iron is no danger by itself");
        let severe = desk.post(&results, result("hemoglobin", 69.0, "g/L", "2026-06-09")).await.expect(201).location();
        let flags = raised(&app, &ann, "hemoglobin_below_8").await;
        assert_eq!((flags.len(), &flags[0]["intake_id"], &flags[0]["urgency"]), (1, &Value::Null, &json!("same_day")));
        assert_eq!(desk.get("/v1/intake-flags").await.items().len(), 1, "the front desk sees that it is urgent");
        assert_eq!(app.mails_to(ON_CALL).await.len(), 1);
        desk.post(&results, result("ferritin", 640.0, "ng/mL", "2026-06-09")).await.expect(201);
        assert_eq!(raised(&app, &ann, "iron_overload_review").await.len(), 1);

        desk.post(&format!("{severe}/void"), json!({"reason": "Of another patient."})).await.expect(204);
        assert!(raised(&app, &ann, "hemoglobin_below_8").await.is_empty());
        desk.post(&results, result("hemoglobin", 6.8, "g/dL", "2026-06-10")).await.expect(201);
        assert_eq!(raised(&app, &ann, "hemoglobin_below_8").await.len(), 1);
        assert_eq!(app.mails_to(ON_CALL).await.len(), 1, "one mail about one flag");

        let intakes = format!("/v1/patients/{}/intakes", ann.patient_id);
        ann.post(&intakes, json!({"form": "rls-follow-up"})).await.expect(201);
        let kept = raised(&app, &ann, "hemoglobin_below_8").await;
        assert_eq!((kept.len(), &kept[0]["intake_id"]), (1, &Value::Null), "a follow-up does not ask about results");
        let draft = begin(&ann, &ann.patient_id).await.location();
        let taken_over = raised(&app, &ann, "hemoglobin_below_8").await;
        assert_eq!((taken_over.len(), taken_over[0]["intake_id"].as_str()), (1, draft.rsplit('/').next()));
        ann.delete(&draft).await.expect(204);
        let again = raised(&app, &ann, "hemoglobin_below_8").await;
        assert_eq!((again.len(), &again[0]["intake_id"]), (1, &Value::Null), "a discarded draft does not settle it");
    }
    async fn results_and_a_draft_at_the_same_time_lose_no_flag(app: App) {
        let app = june(app);
        let (desk, patients) = (app.desk().await, [app.patient("ann").await, app.patient("bob").await, app.patient("eve").await]);
        let high = || result("ferritin", 640.0, "ng/mL", "2026-06-09");
        for patient in patients {
            let results = format!("/v1/patients/{}/lab-results", patient.patient_id);
            let severe = desk.post(&results, result("hemoglobin", 6.9, "g/dL", "2026-06-09"));
            tokio::join!(severe, desk.post(&results, high()), begin(&patient, &patient.patient_id), desk.post(&results, high()));
            for rule in ["hemoglobin_below_8", "iron_overload_review"] {
                let flags = raised(&app, &patient, rule).await;
                let own: Vec<_> = flags.iter().filter(|flag| flag["patient"]["id"] == patient.patient_id.as_str()).collect();
                assert_eq!(own.len(), 1, "{rule}");
            }
        }
    }
}
