//! Every rule of the validation has a failing example with its pointer.

use jiff::civil::date;
use serde_json::{Value, json};

use super::*;
use crate::forms::FormName;
use crate::tests::{adult, answers, healthy, merged};
use crate::{FilledBy, apply_patch, compute};

/// The findings that a patch onto a complete history brings.
fn found(patch: &Value, context: &Context) -> Vec<(String, &'static str, Severity)> {
    let found = issues(&answers(&merged(patch)), context);
    found.into_iter().map(|issue| (issue.pointer, issue.code.as_str(), issue.severity)).collect()
}

fn minor(filled_by: FilledBy) -> Context {
    Context::new(date(2012, 3, 1), date(2026, 6, 4), filled_by)
}

#[test]
fn a_complete_history_has_no_findings() {
    assert_eq!(found(&json!({}), &adult()), vec![]);
}

#[test]
fn every_missing_required_answer_is_an_issue() {
    let required: Vec<String> = FormName::History
        .fields()
        .iter()
        .filter(|field| (field.required || field.id == SEVERITY) && field.condition.is_none())
        .map(|field| format!("/answers/{}", field.id.replace('.', "/")))
        .collect();
    assert_eq!(required.len(), 20, "the form is bearable on a phone: {required:?}");
    let missing: Vec<String> = issues(&Answers::default(), &adult()).into_iter().map(|issue| issue.pointer).collect();
    assert_eq!(missing, required);
}

#[test]
fn conditional_questions_are_required_when_they_apply_and_refused_when_not() {
    for (trigger, child, pointer) in [
        (
            json!({"safety": {"bleeding_vein": "yes"}}),
            json!({"safety": {"bleeding_vein_uncontrolled": "no"}}),
            "/answers/safety/bleeding_vein_uncontrolled",
        ),
        (
            json!({"safety": {"open_leg_ulcer": "yes"}}),
            json!({"safety": {"open_leg_ulcer_new_or_worse": "no"}}),
            "/answers/safety/open_leg_ulcer_new_or_worse",
        ),
        (
            json!({"symptoms": {"relief_with_movement": "no"}}),
            json!({"symptoms": {"relief_previously_present": "no"}}),
            "/answers/symptoms/relief_previously_present",
        ),
        (
            json!({"symptoms": {"worse_evening_or_night": "no"}}),
            json!({"symptoms": {"evening_pattern_previously_present": "no"}}),
            "/answers/symptoms/evening_pattern_previously_present",
        ),
        (
            json!({"symptoms": {"days_per_week_untreated": 1}}),
            json!({"symptoms": {"lifetime_episodes_5_or_more": "no"}}),
            "/answers/symptoms/lifetime_episodes_5_or_more",
        ),
        (
            json!({"symptoms": {"impact_level": "mild"}}),
            json!({"symptoms": {"impact_domains": ["sleep"]}}),
            "/answers/symptoms/impact_domains",
        ),
        (
            json!({"risk": {"family_history_rls": "yes"}}),
            json!({"risk": {"family_relations": ["mother"]}}),
            "/answers/risk/family_relations",
        ),
        (
            json!({"medications_status": "listed"}),
            json!({"medications": [{"name": "x", "status": "current"}]}),
            "/answers/medications",
        ),
    ] {
        let expected = |code| vec![(pointer.to_owned(), code, Severity::Error)];
        assert_eq!(found(&trigger, &adult()), expected("required"), "{trigger}");
        assert_eq!(found(&child, &adult()), expected("condition_not_met"), "{child}");
        assert_eq!(found(&apply_patch(&trigger, &child), &adult()), vec![], "{child}");
    }
}

