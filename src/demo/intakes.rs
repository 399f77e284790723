//! The demo's intakes: from a first draft to a course of treatment over months, and from typical to urgent answers.

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rls::FormName;
use rls::answers::Lab;
use serde_json::{Value, json};

use crate::actor::{Actor, Role};
use crate::audit_context::AuditContext;
use crate::clock::Clock;
use crate::context::Tx;
use crate::db::{Conn, types};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::IfMatch;
use crate::ids::{IntakeId, PatientId, PractitionerId, UserId};
use crate::intake::follow_up::FollowUpReason;
use crate::intake::follow_up::planning::{self, NewFollowUp};
use crate::intake::lab_corrections::{self, Change};
use crate::intake::place_of_care::PlaceOfCare;
use crate::intake::{drafts, labs, review as reviews, submission};
use crate::patients::model::Patient;
use crate::patients::store as records;

/// The staff who fill in the demo's intakes.
pub(super) struct DemoStaff {
    /// The practitioner's account.
    pub doctor: UserId,
    pub practitioner: Option<PractitionerId>,
    /// The front desk's account.
    pub desk: UserId,
}

impl DemoStaff {
    fn doctor(&self) -> Actor {
        let role = Role::Practitioner;
        // Not all of them are this practitioner's patients.
        let access_reason = Some("To fill the demo in".to_owned());
        Actor { practitioner_id: self.practitioner, access_reason, ..actor(self.doctor, role) }
    }

    fn desk(&self) -> Actor {
        actor(self.desk, Role::FrontDesk)
    }
}

fn actor(user_id: UserId, role: Role) -> Actor {
    let audit = AuditContext::of_command("demo");
    audit.note_actor(user_id, Some(role));
    Actor::without_session(user_id, role, audit)
}

/// The environment this many days ago.
fn past(env: &Env, days: i64) -> Env {
    let then = env.now().minus(SignedDuration::from_hours(24 * days));
    Env { clock: Clock::manual(then), ..env.clone() }
}

/// The day some days ago, in the demo's westernmost time zone: the forms reject days that are still to come at the patient's location.
fn day(env: &Env, days: i64) -> Date {
    let zone = env.config.zones.get("America/Denver").unwrap_or(TimeZone::UTC);
    past(env, days).now().in_zone(&zone).date()
}

fn month(env: &Env, days: i64) -> String {
    day(env, days).strftime("%Y-%m").to_string()
}

