//! The page of times at the desk: the kind of visit with which it begins, and the waitlist if no time suits.

use serde_json::{Value, json};

use crate::support::booking::book_nth;
use crate::support::clinic::{free_slots, location, practitioner};
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::visitor::{at_the_desk, plain};
use crate::support::{App, both};
use crate::waitlist_offers::{run, wait_for};

both! {
    async fn the_page_of_times_begins_with_a_kind_of_visit_and_its_times_also_for_a_known_patient(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visitor = at_the_desk(&app).await;
        let times = format!("/desk/patients/{}/times", ann.patient_id);
        let shown = async |address: &str| plain(&visitor.get(address).await.expect(200).text);
        let is_chosen = |text: &str, kind: &str| text.contains(&format!("aria-current=\"true\">{kind}</a>")) && text.contains("name=\"slot_id\"");
        assert!(is_chosen(&shown(&times).await, "New patient, 60 min"));
        book_nth(&desk, &clinic.new_visit, 20, &ann.patient_id).await.expect(201);
        let text = shown(&times).await;
        assert!(is_chosen(&text, "Follow-up, 30 min"), "after the first kind comes the second one: {text}");
        for before in ["id=\"note\"", "No call is needed: the patient is here"] {
            assert!(text.find(before) < text.find("name=\"slot_id\""), "{before} in {text}");
        }
        // Another kind is one press away, and keeps the day and the time.
        let there = shown(&format!("{times}?date=2026-03-04&time=10%3A00")).await;
        let link = format!("visit_type_id={}&location_id={}&date=2026-03-04&time=10:00", clinic.check, clinic.location_id);
        assert!(there.replace("%3A", ":").contains(&link), "{link} in {there}");
        let visit = book_nth(&desk, &clinic.check, 60, &ann.patient_id).await.expect(201).body.clone();
        assert!(is_chosen(&shown(&times).await, "Check, 15 min"), "the last kind again");
        // A cancelled visit does not count.
        let path = format!("/v1/appointments/{}/cancel", visit["id"].as_str().expect("an id"));
        desk.post(&path, json!({"reason": "ill"})).await.expect(200);
        assert!(is_chosen(&shown(&times).await, "Follow-up, 30 min"));
    }

    async fn the_desk_puts_a_patient_on_the_waitlist_if_no_time_suits(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visitor = at_the_desk(&app).await;
        let card = visitor.get(&format!("/desk/patients/{}", ann.patient_id)).await;
        let link = format!("desk/patients/{}/times?wait=yes#wait", ann.patient_id);
        assert!(plain(&card.expect(200).text).contains(&link) && !card.text.contains("waits for:"), "{}", card.text);
        let times = format!("/desk/patients/{}/times?visit_type_id={}", ann.patient_id, clinic.check);
        assert!(visitor.get(&times).await.expect(200).text.contains("<details id=\"wait\"><summary>"), "closed while there are times");
        let page = visitor.get(&format!("{times}&wait=yes")).await;
        let text = plain(&page.expect(200).text);
        assert!(text.contains("<details id=\"wait\" open>") && text.contains("Check, Main Street, with anyone."), "{text}");
        let path = format!("/desk/patients/{}/wait", ann.patient_id);
        let form = FilledForm::to(&page, "/wait").with(&[("urgency", "soon")]);
        let wrong = form.clone().with(&[("from_date", "2026-04-30"), ("to_date", "2026-03-09")]).send(&visitor, &path).await;
        let text = plain(&wrong.expect(422).text);
        assert!(text.contains("to_date: must not be before from_date.") && text.contains(&format!("{}/times?", ann.patient_id)), "{text}");
        let right = form.with(&[("from_date", "2026-03-09"), ("to_date", "2026-04-30")]);
        let mut led = Vec::new();
        for _ in 0..2 {
            led.push(led_to(&right.send(&visitor, &path).await));
        }
        assert_eq!(led[0], led[1], "pressed twice, entered once");
        let card = visitor.get(&led[0]).await;
        let text = plain(&card.expect(200).text);
        assert!(text.contains("The patient is on the waitlist.") && text.contains("waits for: Check"), "{text}");
        let entries = desk.get(&format!("/v1/waitlist-entries?patient_id={}", ann.patient_id)).await.items();
        let expected = (json!(clinic.check), json!([clinic.location_id]), json!([]), json!("2026-03-09"), json!("2026-04-30"), json!("soon"));
        let member = |name: &str| entries[0][name].clone();
        let stored = ("visit_type_id", "location_ids", "practitioner_ids", "from_date", "to_date", "urgency");
        let stored = (member(stored.0), member(stored.1), member(stored.2), member(stored.3), member(stored.4), member(stored.5));
        assert_eq!((entries.len(), stored), (1, expected));
        let again = right.with(&[("form_key", "another")]).send(&visitor, &path).await;
        assert!(again.expect(409).text.contains("waits for this kind of visit already"), "{}", again.text);
    }

    async fn the_card_of_an_offer_shows_the_telephone_number(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let phone = json!({"phone": "+12025550166"});
        desk.update(&format!("/v1/patients/{}", ann.patient_id), phone).await.expect(200);
        let slot = free_slots(&desk, &clinic.check).await[60].clone();
        wait_for(&desk, &ann.patient_id, &clinic.check, &slot, json!({})).await;
        run(&app).await;
        let page = at_the_desk(&app).await.get("/desk/waitlist").await;
        let text = plain(&page.expect(200).text);
        assert!(text.contains("<a href=\"tel:+12025550166\">(202) 555-0166</a>"), "{text}");
        assert!(text.contains("Withdraw the offer"), "{text}");
        desk.update(&format!("/v1/patients/{}", ann.patient_id), json!({"phone": Value::Null})).await.expect(200);
    }

    async fn the_location_that_the_desk_has_chosen_goes_with_it_from_page_to_page(app: App) {
        let (clinic, admin, ann) = (app.clinic().await, app.admin().await, app.patient("ann").await);
        let second = location(&admin, "Elm Street", "America/New_York").await;
        practitioner(&admin, "Dr. Bo Vessel", &second, &[&clinic.check]).await;
        let visitor = at_the_desk(&app).await;
        let place = format!("place={second}");
        let day = visitor.get(&format!("/desk?location={second}")).await;
        let text = plain(&day.expect(200).text);
        for link in ["desk", "desk/calls", "desk/waitlist", "desk/time-off"] {
            assert!(text.contains(&format!("href=\"{link}?{place}\"")), "{link} in {text}");
        }
        // The menu leads back there, from pages without a location of their own, and after forms.
        for page in [format!("/desk/calls?{place}"), format!("/desk/patients/{}?{place}", ann.patient_id), format!("/desk/waitlist?{place}")] {
            let text = plain(&visitor.get(&page).await.expect(200).text);
            assert_eq!(text.matches(&format!("desk?{place}\"")).count(), 2, "{page}: {text}");
        }
        let back = visitor.get(&format!("/desk?{place}")).await;
        assert!(back.expect(200).text.contains("Elm Street</h1>"), "{}", back.text);
        let found = visitor.submit(&back, "/desk/patients", &[("q", "ann")]).await;
        assert!(plain(&found.expect(200).text).contains(&place), "{}", found.text);
        let times = visitor.get(&format!("/desk/patients/{}/times?{place}", ann.patient_id)).await;
        let text = plain(&times.expect(200).text);
        assert!(text.contains("Dr. Bo Vessel, Monday, March 2, Elm Street") && !text.contains("Dr. Ada Vein, Monday"), "{text}");
        let slot = text.split("name=\"slot_id\" value=\"").nth(1).expect("a time")[..36].to_owned();
        let booked = FilledForm::to(&times, "/visits").with(&[("slot_id", &slot)]);
        let visit = led_to(&booked.send(&visitor, &format!("/desk/patients/{}/visits", ann.patient_id)).await);
        assert!(visit.contains(&place), "{visit}");
        // Anything but an id of a location is left out.
        let odd = visitor.get("/desk/calls?place=%22%3E%3Cb%3E").await;
        assert!(!odd.expect(200).text.contains("desk?place="), "{}", odd.text);
    }
}
