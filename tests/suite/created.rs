//! What a `Location` names can be read, by those who may see it.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::json;

use crate::support::clinic::free_slots;
use crate::support::{App, Client, Reply, both};

/// Reads what was created, as its creator: it is the object of the response.
async fn read_again(client: &Client, created: &Reply) -> String {
    let path = created.expect(201).location();
    assert_eq!(client.get(&path).await.expect(200).body, created.body, "{path}");
    path
}

both! {
    async fn a_hold_is_read_by_its_account_until_it_lapses(app: App) {
        let clinic = app.clinic().await;
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let slot = free_slots(&ann, &clinic.check).await[3]["id"].as_str().expect("an id").to_owned();
        let hold = ann.post(&format!("/v1/slots/{slot}/hold"), json!({"visit_type_id": clinic.check})).await;
        let path = read_again(&ann, &hold).await;
        assert_eq!(path, format!("/v1/holds/{}", hold.id()));
        for other in [&bob.client, &app.desk().await, &app.admin().await] {
            other.get(&path).await.problem(404, "not_found");
        }
        let renewed = ann.post_empty(&format!("{path}/renew")).await;
        assert_eq!(ann.get(&path).await.body, renewed.expect(200).body);
        app.clock.advance(SignedDuration::from_mins(11));
        ann.get(&path).await.problem(404, "not_found");
    }

    async fn closures_and_exceptions_are_read_by_staff(app: App) {
        let clinic = app.clinic().await;
        let (admin, desk, doctor, ann) = (app.admin().await, app.desk().await, app.doctor().await, app.patient("ann").await);
        let off = json!({"kind": "time_off", "starts_at": "2026-05-04T04:00:00Z", "ends_at": "2026-05-05T04:00:00Z", "reason": "Ill"});
        let added = doctor.post(&format!("/v1/practitioners/{}/exceptions", clinic.practitioner_id), off).await;
        let exception = added.expect(201).location();
        for reader in [&admin, &desk, &doctor] {
            assert_eq!(reader.get(&exception).await.expect(200).body["reason"], "Ill");
        }
        let body = json!({"closures": [{"date": "2026-07-03", "name": "Independence Day"}]});
        let closed = admin.post(&format!("/v1/locations/{}/closures", clinic.location_id), body).await;
        let closure = format!("/v1/closures/{}", closed.expect(200).string("/items/0/id"));
        for reader in [&admin, &desk, &doctor] {
            assert_eq!(reader.get(&closure).await.expect(200).body, closed.body["items"][0]);
        }
        for path in [exception, closure] {
            ann.get(&path).await.problem(403, "role_forbidden");
            app.anon().get(&path).await.problem(401, "unauthenticated");
            admin.delete(&path).await;
            admin.get(&path).await.problem(404, "not_found");
        }
    }

    async fn what_belongs_to_a_patient_is_read_by_the_same_people_as_its_list(app: App) {
        app.clinic().await;
        let (desk, doctor) = (app.desk().await, app.doctor().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let record = format!("/v1/patients/{}", ann.patient_id);

        let decision = json!({"type": "treatment", "version": "1", "decision": "accepted"});
        let consent = read_again(&ann, &ann.post(&format!("{record}/consents"), decision).await).await;
        desk.get(&consent).await.expect(200);

        let lab = json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-02-20", "source": "lab_report"});
        let entered = desk.post(&format!("{record}/lab-results"), lab).await;
        let result = entered.expect(201).location();
        assert_eq!(ann.get(&result).await.expect(200).body, entered.body);
        desk.get(&result).await.problem(403, "role_forbidden");
        doctor.without_reason().get(&result).await.problem(403, "reason_required");
        assert_eq!(app.doctor().await.get(&result).await.expect(200).body, entered.body);

        app.patient("carl").await;
        let carer = json!({"email": "carl@patients.example", "relation": "caregiver"});
        let access = read_again(&desk, &desk.post(&format!("{record}/access"), carer).await).await;
        assert!(ann.get(&access).await.expect(200).body["email"].is_null(), "for staff and the account only");

        for path in [consent, result, access] {
            bob.get(&path).await.problem(404, "not_found");
        }
        // The patient finds each read in the list of who used the record.
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            let events = ann.get(&format!("{record}/audit-events?limit=200")).await.items();
            let read = |operation: &str| events.iter().any(|event| event["operation"] == operation && event["is_you"] == false);
            if ["get_consent", "get_lab_result", "get_patient_access"].into_iter().all(read) {
                break;
            }
            assert!(Instant::now() < patience, "{events:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
