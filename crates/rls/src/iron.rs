//! Iron: transferrin saturation (TSAT), review band, excess; and hemoglobin.
//!
//! For adults, the AASM guideline of 2025 (doi 10.5664/jcsm.11390) suggests iron at ferritin ≤ 75 ng/mL or TSAT < 20 %.
//! Always show the date and age of the sample beside the band: ferritin rises with inflammation.

use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, CkdStage, Comparator, Lab, LabTest, LabUnit, Medication, YesNo};
use super::context::Context;
use super::due;
use super::form_dsl::PartialDate;

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

/// A usable laboratory value: in range, in a unit of its test, and not later than the day of the answers, or of the
/// computation if the clinic entered it.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The position in the list of laboratory values. Entered results follow those of the answers. A computed TSAT has
    /// the position of its iron value.
    pub position: usize,
    /// The value in the default unit of the test: ng/mL, %, µg/dL, g/dL or mg/L.
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
        LabTest::Iron | LabTest::Tibc => &[(LabUnit::UgPerDl, 0.0, 1000.0), (LabUnit::UmolPerL, 0.0, 179.0)],
        LabTest::Hemoglobin => {
            &[(LabUnit::GPerDl, 2.0, 25.0), (LabUnit::GPerL, 20.0, 250.0), (LabUnit::MmolPerL, 1.2, 15.5)]
        }
        LabTest::Crp => &[(LabUnit::MgPerL, 0.0, 1000.0), (LabUnit::MgPerDl, 0.0, 100.0)],
    }
}

/// Returns the value of a result in the first unit of its test, whatever unit the report has. `None` if the result is
/// incomplete, out of range or in a unit of another test.
pub fn in_default_unit(lab: &Lab) -> Option<(f64, LabUnit)> {
    to_default_unit(lab.test?, lab.unit?, lab.value.as_ref()?.get())
}

/// Returns a value in the first unit of its test. `None` if it is out of range or in a unit of another test.
///
/// The factors of iron, TIBC and hemoglobin are those of PMC3934467, table 1. In mmol/L, hemoglobin counts by its
/// subunit, as laboratories report it.
pub fn to_default_unit(test: LabTest, unit: LabUnit, value: f64) -> Option<(f64, LabUnit)> {
    let (_, least, greatest) = units(test).iter().find(|(of, ..)| *of == unit)?;
    let (default, ..) = units(test).first()?;
    let converted = match unit {
        LabUnit::UmolPerL => value / 0.179,
        LabUnit::MmolPerL => value / 0.620_63,
        LabUnit::GPerL => value / 10.0,
        LabUnit::MgPerDl => value * 10.0,
        LabUnit::NgPerMl
        | LabUnit::UgPerL
        | LabUnit::Percent
        | LabUnit::UgPerDl
        | LabUnit::GPerDl
        | LabUnit::MgPerL => value,
    };
    (value >= *least && value <= *greatest).then_some((converted, *default))
}

/// Returns the values of the answers and then those that the clinic entered, each with its position and its latest
/// possible day.
fn series<'a>(answers: &'a Answers, context: &'a Context) -> impl Iterator<Item = (usize, &'a Lab, Date)> {
    let answered = answers.labs().map(|(_, lab)| (lab, context.authored_on));
    let entered = context.entered_labs.iter().map(|lab| (lab, context.today));
    answered.chain(entered).enumerate().map(|(position, (lab, last))| (position, lab, last))
}

