//! Whom to call: the numbers that a notice names, by where the patient is seen.

use crate::clock::Timestamp;
use crate::config::Settings;
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::ids::PatientId;
use crate::intake::rls::Numbers;
use crate::intake::store;
use crate::phone::{self, Country};
use crate::scheduling::model::Location;

/// Where a patient belongs: for the numbers and the calendar day.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Where they are seen next, were last, or else the clinic's first location.
    location: Option<Location>,
}

/// The country of a clinic that has no location yet.
const COUNTRY: &str = "US";
/// What to call where the settings name no number for a country: it works in most of the world's mobile networks.
const ANYWHERE: &str = "112";

impl Surroundings {
    /// Looks them up.
    ///
    /// # Errors
    /// The database's.
    pub fn of(tx: &mut Conn, env: &Env, patient: PatientId) -> Result<Self> {
        Ok(Self { location: store::place_of_care(tx, patient, env.now())? })
    }

    /// The calendar day there.
    ///
    /// # Errors
    /// A fault: no unknown zone is ever stored.
    pub fn day(&self, now: Timestamp) -> Result<jiff::civil::Date> {
        Ok(now.in_zone(&self.zone()?).date())
    }

    /// The time zone there.
    ///
    /// # Errors
    /// A fault: no unknown zone is ever stored.
    pub fn zone(&self) -> Result<jiff::tz::TimeZone> {
        self.location.as_ref().map_or(Ok(jiff::tz::TimeZone::UTC), Location::zone)
    }

    /// The numbers to call there: emergency, crisis line, clinic.
    pub fn numbers(&self, settings: &Settings) -> Numbers {
        let country = self.location.as_ref().map_or(COUNTRY, |location| location.country.as_str());
        let emergency = settings.emergency_number.of(country).unwrap_or(ANYWHERE).to_owned();
        let own = settings.clinic_phone.as_deref().map(|number| phone::shown(number, Country::of(country)));
        Numbers {
            crisis: settings.crisis_line.of(country).unwrap_or(&emergency).to_owned(),
            clinic: self.location.as_ref().map(Location::phone_shown).or(own).unwrap_or_default(),
            emergency,
        }
    }
}
