//! The demo's locations, visit types, practitioners and their weekly hours.

use diesel::prelude::*;
use jiff::ToSpan;
use jiff::civil::Weekday;

use crate::audit_context::AuditContext;
use crate::context::{Anonymous, Tx};
use crate::db::Conn;
use crate::db::schema::{availability, location_closures, locations, practitioners, resources, visit_types};
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::identifiers::{self, Identifier, Identifiers};
use crate::ids::{AvailabilityId, LocationId, PractitionerId, VisitTypeId};
use crate::scheduling::hours::closure::Closure;
use crate::scheduling::hours::publishing;
use crate::scheduling::setup;
use crate::scheduling::setup::location::Location;
use crate::scheduling::setup::offerings;
use crate::scheduling::setup::practitioner::{self, Practitioner};
use crate::scheduling::setup::resource::Resource;
use crate::scheduling::setup::visit_type::VisitType;

/// The clinic, as the demo's people need it.
pub(super) struct Clinic {
    /// The practitioners. The first one has an account.
    pub practitioners: Vec<PractitionerId>,
    /// First visit, follow-up, vein ultrasound, infusion.
    pub visit_types: Vec<VisitTypeId>,
}

/// Weekly hours: weekdays from Monday = 1, start and end in minutes of the day.
type Hours = (&'static [i32], i32, i32);

/// A practitioner: name and national identifier, the visit types, and the hours at each location.
type Doctor<'a> = ((&'a str, &'a str), &'a [VisitTypeId], &'a [(LocationId, Hours)]);

/// Monday to Friday.
const WEEKDAYS: &[i32] = &[1, 2, 3, 4, 5];

pub(super) fn fill(tx: &mut Conn, env: &Env) -> Result<Clinic> {
    let boston =
        location(tx, env, "Back Bay", "101 Arlington Street, Boston, MA 02116", "+16175550140", "America/New_York")?;
    let denver =
        location(tx, env, "Union Station", "1701 Wynkoop Street, Denver, CO 80202", "+13035550176", "America/Denver")?;
    for location_id in [boston, denver] {
        training_day(tx, env, location_id)?;
    }
    let visit_types = vec![
        visit_type(tx, env, "New patient evaluation", ("First visit", "Primera consulta"), 60)?,
        visit_type(tx, env, "Follow-up", ("Follow-up visit", "Consulta de seguimiento"), 30)?,
        visit_type(tx, env, "Venous duplex ultrasound", ("Examination", "Examen"), 45)?,
        visit_type(tx, env, "Iron infusion", ("Treatment", "Tratamiento"), 60)?,
    ];
    resource(tx, env, "Examination device", &[(boston, 1), (denver, 1)], visit_types[2])?;
    resource(tx, env, "Treatment chair", &[(boston, 2), (denver, 1)], visit_types[3])?;
    let all = visit_types.as_slice();
    let doctors: [Doctor; 4] = [
        (
            ("Dr. Maya Ortiz", "1999999984"),
            all,
            &[(boston, (WEEKDAYS, 9 * 60, 12 * 60)), (boston, (WEEKDAYS, 13 * 60, 17 * 60))],
        ),
        (("Dr. Samuel Lindqvist", "1999999976"), all, &[(boston, (&[1, 3, 5], 8 * 60, 16 * 60))]),
        (("Dr. Aiko Tanaka", "1999999968"), all, &[(denver, (WEEKDAYS, 9 * 60, 17 * 60))]),
        (
            ("Dr. Peter Novák", "1999999950"),
            &all[..2],
            &[(denver, (&[2, 4], 10 * 60, 18 * 60)), (denver, (&[6], 9 * 60, 13 * 60))],
        ),
    ];
    let mut practitioners = Vec::new();
    for (who, offers, hours) in doctors {
        practitioners.push(practitioner(tx, env, who, offers, hours)?);
    }
    Ok(Clinic { practitioners, visit_types })
}

fn location(tx: &mut Conn, env: &Env, name: &str, address: &str, phone: &str, zone: &str) -> Result<LocationId> {
    let now = env.now();
    let location = Location {
        id: env.new_id(),
        name: name.into(),
        address: address.into(),
        phone: phone.into(),
        country: "US".into(),
        time_zone: zone.into(),
        slot_minutes: 15,
        version: 1,
        created_at: now,
        updated_at: now,
        zone_scan_due: false,
    };
    diesel::insert_into(locations::table).values(&location).execute(tx)?;
    Ok(location.id)
}

/// Closes a location for a training day in three weeks.
fn training_day(tx: &mut Conn, env: &Env, location_id: LocationId) -> Result<()> {
    let now = env.now();
    let mut day = now.in_zone(&jiff::tz::TimeZone::UTC).date().saturating_add(3.weeks());
    while matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
        day = day.saturating_add(1.day());
    }
    let closure = Closure {
        id: env.new_id(),
        location_id,
        day: Some(Date(day)),
        starts_at: None,
        ends_at: None,
        name: "Staff training day".into(),
        created_at: now,
    };
    diesel::insert_into(location_closures::table).values(&closure).execute(tx)?;
    Ok(())
}

