//! The kinds of visit: the list, a new one, and changes.

use actix_web::{HttpRequest, HttpResponse};
use text::Language;

use super::super::desk::Clinic;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{Edit, is_setup};
use super::fields::{Choice, Draft, Field, Form, Kind, Values};
use super::list::{List, Row};
use super::words;
use super::{Member, MemberForm, clinic, resources};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::ids::VisitTypeId;
use crate::scheduling::setup::visit_types::{self, VisitTypeView};

const LIST: &str = "admin/visit-types";

const FIELDS: [Field; 9] = [
    Field::new("name", Kind::Line, "Name among staff", "Nombre para el personal"),
    Field::new("public_name", Kind::Line, "Name for patients", "Nombre para los pacientes").hint(
        "It stands in mails and calendars, so it must tell nothing about health.",
        "Aparece en correos y calendarios; no debe decir nada de la salud.",
    ),
    Field::new("public_name_es", Kind::Line, "Name for patients in Spanish", "Nombre para los pacientes en español")
        .optional(),
    Field::new("duration_minutes", Kind::Number, "Length in minutes", "Duración en minutos").hint(
        "A multiple of the slots of its places, 5 to 480.",
        "Un múltiplo de los turnos de sus lugares, de 5 a 480.",
    ),
    Field::new(
        "buffer_before_minutes",
        Kind::Number,
        "Time to prepare before it, in minutes",
        "Tiempo de preparación antes, en minutos",
    )
    .optional(),
    Field::new(
        "buffer_after_minutes",
        Kind::Number,
        "Time to finish after it, in minutes",
        "Tiempo para terminar después, en minutos",
    )
    .optional(),
    Field::new(
        "online_bookable",
        Kind::Check,
        "Patients book it themselves",
        "Los pacientes la reservan por su cuenta",
    )
    .hint("Otherwise only the front desk books it.", "Si no, solo la reserva la recepción."),
    Field::new(
        "booking_notice_minutes",
        Kind::Amount,
        "Book at least this long before",
        "Reservar al menos con esta antelación",
    ),
    Field::new(
        "cancel_notice_minutes",
        Kind::Amount,
        "Cancel or move online at least this long before",
        "Cancelar o cambiar en línea al menos con esta antelación",
    ),
];

/// If the clinic has any resource.
const RESOURCES: Field = Field::new("resource_ids", Kind::Several, "What it needs", "Qué necesita")
    .optional()
    .hint("It takes one of each, at the place of the visit.", "Toma uno de cada, en el lugar de la cita.");

/// Of a visit type that exists.
const IN_USE: Field = Field::new("active", Kind::Check, "In use", "En uso").hint(
    "Otherwise it cannot be booked. Booked visits stay.",
    "Si no, no se puede reservar. Las citas reservadas se mantienen.",
);

/// The notices to choose from, in minutes.
const NOTICES: [i32; 10] = [0, 30, 60, 120, 240, 720, 1440, 2880, 4320, 10_080];

/// The notices to choose from, with those that are stored already.
fn notices(stored: &[String], language: Language) -> Vec<Choice> {
    let mut all: Vec<i32> = NOTICES.into_iter().chain(stored.iter().filter_map(|text| text.parse().ok())).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|minutes| Choice::new(minutes, words::minutes(minutes, language))).collect()
}

async fn form(member: &Member, is_new: bool, stored: &Values) -> Result<Form> {
    let resources = resources::all(member).await?;
    let resources: Vec<Choice> = resources.iter().map(|one| Choice::new(one.id, one.name.as_str())).collect();
    let needs = (!resources.is_empty()).then_some(RESOURCES);
    let fields: Vec<Field> = FIELDS.into_iter().chain(needs).chain((!is_new).then_some(IN_USE)).collect();
    let notice = |name: &str| notices(stored.get(name).map(Vec::as_slice).unwrap_or_default(), member.language);
    let form = Form::new(&fields, member.language).with("resource_ids", resources);
    Ok(["booking_notice_minutes", "cancel_notice_minutes"]
        .into_iter()
        .fold(form, |form, name| form.with(name, notice(name))))
}

