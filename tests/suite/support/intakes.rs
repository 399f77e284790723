//! Intakes: the worked example, and the steps from a draft to its submission.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{App, Client, Reply};

pub const ON_CALL: &str = "on-call@clinic.example";

/// The worked example's answers. Its last day is 2026-06-03.
pub fn example() -> Value {
    let example: Value = serde_json::from_str(include_str!("../../data/rls-example.json")).expect("JSON");
    example["answers"].clone()
}

/// The same answers as a patient gives them without the licensed scale: with the 0 to 10 severity.
pub fn patients_example() -> Value {
    let mut answers = example();
    answers.as_object_mut().expect("an object").remove("irls");
    answers["symptoms"]["severity_0_10"] = 7.into();
    answers
}

/// Restarts the server with an on-call address, some days after the worked example.
pub fn june(app: App) -> App {
    let app = app.restart(&["--urgent-mail-to", ON_CALL]);
    app.clock.advance(SignedDuration::from_hours(24 * 100));
    app
}

pub async fn begin(client: &Client, patient_id: &str) -> Reply {
    let reply = client.post(&format!("/v1/patients/{patient_id}/intakes"), json!({"form": "rls-history"})).await;
    reply.expect(201);
    reply
}

pub async fn save(client: &Client, path: &str, answers: Value) -> Reply {
    let reply = client.update(path, json!({"answers": answers})).await;
    reply.expect(200);
    reply
}

/// Begins, fills in and submits an intake. Returns its path.
pub async fn submitted(client: &Client, patient_id: &str, answers: Value) -> String {
    let path = begin(client, patient_id).await.location();
    save(client, &path, answers).await;
    client.post_empty(&format!("{path}/submit")).await.expect(200);
    path
}
