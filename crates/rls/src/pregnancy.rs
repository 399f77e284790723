//! Pregnancy: weeks and trimester on the day of the answers. Symptoms peak in the third trimester (doi
//! 10.1186/s12883-020-01709-0).

use super::answers::{Answers, PregnancyStatus};
use super::context::Context;

/// Days from the last menstrual period, from which weeks count, to the expected birth: 40 weeks.
const DAYS_TO_BIRTH: i64 = 280;

/// Computes the completed weeks on the day of the answers from the expected day of birth. `None` outside 0 to 44.
pub fn weeks_from_due_date(answers: &Answers, context: &Context) -> Option<i64> {
    let due = answers.risk.estimated_due_date?;
    let left = i64::from(context.authored_on.until(due).ok()?.get_days());
    let days = DAYS_TO_BIRTH - left;
    (days >= 0).then_some(days / 7).filter(|weeks| *weeks <= 44)
}

/// Returns whether the stated weeks and the expected day of birth differ by more than two weeks.
pub fn dates_disagree(answers: &Answers, context: &Context) -> bool {
    match (answers.risk.gestational_weeks, weeks_from_due_date(answers, context)) {
        (Some(weeks), Some(from_due)) => (weeks.get() - from_due).abs() > 2,
        _ => false,
    }
}

fn trimester_of(weeks: i64) -> u8 {
    match weeks {
        ..=13 => 1,
        14..=27 => 2,
        28.. => 3,
    }
}

/// Determines the trimester: the first up to 13 weeks, the second from 14, the third from 28. `None` unless the patient
/// is pregnant and the weeks or the expected day of birth are known and agree.
pub fn trimester(answers: &Answers, context: &Context) -> Option<u8> {
    if answers.risk.pregnancy_status != Some(PregnancyStatus::Pregnant) || dates_disagree(answers, context) {
        return None;
    }
    weeks(answers, context).map(trimester_of)
}

/// Returns the completed weeks on the day of the answers, as stated or else from the expected day of birth.
pub fn weeks(answers: &Answers, context: &Context) -> Option<i64> {
    let stated = answers.risk.gestational_weeks.map(super::form_dsl::Integer::get);
    stated.or_else(|| weeks_from_due_date(answers, context))
}