/// Creates the intakes of the demo's patients, in the order in which the demo lists them.
pub(super) fn fill(tx: &mut Conn, env: &Env, staff: &DemoStaff, patients: &[PatientId]) -> Result<()> {
    let [ann, bernard, zoe, soren, priya, lev] = patients else {
        return Err(Error::fault("the demo has six patients"));
    };
    // A new actor for each operation, because an audit context belongs to one request.
    let doctor = || staff.doctor();
    let (then, lately) = (past(env, 240), past(env, 4));

    // A long course with a dopamine agonist, reviewed; then iron, a change of medicine, and fewer symptoms.
    let first = submit(tx, &then, &doctor(), *ann, &long_course(env))?;
    review(
        tx,
        &past(env, 238),
        &doctor(),
        first,
        json!({
            "mimic_review": "not_solely_explained",
            "ceap": [{"limb": "left", "class": "C2", "suffix": "s", "date": day(env, 238)}],
            "contributors_confirmed": ["iron_deficiency", "genetics"],
            "plan_note": "Intravenous iron; change from pramipexole to gabapentin over weeks. Stockings for the left leg.",
            "recheck_on": day(env, 120),
        }),
    )?;
    for (days, test, value, unit) in
        [(170, "ferritin", 58, "ng/mL"), (170, "tsat", 24, "%"), (95, "ferritin", 96, "ng/mL"), (95, "tsat", 31, "%")]
    {
        let lab =
            json!({"test": test, "value": value, "unit": unit, "collected_on": day(env, days), "source": "lab_report"});
        let (then, doctor) = (past(env, days - 2), doctor());
        let tx = &mut Tx::new(tx, &then, &doctor, &doctor.audit);
        let patient = records::visible(tx.conn, tx.env, tx.actor, *ann)?;
        enter(tx, &patient, &lab)?;
    }
    submit(tx, &lately, &doctor(), *ann, &after_treatment(env))?;

    // Follow-ups after the change of treatment: first a side effect, then better.
    for (days, severity, change, effects) in [(182, 6, "same", json!(["sedation"])), (154, 3, "better", json!([]))] {
        let has_effects = if effects == json!([]) { "no" } else { "yes" };
        let mut given = json!({
            "symptoms": {"severity_0_10": severity, "days_per_week_treated": 2, "usual_onset_time": "21:00"},
            "follow_up": {"change": change, "augmentation": "no", "urges": "no", "has_side_effects": has_effects},
        });
        if has_effects == "yes" {
            given["follow_up"]["side_effects"] = effects;
        }
        answer(tx, &past(env, days), &doctor(), *ann, FormName::FollowUp, &given)?;
    }

    // Varicose veins and an urgent ulcer; kidney disease; not all features of restless legs.
    submit(tx, &past(env, 1), &doctor(), *bernard, &veins_and_kidneys(env))?;

    // Third trimester, in Spanish; reviewed.
    let pregnant = submit(tx, &past(env, 9), &doctor(), *zoe, &pregnancy())?;
    review(
        tx,
        &past(env, 7),
        &doctor(),
        pregnant,
        json!({
            "mimic_review": "not_solely_explained", "contributors_confirmed": ["pregnancy"],
            "plan_note": "Ferritin and blood count now; movement and stockings; look again after the birth.",
        }),
    )?;

    // An unfinished draft with an open question.
    let (then, desk) = (past(env, 2), staff.desk());
    let tx_of_desk = &mut Tx::new(tx, &then, &desk, &desk.audit);
    let draft = drafts::insert(tx_of_desk, *soren, FormName::History, None)?.intake.id;
    let answers = json!({
        "safety": {"chest_pain_breathlessness": "no", "sudden_cold_pale_leg": "no", "acute_unilateral_leg_symptoms": "unknown"},
        "symptoms": {"urge_to_move_legs": "yes", "worse_at_rest": "yes"},
    });
    drafts::update(tx_of_desk, draft, &IfMatch::any(), &answers)?;

    // Young, low iron, mild and rare symptoms. The ferritin under iron came due since.
    submit(tx, &past(env, 12), &doctor(), *priya, &intermittent(env))?;

    // Worse since, by telephone.
    let worse = json!({
        "symptoms": {"severity_0_10": 6, "days_per_week_treated": 3, "usual_onset_time": "19:30"},
        "follow_up": {"change": "worse", "augmentation": "yes", "urges": "no", "has_side_effects": "no"},
    });
    answer(tx, &past(env, 2), &staff.desk(), *priya, FormName::FollowUp, &worse)?;

    // Is asked today.
    let desk = staff.desk();
    let tx_of_desk = &mut Tx::new(tx, env, &desk, &desk.audit);
    let today = PlaceOfCare::load(tx_of_desk, *zoe)?.day(tx_of_desk.now)?;
    let due = NewFollowUp { reason: FollowUpReason::Other, due_on: Some(types::Date(today)) };
    planning::insert_new(tx_of_desk, *zoe, due)?;

    // Recorded at the desk by telephone. Most questions were not asked.
    let brief = json!({
        "safety": no_urgent_problems(),
        "symptoms": {"urge_to_move_legs": "yes", "relief_with_movement": "no", "relief_previously_present": "unknown", "impact_level": "mild"},
        "medications_status": "unknown", "allergies_status": "unknown",
    });
    submit(tx, &past(env, 3), &staff.desk(), *lev, &brief)?;
    Ok(())
}

