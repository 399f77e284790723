//! The pages on which a stranger books a visit, in a real browser with and without its script, and by the forms alone.

use std::collections::BTreeSet;

use diesel::prelude::*;
use jiff::SignedDuration;
use legwork::db::schema::holds;
use legwork::ids::SlotId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::{Browser, ENTER, on_a_phone};
use crate::support::{App, Client, Reply, both, eventually};

/// The English text, or the Spanish one.
fn say<'a>(lang: &str, english: &'a str, spanish: &'a str) -> &'a str {
    if lang == "es" { spanish } else { english }
}

/// The visits of a day as the desk sees them.
async fn visits(app: &App) -> Vec<Value> {
    app.desk().await.get("/v1/appointments").await.items()
}

/// Goes from the home page to the details of a visit.
async fn choose_a_time(app: &App, phone: &Browser, lang: &str) {
    phone.open_page(&format!("{}/?lang={lang}", app.base)).await;
    phone.see(say(lang, "Where we are", "Dónde estamos")).await;
    phone.expect_accessible().await;
    phone.press(say(lang, "Book a visit", "Reservar una cita")).await;
    phone.see(say(lang, "What would you like to book?", "¿Qué desea reservar?")).await;
    phone.expect_accessible().await;
    phone.press(say(lang, "Choose a day: New patient", "Elegir un día: New patient")).await;
    phone.see(say(lang, "Tuesday, March 3", "martes, 3 de marzo")).await;
    phone.see(say(lang, "29 free", "29 libres")).await;
    phone.expect_accessible().await;
    // From the first day on to the next one.
    phone.press_first(".days a").await;
    phone.see("Dr. Ada Vein").await;
    phone.expect_accessible().await;
    phone.press_first(".turn a").await;
    // The link to the next day is that of Tuesday.
    phone.see(say(lang, "Wednesday, March 4", "miércoles, 4 de marzo")).await;
    phone.press_first("[name=slot_id]").await;
    phone.see(say(lang, "Your details", "Sus datos")).await;
    phone.see(say(lang, "Tuesday, March 3, 2026", "martes, 3 de marzo de 2026")).await;
    phone.see(say(lang, "9:10 AM (EST)", "9:10 a.\u{a0}m. (EST)")).await;
    phone.expect_accessible().await;
}

/// Fills in the details of a child, with some mistakes at first, and checks them.
pub async fn fill_in(phone: &Browser, lang: &str, email: &str) {
    phone.fill(say(lang, "Last name", "Apellidos"), "Example").await;
    phone.fill(say(lang, "Telephone (optional)", "Teléfono (opcional)"), "12").await;
    phone.press(say(lang, "Check your answers", "Revisar las respuestas")).await;
    phone.see(say(lang, "Please check these answers", "Revise estas respuestas, por favor")).await;
    phone.expect_accessible().await;
    let wrong = phone.run("return [...document.querySelectorAll('#wrong a')].map((one) => one.hash)").await;
    assert_eq!(wrong, json!(["#relation", "#email", "#given_name", "#born_month", "#administrative_sex", "#phone"]));
    for target in wrong.as_array().expect("links") {
        let found = phone.run(&format!("return !!document.querySelector({target})")).await;
        assert_eq!(found, true, "{target}");
    }
    assert_eq!(phone.run("return document.getElementById('family_name').value").await, "Example", "nothing is lost");
    phone.choose(say(lang, "For whom", "¿Para quién"), say(lang, "For my child", "Para mi hijo o hija")).await;
    phone.fill(say(lang, "Your own name", "Su propio nombre"), "Rosa <i>Example").await;
    phone.fill(say(lang, "Your e\u{2011}mail address", "Su correo electrónico"), email).await;
    phone.fill(say(lang, "First name", "Nombre"), "Leo").await;
    phone.fill(say(lang, "Month", "Mes"), "9").await;
    phone.fill(say(lang, "Day", "Día"), "4").await;
    phone.fill(say(lang, "Year", "Año"), "2015").await;
    phone.choose(say(lang, "Sex", "Sexo"), say(lang, "Male", "Masculino")).await;
    phone.fill(say(lang, "Telephone (optional)", "Teléfono (opcional)"), "(202) 555-0142").await;
    phone.press_first("summary").await;
    let agree = say(lang, "I agree", "Estoy de acuerdo");
    phone.choose(say(lang, "Consent to examination", "Consentimiento"), agree).await;
    phone.press(say(lang, "Check your answers", "Revisar las respuestas")).await;
    phone.see(say(lang, "Your answers", "Sus respuestas")).await;
    phone.see("Rosa <i>Example").await;
    phone.see(say(lang, "September 4, 2015", "4 de septiembre de 2015")).await;
    phone.expect_accessible().await;
    // Back to the details and forth again: everything is still there.
    phone.press(say(lang, "Change something", "Cambiar algo")).await;
    phone.see(say(lang, "Your details", "Sus datos")).await;
    phone.press(say(lang, "Check your answers", "Revisar las respuestas")).await;
    phone.press(say(lang, "This is right: send me the link", "Es correcto: enviarme el enlace")).await;
    phone.see(say(lang, "please look into your mail", "revise su correo")).await;
    phone.see(email).await;
    phone.see(say(lang, "9:30 AM (EST)", "9:30 a.\u{a0}m. (EST)")).await;
    phone.expect_accessible().await;
}

