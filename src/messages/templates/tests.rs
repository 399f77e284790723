use super::*;
use crate::messages::fixtures::{
    access, ann, appointment, config, mails, registration, reserved, waitlist_offer, webhook_paused,
};
use crate::messages::model::{
    AccessMail, FollowUpMail, MessageKind, RecordChange, RecordMail, RegistrationMail, ReservationMail, WaitStanding,
    WaitlistOfferMail,
};
use crate::template_branches::Branches;

const TAGS: [&str; 2] = ["en-US", "es-MX"];

fn phone() -> Telephone {
    Telephone { shown: "(212) 555-0100".into(), dialled: "+12125550100".into() }
}

fn rendered_in(mail: &Mail, tag: &str) -> RenderedMail {
    let words = render(&config(), mail, &ann(tag), Some(&phone())).expect("rendered");
    // The slash is escaped in HTML.
    RenderedMail { html: words.html.replace("&#x2f;", "/"), ..words }
}

fn rendered(mail: &Mail) -> RenderedMail {
    rendered_in(mail, "en")
}

#[test]
fn every_kind_has_a_subject_a_text_and_an_accessible_page_in_both_languages() {
    let kinds: Vec<_> = mails().iter().map(Mail::kind).collect();
    assert_eq!(kinds, MessageKind::ALL);
    for (mail, tag) in mails().iter().flat_map(|mail| TAGS.map(|tag| (mail, tag))) {
        let words = rendered_in(mail, tag);
        assert!(!words.subject.is_empty() && !words.subject.contains('\n') && words.subject.len() < 78);
        assert!(words.text.contains("Clinic on Elm"), "{}", words.text);
        assert!(words.text.lines().all(|line| line.len() < 100), "{}", words.text);
        let start = format!("<!DOCTYPE html>\n<html lang=\"{}\">", &tag[..2]);
        assert!(words.html.starts_with(&start), "{}", words.html);
        for part in ["<title>", "<h1", "Clinic on Elm"] {
            assert!(words.html.contains(part), "{part} in {}", words.html);
        }
        let html = words.html.replace("text-decoration:none", "");
        for left_over in ["{{", "{%", "undefined", "none"] {
            assert!(!words.text.contains(left_over) && !html.contains(left_over), "{left_over}");
        }
    }
}

