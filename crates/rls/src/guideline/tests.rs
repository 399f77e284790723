use serde_json::{Value, json};

use super::*;
use crate::compute;
use crate::tests::{adult, answers, merged};

fn shown(patch: &Value, context: &Context) -> Vec<(String, Reason)> {
    let given = answers(&merged(patch));
    let computed = compute(&given, context);
    let hints = hints(&given, &computed, context);
    hints.into_iter().map(|hint| (hint.id.trim_start_matches("aasm_2025_").to_owned(), hint.reason)).collect()
}

fn ids(patch: &Value, context: &Context) -> Vec<String> {
    shown(patch, context).into_iter().map(|(id, _)| id).collect()
}

fn significant() -> Value {
    json!({"impact_level": "moderate", "impact_domains": ["sleep"]})
}

fn low_iron() -> Value {
    json!([{"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-05-12"}])
}

#[test]
fn each_recommendation_names_strength_certainty_and_source_in_the_words_of_the_guideline() {
    let hint = |id: &str| {
        let one = RECOMMENDATIONS.iter().find(|one| one.id == id).unwrap_or_else(|| panic!("{id}"));
        write(one, Reason::TakenNow, vec![])
    };
    let pramipexole = hint("aasm_2025_pramipexole");
    assert_eq!(pramipexole.text, "The guideline suggests against the standard use of pramipexole.");
    assert_eq!((pramipexole.strength, pramipexole.certainty), (Strength::Conditional, Some(Certainty::Moderate)));
    assert_eq!(hint("aasm_2025_gabapentin").text, "The guideline recommends gabapentin.");
    assert_eq!(hint("aasm_2025_cabergoline").text, "The guideline recommends against cabergoline.");
    let mut seen = std::collections::BTreeSet::new();
    for one in RECOMMENDATIONS {
        assert!(seen.insert(one.id), "{} is there twice", one.id);
        let hint = write(one, Reason::TakenNow, vec![]);
        assert!(hint.text.starts_with("The guideline ") && hint.url.contains("10.5664/jcsm.11390"), "{hint:?}");
        for order in ["should", "must", "start ", "stop ", "prescribe"] {
            assert!(!hint.text.contains(order), "{}", hint.text);
        }
    }
    assert!(!RECOMMENDATIONS.iter().any(|one| one.id.contains("valerian")), "no public text states its strength");
}

#[test]
fn every_medicine_of_a_recommendation_is_in_the_table_of_names() {
    for one in RECOMMENDATIONS {
        if let About::Ligand(name)
        | About::IronByVein(name)
        | About::IronInKidneyFailure(name)
        | About::Medicine(name) = one.about
        {
            let found = crate::medicine_names::recognize(name).substances;
            assert!(found.iter().any(|substance| substance.name == name), "{name}");
        }
    }
}

#[test]
fn medicines_that_are_or_were_taken_for_restless_legs_have_their_recommendation() {
    let taken = json!({"medications_status": "listed", "medications": [
        {"name": "Mirapex 0.5 mg", "status": "stopped", "for_rls": "yes"},
        {"name": "gabapentin", "status": "current"},
        {"name": "clonazepam", "status": "current", "for_rls": "no"},
    ]});
    let expected = [("gabapentin".to_owned(), Reason::TakenNow), ("pramipexole".to_owned(), Reason::TakenBefore)];
    assert_eq!(shown(&taken, &adult()), expected);
}

