//! A signed-in person on a page: who it is, by the cookie, and what every such page and form needs.
//!
//! A handler takes a [`Member`], and one of a form a [`MemberForm`]. Without a session the page leads to the sign-in and comes back
//! ([`super::trouble`]).

use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use serde::de::DeserializeOwned;
use text::Language;

use super::form_post::{Sent, require_own};
use super::language::switch;
use super::{language, page};
use crate::accounts::caller::PageCaller;
use crate::accounts::tokens;
use crate::actor::Actor;
use crate::context::{Anonymous, Context, Once};
use crate::env::Env;
use crate::error::{Error, ProblemCode, Result};
use crate::http::fallback::{Operation, Routes};
use crate::http::input;
use crate::ids::LocationId;
use crate::role::Role;

/// The largest form.
pub(super) const MOST_BYTES: usize = 32 * 1024;
/// The fields in which people write texts. They are shown again if the session has ended meanwhile.
const TEXTS: [&str; 7] = ["reason", "note", "name", "address", "en", "es", "other_text"];

/// A signed-in person who opens a page. `P` is [`SignedIn`](crate::accounts::caller::SignedIn) for pages that are also open to a session
/// that still has to set up a second factor.
pub(super) struct Member<P = Actor> {
    pub context: Context<P>,
    pub language: Language,
    routes: web::Data<Routes>,
    caller: PageCaller,
    /// The way from the page to the first one, such as `../`.
    root: String,
    /// The address of the page in the other language.
    switch: Option<String>,
    /// The location at which the desk works, if it has chosen one. Links and forms of the desk carry it from page to page.
    pub place: Option<LocationId>,
}

/// The location that a query or a form carries: as `place`, or on the day as its `location`.
fn place(sent: &Sent) -> Option<LocationId> {
    ["place", "location"].into_iter().find_map(|name| sent.first(name).parse().ok())
}

impl<P> Member<P> {
    fn read(request: &HttpRequest) -> Result<Self>
    where
        Context<P>: FromRequest<Error = Error, Future = std::future::Ready<Result<Context<P>>>>,
    {
        let caller = PageCaller::from_request(request, &mut Payload::None).into_inner()?;
        require_role(request.path(), caller.role)?;
        let context = Context::<P>::from_request(request, &mut Payload::None).into_inner()?;
        let routes = request.app_data::<web::Data<Routes>>().cloned().ok_or_else(|| Error::fault("no routes"))?;
        let (language, switch) = (language(request), switch(request));
        let place = place(&Sent::read(request.query_string().as_bytes()));
        Ok(Self { context, language, routes, caller, root: root(request.path()), switch, place })
    }

    /// The context of what everyone may read.
    pub fn public(&self) -> Context<Anonymous> {
        Context::of_page(Arc::clone(&self.context.env))
    }

    pub fn is_staff(&self) -> bool {
        self.caller.role.is_staff()
    }

    pub fn is_practitioner(&self) -> bool {
        self.caller.role == Role::Practitioner
    }

