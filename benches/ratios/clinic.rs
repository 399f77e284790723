//! The clinic of the measurement, set up through the server's API, and the requests.

use std::path::Path;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use jiff::ToSpan;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use legwork::clock::Clock;
use legwork::demo;
use serde_json::{Value, json};

use crate::child::Child;
use crate::database::Database;
use crate::{Outcome, Scale};

/// A prepared request.
pub type Prepared = Request<Full<Bytes>>;

/// The setting for the number of days with published slots.
const HORIZON: &str = "SLOT_HORIZON_DAYS";

/// The data for the requests.
pub struct Clinic {
    /// Where the data is.
    pub database: Database,
    /// A visit of one hour, which is four slots.
    pub first_visit: String,
    /// A visit of one slot. It is also the booked one.
    pub check: String,
    patients: Vec<String>,
    /// By time, and one practitioner after the other.
    pub slots: Vec<String>,
    horizon: String,
    /// Where a search begins: a Monday, on which all practitioners are free the whole day.
    pub from: String,
}

impl Clinic {
    /// Fills a database through a server in `folder`, and stops it. The accounts are those of the demo, whose practitioners have no slots
    /// any more.
    pub async fn build(folder: &Path, database: Database, scale: &Scale) -> Outcome<Self> {
        let Scale { practitioners, patients, days, .. } = *scale;
        let horizon = days.to_string();
        let server = Child::server(folder, &["--demo"], &database.settings(&[(HORIZON, &horizon)])).await?;
        let api = Api::sign_in(&server.base).await?;
        api.deactivate_practitioners().await?;
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
        let slots = database.free_slots(&check)?;
        Ok(Self { database, first_visit, check, patients: all, slots, horizon, from: next_monday()? })
    }

    /// A server on the clinic, with more settings. It publishes no further slots, because it has the same horizon.
    pub async fn server(&self, folder: &Path, settings: &[(&str, &str)]) -> Outcome<Child> {
        let settings: Vec<_> = settings.iter().copied().chain([(HORIZON, self.horizon.as_str())]).collect();
        Child::server(folder, &["--demo"], &self.database.settings(&settings)).await
    }

    /// The search for the first `limit` starts of a visit.
    pub fn search(&self, visit_type: &str, limit: usize) -> Prepared {
        let path = format!("/v1/slots?visit_type_id={visit_type}&from={}&limit={limit}", self.from);
        Request::get(path).header(HOST, "127.0.0.1").body(Full::default()).unwrap_or_default()
    }

    /// The booking of the slot with this number; `None` after the last one. Neighbours in time are for different patients.
    pub fn booking(&self, number: usize, token: &str) -> Option<Prepared> {
        let slot = self.slots.get(number)?;
        let patient = self.patients.get(number % self.patients.len())?;
        let body = json!({"slot_id": slot, "visit_type_id": self.check, "patient_id": patient}).to_string();
        booking(body, token, &format!("booking-{number}"))
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

/// Midnight UTC of the first Monday from the day after tomorrow on.
fn next_monday() -> Outcome<String> {
    let mut day = Clock::System.now().jiff().to_zoned(TimeZone::UTC).date().checked_add(2.days())?;
    while day.weekday() != Weekday::Monday {
        day = day.tomorrow()?;
    }
    Ok(format!("{day}T00:00:00Z"))
}

/// Unique names, so that no patient is a likely duplicate.
fn name(number: usize) -> String {
    let letter = |value: usize| char::from(b'a' + u8::try_from(value % 26).unwrap_or(0));
    format!("M{}{}{}{}", letter(number), letter(number / 26), letter(number / 7), letter(number / 676))
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

    /// Makes all practitioners inactive, which deletes their free slots.
    async fn deactivate_practitioners(&self) -> Outcome<()> {
        let list = format!("{}/v1/practitioners", self.base);
        let all = answer(self.http.get(&list).bearer_auth(&self.token)).await?;
        for practitioner in all["items"].as_array().ok_or("no practitioners")? {
            let url = format!("{list}/{}", practitioner["id"].as_str().ok_or("no id")?);
            let there = self.http.get(&url).bearer_auth(&self.token).send().await?.error_for_status()?;
            let etag = there.headers().get("etag").ok_or("no ETag")?.clone();
            let patch = self.http.patch(&url).bearer_auth(&self.token).header("if-match", etag);
            answer(patch.header("content-type", "application/merge-patch+json").body(r#"{"active": false}"#)).await?;
        }
        Ok(())
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
