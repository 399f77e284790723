//! Intakes: drafts, submission, review, flags, who sees what, the timeline and the summary.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::{App, Client, Reply, both};

const ON_CALL: &str = "on-call@clinic.example";

/// The worked example's answers. Its last day is 2026-06-03.
fn example() -> Value {
    let example: Value = serde_json::from_str(include_str!("../data/rls-example.json")).expect("JSON");
    example["answers"].clone()
}

/// The same as a patient can give them: without the licensed scale.
fn patients_example() -> Value {
    let mut answers = example();
    answers.as_object_mut().expect("an object").remove("irls");
    answers
}

/// A clinic some days after the worked example, that mails whoever is on call.
fn june(app: App) -> App {
    let app = app.restart(&["--urgent-mail-to", ON_CALL]);
    app.clock.advance(SignedDuration::from_hours(24 * 100));
    app
}

async fn begin(client: &Client, patient_id: &str) -> Reply {
    let reply = client.post(&format!("/v1/patients/{patient_id}/intakes"), json!({"form": "rls-history"})).await;
    reply.expect(201);
    reply
}

async fn save(client: &Client, path: &str, answers: Value) -> Reply {
    let etag = client.get(path).await.expect(200).etag();
    let reply = client.patch(path, &etag, json!({"answers": answers})).await;
    reply.expect(200);
    reply
}

/// Begins, fills in and submits; the path of the intake.
async fn submitted(client: &Client, patient_id: &str, answers: Value) -> String {
    let path = begin(client, patient_id).await.location();
    save(client, &path, answers).await;
    client.post_empty(&format!("{path}/submit")).await.expect(200);
    path
}

fn rules(reply: &Reply) -> Vec<String> {
    let items = reply.items();
    items.iter().map(|flag| flag["rule"].as_str().unwrap_or_default().to_owned()).collect()
}