#[test]
fn an_answer_whose_condition_does_not_hold_is_an_error_and_never_dropped() {
    for (child, pointer) in [
        (json!({"venous": {"varicose_laterality": "left"}}), "/answers/venous/varicose_laterality"),
        (json!({"venous": {"dvt_date": "2020"}}), "/answers/venous/dvt_date"),
        (json!({"venous": {"dvt_laterality": "left"}}), "/answers/venous/dvt_laterality"),
        (json!({"venous": {"compression_mmhg": 20}}), "/answers/venous/compression_mmhg"),
        (
            json!({"venous": {"diagnostic_tests": [{"test": "abi", "result": "1.1"}]}}),
            "/answers/venous/diagnostic_tests/0/result",
        ),
        (json!({"risk": {"gestational_weeks": 20}}), "/answers/risk/gestational_weeks"),
        (json!({"risk": {"estimated_due_date": "2026-09-01"}}), "/answers/risk/estimated_due_date"),
        (json!({"risk": {"ckd_stage": "3a"}}), "/answers/risk/ckd_stage"),
        (
            json!({"lifestyle": [{"measure": "exercise", "tried": "no", "helped": "yes"}]}),
            "/answers/lifestyle/0/helped",
        ),
        (json!({"augmentation": {"earlier_onset": "yes"}}), "/answers/augmentation/earlier_onset"),
        (json!({"impulse_control": {"shopping": "yes"}}), "/answers/impulse_control/shopping"),
    ] {
        assert_eq!(
            found(&child, &adult()),
            vec![(pointer.to_owned(), "condition_not_met", Severity::Error)],
            "{child}"
        );
        let read = answers(&merged(&child));
        assert_eq!(serde_json::to_value(read).expect("written"), merged(&child), "never silently dropped");
    }
}

#[test]
fn questions_on_augmentation_apply_after_any_dopamine_medicine_by_class_or_by_name() {
    for medicine in [
        json!({"name": "Neupro", "status": "stopped"}),
        json!({"name": "the little white one", "class": "dopaminergic", "status": "current"}),
        json!({"name": " Carbidopa/Levodopa ", "status": "current"}),
    ] {
        let patch = json!({
            "medications_status": "listed", "medications": [{"name": "aspirin", "status": "current"}, medicine],
            "augmentation": {"earlier_onset": "yes", "onset_time_before_treatment": "21:00"}, "impulse_control": {"eating": "no"}
        });
        assert_eq!(found(&patch, &adult()), vec![], "{patch}");
    }
}

#[test]
fn list_entries_must_be_complete() {
    for (patch, pointers) in [
        (
            json!({"labs": [{}]}),
            vec![
                "/answers/labs/0/test",
                "/answers/labs/0/value",
                "/answers/labs/0/unit",
                "/answers/labs/0/collected_on",
            ],
        ),
        (
            json!({"medications_status": "listed", "medications": [{}]}),
            vec!["/answers/medications/0/name", "/answers/medications/0/status"],
        ),
        (json!({"medications_status": "listed", "medications": []}), vec!["/answers/medications"]),
        (
            json!({"allergies_status": "listed", "allergies": [{"reaction": "rash"}]}),
            vec!["/answers/allergies/0/substance"],
        ),
        (
            json!({"venous": {"vein_procedures": [{}], "diagnostic_tests": [{}]}}),
            vec!["/answers/venous/vein_procedures/0/procedure", "/answers/venous/diagnostic_tests/0/test"],
        ),
        (
            json!({"venous": {"diagnostic_tests": [{"test": "abi", "result_source": "lab_report"}]}}),
            vec!["/answers/venous/diagnostic_tests/0/result"],
        ),
    ] {
        let expected: Vec<_> =
            pointers.iter().map(|pointer| ((*pointer).to_owned(), "required", Severity::Error)).collect();
        assert_eq!(found(&patch, &adult()), expected, "{patch}");
    }
}

