//! The pages for the links in mails, in a real browser with the screen of a phone.

use diesel::prelude::*;
use legwork::db::schema::users;
use serde_json::{Value, json};

use crate::support::App;
use crate::support::browser::{Browser, ENTER, on_a_phone};
use crate::support::clinic::free_slots;
use crate::support::people::patient_json;

const PASSWORD: &str = "violet otter hums at dawn";

fn registration(email: &str, language: &str) -> Value {
    json!({
        "email": email, "relation": "self",
        "patient": {
            "given_name": "Ann", "family_name": "Example", "date_of_birth": "1967-09-14", "administrative_sex": "female",
            "preferred_language": language, "interpreter_needed": false
        },
    })
}

/// The link in the last mail to an address, on the test's server.
pub(super) async fn link(app: &App, email: &str) -> String {
    let mail = app.mails_to(email).await.pop().expect("a mail");
    let line = mail.text.lines().find(|line| line.contains("#token=")).expect("a link").to_owned();
    line.replace("https://legwork.example", &app.base)
}

async fn is_verified(app: &App, email: &'static str) -> bool {
    let mine = users::table.filter(users::email.eq(email)).select(users::email_verified_at.is_not_null());
    app.db(move |tx| Ok(mine.first::<bool>(tx)?)).await
}

async fn may_sign_in(app: &App, email: &str, password: &str) -> bool {
    app.anon().post("/v1/sessions", json!({"email": email, "password": password})).await.status == 201
}

/// An appointment of a signed-in patient, and the link in its mail.
pub(super) async fn booked(app: &App) -> (Value, String) {
    let (clinic, ann) = (app.clinic().await, app.patient("ann").await);
    let slot = free_slots(&ann, &clinic.follow_up).await[20]["id"].clone();
    let body = json!({"slot_id": slot, "visit_type_id": clinic.follow_up, "patient_id": ann.patient_id});
    let appointment =
        ann.post_with("/v1/appointments", body, &[("Idempotency-Key", "k1")]).await.expect(201).body.clone();
    (appointment, link(app, &ann.email).await)
}

pub(super) async fn status(app: &App, appointment: &Value) -> String {
    let path = format!("/v1/appointments/{}", appointment["id"].as_str().expect("an id"));
    app.desk().await.get(&path).await.string("/status")
}

#[test]
fn a_patient_registers_confirms_books_and_cancels_with_the_keyboard_alone() {
    on_a_phone(async |app: App, phone: Browser| {
        let email = "ann@example.org";
        app.anon().post("/v1/registrations", registration(email, "en")).await.expect(202);
        let verify = link(&app, email).await;
        phone.open_page(&verify).await;
        phone.see("Confirm your e\u{2011}mail address").await;
        assert!(!is_verified(&app, email).await, "opening the page must not confirm: mail scanners do that");
        phone.reload().await;
        phone.press("Confirm my address").await;
        phone.see("Choose a password").await;
        assert!(is_verified(&app, email).await);
        assert_eq!(phone.focus().await, "Choose a password");
        phone.expect_accessible().await;
        // The page can be reloaded and switched to the other language; the server never sees the token.
        assert!(
            phone.run("return location.hash").await.as_str().is_some_and(|hash| hash.starts_with("#password-token="))
        );
        assert_eq!(phone.run("return location.search").await, "");
        phone.reload().await;
        phone.press("Español").await;
        phone.see("Elija una contraseña").await;
        phone.press("English").await;
        phone.fill("New password", "short").await;
        phone.press("Save my password").await;
        phone.see("This password is too short.").await;
        phone.fill("New password", PASSWORD).await;
        phone.press("Save my password").await;
        phone.see("Your account is ready").await;
        assert_eq!(phone.focus().await, "Your account is ready");
        // After the reload, the page does not know the address.
        phone.see("Sign in").await;
        phone.expect_accessible().await;
        assert_eq!(phone.run("return location.hash").await, "", "a used-up token has no business in the history");
        phone.open_page(&verify).await;
        phone.press("Confirm my address").await;
        phone.see("This link does not work any more").await;

        let ann = app.anon().sign_in(email, PASSWORD).await;
        let patient = ann.get("/v1/me").await.string("/patients/0/id");
        let clinic = app.clinic().await;
        let slot = free_slots(&ann, &clinic.follow_up).await[20]["id"].clone();
        let body = json!({"slot_id": slot, "visit_type_id": clinic.follow_up, "patient_id": patient});
        let appointment =
            ann.post_with("/v1/appointments", body, &[("Idempotency-Key", "k1")]).await.expect(201).body.clone();

        phone.open_page(&link(&app, email).await).await;
        phone.see("Dr. Ada Vein").await;
        for fact in ["Ann", "Main Street", "(202) 555-0100", appointment["confirmation_code"].as_str().expect("a code")]
        {
            phone.see(fact).await;
        }
        phone.tab_to("Cancel this appointment …").await;
        phone.keys(ENTER).await;
        phone.see("Cancel for good?").await;
        assert_eq!(status(&app, &appointment).await, "booked");
        phone.tab_to("No, keep it").await;
        phone.keys(ENTER).await;
        assert_eq!(phone.focus().await, "Cancel this appointment …");
        phone.keys(ENTER).await;
        phone.tab_to("Yes, cancel it").await;
        phone.keys(ENTER).await;
        phone.see("This appointment is cancelled").await;
        assert_eq!(phone.focus().await, "This appointment is cancelled");
        assert_eq!(status(&app, &appointment).await, "cancelled");
        assert!(app.mails_to(email).await.iter().any(|mail| mail.subject.starts_with("Your appointment is cancelled")));
        phone.reload().await;
        phone.see("This appointment is cancelled").await;
    });
}

