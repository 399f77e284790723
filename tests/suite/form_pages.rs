//! The pages on which a patient, or the person who acts for them, answers the forms, sent as a browser without a script sends them.

use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::families::{PASSWORD as FAMILY_PASSWORD, rosa};
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::intakes::{begin, patients_example, save, submitted};
use crate::support::visitor::{Visitor, plain};
use crate::support::{App, Client, Reply, both, id};

const ANN: &str = "ann@patients.example";

/// What is answered on each page of the history: everything that is required.
pub const ANSWERS: [(&str, &[(&str, &str)]); 5] = [
    (
        "safety",
        &[
            ("safety.chest_pain_breathlessness", "no"),
            ("safety.sudden_cold_pale_leg", "no"),
            ("safety.new_weakness_saddle_bladder_bowel", "no"),
            ("safety.acute_unilateral_leg_symptoms", "no"),
            ("safety.bleeding_vein", "no"),
            ("safety.spreading_hot_redness", "no"),
            ("safety.open_leg_ulcer", "no"),
            ("safety.self_harm_thoughts", "no"),
        ],
    ),
    (
        "symptoms",
        &[
            ("symptoms.urge_to_move_legs", "yes"),
            ("symptoms.sensations", "tingling"),
            ("symptoms.worse_at_rest", "yes"),
            ("symptoms.relief_with_movement", "yes"),
            ("symptoms.worse_evening_or_night", "yes"),
            ("symptoms.symptom_onset_date.year", "2009"),
            ("symptoms.days_per_week_untreated", "3,5"),
            ("symptoms.usual_onset_time", "21:00"),
            ("symptoms.impact_level", "none"),
            ("symptoms.severity_0_10", "unknown"),
        ],
    ),
    ("venous", &[("venous.varicose_veins", "no"), ("venous.dvt_ever", "unknown")]),
    ("risk", &[("risk.family_history_rls", "no")]),
    ("medications", &[("medications_status", "none"), ("allergies_status", "none")]),
];

/// The same answers as the API has them.
fn expected() -> Value {
    json!({
        "safety": {
            "chest_pain_breathlessness": "no", "sudden_cold_pale_leg": "no", "new_weakness_saddle_bladder_bowel": "no",
            "acute_unilateral_leg_symptoms": "no", "bleeding_vein": "no", "spreading_hot_redness": "no", "open_leg_ulcer": "no",
            "self_harm_thoughts": "no"
        },
        "symptoms": {
            "urge_to_move_legs": "yes", "sensations": ["tingling"], "worse_at_rest": "yes", "relief_with_movement": "yes",
            "worse_evening_or_night": "yes", "symptom_onset_date": "2009", "days_per_week_untreated": 3.5, "usual_onset_time": "21:00",
            "impact_level": "none", "severity_0_10_status": "unknown"
        },
        "venous": {"varicose_veins": "no", "dvt_ever": "unknown"},
        "risk": {"family_history_rls": "no"},
        "medications_status": "none", "allergies_status": "none"
    })
}

/// Begins the history of Ann's visit on the page, which leads to its first questions. Returns the address of the form.
async fn begun(visitor: &Visitor, visit: &Value) -> String {
    let path = format!("/visits/{}/history", id(visit));
    let page = visitor.get(&path).await;
    let reply = FilledForm::of(page.expect(200)).send(visitor, &path).await;
    let first = led_to(&reply).split('?').next().expect("a path").to_owned();
    first.strip_suffix("/safety").expect("the first subject").to_owned()
}

/// A draft of Ann's and her browser.
async fn draft(app: &App) -> (Visitor, Client, String) {
    let ann = app.patient("ann").await;
    let path = begin(&ann, &ann.patient_id).await.location();
    let visitor = Visitor::signed_in(app.anon(), ANN).await;
    (visitor, ann.client.clone(), path.replace("/v1/intakes", "/forms"))
}

/// The stored answers of a form.
async fn stored(client: &Client, form: &str) -> Value {
    client.get(&form.replace("/forms", "/v1/intakes")).await.expect(200).body["answers"].clone()
}

pub async fn fill(visitor: &Visitor, page: &str, answers: &[(&str, &str)]) -> Reply {
    FilledForm::of(visitor.get(page).await.expect(200)).with(answers).send(visitor, page).await
}

