//! Causes, criteria, course, pregnancy, age, kidneys, and answers that decide nothing.

use jiff::civil::date;
use serde_json::{Value, json};

use super::*;
use crate::FilledBy;

#[test]
fn a_history_without_anything_of_note() {
    check(vec![vignette(
        "all four features, no impact",
        json!({}),
        json!({
            "criteria": {"c1": "yes", "c2": "yes", "c3": "yes", "c4": "yes", "c5": "not_reviewed"},
            "screening_result": "features_present_needs_clinician_review", "irlssg_criteria_met": null,
            "clinical_course": "chronic_persistent", "clinical_significance": "not_reported",
            "irls_total": null, "irls_band": null, "ess_above_10": null, "isi_band": null, "tsat_percent": null,
            "iron_review_band": "insufficient_data", "augmentation_features": null, "contributing_factors": [],
            "issues": [], "flags": [review()]
        }),
    )]);
}

#[test]
fn the_clinics_four_causes_and_the_other_risks_are_named_with_their_answers() {
    check(vec![
        vignette(
            "genetics",
            json!({"risk": {"family_history_rls": "yes", "family_relations": ["mother", "son"]}}),
            json!({"contributing_factors": [{"factor": "genetics", "because": ["risk.family_history_rls"]}], "issues": []}),
        ),
        vignette(
            "iron deficiency, by laboratory and by report",
            json!({"risk": {"iron_deficiency": "yes"}, "labs": [lab("ferritin", 12.0, "ng/mL")]}),
            json!({
                "iron_review_band": "ferritin_le_75_or_tsat_lt_20",
                "contributing_factors": [{"factor": "iron_deficiency", "because": ["labs", "risk.iron_deficiency"]}],
                "flags": [flag("iron_review", "routine"), review()]
            }),
        ),
        vignette(
            "neurological abnormalities",
            json!({"risk": {"peripheral_neuropathy": "yes", "multiple_sclerosis": "yes", "parkinson_disease": "unknown"}}),
            json!({"contributing_factors": [{
                "factor": "neurological_abnormality", "because": ["risk.peripheral_neuropathy", "risk.multiple_sclerosis"]
            }]}),
        ),
        vignette(
            "pregnancy",
            json!({"risk": {"pregnancy_status": "pregnant", "gestational_weeks": 30}}),
            json!({
                "trimester": 3, "clinical_course": "not_determinable",
                "contributing_factors": [{"factor": "pregnancy", "because": ["risk.pregnancy_status"]}]
            }),
        ),
        vignette(
            "blood, bowel, sleep, sugar",
            json!({"risk": {
                "heavy_menses": "yes", "blood_donation_12mo": "yes", "gi_or_bariatric_surgery": "yes",
                "sleep_apnea": "yes", "diabetes_type": "type_2", "rls_in_past_pregnancy": "yes"
            }}),
            json!({"contributing_factors": [
                {"factor": "past_pregnancy", "because": ["risk.rls_in_past_pregnancy"]},
                {"factor": "diabetes", "because": ["risk.diabetes_type"]},
                {"factor": "blood_loss", "because": ["risk.blood_donation_12mo", "risk.heavy_menses"]},
                {"factor": "absorption_or_nutrition", "because": ["risk.gi_or_bariatric_surgery"]},
                {"factor": "sleep_apnea", "because": ["risk.sleep_apnea"]}
            ]}),
        ),
    ]);
}

#[test]
fn the_trimester_ends_with_weeks_13_and_27() {
    let pregnant = |more: Value| {
        let mut risk = json!({"pregnancy_status": "pregnant"});
        risk.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        json!({"risk": risk})
    };
    let weeks = |weeks: u8| pregnant(json!({"gestational_weeks": weeks}));
    check(vec![
        vignette("week 0", weeks(0), json!({"trimester": 1})),
        vignette("week 13", weeks(13), json!({"trimester": 1})),
        vignette("week 14", weeks(14), json!({"trimester": 2})),
        vignette("week 27", weeks(27), json!({"trimester": 2})),
        vignette("week 28", weeks(28), json!({"trimester": 3})),
        // 2026-06-04 and 280 days: 2027-03-11 is week 0; 84 days before birth (2026-08-27) is week 28.
        vignette(
            "due date only",
            pregnant(json!({"estimated_due_date": "2026-08-27"})),
            json!({"trimester": 3, "issues": []}),
        ),
        vignette(
            "one day less than 28 weeks",
            pregnant(json!({"estimated_due_date": "2026-08-28"})),
            json!({"trimester": 2}),
        ),
        vignette(
            "weeks not known",
            pregnant(json!({"gestational_weeks_status": "unknown"})),
            json!({"trimester": null, "issues": []}),
        ),
        vignette(
            "dates that disagree",
            pregnant(json!({"gestational_weeks": 20, "estimated_due_date": "2026-08-27"})),
            json!({"trimester": null, "issues": [
                {"pointer": "/answers/risk/estimated_due_date", "code": "weeks_disagree", "severity": "error"}
            ]}),
        ),
    ]);
}

