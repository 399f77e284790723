//! The clinic of the measurement, set up through the server's API, and the requests.

use std::path::Path;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use legwork::demo;
use rusqlite::Connection;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Outcome;
use crate::child::Child;

/// A prepared request.
pub type Prepared = Request<Full<Bytes>>;

/// The setting for the number of days with published slots.
const HORIZON: &str = "SLOT_HORIZON_DAYS";

/// The data for the requests.
pub struct Clinic {
    /// The searched visit type: one hour, four slots.
    first_visit: String,
    /// The booked visit type: one slot.
    check: String,
    patients: Vec<String>,
    /// By time, and one practitioner after the other.
    pub slots: Vec<String>,
    horizon: String,
}

impl Clinic {
    /// Fills the database in `folder` through a server, and stops it. The accounts are those of the demo.
    pub async fn build(folder: &Path, practitioners: usize, patients: usize, days: u32) -> Outcome<Self> {
        let horizon = days.to_string();
        let server = Child::server(folder, &["--demo"], &[(HORIZON, &horizon)]).await?;
        let api = Api::sign_in(&server.base).await?;
        let location = api.create_location().await?;
        let first_visit = api.create_visit_type("First visit", 60).await?;
        let check = api.create_visit_type("Check", 15).await?;
        for number in 0..practitioners {
            api.create_practitioner(&format!("Dr. {number}"), &[&first_visit, &check], &location).await?;
        }
        let mut all = Vec::new();
        for number in 0..patients {
            all.push(api.create("patients", json!({
                "given_name": name(number), "family_name": name(number / 7 + 3 * number), "date_of_birth": "1967-09-14",
                "administrative_sex": "female", "phone": format!("+1202555{number:04}"), "preferred_language": "en",
                "interpreter_needed": false,
            })).await?);
        }
        server.stop()?;
        let slots = free_slots(&folder.join("data/legwork.db"), &check)?;
        Ok(Self { first_visit, check, patients: all, slots, horizon })
    }

    /// A server on the clinic, with more settings. It publishes no further slots, because it has the same horizon.
    pub async fn server(&self, folder: &Path, settings: &[(&str, &str)]) -> Outcome<Child> {
        let settings: Vec<_> = settings.iter().copied().chain([(HORIZON, self.horizon.as_str())]).collect();
        Child::server(folder, &["--demo"], &settings).await
    }

    /// The search for the first 50 starts of a visit of an hour, with the path prefix `before`.
    pub fn search(&self, before: &str) -> Prepared {
        let path = format!("{before}/v1/slots?visit_type_id={}", self.first_visit);
        Request::get(path).header(HOST, "127.0.0.1").body(Full::default()).unwrap_or_default()
    }

    /// The booking of the slot with this number; `None` after the last one. Neighbours in time are for different patients.
    pub fn booking(&self, number: usize, token: &str) -> Option<Prepared> {
        let slot = self.slots.get(number)?;
        let patient = self.patients.get(number % self.patients.len())?;
        let body = json!({"slot_id": slot, "visit_type_id": self.check, "patient_id": patient}).to_string();
        booking(body, token, &format!("booking-{number}"))
    }

    /// Checks that a database has `count` bookings, of the first slots.
    pub fn check_bookings(&self, database: &Path, count: usize) -> Outcome<()> {
        let conn = Connection::open(database)?;
        let sql = "SELECT count(DISTINCT appointments.id) FROM appointments
                   JOIN slots ON slots.appointment_id = appointments.id WHERE visit_type_id = ?";
        let found: i64 = conn.query_row(sql, [id(&self.check)?], |row| row.get(0))?;
        if usize::try_from(found) == Ok(count) {
            Ok(())
        } else {
            Err(format!("{count} bookings were acknowledged, {found} are there").into())
        }
    }
}

/// The request of a booking.
pub fn booking(body: String, token: &str, key: &str) -> Option<Prepared> {
    Request::post("/v1/appointments")
        .header(HOST, "127.0.0.1")
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header("idempotency-key", key)
        .body(Full::from(body))
        .ok()
}

/// An id as the database stores it.
fn id(text: &str) -> Outcome<[u8; 16]> {
    Ok(text.parse::<Uuid>()?.into_bytes())
}

