//! The locations, visit types and practitioners, as these pages choose between them. Also those out of use.

use super::super::desk::Clinic;
use super::super::language::both;
use super::Member;
use super::fields::Choice;
use crate::error::Result;
use crate::scheduling::setup::practitioners::{self, PractitionerView};
use crate::scheduling::setup::visit_types::{self, VisitTypeView};

/// The most entries of each list.
const MOST: &str = "active=false&limit=100";

/// The visit types out of use.
pub(super) async fn ended_visit_types(member: &Member) -> Result<Vec<VisitTypeView>> {
    const LIST: &str = "list_visit_types";
    let (filter, page) = (member.parameters(LIST, MOST)?, member.parameters(LIST, MOST)?);
    Ok(visit_types::list(&member.public(), Some(member.context.actor.clone()), filter, page).await?.items)
}

/// The practitioners out of use.
pub(super) async fn ended_practitioners(member: &Member) -> Result<Vec<PractitionerView>> {
    const LIST: &str = "list_practitioners";
    let (filter, page) = (member.parameters(LIST, MOST)?, member.parameters(LIST, MOST)?);
    Ok(practitioners::list(&member.public(), Some(member.context.actor.clone()), filter, page).await?.items)
}

/// The name of something out of use.
pub(super) fn ended(member: &Member, name: &str) -> String {
    format!("{name} ({})", both("not in use", "fuera de uso").text(member.language))
}

/// The practitioners as the choices of a field.
pub(super) fn practitioner_choices(clinic: &Clinic) -> Vec<Choice> {
    clinic.practitioners.iter().map(|one| Choice::new(one.id, &one.name)).collect()
}