both! {
    async fn a_patient_answers_the_history_page_by_page_checks_it_and_sends_it(app: App) {
        let clinic = app.clinic().await;
        let ann = app.patient("ann").await;
        let visit = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let list = visitor.get("/visits").await;
        assert!(list.expect(200).text.contains("Questions before the visit: not begun"), "{}", list.text);
        let form = begun(&visitor, &visit).await;
        let overview = visitor.get(&form).await;
        assert!(overview.expect(200).text.contains("takes about 6 minutes more"), "{}", overview.text);
        assert_eq!(overview.header("cache-control"), "no-store");
        // A question about children is not put to an adult.
        let symptoms = visitor.get(&format!("{form}/symptoms")).await;
        assert!(!symptoms.expect(200).text.contains("childs_own_words"), "{}", symptoms.text);
        let read = ann.get(&form.replace("/forms", "/v1/intakes")).await;
        assert_eq!(read.body["fields_not_asked"], json!(["symptoms.childs_own_words"]));
        // From page to page.
        let mut page = format!("{form}/safety");
        let mut seen = Vec::new();
        while !page.ends_with("/check") {
            let subject = page.rsplit('/').next().expect("a name").to_owned();
            let answers = ANSWERS.iter().find(|(name, _)| *name == subject).map_or(&[][..], |(_, answers)| answers);
            let saved = fill(&visitor, &page, answers).await;
            let location = led_to(&saved);
            assert!(!location.contains("yes") && !location.contains("2009"), "{location}");
            seen.push(subject);
            page = location.split('?').next().expect("a path").to_owned();
            if seen.last().is_some_and(|last| last == "symptoms") {
                let list = visitor.get("/visits").await;
                assert!(list.text.contains("Questions before the visit: about 2 minutes left"), "{}", list.text);
            }
        }
        assert_eq!(seen, ["safety", "symptoms", "mimics", "venous", "risk", "labs", "medications", "substances", "lifestyle", "sleep"]);
        assert_eq!(stored(&ann, &form).await, expected());
        let check = visitor.get(&page).await;
        assert!(check.expect(200).text.contains("Does a blood relative have restless legs?") && !check.text.contains("id=\"wrong\""), "{}", check.text);
        assert!(visitor.get("/visits").await.text.contains("Questions before the visit: ready to send"));
        // Changing a subject leads back to the check.
        let change = format!("{form}/risk?from=check");
        let changed = FilledForm::of(visitor.get(&change).await.expect(200)).with(&[("risk.ckd", "no")]);
        assert_eq!(led_to(&changed.send(&visitor, &format!("{form}/risk")).await), format!("{form}/check?lang=en"));
        // The page of the check is older than this answer.
        let stale = FilledForm::of(&check).send(&visitor, &page).await;
        assert!(stale.expect(412).text.contains("Nothing is sent yet"), "{}", stale.text);
        let check = FilledForm::of(&stale);
        assert_eq!(led_to(&check.send(&visitor, &page).await), format!("{form}?sent=1&lang=en"));
        assert_eq!(led_to(&check.send(&visitor, &page).await), format!("{form}?sent=1&lang=en"), "sent twice");
        let sent = visitor.get(&format!("{form}?sent=1")).await;
        for words in ["Thank you, we have your answers", "What happens next", "It is on", "What you sent"] {
            assert!(sent.expect(200).text.contains(words), "{}", sent.text);
        }
        let read = ann.get(&form.replace("/forms", "/v1/intakes")).await;
        assert_eq!(read.string("/status"), "completed");
        assert!(visitor.get("/visits").await.text.contains("Questions before the visit: sent"));
        // What is sent is not changed on a page.
        assert_eq!(led_to(&visitor.get(&format!("{form}/risk")).await), format!("{form}?lang=en"));
        assert_eq!(led_to(&changed.send(&visitor, &format!("{form}/risk")).await), format!("{form}?late=1&lang=en"));
    }

    async fn an_answer_that_cannot_wait_shows_its_text_at_once_in_the_language_of_the_page(app: App) {
        app.clinic().await;
        let (visitor, _, form) = draft(&app).await;
        let page = format!("{form}/safety");
        let urgent = [("safety.chest_pain_breathlessness", "yes"), ("safety.bleeding_vein", "no")];
        let saved = FilledForm::of(visitor.get(&format!("{page}?lang=es")).await.expect(200)).with(&urgent).send(&visitor, &format!("{page}?lang=es")).await;
        let location = led_to(&saved);
        assert!(location.starts_with(&format!("{form}/notices?next=safety")), "{location}");
        let notices = visitor.get(&location).await;
        for words in ["Lea esto ahora", "<a href=\"tel:911\">911</a>", "role=\"alert\"", "Sus respuestas están guardadas."] {
            assert!(notices.expect(200).text.contains(words), "{words}: {}", notices.text);
        }
        // It stands above every page, and is not asked to be read again.
        let next = visitor.get(&format!("{form}/symptoms?lang=en")).await;
        assert!(next.expect(200).text.contains("Call <a href=\"tel:911\">911</a> now"), "{}", next.text);
        let saved = fill(&visitor, &format!("{form}/mimics"), &[("mimics.arthritis", "no")]).await;
        assert_eq!(led_to(&saved), format!("{form}/venous?lang=en"));
        // Addresses of other sites are not followed.
        for next in ["//evil.example", "../../../evil", "https://evil.example/"] {
            let page = visitor.get(&format!("{form}/notices?next={next}")).await;
            assert!(plain(&page.expect(200).text).contains(&format!("href=\"../..{form}?lang=en\"")), "{}", page.text);
        }
    }

    async fn a_question_that_depends_on_another_appears_after_the_save_and_no_answer_is_dropped_silently(app: App) {
        let (visitor, ann, form) = draft(&app).await;
        let page = format!("{form}/venous");
        let required = [("venous.dvt_ever", "no")];
        let first = visitor.get(&page).await;
        assert!(!FilledForm::of(first.expect(200)).asked().contains(&"venous.varicose_laterality"), "{}", first.text);
        let saved = FilledForm::of(&first).with(&required).with(&[("venous.varicose_veins", "yes")]).send(&visitor, &page).await;
        assert_eq!(led_to(&saved), format!("{page}?open=more&lang=en"));
        let second = visitor.get(&led_to(&saved)).await;
        assert!(second.text.contains("this page asks more"), "{}", second.text);
        let saved = FilledForm::of(&second).with(&[("venous.varicose_laterality", "left")]).send(&visitor, &page).await;
        assert_eq!(led_to(&saved), format!("{form}/risk?lang=en"));
        // The answer stays until the person removes it.
        let saved = fill(&visitor, &page, &[("venous.varicose_veins", "no")]).await;
        assert_eq!(led_to(&saved), format!("{page}?open=1&lang=en"));
        assert_eq!(stored(&ann, &form).await["venous"]["varicose_laterality"], "left");
        let left = visitor.get(&led_to(&saved)).await;
        assert!(left.text.contains("does not fit another answer") && left.text.contains("Remove this answer"), "{}", left.text);
        let saved = FilledForm::of(&left).with(&[("remove", "venous.varicose_laterality")]).send(&visitor, &page).await;
        assert_eq!(led_to(&saved), format!("{form}/risk?lang=en"));
        assert_eq!(stored(&ann, &form).await["venous"], json!({"varicose_veins": "no", "dvt_ever": "no"}));
    }

    async fn a_refused_answer_is_shown_as_it_was_typed_with_a_link_to_its_question(app: App) {
        let (visitor, ann, form) = draft(&app).await;
        let page = format!("{form}/symptoms");
        let typed = [
            ("symptoms.days_per_week_untreated", "<often>"),
            ("symptoms.symptom_onset_date.year", "09"),
            ("symptoms.worse_at_rest", "yes"),
        ];
        let refused = fill(&visitor, &page, &typed).await;
        assert!(refused.expect(422).text.contains("Not saved yet"), "{}", refused.text);
        assert!(refused.text.contains("href=\"#q-symptoms-days_per_week_untreated\"") && refused.text.contains("href=\"#q-symptoms-symptom_onset_date\""), "{}", refused.text);
        let again = FilledForm::of(&refused);
        for (name, value) in typed {
            assert_eq!(again.value(name), Some(value), "{name}");
        }
        assert_eq!(stored(&ann, &form).await, json!({}));
        let mended = again.with(&[("symptoms.days_per_week_untreated", "7"), ("symptoms.symptom_onset_date.year", "2009")]);
        // What is still open is said, and does not block.
        let saved = mended.send(&visitor, &page).await;
        assert_eq!(led_to(&saved), format!("{page}?open=1&lang=en"));
        let open = visitor.get(&led_to(&saved)).await;
        assert!(open.text.contains("Your answers are saved. These are still open") && open.text.contains("answer it later"), "{}", open.text);
        assert_eq!(stored(&ann, &form).await["symptoms"]["worse_at_rest"], "yes");
        // Nor can it be sent.
        let check = format!("{form}/check");
        let refused = FilledForm::of(visitor.get(&check).await.expect(200)).send(&visitor, &check).await;
        assert!(refused.expect(422).text.contains("Nothing is sent yet") && refused.text.contains("/safety?open=1&amp;from=check"), "{}", refused.text);
    }

    async fn two_pages_that_are_open_at_once_lose_nothing(app: App) {
        let (one, ann, form) = draft(&app).await;
        let two = Visitor::signed_in(app.anon(), ANN).await;
        let page = format!("{form}/risk");
        let first = FilledForm::of(one.get(&page).await.expect(200));
        let second = FilledForm::of(two.get(&page).await.expect(200));
        first.with(&[("risk.ckd", "no"), ("risk.family_history_rls", "no")]).send(&one, &page).await.expect(303);
        // Another question of the same page: both are saved.
        let merged = second.with(&[("risk.dialysis", "no"), ("risk.family_history_rls", "no")]).send(&two, &page).await;
        merged.expect(303);
        assert_eq!(stored(&ann, &form).await["risk"], json!({"ckd": "no", "dialysis": "no", "family_history_rls": "no"}));
        // The same question: the person chooses.
        let stale = || async { FilledForm::of(one.get(&page).await.expect(200)) };
        for (choice, kept) in [("saved", "unknown"), ("mine", "yes")] {
            let mine = stale().await.with(&[("risk.ckd", "yes"), ("risk.diabetes_type", "type_2")]);
            fill(&two, &page, &[("risk.ckd", "unknown"), ("risk.esrd", "no")]).await.expect(303);
            let both = mine.send(&one, &page).await;
            let text = &both.expect(409).text;
            assert!(text.contains("Do you have chronic kidney disease?") && text.contains("I don&#x27;t know") && text.contains("Yes"), "{text}");
            assert_eq!(stored(&ann, &form).await["risk"]["ckd"], "unknown", "nothing is saved yet");
            let chosen = FilledForm::of(&both).with(&[("take.risk.ckd", choice)]).send(&one, &page).await;
            chosen.expect(303);
            let now = stored(&ann, &form).await;
            assert_eq!((&now["risk"]["ckd"], &now["risk"]["diabetes_type"]), (&json!(kept), &json!("type_2")), "{choice}");
            assert_eq!(now["risk"]["esrd"], "no", "{choice}: what the other page alone has changed stays");
            fill(&one, &page, &[("risk.ckd", "no"), ("risk.diabetes_type", ""), ("risk.esrd", "")]).await.expect(303);
        }
        // Nor does a page that was refused, or one that the script saves.
        let page = format!("{form}/symptoms");
        let stale = FilledForm::of(one.get(&page).await.expect(200));
        let aside = FilledForm::of(one.get(&page).await.expect(200)).with(&[("autosave", "1"), ("symptoms.relief_with_movement", "yes")]);
        fill(&two, &page, &[("symptoms.worse_at_rest", "yes")]).await.expect(303);
        let refused = stale.with(&[("symptoms.days_per_week_untreated", "often")]).send(&one, &page).await;
        let mended = FilledForm::of(refused.expect(422)).with(&[("symptoms.days_per_week_untreated", "3")]);
        mended.send(&one, &page).await.expect(303);
        let base = aside.send(&one, &page).await.expect(200).string("/base");
        aside.with(&[("base", &base), ("autosave", "")]).send(&one, &page).await.expect(303);
        let expected = json!({"worse_at_rest": "yes", "relief_with_movement": "yes", "days_per_week_untreated": 3});
        assert_eq!(stored(&ann, &form).await["symptoms"], expected);
    }

    async fn the_script_saves_aside_and_learns_what_must_be_read_at_once(app: App) {
        app.clinic().await;
        let (visitor, ann, form) = draft(&app).await;
        let page = format!("{form}/safety");
        let fields = FilledForm::of(visitor.get(&page).await.expect(200)).with(&[("autosave", "1"), ("safety.chest_pain_breathlessness", "yes")]);
        let reply = fields.send(&visitor, &page).await;
        assert_eq!((reply.expect(200).header("cache-control"), reply.header("content-type")), ("no-store", "application/json"));
        assert_eq!(reply.body["base"], json!({"safety.chest_pain_breathlessness": "yes"}).to_string());
        assert_eq!((&reply.body["notices"][0]["urgent"], &reply.body["notices"][0]["parts"][1]["number"]), (&json!(true), &json!("911")));
        assert_eq!(stored(&ann, &form).await, json!({"safety": {"chest_pain_breathlessness": "yes"}}));
        // What the script cannot save is left to the button.
        let symptoms = format!("{form}/symptoms");
        let half = FilledForm::of(visitor.get(&symptoms).await.expect(200)).with(&[("autosave", "1"), ("symptoms.symptom_onset_date.year", "20")]);
        half.send(&visitor, &symptoms).await.expect(422);
        let base = [("base", "{}"), ("safety.chest_pain_breathlessness", "no")];
        fields.with(&base).send(&visitor, &page).await.expect(409);
        assert_eq!(stored(&ann, &form).await, json!({"safety": {"chest_pain_breathlessness": "yes"}}));
    }

    async fn the_entries_of_a_list_have_pages_of_their_own(app: App) {
        let (visitor, ann, form) = draft(&app).await;
        let page = format!("{form}/medications");
        let saved = fill(&visitor, &page, &[("medications_status", "listed"), ("allergies_status", "none")]).await;
        assert_eq!(led_to(&saved), format!("{page}?open=more&lang=en"));
        let listed = visitor.get(&page).await;
        let add = FilledForm::of(&listed).with(&[("go", "medications/new")]).send(&visitor, &page).await;
        let new = format!("{page}/medications/new");
        assert_eq!(led_to(&add), format!("{new}?lang=en"));
        let blank = visitor.get(&new).await;
        assert!(!blank.expect(200).text.contains("RxNorm"), "{}", blank.text);
        let wrong = FilledForm::of(&blank).with(&[("medications.name", "Pramipexole"), ("medications.dose", "much")]).send(&visitor, &new).await;
        assert!(wrong.expect(422).text.contains("value=\"Pramipexole\"") && wrong.text.contains("value=\"much\""), "{}", wrong.text);
        let mended = FilledForm::of(&wrong).with(&[("medications.dose", "0.25"), ("medications.unit", "mg"), ("medications.status", "stopped")]);
        let first = format!("{page}/medications/0");
        assert_eq!(led_to(&mended.send(&visitor, &new).await), format!("{first}?open=1&lang=en"), "it was stopped: since when, and why?");
        assert_eq!(led_to(&mended.send(&visitor, &new).await), format!("{first}?open=1&lang=en"), "sent twice");
        let saved = fill(&visitor, &first, &[("medications.stopped_on.year", "2024")]).await;
        assert_eq!(led_to(&saved), format!("{page}?lang=en"));
        let one = json!({"name": "Pramipexole", "dose": 0.25, "unit": "mg", "status": "stopped", "stopped_on": "2024"});
        assert_eq!(stored(&ann, &form).await["medications"], json!([one]));
        // It asks about what such a medicine can do.
        assert!(visitor.get(&form).await.text.contains("Urges that are new or stronger"));
        // Another page changes the entry; both can be kept.
        let stale = FilledForm::of(visitor.get(&first).await.expect(200)).with(&[("medications.dose", "0.5")]);
        fill(&visitor, &first, &[("medications.dose", "0.75")]).await.expect(303);
        let differs = stale.send(&visitor, &first).await;
        assert!(differs.expect(409).text.contains("0.5 mg") && differs.text.contains("0.75 mg"), "{}", differs.text);
        FilledForm::of(&differs).with(&[("take.medications", "both")]).send(&visitor, &first).await.expect(303);
        let doses = |answers: &Value| answers["medications"].as_array().map(|all| all.iter().map(|one| one["dose"].clone()).collect::<Vec<_>>());
        assert_eq!(doses(&stored(&ann, &form).await), Some(vec![json!(0.75), json!(0.5)]));
        FilledForm::of(visitor.get(&first).await.expect(200)).with(&[("drop", "yes")]).send(&visitor, &first).await.expect(303);
        assert_eq!(doses(&stored(&ann, &form).await), Some(vec![json!(0.5)]));
        visitor.get(&format!("{page}/medications/7")).await.expect(404);
        visitor.get(&format!("{page}/nothing/0")).await.expect(404);
    }

    async fn the_forms_of_others_do_not_exist_on_any_page(app: App) {
        let (ann, client, form) = draft(&app).await;
        let page = FilledForm::of(ann.get(&format!("{form}/risk")).await.expect(200));
        app.patient("bob").await;
        let bob = Visitor::signed_in(app.anon(), "bob@patients.example").await;
        for path in [String::new(), "/risk".into(), "/check".into(), "/notices".into(), "/medications/medications/new".into()] {
            let reply = bob.get(&format!("{form}{path}")).await;
            assert!(reply.expect(404).text.contains("We cannot find this"), "{path}: {}", reply.text);
        }
        let account = FilledForm::of(bob.get("/account").await.expect(200));
        let token = account.value("form_token").expect("a token");
        for path in ["/risk", "/check", "/medications/medications/new"] {
            bob.post(&format!("{form}{path}"), &[("form_token", token), ("asked", "risk.ckd"), ("risk.ckd", "yes")]).await.expect(404);
        }
        // The form of another session, and none at all.
        bob.post(&format!("{form}/risk"), &[("form_token", page.value("form_token").expect("a token"))]).await.expect(403);
        let nobody = Visitor::new(app.anon());
        let to = nobody.get(&format!("{form}/risk")).await;
        assert_eq!(to.expect(303).header("location"), format!("../../sign-in?next={}&lang=en", format!("{form}/risk").trim_start_matches('/').replace('/', "%2F")));
        let ended = page.with(&[("risk.ckd", "yes")]).send(&nobody, &format!("{form}/risk")).await;
        assert!(ended.expect(401).text.contains("Please sign in again"), "{}", ended.text);
        let symptoms = FilledForm::of(ann.get(&format!("{form}/symptoms")).await.expect(200));
        let ended = symptoms.with(&[("symptoms.childs_own_words", "like ants in my legs")]).send(&nobody, &format!("{form}/symptoms")).await;
        assert!(ended.expect(401).text.contains(">like ants in my legs</textarea>"), "{}", ended.text);
        assert_eq!(stored(&client, &form).await, json!({}));
    }

    async fn a_guardian_answers_for_a_minor_and_does_not_see_what_is_private(app: App) {
        let (client, tim) = rosa(&app).await;
        let path = begin(&client, &tim).await.location();
        let form = path.replace("/v1/intakes", "/forms");
        let doctor = app.doctor().await;
        save(&doctor, &path, json!({"substances": {"nicotine": "current"}, "safety": {"self_harm_thoughts": "unknown"}})).await;
        let visitor = Visitor::new(app.anon());
        visitor.post("/sign-in", &[("email", "rosa@example.org"), ("password", FAMILY_PASSWORD)]).await.expect(303);
        for subject in ["safety", "risk", "substances"] {
            let page = visitor.get(&format!("{form}/{subject}")).await;
            assert!(page.expect(200).text.contains("Tim Example"), "{}", page.text);
            for private in ["self_harm", "risk.pregnancy_status", "risk.breastfeeding", "substances.nicotine", "alcohol_drinks", "988"] {
                assert!(!page.text.contains(private), "{private}: {}", page.text);
            }
        }
        let (_, safety) = ANSWERS[0];
        let answers: Vec<_> = safety.iter().copied().filter(|(name, _)| !name.contains("self_harm")).collect();
        let saved = fill(&visitor, &format!("{form}/safety"), &answers).await;
        assert_eq!(led_to(&saved), format!("{form}/symptoms?lang=en"));
        let symptoms = visitor.get(&format!("{form}/symptoms")).await;
        assert!(symptoms.expect(200).text.contains("childs_own_words"), "{}", symptoms.text);
        // A made-up field is not stored.
        let page = FilledForm::of(visitor.get(&format!("{form}/substances")).await.expect(200));
        let tried = page.with(&[("asked", "substances.nicotine"), ("substances.nicotine", "never")]).send(&visitor, &format!("{form}/substances")).await;
        tried.expect(422);
        for (subject, answers) in &ANSWERS[1..] {
            // A child has had it for a shorter time.
            let answers: Vec<_> = answers.iter().map(|(name, text)| (*name, if *text == "2009" { "2024" } else { *text })).collect();
            fill(&visitor, &format!("{form}/{subject}"), &answers).await.expect(303);
        }
        let check = format!("{form}/check");
        let shown = visitor.get(&check).await;
        assert!(!shown.expect(200).text.contains("tobacco"), "{}", shown.text);
        assert_eq!(led_to(&FilledForm::of(&shown).send(&visitor, &check).await), format!("{form}?sent=1&lang=en"));
        assert_eq!(doctor.get(&path).await.body["answers"]["substances"]["nicotine"], "current");
    }

    async fn last_years_answers_about_health_and_medicines_are_offered_to_copy(app: App) {
        let ann = app.patient("ann").await;
        app.clock.advance(jiff::SignedDuration::from_hours(24 * 100));
        let before = submitted(&ann, &ann.patient_id, patients_example()).await;
        app.clock.advance(jiff::SignedDuration::from_hours(24 * 300));
        let clinic = app.clinic().await;
        let visit = book_nth(&ann, &clinic.check, 10, &ann.patient_id).await.body;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let form = begun(&visitor, &visit).await;
        let copied = stored(&ann, &form).await;
        assert_eq!(copied["medications"][0]["name"], patients_example()["medications"][0]["name"]);
        assert_eq!(copied.get("safety"), None);
        let overview = visitor.get(&form).await;
        assert!(overview.expect(200).text.contains("Your earlier answers about health and medicines are filled in"), "{}", overview.text);
        // A second start leads to the same draft.
        assert_eq!(led_to(&visitor.get(&format!("/visits/{}/history", id(&visit))).await), format!("{form}?lang=en"));
        assert_ne!(before.replace("/v1/intakes", "/forms"), form);
    }

    async fn the_follow_up_is_answered_by_the_same_pages(app: App) {
        let ann = app.patient("ann").await;
        let begun = ann.post(&format!("/v1/patients/{}/intakes", ann.patient_id), json!({"form": "rls-follow-up"})).await;
        let form = begun.expect(201).location().replace("/v1/intakes", "/forms");
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let overview = visitor.get(&format!("{form}?lang=es")).await;
        assert!(overview.expect(200).text.contains("Desde su última visita"), "{}", overview.text);
        let severity = [("symptoms.severity_0_10", "4")];
        assert_eq!(led_to(&fill(&visitor, &format!("{form}/symptoms"), &severity).await), format!("{form}/follow_up?lang=es"));
        let rest = [("follow_up.change", "same"), ("follow_up.augmentation", "no"), ("follow_up.urges", "no"), ("follow_up.has_side_effects", "no")];
        assert_eq!(led_to(&fill(&visitor, &format!("{form}/follow_up"), &rest).await), format!("{form}/check?lang=es"));
        let check = format!("{form}/check");
        FilledForm::of(visitor.get(&check).await.expect(200)).send(&visitor, &check).await.expect(303);
        assert_eq!(ann.get(&form.replace("/forms", "/v1/intakes")).await.string("/status"), "completed");
    }
}

#[test]
fn nothing_is_asked_in_the_registration_and_again_in_the_history() {
    let document: Value = serde_json::from_str(include_str!("../../openapi/openapi.json")).expect("JSON");
    let registered = document["components"]["schemas"]["NewPatient"]["properties"].as_object().expect("members");
    let fields = rls::FormName::History.fields();
    let twice: Vec<_> =
        fields.iter().map(rls::form_dsl::Field::name).filter(|name| registered.contains_key(*name)).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(registered.contains_key("date_of_birth"));
}
