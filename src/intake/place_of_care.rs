//! Where a patient is treated: the calendar day there, and the phone numbers that notices name.

use diesel::prelude::*;
use rls::PhoneNumbers;

use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::context::Tx;
use crate::db::Conn;
use crate::db::schema::{appointments, locations};
use crate::error::{Error, Result};
use crate::ids::PatientId;
use crate::phone::{self, Country};
use crate::scheduling::setup::location::{self, Location};
use crate::zones::Zones;

/// The location where a patient is treated.
#[derive(Debug, Clone)]
pub struct PlaceOfCare {
    /// The location of the next appointment, else of the last one, else the clinic's first location.
    location: Option<Location>,
    zones: Zones,
}

/// The country of a clinic without a location.
const DEFAULT_COUNTRY: &str = "US";
/// The emergency number of countries without a setting. Most mobile networks accept it.
const DEFAULT_EMERGENCY_NUMBER: &str = "112";

impl PlaceOfCare {
    /// Loads the location.
    pub fn load<P>(tx: &mut Tx<P>, patient: PatientId) -> Result<Self> {
        Ok(Self { location: find(tx.conn, patient, tx.now)?, zones: tx.env.config.zones.clone() })
    }

    /// Returns the calendar day at the location.
    pub fn day(&self, now: Timestamp) -> Result<jiff::civil::Date> {
        Ok(now.in_zone(&self.zone()?).date())
    }

    /// Returns the start of a calendar day at the location.
    pub fn start_of(&self, day: jiff::civil::Date) -> Result<Timestamp> {
        let start = day.to_zoned(self.zone()?).map_err(|error| Error::internal("the start of a day", error))?;
        Ok(Timestamp::from(start.timestamp()))
    }

    /// Returns the time zone of the location, or UTC without a location.
    pub fn zone(&self) -> Result<jiff::tz::TimeZone> {
        self.location.as_ref().map_or(Ok(jiff::tz::TimeZone::UTC), |location| location.zone(&self.zones))
    }

    /// Returns the phone numbers to show: emergency, crisis line and clinic.
    pub fn numbers(&self, settings: &Settings) -> PhoneNumbers {
        let country = self.location.as_ref().map_or(DEFAULT_COUNTRY, |location| location.country.as_str());
        let emergency = settings.emergency_number.of(country).unwrap_or(DEFAULT_EMERGENCY_NUMBER).to_owned();
        let own = settings.clinic_phone.as_deref().map(|number| phone::shown(number, Country::of(country)));
        PhoneNumbers {
            crisis: settings.crisis_line.of(country).unwrap_or(&emergency).to_owned(),
            clinic: self.location.as_ref().map(Location::phone_shown).or(own).unwrap_or_default(),
            emergency,
        }
    }
}

/// Returns the location of the next appointment, else of the last one, else the clinic's first location.
fn find(conn: &mut Conn, patient: PatientId, now: Timestamp) -> Result<Option<Location>> {
    let visits = || {
        appointments::table
            .inner_join(locations::table.on(locations::id.eq(appointments::location_id)))
            .filter(appointments::patient_id.eq(patient))
            .filter(appointments::status.ne(AppointmentStatus::Cancelled))
            .select(Location::as_select())
    };
    let next = visits().filter(appointments::ends_at.gt(now)).order(appointments::starts_at).first(conn).optional()?;
    if next.is_some() {
        return Ok(next);
    }
    let last = visits().order(appointments::starts_at.desc()).first(conn).optional()?;
    if last.is_some() {
        return Ok(last);
    }
    Ok(location::load(conn, None, 1)?.into_iter().next())
}
