//! What reading refuses, each with its pointer.

use serde_json::{Value, json};

use super::*;
use crate::FilledBy;
use crate::tests::adult;

/// The pointers and codes of a refusal.
fn refused(value: &Value) -> Vec<(String, String)> {
    match parse(value, "/answers") {
        Err(Invalid(errors)) => errors.into_iter().map(|error| (error.pointer, error.code.to_string())).collect(),
        other => panic!("not refused: {:?}", other.map(|_| ())),
    }
}

#[test]
fn wrong_types_ranges_and_names_are_rejected_even_in_a_draft() {
    let cases = [
        (
            json!({"symptoms": {"days_per_week_untreated": 8}}),
            "/answers/symptoms/days_per_week_untreated",
            "out_of_range",
        ),
        (
            json!({"symptoms": {"days_per_week_untreated": "6"}}),
            "/answers/symptoms/days_per_week_untreated",
            "wrong_type",
        ),
        (json!({"symptoms": {"severity_0_10": 2.5}}), "/answers/symptoms/severity_0_10", "wrong_type"),
        (json!({"symptoms": {"urge_to_move_legs": "maybe"}}), "/answers/symptoms/urge_to_move_legs", "not_an_option"),
        (json!({"symptoms": {"urge": "yes"}}), "/answers/symptoms/urge", "unknown_field"),
        (json!({"symptom": {}}), "/answers/symptom", "unknown_field"),
        (json!({"symptoms": {"usual_onset_time": "25:00"}}), "/answers/symptoms/usual_onset_time", "not_a_time"),
        (json!({"symptoms": {"symptom_onset_date": "soon"}}), "/answers/symptoms/symptom_onset_date", "not_a_date"),
        (json!({"symptoms": {"sensations": ["itching", "cold"]}}), "/answers/symptoms/sensations/1", "not_an_option"),
        (json!({"symptoms": []}), "/answers/symptoms", "wrong_type"),
        (json!([]), "/answers", "wrong_type"),
        (json!(7), "/answers", "wrong_type"),
        (json!({"labs": [[]]}), "/answers/labs/0", "wrong_type"),
        (json!({"venous": {"vein_procedures": [["stripping"]]}}), "/answers/venous/vein_procedures/0", "wrong_type"),
        (
            json!({"symptoms": {"urge_to_move_legs": {"yes": null}}}),
            "/answers/symptoms/urge_to_move_legs",
            "wrong_type",
        ),
        (json!({"symptoms": null}), "/answers/symptoms", "wrong_type"),
        (json!({"symptoms": {"urge_to_move_legs": null}}), "/answers/symptoms/urge_to_move_legs", "wrong_type"),
        (json!({"labs": [{"test": "ferritin", "unit": null}]}), "/answers/labs/0/unit", "wrong_type"),
        (json!({"irls": {"items": [1, 2, 3]}}), "/answers/irls/items", "wrong_type"),
        (json!({"irls": {"items": [0, 0, 0, 0, 5, 0, 0, 0, 0, 0]}}), "/answers/irls/items/4", "out_of_range"),
        (json!({"irls": {"irls_total": 41}}), "/answers/irls/irls_total", "out_of_range"),
        (json!({"irls": {"irls_assessed_on": "2026-02-30"}}), "/answers/irls/irls_assessed_on", "wrong_value"),
        (json!({"risk": {"gestational_weeks": 45}}), "/answers/risk/gestational_weeks", "out_of_range"),
        (json!({"venous": {"compression_mmhg": 7}}), "/answers/venous/compression_mmhg", "out_of_range"),
        (json!({"substances": {"caffeine_drinks_day": 31}}), "/answers/substances/caffeine_drinks_day", "out_of_range"),
        (json!({"substances": {"caffeine_mg_day": 2001}}), "/answers/substances/caffeine_mg_day", "out_of_range"),
        (json!({"substances": {"alcohol_drinks_week": -1}}), "/answers/substances/alcohol_drinks_week", "out_of_range"),
        (json!({"sleep": {"sleep_onset_latency_min": 721}}), "/answers/sleep/sleep_onset_latency_min", "out_of_range"),
        (json!({"sleep": {"awakenings_per_night": 51}}), "/answers/sleep/awakenings_per_night", "out_of_range"),
        (json!({"sleep": {"sleep_duration_hours": 24.5}}), "/answers/sleep/sleep_duration_hours", "out_of_range"),
        (json!({"sleep": {"ess_total": 25}}), "/answers/sleep/ess_total", "out_of_range"),
        (json!({"sleep": {"isi_total": 29}}), "/answers/sleep/isi_total", "out_of_range"),
        (json!({"sleep": {"plms_index": 301}}), "/answers/sleep/plms_index", "out_of_range"),
        (
            json!({"labs": [{"test": "ferritin", "value": 5001, "unit": "ng/mL"}]}),
            "/answers/labs/0/value",
            "out_of_range",
        ),
        (json!({"labs": [{"test": "tsat", "value": 101, "unit": "%"}]}), "/answers/labs/0/value", "out_of_range"),
        (json!({"labs": [{"test": "iron", "value": 1001, "unit": "ug/dL"}]}), "/answers/labs/0/value", "out_of_range"),
        (
            json!({"labs": [{"test": "hemoglobin", "value": 1.9, "unit": "g/dL"}]}),
            "/answers/labs/0/value",
            "out_of_range",
        ),
        (
            json!({"labs": [{"test": "hemoglobin", "value": 12, "unit": "g/L"}]}),
            "/answers/labs/0/value",
            "out_of_range",
        ),
        (json!({"labs": [{"test": "ferritin", "value": 12, "unit": "g/L"}]}), "/answers/labs/0/unit", "not_an_option"),
        (json!({"labs": [{"unit": "pounds"}]}), "/answers/labs/0/unit", "not_an_option"),
        (json!({"medications": [{"name": "a\nb"}]}), "/answers/medications/0/name", "forbidden_character"),
        (json!({"medications": [{"name": ""}]}), "/answers/medications/0/name", "required"),
        (json!({"medications": [{"name": "x".repeat(201)}]}), "/answers/medications/0/name", "too_long"),
        (json!({"allergies": vec![json!({"substance": "x"}); 101]}), "/answers/allergies", "too_many"),
    ];
    for (value, pointer, code) in cases {
        assert_eq!(refused(&value), vec![(pointer.to_owned(), code.to_owned())], "{value}");
    }
}