/// The visit is booked, with the patient, the decision and the mails that belong to it.
async fn expect_booked(app: &App, lang: &str, email: &str) {
    let booked = visits(app).await;
    assert_eq!(booked.len(), 1, "{booked:?}");
    let visit = &booked[0];
    assert_eq!((&visit["status"], &visit["starts_at"]), (&json!("booked"), &json!("2026-03-03T14:00:00Z")));
    let patient = visit["patient_id"].as_str().or(visit["patient"]["id"].as_str()).expect("a patient").to_owned();
    let desk = app.desk().await;
    let record = desk.get(&format!("/v1/patients/{patient}")).await.expect(200).body.clone();
    for (member, expected) in [
        ("display_name", json!("Leo Example")),
        ("date_of_birth", json!("2015-09-04")),
        ("administrative_sex", json!("male")),
        ("phone", json!("+12025550142")),
        ("preferred_language", json!(lang)),
        ("consents_outstanding", json!(["privacy_notice"])),
    ] {
        assert_eq!(record[member], expected, "{member}");
    }
    let consents = desk.get(&format!("/v1/patients/{patient}/consents")).await.items();
    assert_eq!((consents.len(), &consents[0]["signer"]), (1, &json!("Rosa <i>Example")));
    let subjects: Vec<_> = app.mails_to(email).await.into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
}

#[test]
fn a_stranger_books_at_night_on_a_phone_without_a_script() {
    on_a_phone(async |app: App, phone: Browser| {
        app.clinic().await;
        let email = "rosa@example.org";
        phone.without_scripts().await;
        choose_a_time(&app, &phone, "en").await;
        fill_in(&phone, "en", email).await;
        assert!(visits(&app).await.is_empty(), "only the mail's link books");
        let link = crate::pages::link(&app, email).await;
        phone.open_page(&link).await;
        phone.fill("The link in our e\u{2011}mail", &link).await;
        phone.press("Confirm my address").await;
        phone.see("Your visit is booked").await;
        phone.see("Tuesday, March 3, 2026").await;
        phone.expect_accessible().await;
        expect_booked(&app, "en", email).await;
    });
}

#[test]
fn a_stranger_books_in_spanish_with_the_script() {
    on_a_phone(async |app: App, phone: Browser| {
        app.clinic().await;
        let email = "rosa@example.org";
        choose_a_time(&app, &phone, "es").await;
        fill_in(&phone, "es", email).await;
        phone.open_page(&crate::pages::link(&app, email).await).await;
        phone.press("Confirmar mi dirección").await;
        phone.see("Su cita está reservada").await;
        expect_booked(&app, "es", email).await;
    });
}

