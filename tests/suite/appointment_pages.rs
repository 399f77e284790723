//! The page of an appointment, in a real browser with the screen of a phone: confirming and moving.

use serde_json::{Value, json};

use crate::pages::{booked, status};
use crate::support::App;
use crate::support::booking::path;
use crate::support::browser::{Browser, on_a_phone};

async fn seen_by_staff(app: &App, appointment: &Value) -> Value {
    app.desk().await.get(&path(appointment, "")).await.body
}

#[test]
fn a_patient_confirms_and_moves_a_visit_with_the_link_and_opening_it_changes_nothing() {
    on_a_phone(async |app: App, phone: Browser| {
        let (appointment, link) = booked(&app).await;
        phone.open_page(&link).await;
        phone.see("Dr. Ada Vein").await;
        phone.reload().await;
        phone.see("Yes, I will come").await;
        phone.expect_accessible().await;
        assert_eq!(seen_by_staff(&app, &appointment).await["confirmed_at"], Value::Null);
        phone.press("Yes, I will come").await;
        phone.see("Confirmed. Thank you").await;
        phone.expect_accessible().await;
        assert_ne!(seen_by_staff(&app, &appointment).await["confirmed_at"], Value::Null);

        phone.press("Choose another time …").await;
        phone.see("These times are free").await;
        assert_eq!(phone.focus().await, "Monday, March 2");
        phone.expect_accessible().await;
        phone.press("Choose a different date").await;
        phone.see("Choose a date").await;
        assert_eq!(phone.focus().await, "Choose a date");
        phone.expect_accessible().await;
        phone.press("Later dates").await;
        phone.see("Choose a date").await;
        phone.press("Keep my time").await;
        phone.see("Confirmed. Thank you").await;

        phone.press("Choose another time …").await;
        phone.see("These times are free").await;
        phone.press("Choose a different date").await;
        phone.see("Choose a date").await;
        let day = phone.run("return document.querySelectorAll('[data-days] button')[1].innerText").await;
        let day = day.as_str().expect("a day");
        phone.press(day).await;
        phone.see("These times are free").await;
        assert!(day.starts_with(&phone.focus().await), "{day}");
        phone.press("10:00 AM").await;
        phone.see("Move your appointment?").await;
        assert_eq!(phone.focus().await, "Move your appointment?");
        phone.expect_accessible().await;
        assert_eq!(
            seen_by_staff(&app, &appointment).await["starts_at"],
            appointment["starts_at"],
            "only the button moves it"
        );
        phone.press("Yes, move it").await;
        phone.see("Your appointment has moved.").await;
        phone.see("10:00 AM").await;
        phone.see("Yes, I will come").await;
        phone.expect_accessible().await;
        let moved = seen_by_staff(&app, &appointment).await;
        assert_ne!(moved["starts_at"], appointment["starts_at"]);
        assert_eq!(moved["confirmed_at"], Value::Null);
        // The link of the first mail leads to the moved visit, in both languages.
        phone.reload().await;
        phone.press("Español").await;
        phone.see("Sí, asistiré").await;
        phone.press("Elegir otra hora…").await;
        phone.see("Estas horas están libres").await;
        phone.expect_accessible().await;
        phone.press("Elegir otra fecha").await;
        phone.see("Elija una fecha").await;
    });
}

#[test]
fn a_time_that_was_just_taken_and_a_visit_that_was_cancelled_meanwhile_are_explained() {
    on_a_phone(async |app: App, phone: Browser| {
        let (appointment, link) = booked(&app).await;
        phone.open_page(&link).await;
        phone.press("Choose another time …").await;
        phone.see("These times are free").await;
        phone.run("document.querySelector('[data-times] button').click()").await;
        phone.see("Move your appointment?").await;
        let first = format!(
            "/v1/slots?visit_type_id={}&practitioner_id={}&limit=1",
            appointment["visit_type_id"].as_str().expect("an id"),
            appointment["practitioner_id"].as_str().expect("an id"),
        );
        let desk = app.desk().await;
        let slot = desk.get(&first).await.items()[0]["id"].clone();
        let block = format!("/v1/slots/{}/block", slot.as_str().expect("an id"));
        desk.post(&block, json!({"reason": "a call"})).await.expect(200);
        phone.press("Yes, move it").await;
        phone.see("This time is not possible").await;
        assert_eq!(phone.focus().await, "This time is not possible");
        phone.expect_accessible().await;
        phone.press("Choose another time …").await;
        phone.see("These times are free").await;
        phone.run("document.querySelector('[data-times] button').click()").await;
        phone.see("Move your appointment?").await;
        desk.post(&path(&appointment, "/cancel"), json!({"reason": "ill"})).await.expect(200);
        phone.press("Yes, move it").await;
        phone.see("This appointment is cancelled").await;
        assert_eq!(status(&app, &appointment).await, "cancelled");
    });
}

#[test]
fn without_free_times_the_page_names_the_telephone_number() {
    on_a_phone(async |app: App, phone: Browser| {
        let (appointment, link) = booked(&app).await;
        phone.open_page(&link).await;
        phone.see("Choose another time …").await;
        let types = format!("/v1/visit-types/{}", appointment["visit_type_id"].as_str().expect("a type"));
        app.admin().await.update(&types, json!({"active": false})).await.expect(200);
        phone.press("Choose another time …").await;
        phone.see("There are no free times here now").await;
        phone.see("(202) 555-0100").await;
        phone.expect_accessible().await;
        phone.press("Back to my appointment").await;
        phone.see("Dr. Ada Vein").await;
    });
}