#[test]
fn a_pregnancy_with_certain_medicines_is_flagged() {
    for name in ["oxycodone", "clonazepam", "gabapentin", "pramipexole"] {
        let mut given = medicines(&[name]);
        given["risk"] = json!({"pregnancy_status": "pregnant", "gestational_weeks": 10});
        check(vec![vignette(
            "pregnant, with one of four medicines",
            given,
            json!({"trimester": 1, "flags": [flag("pregnancy_medication", "routine"), review()]}),
        )]);
    }
    for (medicine, risk) in [
        ("valproato de sodio", json!({"pregnancy_status": "pregnant"})),
        ("Topamax 25 mg", json!({"trying_to_conceive": "yes"})),
        ("valproate", json!({"breastfeeding": "yes"})),
    ] {
        let mut given = medicines(&[medicine]);
        given["risk"] = risk;
        let flags = json!({"flags": [flag("pregnancy_medication", "prompt"), review()]});
        check(vec![vignette("FDA 2011 and 2013: valproate or topiramate", given, flags)]);
    }
    let mut given = medicines(&["valproate"]);
    given["risk"] = json!({"trying_to_conceive": "unknown", "breastfeeding": "no"});
    check(vec![vignette("unknown raises nothing", given, json!({"flags": [review()]}))]);
}

#[test]
fn under_18_no_adult_band_holds_and_private_questions_are_not_required() {
    let context = Context::new(date(2012, 3, 1), date(2026, 6, 4), FilledBy::Guardian);
    check(vec![Vignette {
        name: "a girl of 14, filled in by her mother",
        context,
        answers: json!({
            "safety": {"self_harm_thoughts": null},
            "irls": {"items": [3, 3, 2, 3, 2, 3, 4, 2, 2, 2]},
            "sleep": {"ess_total": 15, "isi_total": 20},
            "labs": [lab("ferritin", 12.0, "ng/mL")]
        }),
        expected: json!({
            "irls_total": 26, "irls_band": null, "ess_above_10": null, "isi_band": null,
            "iron_review_band": "ferritin_lt_50_under_18", "clinical_course": "not_determinable",
            "contributing_factors": [{"factor": "iron_deficiency", "because": ["labs"]}], "issues": [],
            "flags": [flag("iron_review_child", "routine"), review()]
        }),
    }]);
}

#[test]
fn on_dialysis_and_in_end_stage_kidney_disease_no_iron_band_is_computed() {
    check(vec![
        vignette(
            "dialysis, kidney disease denied",
            json!({"risk": {"dialysis": "yes", "ckd": "no"}, "labs": [lab("ferritin", 12.0, "ng/mL")]}),
            json!({
                "iron_review_band": "not_computed_esrd",
                "contributing_factors": [{"factor": "kidney_disease", "because": ["risk.dialysis"]}],
                "issues": [{"pointer": "/answers/risk/dialysis", "code": "kidney_disease_denied", "severity": "warning"}],
                "flags": [review()]
            }),
        ),
        vignette(
            "end-stage disease",
            json!({"risk": {"esrd": "yes"}}),
            json!({"iron_review_band": "not_computed_esrd"}),
        ),
        vignette(
            "not known",
            json!({"risk": {"dialysis": "unknown"}}),
            json!({"iron_review_band": "insufficient_data"}),
        ),
    ]);
}

