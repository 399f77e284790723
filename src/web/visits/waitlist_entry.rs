//! What the patients of an account wait for: an earlier time of a visit, or a visit of some kind.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::super::book::visit_name;
use super::super::member::Member;
use super::offers;
use crate::appointments::listing::AppointmentPage;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::ids::PatientId;
use crate::messages::times::Moment;
use crate::scheduling::setup::visit_types;
use crate::waitlist::entry::WaitlistStatus;
use crate::waitlist::listing::{self, WaitlistEntryPage};
use crate::waitlist::view;

/// The operation whose parameters the lists have.
const OPERATION: &str = "list_waitlist_entries";
/// The most entries with one status.
const MOST: usize = 50;

async fn read(member: &Member, query: &str) -> Result<WaitlistEntryPage> {
    let (filter, page) = (member.parameters(OPERATION, query)?, member.parameters(OPERATION, query)?);
    listing::list(&member.context, filter, page).await
}

/// The entry of the waitlist with which the patient waits for an earlier time of this visit; none if there is none.
pub(super) async fn entry(member: &Member, visit: &AppointmentView) -> Result<Option<Value>> {
    let query =
        format!("patient_id={}&visit_type_id={}&sort=-created_at&limit=20", visit.patient_id, visit.visit_type_id);
    let found = read(member, &query).await?;
    let waits = |entry: &&view::WaitlistEntryView| {
        entry.appointment_id == Some(visit.id)
            && matches!(entry.status, WaitlistStatus::Waiting | WaitlistStatus::Offered)
    };
    let entry = found.items.iter().map(|listed| &listed.entry).find(waits);
    Ok(entry.map(|entry| {
        context! {
            id => entry.id.to_string(),
            paused => entry.paused,
            here => entry.wishes.location_ids == [visit.location_id],
        }
    }))
}

/// What all patients of the account wait for. `to_come` are their visits.
pub(super) async fn all(
    member: &Member,
    to_come: &AppointmentPage,
    names: &BTreeMap<PatientId, String>,
) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let offers = offers::open(member).await?;
    for status in [WaitlistStatus::Offered, WaitlistStatus::Waiting] {
        let query = format!("status={}&include=location&limit={MOST}", status.as_str());
        let found = read(member, &query).await?;
        let included = found.included.as_ref();
        for entry in found.items.iter().map(|listed| &listed.entry) {
            let places = entry.wishes.location_ids.iter();
            let places =
                places.filter_map(|id| included.and_then(|included| included.location(*id)).map(str::to_owned));
            let kind = visit_types::read(&member.public(), entry.visit_type_id).await?.object;
            let visit = to_come.items.iter().find(|visit| Some(visit.id) == entry.appointment_id);
            all.push(context! {
                id => entry.id.to_string(),
                visit => visit_name(member.language, &kind),
                places => places.collect::<Vec<_>>(),
                patient => names.get(&entry.patient_id),
                offer => offers.get(&entry.id),
                paused => entry.paused,
                halted => !kind.active || !kind.online_bookable,
                earlier => visit.map(|visit| context! {
                    id => visit.id.to_string(),
                    when => Moment::new(visit.starts_at, &member.zone(&visit.time_zone), member.language).full_here(),
                }),
            });
        }
    }
    Ok(all)
}

/// What a patient can wait for.
#[cfg(test)]
pub(super) fn examples() -> Vec<Value> {
    let entry = |earlier: bool, offered: bool, paused: bool, halted: bool| {
        context! {
            id => "1", visit => "First visit", places => if earlier { vec!["Elm", "Oak"] } else { vec![] }, patient => "Ann Example",
            offer => offered.then(offers::example), paused => paused, halted => halted,
            earlier => earlier.then(|| context! { id => "1", when => "Monday, March 9, 2026, 9:30 AM (EDT)" }),
        }
    };
    vec![
        entry(true, false, false, false),
        entry(true, true, false, false),
        entry(false, true, false, false),
        entry(true, false, true, false),
        entry(false, false, false, true),
    ]
}