fn values(visit: &VisitTypeView) -> Values {
    let one = |text: &str| vec![text.to_owned()];
    let number = |number: i32| vec![number.to_string()];
    let ticked = |is: bool| if is { one("yes") } else { Vec::new() };
    Values::from([
        ("name", one(&visit.name)),
        ("public_name", one(&visit.public_name)),
        ("public_name_es", visit.public_name_es.iter().cloned().collect()),
        ("duration_minutes", number(visit.duration_minutes)),
        ("buffer_before_minutes", number(visit.buffer_before_minutes)),
        ("buffer_after_minutes", number(visit.buffer_after_minutes)),
        ("online_bookable", ticked(visit.online_bookable)),
        ("booking_notice_minutes", number(visit.booking_notice_minutes)),
        ("cancel_notice_minutes", number(visit.cancel_notice_minutes)),
        ("resource_ids", visit.resource_ids.iter().map(ToString::to_string).collect()),
        ("active", ticked(visit.active)),
    ])
}

async fn edit<'a>(member: &'a Member, id: Option<VisitTypeId>, is_setup: bool, stored: &Values) -> Result<Edit<'a>> {
    let (title, page) = match id {
        Some(id) => (both("Change a kind of visit", "Cambiar un tipo de cita"), id.to_string()),
        None => (both("A new kind of visit", "Un tipo de cita nuevo"), "new".to_owned()),
    };
    Ok(Edit {
        member,
        form: form(member, id.is_none(), stored).await?,
        title,
        intro: both("", ""),
        action: format!("{LIST}/{page}"),
        back: LIST.to_owned(),
        is_setup,
        submit: both("Save", "Guardar"),
        links: Vec::new(),
        actions: Vec::new(),
    })
}

/// Lists the kinds of visit, those out of use last.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let (used, ended) = (Clinic::read(&member).await?.visit_types, clinic::ended_visit_types(&member).await?);
    let row = |visit: &VisitTypeView| {
        let online = if visit.online_bookable {
            both("patients book it", "la reservan los pacientes")
        } else {
            both("only the front desk books it", "solo la reserva la recepción")
        };
        let length = words::minutes(visit.duration_minutes, member.language);
        Row {
            page: format!("{LIST}/{}", visit.id),
            title: if visit.active { visit.name.clone() } else { clinic::ended(&member, &visit.name) },
            lines: vec![format!("{}, {length}, {}", visit.public_name, online.text(member.language))],
            is_ended: !visit.active,
        }
    };
    let list = List {
        title: both("Kinds of visit", "Tipos de cita"),
        intro: both("", ""),
        add: Some(("admin/visit-types/new", both("Add a kind of visit", "Añadir un tipo de cita"))),
        rows: used.iter().chain(&ended).map(row).collect(),
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the form of a new kind of visit.
pub(super) async fn new(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let suggested = [
        ("duration_minutes", "30"),
        ("buffer_before_minutes", "0"),
        ("buffer_after_minutes", "0"),
        ("online_bookable", "yes"),
        ("booking_notice_minutes", "120"),
        ("cancel_notice_minutes", "1440"),
    ];
    edit(&member, None, is_setup(&sent), &Values::new()).await?.show(&Draft::new(&suggested)).await
}

/// Creates a kind of visit.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let edit = edit(member, None, is_setup(&form.sent), &Values::new()).await?;
    let draft = edit.form.read(&form.sent);
    let created = match input::read_built(&edit.form.created(&draft), &*member.operation("create_visit_type")?) {
        Ok(body) => visit_types::create(&member.context, form.once("visit type"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(_) => Ok(edit.done(0)),
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// Shows the form of a kind of visit.
pub(super) async fn show(
    member: Member,
    PathId(id): PathId<VisitTypeId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let found = visit_types::read(&member.public(), id).await?;
    let stored = values(&found.object);
    edit(&member, Some(id), is_setup(&sent), &stored).await?.show(&Draft::stored(found.version, stored.clone())).await
}

/// Changes a kind of visit.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<VisitTypeId>) -> Result<HttpResponse> {
    let member = &form.member;
    let now = visit_types::read(&member.public(), id).await?;
    let edit = edit(member, Some(id), is_setup(&form.sent), &values(&now.object)).await?;
    let draft = edit.form.read(&form.sent);
    let if_match = IfMatch::version(draft.version.unwrap_or_default());
    let changed = match input::read_built(&edit.form.patch(&draft), &*member.operation("update_visit_type")?) {
        Ok(body) => visit_types::update(&member.context, id, if_match, body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(edit.done(0)),
        Err(Error::Stale) => {
            let now = visit_types::read(&member.public(), id).await?;
            edit.overtaken(draft, now.version, values(&now.object)).await
        }
        Err(error) => edit.refuse(draft, error).await,
    }
}