#[test]
fn details_show_what_concerns_the_choice_and_keep_the_answers_in_the_other_language() {
    on_a_phone(async |app: App, phone: Browser| {
        app.clinic().await;
        choose_a_time(&app, &phone, "en").await;
        let shown = "return ['name', 'other_language'].map((id) => document.getElementById(id).checkVisibility())";
        let headings =
            "return [...document.querySelectorAll('#details h2')].filter((one) => one.checkVisibility())[0].innerText";
        assert_eq!(phone.run(shown).await, json!([false, false]));
        phone.choose("For whom", "For my child").await;
        phone.choose("Language at the visit", "Another language").await;
        assert_eq!(phone.run(shown).await, json!([true, true]));
        assert_eq!(phone.run(headings).await, "The person who comes to the visit");
        phone.expect_accessible().await;
        phone.choose("For whom", "For me").await;
        phone.choose("Language at the visit", "English").await;
        assert_eq!(phone.run(shown).await, json!([false, false]));
        assert_eq!(phone.run(headings).await, "You");
        phone.fill("First name", "Ann").await;
        phone.press("Español").await;
        phone.see("Sus datos").await;
        let typed = "return document.getElementById('given_name').value";
        assert_eq!(phone.run(typed).await, "Ann");
        phone.press("English").await;
        phone.see("Your details").await;
        // The key goes on, and does not change the language.
        phone.run("document.getElementById('given_name').focus()").await;
        phone.keys(ENTER).await;
        phone.see("Please check these answers").await;
        assert_eq!(phone.run(typed).await, "Ann");
    });
}

#[test]
fn going_back_loses_nothing_and_another_time_replaces_the_first_one() {
    on_a_phone(async |app: App, phone: Browser| {
        app.clinic().await;
        choose_a_time(&app, &phone, "en").await;
        let shown = "return [!!document.getElementById('wrong'), document.getElementById('given_name')?.value]";
        let held = async || app.db(|tx| Ok(holds::table.select(holds::slot_id).load::<SlotId>(tx)?)).await;
        let first = held().await;
        phone.fill("First name", "Leo").await;
        // Chromium remembers what was typed after a second.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        phone.press("Check your answers").await;
        phone.see("Please check these answers").await;
        phone.back().await;
        eventually(async || {
            let seen = phone.run(shown).await;
            if seen == json!([false, "Leo"]) { Ok(()) } else { Err(seen.to_string()) }
        })
        .await;
        // The time beside the first one is only free if the first one is not.
        phone.back().await;
        phone.see("Choose a time.").await;
        phone.press_first(".picks li:nth-child(2) button").await;
        phone.see("Your details").await;
        let second = held().await;
        assert!(first.len() == 1 && second.len() == 1 && first != second, "{first:?} {second:?}");
        // The same time again.
        phone.back().await;
        phone.see("Choose a time.").await;
        phone.press_first(".picks li:nth-child(1) button").await;
        phone.see("Your details").await;
        assert_eq!(held().await, first);
    });
}

/// The file with what a screen reader says of each page. `UPDATE_TRANSCRIPT=1` writes it anew.
const TRANSCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/transcripts/booking.txt");

/// Adds what a screen reader says of the page.
async fn listen(phone: &Browser, page: &str, said: &mut String) {
    let Some(spoken) = phone.spoken().await else { return };
    said.extend(["## ", page, "\n", &spoken, "\n"]);
}

