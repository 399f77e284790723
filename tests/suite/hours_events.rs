//! Events of changed hours.

use serde_json::{Value, json};

use crate::events::{read_all, types, until_seen};
use crate::support::{App, both};

both! {
    async fn a_change_of_hours_has_one_event(app: App) {
        let (clinic, admin) = (app.clinic().await, app.admin().await);
        app.patient("ann").await;
        let desk = app.desk().await;
        until_seen(&desk, "patient.created").await;
        let after = desk.get("/v1/events?limit=1").await.body["newest_seq"].as_i64().expect("a number");
        let hours = format!("/v1/practitioners/{}", clinic.practitioner_id);
        let (etag, rules) = {
            let read = admin.get(&format!("{hours}/availability")).await;
            (read.etag(), json!({"items": read.expect(200).body["items"]}))
        };
        admin.put(&format!("{hours}/availability"), &etag, rules).await.expect(200);
        let off = json!({"kind": "time_off", "starts_at": "2026-03-09T04:00:00Z", "ends_at": "2026-03-10T04:00:00Z", "reason": "Ill"});
        let added = desk.post(&format!("{hours}/exceptions"), off).await.expect(201).id();
        desk.delete(&format!("/v1/exceptions/{added}")).await.expect(200);
        let closures = format!("/v1/locations/{}/closures", clinic.location_id);
        let closure = |name: &str| json!({"closures": [{"date": "2026-05-25", "name": name}]});
        let closed = admin.post(&closures, closure("Memorial Day")).await.expect(200).body["items"][0]["id"].clone();
        admin.post(&closures, closure("Decoration Day")).await.expect(200);
        admin.delete(&format!("/v1/closures/{}", closed.as_str().expect("an id"))).await.expect(204);
        until_seen(&desk, "closure.deleted").await;

        let (found, _) = read_all(&desk, after, "").await;
        assert_eq!(types(&found), [
            "availability.updated", "exception.created", "exception.deleted", "closure.created", "closure.updated", "closure.deleted",
        ], "and none for each slot");
        let (practitioner, location) = (json!(clinic.practitioner_id), json!(clinic.location_id));
        let routing = |event: &Value| [event["subject_id"].clone(), event["practitioner_id"].clone(), event["location_id"].clone()];
        assert_eq!(routing(&found[0]), [practitioner.clone(), practitioner.clone(), Value::Null]);
        for event in &found[1..3] {
            assert_eq!(routing(event), [json!(added), practitioner.clone(), Value::Null]);
        }
        for event in &found[3..] {
            assert_eq!(routing(event), [closed.clone(), Value::Null, location.clone()]);
        }
        assert!(found.iter().all(|event| event["patient_id"].is_null() && event["occurred_at"].is_string()));
        assert!(!json!(found).to_string().contains("Day"));
    }
}