#[test]
fn dates_lie_between_birth_and_answers_as_intervals() {
    let lab = |day: &str| json!({"labs": [{"test": "ferritin", "value": 80, "unit": "ng/mL", "collected_on": day, "source": "lab_report"}]});
    let medicine = |start: &str, stop: &str| json!({"medications_status": "listed", "medications": [{"name": "x", "status": "stopped", "started_on": start, "stopped_on": stop}]});
    for (patch, pointer, code) in [
        (lab("2026-06-05"), "/answers/labs/0/collected_on", "in_future"),
        (lab("1967-09-13"), "/answers/labs/0/collected_on", "before_birth"),
        (json!({"symptoms": {"symptom_onset_date": "1966"}}), "/answers/symptoms/symptom_onset_date", "before_birth"),
        (json!({"symptoms": {"symptom_onset_date": "2026-07"}}), "/answers/symptoms/symptom_onset_date", "in_future"),
        (
            json!({"venous": {"vein_procedures": [{"procedure": "stripping", "date": "1960"}]}}),
            "/answers/venous/vein_procedures/0/date",
            "before_birth",
        ),
        (
            json!({"venous": {"diagnostic_tests": [{"test": "abi", "date": "2027"}]}}),
            "/answers/venous/diagnostic_tests/0/date",
            "in_future",
        ),
        (json!({"venous": {"dvt_ever": "yes", "dvt_date": "2030-01"}}), "/answers/venous/dvt_date", "in_future"),
        (json!({"irls": {"irls_assessed_on": "2026-06-05"}}), "/answers/irls/irls_assessed_on", "in_future"),
        (json!({"sleep": {"sleep_study_date": "2026-07"}}), "/answers/sleep/sleep_study_date", "in_future"),
        (medicine("2027", "2027"), "/answers/medications/0/started_on", "in_future"),
        (medicine("2020-05", "2020-04"), "/answers/medications/0/stopped_on", "before_start"),
    ] {
        let found = found(&patch, &adult());
        assert_eq!(found[0], (pointer.to_owned(), code, Severity::Error), "{patch}");
    }
    for fine in [
        lab("2026-06-04"),
        lab("1967-09-14"),
        json!({"symptoms": {"symptom_onset_date": "1967"}}),
        json!({"symptoms": {"symptom_onset_date": "2026-06"}}),
        medicine("2020-05", "2020"),
        medicine("2020", "2020-01"),
    ] {
        assert_eq!(found(&fine, &adult()), vec![], "{fine}");
    }
}

#[test]
fn a_laboratory_date_is_as_full_as_its_source_allows() {
    let lab = |test: &str, source: &str, day: &str| json!({"test": test, "value": 80, "unit": if test == "ferritin" {"ng/mL"} else {"ug/dL"}, "collected_on": day, "source": source});
    for (labs, expected) in [
        (
            json!([lab("ferritin", "lab_report", "2026-05")]),
            vec![("/answers/labs/0/collected_on", "full_date_required", Severity::Error)],
        ),
        (
            json!([lab("ferritin", "patient_reported", "2026")]),
            vec![("/answers/labs/0/collected_on", "month_required", Severity::Error)],
        ),
        (json!([lab("ferritin", "patient_reported", "2026-05")]), vec![]),
        (
            json!([lab("iron", "patient_reported", "2026-05"), lab("tibc", "patient_reported", "2026-05-12")]),
            vec![("/answers/labs/0/collected_on", "full_date_for_tsat", Severity::Warning)],
        ),
    ] {
        let expected: Vec<_> =
            expected.into_iter().map(|(pointer, code, severity)| (pointer.to_owned(), code, severity)).collect();
        assert_eq!(found(&json!({"labs": labs}), &adult()), expected, "{labs}");
    }
}

#[test]
fn a_number_and_its_status_agree() {
    for (patch, pointer, code) in [
        (
            json!({"symptoms": {"days_per_week_untreated_status": "unknown"}}),
            "/answers/symptoms/days_per_week_untreated_status",
            "status_contradicts",
        ),
        (
            json!({"sleep": {"ess_total": 3, "ess_total_status": "prefer_not_to_say"}}),
            "/answers/sleep/ess_total_status",
            "status_contradicts",
        ),
        (json!({"sleep": {"ess_total_status": "known"}}), "/answers/sleep/ess_total", "required"),
    ] {
        assert_eq!(found(&patch, &adult()), vec![(pointer.to_owned(), code, Severity::Error)], "{patch}");
    }
    let years_on_treatment =
        json!({"symptoms": {"days_per_week_untreated": null, "days_per_week_untreated_status": "unknown"}});
    assert_eq!(found(&years_on_treatment, &adult()), vec![]);
}