#[test]
fn a_screen_reader_says_every_page_of_the_booking_way_as_the_transcript_has_it() {
    on_a_phone(async |app: App, phone: Browser| {
        app.clinic().await;
        let mut said = String::new();
        phone.open_page(&format!("{}/", app.base)).await;
        listen(&phone, "Home", &mut said).await;
        phone.press("Book a visit").await;
        listen(&phone, "Kinds of visit", &mut said).await;
        phone.press("Choose a day: New patient").await;
        listen(&phone, "Days", &mut said).await;
        phone.press_first(".days a").await;
        listen(&phone, "Times", &mut said).await;
        phone.press_first("[name=slot_id]").await;
        phone.see("Your details").await;
        listen(&phone, "Details", &mut said).await;
        phone.press("Check your answers").await;
        phone.see("Please check these answers").await;
        listen(&phone, "Details with mistakes", &mut said).await;
        fill_in(&phone, "en", "rosa@example.org").await;
        listen(&phone, "Sent", &mut said).await;
        if said.is_empty() {
            return;
        }
        // How long it took to get there is different each time, and so are the ids that buttons send.
        let timeless = |line: &str| match line.rsplit_once(", ") {
            _ if line.ends_with("are left.") => "(how long it is kept)\n".to_owned(),
            Some((start, id)) if id.parse::<uuid::Uuid>().is_ok() => format!("{start}\n"),
            _ => format!("{line}\n"),
        };
        let said: String = said.lines().map(timeless).collect();
        if std::env::var_os("UPDATE_TRANSCRIPT").is_some() {
            std::fs::write(TRANSCRIPT, &said).expect("written");
        }
        let expected = std::fs::read_to_string(TRANSCRIPT).expect("the transcript");
        for (now, before) in said.lines().zip(expected.lines()) {
            assert_eq!(now, before, "UPDATE_TRANSCRIPT=1 writes {TRANSCRIPT} anew; read what has changed");
        }
        assert_eq!(said.lines().count(), expected.lines().count(), "the rest of {TRANSCRIPT}");
    });
}

pub type Fields = Vec<(String, String)>;

