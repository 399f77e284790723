//! The kinds of visit on the page of times: the one with which it begins, and a link to each.

use minijinja::{Value, context};

use super::super::book::Search;
use super::clinic::{Clinic, patients_word};
use super::{Member, visit};
use crate::appointment_status::AppointmentStatus;
use crate::error::Result;
use crate::ids::{PatientId, VisitTypeId};

/// How many of the last visits are searched for the last one that is not cancelled.
const MOST: &str = "20";

/// The kind of visit with which the page begins: for a patient without visits the first one that can be booked, which is that of new
/// patients. A known patient gets the kind of the last visit again. After a visit of the first kind, it is the second one, because a kind
/// does not name the one that follows it.
pub(super) async fn proposed(
    member: &Member,
    clinic: &Clinic,
    search: &Search,
    patient: PatientId,
) -> Result<Option<VisitTypeId>> {
    let query = [("patient_id", patient.to_string()), ("sort", "-starts_at".to_owned()), ("limit", MOST.to_owned())];
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let visits = visit::list(member, &query).await?;
    let last =
        visits.iter().find(|visit| visit.status != AppointmentStatus::Cancelled).map(|visit| visit.visit_type_id);
    Ok(after(last, &clinic.kinds_at(&search.location, &search.practitioner)))
}

/// The kind to propose after a visit of the kind `last`. `kinds` can be booked, the first one by new patients.
fn after(last: Option<VisitTypeId>, kinds: &[VisitTypeId]) -> Option<VisitTypeId> {
    let first = kinds.first().copied();
    match last {
        Some(last) if Some(last) != first && kinds.contains(&last) => Some(last),
        Some(_) => kinds.get(1).copied().or(first),
        None => first,
    }
}

/// A link for each kind of visit. `link` is the query of the page that looks for it.
pub(super) fn links(member: &Member, clinic: &Clinic, search: &Search, link: impl Fn(&Search) -> String) -> Vec<Value> {
    let one = clinic.visit_types.iter().map(|kind| {
        let id = kind.id.to_string();
        context! {
            chosen => id == search.visit_type,
            name => kind.name.as_str(),
            minutes => kind.duration_minutes,
            patients_word => patients_word(kind, member.language),
            link => link(&Search { visit_type: id, ..search.clone() }),
        }
    });
    one.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_patient_gets_the_last_kind_again_or_else_the_one_after_the_first() {
        let [first, second, third, gone] = [1, 2, 3, 4].map(|nth| VisitTypeId(uuid::Uuid::from_u128(nth)));
        let kinds = [first, second, third];
        for (last, kinds, expected) in [
            (None, kinds.as_slice(), Some(first)),
            (Some(first), &kinds, Some(second)),
            (Some(third), &kinds, Some(third)),
            (Some(gone), &kinds, Some(second)),
            (Some(first), &kinds[..1], Some(first)),
            (Some(first), &[], None),
        ] {
            assert_eq!(after(last, kinds), expected, "{last:?}");
        }
    }
}
