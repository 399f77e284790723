//! Who sees what, and what a new intake starts from.

use jiff::civil::date;
use serde_json::{Value, json};

use super::{adult, answers, example, merged};
use crate::field_access::hidden_from_guardians;
use crate::{Context, FilledBy, Language, Rule, Viewer, compute, copy_from, guardian_summary, open_answers, view};

fn private() -> Value {
    merged(&json!({
        "safety": {"self_harm_thoughts": "yes", "spreading_hot_redness": "yes"},
        "risk": {"pregnancy_status": "pregnant", "gestational_weeks": 12},
        "medications_status": "listed", "medications": [{"name": "pramipexole", "status": "current"}],
        "impulse_control": {"shopping": "yes", "sleep_attacks": "no"},
        "substances": {"alcohol_drinks_week": 3, "nicotine": "current", "caffeine_drinks_day": 1}
    }))
}

#[test]
fn a_guardian_of_a_minor_sees_nothing_private() {
    let minor = Context::new(date(2010, 3, 1), date(2026, 6, 4), FilledBy::Guardian);
    let given = private();
    let computed = compute(&answers(&given), &minor);
    let seen = view(Viewer::GuardianOfMinor, false, &given, &computed, &minor);
    let visible = seen.answers.expect("answers");
    for field in crate::answers::all_fields().iter().filter(|field| field.private_for_minors) {
        assert_eq!(visible.pointer(&format!("/{}", field.id.replace('.', "/"))), None, "{}", field.id);
        assert!(hidden_from_guardians(&field.id));
    }
    assert_eq!(visible["safety"]["spreading_hot_redness"], "yes");
    assert_eq!(visible["impulse_control"], json!({"sleep_attacks": "no"}));
    assert_eq!(visible["substances"], json!({"caffeine_drinks_day": 1}));
    let rules: Vec<Rule> = seen.flags.iter().map(|flag| flag.rule).collect();
    for hidden in [Rule::SelfHarmThoughts, Rule::PregnancyMedication, Rule::ImpulseBehavior] {
        assert!(computed.flags.iter().any(|flag| flag.rule == hidden), "{hidden:?} is raised");
        assert!(!rules.contains(&hidden), "{hidden:?}");
    }
    assert!(rules.contains(&Rule::SpreadingHotRedness));
    assert!(seen.computed.is_none());
    let said = guardian_summary(&answers(&given), &minor, Language::English).expect("said");
    assert!(!said.iter().any(|text| text.contains("can play a part")), "the pregnancy is not hinted at");
}

#[test]
fn only_practitioners_see_how_the_rating_scale_was_taken() {
    let given = merged(&json!({"irls": {
        "irls_version": "2.2", "irls_mode": "clinician_administered", "irls_assessed_on": "2030-01-01",
        "items": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
    }}));
    let (adult, minor) = (adult(), Context::new(date(2010, 3, 1), date(2026, 6, 4), FilledBy::Guardian));
    for (viewer, context) in
        [(Viewer::Patient, &adult), (Viewer::GivenForMinor, &adult), (Viewer::GuardianOfMinor, &minor)]
    {
        let seen = view(viewer, true, &given, &compute(&answers(&given), context), context);
        assert_eq!(
            seen.answers.expect("answers")["irls"],
            json!({"items": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}),
            "{viewer:?}"
        );
        assert!(seen.issues.iter().any(|issue| issue.pointer == "/answers/irls/irls_assessed_on"), "{viewer:?}");
    }
    let seen = view(Viewer::Practitioner, true, &given, &compute(&answers(&given), &adult), &adult);
    assert_eq!(seen.answers.expect("answers"), given);
}

#[test]
fn the_desk_does_not_see_what_only_clinicians_may_answer() {
    let minor = Context::new(date(2010, 3, 1), date(2026, 6, 4), FilledBy::Staff);
    let given = private();
    let computed = compute(&answers(&given), &minor);
    let seen = view(Viewer::Desk, false, &given, &computed, &minor);
    let visible = seen.answers.expect("answers");
    for field in crate::clinician_only_fields(&minor) {
        assert_eq!(visible.pointer(&format!("/{}", field.replace('.', "/"))), None, "{field}");
    }
    assert_eq!(visible["safety"]["spreading_hot_redness"], "yes");
    assert!(!seen.flags.iter().any(|flag| flag.rule == Rule::SelfHarmThoughts));
    assert_eq!(seen.urgent_flags, Some(true));
    // Nor can they learn it by guessing.
    let guess = json!({"safety": {"self_harm_thoughts": "yes"}});
    assert!(crate::refuse_clinician_only(&given, &guess, &minor, "").is_err());
}

