//! Who may give an account access to a patient's record, who is told of it, and who can stop it.

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

/// The mails that told this address of given access.
async fn told(app: &App, address: &str) -> Vec<Mail> {
    let mails = app.mails_to(address).await;
    let told = mails.into_iter().filter(|mail| mail.text.contains("/stop-access"));
    // Each paragraph in one line.
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

/// A child whose parent is the account's holder; the child's id.
async fn child(desk: &Client, holder: &Patient) -> String {
    let mut kim = patient_json("Kim", "");
    kim["date_of_birth"] = json!("2011-05-05");
    kim["email"] = Value::Null;
    let kim = desk.post("/v1/patients", kim).await.expect(201).id();
    assert_eq!(give(desk, &kim, holder, "parent").await.expect(201).body["confirmation_required"], false);
    kim
}

/// An account of nobody's record, such as a private one of a member of the staff.
async fn account(app: &App, email: &str) -> Patient {
    app.account(email, legwork::actor::Role::Patient, None).await;
    let client = app.anon().sign_in(email, crate::support::people::PASSWORD).await;
    Patient { client, patient_id: String::new(), email: email.into() }
}

/// Writes another address into the record.
async fn readdress(who: &Client, patient: &str, email: Value) {
    let record = format!("/v1/patients/{patient}");
    let etag = who.get(&record).await.etag();
    who.patch(&record, &etag, json!({"email": email})).await.expect(200);
}

/// The mails that told this address of a change to a record.
async fn noticed(app: &App, address: &str) -> Vec<Mail> {
    let mails = app.mails_to(address).await;
    let noticed =
        mails.into_iter().filter(|mail| mail.subject.starts_with("A change to ") && mail.subject.contains("record"));
    noticed.map(|mail| Mail { text: mail.text.replace("\r\n", "\n").replace('\n', " "), ..mail }).collect()
}

both! {
    async fn row_20_a_guardian_of_an_adult_reads_nothing_before_a_second_member_of_the_staff_confirms(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        // Carl is an account of whoever works at the desk.
        let (ann, carl) = (app.patient("ann").await, app.patient("carl").await);
        for relation in ["guardian", "parent"] {
            let given = give(&desk, &ann.patient_id, &carl, relation).await;
            assert_eq!(given.expect(201).body["confirmation_required"], true);
            reads_nothing(&carl, &ann.patient_id).await;
            assert_eq!(listed(&desk, &ann.patient_id, &carl).await["ended"], false);
            assert_eq!(listed(&ann, &ann.patient_id, &carl).await["confirmation_required"], true, "she sees who waits");
            // Neither the one who gave it nor the account itself is a second person.
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
            // To verify it again changes nothing.
            give(&desk, &ann.patient_id, &carl, relation).await.expect(201);
            reads_all(&carl, &ann.patient_id).await;
        }
        assert_eq!(told(&app, &ann.email).await.len(), 2, "once for each relation");
        let log = log(&ann).await;
        for operation in ["grant_patient_access", "confirm_patient_access"] {
            assert!(log.iter().any(|entry| entry == operation), "{operation} in {log:?}");
        }
        // A carer helps at once; the patient is told. What was a carer's is not a guardian's without a second person.
        let bob = app.patient("bob").await;
        give(&desk, &ann.patient_id, &bob, "caregiver").await.expect(201);
        reads_all(&bob, &ann.patient_id).await;
        give(&admin, &ann.patient_id, &bob, "guardian").await.expect(201);
        reads_nothing(&bob, &ann.patient_id).await;
        confirm(&admin, &ann.patient_id, &bob).await.problem(403, "second_person_required");
        confirm(&desk, &ann.patient_id, &bob).await.expect(200);
        confirm(&desk, &ann.patient_id, &app.patient("eve").await).await.problem(404, "not_found");
    }

    async fn row_20_an_accepted_invitation_waits_for_the_second_member_of_the_staff_as_well(app: App) {
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

    async fn row_20_a_doctor_gives_access_to_the_record_of_a_patient_they_treat_or_for_a_reason(app: App) {
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

    async fn row_20_the_patient_and_everybody_with_access_is_told_and_the_new_account_is_not(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        app.clinic().await;
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        give(&desk, &ann.patient_id, &bob, "caregiver").await.expect(201);
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
        // What waits is not told of what comes next: it is no access yet.
        let dan = app.patient("dan").await;
        give(&admin, &ann.patient_id, &dan, "caregiver").await.expect(201);
        assert!(told(&app, &carl.email).await.is_empty());
        assert_eq!(told(&app, &bob.email).await.len(), 2);

        // Without an address of her own, Edna is called; also where the one in the record is the new account's.
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
        // Her own account at the address in the record is herself. At another address somebody may pose as her.
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
        give(&desk, &ann.patient_id, &bob, "caregiver").await.expect(201);
        // A guardian is stopped before and after the confirmation.
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
        assert_eq!(log.iter().filter(|entry| *entry == "object_to_patient_access").count(), 4, "{log:?}");
        object(&app, "x").await.invalid("/token", "invalid_token");
        // A link is about one giving, and works also where the access of the account that it was mailed to was taken away.
        let (old, bobs) = (told(&app, &ann.email).await.pop().expect("a mail"), told(&app, &bob.email).await.pop().expect("a mail"));
        give(&desk, &ann.patient_id, &carl, "caregiver").await.expect(201);
        for mail in [&old, &bobs] {
            object(&app, &mail.token()).await.invalid("/token", "invalid_token");
        }
        reads_all(&carl, &ann.patient_id).await;
        let bobs = told(&app, &bob.email).await.pop().expect("a mail").token();
        desk.delete(&format!("{}/{}", access(&ann.patient_id), bob.user_id)).await.expect(204);
        reads_all(&carl, &ann.patient_id).await;
        object(&app, &bobs).await.expect(204);
        reads_nothing(&carl, &ann.patient_id).await;
        // A stopped account of her own does not keep the patient from having one.
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

    async fn row_20_an_adult_patient_stops_the_access_of_others_and_nobody_else_does(app: App) {
        let desk = app.desk().await;
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        give(&desk, &ann.patient_id, &bob, "caregiver").await.expect(201);
        give(&desk, &ann.patient_id, &carl, "caregiver").await.expect(201);
        let path = |patient: &str, holder: &Patient| format!("{}/{}", access(patient), holder.user_id);
        app.patient("eve").await.delete(&path(&ann.patient_id, &carl)).await.problem(404, "not_found");
        bob.delete(&path(&ann.patient_id, &carl)).await.problem(403, "patient_only");
        reads_all(&carl, &ann.patient_id).await;
        ann.delete(&path(&ann.patient_id, &ann)).await.problem(409, "own_access");
        ann.delete(&path(&ann.patient_id, &carl)).await.expect(204);
        reads_nothing(&carl, &ann.patient_id).await;
        assert!(listed(&desk, &ann.patient_id, &carl).await["stopped_at"].is_string());
        assert!(log(&ann).await.iter().any(|entry| entry == "revoke_patient_access"));
        // A minor does not end the access of a parent, nor one parent that of another.
        let kim = child(&desk, &bob).await;
        give(&desk, &kim, &carl, "parent").await.expect(201);
        let email = "kim@example.org";
        app.account(email, legwork::actor::Role::Patient, None).await;
        desk.post(&access(&kim), json!({"email": email, "relation": "self"})).await.expect(201);
        let own = app.anon().sign_in(email, crate::support::people::PASSWORD).await;
        own.delete(&path(&kim, &bob)).await.problem(403, "patient_only");
        bob.delete(&path(&kim, &carl)).await.problem(403, "patient_only");
    }

    async fn row_20_a_birth_date_that_made_an_adult_a_minor_for_a_moment_opens_nothing(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        let record = format!("/v1/patients/{}", ann.patient_id);
        let born = async |day: &str| {
            let etag = desk.get(&record).await.etag();
            desk.patch(&record, &etag, json!({"date_of_birth": day})).await.expect(200);
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
        // Also where the wrong date stays for longer than the record is guarded.
        app.clock.advance(SignedDuration::from_hours(24 * 31));
        give(&desk, &ann.patient_id, &carl, "guardian").await.expect(201);
        reads_all(&carl, &ann.patient_id).await;
        born("1967-09-14").await;
        reads_nothing(&carl, &ann.patient_id).await;
        assert_eq!(listed(&desk, &ann.patient_id, &carl).await["confirmation_required"], true);
        confirm(&desk, &ann.patient_id, &carl).await.problem(403, "second_person_required");
        // What a second person has confirmed stays confirmed.
        reads_all(&bob, &ann.patient_id).await;
        assert_eq!(told(&app, &ann.email).await.len(), 4);
        // A minor's access that ends with the birthday is none that waits.
        let kim = child(&desk, &carl).await;
        app.clock.advance(SignedDuration::from_hours(24 * 365 * 4));
        assert_eq!(listed(&desk, &kim, &carl).await["confirmation_required"], false);
        assert_eq!(listed(&desk, &kim, &carl).await["ended"], true);
    }

    async fn row_20_another_address_in_the_record_gives_no_account_access_without_a_second_person(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (bob, carl) = (app.patient("bob").await, account(&app, "carl@example.org").await);
        let fay = desk.post("/v1/patients", patient_json("Fay", "fay@example.org")).await.expect(201).id();
        give(&desk, &fay, &bob, "caregiver").await.expect(201);
        assert_eq!(noticed(&app, "fay@example.org").await.len(), 0);
        readdress(&desk, &fay, json!(carl.email)).await;
        // The address before is told, and each account that acts for her; in neutral words.
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
        // The address that was there before does not undo it, nor does an invitation pass by it.
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
        // What stood before stands, and after 30 days one person is enough again.
        reads_all(&bob, &fay).await;
        app.clock.advance(SignedDuration::from_hours(24 * 30 + 1));
        let eve = app.patient("eve").await;
        let given = give(&desk, &fay, &eve, "caregiver").await;
        assert_eq!(given.expect(201).body["confirmation_required"], false);
    }

    async fn row_20_an_address_that_an_account_noted_counts_as_changed_when_the_staff_confirm_it(app: App) {
        let desk = app.desk().await;
        let (ann, bob, carl) = (app.patient("ann").await, app.patient("bob").await, app.patient("carl").await);
        give(&desk, &ann.patient_id, &bob, "caregiver").await.expect(201);
        readdress(&bob, &ann.patient_id, json!(carl.email)).await;
        assert_eq!(give(&desk, &ann.patient_id, &carl, "caregiver").await.expect(201).body["confirmation_required"], false);
        desk.delete(&format!("{}/{}", access(&ann.patient_id), carl.user_id)).await.expect(204);
        readdress(&desk, &ann.patient_id, json!(carl.email)).await;
        assert_eq!(give(&desk, &ann.patient_id, &carl, "caregiver").await.expect(201).body["confirmation_required"], true);
        reads_nothing(&carl, &ann.patient_id).await;
    }

    async fn row_20_an_owner_whose_account_loses_its_access_is_told_and_can_still_stop_others(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let (ann, bob) = (app.patient("ann").await, app.patient("bob").await);
        let carl = account(&app, "carl@example.org").await;
        // Her own account is taken off the record, or made that of somebody else.
        give(&desk, &ann.patient_id, &bob, "caregiver").await.expect(201);
        let stop_bob = told(&app, &ann.email).await.pop().expect("a mail").token();
        desk.delete(&format!("{}/{}", access(&ann.patient_id), ann.user_id)).await.expect(204);
        let notices = noticed(&app, &ann.email).await;
        assert_eq!(notices.len(), 1);
        assert!(notices[0].text.contains("ended the access of your account to your record"), "{}", notices[0].text);
        give(&desk, &ann.patient_id, &carl, "self").await.expect(201);
        reads_nothing(&carl, &ann.patient_id).await;
        // A carer stops no access of who may be the patient. The patient does, at the address in the record.
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
        // What was her own and becomes another's guards the record as well.
        let gus = app.patient("gus").await;
        give(&desk, &gus.patient_id, &gus, "caregiver").await.expect(201);
        let eve = account(&app, "eve@example.org").await;
        let given = give(&desk, &gus.patient_id, &eve, "self").await;
        assert_eq!(given.expect(201).body["confirmation_required"], true);
    }

    async fn row_20_the_call_about_an_access_is_closed_by_another_than_who_gave_it(app: App) {
        let (desk, admin) = (app.desk().await, app.admin().await);
        let carl = app.patient("carl").await;
        let mut edna = patient_json("Edna", "");
        edna["email"] = Value::Null;
        let edna = desk.post("/v1/patients", edna).await.expect(201).id();
        give(&desk, &edna, &carl, "caregiver").await.expect(201);
        app.clock.advance(SignedDuration::from_secs(1));
        // Another relation is another's giving.
        give(&admin, &edna, &carl, "guardian").await.expect(201);
        let calls = desk.get("/v1/messages?status=to_phone").await.items();
        assert_eq!(calls.len(), 2, "{calls:#?}");
        for (call, giver, other) in [(&calls[1], &desk, &admin), (&calls[0], &admin, &desk)] {
            let path = format!("/v1/messages/{}/done", call["id"].as_str().expect("an id"));
            giver.post(&path, json!({})).await.problem(403, "second_person_required");
            other.post(&path, json!({})).await.expect(200);
        }
    }

    async fn row_20_an_objection_wins_over_a_confirmation_at_the_same_time(app: App) {
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
