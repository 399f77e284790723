//! Row 19: forms of pages that are refused and shown again, with the data from which they were drawn.

use serde_json::{Value, json};

use crate::support::audit::stored;
use crate::support::booking::book_nth;
use crate::support::filled_form::FilledForm;
use crate::support::intakes::begin;
use crate::support::people::patient_json;
use crate::support::visitor::Visitor;
use crate::support::{App, Reply, both, id};

/// The event of a response, if it has one.
async fn event(app: &App, reply: &Reply) -> Option<Value> {
    stored(app).await;
    let events = app.admin().await.get("/v1/audit-events?limit=200").await.items();
    let request = reply.header("x-request-id");
    events.into_iter().find(|event| event["request_id"] == request)
}

both! {
    async fn row_19_a_refused_form_that_shows_a_record_again_has_the_event_of_a_read(app: App) {
        let (clinic, ann, desk) = (app.clinic().await, app.patient("ann").await, app.desk().await);
        let form = begin(&ann, &ann.patient_id).await.location().replace("/v1/intakes", "/forms");
        let patient = Visitor::signed_in(app.anon(), &ann.email).await;
        let check = format!("{form}/check");
        let symptoms = format!("{form}/symptoms");
        let unsendable = FilledForm::of(patient.get(&check).await.expect(200)).send(&patient, &check).await;
        let wrong = [("symptoms.symptom_onset_date.year", "09")];
        let unreadable = FilledForm::of(patient.get(&symptoms).await.expect(200)).with(&wrong).send(&patient, &symptoms).await;
        for refused in [unsendable.expect(422), unreadable.expect(422)] {
            let event = event(&app, refused).await.expect("an event");
            let facts = (&event["operation"], &event["outcome"], &event["patient_id"]);
            assert_eq!(facts, (&json!("get_intake"), &json!("success"), &json!(ann.patient_id)));
        }
        let stale = FilledForm::of(patient.get(&check).await.expect(200)).with(&[("version", "0")]).send(&patient, &check).await;
        assert_eq!(event(&app, stale.expect(412)).await.expect("an event")["operation"], "get_intake");

        let visit = book_nth(&desk, &clinic.check, 5, &ann.patient_id).await.body;
        let clerk = Visitor::signed_in(app.anon(), "desk@clinic.example").await;
        let cancel = format!("/visits/{}/cancel", id(&visit));
        let long = "because ".repeat(80);
        let refused = FilledForm::of(clerk.get(&cancel).await.expect(200)).with(&[("reason", long.as_str())]).send(&clerk, &cancel).await;
        let read = event(&app, refused.expect(422)).await.expect("an event");
        assert_eq!((&read["operation"], &read["patient_id"]), (&json!("get_appointment"), &json!(ann.patient_id)));
        // A form that shows nobody has none.
        let empty = FilledForm::to(&clerk.get("/desk/patients/new").await, "patients/new").send(&clerk, "/desk/patients/new").await;
        assert_eq!(event(&app, empty.expect(422)).await, None);
    }

    async fn row_19_a_registration_at_the_desk_names_only_those_whom_it_shows(app: App) {
        app.clinic().await;
        let desk = app.desk().await;
        let known = desk.post("/v1/patients", patient_json("Vera", "vera@patients.example")).await.expect(201).id();
        let born = desk.get(&format!("/v1/patients/{known}")).await.string("/date_of_birth");
        let (year, rest) = born.split_once('-').expect("a date");
        let (month, day) = rest.split_once('-').expect("a date");
        app.clock.advance(jiff::SignedDuration::from_mins(5));
        let clerk = Visitor::signed_in(app.anon(), "desk@clinic.example").await;
        let form = FilledForm::to(&clerk.get("/desk/patients/new").await, "patients/new");
        let date = format!("{year}-{month}-{day}");
        let same_day = [
            ("family_name", "Unrelated"), ("given_name", "Una"), ("date_of_birth", date.as_str()),
            ("administrative_sex", "female"), ("phone", "(202) 555-0177"),
        ];
        let created = form.with(&same_day).send(&clerk, "/desk/patients/new").await;
        let created = event(&app, created.expect(303)).await.expect("an event");
        assert_eq!((&created["operation"], &created["shown_patient_ids"]), (&json!("create_patient"), &json!([])));
        let form = FilledForm::to(&clerk.get("/desk/patients/new").await, "patients/new");
        let asked = form.with(&same_day).with(&[("given_name", "Vera")]).send(&clerk, "/desk/patients/new").await;
        let asked = event(&app, asked.expect(409)).await.expect("an event");
        assert_eq!((&asked["operation"], &asked["patient_id"]), (&json!("list_patients"), &json!(known)));
    }
}
