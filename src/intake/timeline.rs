//! A patient's course over all submitted intakes and the laboratory results entered in between: severity, iron, medicines.

use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use super::chart::{Bar, Picture};
use super::labs::LabResult;
use super::rls::Context;
use super::rls::answers::{
    Answers, Comparator, Lab, LabSource, LabTest, LabUnit, Medication, MedicationStatus, MedicineClass,
    TreatmentResponse, YesNo,
};
use super::rls::iron::{Reading, computed_tsat};
use super::rls::kit::{PartialDate, Whole};
use super::rls::medicines::{looked_up, normal};
use super::rls::severity::{IrlsBand, irls_band, irls_total};
use crate::clock::Timestamp;
use crate::db::types;
use crate::ids::{IntakeId, LabResultId, PatientId};

/// A patient's course.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RlsTimeline, example = json!({
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "severity": [{"on": "2026-06-03", "intake_id": "0199d0c2-1f00-7aaa-8000-000000000009", "irls_total": 26, "irls_band": "severe", "severity_0_10": null}],
    "iron": [{"test": "ferritin", "value": 42.0, "comparator": null, "unit": "ng/mL", "collected_on": "2026-05-12", "source": "lab_report", "computed": false, "intake_id": "0199d0c2-1f00-7aaa-8000-000000000009", "lab_result_id": null}],
    "medications": [{"name": "pramipexole", "class": "dopaminergic", "started_on": "2021-02", "stopped_on": null, "status": "current", "for_rls": "yes",
        "reports": [{"on": "2026-06-03", "intake_id": "0199d0c2-1f00-7aaa-8000-000000000009", "dose": 0.5, "unit": "mg", "frequency": "nightly", "status": "current", "response": "partial"}]}]
}))]
pub struct Timeline {
    /// Whose.
    pub patient_id: PatientId,
    /// Severity at each intake, oldest first.
    pub severity: Vec<SeverityPoint>,
    /// Iron values and hemoglobin, oldest first; the same sample told twice stands there once.
    pub iron: Vec<IronPoint>,
    /// Medicines with what each intake said of them, those begun first first.
    pub medications: Vec<MedicationCourse>,
}

/// Severity at an intake.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsTimelineSeverity)]
pub struct SeverityPoint {
    /// The day of the assessment, or of the answers.
    #[schema(value_type = types::Date)]
    pub on: Date,
    /// The intake.
    pub intake_id: IntakeId,
    /// The rating scale's total, 0 to 40; null unless all ten items are there.
    #[schema(minimum = 0, maximum = 40)]
    pub irls_total: Option<i64>,
    /// The total's band; null without a total, and for minors.
    pub irls_band: Option<IrlsBand>,
    /// The clinic's own question how bothersome it is, 0 to 10.
    #[schema(minimum = 0, maximum = 10)]
    pub severity_0_10: Option<i64>,
}

/// A laboratory value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsTimelineIron)]
pub struct IronPoint {
    /// What was measured.
    #[schema(value_type = String, examples("ferritin"))]
    pub test: LabTest,
    /// The value in its unit.
    pub value: f64,
    /// That the true value lies below or above it.
    #[schema(value_type = Option<String>, examples("<"))]
    pub comparator: Option<Comparator>,
    /// The unit.
    #[schema(value_type = String, examples("ng/mL"))]
    pub unit: LabUnit,
    /// The day of the sample, as far as known.
    #[schema(value_type = String, examples("2026-05-12"))]
    pub collected_on: PartialDate,
    /// Who says so.
    #[schema(value_type = Option<String>, examples("lab_report"))]
    pub source: Option<LabSource>,
    /// Computed from iron and TIBC of one sample rather than reported.
    pub computed: bool,
    /// The intake that tells it.
    pub intake_id: Option<IntakeId>,
    /// The laboratory result that tells it.
    pub lab_result_id: Option<LabResultId>,
}

