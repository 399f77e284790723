//! Who sees and writes which parts of an intake.

use super::contacts::Surroundings;
use super::rls::{Context, FilledBy, Viewer};
use super::{Rules, review, store};
use crate::actor::{Actor, Role};
use crate::db::Conn;
use crate::env::Env;
use crate::error::Result;
use crate::patients;
use crate::patients::model::{AdministrativeSex, Patient, Relation};

/// As whom the actor fills in and reads a patient's forms.
///
/// # Errors
/// The database's.
fn filled_by(tx: &mut Conn, env: &Env, actor: &Actor, patient: &Patient) -> Result<FilledBy> {
    match actor.role {
        Role::FrontDesk | Role::Admin => return Ok(FilledBy::Staff),
        Role::Practitioner => return Ok(FilledBy::Practitioner),
        Role::Patient => {}
    }
    Ok(match patients::access::relation(tx, env, actor.user_id, patient.id)? {
        Some(Relation::Oneself) => FilledBy::Patient,
        _ => FilledBy::Guardian,
    })
}

/// A patient's intake, as seen by somebody: what all operations on it need.
pub struct Bearings {
    /// As whom the actor reads and writes.
    pub filled_by: FilledBy,
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
        let filled_by = filled_by(tx, env, actor, patient)?;
        let surroundings = Surroundings::of(tx, env, patient.id)?;
        let today = surroundings.day(env.now())?;
        let context = Context {
            irls_licensed: rules.text_pack.is_some(),
            self_harm_in_clinician_part: env.config.settings.self_harm_by_clinician,
            monitoring_weeks: env.config.settings.iron_monitoring_weeks,
            adult_age: env.config.settings.adult_age.into(),
            recorded_male: patient.administrative_sex == AdministrativeSex::Male,
            ..Context::new(patient.date_of_birth.0, today, filled_by)
        };
        Ok(Self { filled_by, surroundings, context })
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
            FilledBy::Staff => Viewer::Desk,
            FilledBy::Practitioner => Viewer::Practitioner,
            FilledBy::Guardian if self.context.is_minor() => Viewer::GuardianOfMinor,
            // Who acts for an adult sees what the adult shows them: what was given for a child is over with the childhood.
            FilledBy::Patient | FilledBy::Guardian => Viewer::Patient,
        }
    }
}
