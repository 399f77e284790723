//! What the endpoints take and give. None of it has `Debug`: it is somebody's data.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::booking::{Booking, Target};
use super::code::ConfirmationCode;
use super::model::{AppointmentStatus, AppointmentStep};
use super::store::{self, Filter, Past, Shown};
use crate::actor::{Actor, Role};
use crate::clock::Timestamp;
use crate::db::types::Date;
use crate::env::Env;
use crate::error::{Check, Result, Rule};
use crate::http::paging::{Cursor, Limit};
use crate::identifiers::{Identifier, Identifiers, Token};
use crate::ids::{
    AppointmentHistoryId, AppointmentId, HoldId, IntakeId, LocationId, PatientId, PractitionerId, SlotId, UserId,
    VisitTypeId,
};
use crate::intake::model::IntakeStanding;
use crate::patients::names;
use crate::scheduling::model::OffPlan;
use crate::text;

/// The longest note of an appointment, in characters.
pub(super) const NOTE: usize = 1000;
/// The longest reason of a change, in characters.
const REASON: usize = 500;

/// A visit (FHIR `Appointment`).
#[derive(Serialize, ToSchema)]
#[schema(as = Appointment, example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "status": "booked", "confirmation_code": "K7MP-3XWD", "sequence": 0, "note": "I come with a walker.",
    "identifiers": [{"system": "https://ehr.example/visits", "value": "V-2291"}], "intake_id": null, "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"
}))]
pub struct AppointmentDto {
    /// The appointment; also the UID of its calendar entry, which stays when it moves.
    pub id: AppointmentId,
    /// Who is seen.
    pub patient_id: PatientId,
    /// By whom.
    pub practitioner_id: PractitionerId,
    /// Where.
    pub location_id: LocationId,
    /// What for.
    pub visit_type_id: VisitTypeId,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The location's zone, by its IANA name.
    #[schema(examples("America/New_York"))]
    pub time_zone: String,
    /// Where it stands.
    pub status: AppointmentStatus,
    /// What to say on the phone.
    #[schema(examples("K7MP-3XWD"))]
    pub confirmation_code: String,
    /// Grows with every change that calendars must learn of (RFC 5545 `SEQUENCE`).
    #[schema(minimum = 0)]
    pub sequence: i32,
    /// What was written at the booking; the patient sees it as well as the clinic.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub note: Option<String>,
    /// The numbers that other systems have for it.
    #[schema(value_type = Vec<Identifier>)]
    pub identifiers: Identifiers,
    /// The newest intake that was authored before the visit and still counts for it; null where there is none.
    pub intake_id: Option<IntakeId>,
    /// What has become of that intake.
    pub intake_status: IntakeStanding,
    /// When it was booked.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Why somebody must call the patient: the visit is booked, but the plan does not cover it (any more). For staff
    /// only, until it is moved or cancelled. It follows the plans: neither the ETag nor `updated_at` changes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub attention: Option<AppointmentAttention>,
    /// The patient in short; for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patient: Option<AppointmentPatient>,
}

/// What is the matter with an appointment.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"reason": "time_off", "since": "2026-03-02T14:00:00Z"}))]
pub struct AppointmentAttention {
    /// What takes the doctor away.
    pub reason: OffPlan,
    /// Since when it has been so.
    pub since: Timestamp,
}

/// The patient of an appointment, as the staff see them in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
    "mrn": "LW-001001", "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
}))]
pub struct AppointmentPatient {
    /// The record.
    pub id: PatientId,
    /// What to call them.
    pub display_name: String,
    /// The birthday.
    pub date_of_birth: Date,
    /// The medical record number.
    pub mrn: String,
    /// E.164; null where there is none.
    pub phone: Option<String>,
    /// BCP 47.
    pub preferred_language: String,
    /// Whether somebody must translate.
    pub interpreter_needed: bool,
}

impl AppointmentDto {
    /// As `actor` may see it; their trail notes whom it shows.
    ///
    /// # Errors
    /// A fault, if the note does not open.
    pub fn new(env: &Env, actor: &Actor, shown: Shown) -> Result<Self> {
        actor.trail.note_shown([shown.patient.id]);
        let attention = shown.attention().filter(|_| actor.role.is_staff());
        let (intake_id, intake_status) = shown.intake(env);
        let Shown { appointment, location, patient, .. } = shown;
        let note = appointment.note.as_ref().map(|note| env.sealer.open(store::note_place(appointment.id), note));
        let patient = actor.role.is_staff().then(|| AppointmentPatient {
            id: patient.id,
            display_name: patient.display_name(),
            date_of_birth: patient.date_of_birth,
            mrn: patient.mrn,
            phone: patient.phone,
            preferred_language: patient.preferred_language,
            interpreter_needed: patient.interpreter_needed,
        });
        Ok(Self {
            id: appointment.id,
            patient_id: appointment.patient_id,
            practitioner_id: appointment.practitioner_id,
            location_id: appointment.location_id,
            visit_type_id: appointment.visit_type_id,
            starts_at: appointment.starts_at,
            ends_at: appointment.ends_at,
            time_zone: location.time_zone,
            status: appointment.status,
            confirmation_code: ConfirmationCode::stored(appointment.confirmation_code).to_string(),
            sequence: appointment.sequence,
            note: note.transpose()?,
            identifiers: appointment.identifiers,
            intake_id,
            intake_status,
            created_at: appointment.created_at,
            updated_at: appointment.updated_at,
            attention: attention.map(|(reason, since)| AppointmentAttention { reason, since }),
            patient,
        })
    }
}

