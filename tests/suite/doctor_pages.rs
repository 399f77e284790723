//! The pages of practitioners, by their forms alone.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::audit::stored;
use crate::support::booking::book_nth;
use crate::support::clinic::practitioner;
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::intakes::{begin, june, patients_example, save, submitted};
use crate::support::people::PASSWORD;
use crate::support::visitor::{Visitor, in_spanish, plain};
use crate::support::{App, Clinic, Patient, Reply, both, id};

/// A practitioner at a browser.
pub async fn at_work(app: &App, practitioner: &str) -> Visitor {
    app.doctor_of(practitioner).await;
    Visitor::signed_in(app.anon(), &address(practitioner)).await
}

fn address(practitioner: &str) -> String {
    format!("doctor-{practitioner}@clinic.example")
}

/// Ann with a visit of the day and a submitted history. Returns the path of the history in the API.
pub async fn ann_with_history(app: &App, clinic: &Clinic) -> (Patient, Value, String) {
    let (ann, desk) = (app.patient("ann").await, app.desk().await);
    let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
    let intake = submitted(&ann, &ann.patient_id, patients_example()).await;
    (ann, visit, intake)
}

/// The path of a page about an intake.
fn page_of(intake: &str, rest: &str) -> String {
    format!("{}{rest}", intake.replace("/v1/", "/doctor/"))
}

#[track_caller]
pub fn shows(page: &Reply, parts: &[&str]) {
    let text = plain(&page.expect(200).text);
    for part in parts {
        assert!(text.contains(part), "{part} in {}", page.text);
    }
}