    /// The first page of the person's role, without the slash before it.
    pub fn home(&self) -> &'static str {
        home(self.caller.role)
    }

    pub fn routes(&self) -> web::Data<Routes> {
        self.routes.clone()
    }

    /// The rules of a location's time zone.
    pub fn zone(&self, name: &str) -> TimeZone {
        self.context.env.config.zones.get(name).unwrap_or(TimeZone::UTC)
    }

    /// The language of a patient who does not speak that of the page.
    pub fn other_language<'a>(&self, tag: &'a str) -> Option<&'a str> {
        (!tag.starts_with(self.language.code())).then_some(tag)
    }

    /// The address of the account.
    pub fn email(&self) -> &str {
        &self.caller.email
    }

    pub fn operation(&self, id: &str) -> Result<Arc<Operation>> {
        self.routes.by_id(id).ok_or_else(|| Error::fault(format!("no operation {id}")))
    }

    /// Reads parameters of an operation as it would read them from its own query.
    pub fn parameters<T: DeserializeOwned>(&self, operation: &str, query: &str) -> Result<T> {
        input::read_query(query, &*self.operation(operation)?)
    }

    /// Answers with a page that browsers do not store, and that is not compressed.
    pub async fn answer(&self, name: &str, status: StatusCode, values: Value) -> Result<HttpResponse> {
        let frame = frame(&self.caller);
        let place = self.place.map(|id| id.to_string());
        let with = |mark: char| place.as_ref().map(|id| format!("{mark}place={id}")).unwrap_or_default();
        let values = context! {
            root => &self.root, member => frame, switch => &self.switch, desk_place => place.as_deref().unwrap_or_default(),
            at_place => with('?'), and_place => with('&'), ..values
        };
        page(&self.context.env, name, self.language, status, values).await
    }

    /// Returns the relative address of another page in the same language. `page` has no slash before it.
    pub fn way_to(&self, page: &str) -> String {
        let page = self.with_place(page);
        let mark = if page.contains('?') { '&' } else { '?' };
        format!("{}{page}{mark}lang={}", self.root, self.language.code())
    }

    /// A page of the desk with the location at which it works. Every other page stays as it is, and the day of a location.
    pub fn with_place(&self, page: &str) -> String {
        let is_of_desk = page.starts_with("desk") && !page.contains("location=");
        match self.place.filter(|_| is_of_desk) {
            Some(place) => format!("{page}{}place={place}", if page.contains('?') { '&' } else { '?' }),
            None => page.to_owned(),
        }
    }

    /// Goes to another page after a change. `page` has no slash before it.
    pub fn go_to(&self, page: &str) -> HttpResponse {
        HttpResponse::SeeOther().insert_header((LOCATION, self.way_to(page))).finish()
    }

    /// A value that only this answer has, so that a form which is sent twice has one effect.
    pub fn form_key(&self) -> String {
        tokens::opaque(&self.context.env.entropy)
    }
}

/// The page with which a role begins, without the slash before it.
pub(super) fn home(role: Role) -> &'static str {
    match role {
        Role::Patient => "visits",
        Role::Practitioner => "doctor",
        Role::FrontDesk => "desk",
        Role::Admin => "admin",
    }
}

/// Requires a role that may open a page: the desk is for staff, the doctor's pages are for practitioners, and those of the administration for
/// administrators.
///
/// # Errors
/// [`Error::RoleForbidden`].
fn require_role(path: &str, role: Role) -> Result<()> {
    let is_below = |area: &str| path.strip_prefix(area).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let of_role = |area: &str, only: Role, role: Role| !is_below(area) || role == only;
    let may = |role: Role| {
        (!is_below("/desk") || role.is_staff())
            && of_role("/doctor", Role::Practitioner, role)
            && of_role("/admin", Role::Admin, role)
    };
    if may(role) {
        return Ok(());
    }
    Err(Error::RoleForbidden(Role::ALL.iter().copied().filter(|role| may(*role)).collect()))
}

/// Who is signed in, as the frame of the pages shows it.
fn frame(caller: &PageCaller) -> Value {
    context! {
        name => caller.name.as_str(), is_staff => caller.role.is_staff(), is_practitioner => caller.role == Role::Practitioner,
        is_admin => caller.role == Role::Admin, form_token => caller.form_token.as_str(),
    }
}

/// The way from a path to the first page. Every page links by relative addresses, because a proxy may serve the pages below a path.
pub(super) fn root(path: &str) -> String {
    "../".repeat(path.matches('/').count().saturating_sub(1))
}

impl<P> FromRequest for Member<P>
where
    Context<P>: FromRequest<Error = Error, Future = std::future::Ready<Result<Context<P>>>>,
{
    type Error = Error;
    type Future = std::future::Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Self::read(request))
    }
}

/// What somebody had written in a form that came without a session.
#[derive(Clone)]
pub(super) struct Written(pub Vec<String>);

/// A form of a signed-in person, which a page of this session has sent.
pub(super) struct MemberForm<P = Actor> {
    pub member: Member<P>,
    pub sent: Sent,
}

