//! Intakes: drafts, submission, review, and what each role sees of them.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::intakes::{begin, example, june, patients_example, save, submitted};
use crate::support::{App, Client, both};

both! {
    async fn a_draft_is_saved_in_parts_and_resumed(app: App) {
        let ann = app.patient("ann").await;
        let draft = begin(&ann, &ann.patient_id).await;
        assert_eq!((draft.string("/status"), draft.string("/form_version")), ("in-progress".into(), "1.3.0".into()));
        let path = draft.location();
        assert_eq!(path, format!("/v1/intakes/{}", draft.id()));
        ann.patch(&path, "", json!({"answers": {}})).await.problem(428, "precondition_required");
        let first = ann.patch(&path, &draft.etag(), json!({"answers": {"safety": {"self_harm_thoughts": "no"}}})).await;
        first.expect(200);
        let second = ann.patch(&path, &first.etag(), json!({"answers": {
            "symptoms": {"urge_to_move_legs": "yes", "sensations": ["crawling", "tingling"], "symptom_onset_date": "2009"}
        }})).await;
        assert_eq!(second.expect(200).body["answers"], json!({
            "safety": {"self_harm_thoughts": "no"},
            "symptoms": {"urge_to_move_legs": "yes", "sensations": ["crawling", "tingling"], "symptom_onset_date": "2009"}
        }));
        app.clock.advance(SignedDuration::from_hours(24));
        let resumed = ann.get(&path).await;
        assert_eq!(resumed.expect(200).body["answers"], second.body["answers"]);
        assert_eq!(resumed.etag(), second.etag());
        assert_eq!(resumed.string("/authored_at"), "2026-03-02T14:00:00Z");
        let back = ann.patch(&path, &resumed.etag(), json!({"answers": {"symptoms": {"sensations": null}, "safety": null}})).await;
        assert_eq!(back.expect(200).body["answers"], json!({"symptoms": {"urge_to_move_legs": "yes", "symptom_onset_date": "2009"}}));
    }

    async fn when_two_tabs_save_at_once_one_gets_412_and_no_answer_is_lost(app: App) {
        let ann = app.patient("ann").await;
        let draft = begin(&ann, &ann.patient_id).await;
        let path = draft.location();
        let one = json!({"answers": {"symptoms": {"urge_to_move_legs": "yes"}}});
        let other = json!({"answers": {"symptoms": {"worse_at_rest": "yes"}}});
        let (etag, client) = (draft.etag(), ann.client.clone());
        let (a, b) = tokio::join!(client.patch(&path, &etag, one.clone()), client.patch(&path, &etag, other.clone()));
        let mut statuses = [a.status, b.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{}\n{}", a.text, b.text);
        let (saved, refused) = if a.status == 200 { (&a, other) } else { (&b, one) };
        ann.patch(&path, &saved.etag(), refused).await.expect(200);
        let answers = &ann.get(&path).await.body["answers"];
        assert_eq!(*answers, json!({"symptoms": {"urge_to_move_legs": "yes", "worse_at_rest": "yes"}}));
    }

    async fn a_draft_saved_two_hundred_times_loses_no_answer(app: App) {
        let ann = app.patient("ann").await;
        let draft = begin(&ann, &ann.patient_id).await;
        let (path, mut etag) = (draft.location(), draft.etag());
        let (mut expected, example) = (json!({}), patients_example());
        let safety: Vec<_> = example["safety"].as_object().expect("answers").iter().collect();
        for turn in 0..200_usize {
            let (name, _) = safety[turn % safety.len()];
            let answer = ["yes", "no", "unknown", "prefer_not_to_say"][turn / safety.len() % 4];
            let medication = json!([{"name": format!("medicine {turn}"), "status": "current"}]);
            let saved = ann.patch(&path, &etag, json!({"answers": {"safety": {name: answer}, "medications": medication}})).await;
            saved.expect(200);
            expected["safety"][name] = answer.into();
            expected["medications"] = medication;
            assert_eq!(saved.body["answers"], expected, "after save {turn}");
            etag = saved.etag();
        }
        assert_eq!(etag, "\"201\"");
        assert_eq!(ann.get(&path).await.body["answers"], expected);
    }

    async fn a_patient_has_one_open_draft_of_a_form_and_can_discard_it(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let draft = begin(&ann, &ann.patient_id).await;
        let path = format!("/v1/patients/{}/intakes", ann.patient_id);
        let twice = desk.post(&path, json!({"form": "rls-history"})).await;
        assert_eq!(twice.problem(409, "draft_exists")["intake_id"], draft.id());
        ann.post(&path, json!({"form": "other"})).await.invalid("/form", "not_an_option");
        ann.post(&path, json!({})).await.invalid("/form", "required");
        ann.client.send(Method::DELETE, &draft.location(), &[("If-Match", "\"9\"")], None).await.problem(412, "stale");
        ann.delete(&draft.location()).await.expect(204);
        ann.get(&draft.location()).await.problem(404, "not_found");
        ann.post_with(&path, json!({"form": "rls-history"}), &[("Idempotency-Key", "k1")]).await.expect(201);
        ann.post_with(&path, json!({"form": "rls-history"}), &[("Idempotency-Key", "k1")]).await.expect(201);
        assert_eq!(ann.get(&path).await.items().len(), 1);
    }

    async fn an_invalid_answer_is_rejected_with_its_pointer_and_changes_nothing(app: App) {
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let draft = begin(&ann, &ann.patient_id).await;
        let (path, etag) = (draft.location(), draft.etag());
        let patch = async |client: &Client, answers: Value| client.patch(&path, &etag, json!({"answers": answers})).await;
        patch(&ann, json!({"symptoms": {"urge_to_move_legs": "perhaps", "days_per_week_untreated": 8}})).await
            .invalid("/answers/symptoms/urge_to_move_legs", "not_an_option")
            .invalid("/answers/symptoms/days_per_week_untreated", "out_of_range");
        patch(&ann, json!({"nonsense": 1})).await.invalid("/answers/nonsense", "unknown_field");
        patch(&ann, json!({"irls": {"items": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}})).await.invalid("/answers/irls/items", "clinician_only");
        ann.patch(&path, &etag, json!({"answers": [1]})).await.invalid("/answers", "wrong_type");
        ann.patch(&path, &etag, json!({"answers": {}, "status": "completed"})).await.invalid("/status", "unknown_field");
        let headers = [("Content-Type", "application/merge-patch+json"), ("If-Match", etag.as_str())];
        let twice = r#"{"answers": {"safety": {"bleeding_vein": "yes", "bleeding_vein": "no"}}}"#;
        ann.send_raw(Method::PATCH, &path, &headers, twice.into()).await.invalid("/answers/safety/bleeding_vein", "duplicate_field");
        assert_eq!(ann.get(&path).await.etag(), etag, "nothing was changed");
        patch(&doctor, json!({"irls": {"items": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}})).await.expect(200);
    }

    async fn a_draft_accepts_inconsistent_answers_with_issues_and_submission_rejects_them(app: App) {
        let app = june(app);
        let ann = app.patient("ann").await;
        let path = begin(&ann, &ann.patient_id).await.location();
        let mut answers = patients_example();
        answers["labs"][0]["collected_on"] = "1950-01-01".into();
        let symptoms = answers["symptoms"].as_object_mut().expect("symptoms");
        symptoms.remove("urge_to_move_legs");
        let saved = save(&ann, &path, answers.clone()).await;
        let issues = saved.body["computed"]["issues"].as_array().expect("issues").clone();
        for (pointer, code) in [("/answers/labs/0/collected_on", "before_birth"), ("/answers/symptoms/urge_to_move_legs", "required")] {
            let is_it = |issue: &&Value| issue["pointer"] == pointer && issue["code"] == code && issue["severity"] == "error";
            assert!(issues.iter().any(|issue| is_it(&issue)), "{pointer} in {issues:?}");
        }
        assert_eq!(saved.body["completeness"]["complete"], false);
        assert_eq!(saved.body["computed"].as_object().expect("computed").len(), 2, "patients do not see findings");
        let refused = ann.post_empty(&format!("{path}/submit")).await;
        refused.invalid("/answers/labs/0/collected_on", "before_birth").invalid("/answers/symptoms/urge_to_move_legs", "required");
        assert_eq!(ann.get(&path).await.string("/status"), "in-progress");

        save(&ann, &path, patients_example()).await;
        let done = ann.post_with(&format!("{path}/submit"), json!({}), &[("If-Match", "\"1\"")]).await;
        done.problem(412, "stale");
        let done = ann.send(Method::POST, &format!("{path}/submit"), &[("Idempotency-Key", "s1")], None).await;
        assert_eq!((done.expect(200).string("/status"), done.body["completeness"]["complete"].clone()), ("completed".into(), json!(true)));
        assert_eq!(done.string("/submitted_at"), done.string("/authored_at"));
        let again = ann.send(Method::POST, &format!("{path}/submit"), &[("Idempotency-Key", "s1")], None).await;
        assert_eq!(again.expect(200).body, done.body);
        let conflict = ann.post_empty(&format!("{path}/submit")).await;
        assert_eq!(conflict.problem(409, "status_conflict")["intake_status"], "completed");
        ann.patch(&path, &done.etag(), json!({"answers": {}})).await.problem(409, "status_conflict");
        ann.delete(&path).await.problem(409, "status_conflict");
    }

    async fn a_submission_is_the_same_whether_saved_at_once_or_in_parts(app: App) {
        let app = june(app);
        let (ann, ben, doctor) = (app.patient("ann").await, app.patient("ben").await, app.doctor().await);
        let at_once = submitted(&doctor, &ann.patient_id, example()).await;
        let path = begin(&doctor, &ben.patient_id).await.location();
        for (section, answers) in example().as_object().expect("sections") {
            match answers.as_object() {
                Some(members) => {
                    for (name, answer) in members {
                        save(&doctor, &path, json!({section: {name: answer}})).await;
                    }
                }
                None => {
                    save(&doctor, &path, json!({section: answers})).await;
                }
            }
        }
        let draft = doctor.get(&path).await;
        doctor.post_empty(&format!("{path}/submit")).await.expect(200);
        let (a, b) = (doctor.get(&at_once).await, doctor.get(&path).await);
        assert_eq!(a.body["answers"], b.body["answers"]);
        assert_eq!(a.body["computed"], b.body["computed"]);
        assert_eq!(draft.body["computed"]["irls_total"], 26);
        let example: Value = serde_json::from_str(include_str!("../data/rls-example.json")).expect("JSON");
        for (name, expected) in example["computed"].as_object().expect("computed") {
            if name != "issues" {
                assert_eq!(a.body["computed"][name], *expected, "{name}");
            }
        }
        assert_eq!(a.body["computed"]["rule_set_version"].as_str().map(str::is_empty), Some(false));
    }

    async fn staff_can_submit_unasked_questions_and_they_are_stored_as_not_asked(app: App) {
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        let path = begin(&desk, &ann.patient_id).await.location();
        save(&desk, &path, json!({"symptoms": {"urge_to_move_legs": "yes"}})).await;
        let done = desk.post_empty(&format!("{path}/submit")).await;
        assert_eq!(done.expect(200).string("/status"), "completed");
        let seen = doctor.get(&path).await;
        assert_eq!(seen.body["answers"]["symptoms"]["worse_at_rest"], "not_asked");
        assert_eq!(seen.body["computed"]["screening_result"], "incomplete");
    }

    async fn a_review_an_amendment_and_voiding_keep_every_earlier_version(app: App) {
        let app = june(app);
        let (ann, doctor, desk) = (app.patient("ann").await, app.doctor().await, app.desk().await);
        let path = submitted(&ann, &ann.patient_id, patients_example()).await;
        let review = json!({"mimic_review": "not_solely_explained", "ceap": [{"limb": "left", "class": "C2", "suffix": "s", "date": "2026-06-03"}],
            "contributors_confirmed": ["iron_deficiency"], "plan_note": "Iron CANARY-PLAN.", "recheck_on": "2026-09-01"});
        for other in [&ann.client, &desk] {
            other.post(&format!("{path}/review"), review.clone()).await.problem(403, "role_forbidden");
        }
        doctor.post(&format!("{path}/review"), json!({"ceap": [{"limb": "left", "class": "C9"}]})).await.invalid("/ceap/0/class", "not_an_option");
        doctor.post(&format!("{path}/review"), json!({})).await.invalid("/mimic_review", "required");
        let reviewed = doctor.post(&format!("{path}/review"), review.clone()).await;
        assert_eq!(reviewed.expect(200).body["computed"]["irlssg_criteria_met"], true);
        assert_eq!(reviewed.body["review"]["plan_note"], "Iron CANARY-PLAN.");
        assert!(reviewed.body["reviewed_at"].is_string());
        let seen = ann.get(&path).await;
        assert!(!seen.text.contains("CANARY-PLAN") && seen.body["reviewed_at"].is_string(), "{}", seen.text);

        let amendment = json!({"answers": {"symptoms": {"symptom_onset_date": "2008"}}, "reason": "The year was wrong."});
        desk.post(&format!("{path}/amend"), amendment.clone()).await.problem(403, "role_forbidden");
        ann.post(&format!("{path}/amend"), json!({"answers": {}})).await.invalid("/reason", "required");
        ann.post(&format!("{path}/amend"), json!({"answers": {"symptoms": {"worse_at_rest": null}}, "reason": "x"})).await
            .invalid("/answers/symptoms/worse_at_rest", "required");
        ann.post_with(&format!("{path}/amend"), amendment.clone(), &[("If-Match", "\"1\"")]).await.problem(412, "stale");
        let amended = ann.post(&format!("{path}/amend"), amendment).await;
        assert_eq!((amended.expect(200).string("/status"), amended.body["reviewed_at"].clone()), ("amended".into(), Value::Null));
        assert_eq!(amended.body["answers"]["symptoms"]["symptom_onset_date"], "2008");
        ann.get(&format!("{path}/versions")).await.problem(403, "role_forbidden");
        let kept = doctor.get(&format!("{path}/versions")).await.items();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0]["answers"]["symptoms"]["symptom_onset_date"], "2009");
        assert_eq!((kept[0]["reason"].clone(), kept[0]["review"]["plan_note"].clone()), (json!("The year was wrong."), json!("Iron CANARY-PLAN.")));
        assert_eq!(kept[0]["computed"]["irlssg_criteria_met"], true);
        assert_eq!(doctor.get(&path).await.body["computed"]["irlssg_criteria_met"], Value::Null, "the new answers wait for a review");

        for other in [&ann.client, &desk] {
            other.post(&format!("{path}/void"), json!({"reason": "x"})).await.problem(403, "role_forbidden");
        }
        doctor.post(&format!("{path}/void"), json!({"reason": " "})).await.invalid("/reason", "required");
        let void = doctor.post(&format!("{path}/void"), json!({"reason": "Another patient's."})).await;
        assert_eq!((void.expect(200).string("/status"), void.string("/void_reason")), ("entered-in-error".into(), "Another patient's.".into()));
        assert_eq!(ann.get(&path).await.expect(200).body.get("answers"), None);
        doctor.post(&format!("{path}/review"), review).await.problem(409, "status_conflict");
        let flags = doctor.get("/v1/intake-flags").await.items();
        assert!(!flags.is_empty() && flags.iter().all(|flag| flag["withdrawn_at"].is_string()), "{flags:?}");
    }

    async fn a_copied_intake_leaves_out_answers_about_the_day(app: App) {
        let app = june(app);
        let (ann, ben, desk) = (app.patient("ann").await, app.patient("ben").await, app.desk().await);
        let earlier = submitted(&ann, &ann.patient_id, patients_example()).await;
        let id = earlier.rsplit('/').next().expect("an id").to_owned();
        let begin = async |client: &Client, patient: &str, from: &str| {
            client.post(&format!("/v1/patients/{patient}/intakes"), json!({"form": "rls-history", "copy_from": from})).await
        };
        begin(&desk, &ann.patient_id, &id).await.invalid("/copy_from", "forbidden_field");
        begin(&ben, &ben.patient_id, &id).await.invalid("/copy_from", "unknown_reference");
        begin(&ann, &ann.patient_id, &ann.patient_id).await.invalid("/copy_from", "unknown_reference");
        let copy = begin(&ann, &ann.patient_id, &id).await;
        assert_eq!(copy.expect(201).body["copied_from"], id.as_str());
        let answers = copy.body["answers"].as_object().expect("answers");
        assert!(answers.contains_key("medications") && answers.contains_key("risk"), "{answers:?}");
        for fresh in ["safety", "symptoms", "irls"] {
            assert!(!answers.contains_key(fresh), "{fresh} in {answers:?}");
        }
    }

    async fn each_role_sees_its_part(app: App) {
        let app = june(app);
        let (ann, ben) = (app.patient("ann").await, app.patient("ben").await);
        let (desk, doctor, admin) = (app.desk().await, app.doctor().await, app.admin().await);
        let draft = begin(&ann, &ann.patient_id).await;
        let path = draft.location();
        let mut answers = patients_example();
        answers["safety"]["acute_unilateral_leg_symptoms"] = "yes".into();
        save(&ann, &path, answers).await;

        for (method, place) in [(Method::GET, String::new()), (Method::POST, "/submit".into()), (Method::DELETE, String::new()), (Method::GET, "/summary".into())] {
            ben.send(method, &format!("{path}{place}"), &[], None).await.problem(404, "not_found");
        }
        ben.patch(&path, "*", json!({"answers": {}})).await.problem(404, "not_found");
        ben.get(&format!("/v1/patients/{}/intakes", ann.patient_id)).await.problem(404, "not_found");
        ben.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.problem(404, "not_found");
        app.anon().get(&path).await.problem(401, "unauthenticated");

        let seen = desk.get(&path).await;
        assert_eq!(seen.expect(200).body["answers"]["symptoms"]["urge_to_move_legs"], "yes", "the front desk fills in drafts");
        assert_eq!((seen.body["urgent_flags"].clone(), seen.body["notices"][0]["urgency"].clone()), (json!(1), json!("same_day")));
        assert_eq!(seen.body["computed"].as_object().map(serde_json::Map::len), Some(2));
        let seen = doctor.get(&path).await;
        assert_eq!(seen.expect(200).body["computed"]["screening_result"], "features_present_needs_clinician_review");
        assert_eq!(doctor.get(&format!("{path}/summary")).await.expect(200).body["heading"], "Not submitted");

        ann.post_empty(&format!("{path}/submit")).await.expect(200);
        for clerk in [&desk, &admin] {
            let seen = clerk.get(&path).await;
            seen.expect(200);
            for hidden in ["answers", "computed", "review"] {
                assert_eq!(seen.body.get(hidden), None, "{hidden} in {}", seen.text);
            }
            assert_eq!((seen.body["notices"].clone(), seen.body["urgent_flags"].clone()), (json!([]), json!(1)));
            assert_eq!(seen.body["completeness"]["complete"], true);
            for place in [format!("{path}/summary"), format!("{path}/versions"), format!("/v1/patients/{}/rls-timeline", ann.patient_id), format!("/v1/patients/{}/lab-results", ann.patient_id)] {
                clerk.get(&place).await.problem(403, "role_forbidden");
            }
            let flags = clerk.get("/v1/intake-flags").await.items();
            assert_eq!(flags.len(), 1, "only urgent flags: {flags:?}");
            assert!(flags[0].get("rule").is_none() && flags[0].get("text").is_none() && flags[0]["urgency"] == "same_day");
            clerk.post(&format!("/v1/intake-flags/{}/acknowledge", flags[0]["id"].as_str().expect("an id")), json!({})).await.problem(403, "role_forbidden");
        }
        let seen = ann.get(&path).await;
        assert_eq!(seen.expect(200).body["answers"]["symptoms"]["urge_to_move_legs"], "yes");
        assert!(seen.body.get("urgent_flags").is_none() && !seen.text.contains("screening_result"), "{}", seen.text);
        ann.get("/v1/intake-flags").await.problem(403, "role_forbidden");
        ann.get("/v1/intakes").await.problem(403, "role_forbidden");
    }

    async fn the_front_desk_cannot_answer_clinician_only_questions_for_a_minor(app: App) {
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let mut child = crate::support::people::patient_json("kim", "kim@patients.example");
        child["date_of_birth"] = "2012-05-05".into();
        let patient = desk.post("/v1/patients", child).await.expect(201).id();
        let path = begin(&desk, &patient).await.location();
        desk.update(&path, json!({"answers": {"safety": {"self_harm_thoughts": "no"}, "substances": {"nicotine": "never"}}})).await
            .invalid("/answers/safety/self_harm_thoughts", "clinician_only")
            .invalid("/answers/substances/nicotine", "clinician_only");
        save(&doctor, &path, json!({"safety": {"self_harm_thoughts": "no"}, "risk": {"pregnancy_status": "not_pregnant"}})).await;
        desk.update(&path, json!({"answers": {"safety": null, "risk": null}})).await
            .invalid("/answers/safety", "clinician_only").invalid("/answers/risk", "clinician_only");
        let answers = &doctor.get(&path).await.body["answers"];
        assert_eq!((answers["safety"]["self_harm_thoughts"].clone(), answers["risk"]["pregnancy_status"].clone()), (json!("no"), json!("not_pregnant")));
    }
}
