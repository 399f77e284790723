//! The follow-up: a short form after a visit, which shares everything with the history but its questions.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::db::schema::{appointments, locations};
use legwork::ids::LocationId;
use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::clinic::{Clinic, location};
use crate::support::families::{access, rosa};
use crate::support::intakes::{ON_CALL, june, patients_example, submitted};
use crate::support::people::patient_json;
use crate::support::{App, Client, Reply, both, eventually};

/// The answers of a patient with nothing of note.
fn calm() -> Value {
    json!({
        "symptoms": {"severity_0_10": 3, "days_per_week_treated": 1, "usual_onset_time": "21:00"},
        "follow_up": {"change": "better", "augmentation": "no", "urges": "no", "has_side_effects": "no"}
    })
}

/// The history without results, whose days are later than the clock.
fn without_dates(mut answers: Value) -> Value {
    answers.as_object_mut().expect("an object").remove("labs");
    answers
}

async fn begin(client: &Client, patient: &str) -> Reply {
    let begun = client.post(&format!("/v1/patients/{patient}/intakes"), json!({"form": "rls-follow-up"})).await;
    begun.expect(201);
    begun
}

/// Begins, fills in and submits a follow-up. Returns its path.
async fn answered(client: &Client, patient: &str, answers: Value) -> String {
    let path = begin(client, patient).await.location();
    client.update(&path, json!({"answers": answers})).await.expect(200);
    client.post_empty(&format!("{path}/submit")).await.expect(200);
    path
}

fn rules(reply: &Reply) -> Vec<String> {
    reply.items().iter().map(|flag| flag["rule"].as_str().unwrap_or_default().to_owned()).collect()
}

