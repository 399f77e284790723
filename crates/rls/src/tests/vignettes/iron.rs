//! Iron: bands, comparators, saturation.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::*;

#[test]
fn iron_bands_follow_the_newest_values_at_their_very_bounds() {
    let labs = |list: Vec<Value>| json!({"labs": list});
    let both = |ferritin: f64, tsat: f64| labs(vec![lab("ferritin", ferritin, "ug/L"), lab("tsat", tsat, "%")]);
    let band = |band: &str| json!({"iron_review_band": band});
    let (low, between) = ("ferritin_le_75_or_tsat_lt_20", "ferritin_gt_75_le_100");
    let mut old = lab("ferritin", 30.0, "ng/mL");
    old["collected_on"] = "2024-01-01".into();
    check(vec![
        vignette("75", both(75.0, 20.0), band(low)),
        vignette("75.1", both(75.1, 20.0), band(between)),
        vignette("100", both(100.0, 20.0), band(between)),
        vignette("100.1", both(100.1, 20.0), band("above_thresholds")),
        vignette("TSAT 19.9", both(250.0, 19.9), band(low)),
        vignette("ferritin alone, low", labs(vec![lab("ferritin", 75.0, "ng/mL")]), band(low)),
        vignette("ferritin alone, high", labs(vec![lab("ferritin", 250.0, "ng/mL")]), band("insufficient_data")),
        vignette("TSAT alone, low", labs(vec![lab("tsat", 12.0, "%")]), band(low)),
        vignette("TSAT alone, high", labs(vec![lab("tsat", 30.0, "%")]), band("insufficient_data")),
        vignette(
            "an old low ferritin and a new one",
            labs(vec![old, lab("ferritin", 150.0, "ng/mL"), lab("tsat", 30.0, "%")]),
            band("above_thresholds"),
        ),
    ]);
}

#[test]
fn a_value_with_a_comparator_is_classed_only_where_it_is_unambiguous() {
    let with = |test: &str, comparator: &str, value: f64, unit: &str| {
        let mut lab = lab(test, value, unit);
        lab["comparator"] = comparator.into();
        lab
    };
    let labs = |list: Vec<Value>| json!({"labs": list});
    let band = |band: &str| json!({"iron_review_band": band, "issues": []});
    let (low, open, above) = ("ferritin_le_75_or_tsat_lt_20", "insufficient_data", "above_thresholds");
    let tsat = || lab("tsat", 30.0, "%");
    check(vec![
        vignette("ferritin <5", labs(vec![with("ferritin", "<", 5.0, "ng/mL")]), band(low)),
        vignette("ferritin <75", labs(vec![with("ferritin", "<", 75.0, "ng/mL"), tsat()]), band(low)),
        vignette("ferritin <100", labs(vec![with("ferritin", "<", 100.0, "ng/mL"), tsat()]), band(open)),
        vignette("ferritin >75", labs(vec![with("ferritin", ">", 75.0, "ng/mL"), tsat()]), band(open)),
        vignette("ferritin >100", labs(vec![with("ferritin", ">", 100.0, "ng/mL"), tsat()]), band(above)),
        vignette("ferritin >=100", labs(vec![with("ferritin", ">=", 100.0, "ng/mL"), tsat()]), band(open)),
        vignette("TSAT <20", labs(vec![with("tsat", "<", 20.0, "%")]), band(low)),
        vignette("TSAT <=20", labs(vec![with("tsat", "<=", 20.0, "%")]), band(open)),
        vignette(
            "hemoglobin <8",
            labs(vec![with("hemoglobin", "<", 8.0, "g/dL")]),
            json!({"flags": [flag("hemoglobin_below_8", "same_day"), review()]}),
        ),
        vignette("hemoglobin <10", labs(vec![with("hemoglobin", "<", 10.0, "g/dL")]), json!({"flags": [review()]})),
        vignette(
            "iron with a comparator gives no TSAT",
            labs(vec![with("iron", "<", 20.0, "ug/dL"), lab("tibc", 350.0, "ug/dL")]),
            json!({"tsat_percent": null, "iron_review_band": "insufficient_data"}),
        ),
    ]);
}