/// Registers with a time that was held without a session; the link in the mail.
async fn reserved(app: &App, visit_type: &str, nth: usize, email: &str, language: &str) -> String {
    let slot = free_slots(&app.anon(), visit_type).await[nth]["id"].as_str().expect("an id").to_owned();
    let held = app.anon().post(&format!("/v1/slots/{slot}/hold"), json!({"visit_type_id": visit_type})).await;
    let mut body = registration(email, language);
    body["appointment"] = json!({"hold_id": held.expect(201).body["id"], "hold_secret": held.body["secret"]});
    app.anon().post("/v1/registrations", body).await.expect(202);
    link(app, email).await
}

#[test]
fn one_press_confirms_the_address_and_books_the_time_that_was_chosen_before() {
    on_a_phone(async |app: App, phone: Browser| {
        let clinic = app.clinic().await;
        let email = "nia@example.org";
        let verify = reserved(&app, &clinic.check, 9, email, "en").await;
        phone.open_page(&verify).await;
        phone.see("the button books it").await;
        assert!(!is_verified(&app, email).await, "opening the page must not confirm: mail scanners do that");
        phone.press("Confirm my address").await;
        phone.see("Your visit is booked").await;
        for fact in [
            "Monday, March 2, 2026",
            "11:30 AM",
            "EST",
            "Check",
            "Dr. Ada Vein",
            "Main Street",
            "(202) 555-0100",
            "Confirmation code",
        ] {
            phone.see(fact).await;
        }
        assert_eq!(phone.focus().await, "Your visit is booked");
        phone.expect_accessible().await;
        phone.press("Set your password").await;
        let address = phone.run("return document.querySelector('[autocomplete=username]').value").await;
        assert_eq!(address, email, "password managers store it with the password");
        phone.fill("New password", PASSWORD).await;
        phone.press("Save my password").await;
        phone.see("Your account is ready").await;
        phone.see("the questions before your visit").await;
        phone.expect_accessible().await;
        assert!(may_sign_in(&app, email, PASSWORD).await);
        // One press signs in with it, and leads to the questions of this visit.
        phone.press("Go on").await;
        phone.see("The rest is optional").await;
        phone.see("Monday, March 2, 2026").await;
        // A second click shows the same visit, and asks for no password.
        phone.open_page(&verify).await;
        phone.press("Confirm my address").await;
        phone.see("Your visit is booked").await;
        phone.see("11:30 AM").await;
        assert_eq!(
            phone.run("return document.querySelector('[data-state=booked] [data-part=no-password]').hidden").await,
            true
        );
        phone.expect_accessible().await;
    });
}

