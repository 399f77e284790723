//! One test for each rule with its bounds, named for its source.

use jiff::civil::date;
use serde_json::{Value, json};

use super::*;
use crate::FilledBy;

fn with(mut answers: Value, patch: Value) -> Value {
    answers = crate::apply_patch(&answers, &patch);
    answers
}

fn raised(rule: &str, urgency: &str) -> Value {
    json!({"flags": [flag(rule, urgency), review()]})
}

fn none() -> Value {
    json!({"flags": [review()]})
}

fn iron_labs(ferritin: f64, tsat: f64) -> Value {
    json!([lab("ferritin", ferritin, "ng/mL"), lab("tsat", tsat, "%")])
}

#[test]
fn fda_2016_an_opioid_with_what_slows_breathing_is_prompt() {
    for other in ["zolpidem 10 mg", "fenobarbital", "ciclobenzaprina", "lorazepam", "pregabalin"] {
        let given = medicines(&["hydrocodone/acetaminophen 5/325", other]);
        check(vec![vignette("opioid with another", given, raised("opioid_sedative", "prompt"))]);
    }
    let alcohol = |drinks: f64| with(medicines(&["tramadol"]), json!({"substances": {"alcohol_drinks_week": drinks}}));
    check(vec![
        vignette("one drink", alcohol(1.0), raised("opioid_alcohol", "prompt")),
        vignette("no alcohol", alcohol(0.0), none()),
        vignette("not answered", medicines(&["tramadol"]), none()),
    ]);
}

#[test]
fn fda_2019_a_gabapentinoid_with_a_risk_for_breathing_is_routine() {
    let given = |risk: Value| with(medicines(&["gabapentin"]), json!({"risk": risk}));
    let flagged = raised("gabapentinoid_breathing", "routine");
    check(vec![
        vignette("sleep apnea", given(json!({"sleep_apnea": "yes"})), flagged.clone()),
        vignette("lung disease", given(json!({"chronic_lung_disease": "yes"})), flagged.clone()),
        vignette("unknown", given(json!({"chronic_lung_disease": "unknown"})), none()),
    ]);
    for (born, expected) in [(date(1961, 6, 4), flagged), (date(1961, 6, 5), none())] {
        let context = Context::new(born, date(2026, 6, 4), FilledBy::Patient);
        check(vec![Vignette { name: "65 years", context, answers: medicines(&["gabapentin"]), expected }]);
    }
}

#[test]
fn labels_name_medicines_whose_dose_depends_on_the_kidney() {
    let given = |name: &str, stage: &str| with(medicines(&[name]), json!({"risk": {"ckd": "yes", "ckd_stage": stage}}));
    check(vec![
        vignette("stage 4", given("pregabalina 75 mg", "4"), raised("kidney_dose", "routine")),
        vignette("stage 5", given("Mirapex", "5"), raised("kidney_dose", "routine")),
        vignette("stage 3b", given("gabapentin", "3b"), none()),
        vignette("Horizant", given("Horizant 600 mg", "4"), raised("kidney_dose", "routine")),
        vignette("another medicine", given("ropinirole", "5"), none()),
    ]);
}

#[test]
fn aasm_2025_iron_thresholds_raise_their_own_rules() {
    let adult = |ferritin, tsat| json!({"labs": iron_labs(ferritin, tsat)});
    let kidney = |ferritin, tsat| json!({"labs": iron_labs(ferritin, tsat), "risk": {"ckd": "yes", "ckd_stage": "5"}});
    check(vec![
        vignette("75", adult(75.0, 30.0), raised("iron_review", "routine")),
        vignette("75.1", adult(75.1, 30.0), raised("iron_review_intravenous", "routine")),
        vignette("100.1", adult(100.1, 30.0), none()),
        vignette("kidney failure, both low", kidney(199.0, 19.9), raised("iron_review_kidney", "routine")),
        vignette("kidney failure, ferritin 200", kidney(200.0, 19.9), none()),
        vignette("kidney failure, TSAT 20", kidney(199.0, 20.0), none()),
    ]);
    for (ferritin, expected) in [(49.9, raised("iron_review_child", "routine")), (50.0, none())] {
        let context = Context::new(date(2012, 3, 1), date(2026, 6, 4), FilledBy::Guardian);
        let answers = json!({"labs": [lab("ferritin", ferritin, "ng/mL")]});
        check(vec![Vignette { name: "under 18", context, answers, expected }]);
    }
}

#[test]
fn aasld_2011_iron_is_not_named_with_tsat_above_45() {
    let given = |tsat| json!({"labs": iron_labs(60.0, tsat)});
    check(vec![
        vignette("45", given(45.0), raised("iron_review", "routine")),
        vignette("45.1", given(45.1), raised("iron_overload_review", "routine")),
    ]);
}

#[test]
fn a_result_older_than_12_months_never_gives_above_thresholds() {
    let given = |day: &str| {
        let mut labs = iron_labs(150.0, 30.0);
        labs[0]["collected_on"] = day.into();
        json!({"labs": labs})
    };
    check(vec![
        vignette(
            "12 months",
            given("2025-06-04"),
            json!({"iron_review_band": "above_thresholds", "iron_doubts": null}),
        ),
        vignette(
            "a day more",
            given("2025-06-03"),
            json!({"iron_review_band": "insufficient_data", "iron_doubts": ["ferritin_out_of_date"]}),
        ),
    ]);
}

#[test]
fn aasm_2025_iron_before_the_sample_and_inflammation_are_doubts() {
    let mut labs = iron_labs(42.0, 30.0);
    labs[1]["iron_free_24h"] = "no".into();
    let given = json!({"labs": labs, "risk": {"infection_or_inflammation": "yes"}});
    check(vec![vignette("both", given, json!({"iron_doubts": ["not_iron_free", "inflammation"]}))]);
}

#[test]
fn rabe_2020_compression_over_arterial_disease_is_prompt() {
    let given =
        |worn: &str, arterial: &str| json!({"venous": {"compression_use": worn, "claudication_or_pad": arterial}});
    check(vec![
        vignette("worn now", given("current", "yes"), raised("compression_arterial", "prompt")),
        vignette("in the past", given("past", "yes"), none()),
        vignette("unknown", given("current", "unknown"), none()),
    ]);
}

#[test]
fn an_urge_as_a_side_effect_counts_like_the_questions() {
    let mut given = medicines(&["ropinirole"]);
    given["medications"][0]["side_effects"] = json!(["compulsive_behavior"]);
    check(vec![vignette("side effect", given, raised("impulse_behavior", "prompt"))]);
}
