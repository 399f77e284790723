//! The demo's accounts, patients and appointments.

use jiff::{SignedDuration, ToSpan};

use super::DOMAIN;
use super::clinic::Clinic;
use super::intakes::{self, DemoStaff};
use crate::accounts::model::{EmailAddress, User};
use crate::accounts::store::{self as accounts, NewAccount};
use crate::actor::{Actor, Role};
use crate::appointments::booking::{self, NewAppointment};
use crate::audit_context::AuditContext;
use crate::context::{Anonymous, Tx};
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Check, Error, Result};
use crate::identifiers::Identifiers;
use crate::ids::{PatientId, PractitionerId, VisitTypeId};
use crate::patients::access::grant;
use crate::patients::model::{NewPatient, Patient, Profile, Relation};
use crate::patients::profile::{Author, ProfileContext};
use crate::patients::store as patients;
use crate::phone::Country;
use crate::scheduling::hours::exception::ExceptionKind;
use crate::scheduling::hours::exceptions::{self, NewPractitionerException};
use crate::scheduling::hours::{publishing, weekly};
use crate::scheduling::setup::{location, practitioner};
use crate::scheduling::slots::free::{SlotQuery, SlotView, free};
use crate::scheduling::slots::offering::Offering;

/// Returns the local part of a role's demo address.
pub(super) fn mailbox(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::FrontDesk => "desk",
        Role::Practitioner => "doctor",
        Role::Patient => "patient",
    }
}

/// The system of the demo's patient identifiers.
const EHR: &str = "https://ehr.demo.legwork.example/patients";

/// A patient: given and family name, date of birth, sex, telephone number, language.
type Person = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

/// The first one has the demo's patient account.
const PATIENTS: &[Person] = &[
    ("Ann", "Example", "1967-09-14", "female", "+16175550101", "en"),
    ("Bernard", "Okafor", "1954-03-02", "male", "+16175550102", "en"),
    ("Zoë", "García Méndez", "1989-11-23", "female", "+13035550103", "es"),
    ("Søren", "Håkansson", "1978-06-30", "male", "+13035550104", "en"),
    ("Priya", "Raman", "1995-01-17", "female", "+16175550105", "en"),
    ("Lev", "Abramov", "1941-12-05", "male", "+16175550106", "en"),
];

/// A duplicate: Bernard, with a variant of the name.
const DUPLICATE: Person = ("Bernhard", "Okafor", "1954-03-02", "male", "+16175550107", "en");

pub(super) fn fill(tx: &mut Conn, env: &Env, password_hash: &str, clinic: &Clinic) -> Result<()> {
    let admin = account(tx, env, password_hash, Role::Admin, Some("Alex Admin"), None)?;
    let desk = account(tx, env, password_hash, Role::FrontDesk, Some("Dana Desk"), None)?;
    let practitioner = clinic.practitioners.first().copied();
    let doctor = account(tx, env, password_hash, Role::Practitioner, Some("Dr. Maya Ortiz"), practitioner)?;
    let patient = account(tx, env, password_hash, Role::Patient, None, None)?;

    let mut people = Vec::new();
    for person in PATIENTS {
        people.push(record(tx, env, person)?);
    }
    record(tx, env, &DUPLICATE)?;
    if let Some(ann) = people.first() {
        let audit = AuditContext::of_command("demo");
        grant::give(&mut Tx::new(tx, env, &Anonymous, &audit), patient.id, ann, Relation::Oneself, None)?;
    }
    let people: Vec<PatientId> = people.iter().map(|patient| patient.id).collect();
    // Every patient has an upcoming visit, in the order of the list. Visit types and practitioners alternate.
    let mut second = None;
    for (turn, patient) in people.iter().enumerate() {
        let visit_type = clinic.visit_types[turn % 2];
        let practitioner = clinic.practitioners[turn % clinic.practitioners.len()];
        // The first one can still be moved when the demo has just started.
        let days = i64::try_from(turn).unwrap_or(0) + 2;
        let visit = appointment(tx, env, &actor(&admin), *patient, (practitioner, visit_type), days)?;
        if turn == 1 {
            second = visit;
        }
    }
    if let Some(visit) = second {
        enter_time_off(tx, env, &actor(&admin), &visit)?;
    }
    intakes::fill(tx, env, &DemoStaff { doctor: doctor.id, practitioner, desk: desk.id }, &people)
}