#[test]
fn a_time_that_has_gone_is_explained_and_one_of_the_next_times_is_booked_with_one_press() {
    on_a_phone(async |app: App, phone: Browser| {
        let clinic = app.clinic().await;
        let email = "nia@example.org";
        let verify = reserved(&app, &clinic.check, 9, email, "es").await;
        app.clock.advance(jiff::SignedDuration::from_mins(31));
        phone.open_page(&verify).await;
        phone.press("Confirmar mi dirección").await;
        phone.see("Su dirección está confirmada, pero la hora ya no está libre").await;
        phone.see("lunes, 2 de marzo de 2026, 11:30").await;
        phone.see("Main Street").await;
        let footer = phone.run("return document.querySelector('footer').innerText").await;
        assert!(footer.as_str().is_some_and(|footer| footer.contains("(202) 555-0100")), "{footer}");
        phone.expect_accessible().await;
        // The first of them is taken while the page is open.
        let taken = phone.run("return document.querySelector('[data-times] button').value").await;
        let block = format!("/v1/slots/{}/block", taken.as_str().expect("an id"));
        app.desk().await.post(&block, json!({"reason": "a call"})).await.expect(200);
        phone.run("document.querySelector('[data-times] button').click()").await;
        phone.see("No se pudo reservar esta hora").await;
        phone.expect_accessible().await;
        phone.run("document.querySelector('[data-times] button').click()").await;
        phone.see("Su cita está reservada").await;
        phone.see("Código de confirmación").await;
        phone.expect_accessible().await;
        assert!(app.mails_to(email).await.last().expect("a mail").text.contains("Main Street"));
        phone.press("Elegir mi contraseña").await;
        phone.see("Elija una contraseña").await;
    });
}

#[test]
fn a_new_password_is_set_once_and_its_errors_are_shown_at_the_field() {
    on_a_phone(async |app: App, phone: Browser| {
        let email = app.patient("ann").await.email;
        app.anon().post("/v1/password-resets", json!({"email": email})).await.expect(202);
        let reset = link(&app, &email).await;
        phone.open_page(&reset).await;
        phone.see("At least 12 characters").await;
        for (password, complaint) in
            [("short", "This password is too short."), ("passwordpassword", "This password is easy to guess.")]
        {
            phone.fill("New password", password).await;
            phone.press("Save my password").await;
            phone.see(complaint).await;
            let field = phone
                .run("const field = document.activeElement; return [field.id, field.getAttribute('aria-invalid')]")
                .await;
            assert_eq!(field, json!(["password", "true"]));
            phone.expect_accessible().await;
        }
        assert_eq!(phone.run("return document.querySelector('#password').type").await, "password");
        phone.press("Show").await;
        assert_eq!(phone.run("return document.querySelector('#password').type").await, "text");
        phone.fill("New password", "ten quiet herons at noon").await;
        phone.press("Save my password").await;
        phone.see("Your password is set").await;
        assert!(may_sign_in(&app, &email, "ten quiet herons at noon").await);

        phone.open_page(&reset).await;
        phone.fill("New password", "eleven quiet herons at noon").await;
        phone.press("Save my password").await;
        phone.see("This link does not work any more").await;
        let before = app.mails_to(&email).await.len();
        phone.fill("Your e-mail address", "ann").await;
        phone.press("Send me a new link").await;
        phone.see("must be an e-mail address such as").await;
        phone.fill("Your e-mail address", &email).await;
        phone.press("Send me a new link").await;
        phone.see("Please look into your mailbox").await;
        assert_eq!(app.mails_to(&email).await.len(), before + 1);

        // A link without a token, as in some mails.
        phone.open_page(&format!("{}/set-password", app.base)).await;
        phone.fill("Your e-mail address", &email).await;
        phone.press("Send me a link").await;
        phone.see("Please look into your mailbox").await;
        assert_eq!(app.mails_to(&email).await.len(), before + 2);
    });
}

