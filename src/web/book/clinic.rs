//! What the clinic offers online, as the lists of the API have it.

use jiff::tz::TimeZone;

use super::Visitor;
use super::searching::Search;
use crate::error::{Error, Result};
use crate::http::paging::to_end;
use crate::scheduling::setup::locations::{self, LocationView};
use crate::scheduling::setup::practitioners::{self, PractitionerView};
use crate::scheduling::setup::visit_types::{self, VisitTypeView};

/// The kinds of visit that patients book, and who offers them where.
pub(super) struct Clinic {
    pub visit_types: Vec<VisitTypeView>,
    pub locations: Vec<LocationView>,
    pub practitioners: Vec<PractitionerView>,
}

/// What a search names.
pub(super) struct Chosen<'a> {
    pub visit_type: &'a VisitTypeView,
    /// None for all locations.
    pub location: Option<&'a LocationView>,
    /// The doctors who offer this kind of visit there.
    pub practitioners: Vec<&'a PractitionerView>,
    /// The time zone of the location.
    pub zone: TimeZone,
}

/// Returns whether a text is this id. An id has several spellings.
fn is(id: uuid::Uuid, text: &str) -> bool {
    text.parse() == Ok(id)
}

impl Clinic {
    pub async fn read(visitor: &Visitor) -> Result<Self> {
        let context = &visitor.context;
        let visit_types = to_end(async |page| {
            let filter = visitor.parameters("list_visit_types", "")?;
            let found = visit_types::list(context, visitor.caller(), filter, page).await?;
            Ok((found.items, found.next_cursor))
        });
        let locations = to_end(async |page| {
            let found = locations::list(context, page).await?;
            Ok((found.items, found.next_cursor))
        });
        let practitioners = to_end(async |page| {
            let filter = visitor.parameters("list_practitioners", "")?;
            let found = practitioners::list(context, visitor.caller(), filter, page).await?;
            Ok((found.items, found.next_cursor))
        });
        let (visit_types, locations, practitioners) = (visit_types.await?, locations.await?, practitioners.await?);
        let offered = |visit: &VisitTypeView| {
            visit.online_bookable && practitioners.iter().any(|one| one.visit_type_ids.contains(&visit.id))
        };
        let visit_types = visit_types.into_iter().filter(offered).collect();
        Ok(Self { visit_types, locations, practitioners })
    }

    /// The locations where a practitioner offers this kind of visit.
    pub fn places_of(&self, visit: &VisitTypeView) -> Vec<&LocationView> {
        let offer = |place: &&LocationView| {
            let works = |one: &&PractitionerView| one.location_ids.contains(&place.id);
            self.practitioners.iter().filter(works).any(|one| one.visit_type_ids.contains(&visit.id))
        };
        self.locations.iter().filter(offer).collect()
    }

    /// # Errors
    /// [`Error::NotFound`] if the clinic does not offer this online.
    pub fn choose(&self, visitor: &Visitor, search: &Search) -> Result<Chosen<'_>> {
        let visit_type = self.visit_types.iter().find(|visit| is(visit.id.0, &search.visit_type));
        let visit_type = visit_type.ok_or(Error::NotFound)?;
        let location = match search.location.as_str() {
            "" => None,
            text => Some(self.locations.iter().find(|place| is(place.id.0, text)).ok_or(Error::NotFound)?),
        };
        let offer = |one: &&PractitionerView| {
            one.visit_type_ids.contains(&visit_type.id)
                && location.is_none_or(|place| one.location_ids.contains(&place.id))
        };
        let practitioners: Vec<_> = self.practitioners.iter().filter(offer).collect();
        if !search.practitioner.is_empty() && !practitioners.iter().any(|one| is(one.id.0, &search.practitioner)) {
            return Err(Error::NotFound);
        }
        let place = location.or_else(|| self.locations.first());
        let zone = place.and_then(|place| visitor.env().config.zones.get(&place.time_zone)).unwrap_or(TimeZone::UTC);
        Ok(Chosen { visit_type, location, practitioners, zone })
    }

    /// The name of a practitioner; empty if it is not in the list any more.
    pub fn practitioner(&self, id: crate::ids::PractitionerId) -> &str {
        self.practitioners.iter().find(|one| one.id == id).map_or("", |one| one.name.as_str())
    }

    /// The name of a location.
    pub fn location(&self, id: crate::ids::LocationId) -> &str {
        self.locations.iter().find(|one| one.id == id).map_or("", |one| one.name.as_str())
    }
}

/// The name of a kind of visit for the reader.
pub(in crate::web) fn visit_name(language: text::Language, visit: &VisitTypeView) -> String {
    let spanish = visit.public_name_es.as_ref().filter(|_| language == text::Language::Spanish);
    spanish.unwrap_or(&visit.public_name).clone()
}