#[test]
fn errors_of_hidden_fields_neither_reach_nor_stop_a_guardian() {
    let guardian = Context::new(date(2010, 3, 1), date(2026, 6, 4), FilledBy::Guardian);
    // The clinician asked about urges while a dopaminergic medicine was listed.
    let given =
        merged(&json!({"medications_status": "none", "medications": null, "impulse_control": {"shopping": "yes"}}));
    let computed = compute(&answers(&given), &guardian);
    assert!(
        computed.issues.iter().any(|issue| issue.pointer == "/answers/impulse_control/shopping"),
        "{:?}",
        computed.issues
    );
    let seen = view(Viewer::GuardianOfMinor, false, &given, &computed, &guardian);
    assert!(seen.complete && seen.issues.is_empty(), "{:?}", seen.issues);
    assert!(crate::issues::submittable(&computed.issues, FilledBy::Guardian).is_ok());
    assert!(crate::issues::submittable(&computed.issues, FilledBy::Practitioner).is_err());
}

#[test]
fn a_guardian_of_an_adult_sees_nothing() {
    let given = private();
    let computed = compute(&answers(&given), &adult());
    let seen = view(Viewer::GuardianOfMinor, false, &given, &computed, &adult());
    assert!(seen.answers.is_none() && seen.issues.is_empty() && seen.flags.is_empty());
}

#[test]
fn the_desk_reads_drafts_and_afterwards_only_completeness_and_urgency() {
    let given = private();
    let computed = compute(&answers(&given), &adult());
    let draft = view(Viewer::Desk, false, &given, &computed, &adult());
    assert!(draft.answers == Some(given.clone()) && draft.computed.is_none());
    let submitted = view(Viewer::Desk, true, &given, &computed, &adult());
    assert!(submitted.answers.is_none() && submitted.computed.is_none());
    assert!(submitted.issues.is_empty() && submitted.flags.is_empty());
    assert_eq!((submitted.complete, submitted.urgent_flags), (true, Some(true)));
}

#[test]
fn patients_see_their_answers_and_practitioners_everything() {
    let given = private();
    let computed = compute(&answers(&given), &adult());
    let patient = view(Viewer::Patient, true, &given, &computed, &adult());
    assert!(patient.answers == Some(given.clone()) && patient.computed.is_none());
    let doctor = view(Viewer::Practitioner, false, &given, &computed, &adult());
    assert!(doctor.computed == Some(computed) && doctor.answers == Some(given));
}

#[test]
fn a_copy_holds_history_and_medicines_and_never_safety_symptoms_or_severity() {
    let older = answers(&example()["answers"]);
    let copy = serde_json::to_value(copy_from(&older)).expect("written");
    let taken: Vec<&str> = copy.as_object().expect("object").keys().map(String::as_str).collect();
    let mut taken = taken;
    taken.sort_unstable();
    assert_eq!(taken, ["labs", "lifestyle", "medications", "medications_status", "risk", "venous"]);
    assert_eq!(copy["medications"], example()["answers"]["medications"]);
    assert_eq!(copy["risk"].get("pregnancy_status"), None, "it is of its day");
    assert_eq!(copy["risk"]["family_history_rls"], "yes");
    assert_eq!(copy_from(&answers(&copy)), answers(&copy), "a copy of a copy is the same");
}

#[test]
fn open_answers_are_unknown_declined_or_not_asked() {
    let open = open_answers(&answers(&example()["answers"]));
    let open: Vec<String> = open.into_iter().map(|one| format!("{} {}", one.field, one.answer)).collect();
    assert_eq!(
        open,
        [
            "mimics.arthritis unknown",
            "risk.iron_deficiency unknown",
            "lifestyle.0.helped unknown",
            "augmentation.shorter_latency_at_rest unknown",
            "impulse_control.sexual prefer_not_to_say",
            "sleep.plms_diagnosed unknown",
        ]
    );
    let untreated = json!({"symptoms": {"days_per_week_untreated_status": "unknown"}});
    assert_eq!(open_answers(&answers(&untreated))[0].field, "symptoms.days_per_week_untreated");
}