#[test]
fn every_branch_of_every_template_can_be_rendered() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("es")).expect("a folder");
    let mut branches = Branches::default();
    for (name, template) in EMBEDDED {
        std::fs::write(folder.path().join(name), branches.mark(name, template)).expect("written");
    }
    let mut all = mails();
    all.extend(SecurityEvent::ALL.iter().map(|event| Mail::SecurityNotice { event: *event }));
    all.push(Mail::AccessGiven(AccessMail { patient: Some("Leo".into()), pending: false, token: None, ..access() }));
    all.push(Mail::WebhookPaused(webhook_paused(true)));
    for registration in [None, Some(registration(None))] {
        all.push(Mail::VerifyEmail { token: "t".into(), registration, reservation: None });
    }
    all.push(Mail::AlreadyRegistered { reservation: None });
    for change in [
        RecordChange::AddressChanged,
        RecordChange::AccessEnded,
        RecordChange::BirthDateChanged,
        RecordChange::OtherAccessEnded,
        RecordChange::RecordMerged,
    ] {
        all.extend([None, Some("Leo".to_owned())].map(|patient| Mail::RecordNotice(RecordMail { patient, change })));
    }
    all.push(Mail::FollowUp(FollowUpMail { patient: Some("Leo".into()), token: None, code: None }));
    let offer = waitlist_offer();
    let other = WaitlistOfferMail { patient: Some("Leo".into()), instead_of: None, token: None, code: None, ..offer };
    for standing in WaitStanding::ALL {
        let ended = WaitlistOfferMail { lapsed: true, standing: *standing, ..other.clone() };
        all.push(Mail::WaitlistOfferWithdrawn(ended));
    }
    all.extend([Mail::WaitlistOffer(other.clone()), Mail::WaitlistOfferWithdrawn(other)]);
    let other = AppointmentMail { patient: Some("Leo".into()), token: None, forms_due: false, ..appointment() };
    let late = AppointmentMail { cancel_until: None, ..appointment() };
    for appointment in [other, late] {
        let kinds =
            [Mail::AppointmentBooked, Mail::AppointmentMoved, Mail::AppointmentCancelled, Mail::AppointmentReminder];
        all.extend(kinds.map(|kind| kind(appointment.clone())));
    }
    for patient in [None, Some("Leo".to_owned())] {
        all.push(Mail::AppointmentMoved(AppointmentMail { patient, zone_changed: true, ..appointment() }));
    }
    for (patient, relation) in [(None, "self"), (Some("Leo"), "parent"), (Some("Leo"), "guardian"), (None, "caregiver")]
    {
        let access = AccessMail { patient: patient.map(Into::into), relation: relation.into(), ..access() };
        all.extend([true, false].map(|pending| Mail::AccessGiven(AccessMail { pending, ..access.clone() })));
        all.push(Mail::AccessGiven(AccessMail { by_patient: true, ..access }));
    }
    for (app, phone, name) in
        [(None, None, None), (Some("https://my.clinic.example/"), Some(phone()), Some("Ann Ames"))]
    {
        let mut config = config();
        config.settings.template_dir = Some(folder.path().to_owned());
        config.settings.patient_app_url = app.map(|app| app.parse().expect("a URL"));
        for (mail, tag) in all.iter().flat_map(|mail| TAGS.map(|tag| (mail, tag))) {
            let reader = Recipient { name: name.map(str::to_owned), ..ann(tag) };
            let RenderedMail { subject, text, html } =
                render(&config, mail, &reader, phone.as_ref()).expect("rendered");
            let call = telephone_text(&config, mail, &reader).expect("rendered").unwrap_or_default();
            for text in [subject, text, html, call] {
                branches.rendered(&text);
            }
        }
    }
    let late = AppointmentMail { cancel_until: None, ..appointment() };
    let other = AppointmentMail { patient: Some("Leo".into()), token: None, ..appointment() };
    for (first, name) in [(late, None), (other, Some("Ann Ames"))] {
        let moved = [first, appointment()].map(Mail::AppointmentMoved);
        let mut config = config();
        config.settings.template_dir = Some(folder.path().to_owned());
        for tag in TAGS {
            let reader = Recipient { name: name.map(str::to_owned), ..ann(tag) };
            let RenderedMail { subject, text, html } = render_moved(&config, moved.iter(), &reader).expect("rendered");
            for text in [subject, text, html] {
                branches.rendered(&text);
            }
        }
    }
    branches.assert_all_rendered();
}

#[test]
fn one_mail_about_several_moved_visits_has_the_facts_and_the_link_of_each() {
    let link = |token: &str| AppointmentMail {
        token: Some(token.into()),
        confirmation_code: format!("CODE-{token}"),
        ..appointment()
    };
    let moved = [link("first"), link("second")].map(Mail::AppointmentMoved);
    for (tag, subject) in [("en", "Your 2 appointments have changed"), ("es-MX", "Sus 2 citas han cambiado")] {
        let words = render_moved(&config(), moved.iter(), &ann(tag)).expect("rendered");
        assert_eq!(words.subject, subject);
        for part in ["CODE-first", "CODE-second", "#token=first", "#token=second"] {
            assert!(words.text.contains(part) && words.html.contains(part), "{part} in {}", words.text);
        }
        assert!(!words.text.contains("\n\n\n"), "{}", words.text);
    }
}

#[test]
fn no_two_languages_share_a_text() {
    for mail in mails() {
        let (en, es) = (rendered_in(&mail, "en"), rendered_in(&mail, "es"));
        assert!(en.subject != es.subject && en.text != es.text && en.html != es.html, "{:?}", mail.kind());
        for english in ["you", "the", "please", "your", "this"] {
            let words = es.text.to_lowercase();
            let there = words.split(|c: char| !c.is_alphabetic()).any(|word| word == english);
            assert!(!there, "{english} in {}", es.text);
        }
    }
}

