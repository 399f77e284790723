//! Reads what the rules compare: from the database, the API and the mails.

use std::time::{Duration, Instant};

use diesel::prelude::*;
use legwork::clock::Timestamp;
use legwork::db::schema::{appointments, messages, resource_occupancy, waitlist_offers};
use legwork::doctor::{Severity, bookings};
use legwork::ids::{AppointmentId, MessageId, PatientId, PractitionerId};

use super::law::attention;
use super::rules::{Facts, Message, Offer, Row};
use super::world::World;
use crate::support::people::PASSWORD;
use crate::support::{App, Client, audit, eventually};

type Times = (Timestamp, Timestamp);

pub async fn read(world: &World) -> Facts {
    let app = &world.app;
    let start: Timestamp = crate::support::START.parse().expect("an instant");
    let visits = app
        .db(|conn| {
            let rows: Vec<(AppointmentId, PatientId, PractitionerId, Timestamp, Timestamp, Timestamp, String)> =
                appointments::table
                    .select((
                        appointments::id,
                        appointments::patient_id,
                        appointments::practitioner_id,
                        appointments::starts_at,
                        appointments::busy_from,
                        appointments::busy_until,
                        appointments::status,
                    ))
                    .load(conn)?;
            Ok(rows)
        })
        .await;
    let units = app
        .db(|conn| {
            let columns = (resource_occupancy::unit_id, resource_occupancy::busy_from, resource_occupancy::busy_until);
            let taken = resource_occupancy::table.filter(resource_occupancy::appointment_id.is_not_null());
            Ok(taken.select(columns).load::<(legwork::ids::ResourceUnitId, Timestamp, Timestamp)>(conn)?)
        })
        .await;
    let messages = app
        .db(|conn| {
            let columns = (messages::id, messages::kind, messages::appointment_id);
            Ok(messages::table.select(columns).load::<(MessageId, String, Option<AppointmentId>)>(conn)?)
        })
        .await;
    let offers = app
        .db(|conn| {
            let columns = (
                waitlist_offers::patient_id,
                waitlist_offers::status,
                (waitlist_offers::created_at, waitlist_offers::updated_at, waitlist_offers::expires_at),
            );
            let rows: Vec<(PatientId, String, (Timestamp, Timestamp, Timestamp))> =
                waitlist_offers::table.select(columns).load(conn)?;
            Ok(rows)
        })
        .await;
    let trail = trail(app).await;
    let contradictions = app.db(move |conn| bookings::check(conn, start)).await;
    let admin = app.anon().sign_in("admin@clinic.example", PASSWORD).await;
    let report =
        admin.get("/v1/reports/utilisation?from=2026-03-02&to=2026-03-31").await.expect(200).body["total"].clone();
    Facts {
        model: world.model.clone(),
        visits: visits
            .into_iter()
            .map(|(id, patient, practitioner, starts_at, from, until, status)| Row {
                id: id.to_string(),
                patient: patient.to_string(),
                practitioner: practitioner.to_string(),
                starts_at,
                busy: (from, until),
                status,
            })
            .collect(),
        units: units.into_iter().map(|(unit, from, until)| (unit.to_string(), (from, until))).collect(),
        messages: messages
            .into_iter()
            .map(|(id, kind, visit)| Message { id: id.to_string(), kind, visit: visit.map(|id| id.to_string()) })
            .collect(),
        offers: offers.into_iter().map(|(patient, status, times)| offer(patient, &status, times)).collect(),
        report,
        numbers: numbers(&admin).await,
        trail,
        attention: attention(&admin).await,
        bookings: contradictions
            .into_iter()
            .filter(|found| found.severity != Severity::Ok)
            .map(|found| found.detail)
            .collect(),
    }
}

/// What is wrong with the audit trail, once the last events have their seals.
async fn trail(app: &App) -> Vec<String> {
    // The clock jumps by hours while the last events of the time before wait for their seal.
    let is_of_clock = |finding: &String| finding.contains("were sealed more than ten minutes after they happened");
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let found: Vec<String> =
            audit::findings(app, None).await.into_iter().filter(|finding| !is_of_clock(finding)).collect();
        if found.iter().all(|finding| !finding.contains("has no seal")) || Instant::now() > patience {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn offer(patient: PatientId, status: &str, (made, changed, expires): (Timestamp, Timestamp, Timestamp)) -> Offer {
    let end: Timestamp = if matches!(status, "offered" | "lapsed") { expires } else { changed };
    let open: Times = (made, end);
    Offer { patient: patient.to_string(), open }
}

/// The numbers of all events, when all are numbered.
async fn numbers(admin: &Client) -> Vec<i64> {
    eventually(async || {
        let (events, through) = crate::events::read_all(admin, 0, "").await;
        let numbers: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().expect("a number")).collect();
        if numbers.last() == Some(&through) { Ok(numbers) } else { Err(format!("{through}")) }
    })
    .await
}
