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
        let api = Api { http: reqwest::Client::new(), base: server.base.clone(), token: sign_in(&server.base).await? };
        let location = api.create("locations", json!({
            "name": "Main Street", "address": "1 Main Street, Springfield", "phone": "+12025550100", "country": "US",
            "time_zone": "America/New_York", "slot_minutes": 15,
        })).await?;
        let first_visit = api.visit_type("First visit", 60).await?;
        let check = api.visit_type("Check", 15).await?;
        let hour =
            |weekday: &str| json!({"weekday": weekday, "start": "09:00", "end": "17:00", "location_id": location});
        let week = json!(["monday", "tuesday", "wednesday", "thursday", "friday"].map(hour));
        for number in 0..practitioners {
            let id = api.create("practitioners", json!({
                "name": format!("Dr. {number}"), "visit_type_ids": [first_visit, check], "location_ids": [location],
            })).await?;
            api.set_availability(&id, &week).await?;
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
        Child::server(folder, &[], &settings).await
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
        Request::post("/v1/appointments")
            .header(HOST, "127.0.0.1")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header("idempotency-key", format!("booking-{number}"))
            .body(Full::from(body))
            .ok()
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
struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// Creates an object and returns its id.
    async fn create(&self, list: &str, body: Value) -> Outcome<String> {
        let request = self.http.post(format!("{}/v1/{list}", self.base)).bearer_auth(&self.token).json(&body);
        let made = answer(request).await?;
        Ok(made["id"].as_str().ok_or("no id")?.to_owned())
    }

    async fn visit_type(&self, name: &str, minutes: u32) -> Outcome<String> {
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
