//! Recognises medicines by what people write.
//!
//! Strengths, forms, release forms and salts are taken off, and combinations are split. What is left must be exactly a
//! name of the table. Similar names never match, and a name that is not recognised stays visible for the doctor.

mod names;
mod normalize;

#[cfg(test)]
mod tests;

use super::choices::MedicineClass;
use super::form_dsl::{Condition, Operator, Test};

pub use names::Substance;

/// What a written name was recognised as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recognized {
    /// The substances of the table, each once, in the order in which they are written.
    pub substances: Vec<&'static Substance>,
    /// Whether every part of the name was recognised.
    pub complete: bool,
}

/// Recognises a written name. The parts of a combination that the table has count, even if another part is not
/// recognised.
pub fn recognize(written: &str) -> Recognized {
    let mut substances: Vec<&'static Substance> = Vec::new();
    let parts = normalize::parts(written);
    let mut complete = !parts.is_empty();
    for part in parts {
        let found = substances_of(&part);
        complete &= !found.is_empty();
        for substance in found {
            if !substances.contains(&substance) {
                substances.push(substance);
            }
        }
    }
    Recognized { substances, complete }
}

/// Returns the substances that exactly have this name.
fn named(name: &str) -> Vec<&'static Substance> {
    names::SUBSTANCES.iter().filter(|one| one.name == name || one.aliases.contains(&name)).collect()
}

/// Finds the substances of one part, first as it is written, then with less and less of what surrounds the name.
fn substances_of(part: &str) -> Vec<&'static Substance> {
    let candidates = normalize::candidates(part);
    if let Some(found) = candidates.iter().map(|name| named(name)).find(|found| !found.is_empty()) {
        return found;
    }
    // A hyphen can belong to a name, so it splits only if every piece is a name.
    for candidate in candidates.iter().filter(|name| name.contains('-')) {
        let pieces: Vec<_> = candidate.split('-').map(|piece| named(piece.trim())).collect();
        if pieces.iter().all(|found| !found.is_empty()) {
            return pieces.concat();
        }
    }
    Vec::new()
}

/// Returns the classes of the recognised substances, each once. `other` is left out beside another class.
pub fn classes_of_name(written: &str) -> Vec<MedicineClass> {
    let mut classes: Vec<MedicineClass> = Vec::new();
    for substance in recognize(written).substances {
        if !classes.contains(&substance.class) {
            classes.push(substance.class);
        }
    }
    if classes.len() > 1 {
        classes.retain(|class| *class != MedicineClass::Other);
    }
    classes
}

/// Returns the first class of a name. [`classes_of_name`] has those of the other substances of a combination.
pub fn class_of_name(written: &str) -> Option<MedicineClass> {
    classes_of_name(written).first().copied()
}

fn is_dopaminergic(written: &str) -> bool {
    classes_of_name(written).contains(&MedicineClass::Dopaminergic)
}

fn is_dopaminergic_or_opioid(written: &str) -> bool {
    let classes = classes_of_name(written);
    classes.contains(&MedicineClass::Dopaminergic) || classes.contains(&MedicineClass::Opioid)
}

fn ever_taken(classes: &[MedicineClass], holds: fn(&str) -> bool) -> Condition {
    let of_class = names::SUBSTANCES.iter().filter(|one| classes.contains(&one.class));
    let listed = of_class.flat_map(|one| std::iter::once(one.name).chain(one.aliases.iter().copied())).collect();
    Condition {
        any: vec![
            Test {
                field: "medications.class",
                op: Operator::OneOf(classes.iter().map(|class| class.as_str()).collect()),
            },
            Test { field: "medications.name", op: Operator::Names { listed, holds } },
        ],
    }
}

/// Builds the condition of the questions about urges: a dopamine medicine is or was taken. It lists the names, so that
/// a client can evaluate it.
pub fn ever_dopaminergic() -> Condition {
    ever_taken(&[MedicineClass::Dopaminergic], is_dopaminergic)
}

/// Builds the condition of the questions about augmentation: a dopamine medicine or an opioid is or was taken.
/// Augmentation is also reported under tramadol.
pub fn ever_dopaminergic_or_opioid() -> Condition {
    ever_taken(&[MedicineClass::Dopaminergic, MedicineClass::Opioid], is_dopaminergic_or_opioid)
}
