//! Access to a patient's record as tests give, confirm, use and stop it.

use serde_json::{Value, json};

use super::people::{self, patient_json};
use super::{App, Client, Mail, Patient, Reply};

/// The password of accounts that accept an invitation.
pub const PASSWORD: &str = "violet otter hums at dawn";
/// A reason for break-glass access.
pub const REASON: (&str, &str) = ("Access-Reason", "Her daughter is on the telephone");

/// The path of the access to a patient.
pub fn access(patient: &str) -> String {
    format!("/v1/patients/{patient}/access")
}

/// Gives the account of a holder access.
pub async fn give(who: &Client, patient: &str, holder: &Patient, relation: &str) -> Reply {
    who.post(&access(patient), json!({"email": holder.email, "relation": relation})).await
}

/// Confirms the access of a holder.
pub async fn confirm(who: &Client, patient: &str, holder: &Patient) -> Reply {
    who.post_empty(&format!("{}/{}/confirm", access(patient), holder.user_id)).await
}

/// Gives an account access as a carer, with both members of the staff whom that takes.
pub async fn help(desk: &Client, admin: &Client, patient: &str, holder: &Patient) {
    give(desk, patient, holder, "caregiver").await.expect(201);
    confirm(admin, patient, holder).await.expect(200);
}

/// The requests with which an account reads a patient's clinical data.
pub fn reads(patient: &str) -> [String; 4] {
    ["", "/rls-timeline", "/export", "/lab-results"].map(|rest| format!("/v1/patients/{patient}{rest}"))
}

/// Asserts that the account does not find the patient.
pub async fn reads_nothing(holder: &Patient, patient: &str) {
    for path in reads(patient) {
        holder.get(&path).await.problem(404, "not_found");
    }
    let me = holder.get("/v1/me").await;
    assert!(!me.text.contains(patient), "{}", me.text);
}

/// Asserts that the account reads everything of the patient.
pub async fn reads_all(holder: &Patient, patient: &str) {
    for path in reads(patient) {
        holder.get(&path).await.expect(200);
    }
}

/// What staff see of the account's access.
pub async fn listed(who: &Client, patient: &str, holder: &Patient) -> Value {
    let items = who.get(&access(patient)).await.items();
    items.into_iter().find(|item| item["user_id"] == *holder.user_id).expect("the access")
}

/// The mails to this address about granted access.
pub async fn told(app: &App, address: &str) -> Vec<Mail> {
    let mails = app.mails_to(address).await;
    let told = mails.into_iter().filter(|mail| mail.text.contains("/stop-access"));
    // One line for each paragraph.
    told.map(|mail| Mail { text: mail.text.replace("\r\n", "\n").replace('\n', " "), ..mail }).collect()
}

/// Uses the link of a mail.
pub async fn object(app: &App, token: &str) -> Reply {
    app.anon().post("/v1/access-objections", json!({"token": token})).await
}

/// The operations in the patient's access log.
pub async fn log(ann: &Patient) -> Vec<String> {
    let events = ann.get(&format!("/v1/patients/{}/audit-events?limit=200", ann.patient_id)).await.items();
    events.iter().map(|event| event["operation"].as_str().expect("text").to_owned()).collect()
}

/// Adds a child of the account's holder. Returns the child's id.
pub async fn child(desk: &Client, holder: &Patient) -> String {
    let mut kim = patient_json("Kim", "");
    kim["date_of_birth"] = json!("2011-05-05");
    kim["email"] = Value::Null;
    let kim = desk.post("/v1/patients", kim).await.expect(201).id();
    assert_eq!(give(desk, &kim, holder, "parent").await.expect(201).body["confirmation_required"], false);
    kim
}

/// An account without a record, such as a private one of a staff member.
pub async fn account(app: &App, email: &str) -> Patient {
    app.account(email, legwork::actor::Role::Patient, None).await;
    let client = app.anon().sign_in(email, people::PASSWORD).await;
    Patient { client, patient_id: String::new(), email: email.into() }
}

/// Changes the address in the record.
pub async fn readdress(who: &Client, patient: &str, email: Value) {
    let record = format!("/v1/patients/{patient}");
    who.update(&record, json!({"email": email})).await.expect(200);
}

/// The mails to this address about a change of a record.
pub async fn noticed(app: &App, address: &str) -> Vec<Mail> {
    let mails = app.mails_to(address).await;
    let noticed =
        mails.into_iter().filter(|mail| mail.subject.starts_with("A change to ") && mail.subject.contains("record"));
    noticed.map(|mail| Mail { text: mail.text.replace("\r\n", "\n").replace('\n', " "), ..mail }).collect()
}