/// A medicine over time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsTimelineMedication)]
pub struct MedicationCourse {
    /// The name, as the newest intake has it.
    pub name: String,
    /// The class that was entered, or else the one that the service's table has; null where neither is known.
    #[schema(value_type = Option<String>, examples("dopaminergic"))]
    pub class: Option<MedicineClass>,
    /// When it was begun, as far as anybody said.
    #[schema(value_type = Option<String>, examples("2021-02"))]
    pub started_on: Option<PartialDate>,
    /// When it was stopped, as far as anybody said.
    #[schema(value_type = Option<String>, examples("2025-08"))]
    pub stopped_on: Option<PartialDate>,
    /// Whether it is taken, by the newest intake that names it.
    #[schema(value_type = Option<String>, examples("current"))]
    pub status: Option<MedicationStatus>,
    /// Whether it is or was for restless legs.
    #[schema(value_type = Option<String>, examples("yes"))]
    pub for_rls: Option<YesNo>,
    /// What each intake said of it, oldest first.
    pub reports: Vec<MedicationReport>,
}

/// What an intake said of a medicine.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsTimelineMedicationReport)]
pub struct MedicationReport {
    /// The day of the answers.
    #[schema(value_type = types::Date)]
    pub on: Date,
    /// The intake.
    pub intake_id: IntakeId,
    /// The amount of one dose.
    pub dose: Option<f64>,
    /// The dose's unit.
    pub unit: Option<String>,
    /// How often.
    pub frequency: Option<String>,
    /// Whether it was taken then.
    #[schema(value_type = Option<String>, examples("current"))]
    pub status: Option<MedicationStatus>,
    /// How the restless legs responded.
    #[schema(value_type = Option<String>, examples("partial"))]
    pub response: Option<TreatmentResponse>,
}

/// An intake as the timeline reads it.
pub struct Told {
    /// The intake.
    pub id: IntakeId,
    /// When its answers were given; of several on one day the later one counts.
    pub at: Timestamp,
    /// The day.
    pub on: Date,
    /// What was answered.
    pub answers: Answers,
    /// What the rules need besides.
    pub context: Context,
}

/// Puts the course together.
pub fn course(patient_id: PatientId, mut told: Vec<Told>, results: &[LabResult]) -> Timeline {
    told.sort_by_key(|told| (told.at, told.id));
    let severity = told.iter().filter_map(severity).collect();
    let mut iron: Vec<IronPoint> = Vec::new();
    let from_results = results.iter().filter_map(|result| point(&result.lab, None, Some(result.id)));
    let from_intakes = told.iter().flat_map(|told| {
        let labs: Vec<_> = told.answers.labs().filter_map(|(_, lab)| point(lab, Some(told.id), None)).collect();
        labs.into_iter().chain(tsat(told))
    });
    for point in from_results.chain(from_intakes) {
        if !iron.iter().any(|there| same_sample(there, &point)) {
            iron.push(point);
        }
    }
    iron.sort_by_key(|point| (point.collected_on.first(), point.test as u8));
    let mut medications = medications(&told);
    medications.sort_by_key(|course| (course.started_on.is_none(), course.started_on.map(PartialDate::first)));
    Timeline { patient_id, severity, iron, medications }
}

fn severity(told: &Told) -> Option<SeverityPoint> {
    let total = irls_total(&told.answers);
    let own = told.answers.symptoms.severity_0_10.map(Whole::get);
    (total.is_some() || own.is_some()).then(|| SeverityPoint {
        on: told.answers.irls.irls_assessed_on.unwrap_or(told.on),
        intake_id: told.id,
        irls_total: total,
        irls_band: irls_band(total, &told.context),
        severity_0_10: own,
    })
}

fn point(lab: &Lab, intake_id: Option<IntakeId>, lab_result_id: Option<LabResultId>) -> Option<IronPoint> {
    Some(IronPoint {
        test: lab.test?,
        value: lab.value.as_ref()?.get(),
        comparator: lab.comparator,
        unit: lab.unit?,
        collected_on: lab.collected_on?,
        source: lab.source,
        computed: false,
        intake_id,
        lab_result_id,
    })
}

fn tsat(told: &Told) -> Vec<IronPoint> {
    let point = |reading: Reading| {
        Some(IronPoint {
            test: LabTest::Tsat,
            value: reading.value,
            comparator: None,
            unit: LabUnit::Percent,
            collected_on: reading.collected_on?,
            source: None,
            computed: true,
            intake_id: Some(told.id),
            lab_result_id: None,
        })
    };
    computed_tsat(&told.answers, &told.context).into_iter().filter_map(point).collect()
}