#[test]
fn a_reported_saturation_that_contradicts_the_computed_one_leaves_the_band_open() {
    // 60 / 353 = 17.0 %
    let labs = |ferritin: f64, tsat: f64| {
        json!({"labs": [
            lab("ferritin", ferritin, "ng/mL"), lab("iron", 60.0, "ug/dL"), lab("tibc", 353.0, "ug/dL"), lab("tsat", tsat, "%")
        ]})
    };
    let differs = json!([{"pointer": "/answers/labs/3/value", "code": "tsat_differs", "severity": "warning"}]);
    check(vec![
        vignette(
            "17.0 and 25, ferritin 90",
            labs(90.0, 25.0),
            json!({"tsat_percent": 17.0, "iron_review_band": "insufficient_data", "issues": differs}),
        ),
        vignette(
            "17.0 and 25, ferritin 42",
            labs(42.0, 25.0),
            json!({"tsat_percent": 17.0, "iron_review_band": "ferritin_le_75_or_tsat_lt_20", "issues": differs}),
        ),
        vignette(
            "17.0 and 19 are 2 apart",
            labs(90.0, 19.0),
            json!({"tsat_percent": 17.0, "iron_review_band": "ferritin_le_75_or_tsat_lt_20", "issues": []}),
        ),
        vignette(
            "iron above TIBC",
            json!({"labs": [lab("iron", 400.0, "ug/dL"), lab("tibc", 353.0, "ug/dL")]}),
            json!({"tsat_percent": null, "issues": [
                {"pointer": "/answers/labs/0/value", "code": "iron_above_tibc", "severity": "warning"}
            ]}),
        ),
        vignette(
            "two different days",
            json!({"labs": [
                lab("iron", 60.0, "ug/dL"),
                {"test": "tibc", "value": 353, "unit": "ug/dL", "collected_on": "2026-05-13", "source": "lab_report"}
            ]}),
            json!({"tsat_percent": null}),
        ),
    ]);
}

#[test]
fn results_of_the_clinic_and_of_the_answers_form_one_series() {
    let entered = |today: Date, results: &[(&str, f64, &str, &str)]| {
        let context = Context { today, ..adult() };
        let facts = Context { authored_on: today, ..context.clone() };
        let result = |(test, value, unit, day): &(&str, f64, &str, &str)| {
            let result =
                json!({"test": test, "value": value, "unit": unit, "collected_on": day, "source": "lab_report"});
            crate::parse_lab(&result, "", &facts).expect("a result")
        };
        Context { entered_labs: results.iter().map(result).collect(), ..context }
    };
    let (june, september) = (date(2026, 6, 4), date(2026, 9, 1));
    let answered = |ferritin, tsat| json!({"labs": [lab("ferritin", ferritin, "ng/mL"), lab("tsat", tsat, "%")]});
    let infused = [("ferritin", 96.0, "ng/mL", "2026-08-20"), ("tsat", 30.0, "%", "2026-08-20")];
    let older = [("ferritin", 20.0, "ng/mL", "2026-04-01")];
    let severe = [("hemoglobin", 6.9, "g/dL", "2026-06-04")];
    let vignette = |name, context, answers, expected| Vignette { name, context, answers, expected };
    check(vec![
        vignette(
            "a newer result replaces the answer",
            entered(september, &infused),
            answered(42.0, 17.0),
            json!({"iron_review_band": "ferritin_gt_75_le_100", "tsat_percent": 30.0, "flags": [flag("iron_review_intravenous", "routine"), review()]}),
        ),
        vignette(
            "an older result does not",
            entered(september, &older),
            answered(150.0, 30.0),
            json!({"iron_review_band": "above_thresholds"}),
        ),
        vignette(
            "a result alone counts",
            entered(june, &severe),
            json!({}),
            json!({"flags": [flag("hemoglobin_below_8", "same_day"), review()]}),
        ),
        vignette(
            "results of the answers age up to the day of the computation",
            entered(date(2027, 6, 1), &[]),
            answered(150.0, 30.0),
            json!({"iron_review_band": "insufficient_data", "iron_doubts": ["ferritin_out_of_date", "tsat_out_of_date"]}),
        ),
    ]);
    let mut iron = medicines(&["ferrous sulfate"]);
    iron["medications"][0]["started_on"] = "2026-05-20".into();
    for (today, due, results) in
        [(june, false, &older[..]), (september, true, &older[..]), (september, false, &infused[..])]
    {
        let computed = compute(&answers(&merged(&iron)), &entered(today, results));
        assert_eq!(computed.iron_monitoring[0].due, due, "{today}");
    }
}

