//! Webhooks: a new one with its secret, which is shown once; changing, pausing, resuming, deleting. What was sent is in `webhook_log`.

use actix_web::{HttpRequest, HttpResponse};
use rls::form_dsl::Bilingual;
use serde_json::json;

use super::super::account::zone;
use super::super::form_post::Sent;
use super::super::language::both;
use super::edit::{Action, Edit, done, repeated};
use super::fields::{Choice, Draft, Field, Form, Kind, Values};
use super::list::{List, Row};
use super::secret::Created;
use super::{Member, MemberForm};
use crate::error::{Error, Result};
use crate::events::model::EventType;
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::http::paging::to_end;
use crate::ids::WebhookId;
use crate::messages::times::Moment;
use crate::webhooks::managing;
use crate::webhooks::model::{CreatedWebhook, Webhook, WebhookPauseReason, WebhookStatus};

const LIST: &str = "admin/webhooks";

const FIELDS: [Field; 3] = [
    Field::new("url", Kind::Line, "Address", "Dirección").most(2000).hint(
        "Where events are sent: https, without user name, at a public address or in a network that the operator has opened.",
        "Adonde se envían los eventos: https, sin nombre de usuario, en una dirección pública o en una red que abrió el operador.",
    ),
    Field::new("description", Kind::Line, "What it is for", "Para qué sirve").most(200).optional(),
    Field::new("event_types", Kind::Several, "Which events", "Qué eventos").optional().hint(
        "Without a choice it gets all, also those of later versions.",
        "Si no elige ninguno, recibe todos, también los de versiones futuras.",
    ),
];

fn form(member: &Member) -> Form {
    let types = EventType::ALL.iter().map(|kind| Choice::new(kind.as_str(), kind.as_str()));
    Form::new(&FIELDS, member.language).with("event_types", types.collect())
}

fn values(webhook: &Webhook) -> Values {
    Values::from([
        ("url", vec![webhook.url.clone()]),
        ("description", webhook.description.iter().cloned().collect()),
        ("event_types", webhook.event_types.iter().map(|kind| kind.as_str().to_owned()).collect()),
    ])
}

/// The page of a webhook's log, without the slash before it.
pub(super) fn log_page(id: WebhookId) -> String {
    format!("{LIST}/{id}/log")
}

/// What to call a webhook.
pub(super) fn name(webhook: &Webhook) -> &str {
    webhook.description.as_deref().unwrap_or(&webhook.url)
}

/// The change of one press that pauses or resumes a webhook.
fn status_action(webhook: &Webhook) -> Action {
    let (step, label, hint) = match webhook.status {
        WebhookStatus::Active => (
            "pause",
            both("Pause", "Pausar"),
            both("Events are held back until it is resumed.", "Los eventos se retienen hasta reanudarlo."),
        ),
        WebhookStatus::Paused => (
            "resume",
            both("Resume", "Reanudar"),
            both("What has waited is sent at once.", "Lo que esperaba se envía enseguida."),
        ),
    };
    Action { page: format!("{LIST}/{}/{step}", webhook.id), label, hint }
}

fn edit<'a>(member: &'a Member, webhook: Option<&Webhook>) -> Edit<'a> {
    let delete = |webhook: &Webhook| Action {
        page: format!("{LIST}/{}/delete", webhook.id),
        label: both("Delete this webhook", "Eliminar este webhook"),
        hint: both("Its log is deleted, too.", "También se elimina su registro."),
    };
    let actions = |webhook: &Webhook| vec![status_action(webhook), delete(webhook)];
    let log = |webhook: &Webhook| (log_page(webhook.id), both("Deliveries and secrets", "Entregas y secretos"));
    Edit {
        member,
        form: form(member),
        title: if webhook.is_some() {
            both("Change a webhook", "Cambiar un webhook")
        } else {
            both("A new webhook", "Un webhook nuevo")
        },
        intro: both(
            "A program of yours that is told of each change. It gets a secret to verify signatures, which is shown once.",
            "Un programa suyo que se entera de cada cambio. Recibe un secreto para verificar las firmas, que se muestra una sola vez.",
        ),
        action: webhook.map_or_else(|| format!("{LIST}/new"), |webhook| format!("{LIST}/{}", webhook.id)),
        back: LIST.to_owned(),
        is_setup: false,
        submit: if webhook.is_some() { both("Save", "Guardar") } else { both("Create it", "Crearlo") },
        links: webhook.map(log).into_iter().collect(),
        actions: webhook.map(actions).unwrap_or_default(),
    }
}

/// Whether a webhook gets events, and why not.
pub(super) fn state(webhook: &Webhook) -> Bilingual {
    match webhook.paused_reason {
        None => both("active", "activo"),
        Some(WebhookPauseReason::Administrator) => both("paused", "en pausa"),
        Some(WebhookPauseReason::Failing) => {
            both("paused, because deliveries failed", "en pausa, porque fallaban las entregas")
        }
        Some(WebhookPauseReason::Gone) => {
            both("paused, because the receiver is gone (410)", "en pausa, porque el receptor ya no existe (410)")
        }
    }
}

