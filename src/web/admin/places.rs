//! The locations: the list, a new one, and changes.

use actix_web::{HttpRequest, HttpResponse};

use super::super::desk::Clinic;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{Edit, is_setup};
use super::fields::{Choice, Draft, Field, Form, Kind, Values};
use super::list::{List, Row};
use super::words;
use super::{Member, MemberForm};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::ids::LocationId;
use crate::scheduling::setup::location::SLOT_LENGTHS;
use crate::scheduling::setup::locations::{self, LocationView};

const LIST: &str = "admin/locations";

const FIELDS: [Field; 6] = [
    Field::new("name", Kind::Line, "Name of the place", "Nombre del lugar")
        .hint("As patients see it.", "Como lo ven los pacientes."),
    Field::new("address", Kind::Line, "Address", "Dirección")
        .most(300)
        .hint("In one line, as it stands in mails.", "En una línea, como aparece en los correos."),
    Field::new("phone", Kind::Phone, "Telephone", "Teléfono")
        .most(40)
        .hint("The number that patients call.", "El número al que llaman los pacientes."),
    Field::new("country", Kind::Line, "Country", "País")
        .most(2)
        .hint("Two letters, such as US.", "Dos letras, por ejemplo US."),
    Field::new("time_zone", Kind::Line, "Time zone", "Zona horaria").most(64).hint(
        "Such as America/New_York. Hours and visits are in this zone.",
        "Por ejemplo America/New_York. Los horarios y las citas están en esta zona.",
    ),
    Field::new("slot_minutes", Kind::Amount, "Length of a slot", "Duración de un turno").hint(
        "Visits begin at multiples of it and take a whole number of slots.",
        "Las citas empiezan en sus múltiplos y ocupan un número entero de turnos.",
    ),
];

/// Zones that are suggested. Every zone of IANA can be typed.
const ZONES: [&str; 12] = [
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Puerto_Rico",
    "America/Mexico_City",
    "America/Bogota",
    "Europe/London",
    "Europe/Madrid",
];

fn form(member: &Member) -> Form {
    let slots = SLOT_LENGTHS.iter().map(|length| Choice::new(length, words::minutes(*length, member.language)));
    Form::new(&FIELDS, member.language)
        .with("slot_minutes", slots.collect())
        .with("time_zone", ZONES.map(|zone| Choice::new(zone, zone)).into())
}

fn values(place: &LocationView) -> Values {
    let one = |text: &str| vec![text.to_owned()];
    Values::from([
        ("name", one(&place.name)),
        ("address", one(&place.address)),
        ("phone", one(&place.phone)),
        ("country", one(&place.country)),
        ("time_zone", one(&place.time_zone)),
        ("slot_minutes", vec![place.slot_minutes.to_string()]),
    ])
}

fn edit(member: &Member, id: Option<LocationId>, is_setup: bool) -> Edit<'_> {
    let (title, page) = match id {
        Some(id) => (both("Change a place", "Cambiar un lugar"), id.to_string()),
        None => (both("A new place", "Un lugar nuevo"), "new".to_owned()),
    };
    let closures = id.map(|id| (format!("{LIST}/{id}/closures"), both("Closed days", "Días cerrados")));
    Edit {
        member,
        form: form(member),
        title,
        intro: both("", ""),
        action: format!("{LIST}/{page}"),
        back: LIST.to_owned(),
        is_setup,
        submit: both("Save", "Guardar"),
        links: closures.into_iter().collect(),
        actions: Vec::new(),
    }
}

/// Lists the locations.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let places = Clinic::read(&member).await?.locations;
    let row = |place: LocationView| Row {
        page: format!("{LIST}/{}", place.id),
        title: place.name,
        lines: vec![place.address, place.phone_display, place.time_zone],
        is_ended: false,
    };
    let list = List {
        title: both("Places", "Lugares"),
        intro: both("", ""),
        add: Some(("admin/locations/new", both("Add a place", "Añadir un lugar"))),
        rows: places.into_iter().map(row).collect(),
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the form of a new location.
pub(super) async fn new(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    edit(&member, None, is_setup(&sent)).show(&Draft::new(&[("country", "US"), ("slot_minutes", "15")])).await
}

/// Creates a location.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let edit = edit(member, None, is_setup(&form.sent));
    let draft = edit.form.read(&form.sent);
    let created = match input::read_built(&edit.form.created(&draft), &*member.operation("create_location")?) {
        Ok(body) => locations::create(&member.context, form.once("location"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(_) => Ok(edit.done(0)),
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// Shows the form of a location.
pub(super) async fn show(member: Member, PathId(id): PathId<LocationId>, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let found = locations::read(&member.public(), id).await?;
    edit(&member, Some(id), is_setup(&sent)).show(&Draft::stored(found.version, values(&found.object))).await
}

/// Changes a location.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<LocationId>) -> Result<HttpResponse> {
    let member = &form.member;
    let edit = edit(member, Some(id), is_setup(&form.sent));
    let draft = edit.form.read(&form.sent);
    let if_match = IfMatch::version(draft.version.unwrap_or_default());
    let patch = edit.form.patch(&draft);
    let has_other_zone = patch.get("time_zone").is_some();
    let changed = match input::read_built(&patch, &*member.operation("update_location")?) {
        Ok(body) => locations::update(&member.context, id, if_match, body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(changed) if has_other_zone => Ok(edit.done_with_zone(changed.object.affected.affected_total)),
        Ok(changed) => Ok(edit.done(changed.object.affected.affected_total)),
        Err(Error::Stale) => {
            let now = locations::read(&member.public(), id).await?;
            edit.overtaken(draft, now.version, values(&now.object)).await
        }
        Err(error) => edit.refuse(draft, error).await,
    }
}
