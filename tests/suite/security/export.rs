//! The export of all data about a patient; and that free text cannot be read from the database alone.

use diesel::prelude::*;
use diesel::sql_types::Text;
use jiff::SignedDuration;
use legwork::db::Conn;
use serde_json::{Value, json};

use crate::support::clinic::free_slots;
use crate::support::intakes::patients_example;
use crate::support::{App, Client, Clinic, Engine, Patient, both, not_empty};

/// A unique word for every free text.
const CANARY: &str = "Kanarienvogelgesang";

/// Creates a patient with every kind of data and the canary in every free text, in June.
struct Story {
    app: App,
    ann: Patient,
    doctor: Client,
    clinic: Clinic,
    intake: String,
}

async fn tell(app: App) -> Story {
    let app = app.restart(&["--urgent-mail-to", "on-call@clinic.example"]);
    app.clock.advance(SignedDuration::from_hours(24 * 100));
    let clinic = app.clinic().await;
    let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
    let path = format!("/v1/patients/{}", ann.patient_id);
    let etag = desk.get(&path).await.expect(200).etag();
    let details = json!({
        "pronouns": CANARY, "gender_identity": CANARY,
        "address": {"line1": CANARY, "city": CANARY, "country": "US"},
        "emergency_contact": {"name": CANARY, "relationship": CANARY, "phone": "+12125550123"},
        "insurance": {"payer": CANARY, "member_id": CANARY},
    });
    desk.patch(&path, &etag, details).await.expect(200);
    let consent = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "paper"});
    desk.post(&format!("{path}/consents"), consent).await.expect(201);
    let slots = free_slots(&desk, &clinic.check).await;
    for slot in &slots[..2] {
        let body =
            json!({"slot_id": slot["id"], "visit_type_id": clinic.check, "patient_id": ann.patient_id, "note": CANARY});
        let key = slot["id"].as_str().expect("an id");
        let id = desk.post_with("/v1/appointments", body, &[("Idempotency-Key", key)]).await.expect(201).id();
        if slot == &slots[1] {
            desk.post(&format!("/v1/appointments/{id}/cancel"), json!({"reason": CANARY})).await.expect(200);
        }
    }
    let free = slots[9]["id"].as_str().expect("an id");
    desk.post(&format!("/v1/slots/{free}/block"), json!({"reason": CANARY})).await.expect(200);
    let lab =
        json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-06-09", "source": "lab_report"});
    desk.post(&format!("{path}/lab-results"), lab).await.expect(201);
    let mut answers = patients_example();
    answers["medications"][0]["name"] = CANARY.into();
    let intake = ann.post(&format!("{path}/intakes"), json!({"form": "rls-history"})).await.expect(201).location();
    ann.update(&intake, json!({"answers": answers})).await.expect(200);
    ann.post_empty(&format!("{intake}/submit")).await.expect(200);
    let review = json!({"mimic_review": "not_solely_explained", "plan_note": CANARY});
    doctor.post(&format!("{intake}/review"), review).await.expect(200);
    let amendment = json!({"answers": {"symptoms": {"symptom_onset_date": "2008"}}, "reason": CANARY});
    ann.post(&format!("{intake}/amend"), amendment).await.expect(200);
    let flags = doctor.get("/v1/intake-flags").await.items();
    let flag = flags[0]["id"].as_str().expect("a flag");
    doctor.post(&format!("/v1/intake-flags/{flag}/acknowledge"), json!({"note": CANARY})).await.expect(200);
    app.mails().await;
    Story { app, ann, doctor, clinic, intake }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// All bytes of the database, in the engine's format.
