//! The times that are offered now to the patients of an account.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::super::member::Member;
use crate::error::Result;
use crate::ids::WaitlistEntryId;
use crate::messages::times::Moment;
use crate::scheduling::setup::included::Included;
use crate::waitlist::offer_listing::{self, ListedWaitlistOffer};

/// The most offers that are read. An entry of the waitlist has one open offer.
const MOST: usize = 100;

/// The open offers by the entry of the waitlist that they are made to.
pub(super) async fn open(member: &Member) -> Result<BTreeMap<WaitlistEntryId, Value>> {
    const OPERATION: &str = "list_waitlist_offers";
    let query = format!("status=offered&include=practitioner,location&limit={MOST}");
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = offer_listing::list(&member.context, filter, page).await?;
    let now = member.context.env.now();
    let open = found.items.iter().filter(|one| one.offer.expires_at > now);
    Ok(open.map(|one| (one.offer.waitlist_entry_id, shown(member, one, found.included.as_ref()))).collect())
}

fn shown(member: &Member, one: &ListedWaitlistOffer, included: Option<&Included>) -> Value {
    let offer = &one.offer;
    let zone = member.zone(&offer.time_zone);
    let starts = Moment::new(offer.starts_at, &zone, member.language);
    context! {
        id => offer.id.to_string(),
        when => starts.date(),
        time => starts.time_here(),
        practitioner => included.and_then(|included| included.practitioner(offer.practitioner_id)),
        location => included.and_then(|included| included.location(offer.location_id)),
        until => Moment::new(offer.expires_at, &zone, member.language).full_here(),
    }
}

#[cfg(test)]
pub(super) fn example() -> Value {
    context! {
        id => "1", when => "Monday, March 9, 2026", time => "9:30 AM (EDT)", practitioner => "Dr. Osei", location => "Elm",
        until => "Monday, March 2, 2026, 11:00 AM (EST)",
    }
}