/// A page of appointments.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "status": "booked", "confirmation_code": "K7MP-3XWD", "sequence": 0, "identifiers": [],
    "intake_id": null, "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "patient": {
        "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
        "mrn": "LW-001001", "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
    }
}], "next_cursor": null}))]
pub struct AppointmentPage {
    /// By start; with `updated_since` the one that was changed longest ago first.
    pub items: Vec<AppointmentDto>,
    /// For `cursor`; null on the last page.
    pub next_cursor: Option<String>,
    /// Where the next pass through the changes begins; on the first page of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_updated_since: Option<Timestamp>,
}

/// What to book.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "slot_id": "0199d0c2-1f00-7aaa-8000-000000000005", "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001", "hold_id": "0199d0c2-1f00-7aaa-8000-000000000006",
    "note": "I come with a walker."
}))]
pub struct NewAppointment {
    /// The slot in which the visit starts; `GET /v1/slots` names those in which all of it fits.
    pub slot_id: SlotId,
    /// What for.
    pub visit_type_id: VisitTypeId,
    /// For whom.
    pub patient_id: PatientId,
    /// The caller's hold on the slot, if they took one. Any id that is not a current hold of the caller is the conflict
    /// `hold_lapsed`.
    #[serde(default)]
    pub hold_id: Option<HoldId>,
    /// What the clinic should know beforehand about coming here. The patient sees it as well.
    #[serde(default)]
    #[schema(max_length = 1000)]
    pub note: Option<String>,
    /// The numbers that other systems have for it. Staff only.
    #[serde(default)]
    #[schema(value_type = Vec<Identifier>, max_items = 20)]
    pub identifiers: Identifiers,
}

impl NewAppointment {
    /// The command.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn booking(&self, by_staff: bool) -> Result<Booking> {
        let mut check = Check::new();
        let note = self.note.as_deref().and_then(|note| check.field("/note", text::lines(note, NOTE)));
        let allowed = by_staff || self.identifiers.0.is_empty();
        check.require(allowed, "/identifiers", "forbidden_field", "only the clinic's staff may set this");
        let identifiers = self.identifiers.clone().read("/identifiers", &mut check).unwrap_or_default();
        check.done()?;
        Ok(Booking {
            slot_id: self.slot_id,
            visit_type_id: self.visit_type_id,
            patient_id: self.patient_id,
            hold_id: self.hold_id,
            note,
            identifiers,
        })
    }
}

/// Where to move an appointment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"slot_id": "0199d0c2-1f00-7aaa-8000-000000000007"}))]
pub struct Rescheduling {
    /// The slot in which the visit starts from now on; the doctor and the location may be others.
    pub slot_id: SlotId,
    /// The caller's hold on the slot, if they took one. Any id that is not a current hold of the caller is the conflict
    /// `hold_lapsed`.
    #[serde(default)]
    pub hold_id: Option<HoldId>,
}

impl From<&Rescheduling> for Target {
    fn from(dto: &Rescheduling) -> Self {
        Self { slot_id: dto.slot_id, hold_id: dto.hold_id }
    }
}

/// Why an appointment is changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Travelling that week"}))]
pub struct AppointmentReason {
    /// For the history; the staff and whoever wrote it can read it.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl AppointmentReason {
    /// The checked text.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn text(&self) -> Result<String> {
        let mut check = Check::new();
        let reason = check.field("/reason", text::lines(&self.reason, REASON));
        check.done()?;
        Ok(reason.unwrap_or_default())
    }
}

/// Which appointments to list; all that is given must hold.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AppointmentFilter {
    /// Of this patient.
    pub patient_id: Option<PatientId>,
    /// With this doctor.
    pub practitioner_id: Option<PractitionerId>,
    /// At this location.
    pub location_id: Option<LocationId>,
    /// Standing so.
    pub status: Option<AppointmentStatus>,
    /// Starting at this instant or later.
    pub from: Option<Timestamp>,
    /// Starting before this instant.
    pub to: Option<Timestamp>,
    /// Whether somebody must call the patient, because the visit is booked but the doctor's plan does not cover it (any
    /// more). For staff.
    pub needs_attention: Option<bool>,
    /// With this code, in either case, with or without the hyphen.
    #[param(max_length = 20, example = "K7MP-3XWD")]
    pub confirmation_code: Option<String>,
    /// Words, each of which must begin a word of one of the patient's names; accents and case count for nothing.
    #[param(max_length = 200, example = "ann ex")]
    pub q: Option<String>,
    /// A number that another system has for it: `system|value`, `value` of any system, or `system|` for all of a system.
    #[param(min_length = 1, max_length = 456, example = "https://ehr.example/visits|V-2291")]
    pub identifier: Option<String>,
    /// Changed at this instant or later. The list is then by change, the one that was changed longest ago first; a next
    /// pass begins with the `next_updated_since` of the first page.
    pub updated_since: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    #[param(max_length = 200)]
    pub cursor: Option<String>,
    /// How many on a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<i64>,
}

