//! Whether patients can book, and what is missing otherwise. It is computed from what is stored, so the steps of the first set-up can be left
//! and resumed, and undone by any other client.

use std::collections::BTreeSet;

use jiff::civil::Date as Day;
use jiff::tz::TimeZone;

use super::super::book::{self, Search, Visitor};
use super::super::desk::Clinic;
use super::Member;
use crate::error::Result;
use crate::ids::PractitionerId;
use crate::scheduling::hours::availability;
use crate::scheduling::setup::practitioners::PractitionerView;
use crate::scheduling::setup::visit_types::VisitTypeView;

/// The most visit types and practitioners that are looked at. A larger clinic is open already.
const MOST: usize = 20;

/// A kind of visit that patients book themselves, and the first day with a time for it.
pub(super) struct Offer {
    pub name: String,
    pub first: Option<Day>,
}

pub(super) struct Readiness {
    pub clinic: Clinic,
    /// The practitioners with weekly hours.
    pub with_hours: BTreeSet<PractitionerId>,
    pub offers: Vec<Offer>,
}

/// What keeps patients from booking, in the order of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Place,
    VisitType,
    /// No kind of visit is booked by patients themselves.
    Online,
    Practitioner,
    /// Nobody offers such a kind of visit at a place.
    Offer,
    Hours,
    /// Everything is there, but no time is free.
    Times,
}

impl Missing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Place => "place",
            Self::VisitType => "visit_type",
            Self::Online => "online",
            Self::Practitioner => "practitioner",
            Self::Offer => "offer",
            Self::Hours => "hours",
            Self::Times => "times",
        }
    }
}

impl Readiness {
    pub async fn read(member: &Member) -> Result<Self> {
        let clinic = Clinic::read(member).await?;
        let mut with_hours = BTreeSet::new();
        for one in clinic.practitioners.iter().take(MOST) {
            if !availability::read(&member.context, one.id).await?.object.items.is_empty() {
                with_hours.insert(one.id);
            }
        }
        let zone = clinic.locations.first().map_or(TimeZone::UTC, |place| member.zone(&place.time_zone));
        let today = member.context.env.now().in_zone(&zone).date();
        let stranger = Visitor::stranger(member);
        let mut offers = Vec::new();
        for visit in clinic.visit_types.iter().filter(|visit| visit.online_bookable).take(MOST) {
            let search = Search { visit_type: visit.id.to_string(), ..Search::default() };
            let days = book::days::count(&stranger, &search, today).await?;
            let soon = days.items.iter().find(|day| day.slots > 0).map(|day| day.date.0);
            offers.push(Offer { name: visit.name.clone(), first: soon.or(days.next_day_with_slots.map(|day| day.0)) });
        }
        Ok(Self { clinic, with_hours, offers })
    }

    /// The first day on which a stranger finds a time.
    pub fn first_day(&self) -> Option<Day> {
        self.offers.iter().filter_map(|offer| offer.first).min()
    }

    /// Whether this practitioner offers a kind of visit that patients book, at a place.
    pub fn is_offering(&self, one: &PractitionerView) -> bool {
        let is_offered = |visit: &VisitTypeView| visit.online_bookable && one.visit_type_ids.contains(&visit.id);
        !one.location_ids.is_empty() && self.clinic.visit_types.iter().any(is_offered)
    }

    /// What keeps patients from booking. Empty if they can.
    pub fn missing(&self) -> Vec<Missing> {
        if self.first_day().is_some() {
            return Vec::new();
        }
        let Clinic { locations, practitioners, visit_types, .. } = &self.clinic;
        let offering: Vec<_> = practitioners.iter().filter(|one| self.is_offering(one)).collect();
        let is_online = visit_types.iter().any(|visit| visit.online_bookable);
        let has_hours = offering.iter().any(|one| self.with_hours.contains(&one.id));
        let missing: Vec<Missing> = [
            (locations.is_empty(), Missing::Place),
            (visit_types.is_empty(), Missing::VisitType),
            (!visit_types.is_empty() && !is_online, Missing::Online),
            (practitioners.is_empty(), Missing::Practitioner),
            (!practitioners.is_empty() && is_online && offering.is_empty(), Missing::Offer),
            (!offering.is_empty() && !has_hours, Missing::Hours),
        ]
        .into_iter()
        .filter_map(|(is_missing, what)| is_missing.then_some(what))
        .collect();
        if missing.is_empty() { vec![Missing::Times] } else { missing }
    }
}
