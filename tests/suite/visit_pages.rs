//! The pages on which a signed-in person sees, confirms, moves, cancels and books visits: in a real browser with and without its script, and
//! by the forms alone.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::booking::{book_nth, path};
use crate::support::browser::{Browser, on_a_phone};
use crate::support::families::{PASSWORD as FAMILY_PASSWORD, rosa};
use crate::support::people::PASSWORD;
use crate::support::visitor::{Visitor, hidden};
use crate::support::{App, Reply, both, id};

const ANN: &str = "ann@patients.example";

async fn seen_by_staff(app: &App, appointment: &Value) -> Value {
    app.desk().await.get(&path(appointment, "")).await.body
}

async fn subjects(app: &App, email: &str) -> Vec<String> {
    app.mails_to(email).await.into_iter().map(|mail| mail.subject).collect()
}

async fn sign_in(phone: &Browser, email: &str, password: &str, es: bool) {
    phone.see(if es { "Iniciar sesión" } else { "Sign in" }).await;
    phone.fill(if es { "Correo electrónico" } else { "E\u{2011}mail address" }, email).await;
    phone.fill(if es { "Contraseña" } else { "Password" }, password).await;
    phone.press(if es { "Iniciar sesión" } else { "Sign in" }).await;
}

#[test]
fn a_patient_confirms_moves_waits_and_cancels_on_a_phone_without_a_script() {
    on_a_phone(async |app: App, phone: Browser| {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let appointment = book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await.body;
        phone.without_scripts().await;
        phone.open_page(&format!("{}/visits?lang=en", app.base)).await;
        sign_in(&phone, ANN, PASSWORD, false).await;
        phone.see("My visits").await;
        phone.see("Please confirm that you are coming.").await;
        phone.expect_accessible().await;
        phone.press_first(".cards a").await;
        phone.see("Confirmation code").await;
        phone.expect_accessible().await;
        phone.press("Yes, I will come").await;
        phone.see("Thank you for telling us").await;
        phone.see("Confirmed: you will come.").await;
        phone.expect_accessible().await;
        assert_ne!(seen_by_staff(&app, &appointment).await["confirmed_at"], Value::Null);
        // An earlier time.
        phone.press("Wait for an earlier time").await;
        phone.see("You are on the waitlist").await;
        phone.expect_accessible().await;
        let waiting = ann.get("/v1/waitlist-entries").await.items();
        assert_eq!((&waiting[0]["status"], &waiting[0]["appointment_id"]), (&json!("waiting"), &appointment["id"]));
        phone.press("Stop waiting").await;
        phone.see("You are not on the waitlist any more").await;
        assert_eq!(ann.get("/v1/waitlist-entries").await.items()[0]["status"], "cancelled");
        // Another time, by day and time. Nothing changes until it is confirmed.
        phone.press("Choose another time").await;
        phone.see("Choose another day").await;
        phone.expect_accessible().await;
        phone.press_first(".days a").await;
        phone.see("These times are free").await;
        phone.expect_accessible().await;
        phone.press_first("[name=slot_id]").await;
        phone.see("Move your visit?").await;
        phone.expect_accessible().await;
        assert_eq!(seen_by_staff(&app, &appointment).await["starts_at"], appointment["starts_at"]);
        phone.press("Yes, move it").await;
        phone.see("Your visit has moved").await;
        let moved = seen_by_staff(&app, &appointment).await;
        assert_ne!(moved["starts_at"], appointment["starts_at"]);
        assert_eq!(moved["confirmed_at"], Value::Null);
        // Cancelling asks first.
        phone.press("Cancel this visit").await;
        phone.see("Cancel this visit?").await;
        phone.expect_accessible().await;
        phone.press("No, keep it").await;
        phone.see("Yes, I will come").await;
        phone.press("Cancel this visit").await;
        phone.fill("Would you like to tell us why? (optional)", "I am travelling").await;
        phone.press("Yes, cancel it").await;
        phone.see("This visit is cancelled").await;
        phone.expect_accessible().await;
        assert_eq!(seen_by_staff(&app, &appointment).await["status"], "cancelled");
        let history = app.desk().await.get(&path(&appointment, "/history")).await.items();
        assert!(history.iter().any(|change| change["reason"] == "I am travelling"), "{history:?}");
        assert_eq!(subjects(&app, ANN).await.len(), 3, "booked, moved, cancelled");
    });
}

