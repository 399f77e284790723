//! The page of a follow-up: with its script, and without one through the code in the mail.

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::db::schema::audit_events;
use serde_json::{Value, json};

use crate::follow_ups::{ask, follow_ups};
use crate::support::browser::{Browser, on_a_phone};
use crate::support::families::{access, rosa};
use crate::support::mails::Mail;
use crate::support::{App, Client, both};

/// Schedules a follow-up of a patient, asks for it, and returns the mail to the address.
async fn asked(app: &App, patient: &str, address: &str) -> Mail {
    let path = format!("/v1/patients/{patient}/follow-ups");
    app.desk().await.post(&path, json!({"reason": "treatment_change"})).await.expect(201);
    assert!(ask(app, 28).await >= 1, "other patients of the test may be asked again as well");
    app.mails_to(address).await.pop().expect("a mail")
}

/// The submitted answers of a patient's follow-ups, as the doctor reads them.
async fn stored(app: &App, patient: &str) -> Vec<Value> {
    let doctor = app.doctor().await;
    let mut all = Vec::new();
    for intake in doctor.get(&format!("/v1/patients/{patient}/intakes")).await.items() {
        let read = doctor.get(&format!("/v1/intakes/{}", intake["id"].as_str().expect("an id"))).await;
        assert_eq!(read.expect(200).string("/form"), "rls-follow-up");
        all.push(read.body["answers"].clone());
    }
    all
}

const CALM: [(&str, &str); 6] = [
    ("symptoms.severity_0_10", "3"),
    ("symptoms.usual_onset_time", "21:00"),
    ("follow_up.change", "better"),
    ("follow_up.augmentation", "no"),
    ("follow_up.urges", "no"),
    ("follow_up.has_side_effects", "no"),
];

async fn type_in(client: &Client, code: &str) -> crate::support::Reply {
    client.post_form("/follow-up", &[("code", code)], &[]).await
}

async fn send(client: &Client, code: &str, answers: &[(&str, &str)]) -> crate::support::Reply {
    let fields: Vec<_> = [("code", code)].into_iter().chain(answers.iter().copied()).collect();
    client.post_form("/follow-up-answers", &fields, &[]).await
}