#[test]
fn a_spanish_mail_opens_a_spanish_page_and_changing_the_language_keeps_the_token() {
    on_a_phone(async |app: App, phone: Browser| {
        let email = "ana@example.org";
        app.anon().post("/v1/registrations", registration(email, "es-MX")).await.expect(202);
        phone.open_page(&link(&app, email).await).await;
        phone.see("Confirme su correo electrónico").await;
        phone.press("English").await;
        phone.see("Confirm your e\u{2011}mail address").await;
        phone.press("Español").await;
        phone.see("Confirme su correo electrónico").await;
        phone.press("Confirmar mi dirección").await;
        phone.see("Elija una contraseña").await;
        phone.fill("Contraseña nueva", PASSWORD).await;
        phone.press("Guardar mi contraseña").await;
        phone.see("Su cuenta está lista").await;
        assert!(may_sign_in(&app, email, PASSWORD).await);
    });
}

#[test]
fn a_patient_who_left_before_setting_a_password_can_ask_for_a_new_link() {
    on_a_phone(async |app: App, phone: Browser| {
        let email = "ann@example.org";
        app.anon().post("/v1/registrations", registration(email, "en")).await.expect(202);
        let verify = link(&app, email).await;
        phone.open_page(&verify).await;
        phone.press("Confirm my address").await;
        phone.see("Choose a password").await;
        // The page is closed, and the link opened again.
        phone.open_page(&verify).await;
        phone.press("Confirm my address").await;
        phone.see("This link does not work any more").await;
        phone.fill("Your e-mail address", email).await;
        phone.press("Send me a new link").await;
        phone.see("Please look into your mailbox").await;
        let mail = app.mails_to(email).await.pop().expect("a mail");
        assert_eq!(mail.subject, "Choose your password");
        assert!(!mail.text.contains("Welcome") && mail.text.contains("/set-password#token="), "{}", mail.text);
        phone.open_page(&link(&app, email).await).await;
        phone.fill("New password", PASSWORD).await;
        phone.press("Save my password").await;
        phone.see("Your password is set").await;
        assert!(may_sign_in(&app, email, PASSWORD).await);

        // A token expires after an hour, and the page explains what to do.
        let other = "bea@example.org";
        app.anon().post("/v1/registrations", registration(other, "en")).await.expect(202);
        phone.open_page(&link(&app, other).await).await;
        phone.press("Confirm my address").await;
        phone.see("Choose a password").await;
        app.clock.advance(jiff::SignedDuration::from_mins(61));
        phone.fill("New password", PASSWORD).await;
        phone.press("Save my password").await;
        phone.see("This link does not work any more").await;
    });
}

#[test]
fn opening_an_invitation_creates_no_account_until_it_is_accepted() {
    on_a_phone(async |app: App, phone: Browser| {
        let (desk, email) = (app.desk().await, "rosa@example.org");
        let patient = desk.post("/v1/patients", patient_json("Rosa", email)).await.expect(201).id();
        let invitation = json!({"email": email, "relation": "self"});
        desk.post(&format!("/v1/patients/{patient}/invitations"), invitation).await.expect(202);
        let link = link(&app, email).await;
        phone.open_page(&link).await;
        phone.press("Accept the invitation").await;
        phone.see("One more step: your account").await;
        phone.expect_accessible().await;
        phone.fill("New password", "short").await;
        phone.press("Make my account").await;
        phone.see("This password is too short.").await;
        phone.fill("New password", PASSWORD).await;
        phone.press("Make my account").await;
        phone.see("Thank you, you are welcome").await;
        let rosa = app.anon().sign_in(email, PASSWORD).await;
        assert_eq!(rosa.get("/v1/me").await.string("/patients/0/id"), patient);
        phone.open_page(&link).await;
        phone.press("Accept the invitation").await;
        phone.see("This link does not work any more").await;
    });
}

