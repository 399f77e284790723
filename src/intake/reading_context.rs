//! Who fills in or reads a patient's form, where the patient is treated, and what the rules must know beside the answers.

use rls::due::IronIntervals;
use rls::{FilledBy, FormName, Viewer};
use serde_json::Value;

use super::place_of_care::PlaceOfCare;
use super::store::{self, Intake};
use super::{from_value, lab_rows, stored_review};
use crate::actor::Role;
use crate::clock::Timestamp;
use crate::context::Tx;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ids::PatientId;
use crate::patients::access;
use crate::patients::model::{AdministrativeSex, Patient, Relation};

/// The circumstances in which an actor fills in or reads the forms of a patient. The rules read the answers in it.
pub struct ReadingContext {
    /// What the rules must know beside the answers, as of today.
    pub facts: rls::Context,
    /// Where the patient is treated.
    pub place: PlaceOfCare,
    /// Whether the actor has access that was given for a minor.
    for_minor: bool,
}

impl ReadingContext {
    /// Loads it, as of today at the patient's place of care.
    pub fn load(tx: &mut Tx, patient: &Patient) -> Result<Self> {
        let (filled_by, for_minor) = filled_by(tx, patient)?;
        Self::of_holder(tx, patient, filled_by, for_minor)
    }

    /// Loads it for findings that are computed anew, whoever or whatever caused that.
    pub fn for_findings<P>(tx: &mut Tx<P>, patient: &Patient) -> Result<Self> {
        Self::of_holder(tx, patient, FilledBy::Practitioner, false)
    }

    /// Loads it for a person who is not signed in, such as the holder of a link in a mail.
    pub fn of_holder<P>(tx: &mut Tx<P>, patient: &Patient, filled_by: FilledBy, for_minor: bool) -> Result<Self> {
        let place = PlaceOfCare::load(tx, patient.id)?;
        let settings = &tx.env.config.settings;
        let facts = rls::Context {
            irls_licensed: tx.env.rls_text_pack.is_some(),
            self_harm_in_clinician_part: settings.self_harm_by_clinician,
            iron_intervals: IronIntervals {
                oral_weeks: settings.iron_monitoring_weeks,
                infusion_weeks: settings.iron_infusion_monitoring_weeks,
                repeat_months: settings.iron_monitoring_months,
            },
            adult_age: settings.adult_age.into(),
            recorded_male: patient.administrative_sex == AdministrativeSex::Male,
            ..rls::Context::new(patient.date_of_birth.0, place.day(tx.now)?, filled_by)
        };
        Ok(Self { facts, place, for_minor })
    }

    /// Loads it for an intake, with the form, the laboratory results that the clinic entered, and the severity before.
    ///
    /// # Errors
    /// A fault if the form is unknown.
    pub fn of(tx: &mut Tx, patient: &Patient, intake: &Intake) -> Result<Self> {
        Self::load(tx, patient)?.with_form(tx, patient.id, intake)?.with_results(tx, patient.id)
    }

    /// Adds the form, and for a follow-up the severity in the answers before.
    pub fn with_form<P>(mut self, tx: &mut Tx<P>, patient: PatientId, intake: &Intake) -> Result<Self> {
        self.facts.form = FormName::of(&intake.form).ok_or_else(|| Error::fault("a stored form is unknown"))?;
        if self.facts.form == FormName::FollowUp {
            self.facts.earlier_severity = earlier_severity(tx, patient, intake)?;
        }
        Ok(self)
    }

    /// Adds the laboratory results that the clinic entered.
    pub fn with_results<P>(mut self, tx: &mut Tx<P>, patient: PatientId) -> Result<Self> {
        self.facts.entered_labs =
            lab_rows::of_patient(tx.conn, tx.env, patient)?.into_iter().map(|result| result.lab).collect();
        Ok(self)
    }

    /// Adds what the intake's review says.
    pub fn with_review(mut self, env: &Env, intake: &Intake) -> Result<Self> {
        if let Some(review) = stored_review::open(env, intake)? {
            self.facts = self.facts.reviewed(&review);
        }
        Ok(self)
    }

    /// Returns the facts for answers that were given at this time. Results and deadlines count up to today.
    pub fn facts_at(&self, authored_at: Timestamp) -> Result<rls::Context> {
        Ok(rls::Context { authored_on: self.place.day(authored_at)?, ..self.facts.clone() })
    }

    /// Whether the actor is a practitioner.
    pub fn is_practitioner(&self) -> bool {
        self.facts.filled_by == FilledBy::Practitioner
    }

    /// Returns as whom the actor views the intake.
    pub fn viewer(&self) -> Viewer {
        match self.facts.filled_by {
            FilledBy::Staff => Viewer::Desk,
            FilledBy::Practitioner => Viewer::Practitioner,
            FilledBy::Guardian if self.facts.is_minor() => Viewer::GuardianOfMinor,
            // A corrected birth date may make the patient an adult. It must not show the guardian what was hidden before.
            FilledBy::Guardian if self.for_minor => Viewer::GivenForMinor,
            // Access granted for a minor has ended by then, so the adult chose this representative.
            FilledBy::Patient | FilledBy::Guardian => Viewer::Patient,
        }
    }
}

/// Returns the severity in the newest submitted answers before an intake that have one, in any form.
fn earlier_severity<P>(tx: &mut Tx<P>, patient: PatientId, intake: &Intake) -> Result<Option<i64>> {
    for earlier in store::submitted_before(tx.conn, patient, intake)? {
        let answers = from_value(&Value::Object(earlier.open_answers(tx.env)?))?;
        if let Some(severity) = answers.symptoms.severity_0_10 {
            return Ok(Some(severity.get()));
        }
    }
    Ok(None)
}

/// Determines as whom the actor fills in and reads the forms of a patient, and whether by access that was given for a minor.
fn filled_by(tx: &mut Tx, patient: &Patient) -> Result<(FilledBy, bool)> {
    match tx.actor.role {
        Role::FrontDesk | Role::Admin => return Ok((FilledBy::Staff, false)),
        Role::Practitioner => return Ok((FilledBy::Practitioner, false)),
        Role::Patient => {}
    }
    Ok(match access::acts_as(tx.conn, tx.env, tx.actor.user_id, patient.id)? {
        Some((Relation::Oneself, _)) => (FilledBy::Patient, false),
        Some((_, for_minor)) => (FilledBy::Guardian, for_minor),
        None => (FilledBy::Guardian, true),
    })
}
