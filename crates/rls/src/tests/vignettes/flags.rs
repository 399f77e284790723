//! Flags and scores.

use serde_json::{Value, json};

use super::*;

#[test]
fn safety_answers_raise_flags_of_their_urgency() {
    let safety = |patch: Value| json!({"safety": patch});
    let raised = |flags: Vec<Value>| json!({"flags": ([flags, vec![review()]].concat()), "issues": []});
    check(vec![
        vignette(
            "twin flags: a swollen leg and breathlessness",
            safety(json!({"acute_unilateral_leg_symptoms": "yes", "chest_pain_breathlessness": "yes"})),
            raised(vec![
                flag("chest_pain_breathlessness", "emergency"),
                flag("acute_unilateral_leg_symptoms", "emergency"),
            ]),
        ),
        vignette(
            "a swollen leg alone",
            safety(json!({"acute_unilateral_leg_symptoms": "yes"})),
            raised(vec![flag("acute_unilateral_leg_symptoms", "same_day")]),
        ),
        vignette(
            "a swollen leg, breathlessness not known",
            safety(json!({"acute_unilateral_leg_symptoms": "yes", "chest_pain_breathlessness": "unknown"})),
            raised(vec![
                flag("acute_unilateral_leg_symptoms", "same_day"),
                flag("chest_pain_breathlessness", "prompt"),
            ]),
        ),
        vignette(
            "bleeding that may not be controlled",
            safety(json!({"bleeding_vein": "yes", "bleeding_vein_uncontrolled": "unknown"})),
            raised(vec![flag("bleeding_vein", "emergency")]),
        ),
        vignette(
            "bleeding that was controlled",
            safety(json!({"bleeding_vein": "yes", "bleeding_vein_uncontrolled": "no"})),
            raised(vec![flag("bleeding_vein", "same_day")]),
        ),
        vignette(
            "a new sore",
            safety(json!({"open_leg_ulcer": "yes", "open_leg_ulcer_new_or_worse": "unknown"})),
            raised(vec![flag("open_leg_ulcer", "same_day")]),
        ),
        vignette(
            "a long-standing sore",
            safety(json!({"open_leg_ulcer": "yes", "open_leg_ulcer_new_or_worse": "no"})),
            raised(vec![flag("open_leg_ulcer", "prompt")]),
        ),
        vignette(
            "thoughts of self-harm",
            safety(json!({"self_harm_thoughts": "yes"})),
            raised(vec![flag("self_harm_thoughts", "same_day")]),
        ),
        vignette(
            "a cold pale leg, new weakness, redness",
            safety(json!({
                "sudden_cold_pale_leg": "yes", "new_weakness_saddle_bladder_bowel": "yes", "spreading_hot_redness": "yes"
            })),
            raised(vec![
                flag("sudden_cold_pale_leg", "emergency"),
                flag("new_weakness_saddle_bladder_bowel", "emergency"),
                flag("spreading_hot_redness", "same_day"),
            ]),
        ),
    ]);
}

#[test]
fn the_newest_hemoglobin_below_8_is_for_the_same_day() {
    let low = |labs: Vec<Value>| json!({"labs": labs});
    let mut old = lab("hemoglobin", 7.0, "g/dL");
    old["collected_on"] = "2025-01-01".into();
    let raised = json!({"flags": [flag("hemoglobin_below_8", "same_day"), review()]});
    check(vec![
        vignette("7.9 g/dL", low(vec![lab("hemoglobin", 7.9, "g/dL")]), raised.clone()),
        vignette("79 g/L", low(vec![lab("hemoglobin", 79.0, "g/L")]), raised),
        vignette("8.0 g/dL", low(vec![lab("hemoglobin", 8.0, "g/dL")]), json!({"flags": [review()]})),
        vignette("7.0 long ago, 12 now", low(vec![old, lab("hemoglobin", 12.0, "g/dL")]), json!({"flags": [review()]})),
    ]);
}

#[test]
fn combinations_of_medicines_are_flagged_by_exact_name_while_they_are_taken() {
    let mut apnea = medicines(&["Percocet"]);
    apnea["risk"] = json!({"sleep_apnea": "yes"});
    let mut stopped = medicines(&["oxycodone", "clonazepam"]);
    stopped["medications"][1]["status"] = "stopped".into();
    check(vec![
        vignette(
            "an opioid with a benzodiazepine",
            medicines(&["oxycodone", "clonazepam"]),
            json!({"flags": [flag("opioid_sedative", "prompt"), review()], "medication_classes": [
                {"medication": "medications.0", "class": "opioid", "class_source": "table"},
                {"medication": "medications.1", "class": "benzodiazepine", "class_source": "table"}
            ]}),
        ),
        vignette(
            "an opioid with a gabapentinoid",
            medicines(&["Tramadol", "Lyrica"]),
            json!({"flags": [flag("opioid_sedative", "prompt"), review()]}),
        ),
        vignette("one of them stopped", stopped, json!({"flags": [review()]})),
        vignette("an opioid in sleep apnea", apnea, json!({"flags": [flag("opioid_sleep_apnea", "prompt"), review()]})),
        vignette(
            "an aggravating brand name",
            medicines(&["Benadryl"]),
            json!({
                "flags": [flag("aggravating_drug", "routine"), review()],
                "contributing_factors": [{"factor": "aggravating_medication", "because": ["medications.0"]}]
            }),
        ),
        vignette(
            "a name that nobody knows",
            medicines(&["Nonesuch forte"]),
            json!({"flags": [review()], "medication_classes": [{"medication": "medications.0", "class": "unknown"}]}),
        ),
    ]);
}

