//! Iron: transferrin saturation (TSAT), review band, monitoring, excess; and hemoglobin.
//!
//! For adults, the AASM guideline of 2025 (doi 10.5664/jcsm.11390) suggests iron at ferritin ≤ 75 ng/mL or TSAT < 20 %.
//! Always show the date and age of the sample beside the band: ferritin rises with inflammation.

use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, CkdStage, Comparator, Lab, LabTest, LabUnit, Medication, MedicineClass, YesNo};
use super::context::Context;
use super::form_dsl::PartialDate;
use super::medicines;

/// The band of the newest iron values. It states the values, not what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsIronReviewBand)]
pub enum IronReviewBand {
    /// Ferritin at most 75 ng/mL, or TSAT below 20 %. One of the two results suffices.
    #[serde(rename = "ferritin_le_75_or_tsat_lt_20")]
    Low,
    /// Ferritin above 75 and at most 100 ng/mL, with TSAT at least 20 %.
    #[serde(rename = "ferritin_gt_75_le_100")]
    Between,
    /// Ferritin above 100 ng/mL and TSAT at least 20 %.
    AboveThresholds,
    /// A result is missing or ambiguous.
    InsufficientData,
    /// Under 18: ferritin below 50 ng/mL.
    #[serde(rename = "ferritin_lt_50_under_18")]
    LowMinor,
    /// Under 18 without a ferritin that is certainly below 50 ng/mL. The other bands are for adults.
    NotComputedMinor,
    /// End-stage kidney disease, stage 5 or dialysis: ferritin below 200 ng/mL and TSAT below 20 %.
    #[serde(rename = "ferritin_lt_200_and_tsat_lt_20_esrd")]
    LowKidney,
    /// End-stage kidney disease, stage 5 or dialysis, without ferritin below 200 ng/mL and TSAT below 20 %.
    NotComputedEsrd,
}

/// The monitoring of an iron medicine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsIronMonitoring)]
pub struct IronMonitoring {
    /// The path of the medicine in the answers.
    #[schema(examples("medications.0"))]
    pub medication: String,
    /// When the medicine was started, as far as known. Without it, nothing is due.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_on: Option<String>,
    /// The day by which a ferritin result is expected: the last possible day of the start plus the weeks of the
    /// setting.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(value_type = Option<String>, format = Date)]
    pub due_on: Option<Date>,
    /// Whether a ferritin result is certainly later than the start.
    pub ferritin_since: bool,
    /// Whether the expected day has passed without a ferritin result.
    pub due: bool,
}

/// A usable laboratory value: in range, in a unit of its test, and not later than the day of the answers, or of the
/// computation if the clinic entered it.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The position in the list of laboratory values. Entered results follow those of the answers. A computed TSAT has
    /// the position of its iron value.
    pub position: usize,
    /// The value in the default unit of the test: ng/mL, %, µg/dL or g/dL.
    pub value: f64,
    /// Set if the value is a bound.
    pub comparator: Option<Comparator>,
    /// The day of the sample.
    pub collected_on: Option<PartialDate>,
    /// Whether the service computed the value from iron and TIBC.
    pub computed: bool,
}

impl Reading {
    pub(crate) fn surely_at_most(&self, bound: f64) -> bool {
        matches!(self.comparator, None | Some(Comparator::Below | Comparator::AtMost)) && self.value <= bound
    }

    pub(crate) fn surely_below(&self, bound: f64) -> bool {
        match self.comparator {
            None | Some(Comparator::AtMost) => self.value < bound,
            Some(Comparator::Below) => self.value <= bound,
            _ => false,
        }
    }

    pub(crate) fn surely_above(&self, bound: f64) -> bool {
        match self.comparator {
            None | Some(Comparator::AtLeast) => self.value > bound,
            Some(Comparator::Above) => self.value >= bound,
            _ => false,
        }
    }

