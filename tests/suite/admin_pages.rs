//! The pages of administrators, by their forms alone.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::clinic::{free_slots, put_hours};
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::people::PASSWORD;
use crate::support::visitor::{Visitor, in_spanish, plain};
use crate::support::{App, Reply, both, id};

/// An administrator at a browser.
async fn administrator(app: &App) -> Visitor {
    app.admin().await;
    Visitor::signed_in(app.anon(), "admin@clinic.example").await
}

#[track_caller]
fn shows(page: &Reply, parts: &[&str]) {
    says(page.expect(200), parts);
}

#[track_caller]
fn says(page: &Reply, parts: &[&str]) {
    let text = plain(&page.text);
    for part in parts {
        assert!(text.contains(part), "{part} in {}", page.text);
    }
}

/// Fills in the form of a page that is sent to its own address, and sends it.
async fn fill(visitor: &Visitor, page: &str, fields: &[(&str, &str)]) -> Reply {
    let path = page.split('?').next().unwrap_or(page);
    FilledForm::to(&visitor.get(page).await, path).with(fields).send(visitor, path).await
}

const PLACE: [(&str, &str); 4] = [
    ("name", "Elm <b>Street"),
    ("address", "12 Elm Street, Springfield"),
    ("phone", "(212) 555-0100"),
    ("time_zone", "America/New_York"),
];
const VISIT: [(&str, &str); 4] = [
    ("name", "RLS first visit"),
    ("public_name", "First visit"),
    ("public_name_es", "Primera consulta"),
    ("duration_minutes", "45"),
];