/// Every required question with the same answer.
fn all(answer: &str) -> Value {
    let safety: serde_json::Map<String, Value> = crate::answers::all_fields()
        .iter()
        .filter(|field| field.required && field.condition.is_none())
        .filter_map(|field| field.id.strip_prefix("safety.").map(|name| (name.to_owned(), answer.into())))
        .collect();
    json!({
        "safety": safety,
        "symptoms": {
            "urge_to_move_legs": answer, "worse_at_rest": answer, "relief_with_movement": answer,
            "worse_evening_or_night": answer, "days_per_week_untreated": null,
            "days_per_week_untreated_status": answer, "impact_level": answer
        },
        "venous": {"varicose_veins": answer, "dvt_ever": answer},
        "risk": {"family_history_rls": answer, "pregnancy_status": answer, "dialysis": answer, "iron_deficiency": answer},
        "mimics": {"leg_cramps": answer},
        "medications_status": answer,
        "sleep": {"drowsy_driving": answer}
    })
}

#[test]
fn unknown_and_declined_are_answers_that_decide_nothing() {
    let open = json!({
        "criteria": {"c1": "unknown", "c2": "unknown", "c3": "unknown", "c4": "unknown", "c5": "not_reviewed"},
        "screening_result": "incomplete", "irlssg_criteria_met": null, "clinical_course": "not_determinable",
        "clinical_significance": "unknown", "irls_total": null, "iron_review_band": "insufficient_data",
        "contributing_factors": [], "issues": [],
        "flags": [
            flag("chest_pain_breathlessness", "prompt"), flag("sudden_cold_pale_leg", "prompt"),
            flag("new_weakness_saddle_bladder_bowel", "prompt"), flag("acute_unilateral_leg_symptoms", "prompt"),
            flag("bleeding_vein", "prompt"), flag("spreading_hot_redness", "prompt"), flag("open_leg_ulcer", "prompt"),
            flag("self_harm_thoughts", "prompt")
        ]
    });
    check(vec![
        vignette("everything unknown", all("unknown"), open.clone()),
        vignette("everything declined", all("prefer_not_to_say"), open),
    ]);
}

#[test]
fn only_the_clinicians_review_of_mimics_decides_the_fifth_criterion() {
    let cramps = json!({"mimics": {"leg_cramps": "yes"}});
    check(vec![
        Vignette {
            name: "mimics explain all of it",
            context: reviewed(MimicReview::SolelyExplained),
            answers: cramps.clone(),
            expected: json!({
                "criteria": {"c1": "yes", "c2": "yes", "c3": "yes", "c4": "yes", "c5": "solely_explained"},
                "screening_result": "features_present_explained_otherwise", "irlssg_criteria_met": false,
                "flags": []
            }),
        },
        Vignette {
            name: "mimics do not explain all of it",
            context: reviewed(MimicReview::NotSolelyExplained),
            answers: cramps.clone(),
            expected: json!({"screening_result": "criteria_confirmed_by_clinician", "irlssg_criteria_met": true, "flags": []}),
        },
        Vignette {
            name: "reviewed, but a feature is open",
            context: reviewed(MimicReview::NotSolelyExplained),
            answers: json!({"symptoms": {"worse_at_rest": "unknown"}}),
            expected: json!({"screening_result": "incomplete", "irlssg_criteria_met": null}),
        },
        Vignette {
            name: "reviewed, and a feature is denied",
            context: reviewed(MimicReview::NotSolelyExplained),
            answers: json!({"symptoms": {"urge_to_move_legs": "no"}}),
            expected: json!({"screening_result": "features_not_all_reported", "irlssg_criteria_met": false, "flags": []}),
        },
        vignette("cramps, not reviewed", cramps, json!({"irlssg_criteria_met": null, "flags": [review()]})),
    ]);
}

#[test]
fn relief_and_the_evening_count_if_they_were_there_previously() {
    let c3 = |now: &str, before: &str| json!({"symptoms": {"relief_with_movement": now, "relief_previously_present": before}});
    let is = |c3: &str, screening: &str| json!({"criteria": {"c1": "yes", "c2": "yes", "c3": c3, "c4": "yes", "c5": "not_reviewed"}, "screening_result": screening});
    check(vec![
        vignette("relief in earlier years", c3("no", "yes"), is("yes", "features_present_needs_clinician_review")),
        vignette("never relief", c3("no", "no"), is("no", "features_not_all_reported")),
        vignette("earlier years not known", c3("no", "unknown"), is("unknown", "incomplete")),
        vignette(
            "always in the evening before",
            json!({"symptoms": {"worse_evening_or_night": "no", "evening_pattern_previously_present": "yes"}}),
            json!({"screening_result": "features_present_needs_clinician_review"}),
        ),
    ]);
}