/// Enters a result. A ferritin of 96 is first entered as 69 and then corrected.
fn enter(tx: &mut Tx, patient: &Patient, lab: &Value) -> Result<()> {
    let parsed = |lab: &Value| serde_json::from_value::<Lab>(lab.clone()).map_err(|_| Error::fault("a demo result"));
    if lab["value"] != 96 {
        labs::insert(tx, patient, &parsed(lab)?)?;
        return Ok(());
    }
    let mut swapped = lab.clone();
    swapped["value"] = 69.into();
    let id = labs::insert(tx, patient, &parsed(&swapped)?)?.id;
    let change = Change { lab: Some(&parsed(lab)?), reason: "The digits were swapped." };
    lab_corrections::replace(tx, patient, id, &IfMatch::any(), &change)?;
    Ok(())
}

fn submit(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId, answers: &Value) -> Result<IntakeId> {
    answer(conn, env, actor, patient, FormName::History, answers)
}

fn answer(
    conn: &mut Conn,
    env: &Env,
    actor: &Actor,
    patient: PatientId,
    form: FormName,
    answers: &Value,
) -> Result<IntakeId> {
    let tx = &mut Tx::new(conn, env, actor, &actor.audit);
    let id = drafts::insert(tx, patient, form, None)?.intake.id;
    drafts::update(tx, id, &IfMatch::any(), answers)?;
    submission::complete(tx, id, &IfMatch::any())?;
    Ok(id)
}

fn review(conn: &mut Conn, env: &Env, actor: &Actor, id: IntakeId, review: Value) -> Result<()> {
    reviews::store_review(&mut Tx::new(conn, env, actor, &actor.audit), id, &IfMatch::any(), &review)?;
    Ok(())
}

/// Safety questions of a patient without urgent problems.
fn no_urgent_problems() -> Value {
    json!({
        "chest_pain_breathlessness": "no", "sudden_cold_pale_leg": "no", "new_weakness_saddle_bladder_bowel": "no",
        "acute_unilateral_leg_symptoms": "no", "bleeding_vein": "no", "spreading_hot_redness": "no",
        "open_leg_ulcer": "no", "self_harm_thoughts": "no",
    })
}

/// The four features, as most patients describe them.
fn typical(days: f64, onset: &str, impact: &str, bothersome: u8) -> Value {
    json!({
        "severity_0_10": bothersome,
        "urge_to_move_legs": "yes", "sensations": ["crawling", "tingling"], "body_sites": ["both_legs"],
        "worse_at_rest": "yes", "relief_with_movement": "yes", "worse_evening_or_night": "yes",
        "symptom_onset_date": onset, "days_per_week_untreated": days, "usual_onset_time": "20:30",
        "impact_level": impact, "impact_domains": ["sleep", "mood"],
    })
}

fn scale(env: &Env, days: i64, items: [u8; 10]) -> Value {
    json!({"irls_recall_days": 7, "irls_mode": "clinician_administered", "irls_assessed_on": day(env, days), "items": items})
}

