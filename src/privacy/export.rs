//! The export of everything that is stored about a patient, in one document: for a person who asks for their record (45 CFR 164.524,
//! GDPR 15).
//!
//! Patients get all of it, including what was computed from their answers, the flags and the practitioners' notes, because decisions were
//! based on them. An account that acts for a patient gets what it sees elsewhere, because the confidences of adults and adolescents are
//! not for their helpers and parents. Sessions and links are keys and not exported. One patient's record is small (an intake has at most
//! 64 KiB), so the document is built in memory.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpResponse, get};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actor::{Action, Actor, Reach, Role};
use crate::appointments::export::{self as visits, ExportedAppointment};
use crate::audit::store::Filter;
use crate::audit::{self, AuditOutcome};
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::Conn;
use crate::db::schema::messages;
use crate::db::types::Date;
use crate::error::Result;
use crate::http::paging::{Direction, MAX_LIMIT, Page};
use crate::http::{Cursor, PathId};
use crate::ids::{AppointmentId, MessageId, PatientId, UserId};
use crate::intake::export::{self as histories, ExportedIntake, ExportedLabResult};
use crate::intake::flag_worklist::IntakeFlagView;
use crate::intake::follow_up::view::FollowUpView;
use crate::messages::model::{MessageKind, MessageStatus};
use crate::patients::access_log::operation_for_patient;
use crate::patients::consents::decisions::{self, ConsentView};
use crate::patients::model::{self, PatientView, Relation};
use crate::patients::{access, care, store as records};
use crate::waitlist::offer_view::{self as offers, WaitlistOfferView};
use crate::waitlist::view::{self as waitlist, WaitlistEntryView};

/// How much of the record a document contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportScope {
    /// Everything.
    Complete,
    /// What an account that acts for the patient may see.
    Limited,
}

/// Everything that is stored about a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "exported_at": "2026-03-02T14:00:00Z", "scope": "complete",
    "patient": model::example(), "merged_patients": [],
    "access": [{"user_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "name": null, "relation": "self", "created_at": "2026-03-02T14:00:00Z", "ends_on": null}],
    "consents": [{
        "id": "0199d0c2-7b21-7f00-9d3e-5b1c2d3e4f50", "type": "treatment", "version": "1", "decision": "accepted", "method": "online",
        "signer": "Ann Example", "recorded_by": null, "signed_at": "2026-03-02T14:00:00Z"
    }],
    "appointments": [], "waitlist_entries": [], "waitlist_offers": [], "intakes": [], "flags": [], "lab_results": [], "follow_ups": [],
    "audit_events": [{"at": "2026-03-02T14:00:00Z", "role": "practitioner", "name": "Dr. Ada Vein", "operation": "get_intake"}],
    "messages": [{
        "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c57", "kind": "verify_email", "status": "sent", "name": "Ann Example",
        "email": "ann@example.org", "phone": "+12125550100", "appointment_id": null,
        "created_at": "2026-03-02T14:00:00Z", "sent_at": "2026-03-02T14:00:01Z"
    }]
}))]
pub struct PatientExport {
    /// The time of the export.
    exported_at: Timestamp,
    /// How much of the record the document contains.
    scope: ExportScope,
    /// The record.
    patient: PatientView,
    /// The records that were merged into this one, as they were then. What belonged to them is listed with this record. Not in the limited
    /// scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    merged_patients: Option<Vec<PatientView>>,
    /// The accounts that may act for the patient, in the order in which they were given access.
    access: Vec<ExportedAccess>,
    /// Every decision on a consent document, newest last.
    consents: Vec<ConsentView>,
    /// Every appointment with its changes, by start.
    appointments: Vec<ExportedAppointment>,
    /// Every entry of the waitlist, oldest first.
    waitlist_entries: Vec<WaitlistEntryView>,
    /// Every offer of a free time, oldest first.
    waitlist_offers: Vec<WaitlistOfferView>,
    /// Every intake with its earlier versions, oldest first.
    intakes: Vec<ExportedIntake>,
    /// The flags of the intakes, oldest first. Not in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    flags: Option<Vec<IntakeFlagView>>,
    /// The laboratory results that were entered outside of intakes, oldest first.
    lab_results: Vec<ExportedLabResult>,
    /// The follow-ups, oldest first.
    follow_ups: Vec<FollowUpView>,
    /// The uses of the record, newest first. Not in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    audit_events: Option<Vec<ExportedEvent>>,
    /// The messages about the patient that are still stored, oldest first, without their text, and without invitations. Not in the limited scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    messages: Option<Vec<ExportedMessage>>,
}

/// An account that may act for a patient.
#[derive(Serialize, ToSchema)]
pub struct ExportedAccess {
    /// The account.
    user_id: UserId,
    /// The name of the account's holder, if it is known.
    name: Option<String>,
    /// The relation of the account's holder to the patient.
    relation: Relation,
    /// The time since which the account has the access.
    created_at: Timestamp,
    /// The patient's birthday on which the access ends, because the patient becomes an adult. Null if it does not end by itself.
    ends_on: Option<Date>,
}

/// A use of the record.
#[derive(Serialize, ToSchema)]
pub struct ExportedEvent {
    /// The time of the use.
    at: Timestamp,
    /// The role of the account at that time. Null if the caller was not signed in, as with the link in a mail.
    role: Option<Role>,
    /// The name of a practitioner. Other accounts are shown by their role only.
    name: Option<String>,
    /// The operation's id in this document, or the command's name.
    operation: String,
}