fn lab_on(test: &str, value: f64, unit: &str, day: &str) -> Value {
    json!({"test": test, "value": value, "unit": unit, "collected_on": day, "source": "lab_report"})
}

#[test]
fn of_differing_values_of_one_day_the_last_entered_counts() {
    let day = "2026-05-12";
    let labs = |list: Vec<Value>| json!({"labs": list});
    let tsat = || lab("tsat", 30.0, "%");
    check(vec![
        vignette(
            "42, then 96",
            labs(vec![lab_on("ferritin", 42.0, "ng/mL", day), lab_on("ferritin", 96.0, "ng/mL", day), tsat()]),
            json!({"iron_review_band": "ferritin_gt_75_le_100"}),
        ),
        vignette(
            "96, then 42",
            labs(vec![lab_on("ferritin", 96.0, "ng/mL", day), lab_on("ferritin", 42.0, "ng/mL", day), tsat()]),
            json!({"iron_review_band": "ferritin_le_75_or_tsat_lt_20"}),
        ),
        vignette(
            "TSAT from the last iron and the last TIBC of the day",
            labs(vec![
                lab_on("iron", 60.0, "ug/dL", day),
                lab_on("iron", 90.0, "ug/dL", day),
                lab_on("tibc", 400.0, "ug/dL", day),
                lab_on("tibc", 300.0, "ug/dL", day),
            ]),
            json!({"tsat_percent": 30.0}),
        ),
        vignette(
            "only the month is known of both: both may be right",
            json!({"labs": [
                {"test": "ferritin", "value": 150, "unit": "ng/mL", "collected_on": "2026-05", "source": "patient_reported"},
                {"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2026-05", "source": "patient_reported"}, tsat()]}),
            json!({"iron_review_band": "insufficient_data"}),
        ),
    ]);
    let context = Context {
        entered_labs: vec![crate::parse_lab(&lab_on("ferritin", 96.0, "ng/mL", day), "", &adult()).expect("read")],
        ..adult()
    };
    let given = labs(vec![lab_on("ferritin", 42.0, "ng/mL", day), tsat()]);
    check(vec![Vignette {
        name: "what the clinic entered comes after the answers",
        context,
        answers: given,
        expected: json!({"iron_review_band": "ferritin_gt_75_le_100"}),
    }]);
}

