//! Everything that is held on a patient, in one document: for whoever asks to see their record (45 CFR 164.524, GDPR 15).
//!
//! Patients get the whole of it, also what was computed from their answers, what it raised and what doctors noted: a decision
//! was based on that, so it is theirs to see. Who acts for a patient gets what they see elsewhere, as an adult's and
//! an adolescent's confidences are not for their helpers and parents. Sessions and links are keys, not records: they are in
//! no export. One patient's record is small (an intake has 64 KiB at most), so it is put together in memory.

use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actor::{Action, Actor, Reach, Role};
use crate::appointments::export::{self as visits, ExportedAppointment};
use crate::audit::store::Filter;
use crate::audit::{self, AuditOutcome};
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::db::schema::{consents, messages};
use crate::db::types::Date;
use crate::env::Env;
use crate::error::Result;
use crate::http::paging::MAX_LIMIT;
use crate::http::{Cursor, Limit};
use crate::ids::{AppointmentId, MessageId, PatientId, UserId};
use crate::intake::Rules;
use crate::intake::api::export::{self as histories, ExportedIntake};
use crate::intake::api::{IntakeFlagDto, LabResultDto};
use crate::messages::model::{MessageKind, MessageStatus};
use crate::patients::access;
use crate::patients::api::{ConsentDto, PatientDto};
use crate::patients::consents::Consent;
use crate::patients::model::Relation;
use crate::patients::store as records;

/// How much of the record a document holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportScope {
    /// All of it.
    Complete,
    /// What somebody who acts for the patient may see.
    Limited,
}

/// Everything that is held on a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "exported_at": "2026-03-02T14:00:00Z", "scope": "complete",
    "patient": {
        "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "mrn": "LW-001001", "display_name": "Ann Example",
        "given_name": "Ann", "family_name": "Example", "mononym": false, "middle_name": null, "preferred_name": null,
        "previous_names": [], "identifiers": [], "date_of_birth": "1967-09-14", "administrative_sex": "female", "phone": "+12125550100",
        "email": "ann@example.org", "email_confirmed": true, "preferred_language": "en", "interpreter_needed": false, "pronouns": "she/her",
        "sex_assigned_at_birth": null, "gender_identity": null, "race": [], "ethnicity": "declined", "address": null,
        "emergency_contact": null, "insurance": null, "consents_outstanding": [],
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
    },
    "access": [{"user_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "name": null, "relation": "self", "created_at": "2026-03-02T14:00:00Z", "ends_on": null}],
    "consents": [{
        "id": "0199d0c2-7b21-7f00-9d3e-5b1c2d3e4f50", "type": "treatment", "version": "1", "decision": "accepted", "method": "online",
        "signer": "Ann Example", "recorded_by": null, "signed_at": "2026-03-02T14:00:00Z"
    }],
    "appointments": [], "intakes": [], "flags": [], "lab_results": [],
    "audit_events": [{"at": "2026-03-02T14:00:00Z", "role": "practitioner", "name": "Dr. Ada Vein", "operation": "get_intake"}],
    "messages": [{
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c57", "kind": "verify_email", "status": "sent", "name": "Ann Example",
        "email": "ann@example.org", "phone": "+12125550100", "appointment_id": null,
        "created_at": "2026-03-02T14:00:00Z", "sent_at": "2026-03-02T14:00:01Z"
    }]
}))]
pub struct PatientExport {
    /// When it was put together.
    exported_at: Timestamp,
    /// How much of the record it holds.
    scope: ExportScope,
    /// The record.
    patient: PatientDto,
    /// The accounts that may act for the patient, in the order in which they were given access.
    access: Vec<ExportedAccess>,
    /// Every decision on a consent document, the newest last.
    consents: Vec<ConsentDto>,
    /// Every appointment with its changes, by start.
    appointments: Vec<ExportedAppointment>,
    /// Every intake with what was replaced in it, oldest first.
    intakes: Vec<ExportedIntake>,
    /// What the intakes raised for the staff, oldest first; missing in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    flags: Option<Vec<IntakeFlagDto>>,
    /// Laboratory results that were entered between intakes, oldest first.
    lab_results: Vec<LabResultDto>,
    /// Who used the record for what, the newest first; missing in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    audit_events: Option<Vec<ExportedEvent>>,
    /// The messages about the patient that are still kept, oldest first, without their words; missing in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    messages: Option<Vec<ExportedMessage>>,
}

/// An account that may act for a patient.
#[derive(Serialize, ToSchema)]
pub struct ExportedAccess {
    /// The account.
    user_id: UserId,
    /// Its holder's name, as far as it is known.
    name: Option<String>,
    /// What its holder is to the patient.
    relation: Relation,
    /// Since when.
    created_at: Timestamp,
    /// The patient's birthday with which it ends, as they come of age then; null where it does not end by itself.
    ends_on: Option<Date>,
}