both! {
    async fn a_patient_answers_a_follow_up_beside_the_history(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        let forms = app.anon().get("/v1/intake-forms").await.items();
        assert_eq!(forms.iter().map(|form| form["form"].clone()).collect::<Vec<_>>(), ["rls-history", "rls-follow-up"]);
        let form = app.anon().get("/v1/intake-forms/rls-follow-up?language=es").await;
        assert_eq!(form.expect(200).string("/sections/1/fields/0/link_id"), "follow_up.change");

        let history = submitted(&ann, &ann.patient_id, patients_example()).await;
        // One draft of each form.
        let draft = begin(&ann, &ann.patient_id).await;
        let path = draft.location();
        assert_eq!((draft.string("/form"), draft.string("/form_version")), ("rls-follow-up".into(), "1.0.0".into()));
        let twice = ann.post(&format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-follow-up"})).await;
        assert_eq!(twice.problem(409, "draft_exists")["intake_id"], draft.id());
        let copy = json!({"form": "rls-follow-up", "copy_from": history.rsplit('/').next()});
        ann.post(&format!("/v1/patients/{}/intakes", ann.patient_id), copy).await.invalid("/copy_from", "wrong_value");

        // It takes its own questions only.
        let other = json!({"answers": {"safety": {"bleeding_vein": "no"}}});
        ann.update(&path, other).await.invalid("/answers/safety/bleeding_vein", "unknown_field");
        ann.update(&history, json!({"answers": {"follow_up": {"change": "same"}}})).await.problem(409, "status_conflict");
        let missing = ann.post_empty(&format!("{path}/submit")).await;
        missing.invalid("/answers/symptoms/severity_0_10", "required").invalid("/answers/follow_up/urges", "required");
        ann.update(&path, json!({"answers": calm()})).await.expect(200);
        let done = ann.post_empty(&format!("{path}/submit")).await;
        assert_eq!((done.expect(200).string("/status"), done.body["answers"].clone()), ("completed".into(), calm()));

        // It is not a history: it does not count for a visit, and the history is not raised against it.
        let visit = book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await;
        let history_id = history.rsplit('/').next().expect("an id").to_owned();
        assert_eq!(desk.get(&visit.location()).await.string("/intake_id"), history_id);
        let waiting = desk.get("/v1/intakes?status=completed&reviewed=false&form=rls-follow-up").await.items();
        assert_eq!((waiting.len(), waiting[0]["id"].clone()), (1, json!(draft.id())));
        let summary = ann.get(&format!("{path}/summary")).await;
        assert!(summary.expect(200).string("/sentences/0").starts_with("The clinic reads your answers"), "{}", summary.text);
        doctor.post(&format!("{path}/review"), json!({"plan_note": "Go on."})).await.expect(200);
    }

    async fn answers_of_a_follow_up_raise_the_flags_of_their_rules(app: App) {
        let app = app.restart(&["--urgent-mail-to", ON_CALL]);
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await;
        answered(&ann, &ann.patient_id, calm()).await;
        assert_eq!(rules(&doctor.get("/v1/intake-flags").await), Vec::<String>::new());

        // The desk asks by telephone. Severity is four points above the answers before.
        app.clock.advance(SignedDuration::from_hours(24 * 30));
        let worse = json!({
            "symptoms": {"severity_0_10": 7},
            "follow_up": {"change": "same", "augmentation": "yes", "urges": "yes", "has_side_effects": "yes", "side_effects": ["breathing"]}
        });
        let path = begin(&desk, &ann.patient_id).await.location();
        let saved = desk.update(&path, json!({"answers": worse})).await;
        let notices = saved.expect(200).body["notices"].as_array().expect("notices").clone();
        assert_eq!((&notices[0]["rule"], &notices[0]["urgency"]), (&json!("breathing_side_effect"), &json!("same_day")));
        desk.post_empty(&format!("{path}/submit")).await.expect(200);
        let expected = ["breathing_side_effect", "impulse_behavior", "worse_since_visit", "augmentation_review"];
        assert_eq!(rules(&doctor.get("/v1/intake-flags").await), expected);
        assert_eq!(app.mails_to(ON_CALL).await.len(), 1);
        let definitions = doctor.get("/v1/rls-rules").await.items();
        for rule in expected {
            assert!(definitions.iter().any(|one| one["id"] == rule), "{rule}");
        }
    }

    async fn the_page_of_the_history_shows_the_open_flags_of_later_follow_ups(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, doctor) = (app.patient("ann").await, app.doctor().await);
        book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await;
        let history = submitted(&ann, &ann.patient_id, patients_example()).await;
        let path = format!("{history}/summary");
        let elsewhere = async || doctor.get(&path).await.expect(200).body["open_flags_elsewhere"].as_array().expect("a list").clone();
        assert_eq!(elsewhere().await, Vec::<Value>::new());
        let mut breathing = calm();
        breathing["follow_up"]["has_side_effects"] = json!("yes");
        breathing["follow_up"]["side_effects"] = json!(["breathing"]);
        let follow_up = answered(&ann, &ann.patient_id, breathing).await;
        let open = elsewhere().await;
        assert_eq!((open.len(), &open[0]["rule"]), (1, &json!("breathing_side_effect")), "{open:?}");
        let page = async || doctor.get_with(&path, &[("Accept", "text/html")]).await.expect(200).text.clone();
        assert!(page().await.contains("other form, raised Jun 10, 2026"), "{}", page().await);
        let flag = open[0]["id"].as_str().expect("an id");
        doctor.post(&format!("/v1/intake-flags/{flag}/acknowledge"), json!({"note": "Called."})).await.expect(200);
        assert_eq!(elsewhere().await, Vec::<Value>::new());
        assert!(!page().await.contains("other form, raised"));
        // The page of the follow-up shows those of the history.
        let of_history: Vec<Value> = doctor.get(&path).await.expect(200).body["flags"].as_array().expect("flags").iter().map(|flag| flag["id"].clone()).collect();
        let summary = format!("{follow_up}/summary");
        let shown: Vec<Value> = doctor.get(&summary).await.expect(200).body["open_flags_elsewhere"].as_array().expect("flags").iter().map(|flag| flag["id"].clone()).collect();
        assert!(!of_history.is_empty() && of_history.iter().all(|flag| shown.contains(flag)), "{of_history:?} {shown:?}");
        let page = doctor.get_with(&summary, &[("Accept", "text/html")]).await;
        assert!(page.expect(200).text.contains("other form, raised"), "{}", page.text);
    }

    async fn a_parent_answers_a_childs_follow_up_without_the_question_about_urges(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let doctor = app.doctor().await;
        let path = begin(&rosa, &tim).await.location();
        let mut answers = calm();
        rosa.update(&path, json!({"answers": answers})).await.invalid("/answers/follow_up/urges", "clinician_only");
        answers["follow_up"].as_object_mut().expect("an object").remove("urges");
        rosa.update(&path, json!({"answers": answers})).await.expect(200);
        doctor.update(&path, json!({"answers": {"follow_up": {"urges": "yes"}}})).await.expect(200);
        let seen = rosa.get(&path).await;
        let mut body = seen.expect(200).body.clone();
        // The name of the question is the same for all parents.
        let closed = body.as_object_mut().and_then(|members| members.remove("clinician_only_fields"));
        assert!(closed.expect("a list").to_string().contains("follow_up.urges"), "{}", seen.text);
        let text = body.to_string();
        assert!(!text.contains("urges") && !text.contains("impulse"), "{text}");
        rosa.post_empty(&format!("{path}/submit")).await.expect(200);
    }
}