both! {
    async fn an_empty_clinic_is_opened_step_by_step(app: App) {
        let visitor = administrator(&app).await;
        assert_eq!(led_to(&visitor.get("/admin?lang=en").await), "/admin/setup?lang=en");
        shows(&visitor.get("/admin/setup?lang=en").await, &[
            "Patients cannot book yet", "There is no place.", "There is no kind of visit.", "There is no practitioner.", "Take the steps before this one first.",
        ]);
        // Mistakes are at their fields, and nothing typed is lost.
        let page = visitor.get("/admin/locations/new?setup=1&lang=en").await;
        let form = FilledForm::to(&page, "/admin/locations/new");
        let wrong = form.send(&visitor, "/admin/locations/new").await;
        says(wrong.expect(422), &["Please check these fields", "href=\"#name\"", "Name of the place: Please fill this in."]);
        let wrong = FilledForm::to(&wrong, "/admin/locations/new").with(&PLACE).with(&[("phone", "12"), ("time_zone", "New York")]);
        let wrong = wrong.send(&visitor, "/admin/locations/new").await;
        says(wrong.expect(422), &["Telephone: Please check this number.", "a time zone such as America/New_York", "value=\"Elm <b>Street\"", "value=\"New York\""]);
        assert!(!wrong.text.contains("<b>Street"), "{}", wrong.text);
        // A double click creates it once.
        let mended = FilledForm::to(&wrong, "/admin/locations/new").with(&PLACE);
        for _ in 0..2 {
            assert_eq!(led_to(&mended.send(&visitor, "/admin/locations/new").await), "/admin/setup?did=saved&lang=en");
        }
        let places = app.anon().get("/v1/locations").await.items();
        assert_eq!((places.len(), &places[0]["phone"], &places[0]["slot_minutes"]), (1, &json!("+12125550100"), &json!(15)));
        // The steps are what is stored: another session goes on where this one stopped.
        let visitor = Visitor::signed_in(app.anon(), "admin@clinic.example").await;
        let steps = visitor.get("/admin/setup?did=saved&lang=en").await;
        shows(&steps, &["Saved.", "Elm <b>Street", "There is no kind of visit.", "✓ done"]);
        assert_eq!(led_to(&fill(&visitor, "/admin/visit-types/new?setup=1&lang=en", &VISIT).await), "/admin/setup?did=saved&lang=en");
        let done = fill(&visitor, "/admin/practitioners/new?setup=1&lang=en", &[("name", "Dr. Ada Osei")]).await;
        let doctor = id(&app.anon().get("/v1/practitioners").await.items()[0]).to_owned();
        let hours = format!("/admin/practitioners/{doctor}/hours");
        assert_eq!(led_to(&done), format!("{hours}?did=saved&setup=1&lang=en"));
        shows(&visitor.get("/admin/setup?lang=en").await, &["No practitioner who offers such a visit has weekly hours.", "Dr. Ada Osei", "no hours yet"]);
        // The suggestion is saved only by its button.
        let page = visitor.get(&format!("{hours}?setup=1&lang=en")).await;
        shows(&page, &["This is a suggestion", "Monday", "value=\"09:00\""]);
        for _ in 0..2 {
            assert_eq!(led_to(&FilledForm::to(&page, "/hours").send(&visitor, &hours).await), "/admin/setup?did=saved&lang=en");
        }
        shows(&visitor.get("/admin/setup?lang=en").await, &["Your clinic is open: patients can book", "Monday, March 2, 2026", "/book"]);
        shows(&visitor.get("/admin?lang=en").await, &["Overview", "Your clinic is open"]);
        shows(&visitor.get("/admin?lang=es").await, &["Su clínica está abierta", "lunes, 2 de marzo de 2026", "Administración"]);
        // A stranger holds a time.
        let visit = id(&app.anon().get("/v1/visit-types").await.items()[0]).to_owned();
        let slot = id(&free_slots(&app.anon(), &visit).await[0]).to_owned();
        app.anon().post(&format!("/v1/slots/{slot}/hold"), json!({"visit_type_id": visit})).await.expect(201);
        let book = Visitor::new(app.anon()).get("/book?lang=en").await;
        shows(&book, &["First visit", "Elm <b>Street"]);
        assert!(!book.text.contains("<b>Street"), "{}", book.text);
    }

    async fn what_keeps_patients_from_booking_is_said(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        let visitor = administrator(&app).await;
        let practitioner = format!("/v1/practitioners/{}", clinic.practitioner_id);
        let kinds = [&clinic.new_visit, &clinic.follow_up, &clinic.check];
        for kind in kinds {
            admin.update(&format!("/v1/visit-types/{kind}"), json!({"online_bookable": false})).await.expect(200);
        }
        shows(&visitor.get("/admin?lang=en").await, &["Patients cannot book yet", "No kind of visit is one that patients book themselves."]);
        for kind in kinds {
            admin.update(&format!("/v1/visit-types/{kind}"), json!({"online_bookable": true})).await.expect(200);
        }
        admin.update(&practitioner, json!({"location_ids": []})).await.expect(200);
        shows(&visitor.get("/admin/setup?lang=en").await, &["No practitioner offers, at a place,", "no place chosen yet"]);
        shows(&visitor.get(&format!("/admin/practitioners/{}/hours?lang=en", clinic.practitioner_id)).await, &["Choose first at which places"]);
        admin.update(&practitioner, json!({"location_ids": [clinic.location_id], "visit_type_ids": []})).await.expect(200);
        shows(&visitor.get("/admin/setup?lang=en").await, &["No practitioner offers, at a place,", "no kind of visit chosen yet"]);
        admin.update(&practitioner, json!({"visit_type_ids": [clinic.check]})).await.expect(200);
        shows(&visitor.get("/admin?lang=en").await, &["Your clinic is open", "Kinds of visit without a free time: New patient, Follow-up."]);
        put_hours(&admin, &clinic.practitioner_id, json!([])).await.expect(200);
        shows(&visitor.get("/admin?lang=en").await, &["No practitioner who offers such a visit has weekly hours."]);
        // Hours that are over, or too short for the visit.
        let over = json!([{"weekday": "monday", "start": "09:00", "end": "17:00", "location_id": clinic.location_id, "valid_until": "2026-01-31"}]);
        put_hours(&admin, &clinic.practitioner_id, over).await.expect(200);
        shows(&visitor.get("/admin?lang=en").await, &["Everything is set up, but no time is free", "Open the clinic, step by step"]);
    }

    async fn a_stale_form_says_what_others_changed_and_keeps_what_was_typed(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        let visitor = administrator(&app).await;
        let (path, api) = (format!("/admin/locations/{}", clinic.location_id), format!("/v1/locations/{}", clinic.location_id));
        let form = FilledForm::to(&visitor.get(&format!("{path}?lang=en")).await, &path).with(&[("name", "Oak <i>Street")]);
        admin.update(&api, json!({"address": "2 New Road", "name": "Main St"})).await.expect(200);
        let stale = form.send(&visitor, &path).await;
        says(stale.expect(412), &[
            "somebody else has changed this", "Address: was “1 Main Street, Springfield”, is now “2 New Road”.",
            "Name of the place: was “Main Street”, is now “Main St”. Below is what you have typed.", "value=\"Oak <i>Street\"", "value=\"2 New Road\"",
        ]);
        let mended = FilledForm::to(&stale, &path);
        for _ in 0..2 {
            assert_eq!(led_to(&mended.send(&visitor, &path).await), "/admin/locations?did=saved&lang=en");
        }
        let place = app.anon().get(&api).await.body;
        assert_eq!((&place["name"], &place["address"]), (&json!("Oak <i>Street"), &json!("2 New Road")));
        // A kind of visit, a practitioner.
        for (path, api, field, label) in [
            (format!("/admin/visit-types/{}", clinic.check), format!("/v1/visit-types/{}", clinic.check), "public_name", "Name among staff"),
            (format!("/admin/practitioners/{}", clinic.practitioner_id), format!("/v1/practitioners/{}", clinic.practitioner_id), "visit_type_ids", "Name"),
        ] {
            let typed = if field == "public_name" { "Short visit" } else { clinic.check.as_str() };
            let form = FilledForm::to(&visitor.get(&format!("{path}?lang=en")).await, &path).with(&[(field, typed)]);
            admin.update(&api, json!({"name": "Another name"})).await.expect(200);
            let stale = form.send(&visitor, &path).await;
            says(stale.expect(412), &[&format!("{label}: was"), "Another name", typed]);
            FilledForm::to(&stale, &path).send(&visitor, &path).await.expect(303);
            let stored = app.anon().get(&api).await.body;
            let value = if field == "public_name" { json!(typed) } else { json!([typed]) };
            assert_eq!((&stored["name"], &stored[field]), (&json!("Another name"), &value));
        }
        // The weekly hours.
        let path = format!("/admin/practitioners/{}/hours", clinic.practitioner_id);
        let monday = |end: &str| format!("{}.1.0.{end}", clinic.location_id);
        let form = FilledForm::to(&visitor.get(&format!("{path}?lang=en")).await, &path).with(&[(&monday("from"), "08:00")]);
        let hours = json!([
            {"weekday": "monday", "start": "09:00", "end": "17:00", "location_id": clinic.location_id},
            {"weekday": "sunday", "start": "20:00", "end": "24:00", "location_id": clinic.location_id},
        ]);
        put_hours(&admin, &clinic.practitioner_id, hours).await.expect(200);
        let stale = form.send(&visitor, &path).await;
        says(stale.expect(412), &["Tuesday: was “09:00–17:00, Oak <i>Street”, is now “nothing”.", "Sunday: was “nothing”, is now “20:00–24:00", "value=\"08:00\""]);
        let empty: Vec<(String, &str)> = (2..=5).flat_map(|day| ["from", "to"].map(|end| (format!("{}.{day}.0.{end}", clinic.location_id), ""))).collect();
        let empty: Vec<(&str, &str)> = empty.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let mended = FilledForm::to(&stale, &path).with(&empty);
        for _ in 0..2 {
            assert_eq!(led_to(&mended.send(&visitor, &path).await), format!("{path}?did=saved&lang=en"));
        }
        let stored = admin.get(&format!("/v1/practitioners/{}/availability", clinic.practitioner_id)).await.body["items"].clone();
        let times: Vec<_> = stored.as_array().expect("rules").iter().map(|rule| (rule["weekday"].clone(), rule["start"].clone(), rule["end"].clone())).collect();
        assert_eq!(times, [(json!("monday"), json!("08:00"), json!("17:00")), (json!("sunday"), json!("20:00"), json!("24:00"))]);
        // Mistakes in hours are at their day, and what is beside the grid can end.
        let page = visitor.get(&format!("{path}?lang=en")).await;
        let wrong = FilledForm::to(&page, &path).with(&[(&monday("to"), "07:00"), (&monday("from"), "08:00")]).send(&visitor, &path).await;
        says(wrong.expect(422), &["Monday, Oak <i>Street: The end must be after the start.", "value=\"07:00\""]);
        let half = FilledForm::to(&page, &path).with(&[(&monday("to"), "")]).send(&visitor, &path).await;
        half.expect(422);
        FilledForm::to(&page, &path).with(&[("keep", "")]).send(&visitor, &path).await.expect(303);
        assert_eq!(admin.get(&format!("/v1/practitioners/{}/availability", clinic.practitioner_id)).await.body["items"].as_array().map(Vec::len), Some(1));
    }

    async fn places_are_closed_and_opened_again(app: App) {
        let (clinic, admin, ann) = (app.clinic().await, app.admin().await, app.patient("ann").await);
        crate::support::booking::book_nth(&app.desk().await, &clinic.check, 0, &ann.patient_id).await;
        let visitor = administrator(&app).await;
        let page = format!("/admin/locations/{}/closures", clinic.location_id);
        let api = format!("/v1/locations/{}/closures", clinic.location_id);
        shows(&visitor.get(&format!("{page}?lang=en")).await, &["None to come.", "Main Street"]);
        says(fill(&visitor, &format!("{page}?lang=en"), &[("name", "Move <b>")]).await.expect(422), &["Day: Please fill this in.", "value=\"Move <b>\""]);
        says(fill(&visitor, &format!("{page}?lang=en"), &[("day", "2026-03-02")]).await.expect(422), &["What for: Please fill this in."]);
        says(fill(&visitor, &format!("{page}?lang=en"), &[("day", "2040-03-02"), ("name", "Far")]).await.expect(422), &["too far away"]);
        let days = [("name", "Move <b>"), ("day", "2026-03-02"), ("last_day", "2026-03-04")];
        let form = FilledForm::to(&visitor.get(&format!("{page}?lang=en")).await, &page).with(&days);
        for _ in 0..2 {
            assert_eq!(led_to(&form.send(&visitor, &page).await), format!("{page}?did=saved&affected=1&lang=en"));
        }
        let part = [("name", "Training"), ("day", "2026-03-06"), ("from", "13:00"), ("to", "15:00")];
        assert_eq!(led_to(&fill(&visitor, &format!("{page}?setup=1&lang=en"), &part).await), "/admin/setup?did=saved&lang=en");
        let closed = admin.get(&api).await.items();
        assert_eq!((closed.len(), &closed[3]["starts_at"], &closed[3]["date"]), (4, &json!("2026-03-06T18:00:00Z"), &Value::Null));
        let list = visitor.get(&format!("{page}?did=saved&affected=1&lang=en")).await;
        shows(&list, &["Booked visits that this affects: 1.", "Monday, March 2, 2026", "Move <b>", "Friday, March 6, 2026, 1:00 PM – 3:00 PM"]);
        assert!(!list.text.contains("Move <b>"), "{}", list.text);
        let open = format!("/admin/closures/{}/delete", id(&closed[0]));
        for _ in 0..2 {
            assert_eq!(led_to(&visitor.submit(&list, &open, &[]).await), format!("{page}?did=saved&lang=en"));
        }
        assert_eq!(admin.get(&api).await.items().len(), 3);
    }

    async fn staff_are_invited_changed_and_ended(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        let visitor = administrator(&app).await;
        let new = "/admin/staff/new?lang=en";
        let dana = [("email", "dana@clinic.example"), ("name", "Dana <b>Desk"), ("role", "front_desk")];
        let wrong = fill(&visitor, new, &[("email", "dana"), ("name", "Dana"), ("role", "practitioner")]).await;
        says(wrong.expect(422), &["E‑mail address: Please check this e‑mail address.", "A practitioner's account needs its practitioner", "value=\"dana\""]);
        let form = FilledForm::to(&visitor.get(new).await, "/admin/staff/new").with(&dana);
        for _ in 0..2 {
            assert_eq!(led_to(&form.send(&visitor, "/admin/staff/new").await), "/admin/staff?did=saved&lang=en");
        }
        let mails = app.mails_to("dana@clinic.example").await;
        assert_eq!(mails.len(), 1, "one invitation");
        let body = json!({"token": mails[0].token(), "new_password": PASSWORD});
        says(fill(&visitor, new, &dana).await.expect(409), &["This address has an account already.", "value=\"Dana <b>Desk\""]);
        let list = visitor.get("/admin/staff?lang=en").await;
        shows(&list, &["Dana <b>Desk", "Front desk, invited, no password yet", "admin@clinic.example"]);
        assert!(!list.text.contains("Dana <b>Desk"), "{}", list.text);
        app.anon().post("/v1/password-resets/confirm", body).await.expect(204);
        let desk = Visitor::signed_in(app.anon(), "dana@clinic.example").await;
        desk.get("/desk").await.expect(200);
        let users = admin.get("/v1/users?role=front_desk").await.items();
        let user = id(users.iter().find(|user| user["email"] == "dana@clinic.example").expect("Dana"));
        let path = format!("/admin/staff/{user}");
        // A page of an older version.
        let old = FilledForm::to(&visitor.get(&format!("{path}?lang=en")).await, &path);
        let doctor = [("role", "practitioner"), ("practitioner_id", clinic.practitioner_id.as_str())];
        fill(&visitor, &format!("{path}?lang=en"), &doctor).await.expect(303);
        let stored = admin.get(&format!("/v1/users/{user}")).await.body;
        assert_eq!((&stored["role"], &stored["practitioner_id"]), (&json!("practitioner"), &json!(clinic.practitioner_id)));
        desk.get("/doctor").await.expect(200);
        let stale = old.with(&[("name", "Dana Doe")]).send(&visitor, &path).await;
        says(stale.expect(412), &["Role: was “Front desk”, is now “Practitioner”.", "Practitioner: was “nothing”, is now “Dr. Ada Vein”.", "value=\"Dana Doe\""]);
        FilledForm::to(&stale, &path).send(&visitor, &path).await.expect(303);
        assert_eq!(admin.get(&format!("/v1/users/{user}")).await.body["name"], "Dana Doe");
        // Signed out, then ended.
        let page = visitor.get(&format!("{path}?lang=en")).await;
        visitor.submit(&page, &format!("{path}/sign-out"), &[]).await.expect(303);
        assert!(desk.get("/desk").await.expect(303).header("location").contains("sign-in"));
        let desk = Visitor::signed_in(app.anon(), "dana@clinic.example").await;
        fill(&visitor, &format!("{path}?lang=en"), &[("disabled", "yes")]).await.expect(303);
        assert!(desk.get("/desk").await.expect(303).header("location").contains("sign-in"));
        shows(&visitor.get("/admin/staff?lang=en").await, &["Practitioner, Dr. Ada Vein, ended"]);
        // The last administrator stays, and keeps an own second factor.
        let me = id(&admin.get("/v1/users?role=admin").await.items()[0]).to_owned();
        let own = format!("/admin/staff/{me}");
        says(fill(&visitor, &format!("{own}?lang=en"), &[("disabled", "yes")]).await.expect(409), &["the last administrator who can sign in"]);
        let page = visitor.get(&format!("{own}?lang=en")).await;
        says(visitor.submit(&page, &format!("{own}/second-factor"), &[]).await.expect(409), &["This was not done"]);
        // Accounts of patients are not on these pages.
        let patient = app.patient("ann").await;
        let users = admin.get("/v1/users?role=patient").await.items();
        let patient = id(users.iter().find(|user| user["email"] == patient.email.as_str()).expect("Ann"));
        visitor.get(&format!("/admin/staff/{patient}")).await.expect(404);
        visitor.submit(&page, &format!("/admin/staff/{patient}"), &[("disabled", "yes")]).await.expect(404);
    }

    async fn a_new_version_of_a_text_is_published_once(app: App) {
        app.clinic().await;
        let visitor = administrator(&app).await;
        shows(&visitor.get("/admin/documents?lang=en").await, &["Privacy notice", "Version 1, as it comes with the service"]);
        let path = "/admin/documents/treatment";
        let page = visitor.get("/admin/documents/treatment?lang=en").await;
        says(FilledForm::to(&page, path).send(&visitor, path).await.expect(422), &["This is the text that is in force already."]);
        let texts = [("en", "# Consent\r\n\r\nWe <b>look</b>."), ("es", "# Consentimiento\r\n\r\nMiramos."), ("other_language", "?"), ("other_text", "# X")];
        let wrong = FilledForm::to(&page, path).with(&texts).send(&visitor, path).await;
        says(wrong.expect(422), &["Another language: Please write the code of a language", "We <b>look</b>."]);
        let form = FilledForm::to(&wrong, path).with(&[("other_language", ""), ("other_text", "")]);
        for _ in 0..2 {
            assert_eq!(led_to(&form.send(&visitor, path).await), "/admin/documents?did=saved&lang=en");
        }
        let document = app.anon().get("/v1/consent-documents?type=treatment&language=es").await.items();
        assert_eq!((&document[0]["version"], &document[0]["text"]), (&json!("2"), &json!("# Consentimiento\n\nMiramos.")));
        shows(&visitor.get("/admin/documents?lang=en").await, &["Version 2, since Monday, March 2, 2026"]);
        // Somebody else has published meanwhile.
        let stale = FilledForm::to(&page, path).with(&[("en", "# Mine")]).send(&visitor, path).await;
        says(stale.expect(412), &["somebody else has changed this", "# Mine", "Miramos."]);
        visitor.get("/admin/documents/else").await.expect(404);
        let english = FilledForm::to(&visitor.get("/admin/documents/privacy_notice").await, "privacy_notice").with(&[("en", "")]);
        says(english.send(&visitor, "/admin/documents/privacy_notice").await.expect(422), &["Text in English: Please fill this in."]);
    }

    async fn what_is_out_of_use_stays_in_the_lists(app: App) {
        let clinic = app.clinic().await;
        let visitor = administrator(&app).await;
        for (list, one) in [("visit-types", &clinic.check), ("practitioners", &clinic.practitioner_id)] {
            let path = format!("/admin/{list}/{one}");
            fill(&visitor, &format!("{path}?lang=en"), &[("active", "")]).await.expect(303);
            shows(&visitor.get(&format!("/admin/{list}?lang=en")).await, &["(not in use)", "class=\"soft\""]);
        }
        // A practitioner keeps the kinds of visit out of use, unless they are unticked.
        let page = visitor.get(&format!("/admin/practitioners/{}?lang=en", clinic.practitioner_id)).await;
        shows(&page, &["Check (not in use)"]);
        fill(&visitor, &format!("/admin/practitioners/{}?lang=en", clinic.practitioner_id), &[("active", "yes")]).await.expect(303);
        let stored = app.anon().get(&format!("/v1/practitioners/{}", clinic.practitioner_id)).await.body;
        assert_eq!((&stored["active"], stored["visit_type_ids"].as_array().map(Vec::len)), (&json!(true), Some(3)));
    }
}

