//! Reading appointments: one, a list, the calendar entry.

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, get};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::code::ConfirmationCode;
use super::notification;
use super::queries::{self, Filter};
use super::view::AppointmentView;
use crate::actor::Action;
use crate::appointment_status::AppointmentStatus;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::error::{Check, FieldCode, Result};
use crate::http::input::Several;
use crate::http::paging::{Direction, PageParams, next_pass, sort_options};
use crate::http::response::{self, Versioned};
use crate::http::{Params, PathId};
use crate::identifiers::Token;
use crate::ids::{AppointmentId, AppointmentSeriesId, LocationId, PatientId, PractitionerId, ResourceId};
use crate::messages::calendar;
use crate::patients::names;
use crate::scheduling::setup::included::{Include, Included};
use text::Language;

/// A page of appointments.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [{
    "id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55",
    "patient_id": "0199d0c2-1f00-7aaa-8000-000000000001",
    "practitioner_id": "0199d0c2-1f00-7aaa-8000-000000000002",
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003",
    "visit_type_id": "0199d0c2-1f00-7aaa-8000-000000000004",
    "starts_at": "2026-03-09T13:30:00Z", "ends_at": "2026-03-09T14:30:00Z", "time_zone": "America/New_York",
    "status": "booked", "series_id": null, "cancellable_until": null, "changeable_until": null, "confirmed_at": null, "confirmation_code": "K7MP-3XWD", "sequence": 0, "identifiers": [],
    "intake_id": null, "intake_status": "missing", "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z",
    "patient": {
        "id": "0199d0c2-1f00-7aaa-8000-000000000001", "display_name": "Ann Example", "date_of_birth": "1967-09-14",
        "mrn": "LW-001001", "phone": "+12125550100", "preferred_language": "en", "interpreter_needed": false
    }
}], "next_cursor": null}))]
pub struct AppointmentPage {
    /// The appointments by start, earliest first by default; with `updated_since` by the time of their last change.
    pub items: Vec<AppointmentView>,
    /// The `cursor` of the next page. Null on the last page.
    pub next_cursor: Option<String>,
    /// The `updated_since` of the next pass through the changes. On the first page of a pass only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_updated_since: Option<Timestamp>,
    /// The names of the objects that `include` asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub included: Option<Included>,
}

/// The filters of a list of appointments. All that are given must match.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AppointmentFilter {
    /// The patient.
    pub patient_id: Option<PatientId>,
    /// The practitioner.
    pub practitioner_id: Option<PractitionerId>,
    /// The location.
    pub location_id: Option<LocationId>,
    /// The series.
    pub series_id: Option<AppointmentSeriesId>,
    /// A resource of which the visit has a unit. Staff only.
    pub resource_id: Option<ResourceId>,
    /// The status.
    pub status: Option<AppointmentStatus>,
    /// The earliest start, inclusive.
    pub from: Option<Timestamp>,
    /// The latest start, exclusive.
    pub to: Option<Timestamp>,
    /// Whether staff must act, because the appointment is booked or checked in and the practitioner's hours do not cover it, or it is booked
    /// and its start does not show the promised local time any more. Staff only.
    pub needs_attention: Option<bool>,
    /// Whether staff placed the appointment into the time of another one that it still shares. Staff only.
    pub overbooked: Option<bool>,
    /// The confirmation code, in either case, with or without the hyphen.
    #[param(max_length = 20, example = "K7MP-3XWD")]
    pub confirmation_code: Option<String>,
    /// At most 10 words that must each begin a word of one of the patient's names. Case, accents and order are ignored.
    #[param(max_length = 200, example = "ann ex")]
    pub q: Option<String>,
    /// An identifier of another system: `system|value`, `value` of any system, or `system|` for all of a system.
    #[param(min_length = 1, max_length = 456, example = "https://ehr.example/visits|V-2291")]
    pub identifier: Option<String>,
    /// The earliest last change, inclusive. The list is then sorted by the last change, oldest first. The next pass starts with the
    /// `next_updated_since` of the first page.
    pub updated_since: Option<Timestamp>,
    /// The order. Default: `starts_at`, earliest first. `-starts_at` is not possible with `updated_since`.
    #[param(inline)]
    pub sort: Option<AppointmentSort>,
    /// The objects whose names the response includes.
    #[param(inline, value_type = Option<Vec<Include>>, style = Form, explode = false, max_items = 3)]
    pub include: Option<Several<Include>>,
}

sort_options! {
    /// The order of a list of appointments.
    AppointmentSort by "starts_at" or "-starts_at"
}

impl AppointmentFilter {
    fn parse(self) -> Result<Filter> {
        let mut check = Check::new();
        let confirmation_code = self
            .confirmation_code
            .as_deref()
            .and_then(|code| check.field("?confirmation_code", ConfirmationCode::parse(code)));
        let words = self.q.as_deref().and_then(|q| check.field("?q", names::search_words(q))).unwrap_or_default();
        if let (Some(from), Some(to)) = (self.from, self.to) {
            check.require(from < to, "?to", FieldCode::OutOfRange, "must be later than `from`");
        }
        let identifier = self.identifier.as_deref().and_then(|text| check.field("?identifier", Token::parse(text)));
        check.done()?;
        Ok(Filter {
            patient_id: self.patient_id,
            practitioner_id: self.practitioner_id,
            location_id: self.location_id,
            series_id: self.series_id,
            resource_id: self.resource_id,
            status: self.status,
            from: self.from,
            to: self.to,
            needs_attention: self.needs_attention,
            overbooked: self.overbooked,
            confirmation_code,
            words,
            identifier,
            updated_since: self.updated_since,
        })
    }
}

