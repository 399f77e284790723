//! What was sent to a webhook: its progress, the log of attempts, a test event, sending and skipping events; and its secrets.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use serde_json::json;

use super::super::account::zone;
use super::super::form_post::Sent;
use super::super::language::both;
use super::secret;
use super::words;
use super::{Member, MemberForm, webhooks};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::http::PathId;
use crate::http::input;
use crate::ids::WebhookId;
use crate::messages::times::Moment;
use crate::webhooks::model::{WebhookAttempt, WebhookAttemptKind, WebhookFailure, WebhookStatus};
use crate::webhooks::progress::{self, WebhookDelivery};
use crate::webhooks::{attempts, managing, secrets, test_events};

const NAME: &str = "admin-webhook";

fn failure(failure: WebhookFailure) -> Bilingual {
    match failure {
        WebhookFailure::NameNotResolved => {
            both("The name of the host has no address.", "El nombre no tiene dirección.")
        }
        WebhookFailure::ForbiddenAddress => {
            both("The address is neither public nor opened.", "La dirección no es pública ni está abierta.")
        }
        WebhookFailure::Connection => both("No connection.", "Sin conexión."),
        WebhookFailure::Tls => both("The certificate is not valid.", "El certificado no es válido."),
        WebhookFailure::Timeout => both("No answer within ten seconds.", "Sin respuesta en diez segundos."),
        WebhookFailure::InvalidResponse => both("The answer is not HTTP.", "La respuesta no es HTTP."),
        WebhookFailure::Status => both("Refused by the receiver.", "Rechazado por el receptor."),
        WebhookFailure::EventsExpired => both(
            "These events were deleted before they could be sent.",
            "Estos eventos se eliminaron antes de poder enviarlos.",
        ),
    }
}

fn at(member: &Member, zone: &TimeZone, at: Timestamp) -> String {
    Moment::new(at, zone, member.language).full_here()
}

fn drawn(member: &Member, zone: &TimeZone, attempt: &WebhookAttempt, through: i64) -> Value {
    let kind = match attempt.kind {
        WebhookAttemptKind::Delivery => both("Event", "Evento"),
        WebhookAttemptKind::Redelivery => both("Sent again: event", "Enviado de nuevo: evento"),
        WebhookAttemptKind::Test => both("Test", "Prueba"),
    };
    context! {
        at => at(member, zone, attempt.attempted_at), kind => kind.text(member.language), seq => attempt.event_seq, through => attempt.through_seq,
        status => attempt.status_code, milliseconds => attempt.duration_ms,
        failure => attempt.failure.map(|one| failure(one).text(member.language)),
        // What was delivered can be sent again.
        can_repeat => attempt.event_seq.is_some_and(|seq| seq <= through),
    }
}

/// Shows the log.
pub(super) async fn show(member: Member, PathId(id): PathId<WebhookId>, request: HttpRequest) -> Result<HttpResponse> {
    let sent = Sent::read(request.query_string().as_bytes());
    let cursor = sent.first("cursor");
    let mut query = url::form_urlencoded::Serializer::new("limit=20".to_owned());
    if !cursor.is_empty() {
        query.append_pair("cursor", cursor);
    }
    let log = attempts::list(&member.context, id, member.parameters("list_webhook_attempts", &query.finish())?).await?;
    let (webhook, delivery) =
        (managing::read(&member.context, id).await?.object, progress::read(&member.context, id).await?);
    let zone = zone(&member).await?;
    let secrets = webhook.secrets.iter().map(|one| {
        context! { created => at(&member, &zone, one.created_at), ends => one.ends_at.map(|ends| at(&member, &zone, ends)) }
    });
    let log_rows = log.items.iter().map(|one| drawn(&member, &zone, one, delivery.delivered_through_seq));
    let values = context! {
        id => id.to_string(), name => webhooks::name(&webhook), url => webhook.url.as_str(),
        state => webhooks::state(&webhook).text(member.language), is_active => webhook.status == WebhookStatus::Active,
        log => log_rows.collect::<Vec<_>>(), more => log.next_cursor.as_deref().map(query_of),
        secrets => secrets.collect::<Vec<_>>(), overlaps => secret::overlaps(member.language), setup => false,
        version => Value::from(()), form_key => member.form_key(), did => sent.first("did"), ..drawn_progress(&member, &zone, &delivery)
    };
    member.answer(NAME, StatusCode::OK, values).await
}

fn query_of(cursor: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("cursor", cursor).finish()
}

fn drawn_progress(member: &Member, zone: &TimeZone, delivery: &WebhookDelivery) -> Value {
    let range =
        |from: i64, through: i64| if from == through { from.to_string() } else { format!("{from}–{through}") };
    context! {
        through => delivery.delivered_through_seq, newest => delivery.newest_seq,
        waiting => (delivery.newest_seq - delivery.delivered_through_seq).max(0),
        failing => delivery.failing_since.map(|since| at(member, zone, since)), failed => delivery.failed_attempts,
        next => delivery.next_attempt_at.map(|next| at(member, zone, next)),
        again => delivery.redelivery.map(|one| range(one.from_seq, one.through_seq)),
        missing => delivery.missing.map(|one| range(one.from_seq, one.through_seq)),
    }
}