/// Books and completes a visit of the patient at its time.
async fn seen(app: &App, clinic: &Clinic, patient: &str, nth: usize) {
    let desk = app.desk().await;
    let visit = book_nth(&desk, &clinic.check, nth, patient).await;
    app.clock.set(visit.string("/starts_at").parse().expect("an instant"));
    for step in ["check-in", "complete"] {
        desk.post_empty(&format!("{}/{step}", visit.location())).await.expect(200);
    }
}

/// Turns the clock and runs the task that asks patients. Returns how many were asked.
pub async fn ask(app: &App, days: i64) -> usize {
    app.clock.advance(SignedDuration::from_hours(24 * days));
    legwork::intake::follow_up::asking::run(&app.env).await.expect("asked")
}

async fn set_time_zone(app: &App, location: LocationId, zone: &'static str) {
    app.db(move |conn| {
        diesel::update(locations::table.find(location)).set(locations::time_zone.eq(zone)).execute(conn)?;
        Ok(())
    })
    .await;
}

pub async fn follow_ups(client: &Client, patient: &str) -> Vec<Value> {
    client.get(&format!("/v1/patients/{patient}/follow-ups")).await.items()
}

/// The token of the newest mail that asks.
async fn token(app: &App, address: &str) -> String {
    let mails = app.mails_to(address).await;
    mails.iter().rev().find(|mail| mail.subject.starts_with("A short form")).expect("a mail").token()
}