/// Every page, with those of an object of the clinic.
fn pages(clinic: &crate::support::Clinic) -> Vec<String> {
    let (place, doctor) = (&clinic.location_id, &clinic.practitioner_id);
    let mut all: Vec<String> = [
        "",
        "/setup",
        "/locations",
        "/locations/new",
        "/visit-types",
        "/visit-types/new",
        "/practitioners",
        "/practitioners/new",
        "/staff",
        "/staff/new",
        "/documents",
        "/documents/treatment",
        "/clients",
        "/clients/new",
        "/audit",
        "/utilisation",
        "/health",
        "/webhooks",
        "/resources",
        "/resources/new",
        "/webhooks/new",
    ]
    .map(|page| format!("/admin{page}"))
    .into();
    all.extend([
        format!("/admin/locations/{place}"),
        format!("/admin/locations/{place}/closures"),
        format!("/admin/visit-types/{}", clinic.check),
        format!("/admin/practitioners/{doctor}"),
        format!("/admin/practitioners/{doctor}/hours"),
        format!("/admin/practitioners/{doctor}/time-off"),
    ]);
    all
}

both! {
    async fn the_administration_is_open_to_administrators_only(app: App) {
        let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
        app.desk().await;
        app.doctor_of(&clinic.practitioner_id).await;
        let doctor = format!("doctor-{}@clinic.example", clinic.practitioner_id);
        for page in pages(&clinic) {
            let reply = Visitor::new(app.anon()).get(&page).await;
            assert_eq!((reply.status, reply.header("location").contains("sign-in?next=admin")), (303, true), "{page}");
        }
        for email in [ann.email.as_str(), "desk@clinic.example", &doctor] {
            let visitor = Visitor::signed_in(app.anon(), email).await;
            let account = visitor.get("/account").await;
            assert!(!account.text.contains("Administration"), "{}", account.text);
            for page in pages(&clinic) {
                let reply = visitor.get(&page).await;
                assert!(reply.expect(403).text.contains("This is not open to your account"), "{page}: {}", reply.text);
            }
            for form in ["/admin/locations/new", "/admin/staff/new", "/admin/documents/treatment"] {
                visitor.submit(&account, form, &[("name", "x"), ("email", "x@clinic.example"), ("role", "admin")]).await.expect(403);
            }
        }
        let visitor = Visitor::new(app.anon());
        app.admin().await;
        let signed_in = visitor.post("/sign-in", &[("email", "admin@clinic.example"), ("password", PASSWORD)]).await;
        assert_eq!(signed_in.expect(303).header("location"), "admin?lang=en");
        for page in pages(&clinic) {
            let english = format!("{page}?lang=en");
            let reply = visitor.send(Method::GET, &english, &[], &[("Accept-Encoding", "gzip, br")]).await;
            assert!(reply.expect(200).headers.get("content-encoding").is_none(), "{page}");
            assert_eq!(reply.header("cache-control"), "no-store", "{page}");
            assert!(reply.header("content-security-policy").contains("default-src 'none'"), "{page}");
            assert!(reply.text.contains("Administration"), "{page}");
            let spanish = visitor.get(&format!("{page}?lang=es")).await;
            assert!(spanish.expect(200).text.contains("lang=\"es\""), "{page}");
        }
        // Administrators help at the desk, too.
        visitor.get("/desk").await.expect(200);
    }

    async fn an_administrator_who_chose_spanish_once_works_in_spanish(app: App) {
        let clinic = app.clinic().await;
        let visitor = administrator(&app).await;
        in_spanish(&visitor.get("/admin?lang=es").await);
        let practitioner = format!("/admin/practitioners/{}", clinic.practitioner_id);
        for page in [
            "/admin/setup", "/admin/locations", "/admin/locations/new", "/admin/visit-types", "/admin/visit-types/new", "/admin/practitioners", &practitioner,
            &format!("{practitioner}/hours"), &format!("{practitioner}/time-off"), "/admin/resources", "/admin/staff", "/admin/staff/new", "/admin/documents",
            "/admin/clients", "/admin/clients/new", "/admin/webhooks", "/admin/webhooks/new", "/admin/audit", "/admin/utilisation", "/admin/health", "/desk",
        ] {
            in_spanish(&visitor.get(page).await);
        }
        shows(&visitor.get("/admin/locations/new?setup=1").await, &["id=\"language\" href=\"?setup=1&lang=en\""]);
    }

    async fn a_form_of_another_site_or_session_changes_nothing_in_the_clinic(app: App) {
        let clinic = app.clinic().await;
        let visitor = administrator(&app).await;
        let page = visitor.get("/admin/locations/new").await;
        let token = FilledForm::to(&page, "/new").value("form_token").expect("a token").to_owned();
        let other = administrator(&app).await.get("/admin/locations/new").await;
        let foreign = FilledForm::to(&other, "/new").value("form_token").expect("a token").to_owned();
        let (place, doctor) = (&clinic.location_id, &clinic.practitioner_id);
        for path in [
            "/admin/locations/new".to_owned(), format!("/admin/locations/{place}"), format!("/admin/locations/{place}/closures"), format!("/admin/closures/{place}/delete"),
            "/admin/visit-types/new".into(), format!("/admin/visit-types/{}", clinic.check), "/admin/practitioners/new".into(), format!("/admin/practitioners/{doctor}"),
            format!("/admin/practitioners/{doctor}/hours"), "/admin/staff/new".into(), format!("/admin/staff/{place}"), format!("/admin/staff/{place}/sign-out"),
            format!("/admin/staff/{place}/second-factor"), "/admin/documents/treatment".into(),
        ] {
            for wrong in ["", "x", &foreign] {
                let reply = visitor.post(&path, &[("form_token", wrong), ("name", "Evil"), ("version", "1")]).await;
                assert!(reply.expect(403).text.contains("Nothing was changed"), "{path}: {}", reply.text);
            }
            for header in [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site"), ("Origin", "https://evil.example"), ("Origin", "null")] {
                let reply = visitor.send(Method::POST, &path, &[("form_token", &token)], &[header]).await;
                assert!(reply.expect(403).text.contains("Nothing was changed"), "{path} {header:?}: {}", reply.text);
            }
        }
        assert_eq!(app.anon().get("/v1/locations").await.items().len(), 1);
        // What was typed is not lost with the session.
        let form = FilledForm::to(&page, "/admin/locations/new").with(&PLACE);
        visitor.submit(&page, "/sign-out", &[]).await.expect(303);
        says(form.send(&visitor, "/admin/locations/new").await.expect(401), &["12 Elm Street, Springfield"]);
    }
}