/// Leads back to the log, which says what was done.
fn done(form: &MemberForm, id: WebhookId, did: &str) -> HttpResponse {
    form.member.go_to(&format!("{}?did={did}", webhooks::log_page(id)))
}

/// Creates a secret and shows it.
pub(super) async fn rotate(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    let member = &form.member;
    let overlap = json!({"overlap_hours": secret::overlap(&form.sent)?});
    let new = input::read_built(&overlap, &*member.operation("create_webhook_secret")?)?;
    let created = secrets::rotate(&member.context, form.once("secret"), id, new.value).await?;
    webhooks::shown_once(member, &created.object).await
}

/// Sends a test event. Its result is at the top of the log.
pub(super) async fn test(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    test_events::send(&form.member.context, id).await?;
    Ok(done(&form, id, "tested"))
}

/// Sends events again.
pub(super) async fn redeliver(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    let member = &form.member;
    let from = number(&form.sent, "from_seq");
    let through = if form.sent.first("through_seq").is_empty() { from } else { number(&form.sent, "through_seq") };
    let again = json!({"from_seq": from, "through_seq": through});
    let asked = match input::read_built(&again, &*member.operation("create_webhook_redelivery")?) {
        Ok(body) => {
            progress::redeliver(&member.context, form.once(&format!("again {from}-{through}")), id, body.value).await
        }
        Err(error) => Err(error),
    };
    after(&form, id, asked.map(|_| "again")).await
}

/// Skips events that have not been delivered.
pub(super) async fn skip(form: MemberForm, PathId(id): PathId<WebhookId>) -> Result<HttpResponse> {
    let member = &form.member;
    let to = json!({"through_seq": number(&form.sent, "through_seq")});
    let skipped = match input::read_built(&to, &*member.operation("skip_webhook_events")?) {
        Ok(body) => progress::skip(&member.context, id, body.value).await,
        Err(error) => Err(error),
    };
    after(&form, id, skipped.map(|_| "skipped")).await
}

/// The number of an event. What is none breaks a rule of the operation.
fn number(sent: &Sent, name: &str) -> i64 {
    sent.first(name).trim().parse().unwrap_or(-1)
}

async fn after(form: &MemberForm, id: WebhookId, result: Result<&str>) -> Result<HttpResponse> {
    let (status, why) = match result {
        Ok(did) => return Ok(done(form, id, did)),
        Err(Error::Invalid(_)) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            both(
                "These are not the numbers of such events. At most 1,000 are sent again at once.",
                "No son números de esos eventos. Como máximo se envían de nuevo 1.000 a la vez.",
            ),
        ),
        Err(Error::Gone(_)) => {
            (StatusCode::GONE, both("These events are not kept any more.", "Estos eventos ya no se conservan."))
        }
        Err(Error::Conflict(conflict)) => (StatusCode::CONFLICT, words::conflict(conflict.code)),
        Err(other) => return Err(other),
    };
    let values = context! { why => why.text(form.member.language), page => webhooks::log_page(id) };
    form.member.answer(super::REFUSED, status, values).await
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let attempt = |seq: Option<i64>, through: Option<i64>, failure: Option<&'static str>| {
        context! {
            at => "Monday", kind => "Event", seq => seq, through => through, status => failure.map(|_| 503), milliseconds => 120, failure => failure,
            can_repeat => seq.is_some(),
        }
    };
    let key = |ends: Option<&'static str>| context! { created => "Monday", ends => ends };
    let shown = |all: bool, did: &'static str| {
        let log = vec![attempt(Some(7), None, None), attempt(Some(8), Some(9), Some("No.")), attempt(None, None, None)];
        let values = context! {
            root => "../../../", member => super::super::member::example_admin(), id => "1", name => "<b>Billing", url => "https://x/<b>",
            state => "active", is_active => all, log => if all { log } else { vec![] }, more => all.then_some("cursor=x"),
            secrets => [key(Some("Tuesday")), key(None)], overlaps => secret::overlaps(text::Language::English), setup => false, version => Value::from(()),
            form_key => "k", did => did, through => 7, newest => if all { 9 } else { 7 }, waiting => if all { 2 } else { 0 }, failing => all.then_some("Monday"), failed => 3,
            next => (did == "again").then_some("Tuesday"), again => all.then_some("1–2"), missing => all.then_some("3"),
        };
        (NAME, values)
    };
    vec![shown(true, "again"), shown(true, "tested"), shown(false, "skipped"), shown(false, "saved"), shown(false, "")]
}
