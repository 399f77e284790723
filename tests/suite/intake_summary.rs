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

    async fn the_page_names_the_safety_question_that_is_not_known_and_the_questions_without_an_answer(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let begun = doctor.post(&format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-history"})).await;
        let path = begun.expect(201).location();
        let safety = json!({"chest_pain_breathlessness": "no", "acute_unilateral_leg_symptoms": "unknown"});
        doctor.update(&path, json!({"answers": {"safety": safety}})).await.expect(200);
        let summary = doctor.get(&format!("{path}/summary")).await;
        assert_eq!(summary.expect(200).string("/flags/0/because/0/field"), "safety.acute_unilateral_leg_symptoms");
        let unanswered = summary.body["unanswered"].as_array().expect("a list").clone();
        assert!(unanswered.contains(&json!("Bleeding vein")) && unanswered.contains(&json!("Medicines")), "{unanswered:?}");
        assert!(summary.body["medications_status"].is_null());
        let page = doctor.get_with(&format!("{path}/summary"), &[("Accept", "text/html")]).await;
        for part in ["within 14 days: I don&#x27;t know", "Not answered.", "Required and without an answer"] {
            assert!(page.expect(200).text.contains(part), "{part} in {}", page.text);
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

    /// The rules count the last entered of several values of one day, and the saturation that is computed.
    async fn of_several_values_of_a_day_the_one_that_counts_is_shown_as_the_newest(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let lab = |test: &str, value: f64, unit: &str| {
            json!({"test": test, "value": value, "unit": unit, "collected_on": "2026-05-12", "source": "patient_reported"})
        };
        let mut answers = example();
        answers["labs"] = json!([
            lab("ferritin", 42.0, "ng/mL"), lab("ferritin", 96.0, "ng/mL"), lab("tsat", 30.0, "%"),
            lab("iron", 60.0, "ug/dL"), lab("tibc", 353.0, "ug/dL"),
        ]);
        let path = format!("{}/summary", submitted(&doctor, &ann.patient_id, answers).await);
        let summary = doctor.get(&path).await;
        let first = |test: &str| {
            let labs = summary.body["labs"].as_array().expect("a list").clone();
            labs.into_iter().find(|lab| lab["test"] == test).expect("a value")["value"].clone()
        };
        assert_eq!((first("ferritin"), first("tsat")), (json!(96.0), json!(17.0)), "{}", summary.expect(200).body["labs"]);
        assert_eq!(summary.body["iron"]["tsat_percent"], 17.0);
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
        for part in ["59 years", "ages as of Sep 18, 2026", "May 12, 2026, 4 months ago", "answered Jun 10, 2026"] {
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
        let asks = |sections: &str| form.body[sections].as_array().expect("sections").iter().any(|section| section["id"] == "irls");
        assert!(!asks("sections") && asks("clinician_sections"), "patients are not asked about the licensed scale without it");
        let spanish = anon.get("/v1/intake-forms/rls-history?language=es-MX").await;
        assert!(spanish.expect(200).body["title"]["en"].is_null() && spanish.body["title"]["es"].is_string());
        anon.get("/v1/intake-forms/rls-history?language=!").await.invalid("?language", "invalid_language");
        anon.get("/v1/intake-forms/other").await.problem(404, "not_found");
    }

    async fn the_summary_opens_with_who_it_is_and_what_to_check_and_says_what_changed(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let mut first = example();
        first["allergies_status"] = json!("listed");
        first["allergies"] = json!([{"substance": "iron dextran", "reaction": "hives"}]);
        first["venous"]["dvt_ever"] = "yes".into();
        first["venous"]["dvt_date"] = "2011".into();
        first["risk"]["sleep_apnea"] = "no".into();
        let path = submitted(&doctor, &ann.patient_id, first.clone()).await;
        let plan = json!({"mimic_review": "not_solely_explained", "plan_note": "Change to gabapentin.", "recheck_on": "2026-08-01"});
        doctor.post(&format!("{path}/review"), plan).await.expect(200);
        let summary = doctor.get(&format!("{path}/summary")).await;
        assert_eq!(
            summary.expect(200).string("/opening"),
            "58-year-old woman, symptoms for about 17 years (since 2009). IRLS 26 of 40, severe. Takes for restless legs: pramipexole 0.5 mg nightly."
        );
        assert_eq!(summary.body["safety"]["allergies"][0]["substance"], "iron dextran");
        assert_eq!(summary.body["safety"]["reported"], json!(["Deep vein thrombosis (2011)"]));
        assert_eq!(summary.body["safety"]["denied"], json!(["Pregnancy", "Sleep apnea", "Drowsy driving"]));
        assert!(summary.body["safety"]["not_known"].as_array().expect("a list").contains(&json!("Anticoagulant")), "missing is not no");
        assert_eq!(summary.body["previous"], Value::Null);
        assert_eq!(summary.body["urges"]["yes"], json!(["Shopping", "urges as a side effect of pramipexole"]));
        assert_eq!(summary.body["augmentation"]["unknown"], json!(["Sooner at rest"]));
        assert_eq!((summary.body["labs"][0]["level"].clone(), summary.body["labs"][0]["age"].clone()), (json!("low"), json!("4 weeks")));

        app.clock.advance(SignedDuration::from_hours(24 * 60));
        let mut second = first;
        second["irls"] = json!({"items": [1, 1, 1, 2, 1, 1, 2, 1, 1, 1]});
        second["risk"]["sleep_apnea"] = "yes".into();
        second["medications"][0]["status"] = "stopped".into();
        second["medications"][0]["stop_reason"] = "It came earlier every day.".into();
        second["medications"].as_array_mut().expect("a list").push(json!(
            {"name": "gabapentin", "dose": 600, "unit": "mg", "started_on": "2026-07", "status": "current", "for_rls": "yes"}));
        let path = submitted(&doctor, &ann.patient_id, second).await + "/summary";
        let summary = doctor.get(&path).await;
        let opening = summary.expect(200).string("/opening");
        assert!(opening.contains("IRLS 12 of 40, moderate; 14 lower than 26 on Jun 10, 2026. Takes for restless legs: gabapentin 600 mg."), "{opening}");
        assert_eq!(
            summary.body["previous"]["changes"],
            json!(["started gabapentin 600 mg", "stopped pramipexole (It came earlier every day.)", "new: Sleep apnea"])
        );
        assert_eq!(summary.body["previous"]["plan_note"], "Change to gabapentin.");
        let page = doctor.get_with(&path, &[("Accept", "text/html")]).await;
        for part in ["It came earlier every day.", "Plan then", "Recheck on Aug 1, 2026", "<span class=\"mark\">started</span>", "iron dextran"] {
            assert!(page.expect(200).text.contains(part), "{part} in {}", page.text);
        }
        assert!(!page.text.contains("/wk") && !page.text.contains("mm[Hg]") && !page.text.contains(" d/"), "no machine units");
    }

    async fn hints_of_the_guideline_are_for_practitioners_only(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await + "/summary";
        let summary = doctor.get(&path).await;
        let hints = summary.expect(200).body["guideline_hints"].as_array().expect("hints").clone();
        let pramipexole = hints.iter().find(|hint| hint["id"] == "aasm_2025_pramipexole").expect("a hint");
        assert_eq!(pramipexole["text"], "The guideline suggests against the standard use of pramipexole.");
        let graded = (pramipexole["strength"].clone(), pramipexole["certainty"].clone(), pramipexole["reason"].clone());
        assert_eq!(graded, (json!("conditional"), json!("moderate"), json!("taken_now")));
        assert!(pramipexole["url"].as_str().is_some_and(|url| url.contains("jcsm.11390")));
        let page = doctor.get_with(&path, &[("Accept", "text/html")]).await;
        assert!(page.expect(200).text.contains("Suggests against the standard use of pramipexole (conditional, moderate certainty, taken now)"));
        for accept in ["application/json", "text/html"] {
            let shown = ann.get_with(&path, &[("Accept", accept)]).await;
            assert!(!shown.expect(200).text.to_lowercase().contains("guideline"), "{}", shown.text);
        }
        app.desk().await.get(&path).await.problem(403, "role_forbidden");
    }

    async fn a_setting_switches_the_hints_of_the_guideline_off(app: App) {
        let app = app.restart(&["--guideline-hints", "false"]);
        app.clock.advance(SignedDuration::from_hours(24 * 100));
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await + "/summary";
        assert_eq!(doctor.get(&path).await.expect(200).body["guideline_hints"], json!([]));
        assert!(!doctor.get_with(&path, &[("Accept", "text/html")]).await.expect(200).text.contains("no orders"));
    }

    async fn a_patient_reads_the_main_points_in_the_language_asked_for(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await + "/summary";
        let english = ann.get(&path).await;
        assert_eq!(english.expect(200).string("/language"), "en");
        let spanish = ann.get(&format!("{path}?language=es-MX")).await;
        assert_eq!(spanish.expect(200).string("/language"), "es");
        let page = ann.get_with(&format!("{path}?language=es"), &[("Accept", "text/html")]).await;
        for part in ["Lo que nos contó", "Medicinas", "pramipexole 0.5 mg nightly", "Días a la semana sin tratamiento"] {
            assert!(page.expect(200).text.contains(part), "{part} in {}", page.text);
        }
        // The questionnaire is not repeated, and the metadata of the scale is not shown.
        for part in ["¿", "clinician_administered", "2.2", "safety"] {
            assert!(!page.text.contains(part) && !spanish.text.contains(part), "{part} in {}", page.text);
        }
        ann.get(&format!("{path}?language=!")).await.invalid("?language", "invalid_language");
        let picture = |language: &str| format!("/v1/patients/{}/rls-timeline{language}", ann.patient_id);
        let svg = [("Accept", "image/svg+xml")];
        assert!(ann.get_with(&picture("?language=es"), &svg).await.expect(200).text.contains("Ferritina"));
        assert!(ann.get_with(&picture(""), &svg).await.expect(200).text.contains("Ferritin ("));
    }
}