#[test]
fn a_treated_patient_without_symptoms_meets_the_criteria_by_history_irlssg_2014() {
    let treated = |urge: Value, rest: Value| {
        json!({"symptoms": {
            "urge_to_move_legs": "no", "urge_previously_present": urge, "worse_at_rest": "no",
            "rest_pattern_previously_present": rest
        }})
    };
    let is =
        |c1: &str, c2: &str| json!({"criteria": {"c1": c1, "c2": c2, "c3": "yes", "c4": "yes", "c5": "not_reviewed"}});
    check(vec![
        vignette("no now, yes before", treated("yes".into(), "yes".into()), is("yes", "yes")),
        vignette("never", treated("no".into(), "no".into()), is("no", "no")),
        vignette("not known", treated("unknown".into(), "prefer_not_to_say".into()), is("unknown", "unknown")),
        vignette("not answered: the denial stands", treated(Value::Null, Value::Null), is("no", "no")),
    ]);
}

#[test]
fn picchietti_2013_a_first_degree_relative_supports_the_diagnosis_of_a_child() {
    let risk = |patch: Value| json!({"risk": patch});
    let related = |relations: &[&str]| risk(json!({"family_history_rls": "yes", "family_relations": relations}));
    let is = |value: Value| json!({"first_degree_relative": value});
    check(vec![
        vignette("a parent", related(&["cousin", "father"]), is("yes".into())),
        vignette("a sibling", related(&["sister"]), is("yes".into())),
        vignette("others only", related(&["grandparent", "aunt_uncle"]), is("no".into())),
        vignette("not known who", related(&["cousin", "unknown"]), is("unknown".into())),
        vignette("none named", risk(json!({"family_history_rls": "yes"})), is("unknown".into())),
        vignette("no relative", risk(json!({"family_history_rls": "no"})), is("no".into())),
        vignette("unknown", risk(json!({"family_history_rls": "unknown"})), is("unknown".into())),
        vignette("not answered", risk(json!({"family_history_rls": null})), is(Value::Null)),
    ]);
}

#[test]
fn the_course_needs_a_year_an_average_and_no_provocation() {
    let symptoms = |patch: Value| json!({"symptoms": patch});
    let course = |course: &str| json!({"clinical_course": course});
    let mut lithium_first = medicines(&[]);
    lithium_first["medications"] = json!([{"name": "lithium", "status": "current", "started_on": "2015"}]);
    lithium_first["symptoms"] = json!({"symptom_onset_date": "2016"});
    let mut lithium_later = lithium_first.clone();
    lithium_later["symptoms"] = json!({"symptom_onset_date": "2014"});
    let once =
        |episodes: &str| symptoms(json!({"days_per_week_untreated": 1.5, "lifetime_episodes_5_or_more": episodes}));
    check(vec![
        vignette("twice a week", symptoms(json!({"days_per_week_untreated": 2})), course("chronic_persistent")),
        vignette("less, five times in life", once("yes"), course("intermittent")),
        vignette("less, fewer than five", once("no"), course("not_determinable")),
        vignette("less, not known", once("unknown"), course("not_determinable")),
        vignette("begun this year", symptoms(json!({"symptom_onset_date": "2026-01"})), course("not_determinable")),
        vignette(
            "begun 12 months ago or less",
            symptoms(json!({"symptom_onset_date": "2025"})),
            course("not_determinable"),
        ),
        vignette("begun before", symptoms(json!({"symptom_onset_date": "2024"})), course("chronic_persistent")),
        vignette("after lithium was begun", lithium_first, course("not_determinable")),
        vignette("before lithium was begun", lithium_later, course("chronic_persistent")),
        vignette(
            "years before the pregnancy",
            json!({"symptoms": {"symptom_onset_date": "2010"}, "risk": {"pregnancy_status": "pregnant"}}),
            course("chronic_persistent"),
        ),
    ]);
}
