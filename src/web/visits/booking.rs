//! Booking with an account a time that was held on the pages of booking. The hold waits in a cookie, encrypted, while its owner signs in.

use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::book::visit_name;
use super::super::form_post::Sent;
use super::super::member::{Member, MemberForm};
use super::changing::page_of;
use super::explain;
use crate::accounts::origin::Origin;
use crate::accounts::sessions::cookie;
use crate::appointments::booking;
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::input;
use crate::ids::HoldId;
use crate::messages::times::Moment;
use crate::patients::access::current_user;
use crate::scheduling::setup::{locations, practitioners, visit_types};
use crate::scheduling::slots::holds::holder::Holder;
use crate::scheduling::slots::holds::{self, HoldView};
use crate::sealed::{Place, Sealed};

/// The cookie, which lasts as long as a hold that was renewed.
const NAME: &str = "legwork-hold";
const SECONDS: u32 = 20 * 60;
/// Binds the encrypted hold to this use. It is in no table.
const PLACE: Place = Place { table: "hold-cookie", column: "hold", row: uuid::Uuid::nil() };

/// The hold of a stranger who is about to sign in.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    secret: String,
}

/// `Set-Cookie` of a hold.
pub(crate) fn keep(env: &Env, id: &str, secret: &str) -> Result<actix_web::http::header::HeaderValue> {
    let kept = Kept { id: id.to_owned(), secret: secret.to_owned() };
    let sealed = env.sealer.seal(PLACE, &kept)?;
    Ok(cookie::of_page(env, NAME, &URL_SAFE_NO_PAD.encode(sealed.as_bytes()), SECONDS))
}

fn kept(env: &Env, request: &HttpRequest) -> Option<Kept> {
    let text = cookie::page(env, request.headers(), NAME)?;
    env.sealer.open(PLACE, &Sealed::from_bytes(URL_SAFE_NO_PAD.decode(text).ok()?)).ok()
}

/// The page on which a time is chosen.
const AGAIN: &str = "book";

/// Shows the held time, and asks for whom it is.
pub(super) async fn ask(member: Member, origin: Origin, request: HttpRequest) -> Result<HttpResponse> {
    let lapsed = || Error::conflict(ProblemCode::HoldLapsed, "The time is not held any more.");
    let Some(kept) = kept(&member.context.env, &request) else { return explain(&member, lapsed(), AGAIN).await };
    let holder = member.public().acting_as(Holder::on_page(origin, &kept.secret));
    let id: HoldId = kept.id.parse().map_err(|_| Error::NotFound)?;
    let hold = match holds::read(&holder, id).await {
        Ok(hold) => hold.object,
        Err(Error::NotFound) => return explain(&member, lapsed(), AGAIN).await,
        Err(other) => return Err(other),
    };
    let patients = current_user::read(&member.context).await?.patients;
    let patients: Vec<Value> = patients
        .iter()
        .map(|patient| context! { id => patient.id.to_string(), name => patient.display_name.as_str() })
        .collect();
    let values = context! {
        patients => patients, form_key => member.form_key(), held => facts(&member, &hold).await?,
        wrong => !Sent::read(request.query_string().as_bytes()).first("choose").is_empty(),
        fields => fields(&hold, &kept),
    };
    member.answer("visit-new", StatusCode::OK, values).await
}

fn fields(hold: &HoldView, kept: &Kept) -> Vec<(&'static str, String)> {
    vec![
        ("hold_id", kept.id.clone()),
        ("hold_secret", kept.secret.clone()),
        ("slot_id", hold.slot.id.to_string()),
        ("visit_type_id", hold.visit_type_id.to_string()),
    ]
}

async fn facts(member: &Member, hold: &HoldView) -> Result<Value> {
    let public = member.public();
    let kind = visit_types::read(&public, hold.visit_type_id).await?.object;
    let place = locations::read(&public, hold.slot.location_id).await?.object;
    let practitioner = practitioners::read(&public, None, hold.slot.practitioner_id).await?.object;
    let env = &member.context.env;
    let zone = env.config.zones.get(&hold.slot.time_zone).unwrap_or(TimeZone::UTC);
    let moment = |at| Moment::new(at, &zone, member.language);
    Ok(context! {
        visit => visit_name(member.language, &kind),
        when => moment(hold.slot.starts_at).date(),
        time => format!("{} – {}", moment(hold.slot.starts_at).time(), moment(hold.slot.ends_at).time_here()),
        practitioner => practitioner.name,
        location => place.name,
        address => place.address,
        until => moment(hold.expires_at).time_here(),
        seconds => hold.expires_at.since(env.now()).as_secs(),
    })
}

/// Books the held time for a patient of the account.
pub(super) async fn book(form: MemberForm) -> Result<HttpResponse> {
    let (member, sent) = (&form.member, &form.sent);
    if sent.first("patient_id").is_empty() {
        // The choice is made again; the cookie still has the hold.
        member.context.audit.note_unchanged();
        return Ok(member.go_to("visits/new?choose=1"));
    }
    let mut built = json!({
        "slot_id": sent.first("slot_id"), "visit_type_id": sent.first("visit_type_id"), "patient_id": sent.first("patient_id"),
        "hold_id": sent.first("hold_id"), "hold_secret": sent.first("hold_secret"),
    });
    if !sent.first("note").trim().is_empty() {
        built["note"] = sent.first("note").trim().into();
    }
    let body = input::read_built(&built, &*member.operation("create_appointment")?)?;
    match booking::book(&member.context, form.once("booking"), body.value).await {
        Ok(booked) => {
            let mut response = member.go_to(&page_of(booked.object.id, "booked"));
            let gone = cookie::of_page(&member.context.env, NAME, "", 0);
            response.headers_mut().append(SET_COOKIE, gone);
            Ok(response)
        }
        Err(error) => explain(member, error, AGAIN).await,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let patient = |id: &str| context! { id => id, name => "Ann Example" };
    [vec![], vec![patient("1")], vec![patient("1"), patient("2")]]
        .map(|patients| {
            let values = context! {
                root => "../", member => super::super::member::example(false), wrong => patients.len() > 1, patients => patients,
                form_key => "k", held => super::super::book::example_held(true), fields => [("hold_id", "1")],
            };
            ("visit-new", values)
        })
        .into()
}
