//! Row 20: who grants an account access to a patient's record, who is notified, and who can stop it.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::people::patient_json;
use crate::support::{App, Client, Mail, Patient, Reply, both};

const PASSWORD: &str = "violet otter hums at dawn";
const REASON: (&str, &str) = ("Access-Reason", "Her daughter is on the telephone");

fn access(patient: &str) -> String {
    format!("/v1/patients/{patient}/access")
}

async fn give(who: &Client, patient: &str, holder: &Patient, relation: &str) -> Reply {
    who.post(&access(patient), json!({"email": holder.email, "relation": relation})).await
}

async fn confirm(who: &Client, patient: &str, holder: &Patient) -> Reply {
    who.post_empty(&format!("{}/{}/confirm", access(patient), holder.user_id)).await
}

/// Gives an account access as a carer, with both members of the staff whom that takes.
async fn help(desk: &Client, admin: &Client, patient: &str, holder: &Patient) {
    give(desk, patient, holder, "caregiver").await.expect(201);
    confirm(admin, patient, holder).await.expect(200);
}

/// The requests with which an account reads a patient's clinical data.
fn reads(patient: &str) -> [String; 4] {
    ["", "/rls-timeline", "/export", "/lab-results"].map(|rest| format!("/v1/patients/{patient}{rest}"))
}

async fn reads_nothing(holder: &Patient, patient: &str) {
    for path in reads(patient) {
        holder.get(&path).await.problem(404, "not_found");
    }
    let me = holder.get("/v1/me").await;
    assert!(!me.text.contains(patient), "{}", me.text);
}

async fn reads_all(holder: &Patient, patient: &str) {
    for path in reads(patient) {
        holder.get(&path).await.expect(200);
    }
}

/// What staff see of the account's access.
async fn listed(who: &Client, patient: &str, holder: &Patient) -> Value {
    let items = who.get(&access(patient)).await.items();
    items.into_iter().find(|item| item["user_id"] == *holder.user_id).expect("the access")
}

/// The mails to this address about granted access.
async fn told(app: &App, address: &str) -> Vec<Mail> {
    let mails = app.mails_to(address).await;
    let told = mails.into_iter().filter(|mail| mail.text.contains("/stop-access"));
    // One line for each paragraph.
    told.map(|mail| Mail { text: mail.text.replace("\r\n", "\n").replace('\n', " "), ..mail }).collect()
}

async fn object(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/access-objections", json!({"token": token})).await
}

/// The operations in the patient's access log.
async fn log(ann: &Patient) -> Vec<String> {
    let events = ann.get(&format!("/v1/patients/{}/audit-events?limit=200", ann.patient_id)).await.items();
    events.iter().map(|event| event["operation"].as_str().expect("text").to_owned()).collect()
}

/// Adds a child of the account's holder. Returns the child's id.
async fn child(desk: &Client, holder: &Patient) -> String {
    let mut kim = patient_json("Kim", "");
    kim["date_of_birth"] = json!("2011-05-05");
    kim["email"] = Value::Null;
    let kim = desk.post("/v1/patients", kim).await.expect(201).id();
    assert_eq!(give(desk, &kim, holder, "parent").await.expect(201).body["confirmation_required"], false);
    kim
}

/// An account without a record, such as a private one of a staff member.
async fn account(app: &App, email: &str) -> Patient {
    app.account(email, legwork::actor::Role::Patient, None).await;
    let client = app.anon().sign_in(email, crate::support::people::PASSWORD).await;
    Patient { client, patient_id: String::new(), email: email.into() }
}

/// Changes the address in the record.
async fn readdress(who: &Client, patient: &str, email: Value) {
    let record = format!("/v1/patients/{patient}");
    who.update(&record, json!({"email": email})).await.expect(200);
}

/// The mails to this address about a change of a record.
async fn noticed(app: &App, address: &str) -> Vec<Mail> {
    let mails = app.mails_to(address).await;
    let noticed =
        mails.into_iter().filter(|mail| mail.subject.starts_with("A change to ") && mail.subject.contains("record"));
    noticed.map(|mail| Mail { text: mail.text.replace("\r\n", "\n").replace('\n', " "), ..mail }).collect()
}

