//! Scores: the IRLS total and band, and the totals of two sleep scales.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, DoseIncrease, YesNo};
use super::context::Context;
use super::medicines;

/// Band of the IRLS total (IRLSSG): 0 none, 1–10 mild, 11–20 moderate, 21–30 severe, 31–40 very severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsIrlsBand)]
pub enum IrlsBand {
    /// 0.
    None,
    /// 1–10.
    Mild,
    /// 11–20.
    Moderate,
    /// 21–30.
    Severe,
    /// 31–40.
    VerySevere,
}

/// Band of the Insomnia Severity Index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsIsiBand)]
pub enum IsiBand {
    /// 0–7.
    #[serde(rename = "0-7")]
    UpTo7,
    /// 8–14.
    #[serde(rename = "8-14")]
    UpTo14,
    /// 15–21.
    #[serde(rename = "15-21")]
    UpTo21,
    /// 22–28.
    #[serde(rename = "22-28")]
    UpTo28,
}

/// The number of augmentation features by answer. It is not a validated score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsAugmentationFeatures)]
pub struct AugmentationFeatures {
    /// The number of reported features.
    pub yes: u8,
    /// The number of denied features.
    pub no: u8,
    /// The number of features that are unknown, declined or not answered.
    pub unknown: u8,
}

/// Returns the sum of the ten items, or `None` unless all ten are answered. Missing items are not prorated.
pub fn irls_total(answers: &Answers) -> Option<i64> {
    let items = answers.irls.items?;
    items.into_iter().map(|item| item.map(super::form_dsl::Integer::get)).sum()
}

/// Returns the band of a total. `None` for patients under 18, because the bands are for adults.
pub fn irls_band(total: Option<i64>, context: &Context) -> Option<IrlsBand> {
    if context.is_under_18() {
        return None;
    }
    Some(match total? {
        ..=0 => IrlsBand::None,
        1..=10 => IrlsBand::Mild,
        11..=20 => IrlsBand::Moderate,
        21..=30 => IrlsBand::Severe,
        31.. => IrlsBand::VerySevere,
    })
}

/// Returns whether the Epworth total is above 10. `None` without a total, and for patients under 18.
pub fn ess_above_10(answers: &Answers, context: &Context) -> Option<bool> {
    if context.is_under_18() { None } else { answers.sleep.ess_total.map(|total| total.get() > 10) }
}

/// Returns the band of the Insomnia Severity Index. `None` without a total, and for patients under 18.
pub fn isi_band(answers: &Answers, context: &Context) -> Option<IsiBand> {
    if context.is_under_18() {
        return None;
    }
    Some(match answers.sleep.isi_total?.get() {
        ..=7 => IsiBand::UpTo7,
        8..=14 => IsiBand::UpTo14,
        15..=21 => IsiBand::UpTo21,
        22.. => IsiBand::UpTo28,
    })
}

/// Returns the features of augmentation by their fields. `None` if no dopamine medicine is named and none is answered.
///
/// Worse with a higher dose does not apply if the dose was never raised. The need for more is a feature once it is
/// answered, because older answers were given without this question.
pub fn augmentation_answers(answers: &Answers) -> Option<Vec<(&'static str, Option<YesNo>)>> {
    let given = &answers.augmentation;
    let raised = given.dose_increase_worsened;
    let mut features = vec![
        ("augmentation.earlier_onset", given.earlier_onset),
        ("augmentation.increased_intensity", given.increased_intensity),
        ("augmentation.spread_to_other_sites", given.spread_to_other_sites),
        ("augmentation.shorter_latency_at_rest", given.shorter_latency_at_rest),
        ("augmentation.dose_increase_worsened", raised.and_then(DoseIncrease::feature)),
        ("augmentation.more_needed", given.more_needed),
    ];
    if !medicines::ever_took_dopaminergic(answers)
        && raised.is_none()
        && features.iter().all(|(_, answer)| answer.is_none())
    {
        return None;
    }
    features.retain(|(field, answer)| match *field {
        "augmentation.dose_increase_worsened" => raised != Some(DoseIncrease::NotRaised),
        "augmentation.more_needed" => answer.is_some(),
        _ => true,
    });
    Some(features)
}

/// Counts the features of augmentation.
pub fn augmentation(answers: &Answers) -> Option<AugmentationFeatures> {
    let mut counts = AugmentationFeatures::default();
    for (_, feature) in augmentation_answers(answers)? {
        match feature {
            Some(YesNo::Yes) => counts.yes += 1,
            Some(YesNo::No) => counts.no += 1,
            _ => counts.unknown += 1,
        }
    }
    Some(counts)
}

/// Computes the hours by which the symptoms begin earlier in the day than before treatment. A later time of day after
/// midnight counts as the same evening: a difference of more than 12 hours goes the other way and gives nothing.
pub fn onset_hours_earlier(answers: &Answers) -> Option<f64> {
    if !YesNo::is_yes(answers.augmentation.earlier_onset) {
        return None;
    }
    let before = answers.augmentation.onset_time_before_treatment?.minutes();
    let now = answers.symptoms.usual_onset_time?.minutes();
    let earlier = (before - now).rem_euclid(24 * 60);
    (earlier <= 12 * 60).then(|| f64::from(earlier) / 60.0)
}