#[test]
fn a_parent_books_for_a_child_with_an_account_in_spanish_with_the_script() {
    on_a_phone(async |app: App, phone: Browser| {
        let clinic = app.clinic().await;
        let (client, tim) = rosa(&app).await;
        let before = subjects(&app, "rosa@example.org").await.len();
        phone.open_page(&format!("{}/book/days?visit_type_id={}&lang=es", app.base, clinic.new_visit)).await;
        phone.press_first(".days a").await;
        phone.see("Elija una hora").await;
        phone.press_first("[name=slot_id]").await;
        phone.see("Sus datos").await;
        phone.expect_accessible().await;
        phone.press("Reservar con mi cuenta").await;
        sign_in(&phone, "rosa@example.org", FAMILY_PASSWORD, true).await;
        phone.see("Revise y reserve").await;
        phone.see("Tim Example").await;
        phone.expect_accessible().await;
        phone.press("Reservar esta cita").await;
        phone.see("Su cita está reservada").await;
        phone.expect_accessible().await;
        let booked = client.get("/v1/appointments").await.items();
        assert_eq!((booked.len(), &booked[0]["patient_id"], &booked[0]["status"]), (1, &json!(tim), &json!("booked")));
        assert_eq!(subjects(&app, "rosa@example.org").await.len(), before + 1);
        phone.press("Mis citas").await;
        phone.see("New patient").await;
        phone.expect_accessible().await;
    });
}

async fn hold(visitor: &Visitor, visit_type: &str) -> Reply {
    let page = visitor.get(&format!("/book/times?visit_type_id={visit_type}&date=2026-03-03")).await;
    let slot = page.expect(200).text.split("name=\"slot_id\" value=\"").nth(1).expect("a slot")[..36].to_owned();
    visitor.submit(&page, "/book/holds", &[("slot_id", &slot)]).await
}