both! {
    async fn the_summary_of_a_patient_of_the_day_is_one_press_away(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, _, intake) = ann_with_history(&app, &clinic).await;
        let ben = app.patient("ben").await;
        book_nth(&app.desk().await, &clinic.check, 8, &ben.patient_id).await;
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        let day = doctor.get("/doctor?lang=en").await;
        shows(&day, &[
            "Wednesday, June 10, 2026", "(today)", "ann Tester", "born September 14, 1967 (58)", "History sent", "Booked", "No history yet", "Free",
        ]);
        let summary = format!("{}?date=2026-06-10&lang=en", page_of(&intake, ""));
        assert!(plain(&day.text).contains(&format!("href=\"{}\"", summary.trim_start_matches('/'))), "{summary} in {}", day.text);
        let page = doctor.get(&summary).await;
        shows(&page, &["ann Tester", "Restless legs history", "Allergies", "href=\"../../doctor?date=2026-06-10&lang=en\"", "Write the review"]);
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
        let course = doctor.get(&format!("/doctor/patients/{}/timeline", ann.patient_id)).await;
        shows(&course, &["<svg", "ann Tester", "pramipexole", "The values as a table"]);
        shows(&doctor.get("/doctor?date=2026-06-11&lang=en").await, &["Thursday, June 11, 2026", "Free", ">Today</a>"]);
        shows(&doctor.get("/doctor?date=2026-06-13&lang=en").await, &["Nothing on this day."]);
        doctor.get("/doctor?date=yesterday").await.expect(404);
        // What was read stands in the trail as if a client of the API had read it.
        stored(&app).await;
        let events = app.admin().await.get(&format!("/v1/audit-events?patient_id={}&operation=get_intake_summary", ann.patient_id)).await.items();
        assert_eq!((events.len(), &events[0]["outcome"]), (1, &json!("success")), "{events:?}");
        let spanish = doctor.get("/doctor?lang=es").await;
        shows(&spanish, &["miércoles, 10 de junio de 2026", "Historia enviada", "Resumen", "Mi día"]);
        shows(&doctor.get(&format!("{}?lang=es", page_of(&intake, ""))).await, &["Escribir la revisión", "Allergies"]);
    }

    async fn a_visit_is_completed_from_the_day_and_its_follow_up_is_listed(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, visit, _) = ann_with_history(&app, &clinic).await;
        let desk = app.desk().await;
        desk.post_empty(&format!("/v1/appointments/{}/check-in", id(&visit))).await.expect(200);
        app.clock.advance(SignedDuration::from_mins(7));
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        let day = doctor.get("/doctor").await;
        shows(&day, &["Checked in", "waits 7 min"]);
        let complete = format!("/doctor/visits/{}/complete", id(&visit));
        for _ in 0..2 {
            let done = doctor.submit(&day, &complete, &[]).await;
            assert_eq!((done.status, led_to(&done)), (303, "/doctor?date=2026-06-10&lang=en".into()));
        }
        assert_eq!(desk.get(&format!("/v1/appointments/{}", id(&visit))).await.body["status"], "fulfilled");
        let again = doctor.submit(&day, &complete, &[("form_key", "another")]).await;
        assert!(again.expect(409).text.contains("It has changed since you opened the page"), "{}", again.text);
        let list = doctor.get("/doctor/follow-ups?status=scheduled&lang=en").await;
        shows(&list, &["ann Tester", "Will be asked on", "after a visit"]);
        assert!(doctor.get("/doctor/follow-ups").await.expect(200).text.contains("None."));
        let planned = |status: &'static str| {
            let (desk, path) = (desk.clone(), format!("/v1/patients/{}/follow-ups", ann.patient_id));
            async move { desk.get(&format!("{path}?status={status}")).await.items() }
        };
        let cancel = format!("/doctor/follow-ups/{}/cancel", id(&planned("scheduled").await[0]));
        let cancelled = doctor.submit(&list, &cancel, &[("status", "scheduled")]).await;
        assert_eq!(led_to(&cancelled), "/doctor/follow-ups?status=scheduled&lang=en");
        assert_eq!((planned("scheduled").await.len(), planned("cancelled").await.len()), (0, 1));
        doctor.submit(&list, &cancel, &[("form_key", "another")]).await.expect(409);
        // Another one, after a change of treatment.
        let record = doctor.get(&format!("/doctor/patients/{}?lang=en", ann.patient_id)).await;
        shows(&record, &["ann Tester", "History, June 10, 2026", "Not reviewed yet", "Cancelled, or seen again before"]);
        let create = format!("/doctor/patients/{}/follow-ups", ann.patient_id);
        let past = doctor.submit(&record, &create, &[("kind", "other"), ("due_on", "2026-06-09")]).await;
        assert!(past.expect(422).text.contains("Please give a day: today or later."), "{}", past.text);
        doctor.submit(&record, &create, &[("kind", "nothing"), ("due_on", "")]).await.expect(422);
        for _ in 0..2 {
            doctor.submit(&record, &create, &[("kind", "treatment_change"), ("due_on", "2026-07-01")]).await.expect(303);
        }
        let planned = planned("scheduled").await;
        assert_eq!((planned.len(), &planned[0]["due_on"], &planned[0]["reason"]), (1, &json!("2026-07-01"), &json!("treatment_change")));
    }

    async fn flags_are_acknowledged_with_a_note(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        book_nth(&desk, &clinic.check, 0, &ann.patient_id).await;
        let path = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &path, json!({"safety": {"chest_pain_breathlessness": "yes", "bleeding_vein": "yes"}})).await;
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        shows(&doctor.get("/doctor?lang=en").await, &["Urgent flag", "History begun, not sent yet"]);
        let list = doctor.get("/doctor/flags?lang=en").await;
        shows(&list, &["Emergency", "ann Tester", "Patient reported", "Dr. Ada Vein"]);
        let flags = app.doctor().await.get("/v1/intake-flags").await.items();
        assert_eq!(flags.len(), 2, "{flags:?}");
        let acknowledge = format!("/doctor/flags/{}/acknowledge", id(&flags[0]));
        let long = "a".repeat(1001);
        let wrong = doctor.submit(&list, &acknowledge, &[("note", &long)]).await;
        assert!(wrong.expect(422).text.contains("at most 1,000 characters") && wrong.text.contains(&long), "{}", wrong.text);
        let (note, other) = ("Called <b>her</b>.\r\nComes tomorrow.", format!("/doctor/flags/{}/acknowledge", id(&flags[1])));
        for _ in 0..2 {
            let done = doctor.submit(&list, &acknowledge, &[("note", note)]).await;
            assert_eq!(led_to(&done), "/doctor/flags?show=own&did=acknowledged&lang=en");
        }
        let late = doctor.submit(&list, &acknowledge, &[("note", "I called, too"), ("form_key", "another")]).await;
        assert!(late.expect(409).text.contains(">I called, too</textarea>"), "{}", late.text);
        // Two flags of one page are two changes.
        doctor.submit(&list, &other, &[]).await.expect(303);
        let none = doctor.get("/doctor/flags?did=acknowledged&lang=en").await;
        shows(&none, &["The flag is acknowledged.", "No open flag."]);
        let done = doctor.get("/doctor/flags?show=done").await;
        assert!(done.expect(200).text.contains("Called &lt;b&gt;her&lt;&#x2f;b&gt;."), "{}", done.text);
        shows(&doctor.get(&format!("/doctor/flags?show=done&patient={}", ann.patient_id)).await, &["Comes tomorrow."]);
        let stored = app.doctor().await.get("/v1/intake-flags?acknowledged=true").await.items();
        assert!(stored.iter().any(|flag| flag["note"] == "Called <b>her</b>.\nComes tomorrow."), "{stored:?}");
    }

    async fn a_review_shows_mistakes_at_their_fields_and_loses_nothing(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (_, _, intake) = ann_with_history(&app, &clinic).await;
        let (client, doctor) = (app.doctor().await, at_work(&app, &clinic.practitioner_id).await);
        shows(&doctor.get("/doctor/reviews?lang=en").await, &["ann Tester", "History, sent"]);
        let path = page_of(&intake, "/review");
        let page = doctor.get(&format!("{path}?lang=en")).await;
        shows(&page, &["ann Tester", "Do other conditions alone explain the symptoms?", "Left leg", "Iron deficiency"]);
        let typed = [
            ("review.contributors_confirmed", "iron_deficiency"), ("review.contributors_confirmed", "genetics"),
            ("review.plan_note", "Iron <by mouth>.\r\nThen again."), ("review.recheck_on.year", "26"), ("review.recheck_on.month", "9"),
            ("review.recheck_on.day", "1"), ("review.ceap-left.suffix", "s"), ("review.ceap-left.assessed_by", "Dr. <i>Reed"),
        ];
        let wrong = FilledForm::to(&page, "/review").with(&typed).send(&doctor, &path).await;
        assert_eq!(wrong.status, 422, "{}", wrong.text);
        for part in [
            "Not saved yet", "Look again on: Please write the whole date", "Iron &lt;by mouth&gt;.", "value=\"26\"", "value=\"Dr. &lt;i&gt;Reed\"",
            "value=\"iron_deficiency\" checked", "value=\"genetics\" checked", "value=\"s\" checked",
        ] {
            assert!(wrong.text.contains(part), "{part} in {}", wrong.text);
        }
        assert!(!wrong.text.contains("ann Tester"), "a refused change shows nothing of the patient: {}", wrong.text);
        // What can be read is then checked against the document, and after that against the rules.
        let wrong = FilledForm::to(&wrong, "/review").with(&[("review.recheck_on.year", "2026")]).send(&doctor, &path).await;
        assert_eq!(wrong.status, 422, "{}", wrong.text);
        for part in ["Left leg: Class: Please answer", "Iron &lt;by mouth&gt;."] {
            assert!(wrong.text.contains(part), "{part} in {}", wrong.text);
        }
        let wrong = FilledForm::to(&wrong, "/review").with(&[("review.ceap-left.class", "C2r")]).send(&doctor, &path).await;
        assert_eq!(wrong.status, 422, "{}", wrong.text);
        for part in ["Do other conditions alone explain the symptoms? Please answer", "Iron &lt;by mouth&gt;."] {
            assert!(wrong.text.contains(part), "{part} in {}", wrong.text);
        }
        let chosen = [("review.mimic_review", "not_solely_explained")];
        let mended = FilledForm::to(&wrong, "/review").with(&chosen);
        for _ in 0..2 {
            let saved = mended.send(&doctor, &path).await;
            assert_eq!(led_to(&saved), format!("{}?lang=en", page_of(&intake, "")));
        }
        let review = client.get(&intake).await.body["review"].clone();
        assert_eq!(review, json!({
            "mimic_review": "not_solely_explained", "contributors_confirmed": ["genetics", "iron_deficiency"],
            "ceap": [{"limb": "left", "class": "C2r", "suffix": "s", "assessed_by": "Dr. <i>Reed"}],
            "plan_note": "Iron <by mouth>.\nThen again.", "recheck_on": "2026-09-01",
        }));
        assert!(doctor.get(&page_of(&intake, "")).await.expect(200).text.contains("Iron &lt;by mouth&gt;."));
        shows(&doctor.get("/doctor/reviews").await, &["Nothing waits for a review."]);
        // The first page is of an older version by now. What is typed there waits until the summary was read.
        let other = [("review.mimic_review", "solely_explained"), ("review.plan_note", "Another plan")];
        let stale = FilledForm::to(&page, "/review").with(&other).send(&doctor, &path).await;
        assert_eq!(stale.status, 412, "{}", stale.text);
        assert!(stale.text.contains("something has changed") && stale.text.contains(">Another plan</textarea>"), "{}", stale.text);
        assert!(!stale.text.contains("ann Tester") && !stale.text.contains("Iron &lt;by"), "{}", stale.text);
        assert_eq!(client.get(&intake).await.body["review"], review);
        FilledForm::to(&stale, "/review").send(&doctor, &path).await.expect(303);
        assert_eq!(client.get(&intake).await.body["review"]["plan_note"], "Another plan");
        // The form shows the stored review, so that a part of it can be changed.
        shows(&doctor.get(&path).await, &["value=\"solely_explained\" checked", ">Another plan</textarea>"]);
    }

    async fn a_draft_cannot_be_reviewed(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        book_nth(&desk, &clinic.check, 0, &ann.patient_id).await;
        let draft = begin(&ann, &ann.patient_id).await.location();
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        assert_eq!(led_to(&doctor.get(&page_of(&draft, "/review")).await), format!("{}?lang=en", page_of(&draft, "")));
        let summary = doctor.get(&page_of(&draft, "")).await;
        shows(&summary, &["Not submitted"]);
        assert!(!summary.text.contains("Write the review"), "{}", summary.text);
        let page = doctor.get("/doctor").await;
        let fields = [("form", "rls-history"), ("version", "1"), ("asked", "review.mimic_review"), ("review.mimic_review", "not_reviewed")];
        doctor.submit(&page, &page_of(&draft, "/review"), &fields).await.expect(409);
    }

    async fn the_record_of_a_stranger_opens_for_a_reason_that_is_audited(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, _, intake) = ann_with_history(&app, &clinic).await;
        let admin = app.admin().await;
        let other = practitioner(&admin, "Dr. Bo Night", &clinic.location_id, &[clinic.check.as_str()]).await;
        let stranger = at_work(&app, &other).await;
        // Found by the body of a form, so that no name stands in an address.
        let empty = stranger.get("/doctor/patients?lang=en").await;
        shows(&empty, &["Write a name"]);
        shows(&stranger.submit(&empty, "/doctor/patients", &[("q", "nobody")]).await, &["Nobody was found."]);
        stranger.submit(&empty, "/doctor/patients", &[("q", &"a".repeat(300))]).await.expect(422);
        assert_eq!(led_to(&stranger.submit(&empty, "/doctor/patients", &[("q", " ")]).await), "/doctor/patients?lang=en");
        let found = stranger.submit(&empty, "/doctor/patients", &[("q", "test ann")]).await;
        shows(&found, &["ann Tester", &format!("href=\"../doctor/patients/{}?lang=en\"", ann.patient_id)]);
        let record = stranger.get(&format!("/doctor/patients/{}", ann.patient_id)).await;
        shows(&record, &["ann Tester", "You have no visit with this patient", "History, June 10, 2026"]);
        // Nothing clinical without a reason, and nothing of the patient on the page that says so.
        for path in [page_of(&intake, ""), page_of(&intake, "/review"), format!("/doctor/patients/{}/timeline", ann.patient_id)] {
            let closed = stranger.get(&path).await;
            assert_eq!((closed.status, closed.text.contains("ann Tester")), (403, false), "{path}: {}", closed.text);
            let open = format!("/doctor/patients/{}/open?next={}&lang=en", ann.patient_id, path.trim_start_matches('/').replace('/', "%2F"));
            assert!(plain(&closed.text).contains(&open), "{open} in {}", closed.text);
        }
        let open = format!("/doctor/patients/{}/open", ann.patient_id);
        let ask = stranger.get(&format!("{open}?next={}&lang=en", page_of(&intake, "").trim_start_matches('/').replace('/', "%2F"))).await;
        shows(&ask, &["ann Tester", "Why do you need this record?"]);
        for (reason, words) in [("", "Say in words"), ("xx", "Say in words"), ("12345 67", "Say in words"), (&*"a".repeat(201), "too long")] {
            let wrong = stranger.submit(&ask, &open, &[("reason", reason)]).await;
            assert!(wrong.expect(422).text.contains(words) && !wrong.text.contains("ann Tester"), "{reason}: {}", wrong.text);
        }
        stored(&app).await;
        assert!(admin.get("/v1/audit-events?operation=open_record").await.items().is_empty());
        stranger.get(&page_of(&intake, "")).await.expect(403);
        let reason = "On call: <b>she</b> telephoned";
        let opened = stranger.submit(&ask, &open, &[("reason", reason)]).await;
        assert_eq!(led_to(&opened), format!("{}?lang=en", page_of(&intake, "")));
        shows(&stranger.get(&page_of(&intake, "")).await, &["ann Tester", "Restless legs history"]);
        stored(&app).await;
        let events = admin.get("/v1/audit-events?operation=open_record").await.items();
        assert_eq!((events.len(), &events[0]["reason"], &events[0]["patient_id"]), (1, &json!(reason), &json!(ann.patient_id)), "{events:?}");
        let refused = admin.get(&format!("/v1/audit-events?outcome=refused&operation=get_intake_summary&patient_id={}", ann.patient_id)).await.items();
        assert_eq!(refused.len(), 2, "{refused:?}");
        // It ends by itself.
        app.clock.advance(SignedDuration::from_hours(i64::from(app.env.config.settings.record_open_hours) + 1));
        let later = Visitor::signed_in(app.anon(), &address(&other)).await;
        later.get(&page_of(&intake, "")).await.expect(403);
        // The way on leads to this service only.
        let ask = later.get(&format!("{open}?next=//evil.example")).await;
        assert_eq!(FilledForm::to(ask.expect(200), &open).value("next"), Some(""), "{}", ask.text);
        assert!(!plain(&ask.text).contains("=\"//"), "{}", ask.text);
        let opened = later.submit(&ask, &open, &[("reason", "On call again"), ("next", "//evil.example")]).await;
        assert_eq!(led_to(&opened), format!("/doctor/patients/{}?lang=en", ann.patient_id));
    }

    async fn flags_of_strangers_are_read_for_a_reason(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let path = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &path, json!({"safety": {"bleeding_vein": "yes"}})).await;
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        shows(&doctor.get("/doctor/flags?lang=en").await, &["No open flag."]);
        let all = doctor.get("/doctor/flags?show=all").await;
        shows(&all, &["ann Tester", "Give a reason to read the flag"]);
        assert!(!all.text.contains("Patient reported") && !all.text.contains("/acknowledge"), "{}", all.text);
        let flag = id(&app.doctor().await.get("/v1/intake-flags").await.items()[0]).to_owned();
        let closed = doctor.submit(&all, &format!("/doctor/flags/{flag}/acknowledge"), &[("note", "Called")]).await;
        assert!(closed.expect(403).text.contains("Give a reason") && closed.text.contains(">Called</textarea>"), "{}", closed.text);
        let open = format!("/doctor/patients/{}/open", ann.patient_id);
        let ask = doctor.get(&format!("{open}?next=doctor%2Fflags%3Fshow%3Dall")).await;
        let opened = doctor.submit(&ask, &open, &[("reason", "On call tonight")]).await;
        assert_eq!(led_to(&opened), "/doctor/flags?show=all&lang=en");
        shows(&doctor.get("/doctor/flags?show=all").await, &["Patient reported"]);
    }

    async fn only_practitioners_open_these_pages_and_everyone_begins_with_their_own(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let draft = begin(&ann, &ann.patient_id).await.location();
        app.desk().await;
        app.admin().await;
        app.doctor().await;
        let record = format!("/doctor/patients/{}", ann.patient_id);
        let pages = [
            "/doctor".to_owned(), "/doctor/flags".into(), "/doctor/reviews".into(), "/doctor/follow-ups".into(), "/doctor/patients".into(),
            page_of(&draft, ""), page_of(&draft, "/review"), record.clone(), format!("{record}/timeline"), format!("{record}/open"),
        ];
        for page in &pages {
            let reply = Visitor::new(app.anon()).get(page).await;
            assert_eq!((reply.status, reply.header("location").contains("sign-in?next=doctor")), (303, true), "{page}");
        }
        let doctor = address(&clinic.practitioner_id);
        for (email, home) in [(ann.email.as_str(), "visits"), ("desk@clinic.example", "desk"), ("admin@clinic.example", "admin"), (doctor.as_str(), "doctor")] {
            let visitor = Visitor::new(app.anon());
            let signed_in = visitor.post("/sign-in", &[("email", email), ("password", PASSWORD)]).await;
            assert_eq!((signed_in.status, signed_in.header("location")), (303, format!("{home}?lang=en").as_str()), "{email}");
            visitor.get(&format!("/{home}")).await.expect(200);
            if home == "doctor" {
                continue;
            }
            for page in &pages {
                let reply = visitor.get(page).await;
                assert!(reply.expect(403).text.contains("This is not open to your account"), "{page}: {}", reply.text);
            }
            let account = visitor.get("/account").await;
            for form in [format!("{record}/open"), format!("{record}/follow-ups"), page_of(&draft, "/review"), "/doctor/patients".into()] {
                visitor.submit(&account, &form, &[("reason", "On call tonight"), ("q", "ann")]).await.expect(403);
            }
            assert!(!account.text.contains("My day"), "{}", account.text);
        }
        for (email, home) in [("desk@clinic.example", "/desk"), (&*doctor, "/doctor")] {
            let staff = Visitor::signed_in(app.anon(), email).await;
            assert_eq!(led_to(&staff.get("/visits").await), format!("{home}?lang=en"), "{email}");
        }
        // Practitioners may help at the desk.
        let doctor = Visitor::signed_in(app.anon(), &doctor).await;
        doctor.get("/desk").await.expect(200);
        assert!(doctor.get("/account").await.text.contains("My day"));
        // An account without a practitioner has no day yet.
        app.account("new@clinic.example", legwork::actor::Role::Practitioner, None).await;
        let new = Visitor::signed_in(app.anon(), "new@clinic.example").await;
        shows(&new.get("/doctor?lang=en").await, &["not connected with a practitioner"]);
        shows(&new.get("/doctor/flags").await, &["Flags"]);
    }

    async fn a_practitioner_who_chose_spanish_once_works_in_spanish(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, _, intake) = ann_with_history(&app, &clinic).await;
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        let day = doctor.get("/doctor?lang=es").await;
        in_spanish(&day);
        shows(&day, &["miércoles, 10 de junio de 2026", "Reservada", "Historia enviada", "id=\"language\" href=\"?lang=en\""]);
        let record = format!("/doctor/patients/{}", ann.patient_id);
        for page in [
            "/doctor?date=2026-06-10", "/doctor/flags", "/doctor/reviews", "/doctor/follow-ups", "/doctor/patients", &record, &format!("{record}/timeline"), "/desk",
        ] {
            in_spanish(&doctor.get(page).await);
        }
        let flags = doctor.get("/doctor/flags?show=done").await;
        shows(&flags, &["id=\"language\" href=\"?show=done&lang=en\""]);
        // The summary is in English, and says so.
        let summary = doctor.get(&page_of(&intake, "")).await;
        shows(&summary, &["<html lang=\"en\">", "Escribir la revisión", "Allergies"]);
    }

    async fn a_form_of_another_site_or_session_changes_nothing_here(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, visit, intake) = ann_with_history(&app, &clinic).await;
        app.desk().await.post_empty(&format!("/v1/appointments/{}/check-in", id(&visit))).await.expect(200);
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        let page = doctor.get("/doctor").await;
        let token = FilledForm::to(&page, "/complete").value("form_token").expect("a token").to_owned();
        let other = Visitor::signed_in(app.anon(), &address(&clinic.practitioner_id)).await;
        let foreign = FilledForm::to(&other.get("/doctor").await, "/complete").value("form_token").expect("a token").to_owned();
        let record = format!("/doctor/patients/{}", ann.patient_id);
        for path in [
            format!("/doctor/visits/{}/complete", id(&visit)), page_of(&intake, "/review"), format!("{record}/open"), format!("{record}/follow-ups"),
            "/doctor/patients".into(), format!("/doctor/flags/{}/acknowledge", ann.patient_id), format!("/doctor/follow-ups/{}/cancel", ann.patient_id),
        ] {
            for wrong in ["", "x", &foreign] {
                let fields = [("form_token", wrong), ("reason", "On call tonight"), ("kind", "other"), ("form", "rls-history"), ("version", "1")];
                let reply = doctor.post(&path, &fields).await;
                assert!(reply.expect(403).text.contains("Nothing was changed"), "{path}: {}", reply.text);
            }
            for header in [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "https://evil.example"), ("Origin", "null")] {
                let reply = doctor.send(Method::POST, &path, &[("form_token", &token)], &[header]).await;
                assert!(reply.expect(403).text.contains("Nothing was changed"), "{path} {header:?}: {}", reply.text);
            }
        }
        let client = app.doctor().await;
        assert_eq!(client.get(&format!("/v1/appointments/{}", id(&visit))).await.body["status"], "checked-in");
        assert!(client.get(&intake).await.body.get("review").is_none());
        // What was typed is not lost with the session.
        let review = FilledForm::to(&doctor.get(&page_of(&intake, "/review")).await, "/review");
        doctor.submit(&page, "/sign-out", &[]).await.expect(303);
        let late = review.with(&[("review.plan_note", "Iron by mouth")]).send(&doctor, &page_of(&intake, "/review")).await;
        assert!(late.expect(401).text.contains(">Iron by mouth</textarea>"), "{}", late.text);
    }

    async fn markup_in_what_practitioners_read_is_text(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (bad, escaped) = ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;&#x2f;script&gt;");
        let (ann, desk, client) = (app.patient("ann").await, app.desk().await, app.doctor().await);
        desk.update(&format!("/v1/patients/{}", ann.patient_id), json!({"family_name": bad})).await.expect(200);
        let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        desk.update(&format!("/v1/appointments/{}", id(&visit)), json!({"note": bad})).await.expect(200);
        let slot = crate::support::clinic::free_slots(&desk, &clinic.check).await[8]["id"].as_str().expect("an id").to_owned();
        client.post(&format!("/v1/slots/{slot}/block"), json!({"reason": bad})).await.expect(200);
        let mut answers = patients_example();
        answers["medications"][0]["name"] = bad.into();
        answers["safety"]["bleeding_vein"] = "yes".into();
        answers["safety"]["bleeding_vein_uncontrolled"] = "no".into();
        let intake = submitted(&ann, &ann.patient_id, answers).await;
        let review = json!({"mimic_review": "not_reviewed", "plan_note": bad, "ceap": [{"limb": "left", "class": "C1", "assessed_by": bad}]});
        client.post(&format!("{intake}/review"), review).await.expect(200);
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        let record = format!("/doctor/patients/{}", ann.patient_id);
        let check = |page: &Reply, what: &str, times: usize| {
            let text = &page.text;
            let found = text.matches(escaped).count() + text.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count();
            assert!(!text.contains("<script>alert") && found >= times, "{what}: {found} times in {text}");
        };
        for (path, times) in [
            ("/doctor".to_owned(), 3), (page_of(&intake, ""), 3), (page_of(&intake, "/review"), 3), (record.clone(), 2), (format!("{record}/timeline"), 2),
            (format!("{record}/open"), 1), ("/doctor/flags".into(), 1), ("/doctor/follow-ups?status=scheduled".into(), 0),
        ] {
            check(doctor.get(&path).await.expect(200), &path, times);
            let mark = if path.contains('?') { '&' } else { '?' };
            check(doctor.get(&format!("{path}{mark}lang=\"><script>alert(1)</script>&show={bad}&patient={bad}")).await.expect(200), &path, times);
        }
        let flags = client.get("/v1/intake-flags").await.items();
        let page = doctor.get("/doctor/flags").await;
        doctor.submit(&page, &format!("/doctor/flags/{}/acknowledge", id(&flags[0])), &[("note", bad)]).await.expect(303);
        check(doctor.get("/doctor/flags?show=done").await.expect(200), "the note", 2);
        check(&doctor.submit(&page, "/doctor/patients", &[("q", bad)]).await, "the search", 1);
        check(&doctor.submit(&page, &format!("{record}/open"), &[("reason", &format!("{bad}{}", "a".repeat(200)))]).await, "the reason", 1);
    }

    async fn pages_of_practitioners_are_neither_stored_nor_compressed(app: App) {
        let app = june(app);
        let clinic = app.clinic().await;
        let (ann, _, intake) = ann_with_history(&app, &clinic).await;
        let doctor = at_work(&app, &clinic.practitioner_id).await;
        let record = format!("/doctor/patients/{}", ann.patient_id);
        for page in [
            "/doctor".to_owned(), "/doctor/flags".into(), "/doctor/reviews".into(), "/doctor/follow-ups".into(), "/doctor/patients".into(),
            page_of(&intake, ""), page_of(&intake, "/review"), record.clone(), format!("{record}/timeline"), format!("{record}/open"),
        ] {
            let reply = doctor.send(Method::GET, &page, &[], &[("Accept-Encoding", "gzip, br")]).await;
            assert!(reply.expect(200).headers.get("content-encoding").is_none(), "{page}");
            assert_eq!(reply.header("cache-control"), "no-store", "{page}");
            for header in ["content-security-policy", "referrer-policy"] {
                assert!(reply.headers.contains_key(header), "{header} of {page}");
            }
        }
    }
}
