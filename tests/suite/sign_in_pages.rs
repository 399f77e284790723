//! The pages on which people sign in and out, by their forms alone and in a real browser with and without its script.

use legwork::actor::Role;
use reqwest::Method;

use crate::security::second_factor_code;
use crate::support::browser::{Browser, on_a_phone};
use crate::support::people::PASSWORD;
use crate::support::visitor::Visitor;
use crate::support::{App, both};

both! {
    async fn a_second_factor_is_set_up_and_asked_for_on_the_pages(app: App) {
        let app = app.restart(&["--require-totp", "staff"]);
        app.account("otto@clinic.example", Role::FrontDesk, None).await;
        let visitor = Visitor::new(app.anon());
        let credentials = [("email", "otto@clinic.example"), ("password", PASSWORD)];
        visitor.post("/sign-in", &credentials).await.expect(303);
        // Nothing else is open to this session.
        let page = visitor.get("/account").await;
        assert_eq!((page.status, page.header("location")), (303, "second-factor?lang=en"));
        let page = visitor.get("/second-factor").await;
        assert!(page.expect(200).text.contains("The clinic requires a second factor"), "{}", page.text);
        let wrong = visitor.submit(&page, "/second-factor/secret", &[("current_password", "no")]).await;
        assert!(wrong.expect(422).text.contains("This is not your password"), "{}", wrong.text);
        let page = visitor.submit(&page, "/second-factor/secret", &[("current_password", PASSWORD)]).await;
        let secret = page.expect(200).text.split("class=\"code\">").nth(1).expect("a key").split('<').next().expect("a key").replace(' ', "");
        assert!(page.text.contains("<svg"), "{}", page.text);
        let wrong = visitor.submit(&page, "/second-factor/code", &[("totp_code", "000000")]).await;
        assert!(wrong.expect(422).text.contains("The code is wrong or too old") && !wrong.text.contains(&secret), "{}", wrong.text);
        let done = visitor.submit(&page, "/second-factor/code", &[("totp_code", &second_factor_code(&app, &secret, 0))]).await;
        assert_eq!(done.expect(200).text.matches("<li class=\"code\">").count(), 10, "{}", done.text);
        visitor.get("/account").await.expect(200);
        assert!(visitor.get("/second-factor").await.expect(200).text.contains("is on"));

        // The next sign-in takes a code. The password stands in no page.
        let visitor = Visitor::new(app.anon());
        let asked = visitor.post("/sign-in", &[credentials[0], credentials[1], ("next", "second-factor")]).await;
        assert!(asked.expect(401).text.contains("Code of your authenticator app") && !asked.text.contains(PASSWORD), "{}", asked.text);
        let wrong = visitor.submit(&asked, "/sign-in", &[("totp_code", "000000")]).await;
        assert!(wrong.expect(401).text.contains("The code is wrong, too old"), "{}", wrong.text);
        // The encrypted password is of this address only, and for ten minutes.
        let code = second_factor_code(&app, &secret, 1);
        let other = visitor.submit(&wrong, "/sign-in", &[("totp_code", &code), ("email", "eve@clinic.example")]).await;
        assert!(other.expect(401).text.contains("password is wrong"), "{}", other.text);
        let signed_in = visitor.submit(&wrong, "/sign-in", &[("totp_code", &code)]).await;
        assert_eq!((signed_in.status, signed_in.header("location")), (303, "second-factor?lang=en"), "{}", signed_in.text);
        app.clock.advance(jiff::SignedDuration::from_mins(11));
        let late = Visitor::new(app.anon()).submit(&wrong, "/sign-in", &[("totp_code", &second_factor_code(&app, &secret, 0))]).await;
        assert!(late.expect(401).text.contains("password is wrong"), "{}", late.text);
        let recovery = done.text.split("<li class=\"code\">").nth(1).expect("a code").split('<').next().expect("a code").to_owned();
        let asked = Visitor::new(app.anon()).post("/sign-in", &credentials).await;
        Visitor::new(app.anon()).submit(&asked, "/sign-in", &[("totp_code", &recovery)]).await.expect(303);
    }

    async fn a_device_that_has_signed_in_keeps_its_own_lane(app: App) {
        app.patient("ann").await;
        let ann = "ann@patients.example";
        let device = Visitor::signed_in(app.anon(), ann).await;
        let page = device.get("/account").await;
        device.submit(&page, "/sign-out", &[]).await.expect(303);
        // The cookie of the device stays. Others at the same address fail until they have to wait.
        let other = Visitor::new(app.anon());
        while other.post("/sign-in", &[("email", ann), ("password", "no")]).await.status != 429 {}
        other.post("/sign-in", &[("email", ann), ("password", PASSWORD)]).await.expect(429);
        device.post("/sign-in", &[("email", ann), ("password", PASSWORD)]).await.expect(303);
        // It is a cookie of this account only, and of no use for another one.
        app.patient("bob").await;
        device.post("/sign-in", &[("email", "bob@patients.example"), ("password", PASSWORD)]).await.expect(303);
    }

    async fn pages_of_members_know_their_methods(app: App) {
        let anon = app.anon();
        for (method, path, allowed) in [
            (Method::GET, "/sign-out", "POST"),
            (Method::POST, "/account", "GET, HEAD"),
            (Method::DELETE, "/sign-in", "GET, HEAD, POST"),
        ] {
            let reply = anon.send(method, path, &[], None).await;
            assert_eq!(reply.expect(405).header("allow"), allowed, "{path}");
            assert!(reply.header("content-type").starts_with("text/html"), "{path}");
        }
    }
}