    pub(crate) fn surely_at_least(&self, bound: f64) -> bool {
        matches!(self.comparator, None | Some(Comparator::Above | Comparator::AtLeast)) && self.value >= bound
    }

    /// Returns the days from the sample to `day`, if the day of the sample is known.
    pub fn age_days(&self, day: Date) -> Option<i32> {
        let collected = self.collected_on?.day()?;
        day.since(collected).ok().map(|span| span.get_days())
    }
}

/// Returns the units of a test with the smallest and largest accepted value.
pub fn units(test: LabTest) -> &'static [(LabUnit, f64, f64)] {
    match test {
        LabTest::Ferritin => &[(LabUnit::NgPerMl, 0.0, 5000.0), (LabUnit::UgPerL, 0.0, 5000.0)],
        LabTest::Tsat => &[(LabUnit::Percent, 0.0, 100.0)],
        LabTest::Iron | LabTest::Tibc => &[(LabUnit::UgPerDl, 0.0, 1000.0)],
        LabTest::Hemoglobin => &[(LabUnit::GPerDl, 2.0, 25.0), (LabUnit::GPerL, 20.0, 250.0)],
    }
}

/// Returns the values of the answers and then those that the clinic entered, each with its position and its latest
/// possible day.
fn series<'a>(answers: &'a Answers, context: &'a Context) -> impl Iterator<Item = (usize, &'a Lab, Date)> {
    let answered = answers.labs().map(|(_, lab)| (lab, context.authored_on));
    let entered = context.entered_labs.iter().map(|lab| (lab, context.today));
    answered.chain(entered).enumerate().map(|(position, (lab, last))| (position, lab, last))
}

fn reading(position: usize, lab: &Lab, last: Date) -> Option<Reading> {
    let (test, unit, value) = (lab.test?, lab.unit?, lab.value.as_ref()?.get());
    let (_, least, greatest) = units(test).iter().find(|(of, ..)| *of == unit)?;
    let in_range = value >= *least && value <= *greatest;
    let in_past = lab.collected_on.is_none_or(|day| !day.surely_after_day(last));
    let scale = if unit == LabUnit::GPerL { 10.0 } else { 1.0 };
    (in_range && in_past).then_some(Reading {
        position,
        value: value / scale,
        comparator: lab.comparator,
        collected_on: lab.collected_on,
        computed: false,
    })
}

/// Returns the usable values of a test, of the answers and of the clinic.
pub fn readings(answers: &Answers, context: &Context, test: LabTest) -> Vec<Reading> {
    let of_test = series(answers, context).filter(|(_, lab, _)| lab.test == Some(test));
    of_test.filter_map(|(position, lab, last)| reading(position, lab, last)).collect()
}

/// Returns the values that may be the newest, that is, all that are not certainly older than another. If dates are
/// missing or overlap, several remain, and most rules must hold for each of them.
pub fn newest(readings: Vec<Reading>) -> Vec<Reading> {
    let older = |a: &Reading, b: &Reading| match (a.collected_on, b.collected_on) {
        (Some(a), Some(b)) => a.surely_before(b),
        _ => false,
    };
    readings.iter().filter(|one| !readings.iter().any(|other| older(one, other))).copied().collect()
}

