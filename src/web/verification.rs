//! The page that verifies an address and books its visit, without a script: the person pastes the link of the mail into a form, because the
//! token of a link is in its fragment, which no server sees. The next steps carry the token as a field.

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use rls::FormName;
use serde_json::json;
use text::Language;

use super::book::visit_name;
use super::form_post::{Sent, require_own};
use super::intake::minutes_of;
use super::{language, page};
use crate::accounts::Keys;
use crate::accounts::origin::Origin;
use crate::appointments::view::AppointmentView;
use crate::context::{Anonymous, Context};
use crate::error::{Error, Result};
use crate::http::fallback::Routes;
use crate::http::input;
use crate::messages::times::Moment;
use crate::registration::booking::VerifiedEmail;
use crate::registration::verification;
use crate::scheduling::setup::{locations, practitioners, visit_types};
use crate::scheduling::slots::free::SlotView;

/// The page, whose script follows the link by itself.
pub(super) const NAME: &str = "verify-email";
/// The template of the answers.
const ANSWER: &str = "verified";

/// The values of the page whose script follows the link: how long the questions before a visit take.
pub(super) fn empty() -> Value {
    context! { minutes => minutes_of(FormName::History) }
}

/// The token in what was pasted: the link, the rest of it, or the token alone.
fn token(pasted: &str) -> &str {
    let (_, token) = pasted.rsplit_once("token=").unwrap_or(("", pasted));
    token.trim().trim_end_matches(['.', '>'])
}

/// Follows the link, or books another time if a button with one was pressed.
pub(super) async fn follow(
    context: Context<Anonymous>,
    keys: web::Data<Keys>,
    routes: web::Data<Routes>,
    origin: Origin,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse> {
    require_own(&request, &context.env.config.settings.public_url)?;
    let (sent, language) = (Sent::read(&body), language(&request));
    let token = token(sent.first("link"));
    let mut built = json!({"token": token});
    if !sent.first("slot_id").is_empty() {
        built["slot_id"] = sent.first("slot_id").into();
    }
    let operation = routes.by_id("verify_email").ok_or_else(|| Error::fault("no operation verify_email"))?;
    let verified = match input::read_built(&built, &operation) {
        Ok(body) => verification::verify(&context, &keys, origin, body.value).await,
        Err(error) => Err(error),
    };
    let (status, values) = match verified {
        Ok(None) => (StatusCode::OK, context! { step => "done" }),
        Ok(Some(verified)) => (StatusCode::OK, outcome(&context, language, &verified).await?),
        Err(Error::Invalid(errors)) => {
            let is_new_address = errors.iter().any(|error| error.pointer == "/current_password");
            (StatusCode::UNPROCESSABLE_ENTITY, context! { step => if is_new_address { "prove" } else { "gone" } })
        }
        Err(Error::Conflict(_)) => (StatusCode::CONFLICT, context! { step => "gone" }),
        Err(other) => return Err(other),
    };
    page(&context.env, ANSWER, language, status, context! { token => token, ..context! { ..values, ..empty() } }).await
}

async fn outcome(context: &Context<Anonymous>, language: Language, verified: &VerifiedEmail) -> Result<Value> {
    let zone = |name: &str| context.env.config.zones.get(name).unwrap_or(TimeZone::UTC);
    if let Some(visit) = &verified.appointment {
        return Ok(context! { step => "booked", visit => booked(context, language, visit).await? });
    }
    let Some(missed) = &verified.not_booked else { return Ok(context! { step => "done" }) };
    let time = |slot: &SlotView| {
        let starts = Moment::new(slot.starts_at, &zone(&slot.time_zone), language);
        context! { id => slot.id.to_string(), when => starts.full_here() }
    };
    Ok(context! { step => "missed", times => missed.next_free.iter().map(time).collect::<Vec<_>>() })
}

async fn booked(context: &Context<Anonymous>, language: Language, visit: &AppointmentView) -> Result<Value> {
    let zone = context.env.config.zones.get(&visit.time_zone).unwrap_or(TimeZone::UTC);
    let moment = |at| Moment::new(at, &zone, language);
    let place = locations::read(context, visit.location_id).await?.object;
    let kind = visit_types::read(context, visit.visit_type_id).await?.object;
    let practitioner = practitioners::read(context, None, visit.practitioner_id).await?.object;
    Ok(context! {
        id => visit.id.to_string(),
        visit => visit_name(language, &kind),
        practitioner => practitioner.name,
        when => moment(visit.starts_at).date(),
        time => format!("{} – {}", moment(visit.starts_at).time(), moment(visit.ends_at).time_here()),
        location => place.name,
        address => place.address,
        code => visit.confirmation_code.as_str(),
    })
}

/// What the page can show, for the test that renders every branch of its template.
#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let visit = context! {
        id => "1", visit => "First visit", practitioner => "Dr. Osei", when => "Monday, March 9, 2026", time => "9:30 AM – 10:30 AM (EDT)",
        location => "Elm", address => "12 Elm St", code => "K7MP-3XWD",
    };
    let times = |times: Vec<Value>| context! { step => "missed", token => "t", times => times };
    vec![
        (ANSWER, context! { step => "booked", token => "t", visit => visit, ..empty() }),
        (ANSWER, times(vec![context! { id => "1", when => "Monday" }])),
        (ANSWER, times(vec![])),
        (ANSWER, context! { step => "done", token => "t" }),
        (ANSWER, context! { step => "gone", token => "t" }),
        (ANSWER, context! { step => "prove", token => "t" }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_what_people_paste() {
        for pasted in
            ["https://clinic.example/verify-email?lang=en#token=a-b_1", " #token=a-b_1 ", "a-b_1", "<…#token=a-b_1>"]
        {
            assert_eq!(token(pasted), "a-b_1", "{pasted}");
        }
    }
}