/// An administrator for one operation, because an audit context belongs to one request.
fn actor(admin: &User) -> Actor {
    Actor::without_session(admin.id, Role::Admin, AuditContext::of_command("demo"))
}

fn account(
    tx: &mut Conn,
    env: &Env,
    password_hash: &str,
    role: Role,
    name: Option<&str>,
    practitioner_id: Option<PractitionerId>,
) -> Result<User> {
    let address = format!("{}@{DOMAIN}", mailbox(role));
    let email = EmailAddress::parse(&address).map_err(|rule| Error::fault(rule.detail))?;
    let new = NewAccount {
        email,
        name: name.map(str::to_owned),
        role,
        practitioner_id,
        password_hash: Some(password_hash.to_owned()),
        preferred_language: "en".into(),
    };
    let user = accounts::insert(tx, env, &new)?;
    accounts::mark_verified(tx, user.id, env.now())?;
    Ok(user)
}

fn record(tx: &mut Conn, env: &Env, person: &Person) -> Result<Patient> {
    let (given, family, birth, sex, phone, language) = person;
    let mailbox = if *given == "Ann" { mailbox(Role::Patient).to_owned() } else { format!("patient-{}", &phone[9..]) };
    let input: NewPatient = serde_json::from_value(serde_json::json!({
        "given_name": given, "family_name": family, "date_of_birth": birth, "administrative_sex": sex, "phone": phone,
        "email": format!("{mailbox}@{DOMAIN}"), "preferred_language": language, "interpreter_needed": *language != "en",
        "identifiers": [{"system": EHR, "value": format!("48{}", &phone[9..])}],
    }))
    .map_err(|error| Error::internal("a demo patient", error))?;
    let context = ProfileContext { now: env.now(), country: Country::of_clinic(tx)? };
    let mut check = Check::new();
    let profile = Profile::parse(input, Author::Staff, "", context, &mut check);
    check.done()?;
    let audit = AuditContext::of_command("demo");
    patients::insert(&mut Tx::new(tx, env, &Anonymous, &audit), &profile.ok_or(Error::NotFound)?)
}

/// Books the first free visit at least this many days ahead.
fn appointment(
    tx: &mut Conn,
    env: &Env,
    actor: &Actor,
    patient_id: PatientId,
    (practitioner_id, visit_type_id): (PractitionerId, VisitTypeId),
    days: i64,
) -> Result<Option<SlotView>> {
    let now = env.now();
    let visit = Offering::find(tx, env, visit_type_id)?;
    let from = now.plus(SignedDuration::from_hours(24 * days));
    let query = SlotQuery { practitioners: vec![practitioner_id], ..SlotQuery::new(&visit, from, now, true) };
    let Some(slot) = free(tx, &visit, &query, 1)?.into_iter().next() else { return Ok(None) };
    let new = NewAppointment {
        slot_id: slot.id,
        visit_type_id,
        patient_id,
        hold_id: None,
        hold_secret: None,
        note: None,
        identifiers: Identifiers::default(),
        overbook: None,
        patient_informed: false,
    };
    booking::insert(&mut Tx::new(tx, env, actor, &actor.audit), &new)?;
    Ok(Some(slot))
}

/// Enters time off of a visit's practitioner for its day, so that staff have a patient to call.
fn enter_time_off(tx: &mut Conn, env: &Env, actor: &Actor, visit: &SlotView) -> Result<()> {
    let zone = location::find(tx, visit.location_id)?.zone(&env.config.zones)?;
    let day = visit.starts_at.in_zone(&zone).date();
    let time_off = NewPractitionerException {
        kind: ExceptionKind::TimeOff,
        starts_at: weekly::midnight(day, &zone),
        ends_at: weekly::midnight(day.saturating_add(1.day()), &zone),
        location_id: None,
        reason: "Ill".into(),
    };
    let practitioner = practitioner::lock(tx, visit.practitioner_id)?;
    let tx = &mut Tx::new(tx, env, actor, &actor.audit);
    exceptions::insert(tx, &practitioner, &time_off)?;
    publishing::publish(tx, &practitioner, &[])?;
    Ok(())
}