/// Lists the webhooks, oldest first.
pub(super) async fn list(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let webhooks = to_end(async |page| {
        let found = managing::list(&member.context, page).await?;
        Ok((found.items, found.next_cursor))
    });
    let webhooks = webhooks.await?;
    let zone = zone(&member).await?;
    let say = |words: Bilingual| words.text(member.language);
    let row = |webhook: &Webhook| {
        let since = webhook.paused_at.map(|at| Moment::new(at, &zone, member.language).full_here());
        let state = [Some(say(state(webhook)).to_owned()), since].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let types = match webhook.event_types.len() {
            0 => say(both("all events", "todos los eventos")).to_owned(),
            number => format!("{} {number}", say(both("kinds of events:", "tipos de eventos:"))),
        };
        Row {
            page: format!("{LIST}/{}", webhook.id),
            title: name(webhook).to_owned(),
            lines: vec![webhook.url.clone(), types, state],
            is_ended: webhook.status == WebhookStatus::Paused,
        }
    };
    let list = List {
        title: both("Webhooks", "Webhooks"),
        intro: both("Programs that are told of each change.", "Programas que se enteran de cada cambio."),
        add: Some(("admin/webhooks/new", both("Add a webhook", "Añadir un webhook"))),
        rows: webhooks.iter().map(row).collect(),
    };
    list.show(&member, &Sent::read(request.query_string().as_bytes())).await
}

/// Shows the form of a new webhook.
pub(super) async fn new(member: Member) -> Result<HttpResponse> {
    edit(&member, None).show(&Draft::default()).await
}

/// Creates a webhook and shows its secret.
pub(super) async fn create(form: MemberForm) -> Result<HttpResponse> {
    let member = &form.member;
    let edit = edit(member, None);
    let draft = edit.form.read(&form.sent);
    let created = match input::read_built(&edit.form.created(&draft), &*member.operation("create_webhook")?) {
        Ok(body) => managing::create(&member.context, form.once("webhook"), body.value).await,
        Err(error) => Err(error),
    };
    match created {
        Ok(created) => shown_once(member, &created.object).await,
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// The page with a new secret.
pub(super) async fn shown_once(member: &Member, created: &CreatedWebhook) -> Result<HttpResponse> {
    let CreatedWebhook { webhook, secret } = created;
    let facts = vec![("url", webhook.url.clone()), ("secret", secret.clone())];
    Created { name: name(webhook), facts, has_secret: true, next: log_page(webhook.id) }.show(member).await
}

/// Shows the form of a webhook.
pub(super) async fn show(member: Member, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    let found = managing::read(&member.context, id).await?;
    edit(&member, Some(&found.object)).show(&Draft::stored(found.version, values(&found.object))).await
}

/// Changes a webhook.
pub(super) async fn save(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    let member = &form.member;
    let now = managing::read(&member.context, id).await?;
    let edit = edit(member, Some(&now.object));
    let draft = edit.form.read(&form.sent);
    let if_match = IfMatch::version(draft.version.unwrap_or_default());
    let changed = match input::read_built(&edit.form.patch(&draft), &*member.operation("update_webhook")?) {
        Ok(body) => managing::update(&member.context, id, if_match, body.value).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(edit.done(0)),
        Err(Error::Stale) => edit.overtaken(draft, now.version, values(&now.object)).await,
        Err(error) => edit.refuse(draft, error).await,
    }
}

/// Holds events back.
pub(super) async fn pause(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    set_status(&form, id, WebhookStatus::Paused).await
}

/// Sends what has waited.
pub(super) async fn resume(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    set_status(&form, id, WebhookStatus::Active).await
}

/// Sets the status whatever else of the webhook has changed since the page was drawn.
async fn set_status(form: &MemberForm, id: WebhookId, status: WebhookStatus) -> Result<HttpResponse> {
    let member = &form.member;
    let page = log_page(id);
    let now = managing::read(&member.context, id).await?;
    if now.object.status == status {
        return Ok(repeated(member, &page));
    }
    let patch = input::read_built(&json!({"status": status}), &*member.operation("update_webhook")?)?;
    managing::update(&member.context, id, IfMatch::version(now.version), patch.value).await?;
    Ok(done(member, &page, 0))
}

/// Deletes a webhook. One that is gone is deleted.
pub(super) async fn delete(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    match managing::remove(&form.member.context, id).await {
        Ok(()) => Ok(done(&form.member, LIST, 0)),
        Err(Error::NotFound) => Ok(repeated(&form.member, LIST)),
        Err(other) => Err(other),
    }
}
