//! What of the course the picture shows.

use jiff::civil::Date;
use rls::FormName;
use rls::answers::{Comparator, LabTest, MedicationStatus};
use rls::form_dsl::PartialDate;
use rls::iron::to_default_unit;
use text::Language;

use super::chart::{Bar, FollowUp, LabSeries, Picture, Point};
use super::course::{MedicationCourse, MedicationRole, SeverityPoint, Timeline};
use crate::intake::follow_up::answers::FollowUpAnswers;

/// Returns the day in the middle of a partial date.
fn middle(date: PartialDate) -> Date {
    let (first, last) = (date.first(), date.last());
    let days = first.until(last).map_or(0, |span| span.get_days()) / 2;
    first.checked_add(jiff::Span::new().days(days)).unwrap_or(first)
}

impl Timeline {
    /// Returns what the picture shows. It leaves out medicines that are known not to be for restless legs and that do not aggravate it.
    pub fn picture(&self, title: String, today: Date, language: Language) -> Picture {
        let rated = |value: fn(&SeverityPoint) -> Option<i64>| -> Vec<Point> {
            #[allow(clippy::cast_precision_loss, reason = "a total is at most 40")]
            let point = |one: &SeverityPoint| {
                let is_follow_up = one.form == FormName::FollowUp.as_str();
                Some(Point { on: one.on, value: value(one)? as f64, bound: None, is_follow_up })
            };
            self.severity.iter().filter_map(point).collect()
        };
        let of_role = |role: MedicationRole| -> Vec<Bar> {
            self.medications.iter().filter(|course| course.role == role).map(bar).collect()
        };
        Picture {
            language,
            title,
            today,
            severity: rated(|one| one.irls_total),
            bothersome: rated(|one| one.severity_0_10),
            // A minor's total has no band.
            bands: self.severity.iter().all(|one| one.irls_total.is_none() || one.irls_band.is_some()),
            follow_ups: self.follow_ups.iter().map(follow_up).collect(),
            labs: [LabTest::Ferritin, LabTest::Tsat, LabTest::Hemoglobin].map(|test| self.series(test)),
            infusions: of_role(MedicationRole::Infusion),
            treatments: of_role(MedicationRole::Treatment),
            aggravating: of_role(MedicationRole::Aggravating),
        }
    }

    fn series(&self, test: LabTest) -> LabSeries {
        let of_test = self.iron.iter().filter(|point| point.test == test);
        let mut points: Vec<Point> = of_test
            .filter_map(|point| {
                let (value, _) = to_default_unit(test, point.unit, point.value)?;
                Some(Point {
                    on: middle(point.collected_on),
                    value,
                    bound: point.comparator.map(Comparator::as_str),
                    is_follow_up: false,
                })
            })
            .collect();
        points.sort_by_key(|point| point.on);
        let thresholds = self.thresholds.iter().filter(|one| one.test == test).map(|one| one.value).collect();
        LabSeries { points, thresholds }
    }
}

fn follow_up(answers: &FollowUpAnswers) -> FollowUp {
    FollowUp {
        on: answers.on,
        change: answers.change,
        augmentation: answers.augmentation,
        urges: answers.urges,
        side_effects: answers.has_side_effects,
    }
}

fn bar(course: &MedicationCourse) -> Bar {
    let last = course.reports.last();
    let dose = last.and_then(|report| Some(format!(" {} {}", report.dose?, report.unit.as_deref()?)));
    Bar {
        label: format!("{}{}", course.name, dose.unwrap_or_default()),
        from: course.started_on,
        until: course.stopped_on.map(PartialDate::last),
        current: course.status == Some(MedicationStatus::Current),
    }
}