both! {
    async fn a_typed_code_shows_the_questions_and_stores_the_answers_once(app: App) {
        let (ann, desk, anon) = (app.patient("ann").await, app.desk().await, app.anon());
        let mail = asked(&app, &ann.patient_id, &ann.email).await;
        let code = mail.code();
        assert_eq!(code.len(), 14, "{code}");
        assert!(mail.html.contains(&code) && mail.text.lines().any(|line| line == "https://legwork.example/follow-up"), "{}", mail.text);
        let shown = type_in(&anon, &code.to_lowercase().replace('-', " ")).await;
        assert_eq!(shown.expect(200).header("content-type"), "text/html; charset=utf-8");
        assert_eq!((shown.header("referrer-policy"), shown.header("cache-control")), ("same-origin", "no-store"));
        assert!(shown.header("content-security-policy").contains("form-action 'self'"));
        assert!(shown.text.contains("symptoms.severity_0_10") && !shown.text.contains("<script"), "{}", shown.text);

        // Errors are at their questions, and what was answered stays.
        let strange = send(&anon, &code, &[("symptoms.severity_0_10", "4"), ("follow_up.change", "fine")]).await;
        assert!(strange.expect(422).text.contains("value=\"4\" checked"), "{}", strange.text);
        let missing = send(&anon, &code, &[("symptoms.severity_0_10", "4")]).await;
        let text = &missing.expect(422).text;
        assert!(text.contains("value=\"4\" checked") && text.contains("Nothing is sent yet"), "{text}");
        assert_eq!(text.matches("aria-invalid=\"true\"").count(), 4, "{text}");
        assert!(stored(&app, &ann.patient_id).await.is_empty());

        let done = send(&anon, &code, &CALM).await;
        assert!(done.expect(200).text.contains("Thank you, we have your answers"), "{}", done.text);
        let expected = json!({
            "symptoms": {"severity_0_10": 3, "usual_onset_time": "21:00"},
            "follow_up": {"change": "better", "augmentation": "no", "urges": "no", "has_side_effects": "no"}
        });
        assert_eq!(stored(&app, &ann.patient_id).await, std::slice::from_ref(&expected));
        assert_eq!(follow_ups(&desk, &ann.patient_id).await[1]["status"], "answered");
        let recorded = app.db(|conn| {
            let mine = audit_events::table.filter(audit_events::operation.eq("answer_follow_up_link"));
            Ok(mine.filter(audit_events::outcome.eq("success")).count().get_result::<i64>(conn)?)
        });
        assert_eq!(recorded.await, 1, "the event is stored with the answers");
        // Sent again, or with other answers, it changes nothing.
        let mut others = CALM;
        others[0].1 = "7";
        let again = [(send(&anon, &code, &CALM).await, 200), (send(&anon, &code, &others).await, 409), (type_in(&anon, &code).await, 200)];
        for (again, status) in again {
            assert!(again.expect(status).text.contains("Thank you, we have your answers"), "{}", again.text);
            assert_eq!(again.text.contains("data-late hidden"), status == 200, "{}", again.text);
        }
        assert_eq!(stored(&app, &ann.patient_id).await, [expected]);
    }

    async fn wrong_codes_are_slowed_down_by_address_and_do_not_lock_others_out(app: App) {
        let ann = app.patient("ann").await;
        let code = asked(&app, &ann.patient_id, &ann.email).await.code();
        let (guesser, other) = (app.anon(), app.anon_at("127.0.0.2"));
        type_in(&guesser, "K7MP").await.expect(422);
        for _ in 0..5 {
            assert!(type_in(&guesser, "K7MP-3XWD-9CFH").await.expect(404).text.contains("This code does not work"));
        }
        let waiting = type_in(&guesser, &code).await;
        assert!(waiting.expect(429).text.contains("Too many wrong codes"), "{}", waiting.text);
        assert_eq!(waiting.header("retry-after"), "10");
        send(&guesser, &code, &CALM).await.expect(429);
        type_in(&other, &code).await.expect(200);
        app.clock.advance(SignedDuration::from_secs(10));
        type_in(&guesser, &code).await.expect(200);

        // Many addresses that guess together wait before their first guess, each once.
        for last in 10..40 {
            type_in(&app.anon_at(&format!("127.0.0.{last}")), "K7MP-3XWD-9CFH").await;
        }
        let late = app.anon_at("127.0.0.99");
        assert_eq!(type_in(&late, &code).await.expect(429).header("retry-after"), "20");
        app.clock.advance(SignedDuration::from_secs(20));
        send(&late, &code, &CALM).await.expect(200);
    }

    async fn a_code_works_as_long_as_its_link_and_only_from_a_form_of_the_service(app: App) {
        let (rosa, tim) = rosa(&app).await;
        let code = asked(&app, &tim, "rosa@example.org").await.code();
        let anon = app.anon();
        for headers in [[("Sec-Fetch-Site", "cross-site")], [("Origin", "https://evil.example")], [("Origin", "null")]] {
            anon.post_form("/follow-up", &[("code", &code)], &headers).await.problem(403, "foreign_form");
            anon.post_form("/follow-up-answers", &[("code", &code)], &headers).await.problem(403, "foreign_form");
        }
        for headers in [[("Sec-Fetch-Site", "same-origin")], [("Origin", "https://legwork.example")]] {
            anon.post_form("/follow-up", &[("code", &code)], &headers).await.expect(200);
        }
        // A guardian does not see what a minor answers alone.
        let shown = type_in(&anon, &code).await;
        assert!(shown.text.contains("Please answer for:") && !shown.text.contains("follow_up.urges"), "{}", shown.text);
        app.desk().await.delete(&format!("{}/{}", access(&tim), rosa.user_id)).await.expect(204);
        type_in(&anon, &code).await.expect(404);

        let ann = app.patient("ann").await;
        let code = asked(&app, &ann.patient_id, &ann.email).await.code();
        app.clock.advance(SignedDuration::from_hours(24 * 15));
        send(&anon, &code, &CALM).await.expect(404);
        assert_eq!(anon.get("/follow-up-answers").await.expect(303).header("location"), "follow-up");
        assert!(anon.get("/follow-up").await.text.contains("name=\"code\""), "the form without a script");
        anon.send_raw(reqwest::Method::DELETE, "/follow-up-answers", &[], vec![]).await.expect(405);
    }
}

/// The link of a mail on the test's server, with the page in a language.
fn page(app: &App, mail: &Mail, language: &str) -> String {
    format!("{}/follow-up?lang={language}#token={}", app.base, mail.token())
}

