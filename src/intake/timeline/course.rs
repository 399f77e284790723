//! Computes a patient's course from the submitted intakes and the laboratory results in between: severity, iron, medicines.

use jiff::civil::Date;
use rls::FormName;
use rls::answers::{
    Answers, Comparator, Lab, LabSource, LabTest, LabUnit, Medication, MedicationStatus, MedicineClass,
    TreatmentResponse, YesNo,
};
use rls::form_dsl::{Integer, PartialDate, normalized_name};
use rls::iron::{Reading, computed_tsat, units};
use rls::lab_levels;
use rls::medicine_names::class_of_name;
use rls::medicines;
use rls::severity::{IrlsBand, irls_band, irls_total};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::db::types;
use crate::ids::{IntakeId, LabResultId, PatientId};
use crate::intake::follow_up::answers::FollowUpAnswers;
use crate::intake::lab_rows::LabResult;

/// The course of a patient.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RlsTimeline, example = json!({
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "severity": [{"on": "2026-06-03", "intake_id": "0199d0c2-1f00-7aaa-8000-000000000009", "form": "rls-history", "irls_total": 26, "irls_band": "severe", "severity_0_10": null}],
    "iron": [{"test": "ferritin", "value": 42.0, "comparator": null, "unit": "ng/mL", "collected_on": "2026-05-12", "source": "lab_report", "computed": false, "intake_id": "0199d0c2-1f00-7aaa-8000-000000000009", "lab_result_id": null}],
    "thresholds": [{"test": "ferritin", "value": 75.0, "unit": "ng/mL"}],
    "medications": [{"name": "pramipexole", "class": "dopaminergic", "started_on": "2021-02", "stopped_on": null, "status": "current", "for_rls": "yes", "role": "treatment",
        "reports": [{"on": "2026-06-03", "intake_id": "0199d0c2-1f00-7aaa-8000-000000000009", "dose": 0.5, "unit": "mg", "frequency": "nightly", "status": "current", "response": "partial"}]}],
    "follow_ups": []
}))]
pub struct Timeline {
    /// The patient.
    pub patient_id: PatientId,
    /// Severity at each intake, oldest first.
    pub severity: Vec<SeverityPoint>,
    /// Iron values and hemoglobin, oldest first. A sample that was reported twice is listed once.
    pub iron: Vec<IronPoint>,
    /// The thresholds of the rules for iron and anemia that apply to the patient today. They are no reference ranges.
    pub thresholds: Vec<TimelineThreshold>,
    /// Medicines by their start, with what each intake reports of them.
    pub medications: Vec<MedicationCourse>,
    /// The answers of the follow-ups, oldest first.
    pub follow_ups: Vec<FollowUpAnswers>,
}

/// A threshold of a laboratory test.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsTimelineThreshold)]
pub struct TimelineThreshold {
    /// The laboratory test.
    pub test: LabTest,
    /// The value.
    pub value: f64,
    /// The unit.
    pub unit: LabUnit,
}

/// What a medicine is for the course.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsTimelineMedicationRole)]
pub enum MedicationRole {
    /// It is or was for restless legs, or its purpose is not known.
    Treatment,
    /// Iron by vein.
    Infusion,
    /// It can cause or worsen restless legs.
    Aggravating,
    /// It is not for restless legs. The picture leaves it out.
    Other,
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
    /// The form of the intake. The picture marks the points of follow-ups.
    #[schema(examples("rls-history"))]
    pub form: String,
    /// The total of the rating scale, 0 to 40. Null unless all ten items are answered.
    #[schema(minimum = 0, maximum = 40)]
    pub irls_total: Option<i64>,
    /// The band of the total. Null without a total, and for minors.
    pub irls_band: Option<IrlsBand>,
    /// How bothersome it is, 0 to 10. The clinic's own question.
    #[schema(minimum = 0, maximum = 10)]
    pub severity_0_10: Option<i64>,
}

/// A laboratory value.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsTimelineIron)]
pub struct IronPoint {
    /// The laboratory test.
    pub test: LabTest,
    /// The value in its unit.
    pub value: f64,
    /// Present if the true value is below or above the given one.
    pub comparator: Option<Comparator>,
    /// The unit.
    pub unit: LabUnit,
    /// The day of the sample, as far as known.
    #[schema(value_type = String, examples("2026-05-12"))]
    pub collected_on: PartialDate,
    /// Where the value comes from.
    pub source: Option<LabSource>,
    /// Whether it was computed from iron and TIBC of one sample instead of reported.
    pub computed: bool,
    /// The intake with the value.
    pub intake_id: Option<IntakeId>,
    /// The laboratory result with the value.
    pub lab_result_id: Option<LabResultId>,
}

