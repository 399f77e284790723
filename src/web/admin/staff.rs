//! The accounts of staff: inviting, roles, ending; and for a lost phone or a lost device, the second factor and the sessions.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;

use super::super::desk::Clinic;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{Action, Edit, done, is_setup};
use super::fields::{Choice, Draft, Field, Form, Kind, Values};
use super::list::{List, Row};
use super::words;
use super::{Member, MemberForm, clinic};
use crate::accounts::second_factor::switching_off;
use crate::accounts::sessions::revoking;
use crate::accounts::users::{self, UserView};
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::http::paging::to_end;
use crate::ids::UserId;
use crate::role::{Role, StaffRole};

const LIST: &str = "admin/staff";

const EMAIL: Field = Field::new("email", Kind::Email, "E‑mail address", "Correo electrónico").most(254).hint(
    "The invitation goes there. Its link sets the password and works for a week.",
    "Allí llega la invitación. Su enlace fija la contraseña y sirve durante una semana.",
);

const FIELDS: [Field; 3] = [
    Field::new("name", Kind::Line, "Name", "Nombre").most(200),
    Field::new("role", Kind::Choice, "Role", "Rol"),
    Field::new("practitioner_id", Kind::Choice, "Practitioner", "Profesional").optional().hint(
        "Of the role practitioner: whose day and patients the account has.",
        "Para el rol de profesional: de quién son el día y los pacientes de la cuenta.",
    ),
];

/// Of an account that exists.
const ENDED: Field = Field::new("disabled", Kind::Check, "Ended", "Cerrada").hint(
    "The account cannot sign in, and is signed out at once.",
    "La cuenta no puede iniciar sesión y se cierra su sesión enseguida.",
);

pub(super) fn role(role: Role) -> rls::form_dsl::Bilingual {
    match role {
        Role::FrontDesk => both("Front desk", "Recepción"),
        Role::Practitioner => both("Practitioner", "Profesional"),
        Role::Admin => both("Administrator", "Administración"),
        Role::Patient => both("Patient", "Paciente"),
    }
}

