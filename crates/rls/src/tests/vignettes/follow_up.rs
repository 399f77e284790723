//! The follow-up: what its answers raise, and what they do not.

use serde_json::{Value, json};

use super::*;
use crate::{FilledBy, FormName, submittable};

/// Every required question answered, nothing of note.
fn calm() -> Value {
    json!({
        "symptoms": {"severity_0_10": 4, "days_per_week_treated": 1},
        "follow_up": {"change": "same", "augmentation": "no", "urges": "no", "has_side_effects": "no"}
    })
}

fn with(follow_up: Value) -> Value {
    crate::apply_patch(&calm(), &json!({"follow_up": follow_up}))
}

fn context(earlier_severity: Option<i64>) -> Context {
    Context { form: FormName::FollowUp, earlier_severity, ..adult() }
}

fn raised(given: &Value, context: &Context) -> Vec<Value> {
    let computed = compute(&answers(given), context);
    assert!(submittable(&computed.issues, FilledBy::Patient).is_ok(), "{:?}", computed.issues);
    computed.flags.iter().map(|flag| serde_json::to_value(flag).expect("written")).collect()
}

#[test]
fn each_answer_of_the_follow_up_raises_the_flag_of_its_rule() {
    for (name, given, expected) in [
        ("nothing of note", calm(), vec![]),
        ("augmentation", with(json!({"augmentation": "yes"})), vec![flag("augmentation_review", "routine")]),
        ("augmentation not known", with(json!({"augmentation": "unknown"})), vec![]),
        ("urges", with(json!({"urges": "yes"})), vec![flag("impulse_behavior", "prompt")]),
        (
            "urges as a side effect",
            with(json!({"has_side_effects": "yes", "side_effects": ["compulsive_behavior"]})),
            vec![flag("impulse_behavior", "prompt")],
        ),
        (
            "sleep attacks",
            with(json!({"has_side_effects": "yes", "side_effects": ["sleep_attacks", "nausea"]})),
            vec![flag("sleep_attacks", "prompt")],
        ),
        (
            "trouble breathing",
            with(json!({"has_side_effects": "yes", "side_effects": ["breathing"]})),
            vec![flag("breathing_side_effect", "same_day")],
        ),
        ("somewhat worse", with(json!({"change": "worse"})), vec![flag("worse_since_visit", "routine")]),
        ("much worse", with(json!({"change": "much_worse"})), vec![flag("worse_since_visit", "prompt")]),
        ("better", with(json!({"change": "much_better"})), vec![]),
    ] {
        assert_eq!(raised(&given, &context(None)), expected, "{name}");
    }
}

#[test]
fn a_severity_at_least_two_points_above_the_answers_before_is_reviewed() {
    for (before, expected) in
        [(None, vec![]), (Some(3), vec![]), (Some(2), vec![flag("worse_since_visit", "routine")]), (Some(9), vec![])]
    {
        assert_eq!(raised(&calm(), &context(before)), expected, "{before:?}");
    }
}

#[test]
fn laboratory_results_and_the_criteria_raise_nothing_in_a_follow_up() {
    let ferritin = crate::parse_lab(&lab("ferritin", 12.0, "ng/mL"), "", &adult()).expect("a value");
    let context = Context { entered_labs: vec![ferritin], ..context(None) };
    assert_eq!(raised(&calm(), &context), Vec::<Value>::new());
}

#[test]
fn a_follow_up_requires_its_own_questions_and_not_those_of_the_history() {
    let missing: Vec<String> = compute(&answers(&json!({})), &context(None))
        .issues
        .into_iter()
        .map(|issue| issue.pointer.trim_start_matches("/answers").to_owned())
        .collect();
    let expected = [
        "/symptoms/severity_0_10",
        "/follow_up/change",
        "/follow_up/augmentation",
        "/follow_up/urges",
        "/follow_up/has_side_effects",
    ];
    assert_eq!(missing, expected);
    let guardian =
        Context { date_of_birth: jiff::civil::date(2012, 1, 1), filled_by: FilledBy::Guardian, ..context(None) };
    let asked = compute(&answers(&json!({})), &guardian).issues;
    assert!(asked.iter().all(|issue| issue.pointer != "/answers/follow_up/urges"), "a clinician asks a minor");
}
