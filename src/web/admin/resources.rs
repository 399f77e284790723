//! Resources: the rooms, devices and chairs that visits need, with how many of them each place has.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
#[cfg(test)]
use minijinja::Value;
use minijinja::context;
use serde_json::{Value as Json, json};

use super::super::desk::Clinic;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{done, done_without_unit, repeated};
use super::list::{List, Row};
use super::words;
use super::{Member, MemberForm};
use crate::error::{Error, FieldError, Result};
use crate::http::etag::IfMatch;
use crate::http::paging::to_end;
use crate::http::{PathId, input};
use crate::ids::ResourceId;
use crate::scheduling::setup::resources::{self, ResourceView};

const NAME: &str = "admin-resource";
const LIST: &str = "admin/resources";
/// The field with the number of units at a place begins with this.
const UNITS: &str = "units.";

/// What a form says: the name, and the units at each place in the order of the clinic's places.
#[derive(Clone, PartialEq, Eq)]
struct Typed {
    name: String,
    units: Vec<String>,
}

impl Typed {
    fn of(sent: &Sent, clinic: &Clinic) -> Self {
        let units = clinic.locations.iter().map(|place| sent.first(&format!("{UNITS}{}", place.id)).trim().to_owned());
        Self { name: sent.first("name").trim().to_owned(), units: units.collect() }
    }

    fn stored(resource: &ResourceView, clinic: &Clinic) -> Self {
        let units = clinic.locations.iter().map(|place| {
            let there = resource.capacities.iter().find(|one| one.location_id == place.id && one.units > 0);
            there.map_or_else(String::new, |one| one.units.to_string())
        });
        Self { name: resource.name.clone(), units: units.collect() }
    }

    fn none(clinic: &Clinic) -> Self {
        Self { name: String::new(), units: vec![String::new(); clinic.locations.len()] }
    }

    /// The body of the operation, which has the places with units only.
    fn json(&self, clinic: &Clinic) -> Json {
        let capacities = clinic.locations.iter().zip(&self.units).filter(|(_, units)| !units.is_empty());
        // A text that is no number breaks a rule of the API.
        let units = |text: &str| text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number));
        let capacities: Vec<Json> =
            capacities.map(|(place, text)| json!({"location_id": place.id, "units": units(text)})).collect();
        json!({"name": self.name, "capacities": capacities})
    }
}

/// The page of a form. `version` is that of the resource; none for a new one.
struct Page<'a> {
    member: &'a Member,
    clinic: &'a Clinic,
    id: Option<ResourceId>,
    version: Option<i32>,
}

impl Page<'_> {
    /// Shows the form. `now` is what somebody else has stored meanwhile.
    async fn answer(
        &self,
        status: StatusCode,
        typed: &Typed,
        errors: &[FieldError],
        now: Option<&Typed>,
    ) -> Result<HttpResponse> {
        let Self { member, clinic, .. } = self;
        let rows = clinic.locations.iter().enumerate().map(|(at, place)| {
            context! {
                id => place.id.to_string(), name => place.name.as_str(), units => typed.units.get(at),
                now => now.and_then(|now| now.units.get(at)).map(|units| if units.is_empty() { "0" } else { units.as_str() }),
            }
        });
        // Each sentence once, whichever number it is about.
        let mut wrong: Vec<String> = errors.iter().map(|error| self.mistake(error)).collect();
        wrong.dedup();
        let values = context! {
            id => self.id.map(|id| id.to_string()), name => typed.name.as_str(), rows => rows.collect::<Vec<_>>(), wrong => wrong,
            now => now.map(|now| now.name.as_str()), version => self.version, setup => false, form_key => member.form_key(),
        };
        member.answer(NAME, status, values).await
    }

    fn mistake(&self, error: &FieldError) -> String {
        let language = self.member.language;
        let (label, shape) = if error.pointer.starts_with("/name") {
            (both("Name", "Nombre"), (100, false))
        } else {
            (both("How many (0 to 50)", "Cuántos (de 0 a 50)"), (0, true))
        };
        format!("{}: {}", label.text(language), words::mistake(error.code, shape, language))
    }
}

