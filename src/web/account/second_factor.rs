//! Setting up the second factor. Also open to a session that can do nothing else yet.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};
use minijinja::{Value, context};
use serde_json::json;

use super::super::member::{Member, MemberForm};
use crate::accounts::Keys;
use crate::accounts::caller::SignedIn;
use crate::accounts::second_factor::enrolment;
use crate::accounts::second_factor::totp::SecondFactorProvision;
use crate::accounts::sessions::cookie;
use crate::error::{Error, Result};
use crate::http::input;

const NAME: &str = "second-factor";

/// Says whether it is on, or asks for the password to set it up.
pub(super) async fn show(member: Member<SignedIn>) -> Result<HttpResponse> {
    let state = enrolment::status(&member.context).await?;
    let step = if state.enabled { "on" } else { "start" };
    member.answer(NAME, StatusCode::OK, context! { step => step, required => state.required, wrong => "" }).await
}

/// Shows the new secret, as a code to scan and as text, and asks for the first code of the app.
pub(super) async fn begin(form: MemberForm<SignedIn>, keys: web::Data<Keys>) -> Result<HttpResponse> {
    let member = &form.member;
    let built = json!({"current_password": form.sent.first("current_password")});
    let body = input::read_built(&built, &*member.operation("begin_second_factor")?)?;
    match enrolment::begin(&member.context, &keys, body.value).await {
        Ok(provision) => member.answer(NAME, StatusCode::OK, context! { wrong => "", ..secret(&provision) }).await,
        Err(Error::Invalid(_)) => {
            let values = context! { step => "start", required => false, wrong => "password" };
            member.answer(NAME, StatusCode::UNPROCESSABLE_ENTITY, values).await
        }
        Err(Error::Conflict(_)) => Ok(begin_again(member)),
        Err(other) => Err(other),
    }
}

/// Goes to the page, which says where the second factor stands.
fn begin_again(member: &Member<SignedIn>) -> HttpResponse {
    member.context.audit.note_unchanged();
    member.go_to(NAME)
}

fn secret(provision: &SecondFactorProvision) -> Value {
    let svg = provision.qr_svg.find("<svg").map_or("", |at| &provision.qr_svg[at..]);
    let letters: Vec<char> = provision.secret.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|four| four.iter().collect()).collect();
    context! { step => "code", svg => Value::from_safe_string(svg.to_owned()), secret => groups.join(" ") }
}

/// Switches it on, and shows the recovery codes once.
pub(super) async fn confirm(form: MemberForm<SignedIn>) -> Result<HttpResponse> {
    let member = &form.member;
    let built = json!({"totp_code": form.sent.first("totp_code").trim()});
    let body = input::read_built(&built, &*member.operation("confirm_second_factor")?)?;
    match enrolment::confirm(&member.context, body.value).await {
        Ok(done) => {
            let values = context! { step => "done", codes => done.recovery_codes, wrong => "" };
            let mut response = member.answer(NAME, StatusCode::OK, values).await?;
            let device = cookie::of_device(&member.context.env, member.email(), &done.device_token);
            response.headers_mut().append(header::SET_COOKIE, device);
            Ok(response)
        }
        // The secret is shown once only.
        Err(Error::Invalid(_)) => {
            let values = context! { step => "again", wrong => "code" };
            member.answer(NAME, StatusCode::UNPROCESSABLE_ENTITY, values).await
        }
        Err(Error::Conflict(_)) => Ok(begin_again(member)),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let provision = SecondFactorProvision {
        secret: "ABCDEFGH".into(),
        otpauth_uri: "otpauth://totp/x".into(),
        qr_svg: "<?xml version=\"1.0\"?><svg/>".into(),
    };
    let member = || super::super::member::example(true);
    vec![
        (NAME, context! { member => member(), step => "start", required => true, wrong => "" }),
        (NAME, context! { member => member(), step => "start", required => false, wrong => "password" }),
        (NAME, context! { member => member(), step => "on", required => false, wrong => "" }),
        (NAME, context! { member => member(), wrong => "", ..secret(&provision) }),
        (NAME, context! { member => member(), step => "again", wrong => "code" }),
        (NAME, context! { member => member(), step => "done", codes => ["A", "B"], wrong => "" }),
    ]
}