both! {
    async fn row_20_an_account_other_than_the_adult_patients_has_no_access_before_a_second_staff_member_confirms(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        // Carl is a private account of a front-desk employee.
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        for relation in ["guardian", "parent", "caregiver"] {
            let given = give(&desk, &ann.patient_id, &carl, relation).await;
            assert_eq!(given.expect(201).body["confirmation_required"], true);
            reads_nothing(&carl, &ann.patient_id).await;
            assert_eq!(listed(&desk, &ann.patient_id, &carl).await["ended"], false);
            assert_eq!(listed(&ann, &ann.patient_id, &carl).await["confirmation_required"], true, "she sees who waits");
            // Neither the granting staff member nor the account itself is a second person.
            confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");
            confirm(&carl, &ann.patient_id, &carl).await.problem(403, "role_forbidden");
            give(&desk, &ann.patient_id, &carl, relation).await.expect(201);
            give(&admin, &ann.patient_id, &carl, relation).await.expect(201);
            reads_nothing(&carl, &ann.patient_id).await;
            confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");

            let confirmed = confirm(&admin, &ann.patient_id, &carl).await;
            assert_eq!(confirmed.expect(200).body["confirmation_required"], false);
            assert_eq!(confirmed.string("/confirmed_by"), admin.user_id);
            reads_all(&carl, &ann.patient_id).await;
            confirm(&admin, &ann.patient_id, &carl).await.problem(409, "not_pending");
            // Verifying it again changes nothing.
            give(&desk, &ann.patient_id, &carl, relation).await.expect(201);
            reads_all(&carl, &ann.patient_id).await;
        }
        assert_eq!(told(&app, &ann.email).await.len(), 3, "once for each relation");
        let log = log(&ann).await;
        for operation in ["create_patient_access", "confirm_patient_access"] {
            assert!(log.iter().any(|entry| entry == operation), "{operation} in {log:?}");
        }
        // Changing a caregiver to a guardian needs a second person.
        let bob = app.patient("bob").await;
        help(&desk, &admin, &ann.patient_id, &bob).await;
        reads_all(&bob, &ann.patient_id).await;
        give(&admin, &ann.patient_id, &bob, "guardian").await.expect(201);
        reads_nothing(&bob, &ann.patient_id).await;
        confirm(&admin, &ann.patient_id, &bob).await.problem(403, "second_person_required");
        confirm(&desk, &ann.patient_id, &bob).await.expect(200);
        confirm(&desk, &ann.patient_id, &app.patient("eve").await).await.problem(404, "not_found");
    }

    async fn row_20_an_accepted_invitation_also_waits_for_a_second_staff_member(app: App) {
        let (desk, admin, ann) = (app.desk().await, app.admin().await, app.patient("ann").await);
        let path = format!("/v1/patients/{}/invitation", ann.patient_id);
        desk.post(&path, json!({"email": "carl@example.org", "relation": "guardian"})).await.expect(202);
        assert!(told(&app, &ann.email).await.is_empty(), "nothing is given yet");
        let token = app.mails_to("carl@example.org").await.pop().expect("a mail").token();
        app.anon().post("/v1/invitations/accept", json!({"token": token, "new_password": PASSWORD})).await.expect(204);
        let client = app.anon().sign_in("carl@example.org", PASSWORD).await;
        let carl = Patient { client, patient_id: String::new(), email: "carl@example.org".into() };
        reads_nothing(&carl, &ann.patient_id).await;
        let mail = told(&app, &ann.email).await.pop().expect("a mail");
        assert!(mail.text.contains("when a second member of our staff"), "{}", mail.text);
        confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");
        confirm(&admin, &ann.patient_id, &carl).await.expect(200);
        reads_all(&carl, &ann.patient_id).await;
        assert!(log(&ann).await.iter().any(|entry| entry == "accept_invitation"));
    }

    async fn row_20_a_practitioner_grants_access_for_a_patient_they_treat_or_with_a_reason(app: App) {
        app.clinic().await;
        let doctor = app.doctor().await.without_reason();
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        let body = json!({"email": carl.email, "relation": "caregiver"});
        let (link, invite) = (access(&ann.patient_id), format!("/v1/patients/{}/invitation", ann.patient_id));
        for path in [&link, &invite] {
            doctor.post(path, body.clone()).await.problem(403, "reason_required");
        }
        give(&app.desk().await, &ann.patient_id, &carl, "guardian").await.expect(201);
        confirm(&doctor, &ann.patient_id, &carl).await.problem(403, "reason_required");
        reads_nothing(&carl, &ann.patient_id).await;
        assert!(app.mails_to(&carl.email).await.is_empty());
        doctor.post_with(&invite, body, &[REASON]).await.expect(202);
        let opened = app.admin().await.get("/v1/audit-events?operation=open_record").await.items();
        assert_eq!((opened.len(), &opened[0]["reason"]), (1, &json!(REASON.1)));
        confirm(&doctor, &ann.patient_id, &carl).await.expect(200);
        reads_all(&carl, &ann.patient_id).await;
    }

    async fn row_20_the_patient_and_all_with_access_are_notified_and_the_new_account_is_not(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        app.clinic().await;
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        help(&desk, &admin, &ann.patient_id, &bob).await;
        give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
        let to_ann = told(&app, &ann.email).await;
        assert_eq!(to_ann.len(), 2);
        let said = "our staff entered an account for access to your record with Legwork Vein Clinic, as your guardian.";
        assert!(to_ann[1].text.contains("On Monday, March 2, 2026,") && to_ann[1].text.contains(said) && to_ann[1].text.contains("(202) 555-0100"), "{}", to_ann[1].text);
        let to_bob = told(&app, &bob.email).await;
        assert_eq!(to_bob.len(), 1);
        assert!(to_bob[0].text.contains("to ann's record") && to_bob[0].text.contains("as ann's guardian"), "{}", to_bob[0].text);
        assert!(app.mails_to(&carl.email).await.is_empty());
        for mail in to_ann.iter().chain(&to_bob) {
            let all = format!("{}\n{}\n{}", mail.subject, mail.text, mail.html).to_lowercase();
            for secret in ["carl", &ann.patient_id, "tester's", "restless", "intake", "timeline"] {
                assert!(!all.contains(secret), "{secret} in {all}");
            }
        }
        // A waiting account gets no further notices, because it has no access yet.
        let dan = app.patient("dan").await;
        give(&admin, &ann.patient_id, &dan, "caregiver").await.expect(201);
        assert!(told(&app, &carl.email).await.is_empty());
        assert_eq!(told(&app, &bob.email).await.len(), 2);

        // Edna is called if she has no address, or only that of the new account.
        for (name, email) in [("Edna", Value::Null), ("Elsa", json!(carl.email))] {
            let mut body = patient_json(name, "");
            body["email"] = email;
            let patient = desk.post("/v1/patients", body).await.expect(201).id();
            give(&desk, &patient, &carl, "caregiver").await.expect(201);
            let calls = desk.get("/v1/messages?status=to_phone").await.items();
            let call = calls.iter().find(|call| call["patient_id"] == patient).expect("a call");
            let words = call["to_say"].as_str().expect("words");
            assert!(words.contains(name) && words.contains("as your carer") && !words.contains("http"), "{words}");
        }
        assert!(app.mails_to(&carl.email).await.is_empty());
        // An own account with the address in the record is the patient. With another address it may be an impostor.
        for (address, mails) in [("fay@example.org", 0), ("mallory@example.org", 1)] {
            let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
            desk.post(&format!("/v1/patients/{fay}/invitation"), json!({"email": address, "relation": "self"})).await.expect(202);
            let token = app.mails_to(address).await.pop().expect("a mail").token();
            let body = json!({"token": token, "new_password": PASSWORD});
            app.anon().post("/v1/invitations/accept", body).await.expect(204);
            assert_eq!(told(&app, "fay@example.org").await.len(), mails, "{address}");
        }
    }

    async fn row_20_the_link_in_the_mail_stops_the_access_at_once(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        help(&desk, &admin, &ann.patient_id, &bob).await;
        // A guardian can be stopped before and after the confirmation.
        for is_confirmed in [false, true] {
            give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
            if is_confirmed {
                confirm(&admin, &ann.patient_id, &carl).await.expect(200);
                reads_all(&carl, &ann.patient_id).await;
            }
            let token = told(&app, &ann.email).await.pop().expect("a mail").token();
            object(&app, &token).await.expect(204);
            reads_nothing(&carl, &ann.patient_id).await;
            confirm(&admin, &ann.patient_id, &carl).await.problem(409, "not_pending");
            let seen = listed(&desk, &ann.patient_id, &carl).await;
            assert!(seen["ended"] == true && seen["stopped_at"].is_string(), "{seen}");
            assert!(!ann.get(&access(&ann.patient_id)).await.text.contains(&carl.user_id), "it is over");
            object(&app, &token).await.expect(204);
        }
        let log = log(&ann).await;
        assert_eq!(log.iter().filter(|entry| *entry == "create_access_objection").count(), 4, "{log:?}");
        object(&app, "x").await.invalid("/token", "invalid_token");
        // A link belongs to one grant, and works even if the access of its recipient was revoked.
        let (old, bobs) = (told(&app, &ann.email).await.pop().expect("a mail"), told(&app, &bob.email).await.pop().expect("a mail"));
        help(&desk, &admin, &ann.patient_id, &carl).await;
        for mail in [&old, &bobs] {
            object(&app, &mail.token()).await.invalid("/token", "invalid_token");
        }
        reads_all(&carl, &ann.patient_id).await;
        let bobs = told(&app, &bob.email).await.pop().expect("a mail").token();
        desk.delete(&format!("{}/{}", access(&ann.patient_id), bob.user_id)).await.expect(204);
        reads_all(&carl, &ann.patient_id).await;
        object(&app, &bobs).await.expect(204);
        reads_nothing(&carl, &ann.patient_id).await;
        // After her own account was stopped, the patient can have another one.
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        let posing = app.account("mallory@example.org", legwork::actor::Role::Patient, None).await;
        desk.post(&access(&fay), json!({"email": "mallory@example.org", "relation": "self"})).await.expect(201);
        let token = told(&app, "fay@example.org").await.pop().expect("a mail").token();
        object(&app, &token).await.expect(204);
        app.account("fay@example.org", legwork::actor::Role::Patient, None).await;
        desk.post(&access(&fay), json!({"email": "fay@example.org", "relation": "self"})).await.expect(201);
        let shown = desk.get(&access(&fay)).await.items();
        assert!(shown.iter().any(|item| item["user_id"] == posing.to_string() && item["ended"] == true), "{shown:#?}");
    }

    async fn row_20_only_an_adult_patient_stops_the_access_of_others(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        help(&desk, &admin, &ann.patient_id, &bob).await;
        help(&desk, &admin, &ann.patient_id, &carl).await;
        let path = |patient: &str, holder: &Patient| format!("{}/{}", access(patient), holder.user_id);
        app.patient("eve").await.delete(&path(&ann.patient_id, &carl)).await.problem(404, "not_found");
        bob.delete(&path(&ann.patient_id, &carl)).await.problem(403, "patient_only");
        reads_all(&carl, &ann.patient_id).await;
        ann.delete(&path(&ann.patient_id, &ann)).await.problem(409, "own_access");
        ann.delete(&path(&ann.patient_id, &carl)).await.expect(204);
        reads_nothing(&carl, &ann.patient_id).await;
        assert!(listed(&desk, &ann.patient_id, &carl).await["stopped_at"].is_string());
        assert!(log(&ann).await.iter().any(|entry| entry == "delete_patient_access"));
        // A minor cannot end the access of a parent, nor a parent that of the other.
        let kim = child(&desk, &bob).await;
        give(&desk, &kim, &carl, "parent").await.expect(201);
        let email = "kim@example.org";
        app.account(email, legwork::actor::Role::Patient, None).await;
        desk.post(&access(&kim), json!({"email": email, "relation": "self"})).await.expect(201);
        let own = app.anon().sign_in(email, crate::support::people::PASSWORD).await;
        admin.post_empty(&format!("{}/{}/confirm", access(&kim), own.user_id)).await.expect(200);
        own.delete(&path(&kim, &bob)).await.problem(403, "patient_only");
        bob.delete(&path(&kim, &carl)).await.problem(403, "patient_only");
    }

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
        let path = format!("/v1/patients/{fay}/invitation");
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
        desk.post(&format!("/v1/patients/{gus}/invitation"), json!({"email": mallory.email, "relation": "self"})).await.expect(202);
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

    async fn row_20_the_call_about_an_access_is_closed_by_another_staff_member_than_the_granting_one(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let carl = app.patient("carl").await;
        let mut edna = patient_json("Edna", "");
        edna["email"] = Value::Null;
        let edna = desk.post("/v1/patients", edna).await.expect(201).id();
        give(&desk, &edna, &carl, "caregiver").await.expect(201);
        app.clock.advance(SignedDuration::from_secs(1));
        // Changing the relation makes the changing staff member the granting one.
        give(&admin, &edna, &carl, "guardian").await.expect(201);
        let calls = desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!(calls.len(), 2, "{calls:#?}");
        for (call, giver, other) in [(&calls[1], &desk, &admin), (&calls[0], &admin, &desk)] {
            let path = format!("/v1/messages/{}/complete", call["id"].as_str().expect("an id"));
            giver.post(&path, json!({})).await.problem(403, "second_person_required");
            other.post(&path, json!({})).await.expect(200);
        }
    }

    async fn row_20_an_objection_overrides_a_parallel_confirmation(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        for _ in 0..8 {
            give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
            let token = told(&app, &ann.email).await.pop().expect("a mail").token();
            let (objected, confirmed) =
                futures_util::future::join(object(&app, &token), confirm(&admin, &ann.patient_id, &carl)).await;
            objected.expect(204);
            assert!([200, 409].contains(&confirmed.status), "{}", confirmed.text);
            reads_nothing(&carl, &ann.patient_id).await;
        }
    }
}
