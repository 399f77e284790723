//! The form, laboratory results, the timeline and the summary of an intake.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::intakes::{example, june, submitted};
use crate::support::{App, both};

both! {
    async fn laboratory_results_are_entered_and_shown_in_the_timeline(app: App) {
        let app = june(app);
        let (ann, doctor, desk) = (app.patient("ann").await, app.doctor().await, app.desk().await);
        let path = format!("/v1/patients/{}/lab-results", ann.patient_id);
        let lab = json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-06-09", "source": "lab_report"});
        ann.post(&path, lab.clone()).await.problem(403, "role_forbidden");
        desk.post(&path, json!({"test": "ferritin", "value": 92, "unit": "%", "collected_on": "2026-06"})).await
            .invalid("/unit", "not_an_option");
        desk.post(&path, json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-06"})).await
            .invalid("/collected_on", "full_date_required");
        desk.post(&path, json!({"value": "many"})).await.invalid("/value", "wrong_type");
        desk.post(&path, json!({})).await.invalid("/test", "required").invalid("/value", "required");
        let tomorrow = json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-06-12"});
        desk.post(&path, tomorrow).await.invalid("/collected_on", "in_future");
        desk.post_with(&path, lab.clone(), &[("Idempotency-Key", "l1")]).await.expect(201);
        let entered = desk.post_with(&path, lab, &[("Idempotency-Key", "l1")]).await;
        assert_eq!((entered.expect(201).body["value"].clone(), entered.string("/test")), (json!(92), "ferritin".into()));
        assert_eq!(ann.get(&path).await.items().len(), 1);
        submitted(&doctor, &ann.patient_id, example()).await;

        let timeline = format!("/v1/patients/{}/rls-timeline", ann.patient_id);
        for client in [&ann.client, &doctor] {
            let course = client.get(&timeline).await;
            assert_eq!(course.expect(200).body["severity"][0]["irls_total"], 26);
            let ferritin: Vec<_> = course.body["iron"].as_array().expect("iron").iter().filter(|point| point["test"] == "ferritin").map(|point| point["value"].clone()).collect();
            assert_eq!(ferritin, [json!(42.0), json!(92.0)]);
            let names: Vec<_> = course.body["medications"].as_array().expect("medicines").iter().map(|one| one["name"].clone()).collect();
            assert_eq!(names, [json!("pramipexole"), json!("diphenhydramine")], "a medicine without a start date comes last");
        }
        let picture = doctor.get_with(&timeline, &[("Accept", "image/svg+xml")]).await;
        assert_eq!(picture.expect(200).header("content-type"), "image/svg+xml");
        for part in ["<svg", "very severe", "pramipexole", "92", "75"] {
            assert!(picture.text.contains(part), "{part} in {}", picture.text);
        }
    }

    async fn the_summary_is_a_clinical_page_for_practitioners_and_plain_text_for_patients(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let mut answers = example();
        answers["medications"][0]["name"] = "<script>alert(1)</script>".into();
        answers["venous"]["diagnostic_tests"] = json!([{"test": "venous_duplex", "date": "2026-05",
            "result_source": "clinician", "result": "Reflux of the left great saphenous vein."}]);
        let path = submitted(&doctor, &ann.patient_id, answers).await;
        let plan = json!({"mimic_review": "not_solely_explained", "plan_note": "CANARY-PLAN & more"});
        doctor.post(&format!("{path}/review"), plan).await.expect(200);
        let path = format!("{path}/summary");
        let summary = doctor.get(&path).await;
        assert_eq!((summary.expect(200).string("/audience"), summary.body["heading"].clone()), ("practitioner".into(), Value::Null));
        assert_eq!(summary.body["severity"]["irls_total"], 26);
        assert_eq!(summary.body["contributors"][0]["because"][0]["answer"], "Yes");
        assert!(summary.body["labs"][0]["age_days"].as_i64().is_some_and(|days| days == 29), "{}", summary.body["labs"]);
        assert!(summary.string("/disclaimer").contains("not a diagnosis"));
        let page = doctor.get_with(&path, &[("Accept", "text/html")]).await;
        if let Ok(file) = std::env::var("LEGWORK_SHOW_SUMMARY") {
            std::fs::write(file, &page.text).expect("written");
        }
        assert_eq!(page.expect(200).header("content-type"), "text/html; charset=utf-8");
        for part in ["ann Tester", "26", "severe", "CANARY-PLAN &amp; more", "&lt;script&gt;", "not a diagnosis", "Reflux of the left"] {
            assert!(page.text.contains(part), "{part} in {}", page.text);
        }
        assert!(!page.text.contains("<script>"));
        let plain = ann.get(&path).await;
        assert_eq!(plain.expect(200).string("/audience"), "patient");
        let page = ann.get_with(&path, &[("Accept", "text/html")]).await;
        for text in [&plain.text, &page.expect(200).text] {
            assert!(!text.contains("CANARY") && !text.contains("severe") && text.contains("urge to move"), "{text}");
        }
    }

    async fn every_age_in_a_summary_is_as_of_the_day_it_is_read(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await + "/summary";
        let ages = async || {
            let summary = doctor.get(&path).await;
            let summary = summary.expect(200).body.clone();
            (summary["as_of"].clone(), summary["patient"]["age"].clone(), summary["labs"][0]["age_days"].clone())
        };
        assert_eq!(ages().await, (json!("2026-06-10"), json!(58), json!(29)));
        // After the birthday.
        app.clock.advance(SignedDuration::from_hours(24 * 100));
        assert_eq!(ages().await, (json!("2026-09-18"), json!(59), json!(129)));
        let page = doctor.get_with(&path, &[("Accept", "text/html")]).await;
        for part in ["59 years", "ages as of 2026-09-18", "<td>129 days</td>", "answered Jun 10, 2026"] {
            assert!(page.expect(200).text.contains(part), "{part} in {}", page.text);
        }
    }

    async fn a_client_can_render_the_form_from_its_definition_alone(app: App) {
        let anon = app.anon();
        assert_eq!(anon.get("/v1/intake-forms").await.items()[0]["form"], "rls-history");
        let form = anon.get("/v1/intake-forms/rls-history").await;
        assert_eq!(form.expect(200).body["sections"][0]["id"], "safety");
        assert!(form.body["title"]["en"].is_string() && form.body["title"]["es"].is_string());
        let schema = jsonschema::draft202012::new(&form.body["json_schema"]).expect("a schema");
        assert!(schema.is_valid(&example()) && !schema.is_valid(&json!({"nonsense": 1})));
        let spanish = anon.get("/v1/intake-forms/rls-history?language=es-MX").await;
        assert!(spanish.expect(200).body["title"]["en"].is_null() && spanish.body["title"]["es"].is_string());
        anon.get("/v1/intake-forms/rls-history?language=!").await.invalid("?language", "invalid_language");
        anon.get("/v1/intake-forms/other").await.problem(404, "not_found");
    }
}
