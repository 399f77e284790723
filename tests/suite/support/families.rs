//! Families as tests register them.

use serde_json::{Value, json};

use super::{App, Client};

/// The password of registered accounts.
pub const PASSWORD: &str = "violet otter hums at dawn";

/// A person who was born on this day.
pub fn person(name: &str, born: &str) -> Value {
    json!({
        "given_name": name, "family_name": "Example", "date_of_birth": born, "administrative_sex": "male",
        "preferred_language": "en", "interpreter_needed": false
    })
}

/// The body of a registration.
pub fn registration(email: &str, relation: &str, holder: &str, patient: Value) -> Value {
    json!({"email": email, "relation": relation, "name": holder, "patient": patient})
}

/// Confirms access to an adult's record as the second member of the staff.
pub async fn confirm(app: &App, patient: &str, holder: &str) {
    app.admin().await.post_empty(&format!("{}/{holder}/confirm", access(patient))).await.expect(200);
}

/// Registers, and signs in.
pub async fn registered(app: &App, body: Value) -> Client {
    app.registered(body, PASSWORD).await
}

/// Rosa and her son Tim, who turns 18 on 2028-07-04.
pub async fn rosa(app: &App) -> (Client, String) {
    let rosa =
        registered(app, registration("rosa@example.org", "parent", "Rosa Example", person("Tim", "2010-07-04"))).await;
    let tim = rosa.get("/v1/me").await.string("/patients/0/id");
    (rosa, tim)
}

/// The path of the access to a patient.
pub fn access(patient: &str) -> String {
    format!("/v1/patients/{patient}/access")
}