both! {
    async fn a_draft_is_saved_piece_by_piece_and_resumed(app: App) {
        let ann = app.patient("ann").await;
        let draft = begin(&ann, &ann.patient_id).await;
        assert_eq!((draft.string("/status"), draft.string("/form_version")), ("in-progress".into(), "1.0.0".into()));
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

    async fn of_two_tabs_that_save_at_once_one_is_told_and_nothing_is_lost(app: App) {
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

    async fn a_draft_that_is_saved_two_hundred_times_loses_nothing(app: App) {
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

    async fn a_patient_has_one_open_draft_of_a_form_and_may_discard_it(app: App) {
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

    async fn what_is_no_answer_is_refused_with_its_place_and_changes_nothing(app: App) {
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

    async fn a_draft_takes_what_does_not_fit_and_says_so_and_submission_refuses_it(app: App) {
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
        assert_eq!(saved.body["computed"].as_object().expect("computed").len(), 1, "patients see no findings");
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

    async fn what_is_submitted_is_the_same_whether_it_was_saved_at_once_or_bit_by_bit(app: App) {
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

    async fn staff_may_submit_what_nobody_asked_and_it_is_kept_so(app: App) {
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        let path = begin(&desk, &ann.patient_id).await.location();
        save(&desk, &path, json!({"symptoms": {"urge_to_move_legs": "yes"}})).await;
        let done = desk.post_empty(&format!("{path}/submit")).await;
        assert_eq!(done.expect(200).string("/status"), "completed");
        let seen = doctor.get(&path).await;
        assert_eq!(seen.body["answers"]["symptoms"]["worse_at_rest"], "not_asked");
        assert_eq!(seen.body["computed"]["screening_result"], "incomplete");
    }

    async fn a_review_signs_off_an_amendment_keeps_the_old_and_a_void_intake_counts_for_nothing(app: App) {
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

        let amendment = json!({"answers": {"symptoms": {"symptom_onset_date": "2008"}}, "reason": "The year was mistaken."});
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
        assert_eq!((kept[0]["reason"].clone(), kept[0]["review"]["plan_note"].clone()), (json!("The year was mistaken."), json!("Iron CANARY-PLAN.")));
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

    async fn a_new_intake_may_begin_from_an_earlier_one_without_what_is_of_its_day(app: App) {
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
        assert_eq!(seen.expect(200).body["answers"]["symptoms"]["urge_to_move_legs"], "yes", "the desk fills drafts in");
        assert_eq!((seen.body["urgent_flags"].clone(), seen.body["notices"][0]["urgency"].clone()), (json!(1), json!("same_day")));
        assert_eq!(seen.body["computed"].as_object().map(serde_json::Map::len), Some(1));
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
            assert_eq!(flags.len(), 1, "only what is urgent: {flags:?}");
            assert!(flags[0].get("rule").is_none() && flags[0].get("text").is_none() && flags[0]["urgency"] == "same_day");
            clerk.post(&format!("/v1/intake-flags/{}/acknowledge", flags[0]["id"].as_str().expect("an id")), json!({})).await.problem(403, "role_forbidden");
        }
        let seen = ann.get(&path).await;
        assert_eq!(seen.expect(200).body["answers"]["symptoms"]["urge_to_move_legs"], "yes");
        assert!(seen.body.get("urgent_flags").is_none() && !seen.text.contains("screening_result"), "{}", seen.text);
        ann.get("/v1/intake-flags").await.problem(403, "role_forbidden");
        ann.get("/v1/intakes").await.problem(403, "role_forbidden");
    }

    async fn of_a_minor_the_desk_may_not_ask_what_only_a_clinician_asks(app: App) {
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let mut child = crate::support::people::patient_json("kim", "kim@patients.example");
        child["date_of_birth"] = "2012-05-05".into();
        let patient = desk.post("/v1/patients", child).await.expect(201).id();
        let path = begin(&desk, &patient).await.location();
        let etag = desk.get(&path).await.etag();
        desk.patch(&path, &etag, json!({"answers": {"safety": {"self_harm_thoughts": "no"}, "substances": {"nicotine": "never"}}})).await
            .invalid("/answers/safety/self_harm_thoughts", "clinician_only")
            .invalid("/answers/substances/nicotine", "clinician_only");
        save(&doctor, &path, json!({"safety": {"self_harm_thoughts": "no"}, "risk": {"pregnancy_status": "not_pregnant"}})).await;
        let etag = desk.get(&path).await.etag();
        desk.patch(&path, &etag, json!({"answers": {"safety": null, "risk": null}})).await
            .invalid("/answers/safety", "clinician_only").invalid("/answers/risk", "clinician_only");
        let answers = &doctor.get(&path).await.body["answers"];
        assert_eq!((answers["safety"]["self_harm_thoughts"].clone(), answers["risk"]["pregnancy_status"].clone()), (json!("no"), json!("not_pregnant")));
    }
}

both! {
    async fn what_is_urgent_is_flagged_told_and_mailed_once_without_any_particulars(app: App) {
        let app = app.restart(&["--urgent-mail-to", ON_CALL, "--emergency-number", "US:911,*:112", "--crisis-line", "US:988"]);
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        let path = begin(&ann, &ann.patient_id).await.location();
        let saved = save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "yes"}})).await;
        let notice = &saved.body["notices"][0];
        assert_eq!((notice["rule"].clone(), notice["urgency"].clone()), (json!("chest_pain_breathlessness"), json!("emergency")));
        assert!(notice["text"].as_str().is_some_and(|text| text.contains("911")), "{notice}");
        let saved = save(&desk, &path, json!({"safety": {"self_harm_thoughts": "yes"}})).await;
        assert!(saved.text.contains("988") && saved.text.contains("chest_pain_breathlessness"), "whoever saves is told: {}", saved.text);
        save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "yes", "bleeding_vein": "no"}})).await;

        // The doctor has no appointment with her and opens the record.
        doctor.get(&path).await.expect(200);
        let worklist = doctor.get("/v1/intake-flags").await;
        assert_eq!(rules(&worklist), ["chest_pain_breathlessness", "self_harm_thoughts"]);
        assert!(worklist.items()[0]["text"].as_str().is_some_and(|text| text.starts_with("Patient reported")), "{}", worklist.text);
        let mails = app.mails_to(ON_CALL).await;
        assert_eq!(mails.len(), 2, "one for each rule");
        for mail in &mails {
            let all = format!("{}\n{}\n{}", mail.subject, mail.text, mail.html).to_lowercase();
            for word in ["ann tester", "tester", "chest", "harm", "pain", "breath", "restless", "leg", "rls", "self_", &ann.patient_id] {
                // The clinic's own name stands in every mail.
                assert!(!all.replace("legwork vein clinic", "").contains(word), "{word} in {all}");
            }
        }

        save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "no"}})).await;
        let first = doctor.get("/v1/intake-flags").await.items()[0].clone();
        assert!(first["rule"] == "chest_pain_breathlessness" && first["withdrawn_at"].is_string(), "it stays open: {first}");
        save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "yes"}})).await;
        let first = doctor.get("/v1/intake-flags").await.items()[0].clone();
        assert!(first["rule"] == "chest_pain_breathlessness" && first["withdrawn_at"].is_null(), "{first}");
        assert_eq!(app.mails_to(ON_CALL).await.len(), 2, "once per rule and intake");

        let acknowledge = format!("/v1/intake-flags/{}/acknowledge", first["id"].as_str().expect("an id"));
        doctor.post(&acknowledge, json!({"note": "a\u{0}b"})).await.invalid("/note", "forbidden_character");
        let done = doctor.post_with(&acknowledge, json!({"note": "Called."}), &[("Idempotency-Key", "a1")]).await;
        assert_eq!((done.expect(200).string("/note"), done.string("/acknowledged_by")), ("Called.".into(), doctor.user_id.clone()));
        doctor.post_with(&acknowledge, json!({"note": "Called."}), &[("Idempotency-Key", "a1")]).await.expect(200);
        doctor.post(&acknowledge, json!({})).await.problem(409, "already_acknowledged");
        doctor.post(&format!("/v1/intake-flags/{}/acknowledge", ann.patient_id), json!({})).await.problem(404, "not_found");
        assert_eq!(rules(&doctor.get("/v1/intake-flags").await), ["self_harm_thoughts"]);
        assert_eq!(rules(&doctor.get("/v1/intake-flags?acknowledged=true&urgency=emergency").await), ["chest_pain_breathlessness"]);
        doctor.get("/v1/intake-flags?urgency=soon").await.invalid("?urgency", "not_an_option");

        // Whoever sees the patient next gets what is nobody's.
        assert_eq!(doctor.get("/v1/intake-flags").await.items()[0]["owner_id"], Value::Null);
        let slot = free_slots(&ann, &clinic.new_visit).await[0]["id"].clone();
        let visit = json!({"slot_id": slot, "visit_type_id": clinic.new_visit, "patient_id": ann.patient_id});
        ann.post_with("/v1/appointments", visit, &[("Idempotency-Key", "b1")]).await.expect(201);
        let mine = format!("/v1/intake-flags?practitioner_id={}", clinic.practitioner_id);
        assert_eq!(rules(&doctor.get(&mine).await), ["self_harm_thoughts"]);

        ann.delete(&path).await.expect(204);
        let left = doctor.get("/v1/intake-flags").await.items();
        assert!(left.len() == 1 && left[0]["withdrawn_at"].is_string(), "a discarded draft leaves its flag: {left:?}");
        assert_eq!(doctor.get(&path).await.expect(200).string("/status"), "entered-in-error");
        begin(&ann, &ann.patient_id).await;
    }

    async fn the_worklist_is_paged_the_most_urgent_first(app: App) {
        let (ann, ben, doctor) = (app.patient("ann").await, app.patient("ben").await, app.doctor().await);
        let first = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &first, json!({"safety": {"open_leg_ulcer": "unknown", "bleeding_vein": "yes"}})).await;
        app.clock.advance(SignedDuration::from_mins(5));
        let second = begin(&ben, &ben.patient_id).await.location();
        save(&ben, &second, json!({"safety": {"sudden_cold_pale_leg": "yes", "spreading_hot_redness": "yes"}})).await;
        for intake in [&first, &second] {
            doctor.get(intake).await.expect(200);
        }
        let (mut all, mut next) = (Vec::new(), String::new());
        loop {
            let page = doctor.get(&format!("/v1/intake-flags?limit=1{next}")).await;
            all.extend(rules(&page));
            match page.body["next_cursor"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(all, ["sudden_cold_pale_leg", "bleeding_vein", "spreading_hot_redness", "open_leg_ulcer"]);
        doctor.get("/v1/intake-flags?cursor=nonsense").await.invalid("?cursor", "invalid_cursor");
    }

    async fn staff_list_what_waits_for_a_review(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, ben, desk, doctor) = (app.patient("ann").await, app.patient("ben").await, app.desk().await, app.doctor().await);
        let done = submitted(&ann, &ann.patient_id, patients_example()).await;
        app.clock.advance(SignedDuration::from_mins(5));
        begin(&ben, &ben.patient_id).await;
        let ids = async |query: &str| -> Vec<String> {
            let items = desk.get(&format!("/v1/intakes{query}")).await.items();
            items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
        };
        let done_id = done.rsplit('/').next().expect("an id").to_owned();
        assert_eq!(ids("").await.len(), 2);
        assert_eq!(ids("?status=completed&reviewed=false").await, std::slice::from_ref(&done_id));
        let item = &desk.get("/v1/intakes?status=completed").await.items()[0];
        assert!(item.get("answers").is_none() && item["patient"]["display_name"] == "ann Tester" && item["urgent_flags"] == 0, "{item}");
        assert_eq!(ids("?updated_since=2026-06-10T14:04:00Z").await.len(), 1);
        assert!(ids(&format!("?practitioner_id={}", clinic.practitioner_id)).await.is_empty());
        let slot = free_slots(&ann, &clinic.follow_up).await[0]["id"].clone();
        let visit = json!({"slot_id": slot, "visit_type_id": clinic.follow_up, "patient_id": ann.patient_id});
        ann.post_with("/v1/appointments", visit, &[("Idempotency-Key", "b1")]).await.expect(201);
        assert_eq!(ids(&format!("?practitioner_id={}", clinic.practitioner_id)).await, [done_id]);
        doctor.post(&format!("{done}/review"), json!({"mimic_review": "not_reviewed"})).await.expect(200);
        assert!(ids("?status=completed&reviewed=false").await.is_empty());
        for wrong in ["?status=begun", "?reviewed=perhaps", "?limit=0", "?nonsense=1"] {
            desk.get(&format!("/v1/intakes{wrong}")).await.problem(422, "validation_failed");
        }
    }

    async fn an_appointment_tells_how_its_intake_stands_and_the_mail_speaks_of_forms(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let slots = free_slots(&ann, &clinic.follow_up).await;
        let book = async |slot: &Value, key: &str| {
            let visit = json!({"slot_id": slot["id"], "visit_type_id": clinic.follow_up, "patient_id": ann.patient_id});
            ann.post_with("/v1/appointments", visit, &[("Idempotency-Key", key)]).await
        };
        let booked = book(&slots[0], "b1").await;
        assert_eq!((booked.expect(201).string("/intake_status"), booked.body["intake_id"].clone()), ("missing".into(), Value::Null));
        let standing = async || ann.get("/v1/appointments").await.items()[0]["intake_status"].clone();
        let path = begin(&ann, &ann.patient_id).await.location();
        assert_eq!(standing().await, "in-progress");
        save(&ann, &path, patients_example()).await;
        ann.post_empty(&format!("{path}/submit")).await.expect(200);
        assert_eq!(standing().await, "completed");
        doctor.post(&format!("{path}/review"), json!({"mimic_review": "not_solely_explained"})).await.expect(200);
        let seen = ann.get(&booked.location()).await;
        assert_eq!((seen.string("/intake_status"), seen.string("/intake_id")), ("reviewed".into(), path.rsplit('/').next().expect("an id").into()));
        book(&slots[40], "b2").await.expect(201);
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 2);
        assert!(mails[0].text.contains("forms to fill in before your visit") && !mails[1].text.contains("forms"), "{}\n{}", mails[0].text, mails[1].text);
        doctor.post(&format!("{path}/void"), json!({"reason": "Another patient's."})).await.expect(200);
        assert_eq!(standing().await, "missing");
    }

    async fn laboratory_results_are_entered_and_stand_in_the_timeline(app: App) {
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
            assert_eq!(names, [json!("pramipexole"), json!("diphenhydramine")], "of which nobody knows since when comes last");
        }
        let picture = doctor.get_with(&timeline, &[("Accept", "image/svg+xml")]).await;
        assert_eq!(picture.expect(200).header("content-type"), "image/svg+xml");
        for part in ["<svg", "very severe", "pramipexole", "92", "75"] {
            assert!(picture.text.contains(part), "{part} in {}", picture.text);
        }
    }

    async fn the_summary_is_a_page_for_the_doctor_and_plain_words_for_the_patient(app: App) {
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

    async fn every_age_of_a_summary_counts_to_the_day_on_which_it_is_read(app: App) {
        let app = june(app);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let path = submitted(&doctor, &ann.patient_id, example()).await + "/summary";
        let ages = async || {
            let summary = doctor.get(&path).await;
            let summary = summary.expect(200).body.clone();
            (summary["as_of"].clone(), summary["patient"]["age"].clone(), summary["labs"][0]["age_days"].clone())
        };
        assert_eq!(ages().await, (json!("2026-06-10"), json!(58), json!(29)));
        // Past the birthday.
        app.clock.advance(SignedDuration::from_hours(24 * 100));
        assert_eq!(ages().await, (json!("2026-09-18"), json!(59), json!(129)));
        let page = doctor.get_with(&path, &[("Accept", "text/html")]).await;
        for part in ["59 years", "ages as of 2026-09-18", "<td>129 d</td>", "answers of Jun 10, 2026"] {
            assert!(page.expect(200).text.contains(part), "{part} in {}", page.text);
        }
    }

    async fn the_form_can_be_drawn_by_who_knows_nothing_of_it(app: App) {
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
