//! What a practitioner checks before treating: allergies, pregnancy, thrombosis, anticoagulant, arteries, breathing, kidneys.

use rls::answers::{AllergiesStatus, Allergy, CkdStage, PregnancyStatus, Side, Use, YesNo};
use rls::pregnancy;
use serde::Serialize;
use utoipa::ToSchema;

use super::short_labels::short_label;
use super::words::{day_in_words, partial_date_in_words};

/// What to check before treating. A question without an answer is not known.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = IntakeSummarySafety)]
pub struct SummarySafety {
    /// Whether there are allergies: `none` means that the patient knows of none. Null if the question is not answered.
    pub allergies_status: Option<AllergiesStatus>,
    /// Allergies and intolerances. `allergies_status` says what an empty list means.
    pub allergies: Vec<SummaryAllergy>,
    /// What is reported, with its details.
    #[schema(examples(json!(["Deep vein thrombosis (2011, right)"])))]
    pub reported: Vec<String>,
    /// What is denied.
    pub denied: Vec<String>,
    /// What is unknown, declined or not answered.
    pub not_known: Vec<String>,
}

/// An allergy or intolerance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IntakeSummaryAllergy)]
pub struct SummaryAllergy {
    /// The substance.
    pub substance: String,
    /// The reaction.
    pub reaction: Option<String>,
}

/// The fields that are shown here, so that no other part of the summary repeats them.
pub(super) const SHOWN: [&str; 20] = [
    "allergies_status",
    "allergies",
    "venous.dvt_ever",
    "venous.dvt_date",
    "venous.dvt_laterality",
    "venous.anticoagulant_use",
    "venous.claudication_or_pad",
    "risk.sleep_apnea",
    "risk.chronic_lung_disease",
    "risk.ckd",
    "risk.ckd_stage",
    "risk.dialysis",
    "risk.esrd",
    "risk.pregnancy_status",
    "risk.gestational_weeks",
    "risk.gestational_weeks_status",
    "risk.estimated_due_date",
    "risk.trying_to_conceive",
    "risk.breastfeeding",
    "sleep.drowsy_driving",
];

/// Builds the part. `male` tells whether the record states male sex: an unanswered pregnancy is then not listed as unknown.
pub(super) fn safety_history(answers: &rls::Answers, facts: &rls::Context) -> SummarySafety {
    let mut safety = SummarySafety {
        allergies_status: answers.allergies_status,
        allergies: answers.allergies.iter().flatten().filter_map(allergy).collect(),
        ..SummarySafety::default()
    };
    pregnant(answers, facts, &mut safety);
    let (venous, risk) = (&answers.venous, &answers.risk);
    let detail = |parts: Vec<String>| if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    let thrombosis: Vec<String> = [
        venous.dvt_date.map(partial_date_in_words),
        venous.dvt_laterality.filter(|side| *side != Side::Unknown).map(|side| side.as_str().to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let compression = venous.compression_use == Some(Use::Current);
    let arteries = if compression { vec!["wears compression now".to_owned()] } else { vec![] };
    let stage = risk.ckd_stage.filter(|stage| *stage != CkdStage::Unknown);
    let kidney: Vec<String> = [
        stage.map(|stage| format!("stage {}", stage.as_str())),
        YesNo::is_yes(risk.dialysis).then(|| "dialysis".to_owned()),
        YesNo::is_yes(risk.esrd).then(|| "end-stage".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    // Dialysis counts even if the disease itself is not ticked.
    let disease = if kidney.is_empty() { risk.ckd } else { Some(YesNo::Yes) };
    for (field, answer, more) in [
        ("venous.dvt_ever", venous.dvt_ever, thrombosis),
        ("venous.anticoagulant_use", venous.anticoagulant_use, vec![]),
        ("venous.claudication_or_pad", venous.claudication_or_pad, arteries),
        ("risk.sleep_apnea", risk.sleep_apnea, vec![]),
        ("risk.chronic_lung_disease", risk.chronic_lung_disease, vec![]),
        ("risk.ckd", disease, kidney),
        ("sleep.drowsy_driving", answers.sleep.drowsy_driving, vec![]),
    ] {
        let label = short_label(field).unwrap_or(field);
        match answer {
            Some(YesNo::Yes) => safety.reported.push(format!("{label}{}", detail(more))),
            Some(YesNo::No) => safety.denied.push(label.to_owned()),
            _ => safety.not_known.push(label.to_owned()),
        }
    }
    safety
}

fn allergy(allergy: &Allergy) -> Option<SummaryAllergy> {
    Some(SummaryAllergy {
        substance: allergy.substance.as_ref()?.as_str().to_owned(),
        reaction: allergy.reaction.as_ref().map(|reaction| reaction.as_str().to_owned()),
    })
}

fn pregnant(answers: &rls::Answers, facts: &rls::Context, safety: &mut SummarySafety) {
    let risk = &answers.risk;
    match risk.pregnancy_status {
        Some(PregnancyStatus::Pregnant) => safety.reported.push(pregnancy_in_words(answers, facts)),
        Some(PregnancyStatus::NotPregnant) => safety.denied.push("Pregnancy".to_owned()),
        Some(PregnancyStatus::NotApplicable) => {}
        None if facts.recorded_male => {}
        _ => safety.not_known.push("Pregnancy".to_owned()),
    }
    for (field, answer) in
        [("risk.trying_to_conceive", risk.trying_to_conceive), ("risk.breastfeeding", risk.breastfeeding)]
    {
        if YesNo::is_yes(answer) {
            safety.reported.extend(short_label(field).map(str::to_owned));
        }
    }
}

/// Writes weeks and trimester on the day of the answers, the weeks today, and the expected day of birth.
fn pregnancy_in_words(answers: &rls::Answers, facts: &rls::Context) -> String {
    let weeks = if pregnancy::dates_disagree(answers, facts) { None } else { pregnancy::weeks(answers, facts) };
    let Some(weeks) = weeks else { return "Pregnant, weeks not known".to_owned() };
    let trimester = pregnancy::trimester(answers, facts).map(|number| format!(", trimester {number}"));
    let trimester = trimester.unwrap_or_default();
    let passed = i64::from(facts.authored_on.until(facts.today).map_or(0, |span| span.get_days())) / 7;
    let now = match weeks + passed {
        _ if passed == 0 => String::new(),
        today if today > 42 => "; the birth was expected meanwhile".to_owned(),
        today => format!("; about {today} weeks now"),
    };
    let due = answers.risk.estimated_due_date.map(|due| format!("; due {}", day_in_words(due)));
    format!("Pregnant, {weeks} weeks{trimester} on {}{now}{}", day_in_words(facts.authored_on), due.unwrap_or_default())
}