/// The text of an attribute.
fn plain(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// The hidden fields of a page.
pub fn hidden(page: &Reply) -> Fields {
    let inputs = page.text.split("<input type=\"hidden\" name=\"").skip(1);
    let field = inputs.map(|rest| {
        let (name, rest) = rest.split_once("\" value=\"").expect("a value");
        (name.to_owned(), plain(rest.split('"').next().expect("a value")))
    });
    let mut fields = Fields::new();
    for (name, value) in field {
        if !fields.iter().any(|(known, _)| *known == name) {
            fields.push((name, value));
        }
    }
    fields
}

fn slots(page: &Reply) -> Vec<String> {
    let buttons = page.text.split("name=\"slot_id\" value=\"").skip(1);
    buttons.map(|rest| rest.split('"').next().expect("an id").to_owned()).filter(|id| id.len() == 36).collect()
}

pub async fn send(client: &Client, step: &str, fields: &Fields) -> Reply {
    send_with(client, step, fields, &[]).await
}

async fn send_with(client: &Client, step: &str, fields: &Fields, headers: &[(&str, &str)]) -> Reply {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    client.post_form(&format!("/book/{step}"), &fields, headers).await
}

pub fn with(fields: &Fields, more: &[(&str, &str)]) -> Fields {
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let kept = fields.iter().filter(|(name, _)| !more.clone().any(|(other, _)| other == *name)).cloned();
    kept.chain(more.clone()).collect()
}

/// The page of times of the first day, and the fields of the button of one of its times.
pub async fn times(client: &Client, visit_type: &str, nth: usize) -> Fields {
    let page = client.get(&format!("/book/times?visit_type_id={visit_type}&date=2026-03-03")).await;
    let slot = slots(page.expect(200)).swap_remove(nth);
    with(&hidden(&page), &[("slot_id", &slot)])
}

pub const ANN: [(&str, &str); 9] = [
    ("relation", "self"),
    ("given_name", "Ann"),
    ("family_name", "Example"),
    ("born_month", "9"),
    ("born_day", "14"),
    ("born_year", "1967"),
    ("administrative_sex", "female"),
    ("email", "ann@example.org"),
    ("language", "en"),
];

/// The bytes of a page or file over the wire, without the head.
async fn weight(client: &Client, path: &str) -> usize {
    let reply = client.send_raw(Method::GET, path, &[("Accept-Encoding", "br")], Vec::new()).await;
    reply.expect(200).header("content-length").parse().expect("a number")
}

/// The styles and scripts of a page.
fn files(page: &Reply) -> impl Iterator<Item = String> {
    let places = ["<link rel=\"stylesheet\" href=\"", "<script src=\""]
        .into_iter()
        .flat_map(|start| page.text.split(start).skip(1));
    places.map(|rest| format!("/{}", plain(rest.split('"').next().expect("a file")).trim_start_matches("../")))
}

both! {
    async fn the_way_from_the_home_page_to_the_visit_weighs_at_most_60_kilobytes(app: App) {
        let (clinic, anon) = (app.clinic().await, app.anon());
        let days = format!("/book/days?visit_type_id={}", clinic.new_visit);
        let times_of = |day: &str| format!("/book/times?visit_type_id={}&date={day}", clinic.new_visit);
        let (mut total, mut needed) = (0, BTreeSet::new());
        for path in ["/", "/book", &days, &times_of("2026-03-03"), &times_of("2026-03-04")] {
            total += weight(&anon, path).await;
            needed.extend(files(anon.get(path).await.expect(200)));
        }
        // Pages with a secret of the form are not compressed.
        let held = send(&anon, "holds", &times(&anon, &clinic.new_visit, 3).await).await;
        let check = send(&anon, "check", &with(&hidden(held.expect(200)), &ANN)).await;
        let sent = send(&anon, "registrations", &hidden(check.expect(200))).await;
        let token = app.mails_to("ann@example.org").await[0].token();
        let link = anon.get("/verify-email").await;
        let booked = anon.post_form("/verify-email", &[("link", &token)], &[]).await;
        total += weight(&anon, "/verify-email").await;
        needed.extend(files(link.expect(200)));
        for page in [&held, &check, sent.expect(202), booked.expect(200)] {
            total += page.text.len();
            needed.extend(files(page));
        }
        assert!(needed.contains("/pages/style.css") && needed.contains("/pages/book.js"), "{needed:?}");
        for file in &needed {
            total += weight(&anon, file).await;
        }
        println!("{total} bytes in {} pages and {} files", 10, needed.len());
        assert!(total <= 60 * 1024, "{total} bytes");
    }

    async fn forms_that_are_sent_twice_hold_and_book_once(app: App) {
        let (clinic, anon) = (app.clinic().await, app.anon());
        let time = times(&anon, &clinic.new_visit, 3).await;
        let (first, second) = tokio::join!(send(&anon, "holds", &time), send(&anon, "holds", &time));
        let held = hidden(first.expect(200));
        let secret = |fields: &Fields| fields.iter().find(|(name, _)| name == "hold_secret").expect("a secret").1.clone();
        assert_eq!(secret(&held), secret(&hidden(second.expect(200))), "one hold");
        let page = anon.get(&format!("/book/times?visit_type_id={}&date=2026-03-03", clinic.new_visit)).await;
        assert!(!slots(&page).contains(&time.last().expect("a slot").1), "it is not offered any more");
        // Another caller who knows the time, but not the key of the form, finds it taken.
        let other = send(&anon, "holds", &with(&time, &[("form_key", "x")])).await;
        assert!(other.expect(409).text.contains("This time is not free any more") && slots(&other).len() == 5, "{}", other.text);

        // The button that keeps the time longer works once.
        app.clock.advance(SignedDuration::from_mins(5));
        for _ in 0..2 {
            let renewed = send(&anon, "renewals", &held).await;
            assert!(renewed.expect(200).text.contains("9:15 AM (EST)") && !renewed.text.contains("ten minutes longer"), "{}", renewed.text);
        }
        let check = send(&anon, "check", &with(&held, &ANN)).await;
        let answers = hidden(check.expect(200));
        let (first, second) = tokio::join!(send(&anon, "registrations", &answers), send(&anon, "registrations", &answers));
        for reply in [first, second] {
            assert!(reply.expect(202).text.contains("ann@example.org") && reply.text.contains("9:35 AM (EST)"), "{}", reply.text);
        }
        let mails = app.mails_to("ann@example.org").await;
        assert_eq!(mails.len(), 1);
        let booked = anon.post_form("/verify-email", &[("link", &mails[0].token())], &[]).await;
        assert!(booked.expect(200).text.contains("Your visit is booked"), "{}", booked.text);
        anon.post_form("/verify-email", &[("link", &mails[0].token())], &[]).await.expect(200);
        assert_eq!(visits(&app).await.len(), 1);
        assert!(!any_address_has(&check, &secret(&held)), "the secret stands in no address");
    }

    async fn what_goes_wrong_is_a_page_in_plain_words_that_keeps_what_was_typed(app: App) {
        let (clinic, anon) = (app.clinic().await, app.anon());
        // Broken addresses.
        let id = "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c77";
        for path in [
            "/book/days".to_owned(),
            "/book/days?visit_type_id=x".to_owned(),
            format!("/book/days?visit_type_id={id}"),
            format!("/book/days?visit_type_id={}&location_id={id}", clinic.check),
            format!("/book/days?visit_type_id={}&practitioner_id=<b>", clinic.check),
            format!("/book/days?visit_type_id={}&from=tomorrow", clinic.check),
            format!("/book/times?visit_type_id={}", clinic.check),
        ] {
            let page = anon.get(&path).await;
            assert!([404, 422].contains(&page.status), "{path}: {}", page.status);
            assert!(page.text.contains("We cannot find this") && page.text.contains("tel:+12025550100"), "{path}: {}", page.text);
            assert!(!page.text.contains("<b>"), "{}", page.text);
        }
        // A form of another site.
        let time = times(&anon, &clinic.check, 0).await;
        for step in ["holds", "renewals", "releases", "details", "check", "registrations"] {
            let page = send_with(&anon, step, &time, &[("Origin", "https://evil.example")]).await;
            assert!(page.expect(403).text.contains("not sent by a page of the clinic"), "{step}: {}", page.text);
        }
        // A time that was taken while the page was open.
        app.desk().await.post(&format!("/v1/slots/{}/block", time.last().expect("a slot").1), json!({"reason": "a call"})).await.expect(200);
        let taken = send(&anon, "holds", &with(&time, &[("family_name", "Example")])).await;
        assert_eq!(slots(taken.expect(409)).len(), 5);
        // The next one is held, lapses, and another is taken with all answers.
        let again = with(&hidden(&taken), &[("slot_id", &slots(&taken)[0])]);
        let held = hidden(send(&anon, "holds", &again).await.expect(200));
        app.clock.advance(SignedDuration::from_mins(11));
        for step in ["check", "registrations", "details", "renewals"] {
            let lapsed = send(&anon, step, &with(&held, &ANN)).await;
            assert!(lapsed.expect(409).text.contains("We do not keep this time any more"), "{step}: {}", lapsed.text);
            assert_eq!(slots(&lapsed).len(), 5, "{step}");
            let fields = hidden(&lapsed);
            assert!(fields.contains(&("given_name".into(), "Ann".into())), "{fields:?}");
        }
        let lapsed = send(&anon, "check", &with(&held, &ANN)).await;
        let retaken = send(&anon, "holds", &with(&hidden(&lapsed), &[("slot_id", &slots(&lapsed)[1])])).await;
        assert!(retaken.expect(200).text.contains("value=\"Ann\""), "{}", retaken.text);
        // A different time: the hold ends, and nobody has to wait for it.
        let held = hidden(&retaken);
        let away = send(&anon, "releases", &held).await;
        let to = format!("days?visit_type_id={}&lang=en", clinic.check);
        assert_eq!((away.status, away.header("location")), (303, to.as_str()));
        send(&anon, "releases", &held).await.expect(303);
        // Strangers of one address hold only some times.
        for nth in 0..4 {
            send(&anon, "holds", &times(&anon, &clinic.check, nth).await).await.expect(200);
        }
        let full = send(&anon, "holds", &times(&anon, &clinic.check, 5).await).await;
        assert!(full.expect(409).text.contains("Too many times are kept"), "{}", full.text);
        assert!(full.text.contains("tel:+12025550100"), "{}", full.text);
    }

    async fn the_link_is_sent_again_or_to_a_corrected_address_while_the_time_stays_reserved(app: App) {
        let (clinic, anon) = (app.clinic().await, app.anon());
        let held = hidden(send(&anon, "holds", &times(&anon, &clinic.new_visit, 3).await).await.expect(200));
        let mistyped = with(&with(&held, &ANN), &[("email", "anne@example.org")]);
        let check = send(&anon, "check", &mistyped).await;
        let sent = send(&anon, "registrations", &hidden(check.expect(200))).await;
        assert!(sent.expect(202).text.contains("We have sent a link to"), "{}", sent.text);
        app.clock.advance(SignedDuration::from_mins(5));
        let again = send(&anon, "registrations", &hidden(&sent)).await;
        for words in ["We have sent the link again to", "anne@example.org", "9:30 AM (EST)"] {
            assert!(again.expect(202).text.contains(words), "{}", again.text);
        }
        send(&anon, "registrations", &hidden(&sent)).await.expect(202);
        let mails = app.mails_to("anne@example.org").await;
        assert_eq!(mails.len(), 2, "a form that is sent twice sends one mail");
        let old = anon.post_form("/verify-email", &[("link", &mails[0].token())], &[]).await;
        assert!(old.expect(422).text.contains("This link does not work"), "{}", old.text);
        // The address is corrected; everything else is still there.
        let details = send(&anon, "details", &hidden(&again)).await;
        for kept in ["value=\"anne@example.org\"", "value=\"Ann\"", "value=\"1967\"", "9:30 AM (EST)"] {
            assert!(details.expect(200).text.contains(kept), "{kept}: {}", details.text);
        }
        assert!(!details.text.contains("ten minutes longer"), "a reservation is not prolonged: {}", details.text);
        let check = send(&anon, "check", &with(&hidden(&details), &ANN)).await;
        let sent = send(&anon, "registrations", &hidden(check.expect(200))).await;
        assert!(sent.expect(202).text.contains("9:30 AM (EST)"), "{}", sent.text);
        let mail = app.mails_to("ann@example.org").await.pop().expect("a mail");
        let booked = anon.post_form("/verify-email", &[("link", &mail.token())], &[]).await;
        for fact in ["Your visit is booked", "New patient", "Dr. Ada Vein", "sign-in?next=visits/"] {
            assert!(booked.expect(200).text.contains(fact), "{fact}: {}", booked.text);
        }
        let mistyped = app.mails_to("anne@example.org").await.pop().expect("a mail");
        let other = anon.post_form("/verify-email", &[("link", &mistyped.token())], &[]).await;
        assert!(other.expect(422).text.contains("This link does not work"), "{}", other.text);
        assert_eq!(visits(&app).await.len(), 1);
        // The page that is still open says that the time may be booked.
        for step in ["registrations", "details"] {
            let late = send(&anon, step, &hidden(&sent)).await;
            assert!(late.expect(409).text.contains("your visit is booked"), "{step}: {}", late.text);
        }
        assert_eq!(visits(&app).await.len(), 1);
    }

    async fn a_language_is_chosen_by_its_name_and_the_mistake_in_a_birth_date_is_named(app: App) {
        let (clinic, anon) = (app.clinic().await, app.anon());
        let details = send(&anon, "holds", &times(&anon, &clinic.new_visit, 3).await).await;
        assert!(details.expect(200).text.contains("<option>Portuguese</option>"), "{}", details.text);
        let ann = with(&hidden(&details), &ANN);
        let spanish = send(&anon, "details?lang=es", &ann).await;
        assert!(spanish.expect(200).text.contains("<option>Portugués</option>"), "{}", spanish.text);
        for typed in ["Portuguese", "portugués", "pt"] {
            let check = send(&anon, "check", &with(&ann, &[("language", "other"), ("other_language", typed)])).await;
            assert!(check.expect(200).text.contains("<dd>Portuguese</dd>"), "{typed}: {}", check.text);
        }
        let unknown = send(&anon, "check", &with(&ann, &[("language", "other"), ("other_language", "Elvish")])).await;
        assert!(unknown.expect(422).text.contains("We do not know this language"), "{}", unknown.text);
        let named = send(&anon, "check", &with(&ann, &[("born_month", "April")])).await;
        assert!(named.expect(200).text.contains("April 14, 1967"), "{}", named.text);
        for (field, typed, words) in [
            ("born_year", "67", "four digits"),
            ("born_day", "31", "This day does not exist"),
            ("born_year", "1899", "after 1899"),
            ("born_month", "x", "in numbers"),
        ] {
            let wrong = send(&anon, "check", &with(&ann, &[(field, typed)])).await;
            assert!(wrong.expect(422).text.contains(words), "{field} {typed}: {}", wrong.text);
        }
    }

    async fn markup_in_any_field_is_shown_as_text(app: App) {
        let (clinic, anon) = (app.clinic().await, app.anon());
        let held = hidden(send(&anon, "holds", &times(&anon, &clinic.check, 0).await).await.expect(200));
        let names = [
            "relation", "name", "given_name", "family_name", "mononym", "born_month", "born_day", "born_year", "administrative_sex", "email",
            "phone", "language", "other_language", "interpreter", "consent_treatment", "version_treatment", "slot_id", "practitioner_id",
            "location_id", "visit_type_id",
        ];
        let bad = "\"><script>alert(1)</script>";
        let fields = with(&held, &names.map(|name| (name, bad)));
        for step in ["details", "check", "registrations", "renewals"] {
            let page = send(&anon, step, &fields).await;
            assert!(page.header("content-type").starts_with("text/html"), "{step}: {}", page.text);
            assert!(!page.text.contains("<script>alert"), "{step}: {}", page.text);
        }
        let spoken = names.iter().filter(|name| ["name", "given_name", "family_name", "email"].contains(name));
        let own: Vec<_> = spoken.map(|name| (*name, bad)).collect();
        let rest = [("relation", "parent"), ("born_month", "9"), ("born_day", "4"), ("born_year", "2015"), ("administrative_sex", "male"), ("language", "en")];
        let mut all = with(&with(&held, &own), &rest);
        all = with(&all, &[("email", "ann@example.org")]);
        let page = send(&anon, "check", &all).await;
        assert!(page.expect(200).text.contains("&lt;script&gt;alert(1)") && !page.text.contains("<script>alert"), "{}", page.text);
    }
}

/// Returns whether an address on a page has this text.
fn any_address_has(page: &Reply, text: &str) -> bool {
    ["href=\"", "action=\""]
        .iter()
        .flat_map(|start| page.text.split(start).skip(1))
        .any(|rest| rest.split('"').next().is_some_and(|address| address.contains(text)))
}

#[test]
fn a_flood_from_one_address_is_told_to_wait_on_a_page() {
    let app = App::on_sqlite(&["--rate-limits", "public=3/1m"]);
    crate::support::app::runtime().block_on(async {
        let mut last = app.anon().get("/book").await;
        for _ in 0..4 {
            last = app.anon().get("/book").await;
        }
        assert!(last.expect(429).text.contains("Please wait a little"), "{}", last.text);
        assert!(!last.header("retry-after").is_empty());
        drop(app);
    });
}

#[test]
fn the_whole_booking_way_weighs_at_most_60_kilobytes() {
    crate::support::app::run(crate::support::Engine::Sqlite, |app| async move {
        let (clinic, anon) = (app.clinic().await, app.anon());
        let mut weight = 0;
        let gzip = [("Accept-Encoding", "gzip, br")];
        let size = |reply: &Reply| reply.header("content-length").parse::<usize>().expect("a length");
        for path in [
            "/".to_owned(),
            "/pages/style.css".to_owned(),
            "/pages/book.js".to_owned(),
            "/book".to_owned(),
            format!("/book/days?visit_type_id={}", clinic.new_visit),
            format!("/book/times?visit_type_id={}&date=2026-03-03", clinic.new_visit),
            // The link in the mail.
            "/verify-email".to_owned(),
            "/pages/script.js".to_owned(),
        ] {
            let reply = anon.get_with(&path, &gzip).await;
            weight += size(reply.expect(200));
        }
        let details = send(&anon, "holds", &times(&anon, &clinic.new_visit, 0).await).await;
        let check = send(&anon, "check", &with(&hidden(details.expect(200)), &ANN)).await;
        let sent = send(&anon, "registrations", &hidden(check.expect(200))).await;
        weight += size(&details) + size(&check) + size(sent.expect(202));
        assert!(weight <= 60 * 1024, "{weight} bytes");
    });
}
