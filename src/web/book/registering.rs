//! The last steps: the visitor checks the answers and sends the registration, which reserves the time until the link in the mail is followed.

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use jiff::civil::Date;
use minijinja::context;

use super::held::{self, Held};
use super::{Form, details, fields, trouble};
use crate::context::{Anonymous, Context, Once};
use crate::demo::mailbox;
use crate::error::{Error, FieldError, Result};
use crate::http::Body;
use crate::http::input;
use crate::messages::times::Moment;
use crate::registration::{self, NewRegistration};

/// Shows the answers once more, or the details with what is wrong in them.
pub(super) async fn check(request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let form = Form::read(&request, &body)?;
    let held = Held::of(&form);
    let shown = async {
        let hold = held.read(&form).await?;
        let facts = held::facts(&form, &hold).await?;
        Ok((facts, broken_rules(&form).await?))
    };
    let (facts, errors) = match shown.await {
        Ok(shown) => shown,
        Err(error) => return trouble::no_time(&form, error).await,
    };
    if !errors.is_empty() {
        return show_wrong(&form, &held, &errors).await;
    }
    let values = context! {
        held => facts,
        typed => fields::typed(&form.sent),
        born => born(&form),
        other_language => other_language(&form),
        fields => [form.search.fields(), held.fields(), fields::filled(&form.sent)].concat(),
        form_key => form.visitor.form_key(),
    };
    form.visitor.answer("book-check", StatusCode::OK, values).await
}

fn born(form: &Form) -> String {
    let built = fields::registration(&form.sent);
    let day = built["patient"]["date_of_birth"].as_str().and_then(|day| day.parse::<Date>().ok());
    day.map_or_else(String::new, |day| Moment::of_day(day, form.visitor.language).date_alone())
}

/// The name of another language, also if its code was typed.
fn other_language(form: &Form) -> String {
    let typed = form.sent.first("other_language").trim();
    let name = text::language(typed).ok().and_then(|tag| text::language_name(&tag, form.visitor.language));
    name.unwrap_or(typed).to_owned()
}

async fn show_wrong(form: &Form, held: &Held, errors: &[FieldError]) -> Result<HttpResponse> {
    let wrong = fields::wrong(&form.sent, errors);
    if wrong.is_empty() {
        // Nothing that the visitor typed is wrong.
        return Err(Error::Invalid(errors.to_vec()));
    }
    details::show(form, held, StatusCode::UNPROCESSABLE_ENTITY, &wrong).await
}

fn built(form: &Form, value: &serde_json::Value) -> Result<Body<NewRegistration>> {
    input::read_built(value, &*form.visitor.operation("create_registration")?)
}

/// Every broken rule of the registration.
async fn broken_rules(form: &Form) -> Result<Vec<FieldError>> {
    let value = fields::registration(&form.sent);
    let (mut errors, body) = match built(form, &value) {
        Ok(body) => (Vec::new(), Some(body)),
        Err(Error::Invalid(errors)) => {
            // A form without a birth date may have other mistakes, which the visitor learns at once.
            let rest = fields::without_wrong(&value, &errors);
            (errors, built(form, &rest).ok())
        }
        Err(other) => return Err(other),
    };
    if let Some(body) = body {
        match registration::check(&form.visitor.context, body.value).await {
            Ok(()) => {}
            Err(Error::Invalid(further)) => errors.extend(further),
            Err(other) => return Err(other),
        }
    }
    Ok(errors)
}

/// Sends the registration.
pub(super) async fn register(context: Context<Anonymous>, request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let form = Form::running(context, &request, &body)?;
    let held = Held::of(&form);
    let built = match built(&form, &fields::registration(&form.sent)) {
        Ok(built) => built,
        Err(Error::Invalid(errors)) => return show_wrong(&form, &held, &errors).await,
        Err(other) => return Err(other),
    };
    let json = String::from_utf8(built.raw.to_vec()).map_err(|error| Error::internal("read a form again", error))?;
    let once = Once::new(form.key("registration"), built.raw);
    match registration::register(&form.visitor.context, once, &form.origin, built.value, json).await {
        Ok(()) => sent(&form, &held).await,
        Err(Error::Invalid(errors)) => show_wrong(&form, &held, &errors).await,
        Err(error) => trouble::no_time(&form, error).await,
    }
}

/// Asks the visitor to look into the mailbox. Says the same whether or not the address is known.
async fn sent(form: &Form, held: &Held) -> Result<HttpResponse> {
    let facts = match held.read(form).await {
        Ok(hold) => held::facts(form, &hold).await.ok(),
        // The link was followed meanwhile.
        Err(_) => None,
    };
    let is_open = mailbox::is_open(&form.visitor.env().config.settings);
    let values = context! {
        held => facts,
        email => form.sent.first("email").trim(),
        has_mailbox => is_open,
        again => !form.sent.first("again").is_empty(),
        // To send the link again, or to correct the address. The time stays reserved, and is not prolonged.
        fields => [form.search.fields(), held.fields(), fields::filled(&form.sent)].concat(),
        form_key => form.visitor.form_key(),
    };
    form.visitor.answer("book-sent", StatusCode::ACCEPTED, values).await
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, minijinja::Value)> {
    use super::super::form_post::Sent;

    let check = |sent: &str| {
        let values = context! {
            root => "../", held => held::example_facts(true), typed => fields::typed(&Sent::read(sent.as_bytes())), born => "May 1, 1990", other_language => "Portuguese",
            fields => [("hold_id", "1")], form_key => "k",
        };
        ("book-check", values)
    };
    let sent = |held: Option<minijinja::Value>, has_mailbox: bool| {
        let values = context! {
            root => "../", held => held, email => "ann@example.org", has_mailbox => has_mailbox, framed => has_mailbox, again => has_mailbox,
            fields => [("hold_id", "1")], form_key => "k",
        };
        ("book-sent", values)
    };
    vec![
        check("relation=self&administrative_sex=female&language=en&interpreter=yes&consent_treatment=accepted"),
        check(
            "relation=parent&administrative_sex=male&language=es&consent_treatment=declined&given_name=A&phone=1&interpreter=yes",
        ),
        check("relation=guardian&administrative_sex=other&language=other"),
        check("relation=caregiver&administrative_sex=unknown&language=other"),
        sent(None, false),
        sent(Some(held::example_facts(false)), true),
        (
            "book-sent",
            context! { root => "../", held => (), email => "ann@example.org", has_mailbox => true, again => false },
        ),
    ]
}
