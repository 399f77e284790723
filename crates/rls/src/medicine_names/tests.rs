//! What people write, and what it is recognised as.

use proptest::prelude::*;

use super::*;
use crate::choices::MedicineClass::{IronIv, IronOral, Other};

fn substances(written: &str) -> Vec<&'static str> {
    recognize(written).substances.iter().map(|one| one.name).collect()
}

#[test]
fn strengths_forms_release_forms_and_salts_do_not_hide_a_name() {
    for (written, expected) in [
        ("pramipexole", "pramipexole"),
        ("Pramipexole dihydrochloride 0.25 mg tablets", "pramipexole"),
        ("  Gabapentin   Enacarbil ER 600mg ", "gabapentin enacarbil"),
        ("gabapentin 300", "gabapentin"),
        ("Gabapentina 300 mg cápsulas", "gabapentin"),
        ("ropinirole XL 2 mg", "ropinirole"),
        ("clorhidrato de ropinirol 0,25 mg", "ropinirole"),
        ("Neupro 2 mg/24h parche", "rotigotine"),
        ("MORPHINE SULFATE ER 15 mg", "morphine"),
        ("Codeína", "codeine"),
        ("Mirapex® ER", "pramipexole"),
        ("lithium carbonate 300mg", "lithium"),
        ("carbonato de litio", "lithium"),
        ("valproato de sodio", "valproate"),
        ("BENADRYL", "diphenhydramine"),
        ("Reglan", "metoclopramide"),
        ("Adartrel", "ropinirole"),
        ("Lexatin 1,5 mg", "bromazepam"),
        ("Seroxat 20 mg", "paroxetine"),
        ("Cipralex", "escitalopram"),
        ("Benadryl Allergy", "diphenhydramine"),
        ("Tylenol PM Extra Strength", "diphenhydramine"),
        ("Extra Strength Tylenol 500 mg", "acetaminophen"),
        ("Soñodor", "diphenhydramine"),
        ("Piriton", "chlorpheniramine"),
        ("Stemetil 5mg", "prochlorperazine"),
        ("Solian 200", "amisulpride"),
        ("co-careldopa 25/100", "levodopa"),
        ("Feriv", "iron sucrose"),
        ("Ferplex 40 mg solución", "iron protein succinylate"),
    ] {
        assert_eq!(substances(written), [expected], "{written}");
        assert!(recognize(written).complete, "{written}");
    }
}

#[test]
fn directions_do_not_hide_a_name() {
    for (written, expected) in [
        ("Sinemet 25-100 at bedtime", "levodopa"),
        ("Ropinirole 0.5mg 2 tablets at night.", "ropinirole"),
        ("Lyrica 75mg twice a day", "pregabalin"),
        ("tramadol 50 mg as needed, with food", "tramadol"),
        ("pramipexol 0,18 mg por la noche", "pramipexole"),
        ("gabapentina 300 mg tres veces al día con las comidas", "gabapentin"),
        ("clonazepam antes de dormir", "clonazepam"),
    ] {
        assert_eq!(substances(written), [expected], "{written}");
        assert!(recognize(written).complete, "{written}");
    }
    // The night product of a brand can have other substances.
    for written in ["Tylenol night", "Motrin PM", "Advil noche", "Advil allergy", "extra strength"] {
        assert!(!recognize(written).complete, "{written}");
    }
}

#[test]
fn iron_in_words_is_oral_and_infusions_are_intravenous() {
    for written in
        ["iron", "hierro", "ferrous sulfate 325 mg (65 mg iron)", "Sulfato ferroso", "Vitron-C", "Tardyferon"]
    {
        assert_eq!(class_of_name(written), Some(IronOral), "{written}");
    }
    for written in
        ["iron infusion 1000 mg", "IV iron", "hierro intravenoso", "Monofer", "iron sucrose 200 mg", "Injectafer"]
    {
        assert_eq!(class_of_name(written), Some(IronIv), "{written}");
    }
}

