//! The public name of a visit type in the reader's language.

use serde_json::{Value, json};

use crate::support::people::patient_json;
use crate::support::{App, book, both, id};

both! {
    async fn a_visit_has_the_public_name_of_the_readers_language(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, anon) = (app.admin().await, app.desk().await, app.anon());
        let path = format!("/v1/visit-types/{}", clinic.check);
        assert_eq!(anon.get(&path).await.body["public_name_es"], Value::Null);
        let changed = admin.update(&path, json!({"public_name_es": "Control breve"})).await;
        assert_eq!((&changed.expect(200).body["public_name"], &changed.body["public_name_es"]), (&json!("Check"), &json!("Control breve")));
        admin.update(&path, json!({"public_name_es": "a\nb"})).await.invalid("/public_name_es", "forbidden_character");
        admin.update(&path, json!({"public_name_es": ""})).await.invalid("/public_name_es", "required");
        assert_eq!(anon.get(&path).await.body["public_name_es"], "Control breve");

        let slots = anon.get(&format!("/v1/slots?visit_type_id={}&include=visit_type", clinic.check)).await;
        assert_eq!(slots.body["included"]["visit_types"][0]["public_name_es"], "Control breve");
        let slots = slots.items();
        for (number, (language, own, other)) in [("es", "Control breve", "Check"), ("en", "Check", "Control breve")].into_iter().enumerate() {
            let address = format!("{language}@patients.example");
            let mut body = patient_json(&format!("Reader{number}"), &address);
            (body["preferred_language"], body["phone"]) = (json!(language), json!(format!("+1202555019{number}")));
            let patient = desk.post("/v1/patients", body).await.expect(201).id();
            let visit = book(&desk, &slots[number * 4], &clinic.check, &patient).await;
            let mails = app.mails().await;
            let mail = mails.iter().rev().find(|mail| mail.to == address).expect("a mail");
            assert!(mail.text.contains(own) && !mail.text.contains(other), "{}", mail.text);
            let calendar = desk.get(&format!("/v1/appointments/{}/calendar.ics", id(&visit.expect(201).body))).await;
            assert!(calendar.text.contains(own) && !calendar.text.contains(other), "{}", calendar.text);
        }

        let without = admin.update(&path, json!({"public_name_es": null})).await;
        assert_eq!(without.expect(200).body["public_name_es"], Value::Null);
        let named = json!({"name": "Scan", "public_name": "Visit", "public_name_es": "Cita", "duration_minutes": 15});
        assert_eq!(admin.post("/v1/visit-types", named).await.expect(201).body["public_name_es"], "Cita");
    }
}
