//! The practitioners: the list, a new one, and changes. Their weekly hours have a page of their own.

use actix_web::{HttpRequest, HttpResponse};

use super::super::desk::Clinic;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{Edit, is_setup};
use super::fields::{Choice, Draft, Field, Form, Kind, Values};
use super::list::{List, Row};
use super::{Member, MemberForm, clinic};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::ids::PractitionerId;
use crate::scheduling::setup::practitioners::{self, PractitionerView};

pub(super) const LIST: &str = "admin/practitioners";

const FIELDS: [Field; 3] = [
    Field::new("name", Kind::Line, "Name", "Nombre").hint(
        "As patients see it, such as Dr. Ada Calloway.",
        "Como lo ven los pacientes, por ejemplo Dra. Ada Calloway.",
    ),
    Field::new("visit_type_ids", Kind::Several, "Kinds of visit", "Tipos de cita"),
    Field::new("location_ids", Kind::Several, "Places", "Lugares"),
];

/// Of a practitioner who exists.
const IN_USE: Field = Field::new("active", Kind::Check, "Sees patients", "Atiende a pacientes").hint(
    "Otherwise nobody can be booked with them. Booked visits stay.",
    "Si no, no se pueden reservar citas. Las citas reservadas se mantienen.",
);

fn values(one: &PractitionerView) -> Values {
    Values::from([
        ("name", vec![one.name.clone()]),
        ("visit_type_ids", one.visit_type_ids.iter().map(ToString::to_string).collect()),
        ("location_ids", one.location_ids.iter().map(ToString::to_string).collect()),
        ("active", if one.active { vec!["yes".to_owned()] } else { Vec::new() }),
    ])
}

/// The page of a practitioner. `stored` are the values that may name visit types out of use.
async fn edit<'a>(member: &'a Member, id: Option<PractitionerId>, sent: &Sent, stored: &Values) -> Result<Edit<'a>> {
    let clinic = Clinic::read(member).await?;
    let mut kinds: Vec<Choice> = clinic.visit_types.iter().map(|one| Choice::new(one.id, &one.name)).collect();
    let offered = stored.get("visit_type_ids").map(Vec::as_slice).unwrap_or_default();
    if offered.iter().any(|id| kinds.iter().all(|kind| kind.value != *id)) {
        let ended = clinic::ended_visit_types(member).await?;
        let ended = ended.iter().map(|one| Choice::new(one.id, clinic::ended(member, &one.name)));
        kinds.extend(ended.filter(|kind| offered.contains(&kind.value)));
    }
    let places = clinic.locations.iter().map(|one| Choice::new(one.id, &one.name)).collect();
    let fields: Vec<Field> = FIELDS.into_iter().chain(id.map(|_| IN_USE)).collect();
    let (title, page) = match id {
        Some(id) => (both("Change a practitioner", "Cambiar un profesional"), id.to_string()),
        None => (both("A new practitioner", "Un profesional nuevo"), "new".to_owned()),
    };
    Ok(Edit {
        member,
        form: Form::new(&fields, member.language).with("visit_type_ids", kinds).with("location_ids", places),
        title,
        intro: both("", ""),
        action: format!("{LIST}/{page}"),
        back: LIST.to_owned(),
        is_setup: is_setup(sent),
        submit: both("Save", "Guardar"),
        links: id
            .map(|id| {
                vec![
                    (format!("{LIST}/{id}/hours"), both("Weekly hours", "Horario semanal")),
                    (format!("{LIST}/{id}/time-off"), both("Time off and extra hours", "Ausencias y horas extra")),
                ]
            })
            .unwrap_or_default(),
        actions: Vec::new(),
    })
}

/// Lists the practitioners, those out of use last.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let (clinic, ended) = (Clinic::read(&member).await?, clinic::ended_practitioners(&member).await?);
    let row = |one: &PractitionerView| {
        let places: Vec<&str> = one.location_ids.iter().map(|id| clinic.location(*id)).collect();
        let kinds = one.visit_type_ids.iter().map(|id| clinic.visit_type(*id)).filter(|name| !name.is_empty());
        let lines = [places.join(", "), kinds.collect::<Vec<_>>().join(", ")];
        Row {
            page: format!("{LIST}/{}", one.id),
            title: if one.active { one.name.clone() } else { clinic::ended(&member, &one.name) },
            lines: lines.into_iter().filter(|line| !line.is_empty()).collect(),
            is_ended: !one.active,
        }
    };
    let list = List {
        title: both("Practitioners", "Profesionales"),
        intro: both("", ""),
        add: Some(("admin/practitioners/new", both("Add a practitioner", "Añadir un profesional"))),
        rows: clinic.practitioners.iter().chain(&ended).map(row).collect(),
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the form of a new practitioner. The usual one offers everything everywhere.
pub(super) async fn new(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let clinic = Clinic::read(&member).await?;
    let suggested = Values::from([
        ("visit_type_ids", clinic.visit_types.iter().map(|one| one.id.to_string()).collect()),
        ("location_ids", clinic.locations.iter().map(|one| one.id.to_string()).collect()),
    ]);
    edit(&member, None, &sent, &Values::new()).await?.show(&Draft { typed: suggested, ..Draft::default() }).await
}

/// Creates a practitioner, and leads to the weekly hours.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let edit = edit(member, None, &form.sent, &Values::new()).await?;
    let draft = edit.form.read(&form.sent);
    let created = match input::read_built(&edit.form.created(&draft), &*member.operation("create_practitioner")?) {
        Ok(body) => practitioners::create(&member.context, form.once("practitioner"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => {
            let step = if edit.is_setup { "&setup=1" } else { "" };
            Ok(member.go_to(&format!("{LIST}/{}/hours?did=saved{step}", created.object.id)))
        }
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// Shows the form of a practitioner.
pub(super) async fn show(
    member: Member,
    PathId(id): PathId<PractitionerId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let found = practitioners::read(&member.public(), None, id).await?;
    let stored = values(&found.object);
    edit(&member, Some(id), &sent, &stored).await?.show(&Draft::stored(found.version, stored.clone())).await
}

/// Changes a practitioner.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<PractitionerId>) -> Result<HttpResponse> {
    let member = &form.member;
    let now = practitioners::read(&member.public(), None, id).await?;
    let edit = edit(member, Some(id), &form.sent, &values(&now.object)).await?;
    let draft = edit.form.read(&form.sent);
    let if_match = IfMatch::version(draft.version.unwrap_or_default());
    let changed = match input::read_built(&edit.form.patch(&draft), &*member.operation("update_practitioner")?) {
        Ok(body) => practitioners::update(&member.context, id, if_match, body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(changed) => Ok(edit.done(changed.object.affected.affected_total)),
        Err(Error::Stale) => {
            let now = practitioners::read(&member.public(), None, id).await?;
            edit.overtaken(draft, now.version, values(&now.object)).await
        }
        Err(error) => edit.refuse(draft, error).await,
    }
}