both! {
    async fn a_patient_is_asked_weeks_after_a_visit_and_answers_by_the_link(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        let history = submitted(&doctor, &ann.patient_id, without_dates(patients_example())).await;
        seen(&app, &clinic, &ann.patient_id, 0).await;
        let planned = follow_ups(&ann, &ann.patient_id).await;
        assert_eq!((planned.len(), &planned[0]["status"], &planned[0]["reason"]), (1, &json!("scheduled"), &json!("visit")));
        assert_eq!(ask(&app, 27).await, 0, "not due yet");
        assert_eq!(ask(&app, 1).await, 1);
        assert_eq!(ask(&app, 0).await, 0, "asked once");

        let mail = app.mails_to(&ann.email).await.pop().expect("a mail");
        let all = format!("{}\n{}\n{}", mail.subject, mail.text, mail.html).to_lowercase().replace("legwork", "");
        for word in ["restless", "leg ", "legs", "rls", "symptom", "treatment", "medicine", "doctor"] {
            assert!(!all.contains(word), "{word} in {all}");
        }
        assert!(mail.text.contains("/follow-up#token="), "the token is in the fragment: {}", mail.text);

        let (anon, token) = (app.anon(), mail.token());
        let view = anon.post("/v1/follow-up-links/view", json!({"token": token})).await;
        assert_eq!((view.expect(200).string("/status"), view.string("/first_name")), ("asked".into(), "ann".into()));
        assert_eq!((view.body["hidden"].clone(), view.body["for_another"].clone()), (json!([]), json!(false)));
        anon.post("/v1/follow-up-links/view", json!({"token": "x"})).await.problem(404, "not_found");
        let answer = async |answers: Value| anon.post("/v1/follow-up-links/answer", json!({"token": token, "answers": answers})).await;
        answer(json!({})).await.invalid("/answers/symptoms/severity_0_10", "required");
        answer(json!({"safety": {}, "labs": []})).await.invalid("/answers/labs", "unknown_field");
        answer(json!({"follow_up": {"change": "fine"}})).await.invalid("/answers/follow_up/change", "not_an_option");
        let mut worse = calm();
        worse["follow_up"]["change"] = "much_worse".into();
        worse["follow_up"]["augmentation"] = "yes".into();
        let done = answer(worse.clone()).await;
        assert_eq!(done.expect(200).string("/notices/0/rule"), "worse_since_visit");
        // A second click, or a repeat after a lost response, shows the notices again.
        assert_eq!(answer(worse).await.expect(200).text, done.text);
        answer(calm()).await.problem(409, "already_answered");
        let views = format!("/v1/audit-events?operation=view_follow_up_link&patient_id={}", ann.patient_id);
        let admin = app.admin().await;
        eventually(async || match admin.get(&views).await.items().len() {
            1 => Ok(()),
            others => Err(format!("the patient's log has {others} views of the link")),
        })
        .await;
        let again = anon.post("/v1/follow-up-links/view", json!({"token": token})).await;
        assert_eq!(again.expect(200).string("/status"), "answered");

        // The answers are an intake, their flags are on the worklist, and the next one is scheduled.
        let [next, answered] = follow_ups(&desk, &ann.patient_id).await.try_into().expect("two");
        assert_eq!((&answered["status"], &next["status"]), (&json!("answered"), &json!("scheduled")));
        let intake = doctor.get(&format!("/v1/intakes/{}", answered["intake_id"].as_str().expect("an id"))).await;
        assert_eq!((intake.expect(200).string("/form"), intake.string("/status")), ("rls-follow-up".into(), "completed".into()));
        let flags = doctor.get(&format!("/v1/intake-flags?intake_id={}", intake.id())).await;
        assert_eq!(rules(&flags), ["worse_since_visit", "augmentation_review"]);
        assert_eq!(doctor.get("/v1/intakes?status=completed&reviewed=false&form=rls-follow-up").await.items().len(), 1);
        let course = doctor.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await;
        assert_eq!((course.expect(200).string("/follow_ups/0/change"), course.string("/follow_ups/0/urges")), ("much_worse".into(), "no".into()));
        assert!(course.body["severity"].as_array().is_some_and(|points| points.iter().any(|point| point["severity_0_10"] == 3)), "{}", course.text);
        assert!(ann.get(&format!("/v1/patients/{}/rls-timeline", ann.patient_id)).await.body["follow_ups"][0]["urges"].is_null());
        let history = doctor.get(&format!("{history}/summary")).await;
        assert_eq!((history.expect(200).string("/audience"), history.string("/follow_ups/0/change")), ("practitioner".into(), "much_worse".into()));
        let own = doctor.get(&format!("/v1/intakes/{}/summary", intake.id())).await;
        assert_eq!((own.expect(200).string("/audience"), own.string("/flags/0/rule")), ("follow_up".into(), "worse_since_visit".into()));
        assert_eq!(ask(&app, 28).await, 1, "eight weeks after the visit");
    }

    async fn an_expired_link_does_not_work_and_two_missed_follow_ups_end_the_series(app: App) {
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let path = format!("/v1/patients/{}/follow-ups", ann.patient_id);
        desk.post(&path, json!({"reason": "visit"})).await.invalid("/reason", "not_an_option");
        desk.post(&path, json!({"reason": "other", "due_on": "2020-01-01"})).await.invalid("/due_on", "in_past");
        ann.post(&path, json!({"reason": "other"})).await.problem(403, "role_forbidden");
        let key = [("Idempotency-Key", "f1")];
        let planned = desk.post_with(&path, json!({"reason": "treatment_change"}), &key).await;
        assert_eq!(desk.post_with(&path, json!({"reason": "treatment_change"}), &key).await.expect(201).id(), planned.expect(201).id());
        assert_eq!(ask(&app, 28).await, 1);
        let token = token(&app, &ann.email).await;
        assert_eq!(ask(&app, 14).await, 0);
        app.anon().post("/v1/follow-up-links/view", json!({"token": token})).await.problem(404, "not_found");
        app.anon().post("/v1/follow-up-links/answer", json!({"token": token, "answers": calm()})).await.problem(404, "not_found");
        assert_eq!(desk.get(&planned.location()).await.string("/status"), "missed");
        assert_eq!(ask(&app, 14).await, 1, "eight weeks after the change");
        ask(&app, 14).await;
        let statuses: Vec<_> = follow_ups(&desk, &ann.patient_id).await.iter().map(|one| one["status"].clone()).collect();
        assert_eq!(statuses, ["missed", "missed"]);
        assert_eq!(desk.get("/v1/follow-ups?status=missed").await.items()[0]["patient"]["id"], json!(ann.patient_id));
    }

    async fn a_patient_who_is_seen_earlier_is_not_asked_any_more(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        submitted(&doctor, &ann.patient_id, without_dates(patients_example())).await;
        seen(&app, &clinic, &ann.patient_id, 0).await;
        ask(&app, 28).await;
        let token = token(&app, &ann.email).await;
        seen(&app, &clinic, &ann.patient_id, 0).await;
        app.anon().post("/v1/follow-up-links/view", json!({"token": token})).await.problem(404, "not_found");
        let all = follow_ups(&ann, &ann.patient_id).await;
        assert_eq!((&all[0]["status"], &all[1]["status"]), (&json!("scheduled"), &json!("cancelled")));
        for list in [format!("/v1/patients/{}/follow-ups", ann.patient_id), "/v1/follow-ups".to_owned()] {
            let mut oldest_first = desk.get(&format!("{list}?sort=created_at")).await.items();
            oldest_first.reverse();
            assert_eq!(oldest_first, desk.get(&list).await.items());
        }

        // Undone, the visit has no follow-up. Staff cancel one with its version.
        let visit = all[0]["appointment_id"].as_str().expect("an id").to_owned();
        desk.post(&format!("/v1/appointments/{visit}/undo"), json!({"reason": "Wrong patient"})).await.expect(200);
        let all = follow_ups(&ann, &ann.patient_id).await;
        assert_eq!((&all[0]["status"], &all[1]["status"]), (&json!("cancelled"), &json!("scheduled")));
        let planned = desk.post(&format!("/v1/patients/{}/follow-ups", ann.patient_id), json!({"reason": "other"})).await;
        let cancel = format!("{}/cancel", planned.expect(201).location());
        desk.post_with(&cancel, json!({}), &[("If-Match", "\"9\"")]).await.problem(412, "stale");
        desk.post_empty(&cancel).await.expect(200);
        desk.post_empty(&cancel).await.problem(409, "status_conflict");
    }

    async fn a_completed_visit_leaves_the_follow_up_that_a_practitioner_scheduled(app: App) {
        let clinic = app.clinic().await;
        let (ann, bea) = (app.patient("ann").await, app.patient("bea").await);
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        // With and without a history, the patient is asked on the day that was chosen, and only then.
        submitted(&doctor, &ann.patient_id, without_dates(patients_example())).await;
        for (patient, nth) in [(&ann, 0), (&bea, 1)] {
            let path = format!("/v1/patients/{}/follow-ups", patient.patient_id);
            let chosen = desk.post(&path, json!({"reason": "treatment_change", "due_on": "2026-03-16"})).await.expect(201).body.clone();
            seen(&app, &clinic, &patient.patient_id, nth).await;
            assert_eq!(follow_ups(patient, &patient.patient_id).await, std::slice::from_ref(&chosen));
            // An undo of that completion has nothing to bring back.
            let visits = desk.get(&format!("/v1/appointments?patient_id={}", patient.patient_id)).await.items();
            let visit = visits[0]["id"].as_str().expect("an id");
            desk.post(&format!("/v1/appointments/{visit}/undo"), json!({"reason": "Too early"})).await.expect(200);
            desk.post_empty(&format!("/v1/appointments/{visit}/complete")).await.expect(200);
            assert_eq!(follow_ups(patient, &patient.patient_id).await, [chosen]);
        }
        assert_eq!(ask(&app, 10).await, 0, "before that day");
        assert_eq!(ask(&app, 5).await, 2);
        answered(&ann, &ann.patient_id, calm()).await;
        // The service planned the next one, so another completed visit takes its place.
        seen(&app, &clinic, &ann.patient_id, 2).await;
        let all = follow_ups(&ann, &ann.patient_id).await;
        let shown: Vec<_> = all.iter().map(|one| (one["status"].as_str().expect("a status"), one["reason"].as_str().expect("a reason"))).collect();
        assert_eq!(shown, [("scheduled", "visit"), ("cancelled", "treatment_change"), ("answered", "treatment_change")]);
    }

    async fn an_undone_completion_brings_back_the_follow_up_that_it_replaced(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk, doctor) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        submitted(&doctor, &ann.patient_id, without_dates(patients_example())).await;
        seen(&app, &clinic, &ann.patient_id, 0).await;
        let statuses = async || {
            let all = follow_ups(&desk, &ann.patient_id).await;
            all.iter().map(|one| one["status"].as_str().expect("a status").to_owned()).collect::<Vec<_>>()
        };
        // The second visit replaces the first one's follow-up, for which the patient was asked already.
        assert_eq!(ask(&app, 28).await, 1);
        seen(&app, &clinic, &ann.patient_id, 0).await;
        assert_eq!(statuses().await, ["scheduled", "cancelled"]);
        let visit = follow_ups(&desk, &ann.patient_id).await[0]["appointment_id"].as_str().expect("an id").to_owned();
        let undo = async || desk.post(&format!("/v1/appointments/{visit}/undo"), json!({"reason": "Wrong patient"})).await.expect(200).clone();
        let complete = async || desk.post_empty(&format!("/v1/appointments/{visit}/complete")).await.expect(200).clone();
        undo().await;
        assert_eq!(statuses().await, ["cancelled", "scheduled"]);
        assert_eq!(ask(&app, 0).await, 1, "asked again");
        let first = token(&app, &ann.email).await;
        app.anon().post("/v1/follow-up-links/view", json!({"token": first})).await.expect(200);
        // It is replaced again, and then by one that staff schedule, which stays out of an undo even if it is cancelled.
        complete().await;
        assert_eq!(statuses().await, ["scheduled", "cancelled", "cancelled"]);
        let path = format!("/v1/patients/{}/follow-ups", ann.patient_id);
        let newer = desk.post(&path, json!({"reason": "other"})).await.expect(201).location();
        undo().await;
        assert_eq!(statuses().await, ["scheduled", "cancelled", "cancelled", "cancelled"]);
        desk.post_empty(&format!("{newer}/cancel")).await.expect(200);
        complete().await;
        undo().await;
        assert_eq!(statuses().await, ["cancelled"; 5]);
    }

    async fn a_restart_and_a_second_instance_do_not_mail_twice(app: App) {
        let ann = app.patient("ann").await;
        let desk = app.desk().await;
        desk.post(&format!("/v1/patients/{}/follow-ups", ann.patient_id), json!({"reason": "other"})).await.expect(201);
        app.clock.advance(SignedDuration::from_hours(24 * 28));
        let (one, other) = tokio::join!(
            legwork::intake::follow_up::asking::run(&app.env),
            legwork::intake::follow_up::asking::run(&app.env),
        );
        assert_eq!(one.expect("asked") + other.expect("asked"), 1);
        let app = app.restart(&[]);
        ask(&app, 0).await;
        let asks = app.mails_to(&ann.email).await.into_iter().filter(|mail| mail.subject.starts_with("A short form"));
        assert_eq!(asks.count(), 1);
    }

    async fn a_follow_up_that_cannot_be_asked_does_not_keep_the_others_from_it(app: App) {
        let clinic = app.clinic().await;
        let (ann, bea, desk) = (app.patient("ann").await, app.patient("bea").await, app.desk().await);
        // Ann's visit is at a place whose time zone is unknown, so that her day cannot be found.
        book_nth(&desk, &clinic.check, 0, &ann.patient_id).await;
        let broken = location(&app.admin().await, "Side Street", "America/New_York").await;
        let broken = LocationId(broken.parse().expect("an id"));
        for (patient, due) in [(&ann, "2026-03-03"), (&bea, "2026-03-04")] {
            let path = format!("/v1/patients/{}/follow-ups", patient.patient_id);
            desk.post(&path, json!({"reason": "other", "due_on": due})).await.expect(201);
        }
        app.db(move |conn| {
            diesel::update(appointments::table).set(appointments::location_id.eq(broken)).execute(conn)?;
            Ok(())
        })
        .await;
        set_time_zone(&app, broken, "Nowhere/Land").await;
        assert_eq!(ask(&app, 3).await, 1, "Bea, whose follow-up is due after Ann's");
        assert_eq!(follow_ups(&desk, &bea.patient_id).await[0]["status"], "asked");
        assert_eq!(follow_ups(&desk, &ann.patient_id).await[0]["status"], "scheduled");
        // Once the reason is gone, the next run asks.
        set_time_zone(&app, broken, "America/New_York").await;
        assert_eq!(ask(&app, 0).await, 1);
    }

    async fn a_patient_without_an_address_is_called_and_answers_at_the_desk(app: App) {
        let desk = app.desk().await;
        let mut edna = patient_json("Edna", "edna@patients.example");
        edna["email"] = Value::Null;
        let edna = desk.post("/v1/patients", edna).await.expect(201).id();
        desk.post(&format!("/v1/patients/{edna}/follow-ups"), json!({"reason": "treatment_change"})).await.expect(201);
        assert_eq!(ask(&app, 28).await, 1);
        let calls = desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!((calls.len(), &calls[0]["kind"]), (1, &json!("follow_up")));
        answered(&desk, &edna, calm()).await;
        assert!(desk.get("/v1/messages?status=to_phone").await.items().is_empty(), "the call is not needed any more");
        assert_eq!(follow_ups(&desk, &edna).await[1]["status"], "answered");
    }

    async fn a_link_to_the_records_address_ends_when_the_address_changes(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        submitted(&app.doctor().await, &fay, without_dates(patients_example())).await;
        seen(&app, &clinic, &fay, 0).await;
        ask(&app, 28).await;
        let body = json!({"token": token(&app, "fay@example.org").await});
        let view = async || app.anon().post("/v1/follow-up-links/view", body.clone()).await;
        view().await.expect(200);
        let path = format!("/v1/patients/{fay}");
        desk.update(&path, json!({"email": "other@example.org"})).await.expect(200);
        view().await.problem(404, "not_found");
        desk.update(&path, json!({"email": null})).await.expect(200);
        view().await.problem(404, "not_found");
    }

    async fn a_guardian_answers_by_the_link_without_the_question_about_urges(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let desk = app.desk().await;
        desk.post(&format!("/v1/patients/{tim}/follow-ups"), json!({"reason": "treatment_change"})).await.expect(201);
        assert_eq!(ask(&app, 28).await, 1);
        let token = token(&app, "rosa@example.org").await;
        let anon = app.anon();
        let view = anon.post("/v1/follow-up-links/view", json!({"token": token})).await;
        assert_eq!((view.expect(200).body["hidden"].clone(), view.body["for_another"].clone()), (json!(["follow_up.urges"]), json!(true)));
        let mut answers = calm();
        let body = |answers: &Value| json!({"token": token, "answers": answers});
        anon.post("/v1/follow-up-links/answer", body(&answers)).await.invalid("/answers/follow_up/urges", "clinician_only");
        answers["follow_up"].as_object_mut().expect("an object").remove("urges");
        // The link ends with the guardian's access.
        desk.delete(&format!("{}/{}", access(&tim), rosa.user_id)).await.expect(204);
        anon.post("/v1/follow-up-links/answer", body(&answers)).await.problem(404, "not_found");
    }
}