/// A message about a patient.
#[derive(Serialize, Queryable, ToSchema)]
pub struct ExportedMessage {
    /// The message.
    id: MessageId,
    /// The kind of message.
    kind: MessageKind,
    /// The status.
    status: MessageStatus,
    /// The name of the recipient.
    name: Option<String>,
    /// The e-mail address of the recipient.
    email: Option<String>,
    /// The phone number to call.
    phone: Option<String>,
    /// The appointment that it is about.
    appointment_id: Option<AppointmentId>,
    /// The time at which it was created.
    created_at: Timestamp,
    /// The time at which it was sent.
    sent_at: Option<Timestamp>,
}

impl PatientExport {
    /// The name of the file in which it is saved.
    fn file_name(&self) -> String {
        format!("patient-{}.json", self.patient.mrn)
    }

    /// Loads everything that the actor may see.
    fn load(tx: &mut Tx, id: PatientId) -> Result<Self> {
        let patient = records::visible(tx.conn, tx.env, tx.actor, id)?;
        care::require(tx.conn, tx.env, tx.actor, id)?;
        let scope = scope(tx, id)?;
        let complete = scope == ExportScope::Complete;
        // A complete export shows what the practitioner who wrote it sees.
        let reader = if complete { Actor { role: Role::Practitioner, ..tx.actor.clone() } } else { tx.actor.clone() };
        let held = histories::of_patient(tx, &reader, &patient, complete)?;
        Ok(Self {
            exported_at: tx.now,
            scope,
            access: access_of(tx, id)?,
            consents: decisions::all_of_patient(tx.conn, id)?,
            appointments: visits::of_patient(tx.conn, tx.env, tx.actor, &reader, id)?,
            waitlist_entries: waitlist::of_patient(tx, id)?,
            waitlist_offers: offers::of_patient(tx.conn, id, tx.now)?,
            intakes: held.intakes,
            flags: held.flags,
            lab_results: held.lab_results,
            follow_ups: held.follow_ups,
            audit_events: if complete { Some(events_of(tx.conn, id)?) } else { None },
            merged_patients: if complete { Some(records::merged_into(tx, id)?) } else { None },
            messages: if complete { Some(messages_of(tx.conn, id)?) } else { None },
            patient: PatientView::load(tx, id)?.object,
        })
    }
}

/// Exports everything that is stored about a patient, as far as the actor may see it.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound); forbidden, if a practitioner has to give a reason.
pub async fn export(context: &Context, id: PatientId) -> Result<PatientExport> {
    context.require(Action::PatientExport)?;
    care::read_clinical(context, move |tx| PatientExport::load(tx, id)).await
}

/// Staff who may export, and the patient, get everything.
fn scope(tx: &mut Tx, patient: PatientId) -> Result<ExportScope> {
    let complete = tx.actor.reach(Action::PatientExport) == Reach::Any
        || access::is_own_record(tx.conn, tx.env, tx.actor, patient)?;
    Ok(if complete { ExportScope::Complete } else { ExportScope::Limited })
}

fn access_of(tx: &mut Tx, patient: PatientId) -> Result<Vec<ExportedAccess>> {
    let mut all = Vec::new();
    for (access, user) in access::of_patient(tx.conn, patient)? {
        if access.is_active(tx.now) {
            all.push(ExportedAccess {
                user_id: user.id,
                name: access::holder_names(tx.conn, user.id)?.into_iter().next(),
                relation: access.relation,
                created_at: access.created_at,
                ends_on: access.ends_on,
            });
        }
    }
    Ok(all)
}

fn events_of(conn: &mut Conn, patient: PatientId) -> Result<Vec<ExportedEvent>> {
    let filter = Filter { patient_id: Some(patient), outcome: Some(AuditOutcome::Success), ..Filter::default() };
    let mut page = Page::largest("audit-events", Direction::Descending);
    let mut all = Vec::new();
    loop {
        let rows = audit::store::list(conn, &filter, &page)?;
        let names = audit::store::names(conn, &rows)?;
        let records = audit::store::records(conn, patient, &rows)?;
        let more = rows.len() > usize::from(MAX_LIMIT);
        for event in rows.into_iter().take(usize::from(MAX_LIMIT)) {
            page.after = Some(Cursor { at: event.at, id: event.id.0 });
            let name = event.actor_id.and_then(|id| names.get(&id).cloned());
            let name = name.filter(|_| event.role == Some(Role::Practitioner));
            let operation = operation_for_patient(&event, &records);
            all.push(ExportedEvent { at: event.at, role: event.role, name, operation });
        }
        if !more {
            return Ok(all);
        }
    }
}

fn messages_of(conn: &mut Conn, patient: PatientId) -> Result<Vec<ExportedMessage>> {
    Ok(messages::table
        .filter(messages::patient_id.eq(patient))
        // The mails to a person who is invited would tell the patient whether others have invited them, too.
        .filter(messages::kind.ne(MessageKind::PatientInvitation))
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

/// Export everything stored about a patient
///
/// Returns one document with the record, access, consents, appointments and their history, intakes with all versions and what was computed
/// from them, flags, laboratory results and messages, for a person who asks for the data that the clinic stores about them. Patients,
/// practitioners and administrators get everything. An account that acts for a patient gets what it may see elsewhere (`scope` is
/// `limited`).
#[utoipa::path(
    tag = "patients",
    operation_id = "get_patient_export",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The document, as an attachment", body = PatientExport,
        headers(("Content-Disposition" = String, description = "The name of the file to save it in")))),
)]
#[get("/v1/patients/{id}/export")]
pub(super) async fn get_patient_export(context: Context, PathId(id): PathId<PatientId>) -> Result<HttpResponse> {
    let export = export(&context, id).await?;
    let name = format!("attachment; filename=\"{}\"", export.file_name());
    Ok(HttpResponse::Ok().insert_header((CONTENT_DISPOSITION, name)).json(export))
}
