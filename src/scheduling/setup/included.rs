//! The names of the objects that a page refers to by id, once for the whole page.

use std::collections::BTreeSet;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use text::Language;
use utoipa::ToSchema;

use crate::db::Conn;
use crate::db::schema::{locations, practitioners, visit_types};
use crate::error::Result;
use crate::ids::{LocationId, PractitionerId, VisitTypeId};

/// What the response of a list includes on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// The practitioners.
    Practitioner,
    /// The locations.
    Location,
    /// The visit types.
    VisitType,
}

/// The objects that a page refers to, each once. Only those that the request asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "practitioners": [{"id": "0199d0c2-1f00-7aaa-8000-000000000002", "name": "Dr. Ada Calloway"}],
    "locations": [{"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown"}],
    "visit_types": [{"id": "0199d0c2-1f00-7aaa-8000-000000000004", "public_name": "Appointment", "public_name_es": "Cita"}]
}))]
pub struct Included {
    /// The practitioners.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    practitioners: Option<Vec<IncludedPractitioner>>,
    /// The locations.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    locations: Option<Vec<IncludedLocation>>,
    /// The visit types.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    visit_types: Option<Vec<IncludedVisitType>>,
}

/// A practitioner that a page refers to.
#[derive(Debug, Serialize, Queryable, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-1f00-7aaa-8000-000000000002", "name": "Dr. Ada Calloway"}))]
pub struct IncludedPractitioner {
    /// The practitioner.
    pub id: PractitionerId,
    /// The name, as patients see it.
    pub name: String,
}

/// A location that a page refers to.
#[derive(Debug, Serialize, Queryable, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "name": "Legwork Downtown"}))]
pub struct IncludedLocation {
    /// The location.
    id: LocationId,
    /// The name.
    name: String,
}

/// A visit type that a page refers to.
#[derive(Debug, Serialize, Queryable, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-1f00-7aaa-8000-000000000004", "public_name": "Appointment", "public_name_es": "Cita"}))]
pub struct IncludedVisitType {
    /// The visit type.
    id: VisitTypeId,
    /// The name in mails and calendars.
    public_name: String,
    /// The same name for patients who read Spanish; null if they see `public_name`.
    public_name_es: Option<String>,
}

/// The objects that the items of a page refer to.
#[derive(Default)]
pub struct References {
    pub practitioners: BTreeSet<PractitionerId>,
    pub locations: BTreeSet<LocationId>,
    pub visit_types: BTreeSet<VisitTypeId>,
}

impl FromIterator<(PractitionerId, LocationId, VisitTypeId)> for References {
    fn from_iter<I: IntoIterator<Item = (PractitionerId, LocationId, VisitTypeId)>>(items: I) -> Self {
        let mut references = Self::default();
        for (practitioner, location, visit_type) in items {
            references.practitioners.insert(practitioner);
            references.locations.insert(location);
            references.visit_types.insert(visit_type);
        }
        references
    }
}

impl Included {
    /// The name of a practitioner, if it was asked for.
    pub fn practitioner(&self, id: PractitionerId) -> Option<&str> {
        self.practitioners.iter().flatten().find(|one| one.id == id).map(|one| one.name.as_str())
    }

    /// The name of a location, if it was asked for.
    pub fn location(&self, id: LocationId) -> Option<&str> {
        self.locations.iter().flatten().find(|one| one.id == id).map(|one| one.name.as_str())
    }

    /// The public name of a visit type for a reader of this language, if it was asked for.
    pub fn visit_type(&self, id: VisitTypeId, language: Language) -> Option<&str> {
        let found = self.visit_types.iter().flatten().find(|one| one.id == id)?;
        let spanish = found.public_name_es.as_deref().filter(|_| language == Language::Spanish);
        Some(spanish.unwrap_or(&found.public_name))
    }

    /// Loads what `include` asks for of the objects that the items refer to; none if it asks for nothing. One query for each kind.
    pub fn load(conn: &mut Conn, include: &[Include], references: impl FnOnce() -> References) -> Result<Option<Self>> {
        if include.is_empty() {
            return Ok(None);
        }
        let References { practitioners: of, locations: at, visit_types: kinds } = references();
        let mut included = Self { practitioners: None, locations: None, visit_types: None };
        if include.contains(&Include::Practitioner) {
            included.practitioners = Some(practitioners(conn, of)?);
        }
        if include.contains(&Include::Location) {
            let named = locations::table.filter(locations::id.eq_any(at)).order(locations::id);
            included.locations = Some(named.select((locations::id, locations::name)).load(conn)?);
        }
        if include.contains(&Include::VisitType) {
            let named = visit_types::table.filter(visit_types::id.eq_any(kinds)).order(visit_types::id);
            included.visit_types = Some(
                named.select((visit_types::id, visit_types::public_name, visit_types::public_name_es)).load(conn)?,
            );
        }
        Ok(Some(included))
    }
}

/// Loads the names of practitioners.
pub fn practitioners(conn: &mut Conn, ids: BTreeSet<PractitionerId>) -> Result<Vec<IncludedPractitioner>> {
    let named = practitioners::table.filter(practitioners::id.eq_any(ids)).order(practitioners::id);
    Ok(named.select((practitioners::id, practitioners::name)).load(conn)?)
}