fn long_course(env: &Env) -> Value {
    let drawn = day(env, 262);
    json!({
        "safety": no_urgent_problems(),
        "symptoms": typical(6.0, "2009", "moderate", 8),
        "irls": scale(env, 240, [3, 3, 2, 3, 2, 3, 4, 2, 2, 2]),
        "mimics": {"leg_cramps": "yes", "positional_discomfort": "no", "arthritis": "unknown", "leg_edema": "no"},
        "venous": {"varicose_veins": "yes", "varicose_laterality": "left", "dvt_ever": "no", "anticoagulant_use": "no",
            "claudication_or_pad": "no"},
        "risk": {"family_history_rls": "yes", "family_relations": ["mother"], "pregnancy_status": "not_pregnant",
            "iron_deficiency": "unknown", "ckd": "no", "dialysis": "no", "sleep_apnea": "no"},
        "allergies": [{"substance": "penicillin", "reaction": "rash"}],
        "labs": [
            {"test": "ferritin", "value": 42, "unit": "ng/mL", "collected_on": drawn, "source": "lab_report"},
            {"test": "iron", "value": 60, "unit": "ug/dL", "collected_on": drawn, "source": "lab_report"},
            {"test": "tibc", "value": 353, "unit": "ug/dL", "collected_on": drawn, "source": "lab_report"},
            {"test": "hemoglobin", "value": 12.6, "unit": "g/dL", "collected_on": drawn, "source": "lab_report"},
        ],
        "medications_status": "listed", "allergies_status": "listed",
        "medications": [
            {"name": "pramipexole", "class": "dopaminergic", "dose": 0.5, "unit": "mg", "frequency": "nightly", "started_on": "2021-02",
             "status": "current", "for_rls": "yes", "response": "partial", "side_effects": ["nausea", "compulsive_behavior"]},
            {"name": "diphenhydramine", "dose": 25, "unit": "mg", "frequency": "nightly", "status": "current", "for_rls": "no"},
        ],
        "substances": {"caffeine_mg_day": 200, "caffeine_last_time": "15:00", "alcohol_drinks_week": 2, "nicotine": "never"},
        "lifestyle": [
            {"measure": "exercise", "tried": "yes", "helped": "unknown", "how_often": "several_days_a_week"},
            {"measure": "caffeine_reduction", "tried": "yes", "helped": "no", "how_often": "no_longer"},
        ],
        "augmentation": {"earlier_onset": "yes", "onset_time_before_treatment": "21:00", "increased_intensity": "yes",
            "spread_to_other_sites": "yes", "shorter_latency_at_rest": "unknown", "dose_increase_worsened": "no"},
        "impulse_control": {"gambling": "no", "shopping": "yes", "eating": "no", "sexual": "prefer_not_to_say",
            "hobbyism_punding": "no", "sleep_attacks": "no"},
        "sleep": {"sleep_onset_latency_min": 55, "awakenings_per_night": 4, "ess_total": 11, "isi_total": 19,
            "plms_diagnosed": "unknown", "drowsy_driving": "no"},
    })
}

fn after_treatment(env: &Env) -> Value {
    let mut answers = long_course(env);
    answers["irls"] = scale(env, 4, [1, 1, 1, 2, 1, 1, 2, 1, 1, 1]);
    answers["symptoms"]["impact_level"] = "mild".into();
    answers["symptoms"]["severity_0_10"] = 4.into();
    answers["symptoms"]["days_per_week_treated"] = 2.into();
    answers["symptoms"]["usual_onset_time"] = "21:30".into();
    // Asked about the time since the dopamine agonist was stopped.
    answers["augmentation"] = json!({"earlier_onset": "no", "increased_intensity": "no", "spread_to_other_sites": "no",
        "shorter_latency_at_rest": "no", "dose_increase_worsened": "not_raised"});
    answers["medications"] = json!([
        {"name": "pramipexole", "class": "dopaminergic", "dose": 0.5, "unit": "mg", "started_on": "2021-02", "stopped_on": month(env, 190),
         "status": "stopped", "for_rls": "yes", "response": "worse", "stop_reason": "It came earlier every day."},
        {"name": "gabapentin", "class": "alpha2delta", "dose": 600, "unit": "mg", "frequency": "evenings", "started_on": month(env, 215),
         "status": "current", "for_rls": "yes", "response": "good", "side_effects": ["sedation"]},
        {"name": "ferric carboxymaltose", "class": "iron_iv", "dose": 1000, "unit": "mg", "route": "intravenous",
         "started_on": day(env, 210), "stopped_on": day(env, 203), "status": "stopped", "for_rls": "yes", "response": "good"},
        {"name": "diphenhydramine", "dose": 25, "unit": "mg", "started_on": month(env, 500), "stopped_on": month(env, 230), "status": "stopped",
         "for_rls": "no", "stop_reason": "The doctor advised it."},
    ]);
    answers["impulse_control"]["shopping"] = "no".into();
    answers["sleep"] = json!({"sleep_onset_latency_min": 20, "awakenings_per_night": 2, "ess_total": 7, "isi_total": 9, "drowsy_driving": "no"});
    answers
}

