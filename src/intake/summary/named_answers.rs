//! Features of augmentation and urges by name.

use rls::answers::{ImpulseControl, SideEffect, YesNo};
use rls::medicines;
use serde::Serialize;
use utoipa::ToSchema;

use super::short_labels::short_label;

/// Questions by their answer, each with its short label. A question without an answer is unknown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IntakeNamedAnswers)]
pub struct NamedAnswers {
    /// Answered with yes.
    pub yes: Vec<String>,
    /// Answered with no.
    pub no: Vec<String>,
    /// Unknown, declined or not answered.
    pub unknown: Vec<String>,
}

impl NamedAnswers {
    fn of(questions: &[(&str, Option<YesNo>)]) -> Self {
        let mut named = Self { yes: vec![], no: vec![], unknown: vec![] };
        for &(field, answer) in questions {
            let label = short_label(field).unwrap_or(field).to_owned();
            match answer {
                Some(YesNo::Yes) => named.yes.push(label),
                Some(YesNo::No) => named.no.push(label),
                _ => named.unknown.push(label),
            }
        }
        named
    }
}

/// Names the features of augmentation. `None` if none is answered and no dopamine medicine was ever taken.
pub(super) fn augmentation(answers: &rls::Answers) -> Option<NamedAnswers> {
    rls::severity::augmentation_answers(answers).map(|features| NamedAnswers::of(&features))
}

/// Names the urges, also those reported as a side effect. `None` if none is answered and no dopamine medicine was ever taken.
pub(super) fn urges(answers: &rls::Answers) -> Option<NamedAnswers> {
    let given = &answers.impulse_control;
    let ImpulseControl { gambling, shopping, eating, sexual, hobbyism_punding, sleep_attacks } = given.clone();
    if given.is_blank() && !medicines::ever_took_dopaminergic(answers) {
        return None;
    }
    let mut named = NamedAnswers::of(&[
        ("impulse_control.gambling", gambling),
        ("impulse_control.shopping", shopping),
        ("impulse_control.eating", eating),
        ("impulse_control.sexual", sexual),
        ("impulse_control.hobbyism_punding", hobbyism_punding),
        ("impulse_control.sleep_attacks", sleep_attacks),
    ]);
    for (_, medicine) in answers.medications() {
        let effects = medicine.side_effects.iter().flatten();
        if let Some(name) =
            medicine.name.as_ref().filter(|_| effects.clone().any(|one| *one == SideEffect::CompulsiveBehavior))
        {
            named.yes.push(format!("urges as a side effect of {}", name.as_str()));
        }
    }
    Some(named)
}
