//! Row 20: changes of a record after which access to it needs a second member of the staff.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::access::*;
use crate::support::people::patient_json;
use crate::support::{App, Patient, both};

both! {
    async fn row_20_a_birth_date_changed_to_a_minors_for_a_moment_grants_no_access(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        let record = format!("/v1/patients/{}", ann.patient_id);
        let born = async |day: &str| {
            desk.update(&record, json!({"date_of_birth": day})).await.expect(200);
        };
        give(&desk, &ann.patient_id, &bob, "guardian").await.expect(201);
        confirm(&admin, &ann.patient_id, &bob).await.expect(200);
        born("2015-09-14").await;
        for relation in ["guardian", "caregiver"] {
            let given = give(&desk, &ann.patient_id, &carl, relation).await;
            assert_eq!(given.expect(201).body["confirmation_required"], true, "{relation}");
            reads_nothing(&carl, &ann.patient_id).await;
            confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");
        }
        // Also if the wrong date stays for longer than 30 days.
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
        reads_all(&carl, &ann.patient_id).await;
        born("1967-09-14").await;
        reads_nothing(&carl, &ann.patient_id).await;
        assert_eq!(listed(&desk, &ann.patient_id, &carl).await["confirmation_required"], true);
        confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");
        // A confirmation by a second person stays valid.
        reads_all(&bob, &ann.patient_id).await;
        assert_eq!(told(&app, &ann.email).await.len(), 4);
        // Access to a minor that ended on the birthday does not wait for confirmation.
        let kim = child(&desk, &carl).await;
        app.clock.advance(SignedDuration::from_hours(24 * 365 * 4));
        assert_eq!(listed(&desk, &kim, &carl).await["confirmation_required"], false);
        assert_eq!(listed(&desk, &kim, &carl).await["ended"], true);
    }

    async fn row_20_access_after_a_changed_address_needs_a_second_staff_member(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (bob, carl) = (app.patient("bob").await, account(&app, "carl@example.org").await);
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        help(&desk, &admin, &fay, &bob).await;
        assert_eq!(noticed(&app, "fay@example.org").await.len(), 0);
        readdress(&desk, &fay, json!(carl.email)).await;
        // The former address and each account with access are notified, in neutral words.
        let (to_fay, to_bob) = (noticed(&app, "fay@example.org").await, noticed(&app, &bob.email).await);
        assert_eq!((to_fay.len(), to_bob.len()), (1, 1));
        assert!(to_fay[0].text.contains("your record") && to_fay[0].text.contains("call us at once"), "{}", to_fay[0].text);
        assert!(to_bob[0].text.contains("Fay's record") && !to_bob[0].text.contains("example.org"), "{}", to_bob[0].text);
        for relation in ["self", "guardian", "caregiver"] {
            if relation != "self" {
                desk.delete(&format!("{}/{}", access(&fay), carl.user_id)).await.expect(204);
            }
            let given = give(&desk, &fay, &carl, relation).await;
            assert_eq!(given.expect(201).body["confirmation_required"], true, "{relation}");
            reads_nothing(&carl, &fay).await;
            confirm(&desk, &fay, &carl).await.problem(403, "second_person_required");
        }
        // Restoring the former address does not lift this, and an invitation does not bypass it.
        readdress(&desk, &fay, json!("fay@example.org")).await;
        let path = format!("/v1/patients/{fay}/invitations");
        desk.post(&path, json!({"email": "dan@example.org", "relation": "self"})).await.expect(202);
        let token = app.mails_to("dan@example.org").await.pop().expect("a mail").token();
        app.anon().post("/v1/invitations/accept", json!({"token": token, "new_password": PASSWORD})).await.expect(204);
        let client = app.anon().sign_in("dan@example.org", PASSWORD).await;
        let dan = Patient { client, patient_id: String::new(), email: "dan@example.org".into() };
        reads_nothing(&dan, &fay).await;
        confirm(&admin, &fay, &dan).await.expect(200);
        reads_all(&dan, &fay).await;
        // Earlier access stays, and after 30 days one person is enough again.
        reads_all(&bob, &fay).await;
        let (kim, eve) = (child(&desk, &bob).await, app.patient("eve").await);
        readdress(&desk, &kim, json!("kim@example.org")).await;
        for is_required in [true, false] {
            let given = give(&desk, &kim, &eve, "parent").await;
            assert_eq!(given.expect(201).body["confirmation_required"], is_required);
            desk.delete(&format!("{}/{}", access(&kim), eve.user_id)).await.expect(204);
            app.clock.advance(SignedDuration::from_hours(24 * 30 + 1));
        }
    }

    async fn row_20_a_carer_who_changes_the_address_keeps_nobody_from_learning_of_new_access(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (bob, carl) = (app.patient("bob").await, account(&app, "carl@example.org").await);
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        help(&desk, &admin, &fay, &bob).await;
        readdress(&bob, &fay, json!(carl.email)).await;
        let to_fay = noticed(&app, "fay@example.org").await;
        assert_eq!(to_fay.len(), 1);
        assert!(to_fay[0].text.contains("the e-mail address in your record"), "{}", to_fay[0].text);
        let given = give(&desk, &fay, &carl, "self").await;
        assert_eq!(given.expect(201).body["confirmation_required"], true);
        reads_nothing(&carl, &fay).await;
        // The same for a minor, whose other parent gave the address.
        let kim = child(&desk, &bob).await;
        readdress(&desk, &kim, json!("mother@example.org")).await;
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        readdress(&bob, &kim, json!(carl.email)).await;
        assert_eq!(noticed(&app, "mother@example.org").await.len(), 1);
        assert_eq!(give(&desk, &kim, &carl, "parent").await.expect(201).body["confirmation_required"], true);
        // What patients change about themselves is announced by nobody.
        let ann = app.patient("ann").await;
        readdress(&ann, &ann.patient_id, json!("ann.new@example.org")).await;
        assert!(noticed(&app, &ann.email).await.is_empty());
    }

    async fn row_20_an_own_account_at_another_address_than_the_records_waits_for_a_second_staff_member(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (bob, mallory) = (app.patient("bob").await, account(&app, "mallory@example.org").await);
        // Fay is an adult with an address, Edna has none, Kim is a minor.
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        let mut edna = patient_json("Edna", "");
        edna["email"] = Value::Null;
        let edna = desk.post("/v1/patients", edna).await.expect(201).id();
        let kim = child(&desk, &bob).await;
        for patient in [&fay, &edna, &kim] {
            let given = give(&desk, patient, &mallory, "self").await;
            assert_eq!(given.expect(201).body["confirmation_required"], true);
            reads_nothing(&mallory, patient).await;
            confirm(&desk, patient, &mallory).await.problem(403, "second_person_required");
            confirm(&admin, patient, &mallory).await.expect(200);
            mallory.get(&format!("/v1/patients/{patient}")).await.expect(200);
            desk.delete(&format!("{}/{}", access(patient), mallory.user_id)).await.expect(204);
        }
        // The same holds for an invitation.
        let gus = desk.post("/v1/patients", patient_json("Gus", "gus@example.org")).await.expect(201).id();
        desk.post(&format!("/v1/patients/{gus}/invitations"), json!({"email": mallory.email, "relation": "self"})).await.expect(202);
        let token = app.mails_to(&mallory.email).await.pop().expect("a mail").token();
        app.anon().post("/v1/invitations/accept", json!({"token": token})).await.expect(204);
        reads_nothing(&mallory, &gus).await;
        // An account with the address of the record needs one person.
        let hal = desk.post("/v1/patients", patient_json("Hal", "Hal@example.org")).await.expect(201).id();
        let own = account(&app, "hal@example.org").await;
        assert_eq!(give(&desk, &hal, &own, "self").await.expect(201).body["confirmation_required"], false);
        reads_all(&own, &hal).await;
    }

    async fn row_20_access_after_a_changed_telephone_number_needs_a_second_staff_member(app: App) {
        let (desk, bob, eve) = (app.desk().await, app.patient("bob").await, app.patient("eve").await);
        let minor = async |name: &str, email: Value, phone: Value| {
            let mut body = patient_json(name, "");
            body["date_of_birth"] = json!("2011-05-05");
            (body["email"], body["phone"]) = (email, phone);
            if body["email"].is_null() && body["phone"].is_null() {
                // Only an account creates a record without any contact.
                body["relation"] = json!("parent");
                return bob.post("/v1/patients", body).await.expect(201).id();
            }
            desk.post("/v1/patients", body).await.expect(201).id()
        };
        let (first, second) = (json!("+1 212 555 0143"), json!("+1 212 555 0144"));
        for (name, email, was, phone, is_required) in [
            ("Kim", Value::Null, first.clone(), second.clone(), true),
            ("Lee", json!("lee@example.org"), first.clone(), Value::Null, true),
            ("Max", Value::Null, Value::Null, first.clone(), true),
            // The mail still reaches the patient.
            ("Noa", json!("noa@example.org"), Value::Null, first.clone(), false),
        ] {
            let patient = minor(name, email, was).await;
            desk.update(&format!("/v1/patients/{patient}"), json!({"phone": phone})).await.expect(200);
            let given = give(&desk, &patient, &eve, "parent").await;
            assert_eq!(given.expect(201).body["confirmation_required"], is_required, "{name}");
        }
    }

    async fn row_20_access_after_a_stopped_one_needs_a_second_staff_member(app: App) {
        let (desk, bob, carl) = (app.desk().await, app.patient("bob").await, app.patient("carl").await);
        let kim = child(&desk, &bob).await;
        let require = async |holder: &Patient, is_required: bool| {
            let given = give(&desk, &kim, holder, "parent").await;
            assert_eq!(given.expect(201).body["confirmation_required"], is_required);
        };
        require(&carl, false).await;
        let token = told(&app, &bob.email).await.pop().expect("a mail").token();
        object(&app, &token).await.expect(204);
        // Also to another account, until 30 days have passed.
        for holder in [&carl, &app.patient("eve").await] {
            require(holder, true).await;
            reads_nothing(holder, &kim).await;
            desk.delete(&format!("{}/{}", access(&kim), holder.user_id)).await.expect(204);
        }
        app.clock.advance(SignedDuration::from_hours(24 * 30 + 1));
        require(&carl, false).await;
    }

    async fn row_20_an_address_from_an_account_counts_as_changed_when_staff_confirm_it(app: App) {
        let desk = app.desk().await;
        let (bob, carl) = (app.patient("bob").await, app.patient("carl").await);
        let kim = child(&desk, &bob).await;
        readdress(&bob, &kim, json!(carl.email)).await;
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        assert_eq!(give(&desk, &kim, &carl, "parent").await.expect(201).body["confirmation_required"], false);
        desk.delete(&format!("{}/{}", access(&kim), carl.user_id)).await.expect(204);
        readdress(&desk, &kim, json!(carl.email)).await;
        assert_eq!(give(&desk, &kim, &carl, "parent").await.expect(201).body["confirmation_required"], true);
        reads_nothing(&carl, &kim).await;
    }

    async fn row_20_an_owner_whose_account_loses_access_is_notified_and_can_still_stop_others(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let carl = account(&app, "carl@example.org").await;
        // Her own account loses its access, or becomes another person's.
        help(&desk, &admin, &ann.patient_id, &bob).await;
        let stop_bob = told(&app, &ann.email).await.pop().expect("a mail").token();
        desk.delete(&format!("{}/{}", access(&ann.patient_id), ann.user_id)).await.expect(204);
        let notices = noticed(&app, &ann.email).await;
        assert_eq!(notices.len(), 1);
        assert!(notices[0].text.contains("ended the access of your account to your record"), "{}", notices[0].text);
        give(&desk, &ann.patient_id, &carl, "self").await.expect(201);
        reads_nothing(&carl, &ann.patient_id).await;
        // A carer cannot stop the patient's own account. The patient can, with the link mailed to the record's address.
        let to_bob = app.mails_to(&bob.email).await;
        let told_of_self = to_bob.iter().filter(|mail| mail.text.contains("own account")).collect::<Vec<_>>();
        assert_eq!(told_of_self.len(), 1);
        assert!(!told_of_self[0].text.contains("stop-access") && told_of_self[0].text.contains("call us"), "{}", told_of_self[0].text);
        confirm(&admin, &ann.patient_id, &carl).await.expect(200);
        reads_all(&carl, &ann.patient_id).await;
        let stop_carl = told(&app, &ann.email).await.pop().expect("a mail").token();
        for (token, holder) in [(&stop_bob, &bob), (&stop_carl, &carl)] {
            object(&app, token).await.expect(204);
            reads_nothing(holder, &ann.patient_id).await;
        }
        // Changing her own account to another relation has the same effect.
        let gus = app.patient("gus").await;
        give(&desk, &gus.patient_id, &gus, "caregiver").await.expect(201);
        let eve = account(&app, "eve@example.org").await;
        let given = give(&desk, &gus.patient_id, &eve, "self").await;
        assert_eq!(given.expect(201).body["confirmation_required"], true);
    }
}