/// Reads an appointment.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see it.
pub async fn read(context: &Context, id: AppointmentId) -> Result<Versioned<AppointmentView>> {
    context.require(Action::AppointmentRead)?;
    context
        .read(move |tx| {
            let found = queries::find(tx, id)?;
            AppointmentView::versioned(tx, found)
        })
        .await
}

/// Lists the appointments that the actor may see.
///
/// # Errors
/// Every broken rule of the filter.
pub async fn list(context: &Context, filter: AppointmentFilter, page: PageParams) -> Result<AppointmentPage> {
    context.require(Action::AppointmentRead)?;
    if filter.needs_attention.is_some() || filter.overbooked.is_some() || filter.resource_id.is_some() {
        context.require(Action::AppointmentProgress)?;
    }
    let direction = Direction::of_list(filter.sort, Direction::Ascending, filter.updated_since)?;
    let include = Several::of(filter.include.clone());
    let filter = filter.parse()?;
    let page = page.sorted(filter.list(), direction)?;
    let next_updated_since = next_pass(context.env.now(), filter.updated_since, page.after.as_ref());
    context
        .read(move |tx| {
            let (found, next_cursor) = queries::page(tx, &filter, &page)?;
            let included = Included::load(tx.conn, &include, || {
                found.iter().map(|found| found.appointment.refers_to()).collect()
            })?;
            let items = found.into_iter().map(|found| AppointmentView::new(tx, found)).collect::<Result<_>>()?;
            Ok(AppointmentPage { items, next_cursor, next_updated_since, included })
        })
        .await
}

/// An iCalendar file (RFC 5545) of one appointment.
pub struct CalendarEntry {
    file: String,
    is_cancelled: bool,
}

impl CalendarEntry {
    /// The file as a download.
    pub fn into_response(self) -> HttpResponse {
        let method = if self.is_cancelled { "CANCEL" } else { "PUBLISH" };
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, format!("text/calendar; method={method}; charset=utf-8")))
            .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"appointment.ics\""))
            .body(self.file)
    }
}

/// Writes the calendar entry of an appointment, in the language of its patient.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound) if the actor may not see it.
pub async fn calendar(context: &Context, id: AppointmentId) -> Result<CalendarEntry> {
    context.require(Action::AppointmentRead)?;
    context
        .read(move |tx| {
            let found = queries::find(tx, id)?;
            let is_cancelled = found.appointment.status == AppointmentStatus::Cancelled;
            let language = Language::of_tag(&found.patient.preferred_language);
            let updated_at = found.appointment.updated_at;
            let content = notification::content(&found, language);
            let file = calendar::download(tx.env, &content, is_cancelled, language, updated_at)?;
            Ok(CalendarEntry { file, is_cancelled })
        })
        .await
}

/// List appointments
///
/// Sorted by start, earliest first by default. Patients see the appointments of the patients they may act for. With `updated_since` the list is sorted by the last
/// change instead. Start each pass with the `next_updated_since` of the first page of the previous pass, and you miss no change.
/// Changes of the patient's record or intake are in their own lists. A change of a practitioner's hours or of a time zone's law is no change of an appointment:
/// the affected appointments have `attention`, and `needs_attention` lists them.
#[utoipa::path(
    tag = "appointments",
    operation_id = "list_appointments",
    security(("bearer" = [])),
    params(AppointmentFilter, PageParams),
    responses((status = 200, description = "A page", body = AppointmentPage)),
)]
#[get("/v1/appointments")]
pub(super) async fn list_appointments(
    context: Context,
    Params(filter): Params<AppointmentFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, filter, page).await?))
}

/// Read an appointment
///
/// The response carries the `ETag` to send as `If-Match` with a change.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_appointment",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 200, description = "The appointment", body = AppointmentView)),
)]
#[get("/v1/appointments/{id}")]
pub(super) async fn get_appointment(context: Context, PathId(id): PathId<AppointmentId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Download the calendar entry
///
/// Returns an iCalendar file (RFC 5545) for the patient's own calendar. The file of a cancelled appointment removes the entry.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_appointment_calendar",
    security(("bearer" = [])),
    params(("id" = AppointmentId, Path, description = "The appointment")),
    responses((status = 200, description = "The entry",
        headers(("Content-Disposition" = String, description = "The name of the file to save it in")),
        body = String, content_type = "text/calendar",
        example = json!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n…\r\nEND:VCALENDAR\r\n"))),
)]
#[get("/v1/appointments/{id}/calendar.ics")]
pub(super) async fn get_appointment_calendar(
    context: Context,
    PathId(id): PathId<AppointmentId>,
) -> Result<HttpResponse> {
    Ok(calendar(&context, id).await?.into_response())
}