/// Rounds to one decimal, as shown. The bands use the rounded value.
fn one_decimal(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Computes TSAT = iron / TIBC × 100, to one decimal, from values of the same full date. Results above 100 % are
/// dropped, because one of the two values must be wrong.
pub fn computed_tsat(answers: &Answers, context: &Context) -> Vec<Reading> {
    let exact = |test| readings(answers, context, test).into_iter().filter(|reading| reading.comparator.is_none());
    let binding: Vec<Reading> = exact(LabTest::Tibc).collect();
    let mut computed = Vec::new();
    for iron in exact(LabTest::Iron) {
        let Some(day) = iron.collected_on.and_then(PartialDate::day) else { continue };
        for tibc in binding.iter().filter(|tibc| tibc.collected_on.and_then(PartialDate::day) == Some(day)) {
            let percent = one_decimal(iron.value / tibc.value * 100.0);
            if tibc.value > 0.0 && percent <= 100.0 {
                computed.push(Reading { value: percent, computed: true, ..iron });
            }
        }
    }
    computed
}

/// Returns the newest TSAT values, computed and reported.
fn newest_tsat(answers: &Answers, context: &Context) -> Vec<Reading> {
    let mut all = computed_tsat(answers, context);
    all.extend(readings(answers, context, LabTest::Tsat));
    newest(all)
}

/// Returns the newest TSAT in percent, to one decimal: the computed one, or else the reported one. `None` if several
/// newest values differ.
pub fn tsat_percent(answers: &Answers, context: &Context) -> Option<f64> {
    let newest = newest_tsat(answers, context);
    let one = |computed: bool| {
        let mut values = newest.iter().filter(|reading| reading.computed == computed && reading.comparator.is_none());
        let first = one_decimal(values.next()?.value);
        values.all(|reading| (one_decimal(reading.value) - first).abs() < 0.05).then_some(first)
    };
    if newest.iter().any(|reading| reading.computed) { one(true) } else { one(false) }
}

/// Returns whether the patient has kidney failure, for which other iron rules apply. Stage 5 counts even if dialysis is
/// not reported.
pub fn kidney_failure(answers: &Answers) -> bool {
    let risk = &answers.risk;
    YesNo::is_yes(risk.esrd) || YesNo::is_yes(risk.dialysis) || risk.ckd_stage == Some(CkdStage::Five)
}

fn all_of(readings: &[Reading], holds: impl Fn(&Reading) -> bool) -> bool {
    !readings.is_empty() && readings.iter().all(holds)
}

/// Determines the band of the newest results.
pub fn review_band(answers: &Answers, context: &Context) -> IronReviewBand {
    let ferritin = newest(readings(answers, context, LabTest::Ferritin));
    if context.is_under_18() {
        let low = all_of(&ferritin, |one| one.surely_below(50.0));
        return if low { IronReviewBand::LowMinor } else { IronReviewBand::NotComputedMinor };
    }
    let tsat = newest_tsat(answers, context);
    if kidney_failure(answers) {
        let low = all_of(&ferritin, |one| one.surely_below(200.0)) && all_of(&tsat, |one| one.surely_below(20.0));
        return if low { IronReviewBand::LowKidney } else { IronReviewBand::NotComputedEsrd };
    }
    let current = |readings: &[Reading]| all_of(readings, |one| !out_of_date(one.collected_on, context));
    if all_of(&ferritin, |one| one.surely_at_most(75.0)) || all_of(&tsat, |one| one.surely_below(20.0)) {
        IronReviewBand::Low
    } else if !all_of(&tsat, |one| one.surely_at_least(20.0)) {
        IronReviewBand::InsufficientData
    } else if all_of(&ferritin, |one| one.surely_above(100.0)) && current(&ferritin) && current(&tsat) {
        IronReviewBand::AboveThresholds
    } else if all_of(&ferritin, |one| one.surely_above(75.0) && one.surely_at_most(100.0)) {
        IronReviewBand::Between
    } else {
        IronReviewBand::InsufficientData
    }
}

/// Returns whether a sample is certainly older than 12 months, or has no day.
pub fn out_of_date(collected_on: Option<PartialDate>, context: &Context) -> bool {
    let year_ago = context.today.checked_sub(Span::new().months(12));
    let bound = year_ago.unwrap_or(Date::MIN);
    collected_on.is_none_or(|collected| collected.surely_before_day(bound))
}

/// A doubt about the newest iron results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsIronDoubt)]
pub enum IronDoubt {
    /// Iron was taken within 24 hours before the sample: iron and TSAT are doubtful.
    NotIronFree,
    /// The sample was not taken in the morning.
    NotMorning,
    /// An infection or inflammation is reported: ferritin is unreliable.
    Inflammation,
    /// The newest ferritin is older than 12 months, or its day is not known.
    FerritinOutOfDate,
    /// The newest TSAT is older than 12 months, or its day is not known.
    TsatOutOfDate,
}

/// Returns the doubts about the newest iron results.
pub fn doubts(answers: &Answers, context: &Context) -> Vec<IronDoubt> {
    let ferritin = newest(readings(answers, context, LabTest::Ferritin));
    let tsat = newest_tsat(answers, context);
    let lab =
        |reading: &Reading| series(answers, context).find(|(at, ..)| *at == reading.position).map(|(_, lab, _)| lab);
    let any = |readings: &[Reading], holds: &dyn Fn(&Lab) -> bool| readings.iter().filter_map(lab).any(holds);
    let inflamed = YesNo::is_yes(answers.risk.infection_or_inflammation);
    let stale = |readings: &[Reading]| readings.iter().any(|one| out_of_date(one.collected_on, context));
    let not_morning = |lab: &Lab| lab.morning == Some(YesNo::No);
    [
        (IronDoubt::NotIronFree, any(&tsat, &|lab| lab.iron_free_24h == Some(YesNo::No))),
        (IronDoubt::NotMorning, any(&ferritin, &not_morning) || any(&tsat, &not_morning)),
        (IronDoubt::Inflammation, inflamed && !ferritin.is_empty()),
        (IronDoubt::FerritinOutOfDate, stale(&ferritin)),
        (IronDoubt::TsatOutOfDate, stale(&tsat)),
    ]
    .into_iter()
    .filter_map(|(doubt, holds)| holds.then_some(doubt))
    .collect()
}

/// Returns whether any value that may be the newest hemoglobin is certainly below 8.0 g/dL.
pub fn hemoglobin_below_8(answers: &Answers, context: &Context) -> bool {
    newest(readings(answers, context, LabTest::Hemoglobin)).iter().any(|one| one.surely_below(8.0))
}

/// Returns whether a value that may be the newest TSAT is certainly above 45 %.
pub fn tsat_above_45(answers: &Answers, context: &Context) -> bool {
    newest_tsat(answers, context).iter().any(|one| one.surely_above(45.0))
}

/// Returns whether a value that may be the newest is certainly above ferritin 300 ng/mL or TSAT 45 %.
pub fn excess(answers: &Answers, context: &Context) -> bool {
    let ferritin = newest(readings(answers, context, LabTest::Ferritin));
    ferritin.iter().any(|one| one.surely_above(300.0)) || tsat_above_45(answers, context)
}

/// Returns, for each iron medicine taken now and each infusion, whether a ferritin result is due. A result after the
/// deadline also settles it.
pub fn monitoring(answers: &Answers, context: &Context) -> Vec<IronMonitoring> {
    let ferritin = readings(answers, context, LabTest::Ferritin);
    let weeks = Span::new().weeks(i64::from(context.monitoring_weeks));
    let watched = |medicine: &Medication| {
        let current = medicines::is_current(medicine);
        (current && medicines::IRON.iter().any(|class| medicines::belongs_to(medicine, *class)))
            || medicines::belongs_to(medicine, MedicineClass::IronIv)
    };
    answers
        .medications()
        .filter(|(_, medicine)| watched(medicine))
        .map(|(position, medicine)| {
            let start = medicine.started_on;
            let due_on = start.and_then(|start| start.last().checked_add(weeks).ok());
            // A value from the month of the start does not count: it is usually the reason for the treatment.
            let since = |start: PartialDate| {
                ferritin.iter().filter_map(|one| one.collected_on).any(|collected| start.surely_before(collected))
            };
            let ferritin_since = start.is_some_and(since);
            IronMonitoring {
                medication: format!("medications.{position}"),
                started_on: start.map(|start| start.to_string()),
                due_on,
                ferritin_since,
                due: !ferritin_since && due_on.is_some_and(|due| due <= context.today),
            }
        })
        .collect()
}
