//! Overbooking: staff place a visit into time that other visits of the practitioner take, with a reason.
//!
//! The visit is marked until it has its whole time. The rule that a practitioner has one visit at a time compares unmarked visits only.
//! Nothing else is relaxed: the patient must be free, and the time must be within the practitioner's hours, neither blocked nor held.

use std::collections::HashSet;

use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::store;
use super::view::AppointmentView;
use crate::audit;
use crate::context::{Context, Principal, Tx};
use crate::db::Conn;
use crate::db::schema::appointments;
use crate::error::{Check, FieldCode, Result};
use crate::http::response::Versioned;
use crate::ids::AppointmentId;
use crate::scheduling::slots::releasing::{self, Released};

/// The operation of its audit event.
const OPERATION: &str = "overbook_appointment";

/// The wish to share the time of other visits.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "Wound check, five minutes between two visits"}))]
pub struct Overbooking {
    /// The reason, for staff. Stored encrypted, in the appointment's history.
    #[schema(min_length = 1, max_length = 500)]
    pub reason: String,
}

impl Overbooking {
    /// Checks that staff ask for it, and normalises the reason.
    pub(super) fn checked(self, by_staff: bool, check: &mut Check) -> Option<Self> {
        check.require(by_staff, "/overbook", FieldCode::ForbiddenField, "only the clinic's staff may set this");
        let reason = check.field("/overbook/reason", text::lines(&self.reason, text::MAX_REASON))?;
        Some(Self { reason })
    }
}

/// Returns those of the appointments that are marked as overbooked.
pub(super) fn marked(conn: &mut Conn, ids: Vec<AppointmentId>) -> Result<HashSet<AppointmentId>> {
    let marked = appointments::table.filter(appointments::id.eq_any(ids)).filter(appointments::overbooked);
    Ok(marked.select(appointments::id).load(conn)?.into_iter().collect())
}

/// Records an audit event of its own for an appointment that shares the time of others.
pub(super) fn record(tx: &mut Tx<impl Principal>, appointment: AppointmentId) -> Result<()> {
    audit::record_as(tx.conn, tx.env, tx.audit, OPERATION, appointment.0)
}

/// Removes the mark of visits to which slots passed, if they have their whole time now. The visit that had the slots must have left its time,
/// because an unmarked visit counts for the rule of its practitioner. Of visits that still share a time, the one that was booked first gets its
/// slots, so all but one stay marked, as if they had been booked in this order.
///
/// # Errors
/// [`Error::Retry`](crate::error::Error::Retry) if another transaction changes one of them.
pub(super) fn unmark(tx: &mut Tx<impl Principal>, released: &Released) -> Result<()> {
    if released.heirs.is_empty() {
        return Ok(());
    }
    let visits = releasing::having_all_slots(tx.conn, &released.heirs)?;
    store::unmark(tx.conn, &visits, tx.now)
}

/// Counts an overbooking that was stored, once.
pub(super) fn count(context: &Context, stored: &Versioned<AppointmentView>) {
    if stored.object.overbooked == Some(true) && !context.audit.notes().replayed {
        context.env.metrics.overbookings.inc();
    }
}
