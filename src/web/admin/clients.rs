//! Machine clients: a new one with its secret, which is shown once; changing, renewing and ending secrets, revoking.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::tz::TimeZone;
#[cfg(test)]
use minijinja::Value;
use minijinja::context;
use serde_json::json;

use super::super::account::zone;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{Action, Edit, done, outcome, repeated};
use super::fields::{Choice, Draft, Field, Form, Kind, Values};
use super::list::{List, Row};
use super::secret::{self, Created};
use super::words;
use super::{Member, MemberForm, staff};
use crate::accounts::clients::model::{ClientView, CreatedClient};
use crate::accounts::clients::{managing, secrets};
use crate::clock::Timestamp;
use crate::error::{Error, ProblemCode, Result};
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::fallback::TOKEN_PATH;
use crate::http::input;
use crate::http::paging::to_end;
use crate::ids::UserId;
use crate::messages::times::Moment;
use crate::role::ClientRole;
use crate::scopes::Scope;

const LIST: &str = "admin/clients";
/// The page with the secrets of a client.
const SECRETS: &str = "admin-secrets";

const FIELDS: [Field; 3] = [
    Field::new("name", Kind::Line, "Name", "Nombre").most(200).hint(
        "As the audit trail shows it, such as Telephone system.",
        "Como aparece en el registro, por ejemplo Centralita.",
    ),
    Field::new("role", Kind::Choice, "Role", "Rol")
        .hint("It bounds what the permissions below allow.", "Limita lo que permiten los permisos de abajo."),
    Field::new("scopes", Kind::Several, "What it may do", "Qué puede hacer"),
];

fn form(member: &Member, is_new: bool) -> Form {
    let fields: Vec<Field> = FIELDS.into_iter().filter(|field| is_new || field.name != "role").collect();
    let roles =
        ClientRole::ALL.iter().map(|one| Choice::new(one.as_str(), staff::role((*one).into()).text(member.language)));
    // The descriptions of the API are in English.
    let scopes = Scope::ALL
        .iter()
        .map(|scope| Choice::new(scope.as_str(), format!("{} ({})", scope.as_str(), scope.description())).in_english());
    Form::new(&fields, member.language).with("role", roles.collect()).with("scopes", scopes.collect())
}

fn values(client: &ClientView) -> Values {
    Values::from([
        ("name", vec![client.name.clone()]),
        ("scopes", client.scopes.iter().map(|scope| scope.as_str().to_owned()).collect()),
    ])
}

fn edit<'a>(member: &'a Member, client: Option<&ClientView>) -> Edit<'a> {
    let revoke = |client: &ClientView| Action {
        page: format!("{LIST}/{}/revoke", client.id),
        label: both("Revoke this client for ever", "Revocar este cliente para siempre"),
        hint: both(
            "Its secrets, keys and tokens stop working at once.",
            "Sus secretos, claves y accesos dejan de funcionar enseguida.",
        ),
    };
    Edit {
        member,
        form: form(member, client.is_none()),
        title: if client.is_some() {
            both("Change a machine client", "Cambiar un cliente automático")
        } else {
            both("A new machine client", "Un cliente automático nuevo")
        },
        intro: both(
            "A program of yours that uses the API, such as a telephone system. It gets a secret, which is shown once.",
            "Un programa suyo que usa la API, por ejemplo una centralita. Recibe un secreto, que se muestra una sola vez.",
        ),
        action: client.map_or_else(|| format!("{LIST}/new"), |client| format!("{LIST}/{}", client.id)),
        back: LIST.to_owned(),
        is_setup: false,
        submit: if client.is_some() { both("Save", "Guardar") } else { both("Create it", "Crearlo") },
        links: client
            .map(|client| (format!("{LIST}/{}/secrets", client.id), both("Secrets", "Secretos")))
            .into_iter()
            .collect(),
        actions: client.map(revoke).into_iter().collect(),
    }
}

/// A time in words, or that there was none.
fn at(member: &Member, zone: &TimeZone, at: Option<Timestamp>) -> String {
    let never = || both("never", "nunca").text(member.language).to_owned();
    at.map_or_else(never, |at| Moment::new(at, zone, member.language).full_here())
}

