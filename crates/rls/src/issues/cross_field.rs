//! Issues across fields, and implausible values.

use super::{Code, Issue};
use crate::answers::{Answers, LabSource, LabTest, MedicineClass, PregnancyStatus, ResultSource, YesNo};
use crate::context::Context;
use crate::form_dsl::PartialDate;
use crate::{iron, medicines, pregnancy, severity};

/// Returns the issues across fields.
pub fn issues(answers: &Answers, context: &Context) -> Vec<Issue> {
    let mut issues = rating(answers);
    issues.extend(health(answers, context));
    issues.extend(labs(answers));
    issues.extend(saturation(answers, context));
    issues.extend(medications(answers));
    issues
}

/// Converts days per week to the scores of item 7 of the rating scale.
fn frequency_step(days: f64) -> i64 {
    match days {
        d if d <= 0.0 => 0,
        d if d < 2.0 => 1,
        d if d < 4.0 => 2,
        d if d < 6.0 => 3,
        _ => 4,
    }
}

fn rating(answers: &Answers) -> Vec<Issue> {
    let mut issues = Vec::new();
    let total = severity::irls_total(answers);
    if answers.irls.irls_total.is_some_and(|sent| Some(sent.get()) != total) {
        issues.push(Issue::error("/irls/irls_total", Code::TotalDiffers));
    }
    if answers.irls.items.is_some() && total.is_none() {
        issues.push(Issue::warning("/irls/items", Code::ScaleIncomplete));
    }
    // A difference of one is common: the scale asks about the last week with treatment, the days are without treatment.
    let item = answers.irls.items.and_then(|items| items[6]).map(crate::form_dsl::Integer::get);
    let days = answers.symptoms.days_per_week_untreated.as_ref().map(crate::form_dsl::Decimal::get);
    if let (Some(item), Some(days)) = (item, days)
        && (item - frequency_step(days)).abs() > 1
    {
        issues.push(Issue::warning("/irls/items/6", Code::FrequencyDiffers));
    }
    issues
}

fn health(answers: &Answers, context: &Context) -> Vec<Issue> {
    let risk = &answers.risk;
    let mut issues = Vec::new();
    if pregnancy::dates_disagree(answers, context) {
        issues.push(Issue::error("/risk/estimated_due_date", Code::WeeksDisagree));
    }
    if risk.estimated_due_date.is_some() && pregnancy::weeks_from_due_date(answers, context).is_none() {
        issues.push(Issue::error("/risk/estimated_due_date", Code::ImplausibleDueDate));
    }
    if context.recorded_male && risk.pregnancy_status == Some(PregnancyStatus::Pregnant) {
        issues.push(Issue::warning("/risk/pregnancy_status", Code::SexMismatch));
    }
    for (place, answer) in [("/risk/dialysis", risk.dialysis), ("/risk/esrd", risk.esrd)] {
        if YesNo::is_yes(answer) && risk.ckd == Some(YesNo::No) {
            issues.push(Issue::warning(place, Code::KidneyDiseaseDenied));
        }
    }
    let tests = answers.venous.diagnostic_tests.iter().flatten().enumerate();
    for (position, test) in tests {
        // A result from a clinician may be in a draft before its text; `field_access` checks who sent it.
        if test.result_source == Some(ResultSource::LabReport) && test.result.is_none() {
            issues.push(Issue::error(&format!("/venous/diagnostic_tests/{position}/result"), Code::Required));
        }
    }
    issues
}

fn labs(answers: &Answers) -> Vec<Issue> {
    let mut issues = Vec::new();
    let has = |test| answers.labs().any(|(_, lab)| lab.test == Some(test));
    let for_saturation = has(LabTest::Iron) && has(LabTest::Tibc);
    for (position, lab) in answers.labs() {
        let place = format!("/labs/{position}/collected_on");
        let Some(collected) = lab.collected_on else { continue };
        let full = matches!(collected, PartialDate::Day(_));
        if lab.source == Some(LabSource::LabReport) && !full {
            issues.push(Issue::error(&place, Code::FullDateRequired));
        } else if matches!(collected, PartialDate::Year(_)) {
            issues.push(Issue::error(&place, Code::MonthRequired));
        } else if !full && for_saturation && matches!(lab.test, Some(LabTest::Iron | LabTest::Tibc)) {
            issues.push(Issue::warning(&place, Code::FullDateForTsat));
        }
    }
    issues
}

fn saturation(answers: &Answers, context: &Context) -> Vec<Issue> {
    // Issues point into the answers. What the clinic entered is checked when it is entered.
    let context = &Context { entered_labs: Vec::new(), ..context.clone() };
    let mut issues = Vec::new();
    let computed = iron::computed_tsat(answers, context);
    for entered in iron::readings(answers, context, LabTest::Tsat) {
        let Some(collected) = entered.collected_on.filter(|_| entered.comparator.is_none()) else { continue };
        let same = |day: PartialDate| !day.surely_before(collected) && !collected.surely_before(day);
        let of_that_day = computed.iter().filter(|one| one.collected_on.is_some_and(same));
        if of_that_day.into_iter().any(|one| (one.value - entered.value).abs() > 2.0 + 1e-9) {
            issues.push(Issue::warning(&format!("/labs/{}/value", entered.position), Code::TsatDiffers));
        }
    }
    for one in iron::readings(answers, context, LabTest::Iron).iter().filter(|one| one.comparator.is_none()) {
        let day = one.collected_on.and_then(PartialDate::day);
        let above = iron::readings(answers, context, LabTest::Tibc).iter().any(|tibc| {
            day.is_some()
                && tibc.collected_on.and_then(PartialDate::day) == day
                && tibc.comparator.is_none()
                && one.value > tibc.value
        });
        if above {
            issues.push(Issue::warning(&format!("/labs/{}/value", one.position), Code::IronAboveTibc));
        }
    }
    issues
}

fn medications(answers: &Answers) -> Vec<Issue> {
    let mut issues = Vec::new();
    for (position, medicine) in answers.medications() {
        let place = |name: &str| format!("/medications/{position}/{name}");
        if let (Some(start), Some(stop)) = (medicine.started_on, medicine.stopped_on)
            && stop.surely_before(start)
        {
            issues.push(Issue::error(&place("stopped_on"), Code::BeforeStart));
        }
        let table = medicines::classes_in_table(medicine);
        let entered = medicine.class.filter(|class| *class != MedicineClass::Unknown);
        if entered.is_some_and(|entered| !table.is_empty() && !table.contains(&entered)) {
            issues.push(Issue::warning(&place("class"), Code::ClassDiffers));
        }
    }
    issues
}