#[test]
fn opening_the_link_about_an_access_stops_nothing_until_the_button_is_pressed() {
    on_a_phone(async |app: App, phone: Browser| {
        let (ann, carl, desk) = (app.patient("ann").await, app.patient("carl").await, app.desk().await);
        let access = json!({"email": carl.email, "relation": "caregiver"});
        let path = format!("/v1/patients/{}/access", ann.patient_id);
        desk.post(&path, access).await.expect(201);
        app.admin().await.post_empty(&format!("{path}/{}/confirm", carl.user_id)).await.expect(200);
        let (record, link) = (format!("/v1/patients/{}", ann.patient_id), link(&app, &ann.email).await);
        phone.open_page(&link).await;
        phone.see("Stop this access?").await;
        carl.get(&record).await.expect(200);
        phone.tab_to("Stop this access").await;
        phone.keys(ENTER).await;
        phone.see("The access is stopped").await;
        assert_eq!(phone.focus().await, "The access is stopped");
        assert_eq!(phone.run("return location.hash").await, "");
        phone.expect_accessible().await;
        carl.get(&record).await.problem(404, "not_found");
        phone.open_page(&format!("{}/stop-access?lang=es#token=nonsense", app.base)).await;
        phone.press("Detener este acceso").await;
        phone.see("Este enlace ya no funciona").await;
    });
}

#[test]
fn an_expired_link_a_lost_connection_and_a_late_cancellation_are_explained() {
    on_a_phone(async |app: App, phone: Browser| {
        let (appointment, link) = booked(&app).await;
        phone.open_page(&format!("{}/appointment", app.base)).await;
        phone.see("This link does not work any more").await;
        phone.open_page(&link).await;
        phone.see("Dr. Ada Vein").await;
        phone.press("Cancel this appointment …").await;
        let offline =
            |yes: bool| json!({"offline": yes, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        phone.command("Network.enable", json!({})).await;
        phone.command("Network.emulateNetworkConditions", offline(true)).await;
        phone.press("Yes, cancel it").await;
        phone.see("There is no connection").await;
        phone.expect_accessible().await;
        phone.command("Network.emulateNetworkConditions", offline(false)).await;
        // Now it is too late, and the page shows it.
        let types = format!("/v1/visit-types/{}", appointment["visit_type_id"].as_str().expect("a type"));
        app.admin().await.patch(&types, "\"1\"", json!({"cancel_notice_minutes": 10000})).await.expect(200);
        let desk = app.desk().await;
        let slot = free_slots(&desk, appointment["visit_type_id"].as_str().expect("a type")).await[30].clone();
        let path = format!("/v1/appointments/{}/reschedule", appointment["id"].as_str().expect("an id"));
        desk.post(&path, json!({"slot_id": slot["id"]})).await.expect(200);
        phone.press("Yes, cancel it").await;
        phone.see("please call us at").await;
        assert_eq!(status(&app, &appointment).await, "booked");
        let path = format!("/v1/appointments/{}/links", appointment["id"].as_str().expect("an id"));
        desk.delete(&path).await.expect(204);
        phone.reload().await;
        phone.see("This link does not work any more").await;
    });
}

#[test]
fn every_page_of_a_link_is_accessible_in_both_languages() {
    on_a_phone(async |app: App, phone: Browser| {
        let (_, link) = booked(&app).await;
        let token = link.split("#token=").nth(1).expect("a token");
        for lang in ["en", "es"] {
            for (page, token, words) in [
                ("", "", ["I have forgotten my password", "He olvidado mi contraseña"]),
                ("verify-email", "x", ["Confirm your e\u{2011}mail address", "Confirme su correo electrónico"]),
                ("verify-email", "", ["This link does not work any more", "Este enlace ya no funciona"]),
                ("set-password", "x", ["Choose a password", "Elija una contraseña"]),
                ("set-password", "", ["We send a link for it to your mailbox", "Le enviamos un enlace a su correo"]),
                ("accept-invitation", "x", ["Accept your invitation", "Acepte su invitación"]),
                ("appointment", token, ["Dr. Ada Vein", "Dr. Ada Vein"]),
                ("appointment", "x", ["This link does not work any more", "Este enlace ya no funciona"]),
                ("stop-access", "x", ["Stop this access?", "¿Detener este acceso?"]),
                ("stop-access", "", ["This link does not work any more", "Este enlace ya no funciona"]),
            ] {
                phone.open_page(&format!("{}/{page}?lang={lang}#token={token}", app.base)).await;
                phone.see(words[usize::from(lang == "es")]).await;
                phone.expect_accessible().await;
            }
        }
    });
}

#[test]
fn the_root_path_is_a_home_page_for_browsers_and_a_404_for_api_clients() {
    crate::support::app::run(crate::support::Engine::Sqlite, |app| async move {
        app.clinic().await;
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, lang) in [(browser, "en"), (browser, "es"), ("*/*", "en")] {
            let reply = app.anon().get_with("/", &[("Accept", accept), ("Accept-Language", lang)]).await;
            reply.expect(200);
            assert!(reply.header("content-security-policy").starts_with("default-src 'none';"));
            assert_eq!(reply.header("vary"), "Accept, Accept-Language");
            let words =
                if lang == "es" { ["Reservar una cita", "Dónde estamos"] } else { ["Book a visit", "Where we are"] };
            for part in words.into_iter().chain([
                "Legwork Vein Clinic",
                "tel:+12025550100",
                "href=\"docs/\"",
                "href=\"book?lang=",
                "1 Main Street, Springfield",
                "href=\"set-password?lang=",
            ]) {
                assert!(reply.text.contains(part), "{part} in {}", reply.text);
            }
            assert!(!reply.text.contains("<script") && !reply.text.contains("<noscript"), "{}", reply.text);
        }
        for accept in ["application/json", "application/problem+json", "application/json, text/plain"] {
            app.anon().get_with("/", &[("Accept", accept)]).await.problem(404, "not_found");
        }
        let refused = app.anon().post_empty("/").await;
        assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD"));
        // An address that leads nowhere: a page for browsers, and the problem for other clients.
        let browser = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("Accept-Language", "es")];
        for (path, first) in [("/nowhere", "href=\"./?lang=es\""), ("/appointments/old", "href=\".././?lang=es\"")] {
            app.anon().get(path).await.problem(404, "not_found");
            let page = app.anon().get_with(path, &browser).await.expect(404).text.replace("&#x2f;", "/");
            assert!(page.contains("No lo encontramos") && page.contains(first), "{page}");
        }
        app.anon().get_with("/v1/nowhere", &browser).await.problem(404, "not_found");
        let app = app.restart(&["--patient-app-url", "https://my.clinic.example/"]);
        let text = app.anon().get("/").await.text.replace("&#x2f;", "/");
        assert!(text.contains("<a href=\"https://my.clinic.example/\">"), "{text}");
    });
}