#[test]
fn a_list_has_each_option_once_and_none_excludes_others() {
    for (patch, pointer, code) in [
        (json!({"symptoms": {"sensations": ["none", "itching"]}}), "/answers/symptoms/sensations", "none_stands_alone"),
        (json!({"symptoms": {"sensations": ["itching", "itching"]}}), "/answers/symptoms/sensations/1", "duplicate"),
        (
            json!({"risk": {"family_history_rls": "yes", "family_relations": []}}),
            "/answers/risk/family_relations",
            "required",
        ),
    ] {
        assert_eq!(found(&patch, &adult()), vec![(pointer.to_owned(), code, Severity::Error)], "{patch}");
    }
}

#[test]
fn contradictions_across_fields_are_issues() {
    let items = json!([1, 1, 1, 1, 1, 1, 3, 1, 1, 1]);
    for (patch, pointer, code, severity) in [
        (
            json!({"irls": {"items": items, "irls_total": 13}}),
            "/answers/irls/irls_total",
            "total_differs",
            Severity::Error,
        ),
        (json!({"irls": {"irls_total": 13}}), "/answers/irls/irls_total", "total_differs", Severity::Error),
        (
            json!({"irls": {"items": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}}),
            "/answers/irls/items/6",
            "frequency_differs",
            Severity::Warning,
        ),
        (
            json!({"risk": {"pregnancy_status": "pregnant", "gestational_weeks": 20, "estimated_due_date": "2026-08-27"}}),
            "/answers/risk/estimated_due_date",
            "weeks_disagree",
            Severity::Error,
        ),
        (
            json!({"risk": {"pregnancy_status": "pregnant", "estimated_due_date": "2028-01-01"}}),
            "/answers/risk/estimated_due_date",
            "implausible_due_date",
            Severity::Error,
        ),
        (
            json!({"risk": {"dialysis": "yes", "ckd": "no"}}),
            "/answers/risk/dialysis",
            "kidney_disease_denied",
            Severity::Warning,
        ),
        (
            json!({"risk": {"esrd": "yes", "ckd": "no"}}),
            "/answers/risk/esrd",
            "kidney_disease_denied",
            Severity::Warning,
        ),
        (
            json!({"medications_status": "listed", "medications": [{"name": "gabapentin", "class": "opioid", "status": "current"}]}),
            "/answers/medications/0/class",
            "class_differs",
            Severity::Warning,
        ),
    ] {
        assert_eq!(found(&patch, &adult()), vec![(pointer.to_owned(), code, severity)], "{patch}");
    }
    assert_eq!(found(&json!({"irls": {"items": items, "irls_total": 12}}), &adult()), vec![]);
    let within_two_weeks =
        json!({"risk": {"pregnancy_status": "pregnant", "gestational_weeks": 26, "estimated_due_date": "2026-08-27"}});
    assert_eq!(found(&within_two_weeks, &adult()), vec![]);
    let recorded_male = Context { recorded_male: true, ..adult() };
    let mismatch = vec![("/answers/risk/pregnancy_status".to_owned(), "sex_mismatch", Severity::Warning)];
    assert_eq!(found(&json!({"risk": {"pregnancy_status": "pregnant"}}), &recorded_male), mismatch);
}

#[test]
fn for_a_minor_a_guardian_or_staff_answers_and_private_questions_are_skipped() {
    let without_private = json!({"safety": {"self_harm_thoughts": null}});
    let patient = vec![("/answers".to_owned(), "guardian_or_staff", Severity::Error)];
    assert_eq!(found(&without_private, &minor(FilledBy::Patient)), patient);
    for filled_by in [FilledBy::Guardian, FilledBy::Staff, FilledBy::Practitioner] {
        assert_eq!(found(&without_private, &minor(filled_by)), vec![], "{filled_by:?}");
    }
}

