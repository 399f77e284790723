//! The day of a location: all its practitioners' appointments, the gaps, and the calls to make. Also as CSV and as a page to print.

mod page;
mod table;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, get};
use jiff::civil::Date as Day;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::agenda::{AgendaAppointment, AgendaGap, LocalDay, calls, exceptions, slot_gaps, visits};
use super::queries::Of;
use crate::actor::Action;
use crate::context::{Context, Tx};
use crate::db::types::Date;
use crate::error::Result;
use crate::http::accept::prefers;
use crate::http::{Params, PathId, response};
use crate::ids::LocationId;
use crate::messages::view::MessageView;
use crate::scheduling::hours::exception::Whose;
use crate::scheduling::setup::location;

/// The day of a location.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "location_name": "Midtown", "time_zone": "America/New_York",
    "date": "2026-03-09", "appointments": [], "gaps": [], "calls": []
}))]
pub struct DaySheet {
    /// The location.
    pub location_id: LocationId,
    /// The location's name.
    pub location_name: String,
    /// The location's IANA time zone.
    pub time_zone: String,
    /// The day there.
    pub date: Date,
    /// The appointments that are not cancelled, by start.
    pub appointments: Vec<AgendaAppointment>,
    /// Free, held and blocked time, time off and extra hours of each practitioner who works here, and closures, by start.
    pub gaps: Vec<AgendaGap>,
    /// The calls to make about these appointments, oldest first. Empty for practitioners, who do not make them.
    pub calls: Vec<MessageView>,
}

/// The parameters of a day sheet.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DaySheetParams {
    /// The day at the location. Default: today.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-09")]
    date: Option<Date>,
}

/// Reads the day of a location: today, unless `date` is given.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub async fn read(context: &Context, id: LocationId, day: Option<Day>) -> Result<DaySheet> {
    context.require(Action::AgendaRead)?;
    context.read(move |tx| load(tx, id, day)).await
}

/// Loads the day in a number of queries that does not grow with it. The caller must have authorised the request.
///
/// # Errors
/// [`Error::NotFound`](crate::error::Error::NotFound).
pub fn load(tx: &mut Tx, id: LocationId, day: Option<Day>) -> Result<DaySheet> {
    let location = location::find(tx.conn, id)?;
    let zone = location.zone(&tx.env.config.zones)?;
    let day = day.unwrap_or_else(|| tx.now.in_zone(&zone).date());
    let local = LocalDay::new(id, zone, day);
    let span = (local.from, local.to);
    let appointments = visits(tx, Of::Location(id), day, span)?;
    let exceptions = exceptions(tx, Whose::Location(id), &[local])?;
    let mut gaps = slot_gaps(tx, Of::Location(id), day, span, &exceptions)?;
    gaps.extend(exceptions);
    gaps.sort_by_key(|gap| (gap.starts_at, gap.ends_at));
    Ok(DaySheet {
        location_id: id,
        location_name: location.name,
        time_zone: location.time_zone,
        date: Date(day),
        calls: calls(tx, &appointments)?,
        appointments,
        gaps,
    })
}

/// Read a location's day
///
/// Staff only. Returns the appointments of all practitioners at the location that are not cancelled, with the patient data that the desk
/// needs, the gaps, time off and extra hours of these practitioners, closures, and the calls to make about these appointments. With
/// `Accept: text/csv` it returns a table for spreadsheets: the appointments, then time off, extra hours and closures, with the kind as the
/// status and the reason, if the caller may read it, as the note. With `Accept: text/html` it returns one page to print. Both have local
/// times. `GET /v1/events/stream` announces changes of the day.
#[utoipa::path(
    tag = "appointments",
    operation_id = "get_day_sheet",
    security(("bearer" = [])),
    params(
        ("id" = LocationId, Path, description = "The location"),
        DaySheetParams,
    ),
    responses((status = 200, description = "The day",
        headers(("Content-Disposition" = String, description = "The name of the file to save the table in. Only with `text/csv`.")), content(
        (DaySheet = "application/json", example = json!({
            "location_id": "0199d0c2-1f00-7aaa-8000-000000000003", "location_name": "Midtown", "time_zone": "America/New_York",
            "date": "2026-03-09", "appointments": [], "gaps": [], "calls": []
        })),
        (String = "text/csv", example = json!("start,end,practitioner,…\r\n")),
        (String = "text/html", example = json!("<!DOCTYPE html>…")),
    ))),
)]
#[get("/v1/locations/{id}/day-sheet")]
pub(super) async fn get_day_sheet(
    context: Context,
    PathId(id): PathId<LocationId>,
    Params(params): Params<DaySheetParams>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let sheet = read(&context, id, params.date.map(|day| day.0)).await?;
    if prefers(&request, "text/csv") {
        return Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8; header=present"))
            .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"day-sheet-{}.csv\"", sheet.date.0)))
            .body(table::csv(&sheet)?));
    }
    if prefers(&request, "text/html") {
        let env = &context.env;
        let zone = env.config.zones.stored(&sheet.time_zone)?;
        return Ok(HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            // The page has its styles in itself, and loads nothing.
            .insert_header((
                CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ))
            .body(page::html(&sheet, &env.config.settings.clinic_name, &env.now().in_zone(&zone))?));
    }
    Ok(response::ok(&sheet))
}