/// The accounts of a role, oldest first.
pub(super) async fn of_role(member: &Member, role: Role) -> Result<Vec<UserView>> {
    to_end(async |page| {
        let filter = member.parameters("list_users", &format!("role={}", role.as_str()))?;
        let found = users::list(&member.context, filter, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

fn values(user: &UserView) -> Values {
    Values::from([
        ("name", user.name.iter().cloned().collect()),
        ("role", vec![user.role.as_str().to_owned()]),
        ("practitioner_id", user.practitioner_id.iter().map(ToString::to_string).collect()),
        ("disabled", if user.disabled { vec!["yes".to_owned()] } else { Vec::new() }),
    ])
}

async fn edit<'a>(member: &'a Member, user: Option<(UserId, &UserView)>, is_setup: bool) -> Result<Edit<'a>> {
    let mut practitioners = clinic::practitioner_choices(&Clinic::read(member).await?);
    let own = user.and_then(|(_, user)| user.practitioner_id.map(|id| id.to_string()));
    if own.is_some_and(|id| practitioners.iter().all(|one| one.value != id)) {
        let ended = clinic::ended_practitioners(member).await?;
        practitioners.extend(ended.iter().map(|one| Choice::new(one.id, clinic::ended(member, &one.name))));
    }
    let roles = StaffRole::ALL.iter().map(|one| Choice::new(one.as_str(), role((*one).into()).text(member.language)));
    let fields: Vec<Field> = match user {
        None => [EMAIL].into_iter().chain(FIELDS).collect(),
        Some(_) => FIELDS.into_iter().chain([ENDED]).collect(),
    };
    let action = |id: UserId, page: &str, label, hint| Action { page: format!("{LIST}/{id}/{page}"), label, hint };
    let actions = |(id, user): (UserId, &UserView)| {
        let sign_out = action(
            id,
            "sign-out",
            both("Sign out everywhere", "Cerrar todas las sesiones"),
            both("After the loss of a device.", "Si se perdió un dispositivo."),
        );
        let second_factor = action(
            id,
            "second-factor",
            both("Remove the second factor", "Quitar el segundo factor"),
            both(
                "If the phone and the recovery codes are lost. Make sure first who asks.",
                "Si se perdieron el teléfono y los códigos de recuperación. Asegúrese antes de quién lo pide.",
            ),
        );
        [Some(sign_out), user.second_factor.then_some(second_factor)].into_iter().flatten().collect()
    };
    Ok(Edit {
        member,
        form: Form::new(&fields, member.language).with("role", roles.collect()).with("practitioner_id", practitioners),
        title: if user.is_some() {
            both("Change an account", "Cambiar una cuenta")
        } else {
            both("Invite a member of staff", "Invitar a alguien del personal")
        },
        intro: both("", ""),
        action: user.map_or_else(|| format!("{LIST}/new"), |(id, _)| format!("{LIST}/{id}")),
        back: LIST.to_owned(),
        is_setup,
        submit: if user.is_some() {
            both("Save", "Guardar")
        } else {
            both("Send the invitation", "Enviar la invitación")
        },
        links: Vec::new(),
        actions: user.map(actions).unwrap_or_default(),
    })
}

/// Lists the accounts of staff, those that are ended last.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let clinic = Clinic::read(&member).await?;
    let mut all = Vec::new();
    for one in StaffRole::ALL {
        all.extend(of_role(&member, (*one).into()).await?);
    }
    all.sort_by_key(|user| user.disabled);
    let row = |user: &UserView| {
        let say = |en, es| both(en, es).text(member.language);
        let practitioner = user.practitioner_id.map(|id| clinic.practitioner(id)).filter(|name| !name.is_empty());
        let state = match user {
            user if user.disabled => say("ended", "cerrada"),
            user if user.invited => say("invited, no password yet", "invitada, sin contraseña todavía"),
            user if user.second_factor => say("with a second factor", "con segundo factor"),
            _ => say("without a second factor", "sin segundo factor"),
        };
        let about = [Some(role(user.role).text(member.language)), practitioner, Some(state)];
        Row {
            page: format!("{LIST}/{}", user.id),
            title: user.name.clone().unwrap_or_else(|| user.email.clone()),
            lines: vec![about.into_iter().flatten().collect::<Vec<_>>().join(", "), user.email.clone()],
            is_ended: user.disabled,
        }
    };
    let list = List {
        title: both("Staff", "Personal"),
        intro: both("", ""),
        add: Some(("admin/staff/new", both("Invite a member of staff", "Invitar a alguien del personal"))),
        rows: all.iter().map(row).collect(),
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the form of an invitation.
pub(super) async fn new(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    edit(&member, None, is_setup(&sent)).await?.show(&Draft::default()).await
}

/// Creates an account and mails the invitation.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let edit = edit(member, None, is_setup(&form.sent)).await?;
    let draft = edit.form.read(&form.sent);
    let created = match input::read_built(&edit.form.created(&draft), &*member.operation("create_user")?) {
        Ok(body) => users::create(&member.context, form.once("account"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(_) => Ok(edit.done(0)),
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// Shows an account.
pub(super) async fn show(member: Member, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    let found = users::read(&member.context, id).await?;
    require_staff(&found.object)?;
    let page = edit(&member, Some((id, &found.object)), false).await?;
    page.show(&Draft::stored(found.version, values(&found.object))).await
}

/// The accounts of patients are not on these pages.
fn require_staff(user: &UserView) -> Result<()> {
    if user.role.is_staff() { Ok(()) } else { Err(Error::NotFound) }
}

/// Changes an account.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    let member = &form.member;
    let now = users::read(&member.context, id).await?;
    require_staff(&now.object)?;
    let edit = edit(member, Some((id, &now.object)), false).await?;
    let draft = edit.form.read(&form.sent);
    let if_match = IfMatch::version(draft.version.unwrap_or_default());
    let changed = match input::read_built(&edit.form.patch(&draft), &*member.operation("update_user")?) {
        Ok(body) => users::update(&member.context, id, if_match, body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(edit.done(0)),
        Err(Error::Stale) => edit.overtaken(draft, now.version, values(&now.object)).await,
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// Ends all sessions of an account.
pub(super) async fn sign_out(form: MemberForm, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    let ended = revoking::sign_out_user(&form.member.context, id).await;
    after(&form, ended).await
}

/// Removes the second factor of an account.
pub(super) async fn remove_second_factor(form: MemberForm, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    let removed = switching_off::reset_of_user(&form.member.context, id).await;
    after(&form, removed).await
}

async fn after(form: &MemberForm, result: Result<()>) -> Result<HttpResponse> {
    match result {
        Ok(()) => Ok(done(&form.member, LIST, 0)),
        Err(Error::Conflict(conflict)) => {
            let why = words::conflict(conflict.code).text(form.member.language);
            let values = context! { why => why, page => LIST };
            form.member.answer(super::REFUSED, StatusCode::CONFLICT, values).await
        }
        Err(other) => Err(other),
    }
}
