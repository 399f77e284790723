//! Which class a medicine belongs to, and what follows from classes.

mod table;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::answers::{Answers, Medication, MedicationStatus, MedicineClass};
use super::kit::{Condition, Op, Test};

/// Where a class comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsClassSource)]
pub enum ClassSource {
    /// The patient, or who filled the form in for them.
    Patient,
    /// The service's own table of exact names.
    Table,
    /// A clinician who filled the form in.
    Clinician,
}

/// The class that the service found for a medicine whose class was not entered, or was entered otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsMedicationClass)]
pub struct MedicationClass {
    /// The medicine: the path of its answer.
    #[schema(examples("medications.0"))]
    pub medication: String,
    /// The class; `unknown` where no name in the table matches: it is for the doctor to look at.
    pub class: MedicineClass,
    /// Where the class comes from; missing where it is unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub class_source: Option<ClassSource>,
}

/// A name as it is compared: Unicode's compatibility form, small letters, single spaces.
pub fn normal(name: &str) -> String {
    let name: String = name.nfkc().collect::<String>().to_lowercase();
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The class of an exact generic or brand name, as far as the table has it.
pub fn looked_up(name: &str) -> Option<MedicineClass> {
    let name = normal(name);
    table::NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(class, _)| *class)
}

/// Every class that a medicine belongs to: the one entered and the one looked up. A wrong entry hides no risk.
pub fn classes(medicine: &Medication) -> impl Iterator<Item = MedicineClass> {
    let found = medicine.name.as_ref().and_then(|name| looked_up(name.as_str()));
    let entered = medicine.class.filter(|class| Some(*class) != found);
    entered.into_iter().chain(found)
}

/// Whether a medicine belongs to a class.
pub fn is(medicine: &Medication, class: MedicineClass) -> bool {
    classes(medicine).any(|of| of == class)
}

/// Whether a medicine is said to be taken now.
pub fn is_current(medicine: &Medication) -> bool {
    medicine.status == Some(MedicationStatus::Current)
}

/// The medicines that are taken now and belong to one of the classes, with their positions.
pub fn current<'a>(
    answers: &'a Answers,
    classes: &'a [MedicineClass],
) -> impl Iterator<Item = (usize, &'a Medication)> + 'a {
    answers
        .medications()
        .filter(move |(_, medicine)| is_current(medicine) && classes.iter().any(|class| is(medicine, *class)))
}

/// Whether a medicine of one of the classes is taken now.
pub fn takes(answers: &Answers, classes: &[MedicineClass]) -> bool {
    current(answers, classes).next().is_some()
}

/// Classes that can bring on or worsen restless legs. They may be worth reviewing with the prescriber.
pub const AGGRAVATORS: &[MedicineClass] = &[
    MedicineClass::SedatingAntihistamine,
    MedicineClass::Ssri,
    MedicineClass::Snri,
    MedicineClass::Tricyclic,
    MedicineClass::Mirtazapine,
    MedicineClass::Antipsychotic,
    MedicineClass::MetoclopramideProchlorperazine,
    MedicineClass::Lithium,
];

/// Iron in any form.
pub const IRON: &[MedicineClass] = &[MedicineClass::IronOral, MedicineClass::IronIv];

/// Whether a dopamine medicine is or was ever taken.
pub fn ever_took_dopaminergic(answers: &Answers) -> bool {
    answers.medications().any(|(_, medicine)| is(medicine, MedicineClass::Dopaminergic))
}

/// The condition of the questions about augmentation and urges, so that a client can test it without knowing medicines.
pub fn ever_dopaminergic() -> Condition {
    let names = table::NAMES.iter().filter(|(class, _)| *class == MedicineClass::Dopaminergic);
    Condition {
        any: vec![
            Test { field: "medications.class", op: Op::OneOf(vec!["dopaminergic"]) },
            Test {
                field: "medications.name",
                op: Op::Named(names.flat_map(|(_, names)| names.iter().copied()).collect()),
            },
        ],
    }
}

/// What the service says about classes: of medicines whose class was not entered, or whose name says another one.
pub fn found(answers: &Answers) -> Vec<MedicationClass> {
    let mut found = Vec::new();
    for (position, medicine) in answers.medications() {
        let Some(name) = &medicine.name else { continue };
        let entered = medicine.class.filter(|class| *class != MedicineClass::Unknown);
        let table = looked_up(name.as_str());
        if entered.is_some() && (table.is_none() || table == entered) {
            continue;
        }
        found.push(MedicationClass {
            medication: format!("medications.{position}"),
            class: table.unwrap_or(MedicineClass::Unknown),
            class_source: table.map(|_| ClassSource::Table),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_exactly_but_for_case_and_spaces() {
        for (name, class) in [
            ("pramipexole", Some(MedicineClass::Dopaminergic)),
            ("  Gabapentin   Enacarbil ", Some(MedicineClass::Alpha2delta)),
            ("BENADRYL", Some(MedicineClass::SedatingAntihistamine)),
            ("sulfato ferroso", Some(MedicineClass::IronOral)),
            ("Reglan", Some(MedicineClass::MetoclopramideProchlorperazine)),
            ("pramipexol e", None),
            ("gabapentin 300", None),
            ("", None),
        ] {
            assert_eq!(looked_up(name), class, "{name}");
        }
    }

    #[test]
    fn no_name_stands_in_two_classes_and_each_is_in_its_compared_form() {
        let mut seen = std::collections::HashSet::new();
        for name in table::NAMES.iter().flat_map(|(_, names)| names.iter()) {
            assert_eq!(normal(name), *name);
            assert!(seen.insert(*name), "{name} stands there twice");
        }
    }
}
