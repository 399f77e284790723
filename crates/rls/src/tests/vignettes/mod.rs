//! Vignettes: what is answered, and what must follow, written out by hand from the sources.

mod due;
mod flags;
mod follow_up;
mod history;
mod iron;
mod sources;

use serde_json::{Value, json};

use super::{Vignette, adult, answers, merged};
use crate::answers::MimicReview;
use crate::{Context, compute};

pub fn check(vignettes: Vec<Vignette>) {
    for vignette in vignettes {
        let computed = compute(&answers(&merged(&vignette.answers)), &vignette.context);
        let computed = serde_json::to_value(computed).expect("written");
        for (member, expected) in vignette.expected.as_object().expect("an object") {
            let got = computed.get(member).unwrap_or(&Value::Null);
            assert_eq!(got, expected, "{}: {member}", vignette.name);
        }
    }
}

pub fn vignette(name: &'static str, answers: Value, expected: Value) -> Vignette {
    Vignette { name, context: adult(), answers, expected }
}

pub fn reviewed(mimic_review: MimicReview) -> Context {
    Context { mimic_review, ..adult() }
}

/// The flag that stands in every history with all four features and no review.
pub fn review() -> Value {
    json!({"rule": "mimic_review", "urgency": "routine"})
}

pub fn flag(rule: &str, urgency: &str) -> Value {
    json!({"rule": rule, "urgency": urgency})
}

pub fn lab(test: &str, value: f64, unit: &str) -> Value {
    json!({"test": test, "value": value, "unit": unit, "collected_on": "2026-05-12", "source": "lab_report"})
}

pub fn medicine(name: &str) -> Value {
    json!({"name": name, "status": "current"})
}

pub fn medicines(names: &[&str]) -> Value {
    let list: Vec<Value> = names.iter().map(|name| medicine(name)).collect();
    json!({"medications_status": "listed", "medications": list})
}