/// `public` is the public name in English and Spanish.
fn visit_type(tx: &mut Conn, env: &Env, name: &str, public: (&str, &str), minutes: i32) -> Result<VisitTypeId> {
    let now = env.now();
    let visit_type = VisitType {
        id: env.new_id(),
        name: name.into(),
        public_name: public.0.into(),
        public_name_es: Some(public.1.into()),
        duration_minutes: minutes,
        online_bookable: true,
        booking_notice_minutes: 60,
        cancel_notice_minutes: 24 * 60,
        active: true,
        version: 1,
        created_at: now,
        updated_at: now,
        buffer_before_minutes: 0,
        // Cleaning and preparing the chair.
        buffer_after_minutes: if name == "Iron infusion" { 15 } else { 0 },
    };
    diesel::insert_into(visit_types::table).values(&visit_type).execute(tx)?;
    Ok(visit_type.id)
}

/// A resource that one visit type needs, with its number of units at each location. Its name tells nothing about health, because
/// patients see it.
fn resource(
    tx: &mut Conn,
    env: &Env,
    name: &str,
    capacities: &[(LocationId, i32)],
    visit_type: VisitTypeId,
) -> Result<()> {
    let now = env.now();
    let resource = Resource { id: env.new_id(), name: name.into(), version: 1, created_at: now, updated_at: now };
    diesel::insert_into(resources::table).values(&resource).execute(tx)?;
    let audit = AuditContext::of_command("demo");
    setup::resource::set_capacities(&mut Tx::new(tx, env, &Anonymous, &audit), resource.id, capacities)?;
    setup::resource::set_needed(tx, visit_type, &[resource.id])
}

fn practitioner(
    tx: &mut Conn,
    env: &Env,
    (name, npi): (&str, &str),
    offers: &[VisitTypeId],
    hours: &[(LocationId, Hours)],
) -> Result<PractitionerId> {
    let now = env.now();
    let practitioner = Practitioner {
        id: env.new_id(),
        name: name.into(),
        active: true,
        identifiers: Identifiers(vec![Identifier {
            system: "http://hl7.org/fhir/sid/us-npi".into(),
            value: npi.into(),
        }]),
        version: 1,
        availability_version: 1,
        created_at: now,
        updated_at: now,
    };
    diesel::insert_into(practitioners::table).values(&practitioner).execute(tx)?;
    identifiers::set_for_practitioner(tx, practitioner.id, &practitioner.identifiers)?;
    let mut places: Vec<_> = hours.iter().map(|(location, _)| *location).collect();
    places.dedup();
    offerings::replace(tx, practitioner.id, offers, &places)?;
    for (location, (weekdays, start, end)) in hours {
        for weekday in *weekdays {
            diesel::insert_into(availability::table)
                .values((
                    availability::id.eq(env.new_id::<AvailabilityId>()),
                    availability::practitioner_id.eq(practitioner.id),
                    availability::location_id.eq(location),
                    availability::weekday.eq(weekday),
                    availability::start_minute.eq(start),
                    availability::end_minute.eq(end),
                ))
                .execute(tx)?;
        }
    }
    let practitioner = practitioner::lock(tx, practitioner.id)?;
    let audit = AuditContext::of_command("demo");
    publishing::publish(&mut Tx::new(tx, env, &Anonymous, &audit), &practitioner, &[])?;
    Ok(practitioner.id)
}
