//! Classes of the medicines in the answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, Medication, MedicationStatus, MedicineClass};
use super::medicine_names::{Substance, classes_of_name, recognize};

/// The source of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsClassSource)]
pub enum ClassSource {
    /// The patient, or the person who filled in the form for them.
    Patient,
    /// The service's table of names.
    Table,
    /// A clinician who filled in the form.
    Clinician,
}

/// The class that the service found for a medicine without an entered class, or with another entered class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsMedicationClass)]
pub struct MedicationClass {
    /// The path of the medicine in the answers.
    #[schema(examples("medications.0"))]
    pub medication: String,
    /// The class. `unknown` if the table does not have the name; the doctor must then check it.
    pub class: MedicineClass,
    /// The source of the class. Missing if the class is unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub class_source: Option<ClassSource>,
}

/// Returns the classes that the table has for the name.
pub fn classes_in_table(medicine: &Medication) -> Vec<MedicineClass> {
    medicine.name.as_ref().map(|name| classes_of_name(name.as_str())).unwrap_or_default()
}

/// Returns the entered class and the classes of the name. All count, so that a wrong entry hides no risk.
pub fn classes(medicine: &Medication) -> impl Iterator<Item = MedicineClass> {
    let found = classes_in_table(medicine);
    let entered = medicine.class.filter(|class| !found.contains(class));
    entered.into_iter().chain(found)
}

/// Returns the recognised substances of a medicine.
pub fn substances(medicine: &Medication) -> Vec<&'static Substance> {
    medicine.name.as_ref().map(|name| recognize(name.as_str()).substances).unwrap_or_default()
}

/// Returns whether any of these substances is taken now. `names` are the generic names of the table.
pub fn takes_substance(answers: &Answers, names: &[&str]) -> bool {
    let current = answers.medications().filter(|(_, medicine)| is_current(medicine));
    current.into_iter().any(|(_, medicine)| substances(medicine).iter().any(|one| names.contains(&one.name)))
}

/// Returns the paths of the medicines whose name is not, or only partly, recognised. The doctor must check them.
pub fn unrecognized(answers: &Answers) -> Vec<String> {
    let named = answers.medications().filter_map(|(at, medicine)| Some((at, medicine.name.as_ref()?)));
    let unknown = named.filter(|(_, name)| !recognize(name.as_str()).complete);
    unknown.map(|(at, _)| format!("medications.{at}")).collect()
}

/// Returns whether a medicine belongs to a class.
pub fn belongs_to(medicine: &Medication, class: MedicineClass) -> bool {
    classes(medicine).any(|of| of == class)
}

/// Returns whether a medicine is taken now.
pub fn is_current(medicine: &Medication) -> bool {
    medicine.status == Some(MedicationStatus::Current)
}

/// Returns the medicines of the classes that are taken now, with their positions.
pub fn taken_now<'a>(
    answers: &'a Answers,
    classes: &'a [MedicineClass],
) -> impl Iterator<Item = (usize, &'a Medication)> + 'a {
    answers
        .medications()
        .filter(move |(_, medicine)| is_current(medicine) && classes.iter().any(|class| belongs_to(medicine, *class)))
}

/// Returns whether any medicine of the classes is taken now.
pub fn takes_any(answers: &Answers, classes: &[MedicineClass]) -> bool {
    taken_now(answers, classes).next().is_some()
}

/// Classes that can cause or worsen restless legs. They may be worth reviewing with the prescriber.
pub const AGGRAVATORS: &[MedicineClass] = &[
    MedicineClass::SedatingAntihistamine,
    MedicineClass::Ssri,
    MedicineClass::Snri,
    MedicineClass::Tricyclic,
    MedicineClass::Mirtazapine,
    MedicineClass::Antipsychotic,
    MedicineClass::MetoclopramideProchlorperazine,
    MedicineClass::OtherDopamineAntagonist,
    MedicineClass::Lithium,
];

/// Iron in any form.
pub const IRON: &[MedicineClass] = &[MedicineClass::IronOral, MedicineClass::IronIv];

/// Returns whether a dopamine medicine is or was taken.
pub fn ever_took_dopaminergic(answers: &Answers) -> bool {
    answers.medications().any(|(_, medicine)| belongs_to(medicine, MedicineClass::Dopaminergic))
}

/// Returns the classes for each medicine without an entered class, or with a name of another class.
pub fn classes_from_table(answers: &Answers) -> Vec<MedicationClass> {
    let mut found = Vec::new();
    for (position, medicine) in answers.medications() {
        let Some(_) = &medicine.name else { continue };
        let entered = medicine.class.filter(|class| *class != MedicineClass::Unknown);
        let table = classes_in_table(medicine);
        if entered.is_some_and(|entered| table.iter().all(|class| *class == entered)) {
            continue;
        }
        let medication = format!("medications.{position}");
        if table.is_empty() {
            found.push(MedicationClass { medication, class: MedicineClass::Unknown, class_source: None });
            continue;
        }
        found.extend(table.into_iter().map(|class| MedicationClass {
            medication: medication.clone(),
            class,
            class_source: Some(ClassSource::Table),
        }));
    }
    found
}
