//! The class of a medicine by its name.

mod names;

use super::choices::MedicineClass;
use super::form_dsl::{Condition, Operator, Test, normalized_name};

/// Returns the class of a generic or brand name, if the table has exactly this name.
pub fn class_of_name(name: &str) -> Option<MedicineClass> {
    let name = normalized_name(name);
    names::NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(class, _)| *class)
}

/// Builds the condition of the questions about augmentation and urges: a dopamine medicine is or was taken. It lists
/// the names, so that a client can evaluate it.
pub fn ever_dopaminergic() -> Condition {
    let names = names::NAMES.iter().filter(|(class, _)| *class == MedicineClass::Dopaminergic);
    Condition {
        any: vec![
            Test { field: "medications.class", op: Operator::OneOf(vec!["dopaminergic"]) },
            Test {
                field: "medications.name",
                op: Operator::OneOfNames(names.flat_map(|(_, names)| names.iter().copied()).collect()),
            },
        ],
    }
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
            assert_eq!(class_of_name(name), class, "{name}");
        }
    }

    #[test]
    fn no_name_is_in_two_classes_and_each_is_normalized() {
        let mut seen = std::collections::HashSet::new();
        for name in names::NAMES.iter().flat_map(|(_, names)| names.iter()) {
            assert_eq!(normalized_name(name), *name);
            assert!(seen.insert(*name), "{name} is there twice");
        }
    }
}