#[test]
fn each_part_of_a_combination_counts() {
    for (written, expected) in [
        ("oxycodone/acetaminophen 5/325 mg", vec!["oxycodone", "acetaminophen"]),
        ("hydrocodone 5 mg + acetaminophen 325 mg", vec!["hydrocodone", "acetaminophen"]),
        ("carbidopa-levodopa 25-100", vec!["carbidopa", "levodopa"]),
        ("levodopa con benserazida", vec!["levodopa", "benserazide"]),
        ("tramadol y paracetamol", vec!["tramadol", "acetaminophen"]),
        ("Symbyax", vec!["fluoxetine", "olanzapine"]),
        ("gabapentin (Neurontin)", vec!["gabapentin"]),
    ] {
        assert_eq!(substances(written), expected, "{written}");
        assert!(recognize(written).complete, "{written}");
    }
}

#[test]
fn an_unrecognized_part_keeps_the_others_and_asks_for_a_check() {
    let found = recognize("oxycodone/nonesuch");
    assert_eq!(found.substances.iter().map(|one| one.name).collect::<Vec<_>>(), ["oxycodone"]);
    assert!(!found.complete);
}

#[test]
fn similar_names_never_match() {
    for written in ["pramipexol e", "gabapentine", "pramipexolee", "oxycontins", "", "300 mg", "z", "non-iron", "irons"]
    {
        let found = recognize(written);
        assert!(found.substances.is_empty() && !found.complete, "{written}");
    }
}

#[test]
fn second_generation_antihistamines_are_known_and_do_not_aggravate() {
    for written in ["cetirizine", "Zyrtec 10 mg", "loratadina"] {
        assert_eq!(class_of_name(written), Some(Other), "{written}");
    }
}

fn all_names() -> Vec<&'static str> {
    names::SUBSTANCES.iter().flat_map(|one| std::iter::once(one.name).chain(one.aliases.iter().copied())).collect()
}

#[test]
fn every_name_of_the_table_is_recognized_as_its_substance() {
    for one in names::SUBSTANCES {
        for name in std::iter::once(&one.name).chain(one.aliases) {
            assert!(recognize(name).substances.contains(&one), "{name}");
        }
    }
}

#[test]
fn only_a_combination_has_two_substances_by_one_name() {
    let mut seen = std::collections::HashSet::new();
    for name in all_names() {
        assert!(seen.insert(name) || ["symbyax", "co-codamol", "co-dydramol"].contains(&name), "{name} is there twice");
    }
}

proptest! {
    #[test]
    fn a_strength_a_form_or_a_salt_never_changes_what_is_recognized(
        name in prop::sample::select(all_names()),
        strength in prop::sample::select(vec!["", "300", "0.25 mg", "0,5mg", "5/325", "10 mg/24h", "25-100"]),
        form in prop::sample::select(vec!["", "tablets", "cápsulas", "ER", "XL tablet", "Parche", "liberación prolongada"]),
        salt in prop::sample::select(vec!["", "HCl", "hydrochloride", "sulfate", "sodium", "clorhidrato"]),
        upper in any::<bool>(),
    ) {
        let name = if upper { name.to_uppercase() } else { name.to_owned() };
        let written = format!("{name} {salt} {form} {strength}");
        let (plain, found) = (recognize(&name), recognize(&written));
        let classes = |found: &Recognized| found.substances.iter().map(|one| one.class).collect::<Vec<_>>();
        prop_assert_eq!(classes(&plain), classes(&found), "{}", written);
        prop_assert!(found.complete, "{}", written);
    }

    #[test]
    fn no_text_makes_recognizing_panic_and_only_names_of_the_table_are_found(written in "\\PC{0,40}") {
        let found = recognize(&written);
        prop_assert!(!found.complete || !found.substances.is_empty());
    }
}