both! {
    async fn a_patient_confirms_each_visit_from_the_list(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let first = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        let second = book_nth(&ann, &clinic.check, 110, &ann.patient_id).await.body;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let question = "Please confirm that you are coming.";
        for (visit, left) in [(&first, 1), (&second, 0)] {
            let list = visitor.get("/visits").await;
            assert_eq!(list.expect(200).text.matches(question).count(), left + 1, "{}", list.text);
            assert_eq!(seen_by_staff(&app, visit).await["confirmed_at"], Value::Null);
            let confirmed = visitor.submit(&list, &format!("/visits/{}/confirmation", id(visit)), &[]).await;
            assert!(confirmed.expect(303).header("location").contains("done=confirmed"), "{}", confirmed.text);
            assert_ne!(seen_by_staff(&app, visit).await["confirmed_at"], Value::Null);
        }
        let list = visitor.get("/visits").await;
        assert!(!list.expect(200).text.contains(question) && list.text.contains("Confirmed"), "{}", list.text);
    }

    async fn a_visit_that_was_cancelled_stays_in_the_list_of_the_patient(app: App) {
        let clinic = app.clinic().await;
        let (ann, desk) = (app.patient("ann").await, app.desk().await);
        let visit = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        desk.post(&path(&visit, "/cancel"), json!({"reason": "The doctor is away"})).await.expect(200);
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let history = visitor.get(&format!("/visits/{}/history", id(&visit))).await;
        assert!(history.expect(303).header("location").contains(&format!("visits/{}", id(&visit))), "{}", history.text);
        let page = visitor.get(&format!("/visits/{}", id(&visit))).await;
        assert!(page.expect(200).text.contains("Book another visit"), "{}", page.text);
        let list = visitor.get("/visits").await;
        for words in ["No visit is booked.", "Earlier and cancelled", &format!("visits/{}?", id(&visit)), "Cancelled"] {
            assert!(list.expect(200).text.contains(words), "{words}: {}", list.text);
        }
    }

    async fn a_form_that_is_sent_twice_changes_a_visit_once_and_a_stale_one_changes_nothing(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let appointment = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        let visit = format!("/visits/{}", id(&appointment));
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let times = visitor.get(&format!("{visit}/times?date=2026-03-06")).await;
        let slot = times.expect(200).text.split("name=\"slot_id\" value=\"").nth(1).expect("a slot")[..36].to_owned();
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(hidden(&times)).append_pair("slot_id", &slot).finish();
        let question = visitor.get(&format!("{visit}/move?{query}")).await;
        assert!(question.expect(200).text.contains("Move your visit?"), "{}", question.text);
        let move_to = format!("{visit}/move");
        let (first, second) = tokio::join!(visitor.submit(&question, &move_to, &[]), visitor.submit(&question, &move_to, &[]));
        for reply in [&first, &second] {
            // On PostgreSQL the second one may find the first one still running.
            assert!([303, 409].contains(&reply.status), "{}", reply.text);
        }
        visitor.submit(&question, &move_to, &[]).await.expect(303);
        assert_eq!(ann.get(&path(&appointment, "/history")).await.items().len(), 2, "booked and moved once");
        assert_eq!(subjects(&app, ANN).await.len(), 2);
        // Its page was drawn before the desk moved the visit.
        let page = visitor.get(&visit).await;
        app.desk().await.update(&path(&appointment, ""), json!({"note": "Please come early"})).await.expect(200);
        let stale = visitor.submit(&page, &format!("{visit}/confirmation"), &[]).await;
        assert!(stale.expect(412).text.contains("This visit has changed in the meantime"), "{}", stale.text);
        let page = visitor.get(&visit).await;
        assert!(page.expect(200).text.contains("Please come early"));
        let confirmed = visitor.submit(&page, &format!("{visit}/confirmation"), &[]).await;
        assert_eq!(confirmed.header("location"), format!("../../visits/{}?done=confirmed&lang=en", id(&appointment)));
        // The calendar entry.
        let file = visitor.get(&format!("{visit}/calendar")).await;
        assert!(file.expect(200).header("content-type").starts_with("text/calendar") && file.text.contains("BEGIN:VEVENT"));
        // Waiting twice for the same visit, before which no time is free.
        let first = book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await.body;
        let visit = format!("/visits/{}", id(&first));
        let page = visitor.get(&visit).await;
        visitor.submit(&page, &format!("{visit}/wait"), &[]).await.expect(303);
        visitor.submit(&page, &format!("{visit}/wait"), &[]).await.expect(303);
        let again = visitor.submit(&visitor.get(&visit).await, &format!("{visit}/wait"), &[]).await;
        assert!(again.expect(409).text.contains("You are on the waitlist already"), "{}", again.text);
    }

    async fn waiting_for_an_earlier_time_is_for_the_place_of_the_visit_and_ends_from_the_list(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let appointment = book_nth(&ann, &clinic.new_visit, 0, &ann.patient_id).await.body;
        let visit = format!("/visits/{}", id(&appointment));
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let page = visitor.get(&visit).await;
        assert!(page.expect(200).text.contains("at the same place, with any practitioner"), "{}", page.text);
        visitor.submit(&page, &format!("{visit}/wait"), &[]).await.expect(303);
        let waiting = ann.get("/v1/waitlist-entries").await.items().remove(0);
        assert_eq!((&waiting["location_ids"], &waiting["practitioner_ids"]), (&json!([clinic.location_id]), &json!([])));
        let page = visitor.get(&visit).await;
        assert!(page.expect(200).text.contains("You wait for an earlier time at Main Street, with any practitioner."), "{}", page.text);
        let list = visitor.get("/visits").await;
        for fact in ["On the waitlist", "New patient", "Stop waiting", "earlier than the visit of", &format!("visits/{}", id(&appointment))] {
            assert!(list.expect(200).text.contains(fact), "{fact} in {}", list.text);
        }
        let end = format!("/visits/waiting/{}/end", id(&waiting));
        // Not by others.
        app.patient("bob").await;
        let bob = Visitor::signed_in(app.anon(), "bob@patients.example").await;
        let other = bob.get("/visits").await;
        bob.submit(&other, &end, &[]).await.expect(404);
        bob.submit(&other, &end.replace("/end", "/offers"), &[]).await.expect(404);
        for _ in 0..2 {
            let done = visitor.submit(&list, &end, &[]).await;
            assert_eq!(done.expect(303).header("location"), "../../../visits?done=not_waiting&lang=en");
        }
        assert_eq!(ann.get("/v1/waitlist-entries").await.items()[0]["status"], "cancelled");
        let list = visitor.get("/visits?done=not_waiting").await;
        assert!(list.expect(200).text.contains("You do not wait for this any more") && !list.text.contains("On the waitlist"), "{}", list.text);
    }

    async fn the_visits_of_others_do_not_exist_on_any_page(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let appointment = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        app.patient("bob").await;
        let bob = Visitor::signed_in(app.anon(), "bob@patients.example").await;
        let list = bob.get("/visits").await;
        assert!(list.expect(200).text.contains("No visit is booked") && !list.text.contains(id(&appointment)), "{}", list.text);
        for id in [id(&appointment), "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77", "x"] {
            for page in ["", "/calendar", "/cancel", "/days", "/times?date=2026-03-06", "/move?slot_id=x&date=2026-03-06"] {
                let reply = bob.get(&format!("/visits/{id}{page}")).await;
                assert!(reply.expect(404).text.contains("We cannot find this"), "{page}: {}", reply.text);
            }
            for form in ["cancel", "confirmation", "move", "wait"] {
                let fields = [("slot_id", "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77"), ("version", "1")];
                bob.submit(&list, &format!("/visits/{id}/{form}"), &fields).await.expect(404);
            }
        }
        assert_eq!(seen_by_staff(&app, &appointment).await["status"], "booked");
        // Staff have their own pages.
        app.desk().await;
        let desk = Visitor::signed_in(app.anon(), "desk@clinic.example").await;
        assert_eq!(desk.get("/visits").await.header("location"), "desk?lang=en");
        let day = desk.get("/desk").await;
        // But they answer the forms with the patient.
        let form = desk.submit(&day, &format!("/visits/{}/history", id(&appointment)), &[]).await;
        assert!(form.expect(303).header("location").contains("forms/"), "{}", form.header("location"));
    }

    async fn after_the_notice_a_visit_is_changed_by_telephone_only(app: App) {
        let clinic = app.clinic().await;
        let admin = app.admin().await;
        admin.update(&format!("/v1/visit-types/{}", clinic.check), json!({"cancel_notice_minutes": 1440})).await.expect(200);
        let ann = app.patient("ann").await;
        let appointment = book_nth(&ann, &clinic.check, 60, &ann.patient_id).await.body;
        let visit = format!("/visits/{}", id(&appointment));
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let early = visitor.get(&format!("{visit}/cancel")).await;
        assert!(visitor.get(&visit).await.text.contains("You can move or cancel it here until"));
        while app.clock.now().plus(SignedDuration::from_hours(2)) < appointment["starts_at"].as_str().expect("a time").parse().expect("a time") {
            app.clock.advance(SignedDuration::from_hours(1));
        }
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let page = visitor.get(&visit).await;
        assert!(page.expect(200).text.contains("It is too late to move or cancel it here") && page.text.contains("tel:+12025550100"), "{}", page.text);
        assert!(!page.text.contains("Cancel this visit"), "{}", page.text);
        let token = hidden(&page).into_iter().find(|(name, _)| name == "form_token").expect("a token").1;
        let late = visitor.submit(&early, &format!("{visit}/cancel"), &[("form_token", &token)]).await;
        assert!(late.expect(409).text.contains("It is too late to do this here"), "{}", late.text);
        // What was written in a form that breaks a rule is not lost.
        let long = "x".repeat(501);
        let wrong = visitor.submit(&early, &format!("{visit}/cancel"), &[("form_token", &token), ("reason", &long)]).await;
        assert!(wrong.expect(422).text.contains(&long), "{}", wrong.text);
        // A reason with markup is text.
        let bad = "</textarea><script>alert(1)</script>\u{202e}";
        let wrong = visitor.submit(&early, &format!("{visit}/cancel"), &[("form_token", &token), ("reason", bad)]).await;
        assert!(wrong.expect(422).text.contains("&lt;script&gt;alert(1)") && !wrong.text.contains("<script>alert"), "{}", wrong.text);
    }

    async fn a_held_time_is_booked_with_an_account_once_and_only_for_its_own_patients(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let visitor = Visitor::new(app.anon());
        let details = hold(&visitor, &clinic.check).await;
        let secret = hidden(details.expect(200)).into_iter().find(|(name, _)| name == "hold_secret").expect("a secret").1;
        let away = visitor.submit(&details, "/book/sign-in", &[]).await;
        assert_eq!((away.status, away.header("location")), (303, "../visits/new?lang=en"));
        let set = away.header("set-cookie").to_owned();
        assert!(set.contains("HttpOnly") && set.contains("__Host-") && !set.contains(&secret), "{set}");
        let asked = visitor.get("/visits/new").await;
        assert_eq!(asked.header("location"), "../sign-in?next=visits%2Fnew&lang=en");
        let sign_in = [("email", ANN), ("password", PASSWORD), ("next", "visits/new")];
        assert_eq!(visitor.post("/sign-in", &sign_in).await.header("location"), "visits/new?lang=en");
        let page = visitor.get("/visits/new").await;
        assert!(page.expect(200).text.contains("Check and book") && page.text.contains("ann Tester"), "{}", page.text);
        // For somebody else's patient, for nobody, and for the own one.
        let bob = app.patient("bob").await;
        visitor.submit(&page, "/visits/new", &[("patient_id", &bob.patient_id)]).await.expect(404);
        let nobody = visitor.submit(&page, "/visits/new", &[("patient_id", "")]).await;
        assert_eq!(nobody.header("location"), "../visits/new?choose=1&lang=en");
        assert!(visitor.get("/visits/new?choose=1").await.text.contains("Choose for whom the visit is."));
        let own = [("patient_id", ann.patient_id.as_str()), ("note", "With <b>my</b> walker")];
        let booked = visitor.submit(&page, "/visits/new", &own).await;
        let again = visitor.submit(&page, "/visits/new", &own).await;
        assert_eq!((booked.status, booked.header("location")), (again.expect(303).status, again.header("location")));
        let visits = ann.get("/v1/appointments").await.items();
        assert_eq!((visits.len(), &visits[0]["note"]), (1, &json!("With <b>my</b> walker")));
        let page = visitor.get(&format!("/visits/{}", id(&visits[0]))).await;
        assert!(page.expect(200).text.contains("With &lt;b&gt;my&lt;&#x2f;b&gt; walker"), "{}", page.text);
        assert_eq!(subjects(&app, ANN).await.len(), 1);
        // The hold is used up, and its cookie is gone.
        let gone = visitor.get("/visits/new").await;
        assert!(gone.expect(409).text.contains("We do not keep this time any more"), "{}", gone.text);
        // One that lapses meanwhile.
        let details = hold(&visitor, &clinic.check).await;
        visitor.submit(&details, "/book/sign-in", &[]).await.expect(303);
        let page = visitor.get("/visits/new").await;
        app.clock.advance(SignedDuration::from_mins(11));
        let lapsed = visitor.submit(&page, "/visits/new", &own).await;
        assert!(lapsed.expect(409).text.contains("We do not keep this time any more"), "{}", lapsed.text);
        assert_eq!(ann.get("/v1/appointments").await.items().len(), 1);
    }

    async fn the_pages_of_visits_are_in_the_audit_trail_like_the_operations(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let appointment = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        visitor.get("/visits").await.expect(200);
        let page = visitor.get(&format!("/visits/{}", id(&appointment))).await;
        visitor.submit(&page, &format!("/visits/{}/confirmation", id(&appointment)), &[]).await.expect(303);
        crate::support::audit::stored(&app).await;
        let events = app.admin().await.get(&format!("/v1/audit-events?actor_id={}&limit=100", ann.user_id)).await.items();
        for operation in ["list_appointments", "get_appointment", "confirm_appointment"] {
            let found: Vec<_> = events.iter().filter(|event| event["operation"] == operation).collect();
            assert_eq!(found.len(), 1, "{operation}: {found:?}");
            assert_eq!((&found[0]["outcome"], &found[0]["patient_id"]), (&json!("success"), &json!(ann.patient_id)), "{operation}");
        }
    }
}