/// All resources, oldest first.
pub(super) async fn all(member: &Member) -> Result<Vec<ResourceView>> {
    to_end(async |page| {
        let found = resources::list(&member.context, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

/// Lists the resources.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let found = all(&member).await?;
    let clinic = Clinic::read(&member).await?;
    let row = |one: &ResourceView| Row {
        page: format!("{LIST}/{}", one.id),
        title: one.name.clone(),
        lines: one.capacities.iter().map(|at| format!("{}: {}", clinic.location(at.location_id), at.units)).collect(),
        is_ended: one.capacities.is_empty(),
    };
    let list = List {
        title: both("Rooms, devices and chairs", "Salas, aparatos y sillones"),
        intro: both(
            "What a visit needs beside a practitioner. A kind of visit that needs one is booked only while one is free.",
            "Lo que una cita necesita además del profesional. Un tipo de cita que necesita uno solo se reserva si hay uno libre.",
        ),
        add: Some(("admin/resources/new", both("Add one", "Añadir uno"))),
        rows: found.iter().map(row).collect(),
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the form of a new resource.
pub(super) async fn new(member: Member) -> Result<HttpResponse> {
    let clinic = Clinic::read(&member).await?;
    let page = Page { member: &member, clinic: &clinic, id: None, version: None };
    page.answer(StatusCode::OK, &Typed::none(&clinic), &[], None).await
}

/// Creates a resource.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let clinic = Clinic::read(member).await?;
    let typed = Typed::of(&form.sent, &clinic);
    let created = match input::read_built(&typed.json(&clinic), &*member.operation("create_resource")?) {
        Ok(body) => resources::create(&member.context, form.once("resource"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(_) => Ok(done(member, LIST, 0)),
        Err(Error::Invalid(errors)) => {
            let page = Page { member, clinic: &clinic, id: None, version: None };
            page.answer(StatusCode::UNPROCESSABLE_ENTITY, &typed, &errors, None).await
        }
        Err(other) => Err(other),
    }
}

/// Shows the form of a resource.
pub(super) async fn show(member: Member, PathId(id): PathId<ResourceId>) -> Result<HttpResponse> {
    let clinic = Clinic::read(&member).await?;
    let found = resources::read(&member.context, id).await?;
    let page = Page { member: &member, clinic: &clinic, id: Some(id), version: Some(found.version) };
    page.answer(StatusCode::OK, &Typed::stored(&found.object, &clinic), &[], None).await
}

/// Changes a resource. A stale form says what is stored now.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<ResourceId>) -> Result<HttpResponse> {
    let member = &form.member;
    let clinic = Clinic::read(member).await?;
    let typed = Typed::of(&form.sent, &clinic);
    let drawn: i32 = form.sent.first("version").parse().unwrap_or_default();
    let changed = match input::read_built(&typed.json(&clinic), &*member.operation("update_resource")?) {
        Ok(body) => resources::update(&member.context, id, IfMatch::version(drawn), body.value).await,
        Err(error) => Err(error),
    };
    let page = |version: i32| Page { member, clinic: &clinic, id: Some(id), version: Some(version) };
    match changed {
        Ok(changed) => Ok(done_without_unit(member, LIST, &changed.object.affected)),
        Err(Error::Invalid(errors)) => {
            page(drawn).answer(StatusCode::UNPROCESSABLE_ENTITY, &typed, &errors, None).await
        }
        Err(Error::Stale) => {
            let now = resources::read(&member.context, id).await?;
            let stored = Typed::stored(&now.object, &clinic);
            if stored == typed {
                // The form was sent twice.
                return Ok(repeated(member, LIST));
            }
            page(now.version).answer(StatusCode::PRECONDITION_FAILED, &typed, &[], Some(&stored)).await
        }
        Err(other) => Err(other),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let row = |now: Option<&'static str>| context! { id => "1", name => "<b>Elm", units => "3", now => now };
    let page = |id: Option<&'static str>, rows: Vec<Value>, wrong: Vec<&'static str>, now: Option<&'static str>| {
        let values = context! {
            root => "../../", member => super::super::member::example_admin(), id => id, name => "Chair <b>", rows => rows, wrong => wrong,
            now => now, version => id.map(|_| 1), setup => false, form_key => "k",
        };
        (NAME, values)
    };
    vec![
        page(None, vec![row(None)], vec![], None),
        page(Some("1"), vec![row(Some("2"))], vec![], Some("Chairs")),
        page(Some("1"), vec![row(None)], vec!["Name: No."], None),
    ]
}
