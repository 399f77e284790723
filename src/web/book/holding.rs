//! Taking, renewing and releasing a time.

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

use super::super::visits;
use super::held::Held;
use super::{Form, details, trouble};
use crate::appointments::holding;
use crate::context::{Anonymous, Context, Once};
use crate::error::{Error, ProblemCode, Result};
use crate::http::input;
use crate::ids::SlotId;
use crate::scheduling::slots::holds::{ending, renewing};

/// Holds the time whose button was pressed, and asks for the details.
pub(super) async fn take(context: Context<Anonymous>, request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let form = Form::running(context, &request, &body)?;
    match hold(&form).await {
        Ok(held) => details::show(&form, &held, StatusCode::OK, &[]).await,
        Err(error) => trouble::no_time(&form, error).await,
    }
}

async fn hold(form: &Form) -> Result<Held> {
    let old = Held::of(form);
    let slot: SlotId = old.slot.parse().map_err(|_| Error::NotFound)?;
    let built = serde_json::json!({"visit_type_id": form.search.visit_type});
    let body = input::read_built(&built, &*form.visitor.operation("create_hold")?)?;
    // Another button of the same page is another request.
    let once = Once::new(form.key(&slot.to_string()), body.raw);
    let created = holding::hold(&old.holder(form), once, slot, body.value).await.map_err(|error| match error {
        // The clinic's hours have changed since the page was drawn.
        Error::NotFound => Error::conflict(ProblemCode::SlotTaken, "The slot does not exist any more."),
        other => other,
    });
    let created = created?.object;
    let secret = created.secret.ok_or_else(|| Error::fault("a stranger's hold has no secret"))?;
    Ok(Held { id: created.hold.id.to_string(), secret, slot: slot.to_string() })
}

/// Keeps the hold in a cookie, and goes on with the account of the visitor.
pub(super) async fn go_to_sign_in(request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let form = Form::read(&request, &body)?;
    let held = Held::of(&form);
    let kept = visits::keep_hold(form.visitor.env(), &held.id, &held.secret)?;
    let to = format!("../visits/new?lang={}", form.visitor.language.code());
    let mut response = HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish();
    response.headers_mut().append(header::SET_COOKIE, kept);
    Ok(response)
}

/// Keeps the time longer, and shows the details again.
pub(super) async fn renew(context: Context<Anonymous>, request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let form = Form::running(context, &request, &body)?;
    let held = Held::of(&form);
    let renewed = match held.id() {
        Ok(id) => renewing::renew(&held.holder(&form), Once::new(None, Bytes::new()), id).await.map(|_| ()),
        Err(error) => Err(error),
    };
    match renewed {
        Ok(()) => details::show(&form, &held, StatusCode::OK, &[]).await,
        // A second press of the button has nothing left to do. A hold that is gone is found so when it is read.
        Err(Error::Conflict(_) | Error::NotFound) => {
            form.visitor.context.audit.note_unchanged();
            details::show(&form, &held, StatusCode::OK, &[]).await
        }
        Err(error) => trouble::no_time(&form, error).await,
    }
}

/// Releases the time and goes back to the days.
pub(super) async fn release(context: Context<Anonymous>, request: HttpRequest, body: Bytes) -> Result<HttpResponse> {
    let form = Form::running(context, &request, &body)?;
    let held = Held::of(&form);
    let released = match held.id() {
        Ok(id) => ending::release(&held.holder(&form), id).await,
        Err(error) => Err(error),
    };
    match released {
        Ok(()) => {}
        // It lapsed, or was released before.
        Err(Error::NotFound) => form.visitor.context.audit.note_unchanged(),
        Err(error) => return Err(error),
    }
    let to = format!("days{}", form.search.link(form.visitor.language, &[]));
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish())
}
