//! Undoing a merge: only while neither record was used, and then as if it had not been.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::merging::{merge, merge_with, path, patient_of, record, undo};
use crate::reminders::reminding;
use crate::support::access::{object, told};
use crate::support::booking::book_nth;
use crate::support::clinic::free_slots;
use crate::support::families::{access, confirm};
use crate::support::intakes::{begin, example, june, submitted};
use crate::support::people::patient_json;
use crate::support::{App, Reply, book, both};

both! {
    async fn a_merge_whose_record_was_used_is_not_undone_and_the_conflict_says_what_was_done(app: App) {
        let clinic = app.clinic().await;
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let slots = free_slots(&desk, &clinic.check).await;
        for (nth, use_it) in ["book", "cancel", "answer", "result", "flag", "wait", "offer", "record", "access"].into_iter().enumerate() {
            let (kept, old) = (record(&desk, &format!("Ann{nth}")).await, record(&desk, &format!("Anne{nth}")).await);
            let visit = book(&desk, &slots[nth * 8], &clinic.check, &old).await.expect(201).location();
            let draft = begin(&desk, &old).await.location();
            desk.update(&draft, json!({"answers": {"safety": {"spreading_hot_redness": "yes"}}})).await.expect(200);
            // The service itself has nothing to offer.
            let waiting = json!({"patient_id": old, "visit_type_id": clinic.check, "from_date": "2027-03-01"});
            let entry = desk.post("/v1/waitlist-entries", waiting).await.expect(201).location();
            let merged = merge(&desk, &kept, &old).await;
            merged.expect(201);
            let lab = json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
            let used = match use_it {
                "book" => book(&desk, &slots[nth * 8 + 4], &clinic.check, &kept).await,
                "cancel" => desk.post(&format!("{visit}/cancel"), json!({"reason": "ill"})).await,
                "answer" => desk.update(&draft, json!({"answers": {"safety": {"spreading_hot_redness": "no"}}})).await,
                "result" => desk.post(&format!("{}/lab-results", path(&kept)), lab).await,
                "flag" => {
                    let flags = doctor.get(&format!("/v1/intake-flags?patient_id={kept}")).await.items();
                    let flag = flags[0]["id"].as_str().expect("an id").to_owned();
                    doctor.post(&format!("/v1/intake-flags/{flag}/acknowledge"), json!({})).await
                }
                "wait" => desk.update(&entry, json!({"urgency": "soon"})).await,
                "offer" => desk.post(&format!("{entry}/offers"), json!({"slot_id": slots[nth * 8 + 5]["id"], "way": "phone"})).await,
                "record" => desk.update(&path(&kept), json!({"pronouns": "she/her"})).await,
                _ => {
                    let given = json!({"email": app.patient(&format!("helper{nth}")).await.email, "relation": "caregiver"});
                    desk.post(&access(&kept), given).await
                }
            };
            assert!(matches!(used.status, 200 | 201), "{use_it}: {}", used.text);
            let refused = undo(&desk, &merged).await;
            let uses = refused.problem(409, "used_since_merge")["uses"].as_array().expect("uses").clone();
            assert_eq!(uses.len(), 1, "{use_it}: {uses:?}");
            assert!(uses[0]["operation"].is_string() && uses[0]["at"].is_string(), "{uses:?}");
            for place in [&visit, &draft, &entry] {
                assert_eq!(patient_of(&desk, place).await, kept, "{use_it}");
            }
            assert_eq!(desk.get(&path(&old)).await.body["replaced_by"], json!(kept));
        }
    }

    async fn reading_a_record_and_what_was_done_before_do_not_hinder_an_undo(app: App) {
        let clinic = app.clinic().await;
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let visit = book_nth(&desk, &clinic.check, 0, &old).await.location();
        let merged = merge(&desk, &kept, &old).await;
        desk.get(&path(&kept)).await.expect(200);
        desk.get(&visit).await.expect(200);
        desk.get("/v1/patients?date_of_birth=1967-09-14").await.expect(200);
        doctor.get(&path(&kept)).await.expect(200);
        // A registration at the desk shows likely duplicates.
        desk.post("/v1/patients", patient_json("Anna", "anna@records.example")).await.expect(201);
        // Another merge of the record hinders it until that one is undone.
        let third = record(&desk, "Annie").await;
        app.clock.advance(SignedDuration::from_secs(1));
        let later = merge(&desk, &kept, &third).await;
        undo(&desk, &merged).await.problem(409, "merged_since");
        undo(&desk, &later).await.expect(200);
        undo(&desk, &merged).await.expect(200);
    }

    async fn what_the_service_does_with_what_followed_hinders_an_undo(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let waiting = json!({"patient_id": old, "visit_type_id": clinic.check});
        let entry = desk.post("/v1/waitlist-entries", waiting).await.expect(201).id();
        let merged = merge(&desk, &kept, &old).await;
        while legwork::waitlist::job::run(&app.env).await.expect("a round").has_more {}
        let refused = undo(&desk, &merged).await;
        let uses = refused.problem(409, "used_since_merge")["uses"].clone();
        assert_eq!(uses, json!([{"at": null, "operation": null, "object_id": entry}]));
    }

    async fn the_links_of_mails_about_what_followed_hinder_an_undo_when_they_are_used(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let visit = book_nth(&desk, &clinic.check, 0, &old).await.location();
        let merged = merge(&desk, &kept, &old).await;
        desk.post_empty(&format!("{visit}/links")).await.expect(202);
        let token = app.mails_to("ann@records.example").await.pop().expect("a mail").token();
        let uses = |refused: &Reply| -> Vec<String> {
            let uses = refused.problem(409, "used_since_merge")["uses"].as_array().expect("uses").clone();
            uses.iter().map(|used| used["operation"].as_str().expect("an operation").to_owned()).collect()
        };
        assert_eq!(uses(&undo(&desk, &merged).await), ["renew_appointment_links"]);
        app.anon().post("/v1/appointment-links/confirm", json!({"token": token})).await.expect(200);
        assert_eq!(uses(&undo(&desk, &merged).await), ["renew_appointment_links", "confirm_appointment_link"]);
    }

    async fn a_chain_of_merges_is_undone_from_its_end(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let mut records = Vec::new();
        for name in ["Ann", "Anne", "Anna", "Annie"] {
            records.push(record(&desk, name).await);
        }
        let first = &records[0];
        let visit = book_nth(&desk, &clinic.check, 0, first).await.location();
        let waiting = json!({"patient_id": first, "visit_type_id": clinic.check, "from_date": "2027-03-01"});
        let entry = desk.post("/v1/waitlist-entries", waiting).await.expect(201).location();
        let mut merges = Vec::new();
        for pair in records.windows(2) {
            merges.push(merge(&desk, &pair[1], &pair[0]).await);
        }
        assert_eq!(patient_of(&desk, &visit).await, records[3]);
        while let Some(last) = merges.pop() {
            undo(&desk, &last).await.expect(200);
            for place in [&visit, &entry] {
                assert_eq!(patient_of(&desk, place).await, records[merges.len()]);
            }
        }
    }

    async fn an_etag_from_before_a_merge_or_its_undo_does_not_match(app: App) {
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let draft = begin(&desk, &old).await.location();
        let visit = book_nth(&desk, &clinic.check, 0, &old).await.location();
        let etags = async || [desk.get(&draft).await.header("etag").to_owned(), desk.get(&visit).await.header("etag").to_owned()];
        let before = etags().await;
        let merged = merge(&desk, &kept, &old).await;
        let between = etags().await;
        assert!(before[0] != between[0] && before[1] != between[1]);
        let answers = json!({"answers": {"safety": {"spreading_hot_redness": "no"}}});
        desk.patch(&draft, &before[0], answers.clone()).await.problem(412, "stale");
        undo(&desk, &merged).await.expect(200);
        desk.patch(&draft, &between[0], answers).await.problem(412, "stale");
        desk.patch(&visit, &between[1], json!({"note": "Walker"})).await.problem(412, "stale");
    }

    async fn each_person_has_the_flags_of_their_own_results_after_an_undo(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (desk, doctor, admin) = (app.desk().await, app.doctor().await, app.admin().await);
        // One of both has a history; the other has a dangerous result. In both directions.
        for round in 0..2 {
            let (kept, old) = (record(&desk, &format!("Ann{round}")).await, record(&desk, &format!("Anne{round}")).await);
            let (with_history, with_result) = if round == 0 { (&old, &kept) } else { (&kept, &old) };
            submitted(&doctor, with_history, example()).await;
            let lab = json!({"test": "hemoglobin", "value": 5, "unit": "g/dL", "collected_on": "2026-06-01", "source": "lab_report"});
            desk.post(&format!("{}/lab-results", path(with_result)), lab).await.expect(201);
            let other = book_nth(&desk, &clinic.check, round * 8, &kept).await.location();
            let flags = async |patient: &str| -> BTreeSet<(String, String, String)> {
                let list = admin.get(&format!("{}/export", path(patient))).await.expect(200).body["flags"].clone();
                let open = list.as_array().expect("flags").iter().filter(|flag| flag["withdrawn_at"].is_null());
                open.map(|flag| (flag["id"].to_string(), flag["rule"].to_string(), flag["note"].to_string())).collect()
            };
            // One that is acknowledged stays so, although the later result of the other record withdraws it.
            let list = doctor.get(&format!("/v1/intake-flags?patient_id={with_result}")).await.items();
            let flag = list[0]["id"].as_str().expect("an id").to_owned();
            doctor.post(&format!("/v1/intake-flags/{flag}/acknowledge"), json!({"note": "Called the ambulance"})).await.expect(200);
            let later = json!({"test": "hemoglobin", "value": 14, "unit": "g/dL", "collected_on": "2026-06-02", "source": "lab_report"});
            desk.post(&format!("{}/lab-results", path(with_history)), later).await.expect(201);
            let before = (flags(&kept).await, flags(&old).await);
            assert!(!flags(with_result).await.is_empty());
            let merged = merge(&desk, &kept, &old).await;
            assert!(!flags(&kept).await.is_empty());
            undo(&desk, &merged).await.expect(200);
            assert_eq!((flags(&kept).await, flags(&old).await), before, "round {round}");
            desk.get(&other).await.expect(200);
        }
    }

    async fn a_reminder_that_was_sent_between_is_not_repeated_and_names_no_visit_of_the_other_person(app: App) {
        let app = reminding(app, &[]);
        let clinic = app.clinic().await;
        let desk = app.desk().await;
        let (kept, old) = (record(&desk, "Ann").await, record(&desk, "Anne").await);
        let visit = book_nth(&desk, &clinic.check, 40, &old).await;
        // A reminder is not sent while the mail of the booking waits.
        app.mails().await;
        let starts: jiff::Timestamp = visit.string("/starts_at").parse().expect("a time");
        let merged = merge(&desk, &kept, &old).await;
        let wait = starts.duration_since("2026-03-02T14:00:00Z".parse().expect("a time")) - SignedDuration::from_mins(110);
        app.clock.advance(wait);
        legwork::appointments::reminders::sending::run(&app.env).await.expect("a run");
        let desk = app.anon().sign_in("desk@clinic.example", crate::support::people::PASSWORD).await;
        let reminders = async |patient: &str| {
            let messages = desk.get(&format!("/v1/messages?patient_id={patient}")).await.items();
            messages.into_iter().filter(|message| message["kind"] == "appointment_reminder").collect::<Vec<_>>()
        };
        let sent = reminders(&kept).await;
        assert_eq!(sent.len(), 1);
        undo(&desk, &merged).await.expect(200);
        assert_eq!(reminders(&old).await.len(), 0);
        let left = reminders(&kept).await;
        assert_eq!((left.len(), &left[0]["appointment_id"]), (1, &Value::Null));
        desk.post_empty(&format!("/v1/messages/{}/resend", left[0]["id"].as_str().expect("an id"))).await.expect(409);
    }

    async fn an_objection_by_the_link_of_the_merged_record_stops_the_access_to_the_joined_one(app: App) {
        let desk = app.desk().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let (kept, old) = (record(&desk, "Annabel").await, ann.patient_id.clone());
        desk.post(&access(&old), json!({"email": bob.email, "relation": "caregiver"})).await.expect(201);
        confirm(&app, &old, &bob.user_id).await;
        let link = told(&app, &ann.email).await.pop().expect("a mail").token();
        let merged = merge_with(&desk, &kept, &old, &[&ann.user_id, &bob.user_id]).await;
        confirm(&app, &kept, &bob.user_id).await;
        bob.get(&path(&kept)).await.expect(200);
        object(&app, &link).await.expect(204);
        bob.get(&path(&kept)).await.problem(404, "not_found");
        undo(&desk, &merged).await.problem(409, "used_since_merge");
    }
}
