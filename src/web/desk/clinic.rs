//! The locations, practitioners and kinds of visit, as the desk chooses between them.

use jiff::SignedDuration;
use text::Language;

use super::super::book::visit_name;
use super::Member;
use crate::appointments::view::AppointmentView;
use crate::error::{Error, Result};
use crate::http::paging::to_end;
use crate::ids::{LocationId, PractitionerId, VisitTypeId};
use crate::phone::{self, Country};
use crate::scheduling::setup::locations::{self, LocationView};
use crate::scheduling::setup::practitioners::{self, PractitionerView};
use crate::scheduling::setup::visit_types::{self, VisitTypeView};

#[derive(Default)]
pub(in crate::web) struct Clinic {
    pub locations: Vec<LocationView>,
    pub practitioners: Vec<PractitionerView>,
    pub visit_types: Vec<VisitTypeView>,
    /// Practitioners and kinds of visit that have names here and cannot be chosen: they are no longer in use.
    other_practitioners: Vec<PractitionerView>,
    other_visit_types: Vec<VisitTypeView>,
}

impl Clinic {
    pub async fn read(member: &Member) -> Result<Self> {
        let practitioners = to_end(async |page| {
            let (actor, filter) = (member.context.actor.clone(), member.parameters("list_practitioners", "")?);
            let found = practitioners::list(&member.public(), Some(actor), filter, page).await?;
            Ok((found.items, found.next_cursor))
        });
        Ok(Self {
            locations: locations(member).await?,
            practitioners: practitioners.await?,
            visit_types: visit_types(member).await?,
            ..Self::default()
        })
    }

    /// Reads the names of the practitioners and kinds of visit that the lists do not have.
    pub async fn read_names(
        &mut self,
        member: &Member,
        practitioners: impl IntoIterator<Item = PractitionerId>,
        visit_types: impl IntoIterator<Item = VisitTypeId>,
    ) -> Result<()> {
        for id in practitioners {
            if self.practitioner(id).is_empty() {
                let actor = Some(member.context.actor.clone());
                self.other_practitioners.push(practitioners::read(&member.public(), actor, id).await?.object);
            }
        }
        for id in visit_types {
            if self.visit_type(id).is_empty() {
                self.other_visit_types.push(visit_types::read(&member.public(), id).await?.object);
            }
        }
        Ok(())
    }

    /// Reads the clinic with the names that these visits need.
    pub async fn of_visits<'a>(
        member: &Member,
        visits: impl IntoIterator<Item = &'a AppointmentView> + Clone,
    ) -> Result<Self> {
        let mut clinic = Self::read(member).await?;
        let practitioners = visits.clone().into_iter().map(|visit| visit.practitioner_id);
        let kinds = visits.into_iter().map(|visit| visit.visit_type_id);
        clinic.read_names(member, practitioners, kinds).await?;
        Ok(clinic)
    }

    pub fn location(&self, id: LocationId) -> &str {
        self.locations.iter().find(|one| one.id == id).map_or("", |one| &one.name)
    }

    pub fn practitioner(&self, id: PractitionerId) -> &str {
        let mut all = self.practitioners.iter().chain(&self.other_practitioners);
        all.find(|one| one.id == id).map_or("", |one| &one.name)
    }

    pub fn visit_type(&self, id: VisitTypeId) -> &str {
        self.kind(id).map_or("", |one| &one.name)
    }

    fn kind(&self, id: VisitTypeId) -> Option<&VisitTypeView> {
        self.visit_types.iter().chain(&self.other_visit_types).find(|one| one.id == id)
    }

    /// Whether a kind of visit can be booked.
    pub fn is_offered(&self, id: VisitTypeId) -> bool {
        self.kind(id).is_some_and(|kind| kind.active)
    }

    /// The patients' word for a kind of visit, if it is another one than the desk's.
    pub fn patients_word(&self, id: VisitTypeId, language: Language) -> Option<String> {
        self.kind(id).and_then(|kind| patients_word(kind, language))
    }

    /// The kinds of visit that can be booked at a location with a practitioner, in their order. An empty id stands for any.
    pub fn kinds_at(&self, location: &str, practitioner: &str) -> Vec<VisitTypeId> {
        let is_asked = |one: &PractitionerView| {
            (practitioner.is_empty() || one.id.to_string() == practitioner)
                && (location.is_empty() || one.location_ids.iter().any(|id| id.to_string() == location))
        };
        let offers = |kind: &VisitTypeView| {
            self.practitioners.iter().any(|one| one.active && is_asked(one) && one.visit_type_ids.contains(&kind.id))
        };
        self.visit_types.iter().filter(|kind| kind.active && offers(kind)).map(|kind| kind.id).collect()
    }
}

/// The patients' word for a kind of visit, if it is another one than the desk's.
pub(super) fn patients_word(kind: &VisitTypeView, language: Language) -> Option<String> {
    Some(visit_name(language, kind)).filter(|name| *name != kind.name)
}

pub(super) async fn locations(member: &Member) -> Result<Vec<LocationView>> {
    to_end(async |page| {
        let found = locations::list(&member.public(), page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

async fn visit_types(member: &Member) -> Result<Vec<VisitTypeView>> {
    to_end(async |page| {
        let (actor, filter) = (member.context.actor.clone(), member.parameters("list_visit_types", "")?);
        let found = visit_types::list(&member.public(), Some(actor), filter, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

/// The shortest working time of a practitioner for a visit that can be booked. None if there is no such visit.
pub(super) async fn shortest_visit(member: &Member) -> Result<Option<SignedDuration>> {
    let kinds = visit_types(member).await?;
    let minutes = |kind: &VisitTypeView| kind.buffer_before_minutes + kind.duration_minutes + kind.buffer_after_minutes;
    let shortest = kinds.iter().filter(|kind| kind.active).map(minutes).min();
    Ok(shortest.map(|minutes| SignedDuration::from_mins(minutes.into())))
}

/// The location of this id, or the first one if there is no id.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub(super) fn chosen<'a>(locations: &'a [LocationView], id: &str) -> Result<&'a LocationView> {
    if id.is_empty() {
        return locations.first().ok_or(Error::NotFound);
    }
    let id: LocationId = id.parse().map_err(|_| Error::NotFound)?;
    locations.iter().find(|one| one.id == id).ok_or(Error::NotFound)
}

/// A telephone number as the locations' country writes it.
pub(super) fn phone(number: &str, locations: &[LocationView]) -> String {
    phone::shown(number, locations.first().and_then(|one| Country::of(&one.country)))
}
