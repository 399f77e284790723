//! The utilisation of the clinic's time in a period, as figures and as a picture.

use std::collections::HashMap;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, get};
use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::figures::{self, Material, UtilisationDay, UtilisationFigures};
use super::picture::Picture;
use crate::actor::Action;
use crate::appointments::counting::{self, Of};
use crate::context::{Context, Tx};
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, Result};
use crate::http::accept::prefers;
use crate::http::{Params, response};
use crate::ids::{LocationId, PractitionerId};
use crate::scheduling::hours::weekly::midnight;
use crate::scheduling::setup::{location, practitioner};
use crate::scheduling::slots::unused;
use crate::waitlist::fills;

/// The longest period, a quarter.
const MAX_DAYS: i32 = 92;
/// The length of the period by default.
const USUAL_DAYS: i32 = 28;
/// What the local day of any zone is apart from that of UTC at most.
const AROUND: SignedDuration = SignedDuration::from_hours(15);

/// The utilisation of a period.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "from": "2026-03-09", "to": "2026-03-09", "location_id": null, "practitioner_id": null,
    "total": {
        "booked_visits": 14, "booked_minutes": 420, "free_minutes": 60, "utilisation_percent": 88, "no_shows": 1,
        "late_cancellations": 1, "overbooked_visits": 0, "waitlist_fills": 1, "median_lead_days": 6.5
    },
    "days": [{
        "date": "2026-03-09", "booked_visits": 14, "booked_minutes": 420, "free_minutes": 60, "utilisation_percent": 88, "no_shows": 1,
        "late_cancellations": 1, "overbooked_visits": 0, "waitlist_fills": 1, "median_lead_days": 6.5
    }]
}))]
pub struct Utilisation {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// The location; null for all.
    pub location_id: Option<LocationId>,
    /// The practitioner; null for all.
    pub practitioner_id: Option<PractitionerId>,
    /// The figures of the whole period.
    pub total: UtilisationFigures,
    /// The figures of each day.
    pub days: Vec<UtilisationDay>,
    /// The names of the practitioner and the location.
    #[serde(skip)]
    about: Vec<String>,
}

/// The period of a report, and whose time it is about.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UtilisationParams {
    /// The first day, by the calendar of each location. Default: 27 days before the last.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-09")]
    from: Option<Date>,
    /// The last day, inclusive. Default: today, at the clinic's first location. A period has at most 92 days.
    #[param(value_type = Option<String>, format = Date, example = "2026-03-15")]
    to: Option<Date>,
    /// Only this location.
    location_id: Option<LocationId>,
    /// Only this practitioner.
    practitioner_id: Option<PractitionerId>,
}

impl UtilisationParams {
    /// The first and the last day. `today` is the last day by default.
    fn period(&self, today: civil::Date) -> Result<(civil::Date, civil::Date)> {
        let to = self.to.map_or(today, |day| day.0);
        let from = self.from.map_or_else(|| to.saturating_sub((USUAL_DAYS - 1).days()), |day| day.0);
        let mut check = Check::new();
        check.require(from <= to, "?to", FieldCode::OutOfOrder, "must not be before from");
        let days = from.until(to).map_or(i32::MAX, |span| span.get_days());
        check.require(
            days < MAX_DAYS,
            "?to",
            FieldCode::OutOfRange,
            format!("must be less than {MAX_DAYS} days after from"),
        );
        check.done()?;
        Ok((from, to))
    }
}

/// Computes the utilisation of a period.
///
/// # Errors
/// Every broken rule of the parameters.
pub async fn read(context: &Context, params: UtilisationParams) -> Result<Utilisation> {
    context.require(Action::ReportRead)?;
    context.read(move |tx| load(tx, params)).await
}

/// Loads the report in a number of statements that does not grow with it.
///
/// # Errors
/// Every broken rule of the parameters.
pub fn load(tx: &mut Tx, params: UtilisationParams) -> Result<Utilisation> {
    let UtilisationParams { location_id, practitioner_id, .. } = params;
    let places = location::load(tx.conn, None, i64::MAX)?;
    let first = places.first().map_or(Ok(TimeZone::UTC), |place| place.zone(&tx.env.config.zones))?;
    let (from, to) = params.period(tx.now.in_zone(&first).date())?;
    let mut about = Vec::new();
    if let Some(id) = practitioner_id {
        about.push(practitioner::find(tx.conn, id).map_err(unknown("?practitioner_id"))?.name);
    }
    let mut zones: HashMap<LocationId, TimeZone> = HashMap::new();
    for place in places {
        if location_id == Some(place.id) {
            about.push(place.name.clone());
        }
        zones.insert(place.id, place.zone(&tx.env.config.zones)?);
    }
    if location_id.is_some_and(|id| !zones.contains_key(&id)) {
        return Err(unknown("?location_id")(Error::NotFound));
    }
    let last = to.saturating_add(1.day());
    let span = (midnight(from, &TimeZone::UTC).minus(AROUND), midnight(last, &TimeZone::UTC).plus(AROUND));
    let of = Of { location_id, practitioner_id };
    let material = Material {
        visits: counting::starting(tx.conn, of, span)?,
        free: unused::starting(tx.conn, location_id, practitioner_id, span)?,
        fills: fills::starting(tx.conn, location_id, practitioner_id, span)?,
    };
    let (total, days) = figures::compute(&material, &zones, (from, to));
    Ok(Utilisation { from: Date(from), to: Date(to), location_id, practitioner_id, total, days, about })
}

fn unknown(pointer: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::NotFound => Error::invalid(pointer, FieldCode::UnknownReference, "does not exist"),
        other => other,
    }
}

/// Read the utilisation of the clinic's time
///
/// For the front desk and administrators. Returns what was booked, kept and left free, by local day and in total, with the visits that
/// patients missed or cancelled late, how long before they book, and the times that the waitlist filled. It names no patients. With
/// `Accept: image/svg+xml` it returns a picture.
#[utoipa::path(
    tag = "reports",
    operation_id = "get_utilisation",
    security(("bearer" = [])),
    params(
        UtilisationParams,
    ),
    responses((status = 200, description = "The report", content(
        (Utilisation = "application/json"),
        (String = "image/svg+xml", example = json!("<svg xmlns=\"http://www.w3.org/2000/svg\">…</svg>")),
    ))),
)]
#[get("/v1/reports/utilisation")]
pub(super) async fn get_utilisation(
    context: Context,
    Params(params): Params<UtilisationParams>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let report = read(&context, params).await?;
    if prefers(&request, "image/svg+xml") {
        let clinic = &context.env.config.settings.clinic_name;
        let about = if report.about.is_empty() { clinic.clone() } else { report.about.join(", ") };
        let picture = Picture { about, from: report.from.0, to: report.to.0, total: &report.total, days: &report.days };
        return Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, "image/svg+xml")).body(picture.svg()?));
    }
    Ok(response::ok(&report))
}