/// All clients, oldest first.
pub(super) async fn all(member: &Member) -> Result<Vec<ClientView>> {
    to_end(async |page| {
        let found = managing::list(&member.context, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

/// Lists the clients, revoked ones last.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let mut clients = all(&member).await?;
    clients.sort_by_key(|client| client.revoked_at.is_some());
    let zone = zone(&member).await?;
    let say = |en, es| both(en, es).text(member.language);
    let row = |client: &ClientView| {
        let used = format!("{} {}", say("Last used:", "Último uso:"), at(&member, &zone, client.last_used_at));
        let state = match (client.revoked_at, client.jwks.is_some()) {
            (Some(_), _) => say("revoked", "revocado"),
            (None, true) => say("with its own keys", "con claves propias"),
            (None, false) => say("with a secret", "con secreto"),
        };
        Row {
            // What is revoked cannot be changed.
            page: if client.revoked_at.is_some() {
                format!("{LIST}/{}/secrets", client.id)
            } else {
                format!("{LIST}/{}", client.id)
            },
            title: client.name.clone(),
            lines: vec![format!("{}, {state}", staff::role(client.role).text(member.language)), used],
            is_ended: client.revoked_at.is_some(),
        }
    };
    let list = List {
        title: both("Machine clients", "Clientes automáticos"),
        intro: both("Programs that use the API by themselves.", "Programas que usan la API por sí solos."),
        add: Some(("admin/clients/new", both("Add a machine client", "Añadir un cliente automático"))),
        rows: clients.iter().map(row).collect(),
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the form of a new client.
pub(super) async fn new(member: Member) -> Result<HttpResponse> {
    edit(&member, None).show(&Draft::new(&[("role", "front_desk")])).await
}

/// Creates a client and shows its secret.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let edit = edit(member, None);
    let draft = edit.form.read(&form.sent);
    let created = match input::read_built(&edit.form.created(&draft), &*member.operation("create_client")?) {
        Ok(body) => managing::create(&member.context, form.once("client"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => shown_once(member, &created.object).await,
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// The page with a new secret. The facts have the names of OAuth 2.0.
async fn shown_once(member: &Member, created: &CreatedClient) -> Result<HttpResponse> {
    let base = member.context.env.config.settings.public_url.as_str().trim_end_matches('/');
    let token_url = format!("{base}{TOKEN_PATH}");
    let (id, secret) = (created.client.id.to_string(), created.client_secret.clone());
    let facts: Vec<_> =
        [("client_id", Some(id.clone())), ("client_secret", secret.clone()), ("token_endpoint", Some(token_url))]
            .into_iter()
            .filter_map(|(term, fact)| Some((term, fact?)))
            .collect();
    let next = format!("{LIST}/{id}/secrets");
    Created { name: &created.client.name, facts, has_secret: secret.is_some(), next }.show(member).await
}

/// Shows the form of a client.
pub(super) async fn show(member: Member, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    let found = managing::read(&member.context, id).await?;
    if found.object.revoked_at.is_some() {
        return Ok(member.go_to(&format!("{LIST}/{id}/secrets")));
    }
    edit(&member, Some(&found.object)).show(&Draft::stored(found.version, values(&found.object))).await
}

/// Changes a client.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    let member = &form.member;
    let now = managing::read(&member.context, id).await?;
    let edit = edit(member, Some(&now.object));
    let draft = edit.form.read(&form.sent);
    let if_match = IfMatch::version(draft.version.unwrap_or_default());
    let changed = match input::read_built(&edit.form.patch(&draft), &*member.operation("update_client")?) {
        Ok(body) => managing::update(&member.context, id, if_match, body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(edit.done(0)),
        Err(Error::Stale) => edit.overtaken(draft, now.version, values(&now.object)).await,
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// Revokes a client. One that is revoked stays so.
pub(super) async fn revoke(form: MemberForm, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    managing::revoke(&form.member.context, id).await?;
    Ok(done(&form.member, LIST, 0))
}

/// Shows the secrets of a client, without the secrets themselves.
pub(super) async fn show_secrets(
    member: Member,
    PathId(id): PathId<UserId>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let found = managing::read(&member.context, id).await?;
    let (client, zone) = (&found.object, zone(&member).await?);
    let secrets = client.secrets.iter().map(|one| {
        context! {
            id => one.id.to_string(), created => at(&member, &zone, Some(one.created_at)), used => at(&member, &zone, one.last_used_at),
            ends => one.ends_at.map(|ends| at(&member, &zone, Some(ends))),
        }
    });
    let values = context! {
        id => id.to_string(), name => client.name.as_str(), is_revoked => client.revoked_at.is_some(), has_keys => client.jwks.is_some(),
        used => at(&member, &zone, client.last_used_at), secrets => secrets.collect::<Vec<_>>(), overlaps => secret::overlaps(member.language),
        version => found.version, setup => false, form_key => member.form_key(), ..outcome(&Sent::read(request.query_string().as_bytes()))
    };
    member.answer(SECRETS, StatusCode::OK, values).await
}

/// Creates a secret and shows it.
pub(super) async fn rotate(form: MemberForm, PathId(id): PathId<UserId>) -> Result<HttpResponse> {
    let member = &form.member;
    let overlap = json!({"overlap_hours": secret::overlap(&form.sent)?});
    let created = match input::read_built(&overlap, &*member.operation("create_client_secret")?) {
        Ok(body) => secrets::rotate(&member.context, form.once("secret"), id, body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => shown_once(member, &created.object).await,
        Err(Error::Conflict(conflict)) => refuse(&form, id, conflict.code).await,
        Err(other) => Err(other),
    }
}

/// Ends a secret.
pub(super) async fn end(
    form: MemberForm,
    PathId(id): PathId<UserId>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    let secret = path.1.parse().map_err(|_| Error::NotFound)?;
    match secrets::end(&form.member.context, id, secret).await {
        Ok(()) => Ok(done(&form.member, &format!("{LIST}/{id}/secrets"), 0)),
        // One that is gone is ended.
        Err(Error::NotFound) => Ok(repeated(&form.member, &format!("{LIST}/{id}/secrets"))),
        Err(Error::Conflict(conflict)) => refuse(&form, id, conflict.code).await,
        Err(other) => Err(other),
    }
}

async fn refuse(form: &MemberForm, id: UserId, code: ProblemCode) -> Result<HttpResponse> {
    let why = words::conflict(code).text(form.member.language);
    let values = context! { why => why, page => format!("{LIST}/{id}/secrets") };
    form.member.answer(super::REFUSED, StatusCode::CONFLICT, values).await
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let member = super::super::member::example_admin;
    let one = |ends: Option<&'static str>| context! { id => "1", created => "Monday", used => "never", ends => ends };
    let page = |all: bool, is_revoked: bool| {
        let values = context! {
            root => "../../../", member => member(), id => "1", name => "<b>Phones", is_revoked => is_revoked, has_keys => all, used => "never",
            secrets => if all { vec![one(None), one(Some("Tuesday"))] } else { vec![] }, overlaps => secret::overlaps(text::Language::English),
            version => 1, setup => false, form_key => "k", ..outcome(&Sent::read(b"did=saved"))
        };
        (SECRETS, values)
    };
    vec![page(true, false), page(false, true), page(false, false)]
}
