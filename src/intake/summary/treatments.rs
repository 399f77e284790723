//! The medicines of a summary.

use rls::answers::{Medication, MedicationStatus, MedicineClass, SideEffect, TreatmentResponse, YesNo};
use rls::form_dsl::{Decimal, PartialDate, normalized_name};
use rls::medicine_names::{class_of_name, recognize};
use rls::medicines::{AGGRAVATORS, classes};
use serde::Serialize;
use utoipa::ToSchema;

use super::previous::Previous;

/// A medicine.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryTreatment)]
pub struct SummaryTreatment {
    /// The name, as the patient knows it.
    pub name: String,
    /// The class that was entered, else the one in the service's table. Null if neither is known.
    pub class: Option<MedicineClass>,
    /// Whether the name was wholly recognised. If not, check what it is: no rule knows it.
    pub recognized: bool,
    /// Dose and frequency.
    pub dose: Option<String>,
    /// When it was started, as far as known.
    #[schema(value_type = Option<String>, examples("2021-02"))]
    pub started_on: Option<PartialDate>,
    /// When it was stopped, as far as known.
    #[schema(value_type = Option<String>, examples("2025-08"))]
    pub stopped_on: Option<PartialDate>,
    /// Whether it is taken.
    pub status: Option<MedicationStatus>,
    /// Whether it is or was for restless legs.
    pub for_rls: Option<YesNo>,
    /// How the restless legs responded.
    pub response: Option<TreatmentResponse>,
    /// Side effects.
    #[schema(value_type = Vec<String>)]
    pub side_effects: Vec<SideEffect>,
    /// Why it was stopped.
    pub stop_reason: Option<String>,
    /// Whether it can cause or worsen restless legs.
    pub aggravating: bool,
    /// What is different from the patient's previous intake.
    pub change: Option<TreatmentChange>,
}

/// What is different about a medicine since the patient's previous intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IntakeTreatmentChange)]
pub enum TreatmentChange {
    /// It is taken now, and was not then.
    Started,
    /// It was taken then, and is stopped now.
    Stopped,
    /// Dose or frequency differ.
    DoseChanged,
    /// The previous intake does not name it.
    NewlyNamed,
}

/// Returns dose, unit and frequency.
pub(super) fn dose(medication: &Medication) -> String {
    let parts = [
        medication.dose.as_ref().map(|dose| Decimal::get(dose).to_string()),
        medication.unit.map(|unit| unit.as_str().to_owned()),
        medication.frequency.as_ref().map(|often| often.as_str().to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Returns the entry of an earlier intake about the same medicine: one that was taken then, if there are several.
fn earlier<'a>(medication: &Medication, previous: &'a Previous) -> Option<&'a Medication> {
    let name = normalized_name(medication.name.as_ref()?.as_str());
    let is_same = |one: &&Medication| one.name.as_ref().is_some_and(|other| normalized_name(other.as_str()) == name);
    let mut same: Vec<_> = previous.answers.medications().map(|(_, one)| one).filter(is_same).collect();
    same.sort_by_key(|one| one.status != Some(MedicationStatus::Current));
    same.first().copied()
}

fn change(medication: &Medication, previous: &Previous) -> Option<TreatmentChange> {
    use MedicationStatus::{Current, Stopped};
    let Some(then) = earlier(medication, previous) else {
        // The previous intake may have left it out.
        let started_since = medication.started_on.is_some_and(|start| !start.surely_before_day(previous.on));
        return Some(if started_since { TreatmentChange::Started } else { TreatmentChange::NewlyNamed });
    };
    match (then.status, medication.status) {
        (Some(Stopped), Some(Current)) => Some(TreatmentChange::Started),
        (Some(Current), Some(Stopped)) => Some(TreatmentChange::Stopped),
        (Some(Current), Some(Current)) if dose(then) != dose(medication) && !dose(medication).is_empty() => {
            Some(TreatmentChange::DoseChanged)
        }
        _ => None,
    }
}

/// Lists the medicines. Those for restless legs and those taken now come first. Changes are those since `previous`.
pub(super) fn treatments(answers: &rls::Answers, previous: Option<&Previous>) -> Vec<SummaryTreatment> {
    let treatment = |medication: &Medication| {
        let name = medication.name.as_ref()?.as_str().to_owned();
        let entered = medication.class.filter(|class| *class != MedicineClass::Unknown);
        let dose = dose(medication);
        Some(SummaryTreatment {
            class: entered.or_else(|| class_of_name(&name)),
            recognized: recognize(&name).complete,
            name,
            dose: (!dose.is_empty()).then_some(dose),
            started_on: medication.started_on,
            stopped_on: medication.stopped_on,
            status: medication.status,
            for_rls: medication.for_rls,
            response: medication.response,
            side_effects: medication.side_effects.clone().unwrap_or_default(),
            stop_reason: medication.stop_reason.as_ref().map(|reason| reason.as_str().to_owned()),
            aggravating: classes(medication).any(|class| AGGRAVATORS.contains(&class)),
            change: previous.and_then(|previous| change(medication, previous)),
        })
    };
    let mut treatments: Vec<_> = answers.medications().filter_map(|(_, one)| treatment(one)).collect();
    treatments.sort_by_key(|one| (one.for_rls != Some(YesNo::Yes), one.status != Some(MedicationStatus::Current)));
    treatments
}