/// Unique names, so that no patient is a likely duplicate.
fn name(number: usize) -> String {
    let letter = |value: usize| char::from(b'a' + u8::try_from(value % 26).unwrap_or(0));
    format!("M{}{}{}{}", letter(number), letter(number / 26), letter(number / 7), letter(number / 676))
}

/// All slots from tomorrow on whose practitioner offers the visit.
fn free_slots(database: &Path, visit_type: &str) -> Outcome<Vec<String>> {
    let conn = Connection::open(database)?;
    let mut query = conn.prepare(
        "SELECT id FROM slots JOIN practitioner_visit_types USING (practitioner_id)
         WHERE visit_type_id = ? AND starts_at > (unixepoch() + 86400) * 1000000 ORDER BY starts_at, id",
    )?;
    let rows = query.query_map([id(visit_type)?], |row| Ok(Uuid::from_bytes(row.get(0)?).to_string()))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An access token of the demo's administrator.
pub async fn sign_in(base: &str) -> Outcome<String> {
    let body = json!({"email": format!("admin@{}", demo::DOMAIN), "password": demo::PASSWORD});
    let reply = reqwest::Client::new().post(format!("{base}/v1/sessions")).json(&body).send().await?;
    let session: Value = reply.error_for_status()?.json().await?;
    Ok(session["access_token"].as_str().ok_or("no token")?.to_owned())
}

/// The API for an administrator.
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// With a new access token.
    pub async fn sign_in(base: &str) -> Outcome<Self> {
        Ok(Self { http: reqwest::Client::new(), base: base.to_owned(), token: sign_in(base).await? })
    }

    /// Creates an object and returns its id.
    pub async fn create(&self, list: &str, body: Value) -> Outcome<String> {
        let request = self.http.post(format!("{}/v1/{list}", self.base)).bearer_auth(&self.token).json(&body);
        // Only appointments have a slot, and only they need a key.
        let request = match body["slot_id"].as_str() {
            Some(slot) => request.header("idempotency-key", slot),
            None => request,
        };
        let made = answer(request).await?;
        Ok(made["id"].as_str().ok_or("no id")?.to_owned())
    }

    /// A location in New York.
    pub async fn create_location(&self) -> Outcome<String> {
        let body = json!({
            "name": "Main Street", "address": "1 Main Street, Springfield", "phone": "+12025550100", "country": "US",
            "time_zone": "America/New_York", "slot_minutes": 15,
        });
        self.create("locations", body).await
    }

    /// A practitioner who works from nine to five on weekdays, so that 32 slots are published for each day.
    pub async fn create_practitioner(&self, name: &str, visit_types: &[&str], location: &str) -> Outcome<String> {
        let body = json!({"name": name, "visit_type_ids": visit_types, "location_ids": [location]});
        let id = self.create("practitioners", body).await?;
        let hours =
            |weekday: &str| json!({"weekday": weekday, "start": "09:00", "end": "17:00", "location_id": location});
        let week = json!(["monday", "tuesday", "wednesday", "thursday", "friday"].map(hours));
        self.set_availability(&id, &week).await?;
        Ok(id)
    }

    /// A visit type that patients can book online.
    pub async fn create_visit_type(&self, name: &str, minutes: u32) -> Outcome<String> {
        self.create(
            "visit-types",
            json!({
                "name": name, "public_name": name, "duration_minutes": minutes, "online_bookable": true,
                "booking_notice_minutes": 0, "cancel_notice_minutes": 0,
            }),
        )
        .await
    }

    async fn set_availability(&self, practitioner: &str, week: &Value) -> Outcome<()> {
        let url = format!("{}/v1/practitioners/{practitioner}/availability", self.base);
        let there = self.http.get(&url).bearer_auth(&self.token).send().await?.error_for_status()?;
        let etag = there.headers().get("etag").ok_or("no ETag")?.clone();
        answer(self.http.put(&url).bearer_auth(&self.token).header("if-match", etag).json(&json!({"items": week})))
            .await?;
        Ok(())
    }
}

/// Sends a request that must succeed.
async fn answer(request: reqwest::RequestBuilder) -> Outcome<Value> {
    let reply = request.send().await?;
    let (status, body) = (reply.status(), reply.text().await?);
    if status.is_success() { Ok(serde_json::from_str(&body)?) } else { Err(format!("{status}: {body}").into()) }
}