#[test]
fn a_hint_names_the_recorded_allergies_to_its_treatment() {
    let with = |substance: &str| {
        let given = json!({"labs": low_iron(), "allergies_status": "listed", "allergies": [{"substance": substance}]});
        let given = answers(&merged(&given));
        let hints = hints(&given, &compute(&given, &adult()), &adult());
        let named = hints.into_iter().filter(|hint| hint.allergies == [substance]);
        named.map(|hint| hint.id.trim_start_matches("aasm_2025_").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(with("hierro dextrano"), ["iron_dextran"]);
    assert_eq!(with("INFeD"), ["iron_dextran"]);
    assert_eq!(with("IV iron"), ["ferric_carboxymaltose", "iron_dextran", "ferumoxytol"]);
    assert_eq!(with("iron"), ["ferric_carboxymaltose", "iron_dextran", "ferumoxytol", "ferrous_sulfate"]);
    assert!(with("penicillin").is_empty());
}

#[test]
fn iron_is_named_in_the_range_of_the_guideline_only() {
    let labs = |ferritin: f64, tsat: f64| {
        json!({"labs": [
            {"test": "ferritin", "value": ferritin, "unit": "ng/mL", "collected_on": "2026-05-12"},
            {"test": "tsat", "value": tsat, "unit": "%", "collected_on": "2026-05-12"},
        ]})
    };
    let by_vein = ["ferric_carboxymaltose", "iron_dextran", "ferumoxytol"];
    assert_eq!(ids(&labs(90.0, 25.0), &adult()), by_vein);
    assert_eq!(ids(&labs(75.0, 25.0), &adult()), [&by_vein[..], &["ferrous_sulfate"]].concat());
    assert!(ids(&labs(101.0, 25.0), &adult()).is_empty());
    assert!(ids(&labs(60.0, 46.0), &adult()).is_empty(), "never with a TSAT above 45 %");
    let mut bound = labs(60.0, 45.0);
    bound["labs"][1]["comparator"] = ">".into();
    assert!(ids(&bound, &adult()).is_empty(), "nor with one that is reported as a bound");
    let in_kidney_failure = |ferritin: f64, tsat: f64| {
        let mut given = labs(ferritin, tsat);
        given["risk"] = json!({"dialysis": "yes"});
        ids(&given, &adult())
    };
    assert_eq!(in_kidney_failure(199.0, 19.0), ["iron_sucrose"]);
    assert!(in_kidney_failure(200.0, 19.0).is_empty() && in_kidney_failure(199.0, 20.0).is_empty());
    let child = Context { date_of_birth: jiff::civil::date(2014, 1, 1), ..adult() };
    assert_eq!(ids(&labs(49.0, 25.0), &child), ["ferrous_sulfate_children"]);
    assert!(ids(&labs(50.0, 25.0), &child).is_empty());
}

#[test]
fn ligands_are_named_until_one_is_and_others_once_it_did_not_help_well() {
    let ligand = |response: &str| {
        json!({"symptoms": significant(), "medications_status": "listed",
            "medications": [{"name": "pregabalin", "status": "current", "for_rls": "yes", "response": response}]})
    };
    let untreated = json!({"symptoms": significant()});
    assert_eq!(ids(&untreated, &adult()), ["gabapentin_enacarbil", "gabapentin", "pregabalin"]);
    assert!(ids(&json!({}), &adult()).is_empty(), "without significant symptoms");
    assert_eq!(ids(&ligand("good"), &adult()), ["pregabalin"]);
    assert_eq!(
        ids(&ligand("partial"), &adult()),
        ["pregabalin", "dipyridamole", "opioids", "peroneal_nerve_stimulation"]
    );
}

#[test]
fn nothing_new_is_named_in_pregnancy_nor_without_all_four_features() {
    for reason in [
        json!({"risk": {"pregnancy_status": "pregnant"}}),
        json!({"risk": {"breastfeeding": "yes"}}),
        json!({"risk": {"trying_to_conceive": "yes"}}),
        json!({"symptoms": {"relief_with_movement": "unknown"}}),
    ] {
        let mut patch = json!({"symptoms": significant(), "labs": low_iron()});
        patch = crate::apply_patch(&patch, &reason);
        assert!(ids(&patch, &adult()).is_empty(), "{reason}");
    }
    assert!(!ids(&json!({"symptoms": significant(), "labs": low_iron()}), &adult()).is_empty());
}
