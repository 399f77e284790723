//! What the pages of the desk say after a form, and what is still missing for a visit.

use serde_json::{Value, json};

use crate::form_pages::{ANSWERS, fill};
use crate::support::booking::{book_nth, booking, post_booking};
use crate::support::clinic::free_slots;
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::people::patient_json;
use crate::support::visitor::{Visitor, plain};
use crate::support::{App, both, id};
use crate::waitlist_offers::{offers, run, wait_for};

async fn at_the_desk(app: &App) -> Visitor {
    app.desk().await;
    Visitor::signed_in(app.anon(), "desk@clinic.example").await
}

/// Sends a form of a page, and reads the page to which it leads.
async fn after(visitor: &Visitor, page: &str, form: &str, fields: &[(&str, &str)]) -> String {
    let page = visitor.get(page).await;
    let done = visitor.submit(page.expect(200), form, fields).await;
    plain(&visitor.get(&led_to(&done)).await.expect(200).text)
}

both! {
    async fn each_step_of_a_visit_says_what_was_done(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&desk, &clinic.check, 0, &ann.patient_id).await.body;
        let visitor = at_the_desk(&app).await;
        let page = format!("/desk/visits/{}", id(&visit));
        let told = after(&visitor, &page, &format!("{page}/links"), &[]).await;
        assert!(told.contains("The patient is told once more. The patient gets a mail. No call is needed."), "{told}");
        let day = after(&visitor, "/desk", &format!("{page}/check-in"), &[]).await;
        assert!(day.contains("The patient is checked in.") && day.contains("Monday, March 2, 2026"), "{day}");
        for (step, fields, words) in [
            ("undo", &[("reason", "Wrong Ann")][..], "The last step is undone."),
            ("confirm", &[], "It is entered that the patient will come."),
            ("check-in", &[], "The patient is checked in."),
            ("complete", &[], "The visit is completed."),
        ] {
            let shown = after(&visitor, &page, &format!("{page}/{step}"), fields).await;
            assert!(shown.contains(&format!("role=\"status\">{words}")), "{step}: {shown}");
        }
        // Only known words say something.
        for odd in ["<b>", "nothing", ""] {
            let shown = visitor.get(&format!("{page}?did={odd}")).await;
            assert!(!shown.expect(200).text.contains("role=\"status\""), "{}", shown.text);
        }
    }

    async fn the_desk_answers_the_forms_with_a_walk_in_and_does_not_read_what_was_sent(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let mut body = patient_json("Rosa", "unused@patients.example");
        body["email"] = Value::Null;
        let rosa = desk.post("/v1/patients", body).await.expect(201).id();
        let visit = book_nth(&desk, &clinic.check, 0, &rosa).await.body;
        let visitor = at_the_desk(&app).await;
        let shown = visitor.get(&format!("/desk/visits/{}", id(&visit))).await;
        let begin = FilledForm::to(&shown, "/history");
        let mut page = led_to(&begin.send(&visitor, &format!("/visits/{}/history", id(&visit))).await);
        let form = page.split("/safety").next().expect("the first subject").to_owned();
        while !page.starts_with(&format!("{form}/check")) {
            let path = page.split('?').next().expect("a path").to_owned();
            let subject = path.rsplit('/').next().expect("a name");
            let answers = ANSWERS.iter().find(|(name, _)| *name == subject).map_or(&[][..], |(_, answers)| answers);
            assert!(visitor.get(&path).await.expect(200).text.contains("Rosa"), "the page says whose form it is");
            page = led_to(&fill(&visitor, &path, answers).await);
        }
        let check = format!("{form}/check");
        let send = FilledForm::of(visitor.get(&check).await.expect(200));
        for _ in 0..2 {
            let sent = led_to(&send.send(&visitor, &check).await);
            assert_eq!(sent, format!("/desk/patients/{rosa}?did=form-sent&lang=en"));
        }
        let text = plain(&visitor.get(&format!("/desk/patients/{rosa}?did=form-sent")).await.expect(200).text);
        assert!(text.contains("The answers are sent to the practitioner."), "{text}");
        visitor.get(&form).await.expect(404);
        assert_eq!(desk.get(&format!("/v1/appointments/{}", id(&visit))).await.body["intake_status"], "completed");
        let shown = visitor.get(&format!("/desk/visits/{}", id(&visit))).await;
        assert!(!shown.expect(200).text.contains("Answer the forms with the patient"), "{}", shown.text);
    }

    async fn a_cancellation_says_whether_a_mail_goes_or_a_call_is_needed(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let mut body = patient_json("Rosa", "unused@patients.example");
        body["email"] = Value::Null;
        let rosa = desk.post("/v1/patients", body).await.expect(201).id();
        let visitor = at_the_desk(&app).await;
        let slots = free_slots(&desk, &clinic.check).await;
        let no_call = ("patient_informed", "yes");
        let reason = ("reason", "Ill");
        for (nth, patient, fields, words) in [
            (8, &ann.patient_id, &[reason][..], "The visit is cancelled. The patient gets a mail. No call is needed."),
            (16, &rosa, &[reason], "The visit is cancelled. A call is needed:"),
            (24, &rosa, &[reason, no_call], "The visit is cancelled. No mail is sent, and no call is needed."),
        ] {
            let visit = post_booking(&desk, booking(&slots[nth], &clinic.check, patient)).await.expect(201).body.clone();
            let page = format!("/desk/visits/{}", id(&visit));
            let open = "The patient has to be called about this visit";
            assert_eq!(plain(&visitor.get(&page).await.expect(200).text).contains(open), *patient == rosa);
            let shown = after(&visitor, &page, &format!("{page}/cancel"), fields).await;
            assert!(shown.contains(words), "{words} in {shown}");
            assert!(shown.contains(&format!("desk/patients/{patient}/times")) && shown.contains("Book another visit"), "{shown}");
            assert!(!shown.contains("send the patient the link again"), "{shown}");
        }
        let calls = desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!(calls.len(), 1);
        let called = after(&visitor, "/desk/calls", &format!("/desk/calls/{}/complete", id(&calls[0])), &[]).await;
        assert!(called.contains("The call is entered."), "{called}");
    }

    async fn registering_and_correcting_a_record_say_so(app: App) {
        app.clinic().await;
        let visitor = at_the_desk(&app).await;
        let fields = [
            ("given_name", "Rosa"), ("family_name", "Tester"), ("date_of_birth", "1967-09-14"), ("administrative_sex", "female"),
            ("phone", "(202) 555-0199"), ("preferred_language", "en"),
        ];
        let form = visitor.get("/desk/patients/new").await;
        let menu = "data-page=\"desk-register\"";
        assert!(form.expect(200).text.contains(menu), "{}", form.text);
        let card = led_to(&visitor.submit(&form, "/desk/patients/new", &fields).await);
        let text = plain(&visitor.get(&card).await.expect(200).text);
        assert!(text.contains("The patient is registered.") && text.contains("<dt>Sex</dt><dd>female"), "{text}");
        let path = format!("{}/correct", card.split('?').next().expect("a path"));
        let form = visitor.get(&path).await;
        let text = plain(&form.expect(200).text);
        assert!(!text.contains(menu) && text.contains("data-page=\"desk-correct\""), "the menu shows no open page: {text}");
        assert!(text.contains("Back to the patient"), "{text}");
        let corrected = FilledForm::to(&form, "/correct").with(&[("given_name", "Rose")]).send(&visitor, &path).await;
        let text = plain(&visitor.get(&led_to(&corrected)).await.expect(200).text);
        assert!(text.contains("The record is corrected."), "{text}");
    }

    async fn an_answer_to_an_offer_says_what_it_did(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let visitor = at_the_desk(&app).await;
        let slots = free_slots(&desk, &clinic.check).await;
        let steps = [
            ("claim", "The patient takes the offered time. The visit is booked."),
            ("decline", "The patient does not want the offered time, and goes on waiting."),
            ("withdraw", "The offer is withdrawn. The patient goes on waiting."),
        ];
        for (nth, (step, words)) in steps.into_iter().enumerate() {
            let patient = app.patient(step).await.patient_id;
            wait_for(&desk, &patient, &clinic.check, &slots[60 + 10 * nth], json!({})).await;
            run(&app).await;
            let offer = id(&offers(&desk, &patient).await[0]).to_owned();
            let shown = after(&visitor, "/desk/waitlist", &format!("/desk/waitlist-offers/{offer}/{step}"), &[]).await;
            assert!(shown.contains(words), "{words} in {shown}");
        }
    }

    async fn missing_consents_show_in_the_day_and_on_the_page_of_the_visit(app: App) {
        let (clinic, desk) = (app.clinic().await, app.desk().await);
        let rosa = desk.post("/v1/patients", patient_json("Rosa", "rosa@patients.example")).await.expect(201).id();
        let visit = book_nth(&desk, &clinic.check, 0, &rosa).await.body;
        let visitor = at_the_desk(&app).await;
        let (day, page) = ("/desk".to_owned(), format!("/desk/visits/{}", id(&visit)));
        let link = format!("desk/patients/{rosa}#consents");
        let seen = async |page: &str| plain(&visitor.get(page).await.expect(200).text);
        assert!(seen(&day).await.contains(&link), "a link to record them");
        let text = seen(&page).await;
        assert!(text.contains(&link) && text.contains("to ask for: treatment, privacy notice"), "{text}");
        let sheet = async || {
            let path = format!("/v1/locations/{}/day-sheet", clinic.location_id);
            desk.get(&path).await.expect(200).body["appointments"][0]["consents_outstanding"].clone()
        };
        assert_eq!(sheet().await, json!(["treatment", "privacy_notice"]));
        let path = format!("/desk/patients/{rosa}/consents");
        for (nth, left) in [(0, "to ask for: privacy notice"), (1, "")] {
            let card = visitor.get(&format!("/desk/patients/{rosa}")).await;
            let form = FilledForm::to(card.expect(200), "/consents").with(&[("method", "paper"), ("decision", "accepted")]);
            let recorded = seen(&led_to(&form.send(&visitor, &path).await)).await;
            assert!(recorded.contains("The decision is recorded."), "{nth}: {recorded}");
            let text = seen(&page).await;
            assert!(if left.is_empty() { !text.contains("to ask for") } else { text.contains(left) }, "{text}");
        }
        assert!(!seen(&day).await.contains("consents to ask for"));
        assert_eq!(sheet().await, json!([]));
    }
}