fn everything(story: &Story) -> Vec<u8> {
    if story.app.engine == Engine::Sqlite {
        let path = story.app.site.sqlite_path();
        let mut all = std::fs::read(&path).expect("the file");
        all.extend(std::fs::read(path.with_extension("db-wal")).expect("the write-ahead log"));
        return all;
    }
    let Conn::Postgres(mut conn) = story.app.site.connect() else { panic!("PostgreSQL") };
    let tables: Vec<Line> =
        diesel::sql_query("SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public'")
            .load(&mut conn)
            .expect("tables");
    let mut all = String::new();
    for Line { line: table } in not_empty(&tables) {
        let rows: Vec<Line> =
            diesel::sql_query(format!("SELECT t::text AS line FROM \"{table}\" t")).load(&mut conn).expect("rows");
        for row in rows {
            all.push_str(&row.line);
        }
    }
    all.into_bytes()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

both! {
    async fn row_21_no_free_text_can_be_read_from_the_database_alone(app: App) {
        let story = tell(app).await;
        let all = everything(&story);
        assert!(contains(&all, story.ann.email.as_bytes()), "the search finds what is in the clear");
        let hex = CANARY.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert!(!contains(&all, CANARY.as_bytes()) && !contains(&all, hex.as_bytes()));
    }

    async fn row_02_the_export_has_all_data_about_the_patient_and_no_keys(app: App) {
        let story = tell(app).await;
        let (ann, path) = (&story.ann, format!("/v1/patients/{}/export", story.ann.patient_id));
        let export = ann.get(&path).await;
        export.expect(200);
        assert_eq!(export.header("content-disposition"), format!("attachment; filename=\"patient-{}.json\"", export.string("/patient/mrn")));
        assert_eq!(export.string("/scope"), "complete");
        for pointer in [
            "/patient/pronouns", "/patient/address/line1", "/patient/insurance/payer", "/appointments/0/note",
            "/appointments/1/history/1/reason", "/intakes/0/answers/medications/0/name",
            "/intakes/0/versions/0/review/plan_note", "/intakes/0/versions/0/reason",
        ] {
            assert_eq!(export.string(pointer), CANARY, "{pointer}");
        }
        for (pointer, count) in [("/consents", 1), ("/appointments", 2), ("/lab_results", 1), ("/access", 1), ("/intakes", 1)] {
            let there = export.body.pointer(pointer).and_then(Value::as_array).map(Vec::len);
            assert_eq!(there, Some(count), "{pointer} in {}", export.text);
        }
        assert!(export.body.pointer("/intakes/0/computed/rule_set_version").is_some(), "what was computed is theirs as well");
        let flags = export.body["flags"].as_array().expect("flags");
        assert!(flags.iter().any(|flag| flag["note"] == CANARY) && flags.iter().all(|flag| flag["rule"].is_string()), "{flags:?}");
        let messages = export.body["messages"].as_array().expect("messages");
        assert!(messages.iter().any(|message| message["email"] == ann.email.as_str() && message["status"] == "sent"), "{messages:?}");
        for key in ["token", "password", "session"] {
            assert!(!export.text.contains(key), "{key} in {}", export.text);
        }
        let events = export.body["audit_events"].as_array().expect("events");
        assert!(events.iter().any(|event| event["operation"] == "review_intake" && event["role"] == "practitioner"), "{events:?}");
        let mut again = ann.get(&path).await.expect(200).body.clone();
        again["audit_events"] = export.body["audit_events"].clone();
        assert_eq!(again, {
            let mut first = export.body.clone();
            first["exported_at"] = again["exported_at"].clone();
            first
        }, "asking changes nothing but that it is noted");
        for staff in [&story.doctor, &story.app.admin().await] {
            let theirs = staff.get(&path).await;
            assert_eq!(theirs.expect(200).string("/scope"), "complete");
            assert_eq!(theirs.body["intakes"], export.body["intakes"]);
        }
        assert!(!story.clinic.check.is_empty());
    }

    async fn row_01_other_patients_and_the_desk_do_not_get_the_export(app: App) {
        let (ann, ben, desk) = (app.patient("ann").await, app.patient("ben").await, app.desk().await);
        let path = format!("/v1/patients/{}/export", ann.patient_id);
        app.anon().get(&path).await.problem(401, "unauthenticated");
        ben.get(&path).await.problem(404, "not_found");
        desk.get(&path).await.problem(403, "role_forbidden");
        ann.get("/v1/patients/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55/export").await.problem(404, "not_found");
        ann.get(&format!("{path}?x=1")).await.problem(422, "validation_failed");
    }

    async fn row_02_a_representatives_export_has_what_they_can_see_elsewhere(app: App) {
        let story = tell(app).await;
        let ben = story.app.patient("ben").await;
        let path = format!("/v1/patients/{}", story.ann.patient_id);
        let access = json!({"email": ben.email, "relation": "caregiver"});
        let granted = story.app.desk().await.post(&format!("{path}/access"), access).await;
        assert!([200, 201].contains(&granted.status), "{}", granted.text);
        let confirmation = format!("{path}/access/{}/confirm", ben.user_id);
        story.app.admin().await.post_empty(&confirmation).await.expect(200);
        let export = ben.get(&format!("{path}/export")).await;
        assert_eq!(export.expect(200).string("/scope"), "limited");
        for pointer in ["/flags", "/messages", "/audit_events", "/intakes/0/versions", "/intakes/0/review", "/appointments/1/history/1/reason"] {
            assert_eq!(export.body.pointer(pointer), None, "{pointer} in {}", export.text);
        }
        let seen = ben.get(&story.intake).await;
        assert_eq!(export.body["intakes"][0]["answers"], seen.expect(200).body["answers"]);
        assert_eq!(export.body["intakes"][0]["computed"], seen.body["computed"]);
    }

    async fn row_02_the_export_leaves_out_the_answers_of_intakes_entered_in_error(app: App) {
        let story = tell(app).await;
        story.doctor.post(&format!("{}/void", story.intake), json!({"reason": "Another patient's."})).await.expect(200);
        let path = format!("/v1/patients/{}/export", story.ann.patient_id);
        let theirs = story.ann.get(&path).await;
        assert_eq!(theirs.expect(200).string("/intakes/0/status"), "entered-in-error");
        assert_eq!((theirs.body.pointer("/intakes/0/answers"), theirs.body.pointer("/intakes/0/versions")), (None, None));
        assert_eq!(theirs.body["flags"], json!([]));
        let doctors = story.doctor.get(&path).await;
        assert_eq!(doctors.expect(200).string("/intakes/0/void_reason"), "Another patient's.");
    }
}
