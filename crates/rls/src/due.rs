//! What comes due by the calendar: the next ferritin under iron treatment, results that become old, and the day that a
//! review set. Between these days the findings do not change by themselves.

use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, LabTest, Medication, MedicineClass};
use super::context::Context;
use super::form_dsl::PartialDate;
use super::iron;
use super::medicines;

/// The monitoring of an iron medicine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsIronMonitoring)]
pub struct IronMonitoring {
    /// The path of the medicine in the answers.
    #[schema(examples("medications.0"))]
    pub medication: String,
    /// When the medicine was started, as far as known. Without it, nothing is due.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub started_on: Option<String>,
    /// The day by which the next ferritin result is expected: some weeks after the last possible day of the start, or of
    /// the last infusion; then some months after each result while the treatment lasts, and for two years after an
    /// infusion. The periods are settings.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false, value_type = Option<String>, format = Date)]
    pub due_on: Option<Date>,
    /// Whether there is a ferritin result from after the start, or the last infusion. One from the first three quarters of
    /// the weeks until the first check does not count: it is too early to show the effect.
    pub ferritin_since: bool,
    /// Whether the expected day has passed without a ferritin result.
    pub due: bool,
}

/// Settings: when a ferritin result is expected under iron treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IronIntervals {
    /// The weeks after the start of iron by mouth.
    pub oral_weeks: u8,
    /// The weeks after the last infusion.
    pub infusion_weeks: u8,
    /// The months after each result, while the treatment lasts.
    pub repeat_months: u8,
}

impl Default for IronIntervals {
    fn default() -> Self {
        Self { oral_weeks: 12, infusion_weeks: 8, repeat_months: 6 }
    }
}

/// For how many months ferritin is followed after an infusion that has ended.
const MONTHS_AFTER_INFUSION: i32 = 24;

/// Returns, for each iron medicine taken now and each infusion, when the next ferritin result is expected.
pub fn iron_monitoring(answers: &Answers, context: &Context) -> Vec<IronMonitoring> {
    let ferritin = iron::readings(answers, context, LabTest::Ferritin);
    let results: Vec<PartialDate> = ferritin.into_iter().filter_map(|one| one.collected_on).collect();
    answers
        .medications()
        .filter(|(_, medicine)| {
            let current = medicines::is_current(medicine);
            (current && medicines::belongs_to(medicine, MedicineClass::IronOral)) || is_infusion(medicine)
        })
        .map(|(position, medicine)| {
            let IronIntervals { oral_weeks, infusion_weeks, repeat_months } = context.iron_intervals;
            let (begun, weeks) = if is_infusion(medicine) {
                (medicine.stopped_on.or(medicine.started_on), infusion_weeks)
            } else {
                (medicine.started_on, oral_weeks)
            };
            let after = |span: Span| begun.and_then(|begun| begun.last().checked_add(span).ok());
            let weeks = i64::from(weeks);
            // An earlier value is the reason for the treatment, or falsely high in the weeks after an infusion.
            let counts_from = after(Span::new().days(weeks * 7 * 3 / 4));
            let since = results.iter().filter(|on| counts_from.is_some_and(|from| on.first() >= from));
            let newest = since.map(|collected| collected.last()).max();
            let due_on = match newest {
                None => after(Span::new().weeks(weeks)),
                Some(newest) => {
                    let next = newest.checked_add(Span::new().months(i64::from(repeat_months))).ok();
                    let lasts_until = after(Span::new().months(MONTHS_AFTER_INFUSION));
                    next.filter(|next| medicines::is_current(medicine) || lasts_until.is_some_and(|last| *next <= last))
                }
            };
            IronMonitoring {
                medication: format!("medications.{position}"),
                started_on: medicine.started_on.map(|start| start.to_string()),
                due_on,
                ferritin_since: newest.is_some(),
                due: due_on.is_some_and(|due| due <= context.today),
            }
        })
        .collect()
}

pub(crate) fn is_infusion(medicine: &Medication) -> bool {
    medicines::belongs_to(medicine, MedicineClass::IronIv)
}

/// Returns whether the day is reached on which the review wanted to look again.
pub fn recheck(context: &Context) -> bool {
    context.recheck_on.is_some_and(|day| day <= context.today)
}

/// Returns the next day on which the findings may change by themselves.
pub fn next_change(answers: &Answers, context: &Context) -> Option<Date> {
    let monitoring = iron_monitoring(answers, context).into_iter().filter_map(|one| one.due_on);
    // A result from a place whose day begins earlier counts from its own day on.
    let to_come = context.entered_labs.iter().filter_map(|lab| lab.collected_on).map(PartialDate::first);
    let days = monitoring.chain(iron::days_of_becoming_old(answers, context)).chain(to_come).chain(context.recheck_on);
    days.filter(|day| *day > context.today).min()
}
