//! Who sees and writes which parts of an intake.

use diesel::prelude::*;

use super::contacts::Surroundings;
use super::rls::{Context, FilledBy, Viewer};
use super::{Rules, review, store};
use crate::actor::{Actor, Role};
use crate::db::Conn;
use crate::db::schema::patient_access;
use crate::env::Env;
use crate::error::Result;
use crate::patients::model::{AdministrativeSex, Patient};

/// As whom the actor fills in and reads a patient's forms, and whether that is as somebody who helps an adult.
///
/// # Errors
/// The database's.
fn filled_by(tx: &mut Conn, actor: &Actor, patient: &Patient) -> Result<(FilledBy, bool)> {
    match actor.role {
        Role::FrontDesk | Role::Admin => return Ok((FilledBy::Staff, false)),
        Role::Practitioner => return Ok((FilledBy::Practitioner, false)),
        Role::Patient => {}
    }
    let relation: Option<String> = patient_access::table
        .find((actor.user_id, patient.id))
        .select(patient_access::relation)
        .first(tx)
        .optional()?;
    Ok(match relation.as_deref() {
        Some("self") => (FilledBy::Patient, false),
        Some("caregiver") => (FilledBy::Guardian, true),
        _ => (FilledBy::Guardian, false),
    })
}

/// A patient's intake, as seen by somebody: what all operations on it need.
pub struct Bearings {
    /// As whom the actor reads and writes.
    pub filled_by: FilledBy,
    helps_adult: bool,
    /// Where the patient belongs.
    pub surroundings: Surroundings,
    /// What the rules need besides the answers.
    pub context: Context,
}

impl Bearings {
    /// Takes them, on the day of `now`.
    ///
    /// # Errors
    /// The database's.
    pub fn take(tx: &mut Conn, env: &Env, rules: &Rules, actor: &Actor, patient: &Patient) -> Result<Self> {
        let (filled_by, helps) = filled_by(tx, actor, patient)?;
        let surroundings = Surroundings::of(tx, env, patient.id)?;
        let today = surroundings.day(env.now())?;
        let context = Context {
            irls_licensed: rules.text_pack.is_some(),
            self_harm_in_clinician_part: env.config.settings.self_harm_by_clinician,
            monitoring_weeks: env.config.settings.iron_monitoring_weeks,
            recorded_male: patient.administrative_sex == AdministrativeSex::Male,
            ..Context::new(patient.date_of_birth.0, today, filled_by)
        };
        let helps_adult = helps && !context.is_minor();
        Ok(Self { filled_by, helps_adult, surroundings, context })
    }

    /// With what a review found about mimics.
    ///
    /// # Errors
    /// A fault, if the review does not open.
    pub fn reviewed(mut self, env: &Env, intake: &store::Intake) -> Result<Self> {
        if let Some(found) = review::of(env, intake)?.and_then(|review| review.mimic_review) {
            self.context.mimic_review = found;
        }
        Ok(self)
    }

    /// As whom the actor looks at it.
    pub fn viewer(&self) -> Viewer {
        match self.filled_by {
            FilledBy::Patient => Viewer::Patient,
            FilledBy::Staff => Viewer::Desk,
            FilledBy::Practitioner => Viewer::Practitioner,
            // Who helps an adult sees what the adult shows them; a parent's sight ends with the childhood.
            FilledBy::Guardian if self.helps_adult => Viewer::Patient,
            FilledBy::Guardian => Viewer::GuardianOfMinor,
        }
    }
}