/// Signs in and out. With the script, goes back and finds nothing.
async fn in_and_out(app: &App, phone: &Browser, es: bool, with_script: bool) {
    let say = |english: &'static str, spanish: &'static str| if es { spanish } else { english };
    app.patient("ann").await;
    let lang = if es { "es" } else { "en" };
    phone.open_page(&format!("{}/account?lang={lang}", app.base)).await;
    phone.see(say("Sign in", "Iniciar sesión")).await;
    phone.expect_accessible().await;
    phone.fill(say("E\u{2011}mail address", "Correo electrónico"), "ann@patients.example").await;
    phone.fill(say("Password", "Contraseña"), "wrong").await;
    phone.press(say("Sign in", "Iniciar sesión")).await;
    phone.see(say("The address or the password is wrong", "El correo o la contraseña son incorrectos")).await;
    phone.expect_accessible().await;
    assert_eq!(phone.run("return document.getElementById('email').value").await, "ann@patients.example");
    phone.fill(say("Password", "Contraseña"), PASSWORD).await;
    phone.press(say("Sign in", "Iniciar sesión")).await;
    phone.see(say("Where you are signed in", "Dónde tiene la sesión iniciada")).await;
    phone.expect_accessible().await;
    assert_eq!(phone.run("return document.cookie").await, "", "no script reads the cookie");
    phone.press_first(".member .link").await;
    phone.see(say("You are signed out", "La sesión está cerrada")).await;
    phone.expect_accessible().await;
    if with_script {
        // Also if the browser kept the page in its memory.
        phone.back().await;
        phone.see(say("Sign in", "Iniciar sesión")).await;
        let shown = phone.run("return document.body.innerText").await;
        assert!(!shown.as_str().expect("text").contains("Chrome on"), "{shown}");
    }
    let listed = app.anon().sign_in("ann@patients.example", PASSWORD).await.get("/v1/sessions").await.items();
    assert_eq!(listed.len(), 2, "those of the test's clients: {listed:?}");
}

#[test]
fn a_patient_signs_in_and_out_without_a_script() {
    on_a_phone(async |app: App, phone: Browser| {
        app.clinic().await;
        phone.without_scripts().await;
        in_and_out(&app, &phone, false, false).await;
    });
}

#[test]
fn a_patient_signs_in_and_out_in_spanish_with_the_script_and_going_back_shows_nothing() {
    on_a_phone(async |app: App, phone: Browser| {
        app.clinic().await;
        in_and_out(&app, &phone, true, true).await;
    });
}