/// Somebody's use of the record.
#[derive(Serialize, ToSchema)]
pub struct ExportedEvent {
    /// When.
    at: Timestamp,
    /// What whoever it was could do at that time; null where nobody was signed in, as with the link in a mail.
    role: Option<Role>,
    /// The name of a practitioner; of everybody else the role is told.
    name: Option<String>,
    /// The operation's id in this document, or the command's name.
    operation: String,
}

/// A message about a patient.
#[derive(Serialize, Queryable, ToSchema)]
pub struct ExportedMessage {
    /// The message.
    id: MessageId,
    /// What it was about.
    kind: MessageKind,
    /// Where it stands.
    status: MessageStatus,
    /// Whom it was for.
    name: Option<String>,
    /// Where it was sent.
    email: Option<String>,
    /// The number to call.
    phone: Option<String>,
    /// The appointment it was about.
    appointment_id: Option<AppointmentId>,
    /// When it was written.
    created_at: Timestamp,
    /// When it was sent.
    sent_at: Option<Timestamp>,
}

impl PatientExport {
    /// The name of the file that it is saved as.
    pub fn file_name(&self) -> String {
        format!("patient-{}.json", self.patient.mrn)
    }

    /// Puts it together as the actor may have it.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`]; a fault, if something does not open.
    pub fn of(conn: &mut Conn, env: &Env, rules: &Rules, actor: &Actor, id: PatientId) -> Result<Self> {
        let patient = records::visible(conn, env, actor, id)?;
        let scope = scope(conn, env, actor, id)?;
        let complete = scope == ExportScope::Complete;
        // Who may have all of it reads with the eyes of the doctor who wrote it.
        let reader = if complete { Actor { role: Role::Practitioner, ..actor.clone() } } else { actor.clone() };
        let held = histories::of_patient(conn, env, rules, (actor, &reader), &patient, complete)?;
        Ok(Self {
            exported_at: env.now(),
            scope,
            access: access_of(conn, env, id)?,
            consents: consents_of(conn, id)?,
            appointments: visits::of_patient(conn, env, actor, &reader, id)?,
            intakes: held.intakes,
            flags: held.flags,
            lab_results: held.lab_results,
            audit_events: if complete { Some(events_of(conn, id)?) } else { None },
            messages: if complete { Some(messages_of(conn, id)?) } else { None },
            patient: PatientDto::new(env, records::record(conn, env, actor, id)?)?,
        })
    }
}

/// Staff who may export at all, and the patient, have all of it.
fn scope(conn: &mut Conn, env: &Env, actor: &Actor, patient: PatientId) -> Result<ExportScope> {
    if actor.reach(Action::PatientExport) == Reach::Any {
        return Ok(ExportScope::Complete);
    }
    let relation = access::relation(conn, env, actor.user_id, patient)?;
    Ok(if relation == Some(Relation::Oneself) { ExportScope::Complete } else { ExportScope::Limited })
}

fn access_of(conn: &mut Conn, env: &Env, patient: PatientId) -> Result<Vec<ExportedAccess>> {
    let mut all = Vec::new();
    for (access, user) in access::of_patient(conn, patient)? {
        if access.stands(env.now()) {
            all.push(ExportedAccess {
                user_id: user.id,
                name: access::holder_names(conn, user.id)?.into_iter().next(),
                relation: access.relation,
                created_at: access.created_at,
                ends_on: access.ends_on,
            });
        }
    }
    Ok(all)
}

fn consents_of(conn: &mut Conn, patient: PatientId) -> Result<Vec<ConsentDto>> {
    let rows: Vec<Consent> = consents::table
        .filter(consents::patient_id.eq(patient))
        .order((consents::signed_at, consents::id))
        .select(Consent::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(ConsentDto::from).collect())
}

fn events_of(conn: &mut Conn, patient: PatientId) -> Result<Vec<ExportedEvent>> {
    let filter = Filter { patient_id: Some(patient), outcome: Some(AuditOutcome::Success), ..Filter::default() };
    let limit = Limit::new(Some(i64::from(MAX_LIMIT)))?;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let rows = audit::store::list(conn, &filter, after, limit)?;
        let names = audit::store::names(conn, &rows)?;
        let more = rows.len() > usize::from(MAX_LIMIT);
        for event in rows.into_iter().take(usize::from(MAX_LIMIT)) {
            after = Some(Cursor { at: event.at, id: event.id.0 });
            let name = event.actor_id.and_then(|id| names.get(&id).cloned());
            let name = name.filter(|_| event.role == Some(Role::Practitioner));
            all.push(ExportedEvent { at: event.at, role: event.role, name, operation: event.operation });
        }
        if !more {
            return Ok(all);
        }
    }
}

fn messages_of(conn: &mut Conn, patient: PatientId) -> Result<Vec<ExportedMessage>> {
    Ok(messages::table
        .filter(messages::patient_id.eq(patient))
        .order((messages::created_at, messages::id))
        .select((
            messages::id,
            messages::kind,
            messages::status,
            messages::recipient_name,
            messages::email,
            messages::phone,
            messages::appointment_id,
            messages::created_at,
            messages::sent_at,
        ))
        .load(conn)?)
}
