//! The pages of the front desk, by their forms alone.

use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::audit::stored;
use crate::support::booking::{book_nth, booking, post_booking};
use crate::support::clinic::{free_slots, location, practitioner};
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::intakes::{begin, save};
use crate::support::people::patient_json;
use crate::support::visitor::{Visitor, at_the_desk, in_spanish, plain};
use crate::support::{App, both, id};
use crate::waitlist_offers::{offers, run, wait_for};

both! {
    async fn the_desk_checks_in_and_completes_visits_from_the_day(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        let other = book_nth(&desk, &clinic.check, 20, &app.patient("ben").await.patient_id).await.body;
        let visitor = at_the_desk(&app).await;
        let day = visitor.get("/desk").await;
        let day = day.expect(200);
        for fact in ["Monday, March 2, 2026", "ann Tester", "Booked", "9:15 AM", "forms missing", "ben Tester"] {
            assert!(day.text.contains(fact), "{fact} in {}", day.text);
        }
        // Two rows of one page are two changes.
        for visit in [&visit, &other] {
            let done = visitor.submit(day, &format!("/desk/visits/{}/check-in", id(visit)), &[]).await;
            assert_eq!((done.status, done.header("location").contains("desk?location=")), (303, true), "{}", done.text);
        }
        // A second press of the button changes nothing.
        visitor.submit(day, &format!("/desk/visits/{}/check-in", id(&visit)), &[]).await.expect(303);
        let path = format!("/v1/appointments/{}", id(&visit));
        let read = desk.get(&path).await;
        assert_eq!((&read.body["status"], read.etag().as_str()), (&json!("checked-in"), "\"2\""));
        assert_eq!(desk.get(&format!("/v1/appointments/{}", id(&other))).await.body["status"], "checked-in");
        app.clock.advance(SignedDuration::from_mins(5));
        let day = visitor.get("/desk").await;
        assert!(day.text.contains("waits 5 min"), "{}", day.text);
        visitor.submit(&day, &format!("/desk/visits/{}/complete", id(&visit)), &[]).await.expect(303);
        let page = visitor.get(&format!("/desk/visits/{}", id(&visit))).await;
        assert!(page.expect(200).text.contains("Completed"), "{}", page.text);
        let undo = format!("/desk/visits/{}/undo", id(&visit));
        visitor.submit(&page, &undo, &[("reason", "The other Ann")]).await.expect(303);
        assert_eq!(desk.get(&path).await.body["status"], "checked-in");
        // The page is of an older version by now.
        let stale = visitor.submit(&page, &undo, &[("reason", "Once <more"), ("form_key", "another")]).await;
        assert!(stale.expect(412).text.contains("It has changed since you opened the page."), "{}", stale.text);
        assert!(stale.text.contains("Once &lt;more"), "{}", stale.text);
    }

    async fn the_desk_sees_who_waits_and_enters_answers_on_the_telephone(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let visitor = at_the_desk(&app).await;
        assert!(visitor.get("/desk/waitlist").await.expect(200).text.contains("Nobody waits."));
        let slots = free_slots(&desk, &clinic.check).await;
        let wish = json!({"urgency": "urgent", "weekdays": ["monday"], "from_time": "09:00", "to_time": "12:00"});
        let mut people = Vec::new();
        for (name, slot, more) in [("ann", 60, json!({})), ("ben", 70, json!({})), ("cleo", 80, wish)] {
            let patient = app.patient(name).await.patient_id;
            let entry = wait_for(&desk, &patient, &clinic.check, &slots[slot], more).await;
            people.push((patient, entry));
        }
        let page = visitor.get("/desk/waitlist").await;
        for fact in ["ann Tester", "Urgent.", "Monday; 9:00 AM to 12:00 PM", "Since Mar 2, 2026", "Find a time"] {
            assert!(page.expect(200).text.contains(fact), "{fact} in {}", page.text);
        }
        let end = format!("/desk/waitlist/{}/end", people[2].1);
        visitor.submit(&page, &end, &[]).await.expect(303);
        visitor.submit(&page, &end, &[]).await.expect(303);
        let status = desk.get(&format!("/v1/waitlist-entries/{}", people[2].1)).await.string("/status");
        assert_eq!(status, "cancelled");
        run(&app).await;
        let page = visitor.get("/desk/waitlist").await;
        let offer = |at: usize| {
            let (desk, patient) = (desk.clone(), people[at].0.clone());
            async move { offers(&desk, &patient).await[0]["id"].as_str().expect("an offer").to_owned() }
        };
        let claim = format!("/desk/waitlist-offers/{}/claim", offer(0).await);
        let taken = visitor.submit(page.expect(200), &claim, &[]).await;
        assert!(taken.expect(303).header("location").contains("desk/visits/"), "{}", taken.text);
        let again = visitor.submit(&page, &claim, &[]).await;
        assert_eq!(again.expect(303).header("location"), taken.header("location"), "pressed twice, booked once");
        let visits = desk.get(&format!("/v1/appointments?patient_id={}", people[0].0)).await.items();
        assert_eq!(visits.len(), 1);
        let late = visitor.submit(&page, &claim.replace("claim", "decline"), &[]).await;
        assert!(late.expect(409).text.contains("desk/waitlist"), "{}", late.text);
        let decline = format!("/desk/waitlist-offers/{}/decline", offer(1).await);
        visitor.submit(&page, &decline, &[]).await.expect(303);
        assert_eq!(offers(&desk, &people[1].0).await[0]["status"], "declined");
        // Patients do not open the pages of the desk.
        let ann = Visitor::signed_in(app.anon(), "ann@patients.example").await;
        ann.get("/desk/waitlist").await.expect(403);
    }

    async fn the_desk_books_moves_and_cancels_for_a_patient_who_calls(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let visitor = at_the_desk(&app).await;
        let form = visitor.get("/desk/patients/new").await;
        let wrong = visitor.submit(form.expect(200), "/desk/patients/new", &[("family_name", "Example"), ("date_of_birth", "")]).await;
        assert!(wrong.expect(422).text.contains("Please check these fields"), "{}", wrong.text);
        let missing = plain(&wrong.text);
        for words in ["Birth date: This is missing.", "Sex, as the insurance has it: Choose one.", "Telephone: Enter a telephone number or"] {
            assert!(missing.contains(words), "{words}: {missing}");
        }
        let fields = [
            ("given_name", "Ann"), ("family_name", "Exam<ple"), ("date_of_birth", "1967-09-14"), ("administrative_sex", "female"),
            ("phone", "(202) 555-0123"), ("preferred_language", "en"),
        ];
        let created = visitor.submit(&form, "/desk/patients/new", &fields).await;
        let card = created.expect(303).header("location").to_owned();
        let patient = card.split(['/', '?']).find(|part| part.len() == 36).expect("an id").to_owned();
        let again = visitor.submit(&form, "/desk/patients/new", &fields).await;
        assert_eq!(again.expect(303).header("location"), card, "pressed twice, registered once");
        let card = visitor.get(&format!("/desk/patients/{patient}")).await;
        assert!(card.expect(200).text.contains("Ann Exam&lt;ple") && card.text.contains("(202) 555-0123"), "{}", card.text);
        for asked in ["exam ann", "9/14/1967", "0123"] {
            let found = visitor.submit(&card, "/desk/patients", &[("q", asked)]).await;
            assert!(found.expect(200).text.contains("Ann Exam&lt;ple") && found.text.contains("1 patient"), "{asked}: {}", found.text);
            assert!(!found.text.contains("patients?q"), "no address has the words: {}", found.text);
        }
        assert!(visitor.submit(&card, "/desk/patients", &[("q", "nobody")]).await.expect(200).text.contains("Nobody was found."));
        assert!(visitor.submit(&card, "/desk/patients", &[("q", "LW-1!")]).await.expect(422).text.contains("The search "));
        visitor.submit(&card, "/desk/patients", &[("q", " ")]).await.expect(303);
        assert!(!visitor.get("/desk/patients?q=ann").await.expect(200).text.contains("Ann Exam"), "a query searches for nobody");

        let times = format!("/desk/patients/{patient}/times?visit_type_id={}&date=2026-03-03", clinic.check);
        let page = visitor.get(&times).await;
        let slots: Vec<String> = page.expect(200).text.split("name=\"slot_id\" value=\"").skip(1)
            .map(|rest| rest.split('"').next().expect("an id").to_owned()).collect();
        assert!(slots.len() > 10, "{}", page.text);
        assert!(plain(&page.text).contains(&format!("action=\"../../../desk/patients/{patient}/times\"")), "{}", page.text);
        let book = format!("/desk/patients/{patient}/visits");
        let booked = visitor.submit(&page, &book, &[("slot_id", &slots[0]), ("patient_informed", "yes"), ("note", "Walker")]).await;
        let visit = booked.expect(303).header("location").to_owned();
        let visit = visit.split(['/', '?']).find(|part| part.len() == 36).expect("an id").to_owned();
        let stored = desk.get(&format!("/v1/appointments/{visit}")).await.body.clone();
        assert_eq!((&stored["patient_id"], &stored["note"]), (&json!(patient), &json!("Walker")));
        assert!(desk.get("/v1/messages?status=to_phone").await.items().is_empty(), "the patient knows of it");
        // Somebody else takes the next time meanwhile.
        let ben = app.patient("ben").await;
        post_booking(&desk, booking(&json!({"id": slots[1]}), &clinic.check, &ben.patient_id)).await.expect(201);
        let page = visitor.get(&format!("/desk/visits/{visit}/times?date=2026-03-03")).await;
        let move_it = format!("/desk/visits/{visit}/reschedule");
        let taken = visitor.submit(page.expect(200), &move_it, &[("slot_id", &slots[1])]).await;
        assert!(taken.expect(409).text.contains("This was not done"), "{}", taken.text);
        let way_back = format!("href=\"../../../desk/visits/{visit}/times?location_id={}&date=2026-03-03\"", clinic.location_id);
        assert!(plain(&taken.text).contains(&way_back), "{way_back} in {}", taken.text);
        visitor.submit(&page, &move_it, &[("slot_id", &slots[2]), ("form_key", "second")]).await.expect(303);
        let moved = desk.get(&format!("/v1/appointments/{visit}")).await.body.clone();
        assert_ne!(moved["starts_at"], stored["starts_at"]);
        // Nobody said that the patient knows of the move, so there is a call.
        let page = visitor.get("/desk/calls").await;
        assert!(page.expect(200).text.contains("has changed") && page.text.contains("Ann Exam&lt;ple"), "{}", page.text);
        let call = id(&desk.get("/v1/messages?status=to_phone").await.items()[0]).to_owned();
        visitor.submit(&page, &format!("/desk/calls/{call}/complete"), &[("note", "She knows")]).await.expect(303);
        assert!(desk.get("/v1/messages?status=to_phone").await.items().is_empty());
        let page = visitor.get(&format!("/desk/visits/{visit}")).await;
        let cancel = format!("/desk/visits/{visit}/cancel");
        let foreign = visitor.submit(&page, &cancel, &[("reason", "Travelling"), ("form_token", "another")]).await;
        let way_back = format!("href=\"../../../desk/visits/{visit}?lang=en\"");
        assert!(plain(&foreign.expect(403).text).contains(&way_back), "{way_back} in {}", foreign.text);
        let missing = visitor.submit(&page, &cancel, &[("reason", "")]).await;
        assert!(missing.expect(422).text.contains("This was not done"), "{}", missing.text);
        let reason = [("reason", "Travelling"), ("patient_informed", "yes"), ("form_key", "third")];
        visitor.submit(&page, &cancel, &reason).await.expect(303);
        assert_eq!(desk.get(&format!("/v1/appointments/{visit}")).await.body["status"], "cancelled");
    }

    async fn a_person_whom_the_clinic_knows_is_not_registered_again_unasked(app: App) {
        let (_, desk) = (app.clinic().await, app.desk().await);
        let known = desk.post("/v1/patients", patient_json("Rosa", "rosa@patients.example")).await.expect(201).body.clone();
        app.clock.advance(SignedDuration::from_mins(5));
        let visitor = at_the_desk(&app).await;
        let form = visitor.get("/desk/patients/new").await;
        let born = known["date_of_birth"].as_str().expect("a date").to_owned();
        let fields = [
            ("given_name", "Rosa"), ("family_name", "Testerson"), ("date_of_birth", born.as_str()), ("administrative_sex", "female"),
            ("phone", "(202) 555-0199"), ("preferred_language", "en"),
        ];
        let asked = visitor.submit(form.expect(200), "/desk/patients/new", &fields).await;
        let text = plain(&asked.expect(409).text);
        for words in ["May be the same person. Nothing is registered yet.", "Rosa Tester", known["mrn"].as_str().expect("a number"), "Another person: register"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        let count = async || desk.get("/v1/patients?q=rosa").await.items().len();
        assert_eq!(count().await, 1);
        for _ in 0..2 {
            FilledForm::to(&asked, "patients/new").send(&visitor, "/desk/patients/new").await.expect(303);
        }
        assert_eq!(count().await, 2, "once, when the desk says that it is another person");
    }

    async fn a_visit_that_the_clinic_cancels_does_not_count_against_the_patient(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visitor = at_the_desk(&app).await;
        let notice = json!({"cancel_notice_minutes": 1440});
        app.admin().await.update(&format!("/v1/visit-types/{}", clinic.check), notice).await.expect(200);
        let late = json!({"no_shows": 0, "late_cancellations": 1});
        for (who, missed) in [("clinic", Value::Null), ("patient", late)] {
            let visit = book_nth(&desk, &clinic.check, 8, &ann.patient_id).await.body;
            let page = visitor.get(&format!("/desk/visits/{}", id(&visit))).await;
            let form = [("who", who), ("reason", "Dr. Ada is ill")];
            visitor.submit(&page, &format!("/desk/visits/{}/cancel", id(&visit)), &form).await.expect(303);
            let card = desk.get(&format!("/v1/patients/{}", ann.patient_id)).await.body;
            assert_eq!(card["missed_visits"], missed, "{who}");
        }
        let own = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        let body = json!({"reason": "x", "clinic_cancels": true});
        ann.post(&format!("/v1/appointments/{}/cancel", id(&own)), body).await.invalid("/clinic_cancels", "forbidden_field");
    }

    async fn the_desk_reads_that_a_patient_has_an_urgent_flag_and_whom_to_tell(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 8, &ann.patient_id).await.body;
        let visitor = at_the_desk(&app).await;
        let pages = [format!("/desk/visits/{}", id(&visit)), format!("/desk/patients/{}", ann.patient_id)];
        let words = "Urgent: a practitioner must look at this patient";
        assert!(!visitor.get(&pages[0]).await.expect(200).text.contains(words));
        let draft = begin(&ann, &ann.patient_id).await.location();
        save(&ann, &draft, json!({"safety": {"chest_pain_breathlessness": "yes"}})).await;
        for page in pages {
            let shown = visitor.get(&page).await;
            assert!(shown.expect(200).text.contains(words) && shown.text.contains("Tell Dr. Ada Vein."), "{page}: {}", shown.text);
            assert!(!shown.text.contains("chest"), "{}", shown.text);
        }
    }

    async fn free_time_that_is_too_short_for_any_visit_leads_nowhere(app: App) {
        let (clinic, desk, admin, ann) = (app.clinic().await, app.desk().await, app.admin().await, app.patient("ann").await);
        // The two checks leave a quarter of an hour between them.
        for nth in [8, 9] {
            book_nth(&desk, &clinic.check, nth, &ann.patient_id).await.expect(201);
        }
        let visitor = at_the_desk(&app).await;
        let day = async || plain(&visitor.get("/desk").await.expect(200).text);
        assert!(!day().await.contains("(too short)"));
        admin.update(&format!("/v1/visit-types/{}", clinic.check), json!({"active": false})).await.expect(200);
        let text = day().await;
        assert_eq!(text.matches("(too short)").count(), 1, "{text}");
    }

    async fn a_walk_in_is_booked_from_the_free_time_of_the_day(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let visitor = at_the_desk(&app).await;
        let day = visitor.get("/desk").await;
        let wanted = format!(
            "location_id={}&practitioner_id={}&date=2026-03-02&time=09%3A15", clinic.location_id, clinic.practitioner_id
        );
        let text = plain(&day.expect(200).text);
        assert!(text.contains(&format!("href=\"desk/patients?{wanted}\"")), "{wanted} in {text}");
        assert!(!text.contains("reach us by phone"), "the numbers are for patients");
        let whom = visitor.get(&format!("/desk/patients?{wanted}")).await;
        let text = plain(&whom.expect(200).text);
        for fact in ["For whom?", "Monday, March 2, 9:15 AM, Dr. Ada Vein, Main Street", &format!("desk/patients/new?{wanted}")] {
            assert!(text.contains(fact), "{fact} in {text}");
        }
        // A patient whom the clinic knows is found, and the time goes on.
        let ann = app.patient("ann").await;
        let found = FilledForm::to(&whom, "desk/patients").with(&[("q", "ann")]).send(&visitor, "/desk/patients").await;
        let link = format!("desk/patients/{}/times?{wanted}", ann.patient_id);
        assert!(plain(&found.expect(200).text).contains(&link), "{link} in {}", found.text);
        let form = visitor.get(&format!("/desk/patients/new?{wanted}")).await;
        let text = plain(&form.expect(200).text);
        assert!(text.contains("autofocus") && text.contains(">Portuguese</option>"), "{text}");
        let fields = [
            ("given_name", "Will"), ("family_name", "Walker"), ("date_of_birth", "1970-02-03"), ("phone", "(202) 555-0144"),
            ("preferred_language", "pt"),
        ];
        let register = FilledForm::to(&form, "patients/new").with(&fields);
        let without = register.send(&visitor, "/desk/patients/new").await;
        assert!(plain(&without.expect(422).text).contains("administrative_sex-error\">Choose one."), "{}", without.text);
        let registered = register.with(&[("administrative_sex", "male")]).send(&visitor, "/desk/patients/new").await;
        let times = led_to(&registered);
        assert!(times.contains(&format!("/times?{wanted}")), "{times}");
        // The first kind of visit of the clinic is chosen, and its times are there at once.
        let page = visitor.get(&times).await;
        let text = plain(&page.expect(200).text);
        let kind = format!("visit_type_id={}", clinic.new_visit);
        assert!(text.contains(&kind) && text.contains("aria-current=\"true\">New patient, 60 min</a>"), "{text}");
        assert!(text.contains("The patient is registered."), "{text}");
        let chosen = text.split("<button autofocus").nth(1).expect("the chosen time");
        let slot = chosen.split("value=\"").nth(1).expect("a value").split('"').next().expect("an id").to_owned();
        assert!(text.find("id=\"note\"") < text.find("name=\"slot_id\""), "what belongs to a time comes before it");
        let patient = times.split(['/', '?']).find(|part| part.len() == 36).expect("an id").to_owned();
        let book = FilledForm::to(&page, "/visits").with(&[("slot_id", &slot)]);
        let visit = led_to(&book.send(&visitor, &format!("/desk/patients/{patient}/visits")).await);
        let page = visitor.get(&visit).await;
        let text = plain(&page.expect(200).text);
        for fact in ["The visit is booked.", "Booked by the clinic", "9:15 AM", "speaks Portuguese"] {
            assert!(text.contains(fact), "{fact} in {text}");
        }
        assert_eq!(text.matches("America/New_York").count(), 0, "the zone is short, and stands once: {text}");
        let path = visit.split('?').next().expect("a path").to_owned();
        visitor.submit(&page, &format!("{path}/check-in"), &[]).await.expect(303);
        let seen = desk.get(&format!("/v1/appointments?patient_id={patient}")).await.items();
        assert_eq!((seen.len(), &seen[0]["status"]), (1, &json!("checked-in")));
    }

    async fn the_desk_records_the_decision_on_an_outstanding_consent(app: App) {
        let (_, desk) = (app.clinic().await, app.desk().await);
        let patient = desk.post("/v1/patients", patient_json("Rosa", "rosa@patients.example")).await.expect(201).id();
        let visitor = at_the_desk(&app).await;
        let card = visitor.get(&format!("/desk/patients/{patient}")).await;
        let text = plain(&card.expect(200).text);
        assert!(text.contains("to ask for: treatment, privacy notice") && text.contains("Consents to ask for"), "{text}");
        let path = format!("/desk/patients/{patient}/consents");
        let form = FilledForm::to(&card, "/consents").with(&[("method", "paper")]);
        assert!(form.send(&visitor, &path).await.expect(422).text.contains("decision"), "a button says the decision");
        let accepted = form.with(&[("decision", "accepted")]);
        for _ in 0..2 {
            accepted.send(&visitor, &path).await.expect(303);
        }
        let consents = desk.get(&format!("/v1/patients/{patient}/consents")).await.items();
        assert_eq!(consents.len(), 1, "pressed twice, recorded once: {consents:?}");
        assert_eq!((&consents[0]["type"], &consents[0]["decision"], &consents[0]["method"]), (&json!("treatment"), &json!("accepted"), &json!("paper")));
        let card = visitor.get(&format!("/desk/patients/{patient}")).await;
        assert!(plain(&card.expect(200).text).contains("to ask for: privacy notice"), "{}", card.text);
    }

    async fn the_desk_corrects_a_name_and_a_number_and_changes_nothing_else(app: App) {
        let (_, desk) = (app.clinic().await, app.desk().await);
        let patient = desk.post("/v1/patients", patient_json("Rosa", "rosa@patients.example")).await.expect(201).id();
        let before = desk.get(&format!("/v1/patients/{patient}")).await.body;
        let visitor = at_the_desk(&app).await;
        let path = format!("/desk/patients/{patient}/correct");
        let card = visitor.get(&format!("/desk/patients/{patient}")).await;
        assert!(plain(&card.expect(200).text).contains(&format!("{patient}/correct")), "{}", card.text);
        let form = visitor.get(&path).await;
        let form = FilledForm::to(form.expect(200), "/correct");
        assert_eq!((form.value("family_name"), form.value("administrative_sex")), (Some("Tester"), Some("female")));
        let wrong = form.clone().with(&[("phone", "12")]).send(&visitor, &path).await;
        assert!(wrong.expect(422).text.contains("Please check these fields") && wrong.text.contains("Correct the record of"), "{}", wrong.text);
        let right = form.with(&[("phone", "(202) 555-0177"), ("family_name", "Test<er")]);
        right.send(&visitor, &path).await.expect(303);
        let after = desk.get(&format!("/v1/patients/{patient}")).await.body;
        let mut expected = before.clone();
        (expected["phone"], expected["family_name"]) = (json!("+12025550177"), json!("Test<er"));
        for changed in ["display_name", "updated_at"] {
            expected[changed] = after[changed].clone();
        }
        assert_eq!(after, expected);
        // The form is of an older version by now. Nothing typed is lost, and the next press saves it. The trail has who read the record.
        let admin = app.admin().await;
        let reads = async || {
            stored(&app).await;
            admin.get(&format!("/v1/audit-events?limit=200&operation=get_patient&patient_id={patient}")).await.items().len()
        };
        let before = reads().await;
        let stale = right.with(&[("phone", "(202) 555-0178"), ("preferred_language", "fr")]).send(&visitor, &path).await;
        let text = plain(&stale.expect(412).text);
        for words in ["The record has changed since you opened this form", "Telephone: (202) 555-0177", "value=\"(202) 555-0178\""] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(reads().await, before + 1);
        FilledForm::to(&stale, "/correct").send(&visitor, &path).await.expect(303);
        let after = desk.get(&format!("/v1/patients/{patient}")).await.body;
        assert_eq!((&after["phone"], &after["preferred_language"]), (&json!("+12025550178"), &json!("fr")));
        // A language that the list does not have stands in it while the record has it.
        desk.update(&format!("/v1/patients/{patient}"), json!({"preferred_language": "es-MX"})).await.expect(200);
        let form = FilledForm::to(&visitor.get(&path).await, "/correct");
        assert_eq!((form.value("preferred_language"), form.value("other_language")), (Some("es-MX"), Some("")));
        form.with(&[("preferred_language", "en")]).send(&visitor, &path).await.expect(303);
        assert_eq!(desk.get(&format!("/v1/patients/{patient}")).await.body["preferred_language"], "en");
    }

    async fn the_desk_sends_the_mail_about_a_visit_again(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 8, &ann.patient_id).await.body;
        app.mails().await;
        let before = app.mails_to(&ann.email).await.len();
        let visitor = at_the_desk(&app).await;
        let path = format!("/desk/visits/{}", id(&visit));
        let page = visitor.get(&path).await;
        assert!(page.expect(200).text.contains("remind the patient"), "{}", page.text);
        let mut led = Vec::new();
        for _ in 0..2 {
            led.push(led_to(&visitor.submit(&page, &format!("{path}/links"), &[]).await));
        }
        assert_eq!(led[0], led[1]);
        assert!(visitor.get(&led[0]).await.expect(200).text.contains("The patient is told once more"));
        app.mails().await;
        assert_eq!(app.mails_to(&ann.email).await.len(), before + 1, "pressed twice, sent once");
    }

    async fn the_desk_reads_the_patients_word_for_a_kind_of_visit_and_begins_with_the_shown_place(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        admin.update(&format!("/v1/visit-types/{}", clinic.new_visit), json!({"public_name": "First visit"})).await.expect(200);
        let second = location(&admin, "Elm Street", "America/New_York").await;
        let bo = practitioner(&admin, "Dr. Bo Vessel", &second, &[&clinic.check]).await;
        let ann = app.patient("ann").await;
        let visitor = at_the_desk(&app).await;
        let times = format!("/desk/patients/{}/times", ann.patient_id);
        let first = visitor.get(&times).await;
        let text = plain(&first.expect(200).text);
        assert!(text.contains("New patient, 60 min (patients read: First visit)"), "{text}");
        assert!(text.contains("Dr. Ada Vein, Monday, March 2, Main Street\"") && !text.contains("Dr. Bo Vessel, Monday"), "{text}");
        let day = visitor.get(&format!("/desk?location={second}")).await;
        assert!(plain(&day.expect(200).text).contains(&format!("desk/patients/new?location_id={second}")), "{}", day.text);
        // At the other place, another kind of visit is the first one that can be booked.
        let there = visitor.get(&format!("{times}?location_id={second}")).await;
        let text = plain(&there.expect(200).text);
        assert!(text.contains("aria-current=\"true\">Check, 15 min</a>"), "{text}");
        assert!(text.contains("Dr. Bo Vessel, Monday, March 2, Elm Street\"") && !text.contains("Dr. Ada Vein, Monday"), "{text}");
        let anywhere = visitor.get(&format!("{times}?location_id=&visit_type_id={}", clinic.check)).await;
        let text = plain(&anywhere.expect(200).text);
        assert!(text.contains("Dr. Bo Vessel, Monday") && text.contains("Dr. Ada Vein, Monday"), "{text}");
        assert!(text.contains("location_id=&date=2026-03-03"), "the other days are anywhere, too: {text}");
        assert!(text.contains(&bo), "the list of practitioners");
    }

    async fn calls_to_one_number_are_one_card_with_one_button(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut body = patient_json("Rosa", "unused@patients.example");
        body["email"] = Value::Null;
        let rosa = desk.post("/v1/patients", body).await.expect(201).id();
        let slots = free_slots(&desk, &clinic.check).await;
        for slot in [&slots[0], &slots[8]] {
            post_booking(&desk, booking(slot, &clinic.check, &rosa)).await.expect(201);
        }
        let visitor = at_the_desk(&app).await;
        let page = visitor.get("/desk/calls").await;
        assert_eq!(page.expect(200).text.matches("Called about all 2").count(), 1, "{}", page.text);
        let calls = desk.get("/v1/messages?status=to_phone&sort=created_at").await.items();
        let done = format!("/desk/calls/{}/complete", id(&calls[0]));
        visitor.submit(&page, &done, &[]).await.expect(303);
        assert!(desk.get("/v1/messages?status=to_phone").await.items().is_empty());
    }

    async fn the_desk_that_chose_spanish_once_works_in_spanish(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        let visitor = at_the_desk(&app).await;
        let day = visitor.get("/desk?lang=es").await;
        in_spanish(&day);
        let facts = ["lunes, 2 de marzo de 2026", "9:15 a.\u{a0}m.", "Reservada", "formularios sin empezar", "14 sep 1967", "Registrar llegada: ann Tester"];
        for fact in facts {
            assert!(plain(&day.text).contains(fact), "{fact} in {}", day.text);
        }
        // The links of the page, which name no language.
        let link = format!("desk/visits/{}", id(&visit));
        assert!(plain(&day.text).contains(&format!("href=\"{link}\"")), "{}", day.text);
        let patient = format!("/desk/patients/{}", ann.patient_id);
        let times = format!("{patient}/times?visit_type_id={}&date=2026-03-03", clinic.check);
        let pages = [
            format!("/{link}"), format!("/{link}/times"), patient, times, "/desk/patients".into(), "/desk/patients/new".into(),
            "/desk/calls".into(), "/desk/waitlist".into(), "/desk/time-off".into(),
        ];
        for page in &pages {
            in_spanish(&visitor.get(page).await);
        }
        let visit_page = visitor.get(&pages[0]).await;
        assert!(visit_page.text.contains("por la clínica"), "{}", visit_page.text);
        // What was refused is said in the words of the API, which are marked.
        let refused = visitor.submit(&visit_page, &format!("{}/cancel", pages[0]), &[("reason", "")]).await;
        let text = &refused.expect(422).text;
        assert!(text.contains("Esto no se hizo") && text.contains("<p lang=\"en\">reason"), "{text}");
        // The answer to a form is in Spanish, too, and has no switch. That of a page keeps the query.
        let found = visitor.submit(&day, "/desk/patients", &[("q", "ann")]).await;
        in_spanish(&found);
        assert!(!found.text.contains("id=\"language\""), "{}", found.text);
        let day = format!("?location={}&date=2026-03-02", clinic.location_id);
        let page = visitor.get(&format!("/desk{day}")).await;
        assert!(plain(&page.text).contains(&format!("id=\"language\" href=\"{day}&lang=en\"")), "{}", page.text);
        let english = visitor.get(&format!("/desk{day}&lang=en")).await;
        assert!(english.text.contains("Monday, March 2, 2026"), "{}", english.text);
        assert!(visitor.get("/desk/waitlist").await.text.contains("Nobody waits."), "the last choice counts");
    }

    async fn only_staff_of_the_desk_open_its_pages(app: App) {
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        let visit = book_nth(&ann, &clinic.check, 0, &ann.patient_id).await.body;
        let pages = [
            "/desk".to_owned(), format!("/desk/visits/{}", id(&visit)), format!("/desk/patients/{}", ann.patient_id),
            "/desk/patients".into(), "/desk/calls".into(), "/desk/time-off".into(),
        ];
        for page in &pages {
            let reply = Visitor::new(app.anon()).get(page).await;
            assert_eq!((reply.status, reply.header("location").contains("sign-in?next=desk")), (303, true), "{page}");
        }
        let visitor = Visitor::signed_in(app.anon(), &ann.email).await;
        for page in &pages {
            assert_eq!(visitor.get(page).await.status, 403, "{page}");
        }
        let cancel = format!("/desk/visits/{}/cancel", id(&visit));
        let account = visitor.get("/account").await;
        assert_eq!(visitor.submit(&account, &cancel, &[("reason", "Ill")]).await.status, 403);
    }

    async fn no_page_with_a_secret_of_the_session_is_compressed(app: App) {
        app.clinic().await;
        let visitor = at_the_desk(&app).await;
        for page in ["/desk", "/desk/patients/new", "/desk/calls", "/account"] {
            let reply = visitor.send(Method::GET, page, &[], &[("Accept-Encoding", "gzip, br")]).await;
            assert!(reply.expect(200).headers.get("content-encoding").is_none(), "{page}");
        }
    }
}
