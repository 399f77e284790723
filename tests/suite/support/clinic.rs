//! A small clinic, set up through the API as an administrator would.

use serde_json::{Value, json};

use super::{App, Client, Reply};

/// The ids of the clinic's objects.
#[derive(Debug, Clone)]
pub struct Clinic {
    /// In America/New_York, slots of 15 minutes.
    pub location_id: String,
    /// Sees patients there Monday to Friday from 9 to 17, and offers all three visit types.
    pub practitioner_id: String,
    /// 60 minutes.
    pub new_visit: String,
    /// 30 minutes.
    pub follow_up: String,
    /// 15 minutes.
    pub check: String,
}

impl App {
    /// One location, one practitioner, three visit types, and published slots.
    pub async fn clinic(&self) -> Clinic {
        let clinic = set_up(&self.admin().await).await;
        let _ = self.practitioner_id.set(clinic.practitioner_id.clone());
        clinic
    }
}

/// One location, one practitioner, three visit types, and published slots.
pub async fn set_up(admin: &Client) -> Clinic {
    let location_id = location(admin, "Main Street", "America/New_York").await;
    let new_visit = visit_type(admin, "New patient", 60).await;
    let follow_up = visit_type(admin, "Follow-up", 30).await;
    let check = visit_type(admin, "Check", 15).await;
    let types = [new_visit.as_str(), &follow_up, &check];
    let practitioner_id = practitioner(admin, "Dr. Ada Vein", &location_id, &types).await;
    Clinic { location_id, practitioner_id, new_visit, follow_up, check }
}

/// A location with slots of 15 minutes.
pub async fn location(admin: &Client, name: &str, time_zone: &str) -> String {
    let body = json!({
        "name": name,
        "address": "1 Main Street, Springfield",
        "phone": "+12025550100",
        "country": "US",
        "time_zone": time_zone,
        "slot_minutes": 15,
    });
    admin.post("/v1/locations", body).await.expect(201).id()
}

/// A practitioner with weekly hours Monday to Friday from 9 to 17.
pub async fn practitioner(admin: &Client, name: &str, location_id: &str, visit_type_ids: &[&str]) -> String {
    let body = json!({"name": name, "visit_type_ids": visit_type_ids, "location_ids": [location_id]});
    let id = admin.post("/v1/practitioners", body).await.expect(201).id();
    put_hours(admin, &id, weekly_hours(location_id)).await.expect(200);
    id
}

/// Replaces a practitioner's weekly hours.
pub async fn put_hours(client: &Client, practitioner: &str, rules: Value) -> Reply {
    client.replace(&format!("/v1/practitioners/{practitioner}/availability"), json!({"items": rules})).await
}

/// A visit type that patients can book and cancel at any time.
pub async fn visit_type(admin: &Client, name: &str, minutes: u32) -> String {
    let body = json!({
        "name": name,
        "public_name": name,
        "duration_minutes": minutes,
        "online_bookable": true,
        "booking_notice_minutes": 0,
        "cancel_notice_minutes": 0,
    });
    admin.post("/v1/visit-types", body).await.expect(201).id()
}

/// Monday to Friday from 9 to 17.
pub fn weekly_hours(location_id: &str) -> Value {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday"];
    json!(days.map(|day| hours(location_id, day, "09:00", "17:00")))
}

/// One day's part of the weekly hours.
pub fn hours(location_id: &str, weekday: &str, start: &str, end: &str) -> Value {
    json!({"weekday": weekday, "start": start, "end": end, "location_id": location_id})
}

/// The free starts for a visit type, earliest first.
pub async fn free_slots(client: &Client, visit_type_id: &str) -> Vec<Value> {
    client.get(&format!("/v1/slots?visit_type_id={visit_type_id}&limit=200")).await.items()
}