#[test]
fn an_appointment_mail_has_time_place_practitioner_and_telephone_number() {
    let facts: [[&str; 3]; 2] = [
        ["Monday, March 9, 2026, 9:30 AM (", "Dear Ann Ames", ": Monday, March 9, 9:30 AM"],
        ["lunes, 9 de marzo de 2026, 9:30 a.\u{a0}m. (", "Hola, Ann Ames:", ": lunes, 9 de marzo, 9:30 a.\u{a0}m."],
    ];
    for mail in mails().iter().filter(|mail| mail.appointment().is_some()) {
        for (tag, [when, greeting, subject]) in TAGS.into_iter().zip(facts) {
            let words = rendered_in(mail, tag);
            let same = ["Consultation", "Dr. Maya Osei", "Riverside", "12 Elm St, Springfield", "(212) 555-0100"];
            for fact in same.into_iter().chain([when, greeting, "K7QM-2XFH"]) {
                assert!(words.text.contains(fact), "{fact} in {}", words.text);
                assert!(words.html.contains(fact), "{fact} in {}", words.html);
            }
            // HTML has the zone's short name only, because the screen of a phone is small.
            assert!(words.text.contains("(America/New_York, EDT)") && words.html.contains("(EDT)"), "{}", words.html);
            assert!(words.html.contains("href=\"tel:+12125550100\""));
            assert!(words.subject.ends_with(subject), "{}", words.subject);
        }
    }
}

#[test]
fn a_mail_to_another_person_names_the_patient() {
    let mut mail = appointment();
    mail.patient = Some("Leo".into());
    for (tag, whose, row) in [("en", "The appointment of Leo", "For:   Leo"), ("es", "La cita de Leo", "Para:     Leo")]
    {
        let words = rendered_in(&Mail::AppointmentBooked(mail.clone()), tag);
        assert!(words.text.contains(whose) && words.text.contains(row) && words.html.contains(whose), "{}", words.text);
    }
}

#[test]
fn a_coming_of_age_mail_has_its_day() {
    let birthday = mails().into_iter().find(|mail| mail.kind() == MessageKind::AccessEnds).expect("a mail");
    for (tag, said) in [
        ("en", "Leo comes of age on Tuesday, July 4, 2028."),
        ("es", "Leo alcanza la mayoría de edad el martes, 4 de julio de 2028."),
    ] {
        let words = rendered_in(&birthday, tag);
        assert!(words.text.contains(said) && words.html.contains(said), "{}", words.text);
    }
    assert_eq!(
        rendered(&birthday).subject,
        "Your access to Leo's appointments at Clinic on Elm ends on Tuesday, July 4"
    );
    let subject = rendered_in(&birthday, "es").subject;
    assert_eq!(subject, "Su acceso a las citas de Leo en Clinic on Elm termina el martes, 4 de julio");
}

