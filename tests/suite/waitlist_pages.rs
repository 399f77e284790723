//! Offers of the waitlist on the pages of a signed-in patient.

use jiff::SignedDuration;
use serde_json::json;

use crate::support::booking::book_nth;
use crate::support::browser::{Browser, on_a_phone};
use crate::support::clinic::free_slots;
use crate::support::filled_form::led_to;
use crate::support::people::PASSWORD;
use crate::support::visitor::{Visitor, in_spanish, plain};
use crate::support::{App, both, id};
use crate::waitlist_offers::{offers, run, wait_for};

const ANN: &str = "ann@patients.example";

both! {
    async fn a_patient_takes_an_offered_time_on_the_page_of_the_visits(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let slot = free_slots(&desk, &clinic.check).await[60].clone();
        wait_for(&ann, &ann.patient_id, &clinic.check, &slot, json!({})).await;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        assert!(!visitor.get("/visits").await.expect(200).text.contains("We offer you this time"));
        run(&app).await;
        let page = visitor.get("/visits").await;
        let text = plain(&page.expect(200).text);
        for fact in ["We offer you this time:", "Dr. Ada Vein, Main Street", "Please answer until:", ">Take it</button>", ">No, thank you</button>"] {
            assert!(text.contains(fact), "{fact} in {text}");
        }
        in_spanish(&visitor.get("/visits?lang=es").await);
        visitor.get("/visits?lang=en").await.expect(200);
        let offer = id(&offers(&ann, &ann.patient_id).await[0]).to_owned();
        let mut led = Vec::new();
        for _ in 0..2 {
            led.push(led_to(&visitor.submit(&page, &format!("/visits/offers/{offer}/claim"), &[]).await));
        }
        assert_eq!(led[0], led[1], "pressed twice, booked once");
        assert!(visitor.get(&led[0]).await.expect(200).text.contains("Your visit is booked."));
        let visits = ann.get("/v1/appointments").await.items();
        assert_eq!((visits.len(), &visits[0]["starts_at"]), (1, &slot["starts_at"]));
        let late = visitor.submit(&page, &format!("/visits/offers/{offer}/decline"), &[]).await;
        assert!(late.expect(409).text.contains("This offer is over"), "{}", late.text);
    }

    async fn a_patient_declines_one_offer_and_moves_a_visit_by_another_one(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let visit = book_nth(&ann, &clinic.check, 100, &ann.patient_id).await.body;
        let slots = free_slots(&desk, &clinic.check).await;
        let wish = json!({"appointment_id": visit["id"], "to_time": "17:00", "from_time": "09:00"});
        wait_for(&ann, &ann.patient_id, &clinic.check, &slots[60], wish).await;
        run(&app).await;
        let visitor = Visitor::signed_in(app.anon(), ANN).await;
        let page = visitor.get("/visits").await;
        assert!(page.expect(200).text.contains("If you take it, your visit moves there."), "{}", page.text);
        let first = id(&offers(&ann, &ann.patient_id).await[0]).to_owned();
        let declined = led_to(&visitor.submit(&page, &format!("/visits/offers/{first}/decline"), &[]).await);
        let text = plain(&visitor.get(&declined).await.expect(200).text);
        assert!(text.contains("You are still on the waitlist.") && !text.contains("We offer you this time"), "{text}");
        // A day later the same practitioner's times are offered again.
        app.clock.advance(SignedDuration::from_hours(25));
        run(&app).await;
        let open: Vec<_> = offers(&ann, &ann.patient_id).await.into_iter().filter(|one| one["status"] == "offered").collect();
        let page = visitor.get("/visits").await;
        let [second] = open.as_slice() else { panic!("one open offer: {open:?}") };
        let claim = format!("/visits/offers/{}/claim", id(second));
        let moved = visitor.submit(page.expect(200), &claim, &[("moves", "yes")]).await;
        assert!(visitor.get(&led_to(&moved)).await.expect(200).text.contains("Your visit has moved."), "{}", moved.text);
        let visits = ann.get("/v1/appointments").await.items();
        assert_eq!((visits.len(), &visits[0]["starts_at"]), (1, &second["starts_at"]));
    }

    async fn nobody_answers_offers_to_patients_of_others(app: App) {
        let (clinic, desk, ann) = (app.clinic().await, app.desk().await, app.patient("ann").await);
        let slot = free_slots(&desk, &clinic.check).await[60].clone();
        wait_for(&ann, &ann.patient_id, &clinic.check, &slot, json!({})).await;
        run(&app).await;
        let offer = id(&offers(&ann, &ann.patient_id).await[0]).to_owned();
        app.patient("ben").await;
        let other = Visitor::signed_in(app.anon(), "ben@patients.example").await;
        let page = other.get("/visits").await;
        assert!(!page.expect(200).text.contains("We offer you this time"), "{}", page.text);
        for step in ["claim", "decline"] {
            other.submit(&page, &format!("/visits/offers/{offer}/{step}"), &[]).await.expect(404);
        }
    }
}

#[test]
fn the_desk_and_then_the_patient_use_the_waitlist_on_a_phone_without_a_script() {
    on_a_phone(async |app: App, phone: Browser| {
        let clinic = app.clinic().await;
        app.desk().await;
        let ann = app.patient("ann").await;
        phone.without_scripts().await;
        let sign_in = async |page: &str, email: &str| {
            phone.open_page(&format!("{}{page}", app.base)).await;
            phone.fill("E\u{2011}mail address", email).await;
            phone.fill("Password", PASSWORD).await;
            phone.press("Sign in").await;
        };
        let times = format!("/desk/patients/{}/times?visit_type_id={}&wait=yes", ann.patient_id, clinic.check);
        sign_in(&times, "desk@clinic.example").await;
        phone.see("Check, Main Street, with anyone.").await;
        phone.expect_accessible().await;
        phone.press("Put on the waitlist").await;
        phone.see("The patient is on the waitlist.").await;
        phone.expect_accessible().await;
        phone.press("Sign out").await;
        run(&app).await;
        sign_in("/visits?lang=en", ANN).await;
        phone.see("We offer you this time:").await;
        phone.expect_accessible().await;
        phone.press("Take it").await;
        phone.see("Your visit is booked.").await;
        phone.expect_accessible().await;
    });
}
