//! The locations, visit types and practitioners, as these pages choose between them. Also those out of use.

use super::super::desk::Clinic;
use super::super::language::both;
use super::Member;
use super::fields::Choice;
use crate::error::Result;
use crate::http::paging::to_end;
use crate::scheduling::setup::practitioners::{self, PractitionerView};
use crate::scheduling::setup::visit_types::{self, VisitTypeView};

const ENDED: &str = "active=false";

/// The visit types out of use.
pub(super) async fn ended_visit_types(member: &Member) -> Result<Vec<VisitTypeView>> {
    to_end(async |page| {
        let (actor, filter) = (member.context.actor.clone(), member.parameters("list_visit_types", ENDED)?);
        let found = visit_types::list(&member.public(), Some(actor), filter, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

/// The practitioners out of use.
pub(super) async fn ended_practitioners(member: &Member) -> Result<Vec<PractitionerView>> {
    to_end(async |page| {
        let (actor, filter) = (member.context.actor.clone(), member.parameters("list_practitioners", ENDED)?);
        let found = practitioners::list(&member.public(), Some(actor), filter, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

/// The name of something out of use.
pub(super) fn ended(member: &Member, name: &str) -> String {
    format!("{name} ({})", both("not in use", "fuera de uso").text(member.language))
}

/// The practitioners as the choices of a field.
pub(super) fn practitioner_choices(clinic: &Clinic) -> Vec<Choice> {
    clinic.practitioners.iter().map(|one| Choice::new(one.id, &one.name)).collect()
}
