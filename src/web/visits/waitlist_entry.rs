//! Whether the patient of a visit waits for an earlier time.

use minijinja::{Value, context};

use super::super::member::Member;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::waitlist::entry::WaitlistStatus;
use crate::waitlist::{listing, view};

/// The entry of the waitlist with which the patient waits for an earlier time of this visit; none if there is none.
pub(super) async fn entry(member: &Member, visit: &AppointmentView) -> Result<Option<Value>> {
    const OPERATION: &str = "list_waitlist_entries";
    let query =
        format!("patient_id={}&visit_type_id={}&sort=-created_at&limit=20", visit.patient_id, visit.visit_type_id);
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = listing::list(&member.context, filter, page).await?;
    let waits = |entry: &&view::WaitlistEntryView| {
        entry.appointment_id == Some(visit.id)
            && matches!(entry.status, WaitlistStatus::Waiting | WaitlistStatus::Offered)
    };
    let entry = found.items.iter().map(|listed| &listed.entry).find(waits);
    Ok(entry.map(|entry| context! { id => entry.id.to_string() }))
}