impl AppointmentFilter {
    /// The filter, the place to begin at, the size of the page.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn parse(self) -> Result<(Filter, Option<Cursor>, Limit)> {
        let mut check = Check::new();
        let confirmation_code = self
            .confirmation_code
            .as_deref()
            .and_then(|code| check.field("?confirmation_code", ConfirmationCode::parse(code)));
        let words = self.q.as_deref().and_then(|q| check.field("?q", words(q))).unwrap_or_default();
        if let (Some(from), Some(to)) = (self.from, self.to) {
            check.require(from < to, "?to", "out_of_range", "must be later than `from`");
        }
        let identifier = self.identifier.as_deref().and_then(|text| check.field("?identifier", Token::parse(text)));
        check.done()?;
        let filter = Filter {
            patient_id: self.patient_id,
            practitioner_id: self.practitioner_id,
            location_id: self.location_id,
            status: self.status,
            from: self.from,
            to: self.to,
            needs_attention: self.needs_attention,
            confirmation_code,
            words,
            identifier,
            updated_since: self.updated_since,
        };
        let after = Cursor::read(self.cursor.as_deref(), filter.list())?;
        Ok((filter, after, Limit::new(self.limit)?))
    }
}

/// The words of a search, normalised.
fn words(q: &str) -> Result<Vec<String>, Rule> {
    let words: Vec<_> = names::query_words(&text::one_line(q, 200)?).into_iter().collect();
    // Without a word it would find everybody.
    if words.is_empty() { Err(Rule::new("wrong_value", "must have at least one letter or digit")) } else { Ok(words) }
}

/// A change of an appointment, and how it stood afterwards.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "at": "2026-03-02T14:00:00Z", "step": "book", "by": "patient",
    "from_status": null, "to_status": "booked", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z"
}))]
pub struct AppointmentChange {
    /// The change.
    pub id: AppointmentHistoryId,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub step: AppointmentStep,
    /// Which side did it.
    pub by: AppointmentSide,
    /// The account that did it; for staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub actor_id: Option<UserId>,
    /// The status before; null for the booking.
    pub from_status: Option<AppointmentStatus>,
    /// The status after.
    pub to_status: AppointmentStatus,
    /// The doctor, after it.
    pub practitioner_id: PractitionerId,
    /// The location, after it.
    pub location_id: LocationId,
    /// The start, after it.
    pub starts_at: Timestamp,
    /// The end, after it.
    pub ends_at: Timestamp,
    /// Why; for staff, and for whoever wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

/// Which side changed an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AppointmentSide {
    /// The patient, or somebody who acts for them.
    Patient,
    /// The clinic.
    Clinic,
}

/// All changes of an appointment.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c56", "at": "2026-03-02T14:00:00Z", "step": "book", "by": "patient",
    "from_status": null, "to_status": "booked", "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "starts_at": "2026-03-09T13:30:00Z",
    "ends_at": "2026-03-09T14:30:00Z"
}]}))]
pub struct AppointmentHistory {
    /// Oldest first.
    pub items: Vec<AppointmentChange>,
}

impl AppointmentChange {
    /// As `actor` may see it.
    ///
    /// # Errors
    /// A fault, if the reason does not open.
    pub fn new(env: &Env, actor: &Actor, past: Past, by: Option<Role>) -> Result<Self> {
        let staff = actor.role.is_staff();
        let may_read = staff || past.actor_id == Some(actor.user_id);
        let reason = past.reason.filter(|_| may_read);
        let reason = reason.map(|reason| env.sealer.open(store::reason_place(past.id), &reason)).transpose()?;
        Ok(Self {
            id: past.id,
            at: past.at,
            step: past.action,
            // Without an account it was the link in the patient's mail.
            by: if by.is_none_or(|role| role == Role::Patient) {
                AppointmentSide::Patient
            } else {
                AppointmentSide::Clinic
            },
            actor_id: past.actor_id.filter(|_| staff),
            from_status: past.from_status,
            to_status: past.to_status,
            practitioner_id: past.practitioner_id,
            location_id: past.location_id,
            starts_at: past.starts_at,
            ends_at: past.ends_at,
            reason,
        })
    }
}
