//! What intakes mean for others: flags, the worklist, the list of intakes, and the appointment's `intake_status`.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::clinic::free_slots;
use crate::support::intakes::{ON_CALL, begin, june, patients_example, save, submitted};
use crate::support::{App, Reply, book, both, id};

fn rules(reply: &Reply) -> Vec<String> {
    let items = reply.items();
    items.iter().map(|flag| flag["rule"].as_str().unwrap_or_default().to_owned()).collect()
}

both! {
    async fn an_urgent_answer_raises_a_flag_a_notice_and_one_mail_without_details(app: App) {
        let app = app.restart(&["--urgent-mail-to", ON_CALL, "--emergency-number", "US:911,*:112", "--crisis-line", "US:988"]);
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        let path = begin(&ann, &ann.patient_id).await.location();
        let saved = save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "yes"}})).await;
        let notice = &saved.body["notices"][0];
        assert_eq!((notice["rule"].clone(), notice["urgency"].clone()), (json!("chest_pain_breathlessness"), json!("emergency")));
        assert!(notice["text"].as_str().is_some_and(|text| text.contains("911")), "{notice}");
        let saved = save(&desk, &path, json!({"safety": {"self_harm_thoughts": "yes"}})).await;
        assert!(saved.text.contains("988") && saved.text.contains("chest_pain_breathlessness"), "a save by another caller shows all notices: {}", saved.text);
        save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "yes", "bleeding_vein": "no"}})).await;

        // The practitioner has no appointment with her and opens the record with a reason.
        doctor.get(&path).await.expect(200);
        let worklist = doctor.get("/v1/intake-flags").await;
        assert_eq!(rules(&worklist), ["chest_pain_breathlessness", "self_harm_thoughts"]);
        assert!(worklist.items()[0]["text"].as_str().is_some_and(|text| text.starts_with("Patient reported")), "{}", worklist.text);
        let mails = app.mails_to(ON_CALL).await;
        assert_eq!(mails.len(), 2, "one for each rule");
        for mail in &mails {
            let all = format!("{}\n{}\n{}", mail.subject, mail.text, mail.html).to_lowercase();
            for word in ["ann tester", "tester", "chest", "harm", "pain", "breath", "restless", "leg", "rls", "self_", &ann.patient_id] {
                // The clinic's name is in every mail.
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

        let acknowledge = format!("/v1/intake-flags/{}/acknowledge", id(&first));
        doctor.post(&acknowledge, json!({"note": "a\u{0}b"})).await.invalid("/note", "forbidden_character");
        let done = doctor.post_with(&acknowledge, json!({"note": "Called."}), &[("Idempotency-Key", "a1")]).await;
        assert_eq!((done.expect(200).string("/note"), done.string("/acknowledged_by")), ("Called.".into(), doctor.user_id.clone()));
        doctor.post_with(&acknowledge, json!({"note": "Called."}), &[("Idempotency-Key", "a1")]).await.expect(200);
        doctor.post(&acknowledge, json!({})).await.problem(409, "already_acknowledged");
        doctor.post(&format!("/v1/intake-flags/{}/acknowledge", ann.patient_id), json!({})).await.problem(404, "not_found");
        assert_eq!(rules(&doctor.get("/v1/intake-flags").await), ["self_harm_thoughts"]);
        assert_eq!(rules(&doctor.get("/v1/intake-flags?acknowledged=true&urgency=emergency").await), ["chest_pain_breathlessness"]);
        doctor.get("/v1/intake-flags?urgency=soon").await.invalid("?urgency", "not_an_option");

        // The practitioner of the next visit becomes the owner of flags without one.
        assert_eq!(doctor.get("/v1/intake-flags").await.items()[0]["owner_id"], Value::Null);
        book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await;
        let mine = format!("/v1/intake-flags?practitioner_id={}", clinic.practitioner_id);
        assert_eq!(rules(&doctor.get(&mine).await), ["self_harm_thoughts"]);

        ann.delete(&path).await.expect(204);
        let left = doctor.get("/v1/intake-flags").await.items();
        assert!(left.len() == 1 && left[0]["withdrawn_at"].is_string(), "a discarded draft leaves its flag: {left:?}");
        assert_eq!(doctor.get(&path).await.expect(200).string("/status"), "entered-in-error");
        begin(&ann, &ann.patient_id).await;
    }

    async fn row_24_drafts_that_are_discarded_again_and_again_leave_one_open_flag_for_each_rule(app: App) {
        let app = app.restart(&["--urgent-mail-to", ON_CALL]);
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        for _ in 0..4 {
            let path = begin(&ann, &ann.patient_id).await.location();
            save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "yes", "bleeding_vein": "yes"}})).await;
            doctor.get(&path).await.expect(200);
            ann.delete(&path).await.expect(204);
        }
        let worklist = doctor.get("/v1/intake-flags").await;
        assert_eq!(rules(&worklist), ["chest_pain_breathlessness", "bleeding_vein"]);
        assert_eq!(app.mails_to(ON_CALL).await.len(), 2, "one for each rule");

        // The next history raises one of them again, and leaves the other where it is.
        let path = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &path, json!({"safety": {"bleeding_vein": "yes"}})).await;
        let items = doctor.get("/v1/intake-flags").await.items();
        let shown = |flag: &Value| (flag["rule"].clone(), flag["withdrawn_at"].is_null(), path.ends_with(flag["intake_id"].as_str().expect("an id")));
        let seen: Vec<_> = items.iter().map(shown).collect();
        assert_eq!(seen, [(json!("chest_pain_breathlessness"), false, false), (json!("bleeding_vein"), true, true)]);

        // What staff have acknowledged is raised anew.
        doctor.post(&format!("/v1/intake-flags/{}/acknowledge", id(&items[1])), json!({})).await.expect(200);
        ann.delete(&path).await.expect(204);
        let path = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &path, json!({"safety": {"bleeding_vein": "yes"}})).await;
        assert_eq!(rules(&doctor.get("/v1/intake-flags").await), ["chest_pain_breathlessness", "bleeding_vein"]);
        assert_eq!(app.mails_to(ON_CALL).await.len(), 3);
    }

    async fn the_worklist_has_pages_with_the_most_urgent_flags_first(app: App) {
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

    async fn staff_list_intakes_that_wait_for_a_review(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, ben, desk, doctor) = (app.patient("ann").await, app.patient("ben").await, app.desk().await, app.doctor().await);
        let done = submitted(&ann, &ann.patient_id, patients_example()).await;
        app.clock.advance(SignedDuration::from_mins(5));
        begin(&ben, &ben.patient_id).await;
        let ids = async |query: &str| -> Vec<String> {
            let items = desk.get(&format!("/v1/intakes{query}")).await.items();
            items.iter().map(|item| id(item).to_owned()).collect()
        };
        let done_id = done.rsplit('/').next().expect("an id").to_owned();
        assert_eq!(ids("").await.len(), 2);
        assert_eq!(ids("?status=completed&reviewed=false").await, std::slice::from_ref(&done_id));
        let item = &desk.get("/v1/intakes?status=completed").await.items()[0];
        assert!(item.get("answers").is_none() && item["patient"]["display_name"] == "ann Tester" && item["urgent_flags"] == 0, "{item}");
        assert_eq!(ids("?updated_since=2026-06-10T14:04:00Z").await.len(), 1);
        assert!(ids(&format!("?practitioner_id={}", clinic.practitioner_id)).await.is_empty());
        book_nth(&ann, &clinic.follow_up, 0, &ann.patient_id).await;
        assert_eq!(ids(&format!("?practitioner_id={}", clinic.practitioner_id)).await, [done_id]);
        doctor.post(&format!("{done}/review"), json!({"mimic_review": "not_reviewed"})).await.expect(200);
        assert!(ids("?status=completed&reviewed=false").await.is_empty());
        for wrong in ["?status=begun", "?reviewed=perhaps", "?limit=0", "?nonsense=1"] {
            desk.get(&format!("/v1/intakes{wrong}")).await.problem(422, "validation_failed");
        }
    }

    async fn a_flag_has_version_source_and_strength_of_its_rule_for_practitioners_only(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        let path = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &path, json!({"safety": {"acute_unilateral_leg_symptoms": "yes"}, "impulse_control": {"gambling": "yes"}})).await;
        book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await;

        let rules = doctor.get("/v1/rls-rules").await.items();
        let summary = doctor.get(&format!("{path}/summary")).await;
        let of_summary = summary.expect(200).body["flags"].as_array().expect("flags").clone();
        let flags = doctor.get("/v1/intake-flags").await.items();
        assert_eq!((flags.len(), of_summary.len()), (2, 2), "{flags:?}");
        for flag in flags.iter().chain(&of_summary) {
            let rule = rules.iter().find(|rule| rule["id"] == flag["rule"]).expect("the rule is published");
            assert!(rule["version"].is_u64() && rule["source"].is_string() && rule["strength"].is_string(), "{rule}");
            assert_eq!(
                (&flag["rule_version"], &flag["source"], &flag["strength"]),
                (&rule["version"], &rule["source"], &rule["strength"]),
            );
        }
        for flag in desk.get("/v1/intake-flags").await.items() {
            for member in ["rule", "rule_version", "source", "strength"] {
                assert!(flag.get(member).is_none(), "{member} in {flag}");
            }
        }
    }

    async fn an_appointment_shows_its_intake_status_and_its_mail_asks_for_missing_forms(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        let slots = free_slots(&ann, &clinic.follow_up).await;
        let booked = book(&ann, &slots[0], &clinic.follow_up, &ann.patient_id).await;
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
        book(&ann, &slots[40], &clinic.follow_up, &ann.patient_id).await.expect(201);
        let mails = app.mails_to(&ann.email).await;
        assert_eq!(mails.len(), 2);
        assert!(mails[0].text.contains("fill in the forms before your visit") && !mails[1].text.contains("forms"), "{}\n{}", mails[0].text, mails[1].text);
        doctor.post(&format!("{path}/void"), json!({"reason": "Another patient's."})).await.expect(200);
        assert_eq!(standing().await, "missing");
    }
}