fn same_sample(a: &IronPoint, b: &IronPoint) -> bool {
    (a.test, a.unit, a.comparator, a.collected_on, a.computed)
        == (b.test, b.unit, b.comparator, b.collected_on, b.computed)
        && (a.value - b.value).abs() < 1e-9
}

/// Medicines are told apart by their names, whatever the case of the letters, and by when they were begun: who took one
/// twice took it twice.
fn medications(told: &[Told]) -> Vec<MedicationCourse> {
    let mut courses: Vec<(String, MedicationCourse)> = Vec::new();
    for told in told {
        let mut used = Vec::new();
        for (_, medication) in told.answers.medications() {
            let Some(name) = &medication.name else { continue };
            let key = normal(name.as_str());
            let same = |(at, (of, course)): (usize, &(String, MedicationCourse))| {
                let may_be = match (course.started_on, medication.started_on) {
                    (Some(a), Some(b)) => !a.surely_before(b) && !b.surely_before(a),
                    _ => true,
                };
                (*of == key && may_be && !used.contains(&at)).then_some(at)
            };
            let at = courses.iter().enumerate().find_map(same).unwrap_or_else(|| {
                courses.push((key, blank(name.as_str())));
                courses.len() - 1
            });
            used.push(at);
            tell(&mut courses[at].1, medication, told);
        }
    }
    courses.into_iter().map(|(_, course)| course).collect()
}

fn blank(name: &str) -> MedicationCourse {
    MedicationCourse {
        name: name.to_owned(),
        class: None,
        started_on: None,
        stopped_on: None,
        status: None,
        for_rls: None,
        reports: Vec::new(),
    }
}

fn tell(course: &mut MedicationCourse, medication: &Medication, told: &Told) {
    if let Some(name) = &medication.name {
        name.as_str().clone_into(&mut course.name);
    }
    let entered = medication.class.filter(|class| *class != MedicineClass::Unknown);
    course.class = entered.or_else(|| looked_up(&course.name)).or(course.class);
    course.started_on = medication.started_on.or(course.started_on);
    course.status = medication.status.or(course.status);
    course.stopped_on = match medication.status {
        Some(MedicationStatus::Current) => None,
        _ => medication.stopped_on.or(course.stopped_on),
    };
    course.for_rls = medication.for_rls.or(course.for_rls);
    course.reports.push(MedicationReport {
        on: told.on,
        intake_id: told.id,
        dose: medication.dose.as_ref().map(super::rls::kit::Decimal::get),
        unit: medication.unit.map(|unit| unit.as_str().to_owned()),
        frequency: medication.frequency.as_ref().map(|text| text.as_str().to_owned()),
        status: medication.status,
        response: medication.response,
    });
}

/// The middle of the days that a date may be.
fn middle(date: PartialDate) -> Date {
    let (first, last) = (date.first(), date.last());
    let days = first.until(last).map_or(0, |span| span.get_days()) / 2;
    first.checked_add(jiff::Span::new().days(days)).unwrap_or(first)
}

