//! The time that a visitor holds, and its facts on the pages that follow.

use jiff::tz::TimeZone;
use minijinja::{Value, context};

use super::Form;
use super::clinic::visit_name;
use super::searching::Search;
use crate::context::Context;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::{HoldId, SlotId, VisitTypeId};
use crate::messages::times::Moment;
use crate::scheduling::setup::{locations, practitioners, visit_types};
use crate::scheduling::slots::holds::holder::Holder;
use crate::scheduling::slots::holds::{self, HoldView};

/// The fields of a form that name the held time.
pub(super) const FIELDS: [&str; 3] = ["hold_id", "hold_secret", "slot_id"];

/// The hold of a form, which its secret opens.
#[derive(Clone)]
pub(super) struct Held {
    pub id: String,
    pub secret: String,
    /// The slot in which the visit starts, for another search when the hold is gone.
    pub slot: String,
}

impl Held {
    pub fn of(form: &Form) -> Self {
        let [id, secret, slot] = FIELDS.map(|name| form.sent.first(name).to_owned());
        Self { id, secret, slot }
    }

    pub fn fields(&self) -> Vec<(String, String)> {
        let values = [&self.id, &self.secret, &self.slot];
        FIELDS.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    pub fn id(&self) -> Result<HoldId> {
        self.id.parse().map_err(|_| Error::NotFound)
    }

    pub fn holder(&self, form: &Form) -> Context<Holder> {
        form.visitor.context.acting_as(Holder::on_page(form.origin.clone(), &self.secret))
    }

    /// Reads the hold.
    ///
    /// # Errors
    /// The conflict `hold_lapsed`, also if it was released, replaced or used.
    pub async fn read(&self, form: &Form) -> Result<HoldView> {
        let gone = |error| match error {
            Error::NotFound => Error::conflict(ProblemCode::HoldLapsed, "The time is not held any more."),
            other => other,
        };
        let id = self.id().map_err(gone)?;
        holds::read(&self.holder(form), id).await.map(|hold| hold.object).map_err(gone)
    }
}

/// What the pages show of the held time.
pub(super) async fn facts(form: &Form, hold: &HoldView) -> Result<Value> {
    let visitor = &form.visitor;
    let context = &visitor.context;
    let visit = visit_types::read(context, hold.visit_type_id).await?.object;
    let place = locations::read(context, hold.slot.location_id).await?.object;
    let practitioner = practitioners::read(context, None, hold.slot.practitioner_id).await?.object;
    let zone = visitor.env().config.zones.get(&hold.slot.time_zone).unwrap_or(TimeZone::UTC);
    let moment = |at| Moment::new(at, &zone, visitor.language);
    Ok(context! {
        visit => visit_name(visitor.language, &visit),
        when => moment(hold.slot.starts_at).date(),
        time => format!("{} – {}", moment(hold.slot.starts_at).time(), moment(hold.slot.ends_at).time_here()),
        practitioner => practitioner.name,
        location => place.name,
        address => place.address,
        until => moment(hold.expires_at).time_here(),
        seconds => hold.expires_at.since(visitor.env().now()).as_secs(),
        renewable => hold.renewable,
    })
}

/// The slot and the kind of visit that a form is about, to search for other times.
pub(super) fn wanted(form: &Form) -> Option<(SlotId, VisitTypeId)> {
    let search: &Search = &form.search;
    form.sent.first("slot_id").parse().ok().zip(search.visit_type.parse().ok())
}

#[cfg(test)]
pub(in crate::web) fn example_facts(renewable: bool) -> Value {
    context! {
        visit => "First visit", when => "Monday, March 9, 2026", time => "9:30 AM – 10:30 AM (EDT)", practitioner => "Dr. Osei",
        location => "Elm", address => "12 Elm St", until => "9:10 AM (EST)", seconds => 600, renewable => renewable,
    }
}
