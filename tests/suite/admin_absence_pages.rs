//! The pages of administrators for the time off of practitioners, and for rooms, devices and chairs.

use serde_json::json;

use crate::admin_upkeep_pages::{administrator, says};
use crate::support::booking::book_nth;
use crate::support::filled_form::{FilledForm, led_to};
use crate::support::{App, both, id};

both! {
    async fn an_administrator_adds_and_deletes_time_off_and_extra_hours(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        book_nth(&app.desk().await, &clinic.check, 0, &app.patient("ann").await.patient_id).await;
        let visitor = administrator(&app).await;
        let practitioner = format!("/admin/practitioners/{}", clinic.practitioner_id);
        says(visitor.get(&format!("{practitioner}?lang=en")).await.expect(200), &["Time off and extra hours"]);
        let path = format!("{practitioner}/time-off");
        let page = visitor.get(&format!("{path}?lang=es")).await;
        says(page.expect(200), &["Ausencias y horas extra: Dr. Ada Vein", "Ninguna próxima."]);
        let page = visitor.get(&format!("{path}?lang=en")).await;
        let form = FilledForm::to(&page, "/time-off");
        let wrong = form.clone().with(&[("day", "2026-03-02"), ("last_day", "2026-03-01")]).send(&visitor, &path).await;
        says(wrong.expect(422), &["Last day: The end must be after the start.", "Reason: Please fill this in."]);
        let away = form.clone().with(&[("day", "2026-03-02"), ("last_day", "2026-03-03"), ("reason", "Ill <b>")]);
        for _ in 0..2 {
            assert_eq!(led_to(&away.send(&visitor, &path).await), format!("{path}?did=saved&affected=1&lang=en"));
        }
        let stored = admin.get(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id)).await.items();
        assert_eq!((stored.len(), &stored[0]["starts_at"], &stored[0]["ends_at"]), (1, &json!("2026-03-02T05:00:00Z"), &json!("2026-03-04T05:00:00Z")));
        let page = visitor.get(&format!("{path}?did=saved&affected=1&lang=en")).await;
        says(page.expect(200), &["Monday, March 2, 2026 – Tuesday, March 3, 2026", "Ill <b>", "Affected visits", "affects: 1"]);
        says(visitor.get(&format!("/desk/time-off/{}", id(&stored[0]))).await.expect(200), &["1 booked visit is affected", "ann Tester"]);
        // Extra hours need a place.
        let extra = FilledForm::to(&page, "practitioners/").with(&[
            ("kind", "extra_hours"), ("day", "2026-03-07"), ("from", "10:00"), ("to", "12:30"), ("reason", "Many wait"),
        ]);
        let wrong = extra.send(&visitor, &path).await;
        says(wrong.expect(422), &["Place: Please fill this in."]);
        let extra = FilledForm::to(&wrong, "practitioners/").with(&[("location_id", &clinic.location_id)]);
        led_to(&extra.send(&visitor, &path).await);
        let page = visitor.get(&format!("{path}?lang=en")).await;
        says(page.expect(200), &["Extra hours</strong>, Main Street", "Saturday, March 7, 2026, 10:00 AM – 12:30 PM"]);
        let delete = format!("/admin/time-off/{}/delete", id(&stored[0]));
        for _ in 0..2 {
            let gone = visitor.submit(&page, &delete, &[("practitioner", &clinic.practitioner_id)]).await;
            assert!(led_to(&gone).starts_with(&format!("{path}?did=saved")), "{}", led_to(&gone));
        }
        assert_eq!(admin.get(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id)).await.items().len(), 1);
    }

    async fn an_administrator_sets_up_what_a_visit_needs(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        let visitor = administrator(&app).await;
        let units = format!("units.{}", clinic.location_id);
        let page = visitor.get("/admin/resources/new?lang=en").await;
        says(page.expect(200), &["Main Street", "How many each place has"]);
        let form = FilledForm::to(&page, "/resources/new").with(&[("name", "Chair <b>"), (&units, "many")]);
        let wrong = form.send(&visitor, "/admin/resources/new").await;
        says(wrong.expect(422), &["How many (0 to 50): Please check this number.", "value=\"Chair <b>\"", "value=\"many\""]);
        let form = FilledForm::to(&wrong, "/resources/new").with(&[(&units, "2")]);
        for _ in 0..2 {
            assert_eq!(led_to(&form.send(&visitor, "/admin/resources/new").await), "/admin/resources?did=saved&lang=en");
        }
        let all = admin.get("/v1/resources").await.items();
        let expected = json!([{"location_id": clinic.location_id, "units": 2}]);
        assert_eq!((all.len(), &all[0]["name"], &all[0]["capacities"]), (1, &json!("Chair <b>"), &expected));
        says(visitor.get("/admin/resources?lang=es").await.expect(200), &["Chair <b>", "Main Street: 2", "Salas, aparatos y sillones"]);
        let path = format!("/admin/resources/{}", id(&all[0]));
        let old = FilledForm::to(&visitor.get(&format!("{path}?lang=en")).await, &path).with(&[(&units, "3")]);
        admin.update(&path.replace("/admin", "/v1"), json!({"name": "Chairs"})).await.expect(200);
        let stale = old.send(&visitor, &path).await;
        says(stale.expect(412), &["Stored now: “Chairs”; Main Street: 2.", "value=\"3\"", "value=\"Chair <b>\""]);
        let last = FilledForm::to(&stale, &path);
        for _ in 0..2 {
            assert_eq!(led_to(&last.send(&visitor, &path).await), "/admin/resources?did=saved&lang=en");
        }
        assert_eq!(admin.get("/v1/resources").await.items()[0]["capacities"][0]["units"], 3);
        // A kind of visit that needs it.
        let kind = format!("/admin/visit-types/{}", clinic.check);
        let page = visitor.get(&format!("{kind}?lang=en")).await;
        let needs = FilledForm::to(&page, &kind).with(&[("resource_ids", id(&all[0]))]);
        assert_eq!(led_to(&needs.send(&visitor, &kind).await), "/admin/visit-types?did=saved&lang=en");
        assert_eq!(app.anon().get(&format!("/v1/visit-types/{}", clinic.check)).await.body["resource_ids"], json!([id(&all[0])]));
        for page in ["/admin/resources/0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "/admin/resources/x", "/admin/practitioners/x/time-off"] {
            visitor.get(page).await.expect(404);
        }
    }
}
