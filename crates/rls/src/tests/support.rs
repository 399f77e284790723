//! What the tests of the RLS history share.

use jiff::civil::date;
use serde_json::{Value, json};

use crate::{Answers, Context, FilledBy, apply_patch, parse};

/// The worked example of the specification.
pub fn example() -> Value {
    serde_json::from_str(include_str!("../../../../tests/data/rls-example.json")).expect("the example is JSON")
}

/// A patient born 1967-09-14 who answers on 2026-06-04.
pub fn adult() -> Context {
    Context::new(date(1967, 9, 14), date(2026, 6, 4), FilledBy::Patient)
}

/// Reads answers that are right in type.
pub fn answers(value: &Value) -> Answers {
    parse(value, "").unwrap_or_else(|error| panic!("{error}"))
}

/// Every required question answered, nothing of note.
pub fn healthy() -> Value {
    json!({
        "safety": {
            "chest_pain_breathlessness": "no", "sudden_cold_pale_leg": "no", "new_weakness_saddle_bladder_bowel": "no",
            "acute_unilateral_leg_symptoms": "no", "bleeding_vein": "no", "spreading_hot_redness": "no",
            "open_leg_ulcer": "no", "self_harm_thoughts": "no"
        },
        "symptoms": {
            "urge_to_move_legs": "yes", "worse_at_rest": "yes", "relief_with_movement": "yes",
            "worse_evening_or_night": "yes", "days_per_week_untreated": 4, "impact_level": "none",
            "severity_0_10": 3
        },
        "venous": { "varicose_veins": "no", "dvt_ever": "no" },
        "risk": { "family_history_rls": "no" },
        "medications_status": "none",
        "allergies_status": "none"
    })
}

/// [`healthy`] with changes, as a merge patch.
pub fn merged(patch: &Value) -> Value {
    apply_patch(&healthy(), patch)
}

/// A row of a table test: a name, what the answers add to [`healthy`], and the members of `computed` that are expected.
pub struct Vignette {
    /// What the row is about.
    pub name: &'static str,
    /// What is known besides.
    pub context: Context,
    /// A merge patch onto [`healthy`].
    pub answers: Value,
    /// Members of `computed`; the others are not looked at.
    pub expected: Value,
}