#[test]
fn all_errors_are_reported_at_once_with_the_pointers_as_sent() {
    let value = json!({
        "safety": {"bleeding_vein": 1, "nonsense": true},
        "symptoms": {"sensations": ["cold", "itching", "hot"], "days_per_week_untreated": 9},
        "irls": {"items": [9, 0, 0, 0, 0, 0, 0, 0, 0, "x"]},
        "labs": [7, {"test": "ferritin", "value": 9000, "unit": "ng/mL"}, {"test": "tsat", "value": 400, "unit": "%"}, {"colour": "red"}]
    });
    let mut pointers: Vec<String> = refused(&value).into_iter().map(|(pointer, _)| pointer).collect();
    pointers.sort();
    assert_eq!(
        pointers,
        [
            "/answers/irls/items/0",
            "/answers/irls/items/9",
            "/answers/labs/0",
            "/answers/labs/1/value",
            "/answers/labs/2/value",
            "/answers/labs/3/colour",
            "/answers/safety/bleeding_vein",
            "/answers/safety/nonsense",
            "/answers/symptoms/days_per_week_untreated",
            "/answers/symptoms/sensations/0",
            "/answers/symptoms/sensations/2",
        ]
    );
}

#[test]
fn no_error_quotes_what_was_sent() {
    let secret = "expected secret`";
    for value in [
        json!({"symptoms": {"urge_to_move_legs": secret}}),
        json!({"symptoms": {"days_per_week_untreated": secret}}),
        json!({"symptoms": {"usual_onset_time": secret}}),
        json!({"medications": secret}),
        json!({"irls": {"irls_assessed_on": secret}}),
    ] {
        let Err(Invalid(errors)) = parse(&value, "") else { panic!("not refused") };
        assert!(!errors[0].detail.contains("secret"), "{:?}", errors[0]);
    }
}

#[test]
fn a_laboratory_value_outside_of_a_form_is_checked_completely() {
    let staff = Context { filled_by: FilledBy::Staff, ..adult() };
    let refused = |lab: Value| match parse_lab(&lab, "", &staff) {
        Err(Invalid(errors)) => errors.into_iter().map(|error| format!("{} {}", error.pointer, error.code)).collect(),
        _ => Vec::new(),
    };
    let good =
        json!({"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-05-12", "source": "lab_report"});
    assert_eq!(refused(good), Vec::<String>::new());
    assert_eq!(refused(json!({"test": "ferritin"})), ["/value required", "/unit required", "/collected_on required"]);
    assert_eq!(
        refused(json!({"test": "tsat", "value": 101, "unit": "%", "colour": 1})),
        ["/colour unknown_field", "/value out_of_range"]
    );
    let partial = json!({"test": "tsat", "value": 11, "unit": "%", "collected_on": "2026-05", "source": "lab_report"});
    assert_eq!(refused(partial), ["/collected_on full_date_required"]);
}
