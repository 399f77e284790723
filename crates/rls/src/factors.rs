//! Factors that may contribute: the clinic's four causes (genetics, iron deficiency, neurological abnormalities,
//! pregnancy) and other risks, each with the answers that suggest it. The list supports the clinician; it is not a
//! finding.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, DiabetesType, PregnancyStatus, Relative, YesNo};
use super::criteria::ThreeValued;
use super::form_dsl::choice;
use super::iron::IronReviewBand;
use super::medicines;

choice! {
    /// A factor that may contribute to restless legs.
    Factor {
        Genetics = "genetics", "Family history", "Antecedentes familiares";
        IronDeficiency = "iron_deficiency", "Iron deficiency", "Falta de hierro";
        NeurologicalAbnormality = "neurological_abnormality", "Neurological abnormality", "Alteración neurológica";
        Pregnancy = "pregnancy", "Pregnancy", "Embarazo";
        PastPregnancy = "past_pregnancy", "Restless legs in an earlier pregnancy", "Piernas inquietas en un embarazo anterior";
        KidneyDisease = "kidney_disease", "Kidney disease", "Enfermedad renal";
        Diabetes = "diabetes", "Diabetes", "Diabetes";
        BloodLoss = "blood_loss", "Blood given or lost", "Sangre donada o perdida";
        AbsorptionOrNutrition = "absorption_or_nutrition", "Absorption or nutrition", "Absorción o nutrición";
        SleepApnea = "sleep_apnea", "Sleep apnea", "Apnea del sueño";
        AggravatingMedication = "aggravating_medication", "Medicine of an aggravating class", "Medicina de una clase que agrava";
    }
}

/// A factor with the answers that suggest it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsContributingFactor)]
pub struct ContributingFactor {
    /// The factor.
    pub factor: Factor,
    /// The paths of the answers that suggest the factor.
    #[schema(examples(json!(["risk.family_history_rls"])))]
    pub because: Vec<String>,
}

/// Returns whether a parent, sister, brother, son or daughter has restless legs. `None` if the question about relatives
/// is not answered.
pub fn first_degree_relative(answers: &Answers) -> Option<ThreeValued> {
    use Relative::{Brother, Daughter, Father, Mother, Sister, Son};
    let named = || answers.risk.family_relations.iter().flatten();
    let first_degree = named().any(|one| matches!(one, Mother | Father | Sister | Brother | Son | Daughter));
    let others_only = named().next().is_some() && named().all(|one| *one != Relative::Unknown);
    Some(match answers.risk.family_history_rls? {
        YesNo::No => ThreeValued::No,
        YesNo::Yes if first_degree => ThreeValued::Yes,
        YesNo::Yes if others_only => ThreeValued::No,
        _ => ThreeValued::Unknown,
    })
}

/// Returns the factors that the answers suggest, the clinic's four causes first.
pub fn contributing_factors(answers: &Answers, band: IronReviewBand) -> Vec<ContributingFactor> {
    let risk = &answers.risk;
    let yes = |list: &[(&str, Option<YesNo>)]| -> Vec<String> {
        list.iter().filter(|(_, answer)| YesNo::is_yes(*answer)).map(|(path, _)| format!("risk.{path}")).collect()
    };
    let mut iron: Vec<String> =
        matches!(band, IronReviewBand::Low | IronReviewBand::LowMinor | IronReviewBand::LowKidney)
            .then(|| "labs".to_owned())
            .into_iter()
            .collect();
    iron.extend(yes(&[
        ("iron_deficiency", risk.iron_deficiency),
        ("iron_deficiency_anemia", risk.iron_deficiency_anemia),
    ]));
    let pregnant = risk.pregnancy_status == Some(PregnancyStatus::Pregnant);
    let diabetic = matches!(
        risk.diabetes_type,
        Some(DiabetesType::Type1 | DiabetesType::Type2 | DiabetesType::Gestational | DiabetesType::Other)
    );
    let path = |holds: bool, path: &str| -> Vec<String> { holds.then(|| path.to_owned()).into_iter().collect() };
    let found = [
        (Factor::Genetics, yes(&[("family_history_rls", risk.family_history_rls)])),
        (Factor::IronDeficiency, iron),
        (
            Factor::NeurologicalAbnormality,
            yes(&[
                ("peripheral_neuropathy", risk.peripheral_neuropathy),
                ("nerve_damage", risk.nerve_damage),
                ("spinal_cord_lesion", risk.spinal_cord_lesion),
                ("parkinson_disease", risk.parkinson_disease),
                ("multiple_sclerosis", risk.multiple_sclerosis),
            ]),
        ),
        (Factor::Pregnancy, path(pregnant, "risk.pregnancy_status")),
        (Factor::PastPregnancy, yes(&[("rls_in_past_pregnancy", risk.rls_in_past_pregnancy)])),
        (Factor::KidneyDisease, yes(&[("ckd", risk.ckd), ("dialysis", risk.dialysis), ("esrd", risk.esrd)])),
        (Factor::Diabetes, path(diabetic, "risk.diabetes_type")),
        (
            Factor::BloodLoss,
            yes(&[
                ("blood_donation_12mo", risk.blood_donation_12mo),
                ("heavy_menses", risk.heavy_menses),
                ("gi_bleeding", risk.gi_bleeding),
            ]),
        ),
        (
            Factor::AbsorptionOrNutrition,
            yes(&[
                ("gi_or_bariatric_surgery", risk.gi_or_bariatric_surgery),
                ("nutritional_deficiency", risk.nutritional_deficiency),
            ]),
        ),
        (Factor::SleepApnea, yes(&[("sleep_apnea", risk.sleep_apnea)])),
        (
            Factor::AggravatingMedication,
            medicines::taken_now(answers, medicines::AGGRAVATORS).map(|(at, _)| format!("medications.{at}")).collect(),
        ),
    ];
    found
        .into_iter()
        .filter(|(_, because)| !because.is_empty())
        .map(|(factor, because)| ContributingFactor { factor, because })
        .collect()
}