#[test]
fn a_mail_about_access_has_relation_record_day_and_whether_it_is_pending() {
    for (relation, to_oneself, to_others, es_to_oneself, es_to_others) in [
        (
            "self",
            "as your own account.",
            "as Leo's own account.",
            "como su propia cuenta.",
            "como la cuenta propia de Leo.",
        ),
        ("parent", "as your parent.", "as Leo's parent.", "como su padre o madre.", "como padre o madre de Leo."),
        (
            "guardian",
            "as your guardian.",
            "as Leo's guardian.",
            "como su tutor o tutora legal.",
            "como tutor o tutora legal de Leo.",
        ),
        (
            "caregiver",
            "as your carer.",
            "as Leo's carer.",
            "como la persona que le cuida.",
            "como la persona que cuida de Leo.",
        ),
    ] {
        for (pending, begins, es_begins) in [
            (true, "begins when a second member of our staff", "El acceso empieza cuando otra persona"),
            (false, "The account can see", "Con esa cuenta se pueden ver"),
        ] {
            for (patient, whose, said, es_whose, es_said) in [
                (None, "to your record", to_oneself, "a su expediente", es_to_oneself),
                (Some("Leo".to_owned()), "to Leo's record", to_others, "al expediente de Leo", es_to_others),
            ] {
                let mail = Mail::AccessGiven(AccessMail { patient, relation: relation.into(), pending, ..access() });
                for (tag, day, facts) in [
                    ("en", "On Monday, March 2, 2026,", [whose, said, begins]),
                    ("es", "El lunes, 2 de marzo de 2026,", [es_whose, es_said, es_begins]),
                ] {
                    let RenderedMail { subject, text, html } = rendered_in(&mail, tag);
                    let html = html.replace("&#x27;", "'");
                    assert!(
                        subject.contains(whose.trim_start_matches("to ")) || subject.contains(es_whose),
                        "{subject}"
                    );
                    for fact in facts.into_iter().chain([day]) {
                        assert!(text.replace('\n', " ").contains(fact), "{fact} in {text}");
                        assert!(html.contains(fact), "{fact} in {html}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_link_that_stops_an_access_leads_to_the_services_own_page_even_with_a_client() {
    let mut config = config();
    config.settings.patient_app_url = "https://my.clinic.example/".parse().ok();
    for (tag, query) in [("en", ""), ("es", "?lang=es")] {
        let words = render(&config, &Mail::AccessGiven(access()), &ann(tag), Some(&phone())).expect("rendered");
        let link = format!("https://clinic.example/stop-access{query}#token=access-0123456789");
        assert!(words.text.lines().any(|line| line == link), "{}", words.text);
    }
}

#[test]
fn a_mail_that_asks_for_a_call_has_the_number_if_there_is_one() {
    let kinds = [
        MessageKind::SecurityNotice,
        MessageKind::PatientInvitation,
        MessageKind::AccessEnds,
        MessageKind::ComingOfAge,
        MessageKind::AccessGiven,
    ];
    for (mail, tag) in mails().iter().flat_map(|mail| TAGS.map(|tag| (mail, tag))) {
        if !kinds.contains(&mail.kind()) {
            continue;
        }
        let words = rendered_in(mail, tag);
        assert!(words.text.contains("(212) 555-0100"), "{}", words.text);
        assert!(words.html.contains("<a href=\"tel:+12125550100\">(212) 555-0100</a>"), "{}", words.html);
        let words = render(&config(), mail, &ann(tag), None).expect("rendered");
        let call = if tag == "en-US" { "call us" } else { "llam" };
        assert!(words.text.to_lowercase().replace('á', "a").contains(call), "{}", words.text);
        assert!(!words.html.contains("tel:"), "{}", words.html);
    }
}

#[test]
fn a_mail_says_how_long_its_link_works() {
    for (mail, tag) in mails().iter().flat_map(|mail| TAGS.map(|tag| (mail, tag))) {
        let Some(lasts) = mail.link_lasts() else { continue };
        let language = Language::of_tag(tag);
        let phrase = if language == Language::English { "for " } else { "durante " }.to_owned();
        let said = phrase + &times::span(lasts, language);
        let words = rendered_in(mail, tag);
        assert!(words.text.contains(&said) && words.html.contains(&said), "{said} in {}", words.text);
    }
}

#[test]
fn a_mail_that_asks_for_a_new_password_links_to_the_page_that_sends_a_link() {
    let notice = |event| Mail::SecurityNotice { event };
    for (tag, link) in
        [("en", "https://clinic.example/set-password"), ("es", "https://clinic.example/set-password?lang=es")]
    {
        for mail in [Mail::AlreadyRegistered { reservation: None }, notice(SecurityEvent::PasswordChanged)] {
            let words = rendered_in(&mail, tag);
            assert!(words.text.lines().any(|line| line == link), "{}", words.text);
            assert!(words.html.contains(&format!("href=\"{link}\"")), "{}", words.html);
        }
        // The old address of an account has no access any more.
        let words = rendered_in(&notice(SecurityEvent::EmailChanged), tag);
        assert!(!words.text.contains("set-password") && !words.html.contains("set-password"));
    }
}

#[test]
fn the_text_of_a_call_has_name_time_place_and_number_and_no_link() {
    for (mail, tag) in mails().iter().flat_map(|mail| TAGS.map(|tag| (mail, tag))) {
        let Some(text) = telephone_text(&config(), mail, &ann(tag)).expect("rendered") else {
            assert!(
                mail.appointment().is_none() && mail.birthday().is_none_or(|_| mail.kind() == MessageKind::AccessEnds)
            );
            assert!(mail.access().is_none() && mail.record().is_none() && mail.follow_up().is_none());
            continue;
        };
        assert!(!text.contains("token") && !text.contains("http"), "{text}");
        if mail.record().is_some() || mail.follow_up().is_some() || mail.waitlist_offer().is_some() {
            assert!(text.contains("Clinic on Elm") && text.contains("Ann Ames"), "{text}");
            continue;
        }
        if mail.appointment().is_none() {
            let day = if mail.access().is_some() { "2026" } else { "2028" };
            assert!(text.contains("Clinic on Elm") && text.contains("Ann Ames") && text.contains(day), "{text}");
            continue;
        }
        let when =
            if tag == "en-US" { "Monday, March 9, at 9:30 AM" } else { "lunes, 9 de marzo, a las 9:30 a.\u{a0}m." };
        for fact in ["Clinic on Elm", "Ann Ames", when, "Dr. Maya Osei", "Riverside", "(212) 555-0100"] {
            assert!(text.contains(fact), "{fact} in {text}");
        }
    }
}

#[test]
fn a_recipient_without_a_name_is_greeted() {
    let nameless = Recipient { name: None, ..ann("en") };
    let words = render(&config(), &Mail::AppointmentMoved(appointment()), &nameless, Some(&phone())).expect("rendered");
    assert!(words.text.starts_with("Hello,\n"), "{}", words.text);
}

#[test]
fn the_link_leads_to_the_page_with_the_token_in_the_fragment() {
    let linked: Vec<_> = mails().into_iter().filter(|mail| mail.link().is_some()).collect();
    assert_eq!(linked.len(), 11);
    for (mail, tag) in linked.iter().flat_map(|mail| TAGS.map(|tag| (mail, tag))) {
        let (page, token) = mail.link().expect("a link");
        let words = rendered_in(mail, tag);
        let query = if tag == "es-MX" { "?lang=es" } else { "" };
        let link = format!("https://clinic.example/{page}{query}#token={token}");
        assert!(words.text.lines().any(|line| line == link), "{}", words.text);
        assert!(words.html.contains(&format!("href=\"{link}\"")), "{}", words.html);
    }
}

#[test]
fn forms_that_are_due_are_mentioned_and_linked_if_there_is_a_client_or_an_account() {
    for (tag, without_client, with_client, word) in [
        ("en", "There are forms to fill in before your visit.", "forms before your visit", "forms"),
        ("es", "Hay formularios que completar antes de la cita.", "formularios antes de la cita", "formularios"),
    ] {
        let mut mail = appointment();
        // Without a client or an account nothing can be done online.
        let words = rendered_in(&Mail::AppointmentBooked(mail.clone()), tag);
        let call = telephone_text(&config(), &Mail::AppointmentBooked(mail.clone()), &ann(tag))
            .expect("rendered")
            .expect("a call");
        for said in [&words.text, &words.html, &call] {
            assert!(!said.contains("online") && !said.contains("en línea"), "{said}");
        }
        assert!(words.text.contains(without_client) && words.html.contains(without_client), "{}", words.text);
        let mut config = config();
        config.settings.patient_app_url = "https://my.clinic.example/".parse().ok();
        let words =
            render(&config, &Mail::AppointmentBooked(mail.clone()), &ann(tag), Some(&phone())).expect("rendered");
        assert!(words.text.contains("https://my.clinic.example/forms"), "{}", words.text);
        let html = words.html.replace("&#x2f;", "/");
        assert!(html.contains(&format!("<a href=\"https://my.clinic.example/forms\">{with_client}</a>")), "{html}");
        let with_account = AppointmentMail { forms_online: true, ..mail.clone() };
        let words = rendered_in(&Mail::AppointmentBooked(with_account), tag);
        let page = format!("/visits/{}/history{}", mail.appointment_id, if tag == "es" { "?lang=es" } else { "" });
        assert!(words.text.contains(&page) && words.html.replace("&#x2f;", "/").contains(&page), "{}", words.text);
        mail.forms_due = false;
        let words = rendered_in(&Mail::AppointmentBooked(mail), tag);
        assert!(!words.text.contains(word) && !words.html.contains(word));
    }
}

#[test]
fn an_alert_has_the_worklist_entry_and_nothing_else() {
    let words = rendered(&Mail::StaffAlert { reference: "r-17".into() });
    assert!(words.text.contains("worklist") && words.text.contains("r-17"), "{}", words.text);
}

#[test]
fn a_mail_about_a_paused_webhook_has_the_host_the_cause_and_the_id() {
    for (is_gone, cause) in [(false, "for 72 hours"), (true, "410 Gone")] {
        let words = rendered(&Mail::WebhookPaused(webhook_paused(is_gone)));
        for part in ["systems.example", cause, "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"] {
            assert!(words.text.contains(part) && words.html.contains(part), "{part}");
        }
    }
}

#[test]
fn no_mail_and_no_call_says_anything_about_health() {
    let english = [
        "restless", "rls", "legs", "symptom", "syndrome", "vein", "diagnos", "iron", "ferritin", "medic", "drug",
        "intake", "reason", "treat", "doctor", "disease", "sleep", "history", "question",
    ];
    let spanish = [
        "piern",
        "inquiet",
        "síntoma",
        "síndrome",
        "vena",
        "diagn",
        "hierro",
        "ferritina",
        "médic",
        "medic",
        "fármaco",
        "motivo",
        "tratamiento",
        "enfermedad",
        "sueño",
        "historia",
        "cuestionario",
    ];
    for (mail, tag) in mails().iter().flat_map(|mail| TAGS.map(|tag| (mail, tag))) {
        let RenderedMail { subject, text, html } = rendered_in(mail, tag);
        let call = telephone_text(&config(), mail, &ann(tag)).expect("rendered").unwrap_or_default();
        let all = format!("{subject}\n{text}\n{html}\n{call}").to_lowercase();
        let words: &[&str] = if tag == "en-US" { &english } else { &spanish };
        for word in words {
            assert!(!all.contains(word), "{word} in {all}");
        }
    }
}

#[test]
fn names_with_html_and_line_breaks_are_escaped() {
    let mut mail = appointment();
    mail.practitioner = "{{ link }}".into();
    let name = "<script>alert(1)</script> & \"Sons\"\r\nBcc: x@example.org";
    let reader = Recipient { name: Some(name.into()), ..ann("en") };
    let words = render(&config(), &Mail::AppointmentBooked(mail), &reader, Some(&phone())).expect("rendered");
    assert!(!words.html.contains("<script>") && words.html.contains("&lt;script&gt;"), "{}", words.html);
    assert!(words.text.contains("Dear <script>alert(1)<script> & \"Sons\"  Bcc xexampleorg,"), "{}", words.text);
    assert!(words.text.contains("With:  {{ link }}"), "{}", words.text);
}

#[test]
fn a_mail_says_until_when_its_link_can_cancel_and_does_not_offer_it_later() {
    let said = [
        (
            "en",
            "Sunday, March 8, 10:30 AM",
            "See, confirm or change",
            ["See and confirm it here:", "See and confirm the appointment"],
        ),
        (
            "es",
            "domingo, 8 de marzo, 10:30 a.\u{a0}m.",
            "Ver, confirmar o cambiar",
            ["Puede verla y confirmarla aquí:", "Ver y confirmar la cita"],
        ),
    ];
    for (tag, until, offer, [text, label]) in said {
        for kind in [Mail::AppointmentBooked, Mail::AppointmentMoved] {
            let early = rendered_in(&kind(appointment()), tag);
            assert!(early.text.contains(until) && early.html.contains(until), "{}{}", early.text, early.html);
            assert!(early.html.contains(offer) && !early.text.contains(text) && !early.html.contains(label));
            let words = rendered_in(&kind(AppointmentMail { cancel_until: None, ..appointment() }), tag);
            assert!(words.text.contains(text) && words.html.contains(label), "{}{}", words.text, words.html);
            assert!(!words.html.contains(offer), "{}", words.html);
        }
    }
}

#[test]
fn no_spanish_text_has_two_full_stops_after_a_time() {
    for mail in mails() {
        let words = rendered_in(&mail, "es");
        for text in [&words.subject, &words.text, &words.html] {
            assert!(!text.contains("m.."), "{text}");
        }
        let call = telephone_text(&config(), &mail, &ann("es")).expect("rendered").unwrap_or_default();
        assert!(!call.contains("m.."), "{call}");
    }
}

#[test]
fn a_verification_mail_names_who_registered_and_for_whom() {
    for (tag, by, of) in [("en", "Registered by:", "Registered for:"), ("es", "Registro hecho por:", "Registro para:")]
    {
        let said = |registration| {
            let words = rendered_in(&Mail::VerifyEmail { token: "t".into(), registration, reservation: None }, tag);
            assert!(!words.text.contains("\n\n\n"), "{}", words.text);
            [words.text, words.html]
        };
        for text in said(Some(registration(Some("Leo Ames")))) {
            assert!(text.contains(&format!("{by} Ann Ames")) && text.contains(&format!("{of} Leo Ames")), "{text}");
        }
        for text in said(Some(registration(None))) {
            assert!(text.contains(&format!("{by} Ann Ames")) && !text.contains(of), "{text}");
        }
        for text in said(None) {
            assert!(!text.contains(by) && !text.contains(of), "{text}");
        }
        let name = "<b>J. R. Lory</b> https://evil.example/x me@evil.example\r\n".to_owned() + &"x".repeat(150);
        let [text, html] = said(Some(RegistrationMail { name, patient: None }));
        assert!(text.contains(&format!("{by} <b>J. R. Lory<b> httpsevilexamplex meevilexample")), "{text}");
        assert!(html.contains("&lt;b&gt;J. R. Lory") && !html.contains("<b>"), "{html}");
        assert!(text.lines().all(|line| line.chars().count() < 110), "{text}");
    }
}

#[test]
fn a_mail_about_a_registration_names_the_reserved_time_and_nothing_about_health() {
    for (tag, when, until) in [
        ("en", "Monday, March 9, 2026, 9:30 AM (EDT)", "Monday, March 2, 2026, 9:30 AM (EST)"),
        ("es", "lunes, 9 de marzo de 2026, 9:30 a.\u{a0}m. (EDT)", "lunes, 2 de marzo de 2026, 9:30 a.\u{a0}m. (EST)"),
    ] {
        let reservation = ReservationMail { time_zone: "America/New_York".into(), ..reserved() };
        let reservation =
            ReservationMail { starts_at: "2026-03-09T13:30:00Z".parse().expect("an instant"), ..reservation };
        for mail in [
            Mail::VerifyEmail { token: "t".into(), registration: None, reservation: Some(reservation.clone()) },
            Mail::AlreadyRegistered { reservation: Some(reservation.clone()) },
        ] {
            let words = rendered_in(&mail, tag);
            assert!(words.html.contains(when) && words.html.contains(until), "{}", words.html);
            assert!(words.text.contains(until) && words.text.contains(&reservation.visit), "{}", words.text);
            assert!(words.text.contains(&reservation.address), "{}", words.text);
            assert!(!words.text.contains("\n\n\n"), "{}", words.text);
            assert!(words.text.lines().all(|line| line.chars().count() < 90), "{}", words.text);
        }
    }
}

#[test]
fn a_template_of_the_folder_replaces_the_embedded_one_and_a_broken_one_is_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config();
    config.settings.template_dir = Some(folder.path().to_owned());
    let mail = Mail::VerifyEmail { token: "t".into(), registration: None, reservation: None };
    std::fs::write(folder.path().join("verify_email.subject.txt"), "Welcome\nto {{ clinic }}").expect("written");
    std::fs::create_dir(folder.path().join("es")).expect("a folder");
    std::fs::write(folder.path().join("es/verify_email.subject.txt"), "Hola de {{ clinic }}").expect("written");
    let words = render(&config, &mail, &ann("en"), Some(&phone())).expect("rendered");
    assert_eq!(words.subject, "Welcome to Clinic on Elm");
    assert_eq!(words.text, rendered(&mail).text);
    assert_eq!(render(&config, &mail, &ann("es"), Some(&phone())).expect("rendered").subject, "Hola de Clinic on Elm");
    for broken in ["{{ clinc }}", "{% if %}", "{{ link"] {
        std::fs::write(folder.path().join("verify_email.txt"), broken).expect("written");
        assert_eq!(render(&config, &mail, &ann("en"), Some(&phone())), Err(Failure::Template), "{broken}");
    }
}

#[test]
fn every_security_notice_says_what_happened_in_both_languages() {
    for tag in TAGS {
        let notices = SecurityEvent::ALL.iter().map(|event| Mail::SecurityNotice { event: *event });
        let said: std::collections::BTreeSet<_> = notices.map(|mail| rendered_in(&mail, tag).text).collect();
        assert_eq!(said.len(), SecurityEvent::ALL.len());
        for text in said {
            assert!(!text.contains("\n\n\n"), "{text}");
        }
    }
}

#[test]
fn a_record_notice_has_the_record_and_the_telephone_number() {
    for (patient, change, tag, said) in [
        (None, RecordChange::AddressChanged, "en", "the e-mail address in your record"),
        (Some("Leo"), RecordChange::AccessEnded, "en", "the access of your account to Leo's record"),
        (None, RecordChange::AddressChanged, "es", "que consta en su expediente"),
        (Some("Leo"), RecordChange::AccessEnded, "es", "el acceso al expediente de Leo"),
        (None, RecordChange::BirthDateChanged, "en", "the birth date in your record"),
        (
            Some("Leo"),
            RecordChange::BirthDateChanged,
            "es",
            "la fecha de nacimiento que consta en el expediente de Leo",
        ),
        (Some("Leo"), RecordChange::OtherAccessEnded, "en", "the access of an account to Leo's record"),
        (None, RecordChange::OtherAccessEnded, "es", "quitó a una cuenta el acceso a su expediente"),
        (None, RecordChange::RecordMerged, "en", "joined your record"),
        (None, RecordChange::RecordMerged, "es", "unió su expediente"),
    ] {
        let words = rendered_in(&Mail::RecordNotice(RecordMail { patient: patient.map(str::to_owned), change }), tag);
        for text in [words.text.replace('\n', " "), words.html.replace("&#x27;", "'")] {
            assert!(text.contains(said) && text.contains("(212) 555-0100"), "{text}");
        }
    }
}

#[test]
fn a_mail_about_the_end_of_an_offer_says_what_becomes_of_the_wait() {
    for (standing, tag, said) in [
        (WaitStanding::Kept, "en", "We write again when another time is free."),
        (WaitStanding::Paused, "en", "so we offer no other times until we hear from you."),
        (WaitStanding::Halted, "en", "we do not offer times for this visit."),
        (WaitStanding::Ended, "en", "The later visit is cancelled or over"),
        (WaitStanding::Kept, "es", "cuando quede libre otra hora."),
        (WaitStanding::Paused, "es", "no ofrecemos otras horas hasta que nos avise."),
        (WaitStanding::Halted, "es", "Por ahora no ofrecemos horas para esta cita."),
        (WaitStanding::Ended, "es", "La cita posterior se canceló o ya pasó"),
    ] {
        let kept = if tag == "en" { "We kept this time until" } else { "Guardamos esta hora hasta el" };
        for lapsed in [false, true] {
            let mail = Mail::WaitlistOfferWithdrawn(WaitlistOfferMail { lapsed, standing, ..waitlist_offer() });
            let words = rendered_in(&mail, tag);
            assert!(!words.text.contains("\n\n\n"), "{}", words.text);
            for text in [words.text.replace('\n', " "), words.html] {
                assert!(text.contains(said) && text.contains("(212) 555-0100"), "{text}");
                assert_eq!(text.contains(kept), lapsed, "{text}");
                let page = "https://clinic.example/visits";
                assert_eq!(text.contains(page), standing == WaitStanding::Paused, "{text}");
            }
        }
    }
}

#[test]
fn a_mail_about_an_offer_names_the_number_of_its_location_unless_the_clinic_has_one_for_all() {
    let (phone_of_place, country) = (Some("+13035550123".to_owned()), Some("US".to_owned()));
    let offer = WaitlistOfferMail { phone: phone_of_place, country, ..waitlist_offer() };
    let mut with_one = config();
    with_one.settings.clinic_phone = Some("+12125550100".into());
    for mail in [Mail::WaitlistOffer(offer.clone()), Mail::WaitlistOfferWithdrawn(offer)] {
        for (config, number) in [(config(), "(303) 555-0123"), (with_one.clone(), "(212) 555-0100")] {
            let words = render(&config, &mail, &ann("en"), Some(&phone())).expect("rendered");
            assert!(words.text.contains(number) && words.html.contains(number), "{number} in {}", words.text);
        }
    }
}

#[test]
fn a_mail_about_access_without_a_link_has_the_telephone_number() {
    for (tag, said) in [("en", "If not, call us at (212) 555-0100."), ("es", "Si no, llámenos al (212) 555-0100.")] {
        let words = rendered_in(&Mail::AccessGiven(AccessMail { token: None, ..access() }), tag);
        assert!(words.text.contains(said), "{}", words.text);
        assert!(!words.text.contains("http") && !words.html.contains("stop-access"), "{}", words.html);
    }
}
