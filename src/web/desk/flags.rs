//! The urgent flags of a patient as the desk sees them: that they are open, since when, and whose they are.

use jiff::tz::TimeZone;
use minijinja::{Value, context};

use super::Member;
use super::clinic::Clinic;
use crate::error::Result;
use crate::ids::PatientId;
use crate::intake::flag_worklist;
use crate::messages::times::Moment;

/// Reads the urgent open flags of a patient.
pub(super) async fn open(member: &Member, patient: PatientId, clinic: &mut Clinic) -> Result<Vec<Value>> {
    let filter = member.parameters("list_intake_flags", &format!("patient_id={patient}&limit=20"))?;
    let found = flag_worklist::list(&member.context, filter).await?.items;
    clinic.read_names(member, found.iter().filter_map(|flag| flag.owner_id), []).await?;
    let zone = clinic.locations.first().map_or(TimeZone::UTC, |place| member.zone(&place.time_zone));
    let shown = found.iter().filter(|flag| flag.urgency.is_urgent()).map(|flag| {
        context! {
            since => Moment::new(flag.raised_at, &zone, member.language).date(),
            owner => flag.owner_id.map(|id| clinic.practitioner(id).to_owned()),
        }
    });
    Ok(shown.collect())
}

#[cfg(test)]
pub(super) fn examples() -> Vec<Value> {
    [Some("Dr. Osei"), None].map(|owner| context! { since => "March 9, 2026", owner => owner }).into()
}
