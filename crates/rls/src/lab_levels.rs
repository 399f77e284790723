//! Where a laboratory value stands beside the thresholds that apply to the patient.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, LabTest};
use super::context::Context;
use super::iron::{Reading, kidney_failure};

/// The side of a threshold on which a value certainly is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsLabLevel)]
pub enum LabLevel {
    /// In the lower range of the rules.
    Low,
    /// Between the two thresholds of ferritin.
    Between,
    /// In the upper range of the rules.
    High,
}

/// A threshold of the rules. It is no reference range of a laboratory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The test.
    pub test: LabTest,
    /// The value, in the default unit of the test.
    pub value: f64,
    /// The range below or above it that the rules mark, in words.
    pub range: &'static str,
}

const fn threshold(test: LabTest, value: f64, range: &'static str) -> Threshold {
    Threshold { test, value, range }
}

const FERRITIN_LOW: Threshold = threshold(LabTest::Ferritin, 75.0, "at most 75");
const FERRITIN_BETWEEN: Threshold = threshold(LabTest::Ferritin, 100.0, "above 75, at most 100");
const FERRITIN_HIGH: Threshold = threshold(LabTest::Ferritin, 300.0, "above 300");
const FERRITIN_CHILD: Threshold = threshold(LabTest::Ferritin, 50.0, "below 50");
const FERRITIN_KIDNEY: Threshold = threshold(LabTest::Ferritin, 200.0, "below 200");
const TSAT_LOW: Threshold = threshold(LabTest::Tsat, 20.0, "below 20");
const TSAT_HIGH: Threshold = threshold(LabTest::Tsat, 45.0, "above 45");
const HEMOGLOBIN_LOW: Threshold = threshold(LabTest::Hemoglobin, 8.0, "below 8");

/// Returns the thresholds below which the rules for iron and anemia ask for a review: 75, 100 and 20 for adults, others
/// under 18 and in kidney failure.
pub fn thresholds(answers: &Answers, context: &Context) -> Vec<Threshold> {
    if context.is_under_18() {
        return vec![FERRITIN_CHILD, HEMOGLOBIN_LOW];
    }
    if kidney_failure(answers) {
        return vec![FERRITIN_KIDNEY, TSAT_LOW, HEMOGLOBIN_LOW];
    }
    vec![FERRITIN_LOW, FERRITIN_BETWEEN, TSAT_LOW, HEMOGLOBIN_LOW]
}

/// Returns the level of a value and the range that it is in. `None` if the value is in no marked range, or may be in
/// two.
pub fn level(
    test: LabTest,
    reading: &Reading,
    answers: &Answers,
    context: &Context,
) -> Option<(LabLevel, &'static str)> {
    let adult = !context.is_under_18();
    let kidney = adult && kidney_failure(answers);
    let (level, threshold) = match test {
        LabTest::Ferritin if !adult && reading.surely_below(50.0) => (LabLevel::Low, FERRITIN_CHILD),
        LabTest::Ferritin if kidney && reading.surely_below(200.0) => (LabLevel::Low, FERRITIN_KIDNEY),
        LabTest::Ferritin if adult && !kidney && reading.surely_at_most(75.0) => (LabLevel::Low, FERRITIN_LOW),
        LabTest::Ferritin if adult && !kidney && reading.surely_above(75.0) && reading.surely_at_most(100.0) => {
            (LabLevel::Between, FERRITIN_BETWEEN)
        }
        // A high ferritin is usual in kidney failure and raises no flag there.
        LabTest::Ferritin if !kidney_failure(answers) && reading.surely_above(300.0) => (LabLevel::High, FERRITIN_HIGH),
        LabTest::Tsat if adult && reading.surely_below(20.0) => (LabLevel::Low, TSAT_LOW),
        LabTest::Tsat if reading.surely_above(45.0) => (LabLevel::High, TSAT_HIGH),
        LabTest::Hemoglobin if reading.surely_below(8.0) => (LabLevel::Low, HEMOGLOBIN_LOW),
        _ => return None,
    };
    Some((level, threshold.range))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::iron::readings;
    use crate::tests::{adult, answers};

    fn levels(context: &Context, test: &str, more: &Value, values: &[f64]) -> Vec<Option<(LabLevel, &'static str)>> {
        let unit = match test {
            "ferritin" => "ng/mL",
            "tsat" => "%",
            _ => "g/dL",
        };
        let labs: Vec<_> = values
            .iter()
            .map(|value| json!({"test": test, "value": value, "unit": unit, "collected_on": "2026-05-12"}))
            .collect();
        let mut all = more.clone();
        all["labs"] = json!(labs);
        let given = answers(&all);
        let test = serde_json::from_value(json!(test)).expect("a test");
        readings(&given, context, test).iter().map(|reading| level(test, reading, &given, context)).collect()
    }

    #[test]
    fn a_value_is_marked_on_the_bounds_of_the_rules() {
        use LabLevel::{Between, High, Low};
        let child = Context { date_of_birth: jiff::civil::date(2014, 1, 1), ..adult() };
        let kidney = json!({"risk": {"dialysis": "yes"}});
        let none = json!({});
        let (low, between, high) =
            (Some((Low, "at most 75")), Some((Between, "above 75, at most 100")), Some((High, "above 300")));
        assert_eq!(
            levels(&adult(), "ferritin", &none, &[75.0, 75.1, 100.0, 100.1, 300.0, 300.1]),
            [low, between, between, None, None, high]
        );
        assert_eq!(levels(&child, "ferritin", &none, &[49.9, 50.0, 301.0]), [Some((Low, "below 50")), None, high]);
        assert_eq!(
            levels(&adult(), "ferritin", &kidney, &[80.0, 199.9, 200.0, 410.0]),
            [Some((Low, "below 200")), Some((Low, "below 200")), None, None]
        );
        assert_eq!(
            levels(&adult(), "tsat", &none, &[19.9, 20.0, 45.0, 45.1]),
            [Some((Low, "below 20")), None, None, Some((High, "above 45"))]
        );
        assert_eq!(levels(&child, "tsat", &none, &[19.9]), [None]);
        assert_eq!(levels(&adult(), "hemoglobin", &none, &[7.9, 8.0]), [Some((Low, "below 8")), None]);
    }

    #[test]
    fn a_bound_that_may_be_on_either_side_is_not_marked() {
        let lab = |comparator: &str, value: f64| {
            let given = answers(
                &json!({"labs": [{"test": "ferritin", "value": value, "unit": "ng/mL", "comparator": comparator}]}),
            );
            let reading = readings(&given, &adult(), LabTest::Ferritin)[0];
            level(LabTest::Ferritin, &reading, &given, &adult()).map(|(level, _)| level)
        };
        assert_eq!(lab("<", 15.0), Some(LabLevel::Low));
        assert_eq!(lab("<", 100.0), None);
        assert_eq!(lab(">", 50.0), None);
        assert_eq!(lab(">", 300.0), Some(LabLevel::High));
    }

    #[test]
    fn the_thresholds_are_those_that_apply_to_the_patient() {
        let values = |more: &Value, context: &Context| -> Vec<String> {
            thresholds(&answers(more), context).iter().map(|one| one.value.to_string()).collect()
        };
        let child = Context { date_of_birth: jiff::civil::date(2014, 1, 1), ..adult() };
        assert_eq!(values(&json!({}), &adult()), ["75", "100", "20", "8"]);
        assert_eq!(values(&json!({"risk": {"ckd": "yes", "ckd_stage": "5"}}), &adult()), ["200", "20", "8"]);
        assert_eq!(values(&json!({}), &child), ["50", "8"]);
    }
}
