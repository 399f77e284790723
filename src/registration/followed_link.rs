//! A registration's link that was followed before: it shows its visit, or books another time if its own was missed.

use super::booking::{self, NotBooked, VerifiedEmail};
use crate::accounts::linked_visit::{LinkedVisit, ReservedVisit};
use crate::accounts::model::Purpose;
use crate::accounts::one_time::ValidToken;
use crate::accounts::{one_time, store};
use crate::appointments::view::AppointmentView;
use crate::context::{Anonymous, Context, Tx};
use crate::error::{Conflict, Error, ProblemCode, Result};
use crate::ids::SlotId;

/// Shows the visit that a link has booked, if it was followed before and its time is not over. People click twice, and the same click must
/// have the same outcome. If the time was missed, books the visit in `slot`, or shows other times. There is no password token, because the
/// first click gave one.
///
/// # Errors
/// `otherwise` for any other link.
pub(super) async fn follow_again(
    context: &Context<Anonymous>,
    token: String,
    slot: Option<SlotId>,
    otherwise: Error,
) -> Result<VerifiedEmail> {
    let (sought, noted) = (token.clone(), token.clone());
    let missed = match context.read(move |tx| find(tx, &sought)).await {
        Ok((_, LinkedVisit::Missed(missed))) => missed,
        Ok((_, LinkedVisit::Booked { .. })) => return booked(context, token, None, otherwise).await,
        Ok((_, LinkedVisit::Reserved(_))) | Err(Error::NotFound) => return Err(otherwise),
        Err(error) => return Err(error),
    };
    let (conflict, wanted) = match slot {
        None => (
            Conflict { code: ProblemCode::HoldLapsed, detail: String::new(), members: serde_json::Map::new() },
            *missed,
        ),
        Some(slot) => match booked(context, token, Some(slot), otherwise).await {
            Err(Error::Conflict(conflict)) => (*conflict, ReservedVisit { slot_id: slot, ..*missed }),
            outcome => return outcome,
        },
    };
    context.change(move |tx| note(tx, &noted)).await?;
    let not_booked = NotBooked::new(context, conflict, &wanted).await;
    Ok(VerifiedEmail { password_token: None, email: None, appointment: None, not_booked: Some(not_booked) })
}

/// The used token and the visit that it shows or books.
fn find(tx: &mut Tx<Anonymous>, token: &str) -> Result<(ValidToken, LinkedVisit)> {
    let used = one_time::look_up_used(tx.conn, token, Purpose::VerifyEmail, tx.now)?.ok_or(Error::NotFound)?;
    let visit = used.visit(tx.env)?.ok_or(Error::NotFound)?;
    Ok((used, visit))
}

/// Records who followed the link once more, although it books nothing.
fn note(tx: &mut Tx<Anonymous>, token: &str) -> Result<()> {
    let (used, _) = find(tx, token)?;
    tx.audit.note_actor(used.user.id, Some(used.user.role));
    tx.audit.note_object(used.user.id.0);
    Ok(())
}

/// The visit that the link has booked, or books now in `slot`.
async fn booked(
    context: &Context<Anonymous>,
    token: String,
    slot: Option<SlotId>,
    otherwise: Error,
) -> Result<VerifiedEmail> {
    match context.change(move |tx| show_or_book(tx, &token, slot)).await {
        Ok(booked) => {
            Ok(VerifiedEmail { password_token: None, email: None, appointment: Some(booked), not_booked: None })
        }
        Err(Error::NotFound) => Err(otherwise),
        Err(error) => Err(error),
    }
}

fn show_or_book(tx: &mut Tx<Anonymous>, token: &str, slot: Option<SlotId>) -> Result<AppointmentView> {
    let (used, _) = find(tx, token)?;
    // Of several clicks, one books; the others find its visit.
    store::lock(tx.conn, used.user.id)?;
    let (used, visit) = find(tx, token)?;
    tx.audit.note_actor(used.user.id, Some(used.user.role));
    match (visit, slot) {
        (LinkedVisit::Booked { appointment_id }, _) => booking::show(tx, &used.user, appointment_id),
        (LinkedVisit::Missed(missed), Some(slot)) => {
            let patient = missed.patient_id.ok_or_else(|| Error::fault("a visit without a patient"))?;
            let booked = booking::book_other(tx, &used.user, slot, patient, &missed)?;
            let state = LinkedVisit::Booked { appointment_id: booked.id };
            one_time::set_visit(tx.conn, tx.env, used.id, Some(&state))?;
            Ok(booked)
        }
        _ => Err(Error::NotFound),
    }
}
