//! Booking a visit for a patient, and moving one.

use std::str::FromStr;

use actix_web::HttpResponse;

use super::done::Done;
use super::{MemberForm, refuse, times, version};
use crate::appointments::booking::{self, NewAppointment};
use crate::appointments::overbooking::Overbooking;
use crate::appointments::rescheduling::{self, RescheduleAppointmentRequest};
use crate::error::{Error, FieldCode, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::identifiers::Identifiers;
use crate::ids::{AppointmentId, PatientId};

/// Reads an id that the page has put into its form.
fn id<T: FromStr>(form: &MemberForm, name: &str) -> Result<T> {
    form.sent.first(name).parse().map_err(|_| Error::invalid(format!("/{name}"), FieldCode::WrongType, "must be an id"))
}

/// The wish to share the time of other visits, if the form is about taken times.
fn overbook(form: &MemberForm) -> Option<Overbooking> {
    let is_wanted = !form.sent.first("overbook").is_empty();
    is_wanted.then(|| Overbooking { reason: form.sent.first("reason").to_owned() })
}

pub(super) async fn book(form: MemberForm, PathId(patient_id): PathId<PatientId>) -> Result<HttpResponse> {
    let note = form.sent.first("note").trim().to_owned();
    let new = NewAppointment {
        slot_id: id(&form, "slot_id")?,
        visit_type_id: id(&form, "visit_type_id")?,
        patient_id,
        hold_id: None,
        hold_secret: None,
        note: (!note.is_empty()).then_some(note),
        identifiers: Identifiers::default(),
        overbook: overbook(&form),
        patient_informed: !form.sent.first("patient_informed").is_empty(),
    };
    match booking::book(&form.member.context, form.once(&format!("book {patient_id}")), new).await {
        Ok(booked) => Ok(form.member.go_to(&Done::Booked.on(&format!("desk/visits/{}", booked.object.id)))),
        Err(error) => {
            refuse(&form, &times::page(&form.sent, &format!("desk/patients/{patient_id}/times")), error).await
        }
    }
}

pub(super) async fn reschedule(form: MemberForm, PathId(visit): PathId<AppointmentId>) -> Result<HttpResponse> {
    let to = RescheduleAppointmentRequest {
        slot_id: id(&form, "slot_id")?,
        hold_id: None,
        hold_secret: None,
        ignore_gaps: !form.sent.first("ignore_gaps").is_empty(),
        overbook: overbook(&form),
        patient_informed: !form.sent.first("patient_informed").is_empty(),
    };
    let if_match = IfMatch::version(version(&form)?);
    match rescheduling::reschedule(&form.member.context, form.once(&format!("reschedule {visit}")), visit, if_match, to)
        .await
    {
        Ok(_) => Ok(form.member.go_to(&Done::Moved.on(&format!("desk/visits/{visit}")))),
        Err(error) => refuse(&form, &times::page(&form.sent, &format!("desk/visits/{visit}/times")), error).await,
    }
}