#[test]
fn pmc3934467_si_units_count_like_conventional_ones() {
    let standard = |test: &str, value: f64, unit: &str| {
        let lab = crate::parse_lab(&lab(test, value, unit), "", &adult()).expect("read");
        let (value, unit) = crate::iron::in_default_unit(&lab).expect("in range");
        ((value * 10.0).round() / 10.0, unit.as_str())
    };
    assert_eq!(standard("ferritin", 42.0, "ug/L"), (42.0, "ng/mL"));
    assert_eq!(standard("iron", 10.7, "umol/L"), (59.8, "ug/dL"));
    assert_eq!(standard("tibc", 63.2, "umol/L"), (353.1, "ug/dL"));
    assert_eq!(standard("hemoglobin", 80.0, "g/L"), (8.0, "g/dL"));
    assert_eq!(standard("hemoglobin", 7.8, "mmol/L"), (12.6, "g/dL"));
    assert_eq!(standard("crp", 1.2, "mg/dL"), (12.0, "mg/L"));
    let severe = json!({"flags": [flag("hemoglobin_below_8", "same_day"), review()]});
    check(vec![
        vignette("79 g/L", json!({"labs": [lab("hemoglobin", 79.0, "g/L")]}), severe.clone()),
        vignette("80 g/L", json!({"labs": [lab("hemoglobin", 80.0, "g/L")]}), json!({"flags": [review()]})),
        vignette("4.9 mmol/L is 7.9 g/dL", json!({"labs": [lab("hemoglobin", 4.9, "mmol/L")]}), severe),
        vignette(
            "5.0 mmol/L is 8.1 g/dL",
            json!({"labs": [lab("hemoglobin", 5.0, "mmol/L")]}),
            json!({"flags": [review()]}),
        ),
        vignette(
            "TSAT in SI units",
            json!({"labs": [lab("iron", 10.7, "umol/L"), lab("tibc", 63.2, "umol/L")]}),
            json!({"tsat_percent": 16.9}),
        ),
    ]);
    for (test, unit) in [("ferritin", "umol/L"), ("iron", "mg/L"), ("crp", "g/L"), ("hemoglobin", "mg/dL")] {
        assert!(crate::parse_lab(&lab(test, 10.0, unit), "", &adult()).is_err(), "{test} in {unit}");
    }
}

#[test]
fn clinic_judgement_a_crp_above_5_of_the_same_day_makes_ferritin_doubtful_pmc4785469() {
    let with = |crp: f64, day: &str| json!({"labs": [lab("ferritin", 90.0, "ng/mL"), lab_on("crp", crp, "mg/L", day)]});
    check(vec![
        vignette("5.1", with(5.1, "2026-05-12"), json!({"iron_doubts": ["inflammation"]})),
        vignette("5.0", with(5.0, "2026-05-12"), json!({"iron_doubts": null})),
        vignette("another day", with(50.0, "2026-05-13"), json!({"iron_doubts": null})),
        vignette("no ferritin", json!({"labs": [lab("crp", 50.0, "mg/L")]}), json!({"iron_doubts": null})),
    ]);
}

#[test]
fn clinic_judgement_a_high_ferritin_is_usual_in_the_weeks_after_an_infusion() {
    let infused = |day: &str| {
        json!({
            "medications_status": "listed",
            "medications": [{"name": "ferric carboxymaltose", "status": "stopped", "started_on": "2026-04-01", "stopped_on": "2026-04-08"}],
            "labs": [lab_on("ferritin", 700.0, "ng/mL", day)],
        })
    };
    let overload = |day: &str| {
        let computed = compute(&answers(&merged(&infused(day))), &adult());
        computed.flags.iter().any(|flag| flag.rule.as_str() == "iron_overload_review")
    };
    assert!(!overload("2026-04-20") && !overload("2026-06-03"), "within eight weeks of the last infusion");
    assert!(overload("2026-06-04"), "later");
    assert!(overload("2026-03-31"), "before");
}

#[test]
fn clinic_judgement_a_high_ferritin_is_usual_in_kidney_failure() {
    let with = |ferritin: f64, tsat: f64| json!({"risk": {"dialysis": "yes"}, "labs": [lab("ferritin", ferritin, "ng/mL"), lab("tsat", tsat, "%")]});
    let overload = json!({"flags": [flag("iron_overload_review", "routine"), review()]});
    check(vec![
        vignette("ferritin 700", with(700.0, 30.0), json!({"flags": [review()]})),
        vignette("TSAT 46", with(700.0, 46.0), overload.clone()),
        vignette(
            "without dialysis",
            json!({"labs": [lab("ferritin", 700.0, "ng/mL"), lab("tsat", 30.0, "%")]}),
            overload,
        ),
    ]);
}
