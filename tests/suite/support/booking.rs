//! Booking appointments, and the paths of an appointment.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::clinic::free_slots;
use super::{Client, Reply, id};

/// The body of a booking. `slot` is a slot or its id.
pub fn booking(slot: &Value, visit_type: &str, patient: &str) -> Value {
    let slot_id = slot.get("id").unwrap_or(slot);
    json!({"slot_id": slot_id, "visit_type_id": visit_type, "patient_id": patient})
}

/// Books a slot, or the slot of this id, with an `Idempotency-Key` of its own.
pub async fn book(client: &Client, slot: &Value, visit_type: &str, patient: &str) -> Reply {
    post_booking(client, booking(slot, visit_type, patient)).await
}

/// Sends the body of a booking with an `Idempotency-Key` of its own.
pub async fn post_booking(client: &Client, body: Value) -> Reply {
    static KEYS: AtomicU32 = AtomicU32::new(0);
    let key = format!("booking-{}", KEYS.fetch_add(1, Ordering::Relaxed));
    client.post_with("/v1/appointments", body, &[("Idempotency-Key", &key)]).await
}

/// Books the free time with this number, from 0, of a visit type; the response is the appointment (201).
pub async fn book_nth(client: &Client, visit_type: &str, nth: usize, patient: &str) -> Reply {
    let slots = free_slots(client, visit_type).await;
    let reply = book(client, &slots[nth], visit_type, patient).await;
    reply.expect(201);
    reply
}

/// The path of an appointment, followed by `rest`, such as `/cancel`.
pub fn path(appointment: &Value, rest: &str) -> String {
    format!("/v1/appointments/{}{rest}", id(appointment))
}
