//! The laboratory values of a summary: one series of what the answers report and what the clinic entered.

use jiff::civil::Date;
use rls::answers::{Comparator, Lab, LabSource, LabTest, LabUnit};
use rls::form_dsl::PartialDate;
use rls::iron::{Reading, computed_tsat, out_of_date, readings};
use rls::lab_levels::{LabLevel, level};
use serde::Serialize;
use utoipa::ToSchema;

/// A laboratory value.
#[derive(Serialize, ToSchema)]
#[schema(as = IntakeSummaryLab)]
pub struct SummaryLab {
    /// The laboratory test.
    pub test: LabTest,
    /// The value in its unit.
    pub value: f64,
    /// Present if the true value is below or above the given one.
    pub comparator: Option<Comparator>,
    /// The unit.
    pub unit: Option<LabUnit>,
    /// The day of the sample, as far as known.
    #[schema(value_type = Option<String>, examples("2026-05-12"))]
    pub collected_on: Option<PartialDate>,
    /// The least age in days on the day `as_of`.
    #[schema(minimum = 0)]
    pub age_days: Option<i32>,
    /// The age in words.
    #[schema(examples("3 months"))]
    pub age: Option<String>,
    /// Whether the sample is certainly older than 12 months, or its day is not known.
    pub out_of_date: bool,
    /// Where the value certainly stands beside the thresholds of the rules. It is no reference range of a laboratory.
    pub level: Option<LabLevel>,
    /// The range of `level` in words, in the default unit of the test.
    #[schema(examples("at most 75"))]
    pub range: Option<String>,
    /// Whether the service computed it from iron and TIBC of one sample.
    pub computed: bool,
    /// Whether the sample is certainly later than the patient's previous intake.
    pub is_new: bool,
    /// Where the value comes from.
    pub source: Option<LabSource>,
    /// Its way into the record.
    pub entered_in: LabOrigin,
}

/// How a laboratory value came into the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IntakeLabOrigin)]
pub enum LabOrigin {
    /// In the answers of this intake.
    Answers,
    /// By the clinic, as a laboratory result.
    LabResults,
}

/// Lists the laboratory values, the newest sample first. A value of the answers that the clinic also entered is listed once. `previous`
/// is the day of the patient's previous intake.
pub(super) fn labs(answers: &rls::Answers, facts: &rls::Context, previous: Option<Date>) -> Vec<SummaryLab> {
    let entered = &facts.entered_labs;
    let same = |one: &Lab, other: &Lab| {
        (one.test, &one.value, one.unit, one.collected_on) == (other.test, &other.value, other.unit, other.collected_on)
    };
    // Of several values of one day the last entered counts, and comes first here.
    let mut answered: Vec<_> = answers.labs().map(|(position, lab)| (position, lab, LabOrigin::Answers)).collect();
    answered.reverse();
    let count = answers.labs.iter().flatten().count();
    let of_clinic = entered.iter().enumerate().rev();
    let of_clinic = of_clinic.map(|(at, lab)| (count + at, lab, LabOrigin::LabResults));
    let once = answered.into_iter().filter(|(_, lab, _)| !entered.iter().any(|other| same(lab, other)));
    let reported = of_clinic.chain(once).filter_map(|(position, lab, entered_in)| {
        let test = lab.test?;
        let reading = readings(answers, facts, test).into_iter().find(|one| one.position == position);
        let value = lab.value.as_ref()?.get();
        let given = (value, lab.comparator, lab.unit, lab.source);
        Some(summary_lab(
            test,
            given,
            lab.collected_on,
            entered_in,
            &Circumstances { answers, facts, previous, reading },
        ))
    });
    let computed = computed_tsat(answers, facts).into_iter().map(|reading| {
        let entered_in = if reading.position < count { LabOrigin::Answers } else { LabOrigin::LabResults };
        let given = (reading.value, None, Some(LabUnit::Percent), None);
        let circumstances = Circumstances { answers, facts, previous, reading: Some(reading) };
        let lab = summary_lab(LabTest::Tsat, given, reading.collected_on, entered_in, &circumstances);
        SummaryLab { computed: true, ..lab }
    });
    // The computed saturation counts before a reported one of the same day.
    let mut labs: Vec<_> = computed.chain(reported).collect();
    labs.sort_by_key(|lab| std::cmp::Reverse(lab.collected_on.map(PartialDate::first)));
    labs
}

/// What a laboratory value is judged with.
struct Circumstances<'a> {
    answers: &'a rls::Answers,
    facts: &'a rls::Context,
    previous: Option<Date>,
    /// The value in the default unit. None if it is not usable.
    reading: Option<Reading>,
}

type Given = (f64, Option<Comparator>, Option<LabUnit>, Option<LabSource>);

fn summary_lab(
    test: LabTest,
    (value, comparator, unit, source): Given,
    collected_on: Option<PartialDate>,
    entered_in: LabOrigin,
    with: &Circumstances<'_>,
) -> SummaryLab {
    let today = with.facts.today;
    let age_days = collected_on.map(|on| on.last().min(today).until(today).map_or(0, |span| span.get_days()));
    let level = with.reading.and_then(|reading| level(test, &reading, with.answers, with.facts));
    SummaryLab {
        test,
        value,
        comparator,
        unit,
        collected_on,
        age_days,
        age: age_days.map(age_in_words),
        out_of_date: out_of_date(collected_on, with.facts),
        level: level.map(|(level, _)| level),
        range: level.map(|(_, range)| range.to_owned()),
        computed: false,
        is_new: with.previous.zip(collected_on).is_some_and(|(day, on)| on.surely_after_day(day)),
        source,
        entered_in,
    }
}

/// Writes an age as people say it: days up to two weeks, weeks up to two months, months up to two years.
fn age_in_words(days: i32) -> String {
    let (count, unit) = match days {
        ..=0 => return "today".to_owned(),
        1..=13 => (days, "day"),
        14..=60 => (days / 7, "week"),
        61..=730 => (days * 12 / 365, "month"),
        _ => (days / 365, "year"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_in_words() {
        let expected = [
            (0, "today"),
            (1, "1 day"),
            (13, "13 days"),
            (14, "2 weeks"),
            (60, "8 weeks"),
            (61, "2 months"),
            (95, "3 months"),
            (365, "12 months"),
            (730, "24 months"),
            (731, "2 years"),
            (1500, "4 years"),
        ];
        for (days, words) in expected {
            assert_eq!(age_in_words(days), words);
        }
    }
}
