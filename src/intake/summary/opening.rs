//! The sentence with which the summary for practitioners opens.

use jiff::civil::Date;
use rls::answers::{ChangeSinceVisit, Medication, MedicationStatus, MedicationsStatus, MedicineClass, YesNo};
use rls::form_dsl::{Integer, PartialDate};
use rls::medicines;
use rls::severity::IrlsBand;

use super::changes::SummaryPrevious;
use super::material::Material;
use super::treatments::dose;
use super::words::day_in_words;
use crate::intake::follow_up::answers::FollowUpAnswers;
use crate::patients::model::AdministrativeSex;

/// Writes age, years of symptoms, severity with its change, and the current medicines for restless legs.
pub(super) fn opening(
    material: &Material<'_>,
    previous: Option<&SummaryPrevious>,
    previous_on: Option<Date>,
) -> String {
    let answers = material.answers;
    let person = match (material.patient.administrative_sex, material.age < rls::context::ADULT_AGE) {
        (AdministrativeSex::Female, false) => "woman",
        (AdministrativeSex::Male, false) => "man",
        (AdministrativeSex::Female, true) => "girl",
        (AdministrativeSex::Male, true) => "boy",
        (AdministrativeSex::Other | AdministrativeSex::Unknown, _) => "patient",
    };
    let began = answers.symptoms.symptom_onset_date;
    let years = began.map_or_else(|| "for an unknown time".to_owned(), |began| years(began, material.today));
    let severity = severity(material, previous, previous_on);
    let since = material.follow_ups.first().map(|newest| format!(" {}", since(newest))).unwrap_or_default();
    format!("{}-year-old {person}, symptoms {years}. {severity} {}{since}", material.age, treatment(answers))
}

/// Writes what the newest follow-up says, because the history is older.
fn since(newest: &FollowUpAnswers) -> String {
    let change =
        ChangeSinceVisit::OPTIONS.iter().find(|option| newest.change.is_some_and(|one| option.value == one.as_str()));
    let reported = |answer: Option<YesNo>, words: &str| YesNo::is_yes(answer).then(|| words.to_owned());
    let parts = [
        change.map(|option| option.en.to_lowercase()),
        newest.severity_0_10.map(|severity| format!("bothersome {severity} of 10")),
        reported(newest.augmentation, "earlier, stronger or spread"),
        reported(newest.urges, "new urges"),
        reported(newest.has_side_effects, "side effects"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let said = if parts.is_empty() { "nothing known".to_owned() } else { parts.join(", ") };
    format!("Follow-up on {}: {said}.", day_in_words(newest.on))
}

fn years(began: PartialDate, today: Date) -> String {
    let middle = i32::from(began.first().year());
    let years = i32::from(today.year())
        - middle
        - i32::from(
            matches!(began, PartialDate::Day(_) | PartialDate::Month(..)) && began.first().month() > today.month(),
        );
    match years {
        ..=0 => "for less than a year".to_owned(),
        1 => format!("for about 1 year (since {})", began.first().year()),
        years => format!("for about {years} years (since {})", began.first().year()),
    }
}

fn band(band: IrlsBand) -> &'static str {
    match band {
        IrlsBand::None => "none",
        IrlsBand::Mild => "mild",
        IrlsBand::Moderate => "moderate",
        IrlsBand::Severe => "severe",
        IrlsBand::VerySevere => "very severe",
    }
}

/// Writes the total of the scale, or else the 0 to 10 severity, with its change since the previous intake.
fn severity(material: &Material<'_>, previous: Option<&SummaryPrevious>, previous_on: Option<Date>) -> String {
    let total = material.computed.irls_total;
    let own = material.answers.symptoms.severity_0_10.map(Integer::get);
    let (name, now, then, scale) = match (total, own) {
        (Some(total), _) => ("IRLS", total, previous.and_then(|one| one.irls_total), 40),
        (None, Some(own)) => ("Bothersome", own, previous.and_then(|one| one.severity_0_10), 10),
        (None, None) => return "Severity not rated.".to_owned(),
    };
    let band = material.computed.irls_band.filter(|_| total.is_some()).map(|of| format!(", {}", band(of)));
    let change = then.zip(previous_on).map(|(then, on)| {
        let difference = match now - then {
            0 => "unchanged".to_owned(),
            less @ ..0 => format!("{} lower", -less),
            more => format!("{more} higher"),
        };
        format!("; {difference} than {then} on {}", day_in_words(on)).replace("unchanged than", "unchanged from")
    });
    format!("{name} {now} of {scale}{}{}.", band.unwrap_or_default(), change.unwrap_or_default())
}

/// Names the medicines taken now for restless legs. One whose purpose is not stated is named with that doubt.
fn treatment(answers: &rls::Answers) -> String {
    let current = || answers.medications().map(|(_, one)| one).filter(|one| medicines::is_current(one));
    let usual = |one: &&Medication| {
        let of = |class| medicines::belongs_to(one, class);
        one.for_rls.is_none_or(|purpose| purpose != YesNo::No)
            && [MedicineClass::Dopaminergic, MedicineClass::Alpha2delta].into_iter().any(of)
    };
    let named = current().filter(|one| one.for_rls == Some(YesNo::Yes) || usual(one));
    let named: Vec<String> = named
        .filter_map(|one| {
            let name = one.name.as_ref()?.as_str();
            let doubt = if one.for_rls == Some(YesNo::Yes) { "" } else { " (purpose not stated)" };
            Some(format!("{} {}", name, dose(one)).trim_end().to_owned() + doubt)
        })
        .collect();
    // What is taken, or may be, for a purpose that is not known.
    let unsure = answers
        .medications()
        .any(|(_, one)| one.for_rls != Some(YesNo::No) && one.status != Some(MedicationStatus::Stopped));
    match answers.medications_status {
        _ if !named.is_empty() => format!("Takes for restless legs: {}.", named.join(", ")),
        Some(MedicationsStatus::None) => "Takes no medicine.".to_owned(),
        Some(MedicationsStatus::Listed) if !unsure => "Takes no medicine for restless legs.".to_owned(),
        Some(MedicationsStatus::Listed) => "No current medicine is stated to be for restless legs.".to_owned(),
        _ => "Medicines for restless legs not known.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::ids::IntakeId;

    #[test]
    fn the_newest_follow_up_is_said_at_the_top_with_what_it_reports() {
        let calm = FollowUpAnswers {
            on: date(2026, 11, 26),
            intake_id: IntakeId(uuid::Uuid::nil()),
            change: None,
            severity_0_10: None,
            days_per_week_treated: None,
            usual_onset_time: None,
            augmentation: Some(YesNo::No),
            urges: None,
            has_side_effects: Some(YesNo::Unknown),
            side_effects: vec![],
        };
        assert_eq!(since(&calm), "Follow-up on Nov 26, 2026: nothing known.");
        let worse = FollowUpAnswers {
            change: Some(ChangeSinceVisit::Worse),
            severity_0_10: Some(6),
            augmentation: Some(YesNo::Yes),
            urges: Some(YesNo::Yes),
            has_side_effects: Some(YesNo::Yes),
            ..calm
        };
        let said = "somewhat worse, bothersome 6 of 10, earlier, stronger or spread, new urges, side effects";
        assert_eq!(since(&worse), format!("Follow-up on Nov 26, 2026: {said}."));
    }
}