#[test]
fn a_page_loads_nothing_from_other_hosts_is_not_cached_and_has_instructions_without_script() {
    crate::support::app::run(crate::support::Engine::Sqlite, |app| async move {
        app.clinic().await;
        for page in ["/verify-email", "/set-password", "/accept-invitation", "/appointment", "/stop-access"] {
            let reply = app.anon().get_with(page, &[("Accept-Language", "es-ES,es;q=0.9")]).await;
            reply.expect(200);
            let policy = reply.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(reply.header("cache-control"), "no-store");
            assert_eq!(reply.header("referrer-policy"), "same-origin");
            assert!(reply.text.contains("<html lang=\"es\">") && reply.text.contains("<noscript>"));
            assert!(reply.text.contains("href=\"tel:+12025550100\""), "{}", reply.text);
            for inline in ["style=", "onclick", "<style", "http://", "https://"] {
                assert!(!reply.text.contains(inline), "{inline} in {}", reply.text);
            }
            // Without a script the link of this page is pasted into a form.
            if page != "/verify-email" {
                let refused = app.anon().post_empty(page).await;
                refused.expect(405);
                assert_eq!(refused.header("allow"), "GET, HEAD");
            }
        }
        let words = ["restless", "rls", "vein ", "symptom", "iron", "piern", "vena ", "síntoma"];
        for lang in ["en", "es"] {
            let text = app.anon().get(&format!("/appointment?lang={lang}")).await.text.to_lowercase();
            assert!(words.iter().all(|word| !text.replace("legwork vein clinic", "").contains(word)), "{text}");
        }
    });
}