#[test]
fn iron_that_is_taken_is_watched_for_excess_and_for_a_ferritin() {
    let iron = |started: &str| {
        json!({"medications_status": "listed", "medications": [
            {"name": "ferrous sulfate", "status": "current", "started_on": started}
        ]})
    };
    let with = |mut answers: Value, labs: Vec<Value>| {
        answers["labs"] = labs.into();
        answers
    };
    let due = flag("iron_monitoring_due", "routine");
    check(vec![
        // 12 weeks after 2026-03-12 is 2026-06-04, the day of the answers.
        vignette(
            "12 weeks today",
            iron("2026-03-12"),
            json!({"flags": [review(), due.clone()], "iron_monitoring": [
                {"medication": "medications.0", "started_on": "2026-03-12", "due_on": "2026-06-04", "ferritin_since": false, "due": true}
            ]}),
        ),
        vignette("tomorrow", iron("2026-03-13"), json!({"flags": [review()]})),
        vignette("begun in March, perhaps on its last day", iron("2026-03"), json!({"flags": [review()]})),
        vignette("begun in February", iron("2026-02"), json!({"flags": [review(), due]})),
        vignette(
            "a ferritin since",
            with(iron("2026-02"), vec![lab("ferritin", 90.0, "ng/mL")]),
            json!({"flags": [review()]}),
        ),
        vignette(
            "ferritin above 300",
            with(iron("2026-02"), vec![lab("ferritin", 300.1, "ng/mL")]),
            json!({"flags": [flag("iron_excess_review", "prompt"), review()]}),
        ),
        vignette(
            "TSAT above 45",
            with(iron("2026-05"), vec![lab("tsat", 45.1, "%")]),
            json!({"flags": [flag("iron_excess_review", "prompt"), review()]}),
        ),
        vignette(
            "high without iron",
            json!({"labs": [lab("ferritin", 900.0, "ng/mL")]}),
            json!({"flags": [flag("iron_overload_review", "routine"), review()]}),
        ),
    ]);
}

#[test]
fn urges_and_augmentation_count_under_a_dopamine_medicine() {
    let mut given = medicines(&["ropinirole"]);
    given["augmentation"] = json!({"earlier_onset": "yes", "increased_intensity": "prefer_not_to_say"});
    given["impulse_control"] = json!({"gambling": "yes", "sleep_attacks": "yes"});
    given["sleep"] = json!({"drowsy_driving": "yes"});
    check(vec![
        vignette(
            "two of five answered",
            given,
            json!({
                "augmentation_features": {"yes": 1, "no": 0, "unknown": 4}, "issues": [],
                "flags": [
                    flag("impulse_behavior", "prompt"), flag("sleep_attacks", "prompt"), flag("drowsy_driving", "prompt"),
                    flag("augmentation_review", "routine"), review()
                ]
            }),
        ),
        vignette(
            "more is needed",
            json!({"medications_status": "listed", "medications": [medicine("ropinirole")], "augmentation": {"more_needed": "yes"}}),
            json!({
                "augmentation_features": {"yes": 1, "no": 0, "unknown": 5},
                "flags": [flag("augmentation_review", "routine"), review()]
            }),
        ),
        vignette(
            "none answered",
            medicines(&["ropinirole"]),
            json!({"augmentation_features": {"yes": 0, "no": 0, "unknown": 5}}),
        ),
    ]);
}

#[test]
fn scores_fall_into_their_bands_at_the_bounds() {
    let irls = |total: u8| {
        let items: Vec<u8> = (0..10).map(|at| total.saturating_sub(at * 4).min(4)).collect();
        json!({"irls": {"items": items}, "symptoms": {"days_per_week_untreated": null, "days_per_week_untreated_status": "unknown"}})
    };
    for (total, band) in [
        (0, "none"),
        (1, "mild"),
        (10, "mild"),
        (11, "moderate"),
        (20, "moderate"),
        (21, "severe"),
        (30, "severe"),
        (31, "very_severe"),
        (40, "very_severe"),
    ] {
        check(vec![vignette("IRLS", irls(total), json!({"irls_total": total, "irls_band": band}))]);
    }
    for (total, band) in
        [(0, "0-7"), (7, "0-7"), (8, "8-14"), (14, "8-14"), (15, "15-21"), (21, "15-21"), (22, "22-28"), (28, "22-28")]
    {
        check(vec![vignette("ISI", json!({"sleep": {"isi_total": total}}), json!({"isi_band": band}))]);
    }
    for (total, above) in [(10, false), (11, true)] {
        check(vec![vignette("Epworth", json!({"sleep": {"ess_total": total}}), json!({"ess_above_10": above}))]);
    }
    check(vec![vignette(
        "one item missing",
        json!({"irls": {"items": [1, 1, 1, 1, 1, 1, 3, 1, 1, null]}}),
        json!({"irls_total": null, "irls_band": null, "issues": [
            {"pointer": "/answers/irls/items", "code": "scale_incomplete", "severity": "warning"}
        ]}),
    )]);
}