/// A medicine over time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RlsTimelineMedication)]
pub struct MedicationCourse {
    /// The name, as the newest intake has it.
    pub name: String,
    /// The class that was entered, else the one in the service's table. Null if neither is known.
    pub class: Option<MedicineClass>,
    /// When it was started, as far as known.
    #[schema(value_type = Option<String>, examples("2021-02"))]
    pub started_on: Option<PartialDate>,
    /// When it was stopped, as far as known.
    #[schema(value_type = Option<String>, examples("2025-08"))]
    pub stopped_on: Option<PartialDate>,
    /// Whether it is taken, from the newest intake that names it.
    pub status: Option<MedicationStatus>,
    /// Whether it is or was for restless legs.
    pub for_rls: Option<YesNo>,
    /// What it is for the course.
    pub role: MedicationRole,
    /// The reports of the intakes, oldest first.
    pub reports: Vec<MedicationReport>,
}

/// What an intake reports of a medicine.
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
    /// How often it was taken.
    pub frequency: Option<String>,
    /// Whether it was taken at the time.
    pub status: Option<MedicationStatus>,
    /// How the restless legs responded.
    pub response: Option<TreatmentResponse>,
}

/// The part of an intake that the timeline shows.
pub struct TimelineIntake {
    pub id: IntakeId,
    pub form: FormName,
    /// When its answers were given.
    pub at: Timestamp,
    /// The day of the answers.
    pub on: Date,
    pub answers: Answers,
    /// What the rules must know beside the answers.
    pub facts: rls::Context,
}

/// Computes the course.
pub fn course(
    patient_id: PatientId,
    mut intakes: Vec<TimelineIntake>,
    results: &[LabResult],
    facts: &rls::Context,
) -> Timeline {
    intakes.sort_by_key(|intake| (intake.at, intake.id));
    let severity = intakes.iter().filter_map(severity).collect();
    let mut iron: Vec<IronPoint> = Vec::new();
    let from_results = results.iter().filter_map(|result| point(&result.lab, None, Some(result.id)));
    let from_intakes = intakes.iter().flat_map(|intake| {
        let labs: Vec<_> = intake.answers.labs().filter_map(|(_, lab)| point(lab, Some(intake.id), None)).collect();
        labs.into_iter().chain(tsat(intake))
    });
    for point in from_results.chain(from_intakes) {
        if !iron.iter().any(|there| same_sample(there, &point)) {
            iron.push(point);
        }
    }
    iron.sort_by_key(|point| (point.collected_on.first(), point.test as u8));
    let mut medications = medications(&intakes);
    medications.sort_by_key(|course| (course.started_on.is_none(), course.started_on.map(PartialDate::first)));
    Timeline {
        patient_id,
        severity,
        iron,
        thresholds: thresholds(intakes.iter().rfind(|intake| intake.form == FormName::History), facts),
        medications,
        follow_ups: Vec::new(),
    }
}