impl Timeline {
    /// The course as a picture. Of the medicines it shows those for restless legs, and those of which nobody said that
    /// they are not.
    pub fn picture(&self, title: String, today: Date) -> Picture {
        #[allow(clippy::cast_precision_loss, reason = "a total is at most 40")]
        let severity = self.severity.iter().filter_map(|point| Some((point.on, point.irls_total? as f64))).collect();
        let ferritin = self.iron.iter().filter(|point| point.test == LabTest::Ferritin);
        let ferritin =
            ferritin.map(|point| (middle(point.collected_on), point.value, point.comparator.map(Comparator::as_str)));
        let treatments = self.medications.iter().filter(|course| course.for_rls != Some(YesNo::No)).map(|course| {
            let last = course.reports.last();
            let dose = last.and_then(|report| Some(format!(" {} {}", report.dose?, report.unit.as_deref()?)));
            Bar {
                label: format!("{}{}", course.name, dose.unwrap_or_default()),
                from: course.started_on.map(PartialDate::first),
                until: course.stopped_on.map(PartialDate::last),
                current: course.status == Some(MedicationStatus::Current),
            }
        });
        let mut ferritin: Vec<_> = ferritin.collect();
        ferritin.sort_by_key(|(on, ..)| *on);
        Picture { title, today, severity, ferritin, treatments: treatments.collect() }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::{Value, json};

    use super::*;
    use crate::intake::rls::FilledBy;

    fn told(number: u128, on: Date, answers: Value) -> Told {
        Told {
            id: IntakeId(uuid::Uuid::from_u128(number)),
            at: format!("{on}T12:00:00Z").parse().expect("an instant"),
            on,
            answers: serde_json::from_value(answers).expect("answers"),
            context: Context::new(date(1967, 9, 14), on, FilledBy::Practitioner),
        }
    }

    fn two() -> Vec<Told> {
        vec![
            told(
                2,
                date(2026, 6, 3),
                json!({
                    "irls": {"items": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]},
                    "labs": [{"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2025-05-12"},
                             {"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-05"}],
                    "medications": [{"name": "PRAMIPEXOLE", "status": "stopped", "stopped_on": "2026-01", "started_on": "2021"},
                                    {"name": "gabapentin", "status": "current", "started_on": "2026-01", "for_rls": "yes", "dose": 300, "unit": "mg"}],
                }),
            ),
            told(
                1,
                date(2025, 6, 3),
                json!({
                    "irls": {"items": [3, 3, 2, 3, 2, 3, 4, 2, 2, 2], "irls_assessed_on": "2025-06-01"},
                    "labs": [{"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": "2025-05-12"},
                             {"test": "iron", "value": 60, "unit": "ug/dL", "collected_on": "2025-05-12"},
                             {"test": "tibc", "value": 353, "unit": "ug/dL", "collected_on": "2025-05-12"}],
                    "medications": [{"name": "pramipexole", "status": "current", "started_on": "2021-02", "for_rls": "yes", "response": "good"}],
                }),
            ),
        ]
    }

    #[test]
    fn the_course_tells_each_sample_once_and_each_medicine_with_its_changes() {
        let course = course(PatientId(uuid::Uuid::nil()), two(), &[]);
        let totals: Vec<_> = course.severity.iter().map(|point| (point.on.to_string(), point.irls_total)).collect();
        assert_eq!(totals, [("2025-06-01".to_owned(), Some(26)), ("2026-06-03".to_owned(), Some(10))]);
        let values: Vec<_> =
            course.iron.iter().map(|point| (point.test.as_str(), point.value, point.computed)).collect();
        let expected = [
            ("ferritin", 42.0, false),
            ("tsat", 17.0, true),
            ("iron", 60.0, false),
            ("tibc", 353.0, false),
            ("ferritin", 92.0, false),
        ];
        assert_eq!(values, expected);
        let [pramipexole, gabapentin] = course.medications.as_slice() else { panic!("{:?}", course.medications) };
        assert_eq!(pramipexole.status, Some(MedicationStatus::Stopped));
        assert_eq!(pramipexole.stopped_on.map(|on| on.to_string()), Some("2026-01".into()));
        assert_eq!(pramipexole.class, Some(MedicineClass::Dopaminergic));
        assert_eq!(pramipexole.for_rls, Some(YesNo::Yes));
        assert_eq!(
            pramipexole.reports.iter().map(|report| report.response).collect::<Vec<_>>(),
            [Some(TreatmentResponse::Good), None]
        );
        assert_eq!(gabapentin.reports.len(), 1);
    }

    #[test]
    fn the_picture_shows_what_is_for_restless_legs() {
        let picture = course(PatientId(uuid::Uuid::nil()), two(), &[]).picture("Ann".into(), date(2026, 6, 3));
        assert_eq!(picture.severity.len(), 2);
        assert_eq!(
            picture.ferritin.iter().map(|(on, ..)| on.to_string()).collect::<Vec<_>>(),
            ["2025-05-12", "2026-05-16"]
        );
        let labels: Vec<_> = picture.treatments.iter().map(|bar| bar.label.as_str()).collect();
        assert_eq!(labels, ["PRAMIPEXOLE", "gabapentin 300 mg"]);
    }
}