fn reading(position: usize, lab: &Lab, last: Date) -> Option<Reading> {
    let (value, _) = in_default_unit(lab)?;
    let in_past = lab.collected_on.is_none_or(|day| !day.surely_after_day(last));
    in_past.then_some(Reading {
        position,
        value,
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

/// Returns the values that may be the newest, that is, all that are not certainly older than another. Of several values
/// of one day, the last entered counts. If dates are missing or overlap, several remain, and most rules must hold for
/// each of them.
pub fn newest(readings: Vec<Reading>) -> Vec<Reading> {
    let older = |a: &Reading, b: &Reading| match (a.collected_on, b.collected_on) {
        (Some(a), Some(b)) => a.surely_before(b),
        _ => false,
    };
    let last = last_of_each_day(readings);
    last.iter().filter(|one| !last.iter().any(|other| older(one, other))).copied().collect()
}

/// Returns of several values of one full date the last entered. A computed value does not replace a reported one.
fn last_of_each_day(readings: Vec<Reading>) -> Vec<Reading> {
    let replaces = |later: &Reading, one: &Reading| {
        let day = |reading: &Reading| reading.collected_on.and_then(PartialDate::day);
        day(one).is_some() && day(one) == day(later) && one.computed == later.computed && one.position < later.position
    };
    readings.iter().filter(|one| !readings.iter().any(|later| replaces(later, one))).copied().collect()
}

/// Rounds to one decimal, as shown. The bands use the rounded value.
fn one_decimal(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Computes TSAT = iron / TIBC × 100, to one decimal, from values of the same full date. Results above 100 % are
/// dropped, because one of the two values must be wrong.
pub fn computed_tsat(answers: &Answers, context: &Context) -> Vec<Reading> {
    let exact = |test| {
        let last = last_of_each_day(readings(answers, context, test));
        last.into_iter().filter(|reading| reading.comparator.is_none())
    };
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

/// Returns the first day on which a sample is certainly older than 12 months.
pub fn out_of_date_from(collected: PartialDate) -> Date {
    collected.last().checked_add(Span::new().months(12).days(1)).unwrap_or(Date::MAX)
}

/// Returns whether a sample is certainly older than 12 months, or has no day.
pub fn out_of_date(collected_on: Option<PartialDate>, context: &Context) -> bool {
    collected_on.is_none_or(|collected| out_of_date_from(collected) <= context.today)
}

/// Returns whether the newest ferritin is certainly older than 12 months.
pub fn ferritin_out_of_date(answers: &Answers, context: &Context) -> bool {
    let ferritin = newest(readings(answers, context, LabTest::Ferritin));
    all_of(&ferritin, |one| one.collected_on.is_some() && out_of_date(one.collected_on, context))
}

/// Returns the days on which the newest iron results become out of date.
pub fn days_of_becoming_old(answers: &Answers, context: &Context) -> Vec<Date> {
    let ferritin = newest(readings(answers, context, LabTest::Ferritin));
    let days = ferritin.into_iter().chain(newest_tsat(answers, context)).filter_map(|one| one.collected_on);
    days.map(out_of_date_from).collect()
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
    /// An infection or inflammation is reported, or CRP is above 5 mg/L: ferritin is unreliable.
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
    let inflamed = YesNo::is_yes(answers.risk.infection_or_inflammation) || raised_crp(answers, context, &ferritin);
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

/// Returns whether a CRP that may be of the same day as a ferritin is certainly above 5 mg/L.
fn raised_crp(answers: &Answers, context: &Context, ferritin: &[Reading]) -> bool {
    let may_be_of_one_day = |a: &Reading, b: &Reading| match (a.collected_on, b.collected_on) {
        (Some(a), Some(b)) => !a.surely_before(b) && !b.surely_before(a),
        _ => false,
    };
    let crp = last_of_each_day(readings(answers, context, LabTest::Crp));
    crp.iter().filter(|crp| crp.surely_above(5.0)).any(|crp| ferritin.iter().any(|one| may_be_of_one_day(crp, one)))
}

/// Returns whether any value that may be the newest hemoglobin is certainly below 8.0 g/dL.
pub fn hemoglobin_below_8(answers: &Answers, context: &Context) -> bool {
    newest(readings(answers, context, LabTest::Hemoglobin)).iter().any(|one| one.surely_below(8.0))
}

/// Returns whether a value that may be the newest TSAT is certainly above 45 %.
pub fn tsat_above_45(answers: &Answers, context: &Context) -> bool {
    newest_tsat(answers, context).iter().any(|one| one.surely_above(45.0))
}

/// Returns the values that may be the newest and are certainly above ferritin 300 ng/mL or TSAT 45 %. In kidney failure
/// only TSAT counts, because a high ferritin is usual there.
fn above_bounds(answers: &Answers, context: &Context) -> Vec<Reading> {
    let mut ferritin = newest(readings(answers, context, LabTest::Ferritin));
    ferritin.retain(|one| one.surely_above(300.0) && !kidney_failure(answers));
    let tsat = newest_tsat(answers, context).into_iter().filter(|one| one.surely_above(45.0));
    ferritin.into_iter().chain(tsat).collect()
}

/// Returns whether a value that may be the newest is certainly above ferritin 300 ng/mL or TSAT 45 %.
pub fn excess(answers: &Answers, context: &Context) -> bool {
    !above_bounds(answers, context).is_empty()
}

/// Returns whether such a value is from another time than the weeks after an infusion, in which it is falsely high.
pub fn excess_without_infusion(answers: &Answers, context: &Context) -> bool {
    let weeks = Span::new().weeks(i64::from(context.iron_intervals.infusion_weeks));
    let follows = |sample: PartialDate, medicine: &Medication| {
        let days = medicine.started_on.or(medicine.stopped_on).zip(medicine.stopped_on.or(medicine.started_on));
        days.is_some_and(|(first, last)| {
            let until = last.last().checked_add(weeks).unwrap_or(Date::MAX);
            !sample.surely_before(first) && sample.last() <= until
        })
    };
    above_bounds(answers, context).iter().any(|one| {
        let mut infusions = answers.medications().filter(|(_, medicine)| due::is_infusion(medicine));
        !one.collected_on.is_some_and(|sample| infusions.any(|(_, medicine)| follows(sample, medicine)))
    })
}