impl<P> MemberForm<P>
where
    Context<P>: FromRequest<Error = Error, Future = std::future::Ready<Result<Context<P>>>>,
{
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, actix_web::Error> {
        let env = request.app_data::<web::Data<Env>>().ok_or_else(|| Error::fault("no environment"))?;
        require_own(&request, &env.config.settings.public_url)?;
        let body = Bytes::from_request(&request, &mut payload).await?;
        let sent = Sent::read(&body);
        let mut member = Member::read(&request).map_err(|error| without_session(&sent, error))?;
        member.place = place(&sent).or(member.place);
        if !member.caller.sent(sent.first("form_token")) {
            let detail = "This form is not one of this session.";
            return Err(Error::forbidden(ProblemCode::ForeignForm, detail).into());
        }
        Ok(Self { member, sent })
    }
}

/// Keeps what was written, so that the page can show it once more.
fn without_session(sent: &Sent, error: Error) -> actix_web::Error {
    // The names of answers to forms have a point.
    let is_written = |name: &str, value: &str| TEXTS.contains(&name) || (name.contains('.') && value.contains(' '));
    let texts = sent.fields().filter(|(name, value)| !value.is_empty() && is_written(name, value));
    let written = texts.map(|(_, value)| value.to_owned()).collect();
    let mut response = error.error_response();
    response.extensions_mut().insert(Written(written));
    InternalError::from_response(error, response).into()
}

impl<P> MemberForm<P> {
    /// How a repeat of this form is recognised. No client of the API can send such a key, because it has a space.
    pub fn once<Q: crate::context::Principal>(&self, part: &str) -> Once<Q> {
        let key = self.sent.first("form_key");
        let key = ((1..=64).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()))
            .then(|| format!("{key} {part}"));
        let pairs = self.sent.fields().filter(|(name, _)| *name != "form_token");
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Once::new(key, Bytes::from(body))
    }
}

impl<P> FromRequest for MemberForm<P>
where
    P: 'static,
    Context<P>: FromRequest<Error = Error, Future = std::future::Ready<Result<Context<P>>>>,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        Box::pin(Self::read(request.clone(), payload.take()))
    }
}

/// The frame of a person, for the test that renders every branch of the templates.
#[cfg(test)]
pub(super) fn example(is_staff: bool) -> Value {
    context! { name => "Ann <b>Example", is_staff => is_staff, is_practitioner => false, is_admin => false, form_token => "t" }
}

/// The frame of an administrator, for the same test.
#[cfg(test)]
pub(super) fn example_admin() -> Value {
    context! { is_admin => true, ..example(true) }
}

/// The frame of a practitioner, for the same test.
#[cfg(test)]
pub(super) fn example_practitioner() -> Value {
    context! { is_practitioner => true, ..example(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_area_is_open_to_its_roles() {
        for (path, role, is_open) in [
            ("/desk", Role::Patient, false),
            ("/desk/calls", Role::FrontDesk, true),
            ("/desk", Role::Practitioner, true),
            ("/doctor", Role::Patient, false),
            ("/doctor/flags", Role::FrontDesk, false),
            ("/doctor", Role::Admin, false),
            ("/doctor/flags", Role::Practitioner, true),
            ("/account", Role::Patient, true),
            ("/admin", Role::FrontDesk, false),
            ("/admin/staff", Role::Practitioner, false),
            ("/admin/staff", Role::Admin, true),
            ("/admins", Role::Patient, true),
        ] {
            assert_eq!(require_role(path, role).is_ok(), is_open, "{path} {role:?}");
        }
        assert!(Role::ALL.iter().all(|role| require_role(&format!("/{}", home(*role)), *role).is_ok()));
    }

    #[test]
    fn a_page_finds_the_first_page_however_deep_it_is() {
        assert_eq!(
            (root("/account"), root("/visits/1"), root("/visits/1/move")),
            (String::new(), "../".into(), "../../".into())
        );
    }
}