#[test]
fn staff_may_leave_questions_out_and_they_are_stored_as_not_asked() {
    let staff = Context { filled_by: FilledBy::Staff, ..adult() };
    let marked = mark_not_asked(&Answers::default(), &staff);
    let json = serde_json::to_value(&marked).expect("written");
    for pointer in [
        "/symptoms/worse_at_rest",
        "/symptoms/days_per_week_untreated_status",
        "/symptoms/impact_level",
        "/medications_status",
        "/allergies_status",
        "/safety/self_harm_thoughts",
    ] {
        assert_eq!(json.pointer(pointer), Some(&json!("not_asked")), "{pointer}");
    }
    let findings = issues(&marked, &staff);
    assert_eq!(findings.len(), 20);
    assert!(findings.iter().all(|issue| issue.code == Code::NotAsked && issue.severity == Severity::Warning));
    assert!(submittable(&findings, FilledBy::Patient).is_ok());
    assert!(compute(&marked, &staff).flags.is_empty(), "what was not asked says nothing");

    let given = answers(&healthy());
    assert_eq!(mark_not_asked(&given, &staff), given);
    assert_eq!(mark_not_asked(&Answers::default(), &adult()), Answers::default(), "only staff");
    let patients_own = found(&json!({"safety": {"bleeding_vein": "not_asked"}}), &adult());
    assert_eq!(patients_own, vec![("/answers/safety/bleeding_vein".to_owned(), "required", Severity::Error)]);
}

#[test]
fn errors_block_submission_with_every_pointer_and_warnings_do_not() {
    let blocked = submittable(&issues(&Answers::default(), &adult()), FilledBy::Patient).expect_err("refused");
    let Invalid(errors) = blocked;
    assert_eq!(errors.len(), 20);
    let warned = issues(&answers(&merged(&json!({"risk": {"dialysis": "yes", "ckd": "no"}}))), &adult());
    assert_eq!(warned.len(), 1);
    assert!(submittable(&warned, FilledBy::Patient).is_ok());
}

#[test]
fn what_is_optional_may_have_been_left_unasked() {
    let patch = json!({"mimics": {"arthritis": "not_asked"}, "sleep": {"ess_total_status": "not_asked"}});
    assert_eq!(found(&patch, &adult()), vec![]);
}

#[test]
fn the_0_to_10_severity_is_required_where_the_licensed_scale_is_not_installed() {
    let without = json!({"symptoms": {"severity_0_10": null}});
    let missing = |patch: &serde_json::Value, context: &Context| {
        let found = crate::compute(&crate::tests::answers(&crate::tests::merged(patch)), context).issues;
        found
            .into_iter()
            .filter(|issue| issue.pointer == "/answers/symptoms/severity_0_10")
            .map(|issue| issue.code)
            .next()
    };
    let patient = crate::tests::adult();
    assert_eq!(missing(&without, &patient), Some(Code::Required));
    assert_eq!(missing(&without, &Context { filled_by: FilledBy::Staff, ..patient.clone() }), Some(Code::NotAsked));
    assert_eq!(missing(&without, &Context { irls_licensed: true, ..patient.clone() }), None);
    let unknown = json!({"symptoms": {"severity_0_10": null, "severity_0_10_status": "unknown"}});
    assert_eq!(missing(&unknown, &patient), None, "\"I don't know\" is an answer");
    let scale = json!({"symptoms": {"severity_0_10": null}, "irls": {"items": [3, 3, 2, 3, 2, 3, 4, 2, 2, 2]}});
    assert_eq!(missing(&scale, &patient), None, "a clinician has given the scores of the scale");
}

#[test]
fn every_issue_has_the_code_of_a_broken_rule() {
    for code in Code::ALL {
        assert_eq!(code.rule().as_str(), code.as_str());
    }
}

#[test]
fn a_question_is_asked_if_its_condition_holds_in_the_form_or_in_its_entry() {
    let asked = |id: &str, answers: Value, entry: Option<Value>| {
        crate::is_asked(crate::FormName::History, id, &answers, entry.as_ref())
    };
    let bleeding = |answer: &str| json!({"safety": {"bleeding_vein": answer}});
    assert!(asked("safety.bleeding_vein", json!({}), None));
    assert!(asked("safety.bleeding_vein_uncontrolled", bleeding("yes"), None));
    assert!(!asked("safety.bleeding_vein_uncontrolled", bleeding("no"), None));
    assert!(asked("medications.stopped_on", json!({}), Some(json!({"status": "stopped"}))));
    assert!(!asked("medications.stopped_on", json!({}), Some(json!({"status": "current"}))));
    let pills = json!({"medications": [{"name": "Pramipexole 0.25 mg"}]});
    assert!(asked("augmentation.earlier_onset", pills, None) && !asked("augmentation.earlier_onset", json!({}), None));
}