fn veins_and_kidneys(env: &Env) -> Value {
    let mut safety = no_urgent_problems();
    safety["open_leg_ulcer"] = "yes".into();
    safety["open_leg_ulcer_new_or_worse"] = "yes".into();
    let mut symptoms = typical(3.0, "2022", "severe", 6);
    symptoms["worse_evening_or_night"] = "no".into();
    symptoms["evening_pattern_previously_present"] = "no".into();
    json!({
        "safety": safety,
        "symptoms": symptoms,
        "mimics": {"venous_stasis": "yes", "leg_edema": "yes", "neuropathy_symptoms": "unknown"},
        "venous": {"varicose_veins": "yes", "varicose_laterality": "both", "dvt_ever": "yes", "dvt_date": "2011",
            "dvt_laterality": "right", "chronic_venous_insufficiency": "yes", "anticoagulant_use": "yes", "claudication_or_pad": "yes",
            "compression_use": "current", "compression_mmhg": 20, "compression_length": "knee",
            "diagnostic_tests": [{"test": "venous_duplex", "date": month(env, 60), "result_source": "clinician",
                "result": "Reflux of both great saphenous veins; deep veins open."}]},
        "risk": {"family_history_rls": "unknown", "ckd": "yes", "dialysis": "yes", "esrd": "yes", "diabetes_type": "type_2",
            "peripheral_neuropathy": "yes", "sleep_apnea": "yes"},
        "allergies": [{"substance": "iron dextran", "reaction": "hives and low blood pressure"}, {"substance": "latex"}],
        "labs": [{"test": "ferritin", "value": 410, "unit": "ng/mL", "collected_on": day(env, 20), "source": "lab_report"}],
        "medications_status": "listed", "allergies_status": "listed",
        "medications": [
            {"name": "metoclopramide", "status": "current", "for_rls": "no"},
            {"name": "apixaban", "dose": 2.5, "unit": "mg", "frequency": "twice a day", "status": "current", "for_rls": "no"},
            {"name": "gabapentin", "dose": 300, "unit": "mg", "frequency": "nightly", "started_on": month(env, 90), "status": "current",
             "for_rls": "yes", "response": "partial", "side_effects": ["sedation", "falls"]},
            {"name": "ropinirole", "dose": 1, "unit": "mg", "started_on": "2023", "stopped_on": "2024", "status": "stopped", "for_rls": "yes",
             "response": "worse", "stop_reason": "Legs became restless in the afternoon, and then the arms."},
            {"name": "Night Calm", "status": "current"},
        ],
        "augmentation": {"earlier_onset": "yes", "increased_intensity": "unknown", "spread_to_other_sites": "yes"},
        "sleep": {"usual_bedtime": "22:00", "usual_rising_time": "06:30", "sleep_duration_hours": 5, "drowsy_driving": "no"},
    })
}

fn pregnancy() -> Value {
    json!({
        "safety": no_urgent_problems(),
        "symptoms": typical(5.0, "2025", "moderate", 7),
        "venous": {"varicose_veins": "yes", "varicose_laterality": "both", "dvt_ever": "no"},
        "risk": {"family_history_rls": "no", "pregnancy_status": "pregnant", "gestational_weeks": 31, "rls_in_past_pregnancy": "yes",
            "iron_deficiency": "yes", "sleep_apnea": "no"},
        "medications_status": "none", "allergies_status": "none",
    })
}

fn intermittent(env: &Env) -> Value {
    let mut symptoms = typical(1.0, "2019", "mild", 2);
    symptoms["lifetime_episodes_5_or_more"] = "yes".into();
    json!({
        "safety": no_urgent_problems(),
        "symptoms": symptoms,
        "irls": scale(env, 12, [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
        "venous": {"varicose_veins": "no", "dvt_ever": "no"},
        "risk": {"family_history_rls": "yes", "family_relations": ["grandparent"], "heavy_menses": "yes", "blood_donation_12mo": "yes",
            "iron_deficiency": "yes"},
        "labs": [{"test": "ferritin", "value": 15, "comparator": "<", "unit": "ng/mL", "collected_on": day(env, 95), "source": "lab_report"}],
        "medications_status": "listed", "allergies_status": "none",
        "medications": [{"name": "ferrous sulfate", "dose": 325, "unit": "mg", "started_on": day(env, 90), "status": "current", "for_rls": "yes"}],
    })
}
