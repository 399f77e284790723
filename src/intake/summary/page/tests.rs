use rls::answers::{AllergiesStatus, ChangeSinceVisit, MedicationsStatus, SideEffect, YesNo};
use rls::criteria::ClinicalSignificance;
use rls::guideline::hints;
use rls::iron::IronDoubt;
use rls::severity::{AugmentationFeatures, IrlsBand, IsiBand};
use rls::{Answers, Context, FilledBy, Review, compute, factors, parse, parse_lab};
use serde_json::{Value, json};

use super::*;
use crate::db::types;
use crate::ids::{IntakeFlagId, IntakeId};
use crate::intake::follow_up::answers::FollowUpAnswers;
use crate::intake::model::{FlagUrgency, IntakeStatus};
use crate::intake::summary::answer_text::{AnswerText, AnswerTextSection};
use crate::intake::summary::changes::SummaryPrevious;
use crate::intake::summary::clinical::{
    SummaryContributor, SummaryFlag, SummaryIron, SummaryIronMonitoring, SummaryPatient, SummarySeverity, test,
};
use crate::intake::summary::follow_up::FollowUpSummary;
use crate::intake::summary::labs::labs;
use crate::intake::summary::named_answers::{augmentation, urges};
use crate::intake::summary::safety_history::{SummaryAllergy, SummarySafety};
use crate::intake::summary::treatments::{TreatmentChange, treatments};
use crate::template_branches::Branches;

/// A patient born 1967-09-14 who answers on 2026-06-04.
fn adult() -> Context {
    Context::new(jiff::civil::date(1967, 9, 14), jiff::civil::date(2026, 6, 4), FilledBy::Patient)
}