fn severity(intake: &TimelineIntake) -> Option<SeverityPoint> {
    let total = irls_total(&intake.answers);
    let own = intake.answers.symptoms.severity_0_10.map(Integer::get);
    (total.is_some() || own.is_some()).then(|| SeverityPoint {
        on: intake.answers.irls.irls_assessed_on.unwrap_or(intake.on),
        intake_id: intake.id,
        form: intake.form.as_str().to_owned(),
        irls_total: total,
        irls_band: irls_band(total, &intake.facts),
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

fn tsat(intake: &TimelineIntake) -> Vec<IronPoint> {
    let point = |reading: Reading| {
        Some(IronPoint {
            test: LabTest::Tsat,
            value: reading.value,
            comparator: None,
            unit: LabUnit::Percent,
            collected_on: reading.collected_on?,
            source: None,
            computed: true,
            intake_id: Some(intake.id),
            lab_result_id: None,
        })
    };
    computed_tsat(&intake.answers, &intake.facts).into_iter().filter_map(point).collect()
}

fn same_sample(a: &IronPoint, b: &IronPoint) -> bool {
    (a.test, a.unit, a.comparator, a.collected_on, a.computed)
        == (b.test, b.unit, b.comparator, b.collected_on, b.computed)
        && (a.value - b.value).abs() < 1e-9
}

/// Collects the medicines. Two reports are about the same course if the names are equal, ignoring case, and the start dates may be
/// equal: a patient may take a medicine in two periods.
fn medications(intakes: &[TimelineIntake]) -> Vec<MedicationCourse> {
    let mut courses: Vec<(String, MedicationCourse)> = Vec::new();
    for intake in intakes {
        let mut used = Vec::new();
        for (_, medication) in intake.answers.medications() {
            let Some(name) = &medication.name else { continue };
            let key = normalized_name(name.as_str());
            let same = |(at, (of, course)): (usize, &(String, MedicationCourse))| {
                let may_be = match (course.started_on, medication.started_on) {
                    (Some(a), Some(b)) => !a.surely_before(b) && !b.surely_before(a),
                    _ => true,
                };
                (*of == key && may_be && !used.contains(&at)).then_some(at)
            };
            let at = courses.iter().enumerate().find_map(same).unwrap_or_else(|| {
                courses.push((key, empty_course(name.as_str())));
                courses.len() - 1
            });
            used.push(at);
            add_report(&mut courses[at].1, medication, intake);
        }
    }
    courses.into_iter().map(|(_, course)| course).collect()
}

fn empty_course(name: &str) -> MedicationCourse {
    MedicationCourse {
        name: name.to_owned(),
        class: None,
        started_on: None,
        stopped_on: None,
        status: None,
        for_rls: None,
        role: MedicationRole::Treatment,
        reports: Vec::new(),
    }
}

fn add_report(course: &mut MedicationCourse, medication: &Medication, intake: &TimelineIntake) {
    if let Some(name) = &medication.name {
        name.as_str().clone_into(&mut course.name);
    }
    let entered = medication.class.filter(|class| *class != MedicineClass::Unknown);
    course.class = entered.or_else(|| class_of_name(&course.name)).or(course.class);
    course.started_on = medication.started_on.or(course.started_on);
    course.status = medication.status.or(course.status);
    course.stopped_on = match medication.status {
        Some(MedicationStatus::Current) => None,
        _ => medication.stopped_on.or(course.stopped_on),
    };
    course.for_rls = medication.for_rls.or(course.for_rls);
    course.role = role(medication, course.for_rls);
    course.reports.push(MedicationReport {
        on: intake.on,
        intake_id: intake.id,
        dose: medication.dose.as_ref().map(rls::form_dsl::Decimal::get),
        unit: medication.unit.map(|unit| unit.as_str().to_owned()),
        frequency: medication.frequency.as_ref().map(|text| text.as_str().to_owned()),
        status: medication.status,
        response: medication.response,
    });
}

fn role(medication: &Medication, for_rls: Option<YesNo>) -> MedicationRole {
    let classes: Vec<_> = medicines::classes(medication).collect();
    if classes.contains(&MedicineClass::IronIv) {
        MedicationRole::Infusion
    } else if classes.iter().any(|class| medicines::AGGRAVATORS.contains(class)) {
        MedicationRole::Aggravating
    } else if for_rls == Some(YesNo::No) {
        MedicationRole::Other
    } else {
        MedicationRole::Treatment
    }
}

/// Returns the thresholds for the newest history. A follow-up does not ask what they depend on.
fn thresholds(newest: Option<&TimelineIntake>, facts: &rls::Context) -> Vec<TimelineThreshold> {
    let blank = Answers::default();
    let answers = newest.map_or(&blank, |intake| &intake.answers);
    let unit = |test| units(test).first().map(|(unit, ..)| *unit);
    let all = lab_levels::thresholds(answers, facts).into_iter();
    all.filter_map(|one| Some(TimelineThreshold { test: one.test, value: one.value, unit: unit(one.test)? })).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::{Value, json};

    use super::*;
    use rls::FilledBy;

    fn intake(number: u128, on: Date, answers: Value) -> TimelineIntake {
        TimelineIntake {
            id: IntakeId(uuid::Uuid::from_u128(number)),
            form: FormName::History,
            at: format!("{on}T12:00:00Z").parse().expect("an instant"),
            on,
            answers: serde_json::from_value(answers).expect("answers"),
            facts: rls::Context::new(date(1967, 9, 14), on, FilledBy::Practitioner),
        }
    }

    fn two() -> Vec<TimelineIntake> {
        vec![
            intake(
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
            intake(
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
    fn the_course_lists_each_sample_once_and_each_medicine_with_its_changes() {
        let course = course(PatientId(uuid::Uuid::nil()), two(), &[], &two()[0].facts);
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
    fn the_course_has_the_thresholds_that_apply_and_says_what_each_medicine_is() {
        use MedicationRole::{Aggravating, Infusion, Other, Treatment};
        let facts = rls::Context::new(date(1967, 9, 14), date(2026, 6, 3), FilledBy::Practitioner);
        let with = |medications: Value, risk: Value| {
            let answers = json!({"medications": medications, "risk": risk});
            course(PatientId(uuid::Uuid::nil()), vec![intake(1, date(2026, 6, 3), answers)], &[], &facts)
        };
        let all = with(
            json!([
                {"name": "gabapentin"}, {"name": "Injectafer"}, {"name": "Benadryl", "for_rls": "no"}, {"name": "amlodipine", "for_rls": "no"},
            ]),
            json!({}),
        );
        let roles: Vec<_> = all.medications.iter().map(|one| one.role).collect();
        assert_eq!(roles, [Treatment, Infusion, Aggravating, Other]);
        let values =
            |course: &Timeline| -> Vec<String> { course.thresholds.iter().map(|one| one.value.to_string()).collect() };
        assert_eq!(values(&all), ["75", "100", "20", "8"]);
        assert_eq!(values(&with(json!([]), json!({"dialysis": "yes"}))), ["200", "20", "8"]);
    }
}