/// The words that the tests press and read, in both languages.
struct Words {
    severity: &'static str,
    change: [&'static str; 2],
    augmentation: &'static str,
    urges: &'static str,
    side_effects: &'static str,
    which: [&'static str; 2],
    yes: &'static str,
    send: &'static str,
    thanks: &'static str,
    notice: &'static str,
    unanswered: &'static str,
}

const WORDS: [(&str, Words); 2] = [
    (
        "en",
        Words {
            severity: "How bothersome",
            change: ["Compared with your last visit", "Much worse"],
            augmentation: "Since you began",
            urges: "Have you noticed",
            side_effects: "Does your treatment",
            which: ["Which side effects?", "Nausea"],
            yes: "Yes",
            send: "Send my answers",
            thanks: "Thank you, we have your answers",
            notice: "Please check",
            unanswered: "Please answer this question.",
        },
    ),
    (
        "es",
        Words {
            severity: "¿Cuánto le ha molestado",
            change: ["En comparación con su última visita", "Mucho peor"],
            augmentation: "Desde que empezó",
            urges: "¿Ha notado",
            side_effects: "¿Le causa",
            which: ["¿Cuáles?", "Náuseas"],
            yes: "Sí",
            send: "Enviar mis respuestas",
            thanks: "Gracias, tenemos sus respuestas",
            notice: "Por favor, revise",
            unanswered: "Conteste esta pregunta, por favor.",
        },
    ),
];

/// Answers all required questions but the severity.
async fn fill_in(phone: &Browser, words: &Words, which: &str) {
    phone.choose(words.change[0], words.change[1]).await;
    phone.choose(words.augmentation, words.yes).await;
    phone.choose(words.urges, "No").await;
    phone.choose(words.side_effects, words.yes).await;
    phone.choose(which, words.which[1]).await;
}

/// What is stored of these answers.
fn expected() -> Value {
    json!({
        "symptoms": {"severity_0_10": 7},
        "follow_up": {"change": "much_worse", "augmentation": "yes", "urges": "no", "has_side_effects": "yes", "side_effects": ["nausea"]}
    })
}

#[test]
fn the_questions_of_a_link_are_answered_in_both_languages() {
    on_a_phone(async |app: App, phone: Browser| {
        for ((language, words), name) in WORDS.iter().zip(["ann", "bea"]) {
            let patient = app.patient(name).await;
            let mail = asked(&app, &patient.patient_id, &patient.email).await;
            phone.open_page(&page(&app, &mail, language)).await;
            phone.see(words.change[0]).await;
            phone.expect_accessible().await;
            fill_in(&phone, words, words.which[0]).await;
            phone.press(words.send).await;
            phone.see(words.unanswered).await;
            let marked = "return document.activeElement.dataset.question";
            assert_eq!(
                phone.run(marked).await,
                "symptoms.severity_0_10",
                "the question without an answer has the focus"
            );
            phone.expect_accessible().await;
            assert!(stored(&app, &patient.patient_id).await.is_empty());
            phone.choose(words.severity, "7").await;
            phone.press(words.send).await;
            phone.see(words.thanks).await;
            phone.expect_accessible().await;
            assert_eq!(stored(&app, &patient.patient_id).await, [expected()]);
            assert_eq!(phone.run("return location.hash").await, "");
        }
    });
}

#[test]
fn the_questions_of_a_code_are_answered_without_a_script_in_both_languages() {
    on_a_phone(async |app: App, phone: Browser| {
        phone.without_scripts().await;
        for ((language, words), name) in WORDS.iter().zip(["ann", "bea"]) {
            let is_spanish = *language == "es";
            let t = |texts: [&'static str; 2]| texts[usize::from(is_spanish)];
            let patient = app.patient(name).await;
            let mail = asked(&app, &patient.patient_id, &patient.email).await;
            // The link of the mail leads to the same page. Its token is of no use here.
            phone.open_page(&page(&app, &mail, language)).await;
            phone.see(t(["Please type in the code", "Escriba el código"])).await;
            phone.expect_accessible().await;
            let (label, show) = (
                t(["The code in our e\u{2011}mail", "El código de nuestro correo"]),
                t(["Show the questions", "Ver las preguntas"]),
            );
            phone.fill(label, "K7MP").await;
            phone.press(show).await;
            phone.see(t(["Please enter all twelve", "Escriba las doce"])).await;
            assert_eq!(phone.run("return document.querySelector('[name=code]').value").await, "K7MP");
            phone.expect_accessible().await;
            phone.fill(label, &mail.code().to_lowercase()).await;
            phone.press(show).await;
            phone.see(words.change[0]).await;
            phone.expect_accessible().await;

            let which = format!("{} {}", t(["If yes:", "Si contestó que sí:"]), words.which[0]);
            fill_in(&phone, words, &which).await;
            phone.press(words.send).await;
            phone.see(t(["Nothing is sent yet", "Todavía no se ha enviado nada"])).await;
            assert!(
                phone.run("return document.title").await.as_str().is_some_and(|title| title.starts_with(words.notice))
            );
            assert_eq!(phone.run("return document.querySelectorAll('[aria-invalid]').length").await, 1);
            phone.expect_accessible().await;
            assert!(stored(&app, &patient.patient_id).await.is_empty());
            // The other language and back: nothing is lost.
            phone.press(t(["Español", "English"])).await;
            phone.see(WORDS[usize::from(!is_spanish)].1.change[0]).await;
            phone.press(t(["English", "Español"])).await;
            phone.see(words.change[0]).await;
            phone.choose(words.severity, "7").await;
            phone.press(words.send).await;
            phone.see(words.thanks).await;
            // What the answers mean for the patient is in the language of the page.
            phone.see(t(["Please call us at", "llámenos al"])).await;
            phone.expect_accessible().await;
            assert_eq!(stored(&app, &patient.patient_id).await, [expected()]);
        }
    });
}