fn answers(value: &Value) -> Answers {
    parse(value, "").unwrap_or_else(|error| panic!("{error}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn said(answer: &str) -> AnswerText {
    AnswerText { field: "risk.ckd".into(), question: "Chronic kidney disease".into(), answer: answer.into() }
}

fn section(answers: &[&str]) -> AnswerTextSection {
    AnswerTextSection {
        section: "risk".into(),
        title: "Risk".into(),
        items: answers.iter().map(|answer| said(answer)).collect(),
    }
}

/// A summary in which everything that may be missing is.
fn bare() -> ClinicalSummary {
    let computed = compute(&answers(&json!({})), &adult());
    ClinicalSummary {
        intake_id: IntakeId(uuid::Uuid::nil()),
        heading: None,
        status: IntakeStatus::Completed,
        as_of: types::Date(jiff::civil::date(2026, 6, 4)),
        patient: SummaryPatient {
            display_name: "Ann Example".into(),
            mrn: "LW-001001".into(),
            date_of_birth: types::Date(jiff::civil::date(1967, 9, 14)),
            age: 58,
            preferred_language: "en".into(),
            interpreter_needed: false,
        },
        authored_at: at("2026-03-02T14:00:00Z"),
        submitted_at: None,
        opening: "58-year-old woman.".into(),
        safety: SummarySafety::default(),
        previous: None,
        flags: vec![],
        open_flags_elsewhere: vec![],
        criteria: computed.criteria,
        screening_result: computed.screening_result,
        irlssg_criteria_met: None,
        severity: SummarySeverity {
            irls_total: None,
            irls_band: None,
            severity_0_10: None,
            clinical_course: computed.clinical_course,
            clinical_significance: computed.clinical_significance,
            days_per_week_untreated: None,
            days_per_week_treated: None,
            ess_total: None,
            ess_above_10: None,
            isi_total: None,
            isi_band: None,
        },
        contributors: vec![],
        iron: SummaryIron {
            iron_review_band: computed.iron_review_band,
            tsat_percent: None,
            doubts: vec![],
            monitoring: vec![],
        },
        labs: vec![],
        tests: vec![],
        medications_status: None,
        treatments: vec![],
        trimester: None,
        onset_hours_earlier: None,
        augmentation_features: None,
        augmentation: None,
        urges: None,
        guideline_hints: vec![],
        more: vec![],
        not_known: vec![],
        open_questions: 0,
        unanswered: vec![],
        follow_ups: vec![],
        review: None,
        reviewed_at: None,
        disclaimer: "Not a diagnosis.".into(),
        form_version: "1.0.0".into(),
        rule_set_version: "1".into(),
    }
}

/// Follow-ups with and without what may be missing.
fn follow_ups() -> Vec<FollowUpAnswers> {
    let bare = FollowUpAnswers {
        on: jiff::civil::date(2026, 4, 1),
        intake_id: IntakeId(uuid::Uuid::nil()),
        change: None,
        severity_0_10: None,
        days_per_week_treated: None,
        usual_onset_time: None,
        augmentation: None,
        urges: None,
        has_side_effects: None,
        side_effects: vec![],
    };
    let full = FollowUpAnswers {
        change: Some(ChangeSinceVisit::MuchWorse),
        severity_0_10: Some(8),
        days_per_week_treated: Some(2.5),
        usual_onset_time: "19:00".parse().ok(),
        augmentation: Some(YesNo::Yes),
        urges: Some(YesNo::PreferNotToSay),
        has_side_effects: Some(YesNo::Yes),
        side_effects: vec![SideEffect::Nausea, SideEffect::SleepAttacks],
        ..bare.clone()
    };
    [vec![full; 4], vec![bare; 3]].concat()
}

fn follow_up() -> FollowUpSummary {
    let ClinicalSummary { intake_id, as_of, patient, authored_at, disclaimer, form_version, rule_set_version, .. } =
        bare();
    FollowUpSummary {
        intake_id,
        status: IntakeStatus::Completed,
        as_of,
        patient,
        authored_at,
        flags: vec![],
        open_flags_elsewhere: vec![],
        follow_ups: vec![],
        review: None,
        reviewed_at: None,
        disclaimer,
        form_version,
        rule_set_version,
    }
}

fn iron(name: &str, due_on: Option<jiff::civil::Date>, ferritin_since: bool, due: bool) -> SummaryIronMonitoring {
    SummaryIronMonitoring { name: name.into(), due_on: due_on.map(types::Date), ferritin_since, due }
}

fn before(changes: &[&str], plan: Option<&str>, recheck: bool) -> SummaryPrevious {
    SummaryPrevious {
        intake_id: IntakeId(uuid::Uuid::nil()),
        authored_at: at("2026-01-01T14:00:00Z"),
        irls_total: Some(30),
        severity_0_10: None,
        plan_note: plan.map(str::to_owned),
        recheck_on: recheck.then(|| types::Date(jiff::civil::date(2026, 5, 1))),
        changes: changes.iter().map(|change| (*change).to_owned()).collect(),
    }
}

fn review(review: &Value) -> Review {
    Review::parse(review, "", &adult()).expect("a review")
}

/// A summary that has everything, of what comes in lists with and without what may be missing.
#[allow(clippy::too_many_lines, reason = "one summary with every part")]
fn full() -> ClinicalSummary {
    let flag = |withdrawn_at: Option<Timestamp>, acknowledged_at: Option<Timestamp>| SummaryFlag {
        id: IntakeFlagId(uuid::Uuid::nil()),
        rule: "impulse_behavior".into(),
        urgency: FlagUrgency::SameDay,
        text: "Look at this.".into(),
        because: if withdrawn_at.is_none() { vec![said("Yes"), said("Yes")] } else { vec![] },
        rule_version: None,
        source: None,
        strength: None,
        settled_by_review: acknowledged_at.is_some(),
        raised_at: at("2026-03-04T13:00:00Z"),
        withdrawn_at,
        acknowledged_at,
    };
    let contributor = |because: &[&str], confirmed| SummaryContributor {
        factor: factors::Factor::Genetics,
        because: because.iter().map(|answer| said(answer)).collect(),
        confirmed,
    };
    let lab = |test: &str, more: Value| {
        let mut lab = json!({"test": test, "value": 42, "unit": "ng/mL"});
        lab.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        lab
    };
    let mut all_labs = vec![
        lab("ferritin", json!({"comparator": "<", "collected_on": "2026-05-12", "source": "lab_report"})),
        lab("ferritin", json!({"collected_on": "2026-06-03", "source": "patient_reported"})),
        lab("ferritin", json!({})),
        json!({"test": "tsat", "value": 50, "unit": "%"}),
        json!({"test": "hemoglobin", "value": 12, "unit": "g/dL"}),
        json!({"test": "iron", "value": 60, "unit": "ug/dL", "collected_on": "2024-05-12", "source": "lab_report"}),
        json!({"test": "tibc", "value": 353, "unit": "ug/dL", "collected_on": "2024-05-12"}),
    ];
    all_labs.extend((1..=6).map(|month| lab("ferritin", json!({"collected_on": format!("2025-0{month}")}))));
    let mut medicines = vec![
        json!({"name": "pramipexole", "class": "dopaminergic", "dose": 0.5, "unit": "mg", "started_on": "2021-02", "status": "current",
            "for_rls": "yes", "response": "partial", "side_effects": ["nausea", "compulsive_behavior"]}),
        json!({"name": "something", "status": "stopped", "stopped_on": "2020", "for_rls": "no", "stop_reason": "It did not help."}),
        json!({"name": "ropinirole", "status": "stopped", "side_effects": ["nausea"], "stop_reason": "Sick."}),
        json!({"name": "diphenhydramine", "status": "current"}),
    ];
    medicines.extend((0..12).map(|number| json!({"name": format!("medicine {number}")})));
    let given = answers(&json!({
        "labs": all_labs, "medications_status": "listed", "medications": medicines,
        "augmentation": {"earlier_onset": "yes", "dose_increase_worsened": "no"}, "impulse_control": {"shopping": "yes"},
        "venous": {"diagnostic_tests": [
            {"test": "venous_duplex", "date": "2026-02", "result_source": "clinician", "result": "Reflux of the left great saphenous vein."},
            {},
        ]},
    }));
    let entered = parse_lab(
        &json!({"test": "ferritin", "value": 92, "unit": "ng/mL", "collected_on": "2026-06-02", "source": "lab_report"}),
        "",
        &adult(),
    );
    let facts = Context { entered_labs: vec![entered.expect("a result")], ..adult() };
    let labs = labs(&given, &facts, Some(jiff::civil::date(2026, 1, 1)));
    let mut treatments = treatments(&given, None);
    treatments[0].change = Some(TreatmentChange::Stopped);
    ClinicalSummary {
        heading: Some("Amended".into()),
        patient: SummaryPatient { interpreter_needed: true, ..bare().patient },
        submitted_at: Some(at("2026-03-03T14:00:00Z")),
        safety: SummarySafety {
            allergies_status: Some(AllergiesStatus::Listed),
            allergies: vec![
                SummaryAllergy { substance: "iron dextran".into(), reaction: Some("hives".into()) },
                SummaryAllergy { substance: "latex".into(), reaction: None },
            ],
            reported: vec!["Deep vein thrombosis (2011, right)".into(), "Sleep apnea".into()],
            denied: vec!["Anticoagulant".into()],
            not_known: vec!["Chronic lung disease".into()],
        },
        previous: Some(before(&["started gabapentin 600 mg"], Some("Iron."), true)),
        flags: vec![
            flag(None, None),
            flag(None, Some(at("2026-03-04T15:00:00Z"))),
            flag(Some(at("2026-03-04T14:00:00Z")), None),
            flag(Some(at("2026-03-04T14:00:00Z")), Some(at("2026-03-04T15:00:00Z"))),
        ],
        open_flags_elsewhere: vec![flag(None, None)],
        irlssg_criteria_met: Some(true),
        severity: SummarySeverity {
            irls_total: Some(26),
            irls_band: Some(IrlsBand::Severe),
            severity_0_10: Some(7),
            days_per_week_untreated: Some(6.0),
            days_per_week_treated: Some(2.5),
            ess_total: Some(11),
            ess_above_10: Some(true),
            isi_total: Some(19),
            isi_band: Some(IsiBand::UpTo21),
            ..bare().severity
        },
        contributors: vec![contributor(&["Yes", "Since 2019"], Some(true)), contributor(&["Yes"], Some(false))],
        iron: SummaryIron {
            tsat_percent: Some(17.0),
            doubts: vec![IronDoubt::NotIronFree, IronDoubt::Inflammation],
            monitoring: vec![
                iron("Injectafer", Some(jiff::civil::date(2026, 5, 1)), true, false),
                iron("ferrous sulfate", Some(jiff::civil::date(2026, 5, 1)), false, true),
                iron("Feraheme", Some(jiff::civil::date(2026, 8, 1)), false, false),
                iron("iron", None, false, false),
                iron("Tardyferon", Some(jiff::civil::date(2026, 5, 1)), true, true),
                iron("Monofer", None, true, false),
            ],
            ..bare().iron
        },
        labs,
        tests: given.venous.diagnostic_tests.iter().flatten().map(test).collect(),
        treatments,
        trimester: Some(3),
        onset_hours_earlier: Some(5.5),
        augmentation_features: Some(AugmentationFeatures { yes: 1, no: 2, unknown: 3 }),
        augmentation: augmentation(&given),
        urges: urges(&given),
        guideline_hints: hints(&given, &compute(&given, &adult()), &adult()),
        more: vec![section(&["Yes", "No"]), section(&["Yes"])],
        not_known: vec![section(&["I don't know", "Not asked"]), section(&["I don't know"])],
        open_questions: 1,
        unanswered: vec!["Medicines".into()],
        follow_ups: follow_ups(),
        review: Some(review(&json!({
            "mimic_review": "not_solely_explained", "plan_note": "Iron.", "recheck_on": "2026-09-01",
            "ceap": [{"limb": "left", "class": "C2r", "suffix": "s"}, {"limb": "right", "class": "C0"}],
        }))),
        reviewed_at: Some(at("2026-03-05T14:00:00Z")),
        ..bare()
    }
}

/// Between the two: parts without what belongs to them.
fn mixed() -> ClinicalSummary {
    ClinicalSummary {
        submitted_at: Some(bare().authored_at),
        irlssg_criteria_met: Some(false),
        severity: SummarySeverity {
            irls_total: Some(0),
            ess_total: Some(3),
            ess_above_10: Some(false),
            days_per_week_untreated: Some(1.0),
            ..bare().severity
        },
        previous: Some(before(&[], Some("Wait."), false)),
        labs: vec![],
        onset_hours_earlier: None,
        open_questions: 2,
        unanswered: vec!["Medicines".into(), "Impact".into()],
        review: Some(review(&json!({"mimic_review": "not_reviewed"}))),
        reviewed_at: Some(at("2026-03-05T14:00:00Z")),
        ..full()
    }
}

fn plain(language: &str, sections: Vec<AnswerTextSection>) -> PlainSummary {
    PlainSummary {
        intake_id: IntakeId(uuid::Uuid::nil()),
        status: IntakeStatus::Completed,
        language: language.into(),
        authored_at: at("2026-03-02T14:00:00Z"),
        sentences: sections.iter().map(|section| section.title.clone()).collect(),
        sections,
        disclaimer: "Not a diagnosis.".into(),
    }
}

fn with_frame<T>(work: impl Fn(&Frame<'_>) -> T) -> T {
    let zone = crate::zones::Zones::bundled().get("America/New_York").expect("a zone");
    work(&Frame { clinic: "Clinic on Elm", zone: &zone, now: at("2026-06-04T14:00:00Z"), links: &[] })
}

#[test]
fn links_stand_above_both_pages_for_practitioners_and_nowhere_without_them() {
    let links = [PageLink { address: "../x?a=1&lang=es".into(), text: "Mi día", language: "es" }];
    with_frame(|frame| {
        assert!(!clinical_page(&bare(), frame).expect("a page").contains("<nav>"));
        let frame = Frame { links: &links, ..*frame };
        for page in [clinical_page(&bare(), &frame), follow_up_page(&follow_up(), &frame)] {
            let page = page.expect("a page");
            let link = "<nav><a href=\"..&#x2f;x?a=1&amp;lang=es\" lang=\"es\">Mi día</a></nav>";
            assert!(page.contains(link), "{link} in {page}");
        }
    });
}

#[test]
fn every_branch_of_the_page_for_practitioners_renders() {
    let mut branches = Branches::default();
    let template = branches.mark(CLINICAL.0, CLINICAL.1);
    let minimal = SummaryPrevious { plan_note: None, ..before(&[], None, false) };
    let treated = SummarySeverity {
        severity_0_10: Some(4),
        days_per_week_treated: Some(2.0),
        isi_total: Some(5),
        clinical_significance: ClinicalSignificance::Reported,
        ..bare().severity
    };
    let little = SummarySeverity { clinical_significance: ClinicalSignificance::NotReported, ..bare().severity };
    let alone = ClinicalSummary {
        previous: Some(minimal),
        severity: treated,
        medications_status: Some(MedicationsStatus::None),
        safety: SummarySafety { allergies_status: Some(AllergiesStatus::None), ..SummarySafety::default() },
        ..bare()
    };
    let unsure = ClinicalSummary {
        medications_status: Some(MedicationsStatus::Unknown),
        safety: SummarySafety { allergies_status: Some(AllergiesStatus::Unknown), ..SummarySafety::default() },
        severity: little,
        ..bare()
    };
    for summary in [bare(), full(), mixed(), alone, unsure] {
        branches.rendered(&with_frame(|frame| {
            render((CLINICAL.0, &template), &summary, Language::English, frame).expect("a page")
        }));
    }
    branches.assert_all_rendered();
}

#[test]
fn the_page_for_practitioners_names_reasons_medicines_and_denied_answers_in_short() {
    let one = |field: &str, question: &str, answer: &str| AnswerText {
        field: field.into(),
        question: question.into(),
        answer: answer.into(),
    };
    let mut summary = full();
    summary.flags[0].because =
        vec![one("risk.sleep_apnea", "Sleep apnea", "Yes"), one("medications.3", "Medicines", "Percocet 5/325")];
    summary.contributors[0].because = vec![
        one("labs", "Results", "see the list"),
        one("risk.diabetes_type", "Diabetes", "Type 2"),
        one("risk.family_history_rls", "RLS in a blood relative", "Yes"),
    ];
    summary.more[0].items = vec![
        one("mimics.arthritis", "Arthritis", "No"),
        one("symptoms.usual_onset_time", "Time of onset", "20:30"),
        one("mimics.leg_cramps", "Leg cramps", "Yes"),
        one("mimics.myalgia", "Muscle pain", "No"),
    ];
    let page = with_frame(|frame| clinical_page(&summary, frame).expect("a page"));
    for part in [
        "(Sleep apnea, Percocet 5&#x2f;325)",
        "family history: Laboratory values, Diabetes: Type 2, RLS in a blood relative",
        "ferritin was due on May 1, 2026",
        "Time of onset: 20:30 · Yes: Leg cramps · No: Arthritis, Muscle pain",
        "medicine 10 <strong>(not recognised: check)</strong>, medicine 11 <strong>(not recognised: check)</strong>.",
        "yes: Earlier onset · no: Worse with a higher dose · not known: Stronger symptoms, Spread to other parts of the body, Sooner at rest",
        "yes: Shopping, urges as a side effect of pramipexole · not known: Gambling, Eating, Sexual urges, Hobbies or punding, Sleep attacks",
        "It did not help.",
        "Suggests against the standard use of pramipexole (conditional, moderate certainty, taken now)",
        "can aggravate RLS",
        "<span class=\"mark\">stopped</span>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn every_branch_of_the_page_of_a_follow_up_renders() {
    let mut branches = Branches::default();
    let template = branches.mark(FOLLOW_UP.0, FOLLOW_UP.1);
    let ClinicalSummary { flags, review, reviewed_at, patient, .. } = full();
    let full = FollowUpSummary {
        status: IntakeStatus::Amended,
        patient,
        flags,
        open_flags_elsewhere: full().open_flags_elsewhere,
        follow_ups: follow_ups(),
        review,
        reviewed_at,
        ..follow_up()
    };
    let mixed = FollowUpSummary { review: mixed().review, reviewed_at, ..follow_up() };
    for summary in [follow_up(), full, mixed] {
        branches.rendered(&with_frame(|frame| {
            render((FOLLOW_UP.0, &template), &summary, Language::English, frame).expect("a page")
        }));
    }
    branches.assert_all_rendered();
}

#[test]
fn both_pages_for_practitioners_show_the_answers_of_follow_ups_in_words() {
    let summary = FollowUpSummary { follow_ups: follow_ups(), ..follow_up() };
    let pages = [
        with_frame(|frame| clinical_page(&full(), frame).expect("a page")),
        with_frame(|frame| follow_up_page(&summary, frame).expect("a page")),
    ];
    for page in pages {
        for part in [
            "Apr 1, 2026",
            "Much worse",
            "8 of 10",
            "\"Days a week\">2.5</td>",
            "19:00",
            "I prefer not to say",
            "Nausea, Falling asleep without warning",
            "not asked",
            "and 1 earlier",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}

#[test]
fn every_branch_of_the_page_for_patients_renders() {
    let mut branches = Branches::default();
    let template = branches.mark(PLAIN.0, PLAIN.1);
    for summary in [plain("en", vec![]), plain("es", vec![section(&["Sí"])])] {
        branches.rendered(&with_frame(|frame| {
            render((PLAIN.0, &template), &summary, Language::of_tag(&summary.language), frame).expect("a page")
        }));
    }
    branches.assert_all_rendered();
}

#[test]
fn the_page_for_practitioners_has_the_day_of_ages_and_whole_results() {
    let mut summary = full();
    let result = "The report. ".repeat(150);
    summary.tests[0].result = Some(result.clone());
    let page = with_frame(|frame| clinical_page(&summary, frame).expect("a page"));
    for part in [
        "answered Mar 2, 2026, 9:00 AM",
        "ages as of Jun 4, 2026",
        "58 years",
        "Jun 3, 2026, 1 day ago",
        result.as_str(),
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
}

#[test]
fn the_page_for_patients_has_the_day_of_the_answers() {
    for (language, day) in [("en", "Monday, March 2, 2026"), ("es", "lunes, 2 de marzo de 2026")] {
        let page = with_frame(|frame| plain_page(&plain(language, vec![]), frame).expect("a page"));
        assert!(page.contains(day), "{page}");
    }
}

#[test]
fn urgent_flags_of_other_forms_stand_above_the_routine_flags_of_this_one() {
    let mut summary = full();
    summary.flags.truncate(1);
    summary.flags[0].urgency = FlagUrgency::Routine;
    let page = with_frame(|frame| clinical_page(&summary, frame).expect("a page"));
    let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part} in {page}"));
    assert!(place("another form, raised Mar 4, 2026") < place("<p class=\"flag routine\">"));
}

#[test]
fn a_year_that_start_and_end_share_is_written_once() {
    for (start, end, short) in [
        ("May 3, 2026", "May 10, 2026", "May 3"),
        ("May 2026", "Aug 2026", "May"),
        ("May 2025", "Aug 2026", "May 2025"),
        ("2026", "Aug 2026", "2026"),
    ] {
        assert_eq!(without_year_of(start, end), short);
    }
}
