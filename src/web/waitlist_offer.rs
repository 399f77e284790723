//! The page of an offer of the waitlist without a script: the person types in the code of the mail, and answers with a button. Each form
//! carries the code, so there is no cookie.

use actix_web::http::{StatusCode, header};
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use text::Language;

use super::form_post::Post;
use crate::accounts::origin::Origin;
use crate::appointment_status::AppointmentStatus;
use crate::context::{Anonymous, Context};
use crate::error::{Error, Result};
use crate::http::fallback::not_allowed;
use crate::messages::times::Moment;
use crate::waitlist::links::{self, LinkedWaitlistOffer};
use crate::zones::Zones;

/// The page, whose script shows the offer.
pub(super) const NAME: &str = "waitlist-offer";
/// The largest form.
const MOST_BYTES: usize = 4 * 1024;

/// Registers the targets of the forms. `http::fallback::PAGE_FORMS` has their operations.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let back = || async { HttpResponse::SeeOther().insert_header((header::LOCATION, NAME)).finish() };
    let other = || web::to(|| async { not_allowed("GET, HEAD, POST") });
    let target = |path: &str| web::resource(path).app_data(web::PayloadConfig::new(MOST_BYTES)).get(back);
    cfg.service(target("/waitlist-offer-claims").post(claim).default_service(other()));
    cfg.service(target("/waitlist-offer-refusals").post(decline).default_service(other()));
}

/// The page as its script needs it: every part, without an offer.
pub(super) fn empty() -> Value {
    context! {
        step => "", code => "", code_error => "", offer => context! {
            first_name => "", when => "", time => "", visit => "", practitioner => "", location => "", address => "", phone => "",
            until => "", instead_of => "", confirmation_code => "", is_waiting => false,
        },
    }
}

/// The offer as the page without a script shows it.
fn facts(offer: &LinkedWaitlistOffer, zones: &Zones, language: Language) -> Value {
    let zone = |name: &str| zones.get(name).unwrap_or(TimeZone::UTC);
    let here = zone(&offer.time_zone);
    let begins = Moment::new(offer.starts_at, &here, language);
    let ends = Moment::new(offer.ends_at, &here, language);
    let place = &offer.location;
    context! {
        first_name => offer.first_name.as_str(),
        when => begins.date(),
        time => format!("{} – {}", begins.time(), ends.time_here()),
        visit => offer.visit.as_str(),
        practitioner => offer.practitioner.as_str(),
        location => place.name.as_str(),
        address => place.address.as_str(),
        phone => place.phone_display.as_str(),
        phone_link => place.phone.as_str(),
        until => Moment::new(offer.expires_at, &here, language).full_here(),
        instead_of => offer.replaces.as_ref().map(|visit| {
            Moment::new(visit.starts_at, &zone(&visit.time_zone), language).full_here()
        }),
        confirmation_code => offer.confirmation_code.as_deref(),
        is_waiting => offer.is_waiting,
    }
}

/// The part of the page that shows an offer.
fn step(offer: &LinkedWaitlistOffer) -> &'static str {
    match offer.appointment_status {
        Some(AppointmentStatus::Cancelled) => "cancelled",
        _ => offer.status.as_str(),
    }
}

async fn tell(post: &Post, status: StatusCode, offer: &LinkedWaitlistOffer) -> Result<HttpResponse> {
    let facts = facts(offer, &post.context.env.config.zones, post.language);
    let values = context! { step => step(offer), code => &post.typed.code, code_error => "", offer => facts };
    post.render(status, values).await
}

/// Shows the offer after an answer, or why it was not stored.
async fn finish(post: Post, answered: Result<LinkedWaitlistOffer>) -> Result<HttpResponse> {
    match answered {
        Ok(offer) => tell(&post, StatusCode::OK, &offer).await,
        Err(Error::Conflict(_)) => match links::view_by_code(&post.context, post.typed.clone()).await {
            // The offer is open, but it cannot be booked.
            Ok(offer) if step(&offer) == "offered" => {
                let values = context! { step => "unfit", code => &post.typed.code, code_error => "" };
                post.render(StatusCode::CONFLICT, values).await
            }
            Ok(offer) => tell(&post, StatusCode::CONFLICT, &offer).await,
            Err(error) => post.refuse(error).await,
        },
        Err(error) => post.refuse(error).await,
    }
}

/// Shows the offer of a typed code.
pub(super) async fn show(
    context: Context<Anonymous>,
    origin: Origin,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse> {
    let post = Post::read(context, origin, &request, &body, NAME)?;
    let found = links::view_by_code(&post.context, post.typed.clone()).await;
    finish(post, found).await
}

async fn claim(context: Context<Anonymous>, origin: Origin, request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let post = Post::read(context, origin, &request, &body, NAME)?;
    let claimed = links::claim_by_code(&post.context, post.typed.clone()).await;
    finish(post, claimed).await
}

async fn decline(
    context: Context<Anonymous>,
    origin: Origin,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse> {
    let post = Post::read(context, origin, &request, &body, NAME)?;
    let declined = links::decline_by_code(&post.context, post.typed.clone()).await;
    finish(post, declined).await
}

/// What the page without a script can show, for the test that renders every branch of its templates.
#[cfg(test)]
pub(super) fn examples() -> Vec<Value> {
    let offer = |is_waiting: bool, more: Option<&'static str>| {
        context! {
            first_name => "Ann", when => "Monday, March 9, 2026", time => "9:30 AM – 10:30 AM (EDT)", visit => "Consultation",
            practitioner => "Dr. Maya Osei", location => "Riverside", address => "12 Elm St", phone => "(212) 555-0100",
            phone_link => "+12125550100", until => "Monday, March 2, 2026, 11:00 AM (EST)", instead_of => more, confirmation_code => more,
            is_waiting => is_waiting,
        }
    };
    let mut all = Vec::new();
    for step in ["offered", "claimed", "cancelled", "declined", "lapsed", "withdrawn", "unfit"] {
        for (is_waiting, more) in [(true, None), (false, Some("more"))] {
            all.push(
                context! { step => step, code => "K7MP-3XWD-9CFH", code_error => "", offer => offer(is_waiting, more) },
            );
        }
    }
    for error in ["wait", "wrong", "incomplete"] {
        all.push(context! { step => "code", code => "K7MP", code_error => error, minutes => 3 });
    }
    all
}
