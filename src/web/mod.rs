//! The service's own pages: another front end to the operations of the API.
//!
//! A stranger books a visit in `book`, without a script. The pages behind the links in mails are static except for the clinic's name and
//! numbers, and call the public API. That of the follow-up also works without a script, and so does that of an offer; that of reminders
//! has none.
//!
//! A page is one template for both languages, with each text beside its translation: `t("Yes", "Sí")`. All texts of the
//! script are hidden elements of the page, so the script has none itself.
//!
//! People sign in with a cookie (`account`). A page of somebody who is signed in takes a [`member::Member`], and its forms a
//! [`member::MemberForm`].

mod account;
mod admin;
mod book;
mod demo_mails;
mod desk;
mod docs;
mod doctor;
mod embedding;
mod follow_up;
mod form_post;
mod home;
mod intake;
mod language;
mod member;
mod nowhere;
mod problems;
mod reminders;
#[cfg(test)]
mod staff_texts;
mod trouble;
mod verification;
mod visits;
mod waitlist_offer;

use std::sync::LazyLock;

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use minijinja::{Environment, State, TemplateSource, UndefinedBehavior, Value, context};
use text::Language;

pub use self::docs::Docs;
use self::language::language;
pub use self::nowhere::nowhere;
pub use self::trouble::explain;
use crate::config::Settings;
use crate::db::Conn;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::http::compression;
use crate::http::fallback::not_allowed;
use crate::phone::{Country, Telephone};
use crate::scheduling::setup::location;

/// The templates by name.
const TEMPLATES: &[(&str, &str)] = &[
    ("layout.html", include_str!("html/layout.html")),
    ("member.html", include_str!("html/member.html")),
    ("staff-language.html", include_str!("html/staff-language.html")),
    ("staff-status.html", include_str!("html/staff-status.html")),
    ("most.html", include_str!("html/most.html")),
    ("errors.html", include_str!("html/errors.html")),
    ("time-open.html", include_str!("html/time-open.html")),
    ("mailbox.html", include_str!("html/mailbox.html")),
    ("verify-email.html", include_str!("html/verify-email.html")),
    ("password.html", include_str!("html/password.html")),
    ("accept-invitation.html", include_str!("html/accept-invitation.html")),
    ("set-password.html", include_str!("html/set-password.html")),
    ("appointment.html", include_str!("html/appointment.html")),
    ("stop-access.html", include_str!("html/stop-access.html")),
    ("follow-up.html", include_str!("html/follow-up.html")),
    ("follow-up-plain.html", include_str!("html/follow-up-plain.html")),
    ("follow-up-done.html", include_str!("html/follow-up-done.html")),
    ("questions.html", include_str!("html/questions.html")),
    ("code.html", include_str!("html/code.html")),
    ("reminders.html", include_str!("html/reminders.html")),
    ("waitlist-offer.html", include_str!("html/waitlist-offer.html")),
    ("waitlist-offer-facts.html", include_str!("html/waitlist-offer-facts.html")),
    ("waitlist-offer-next.html", include_str!("html/waitlist-offer-next.html")),
    ("home.html", include_str!("html/home.html")),
    ("problems.html", include_str!("html/problems.html")),
    ("demo-mails.html", include_str!("html/demo-mails.html")),
    ("verified.html", include_str!("html/verified.html")),
    ("link-plain.html", include_str!("html/link-plain.html")),
];

/// The pages as links name them.
const PAGES: [&str; 7] = [
    verification::NAME,
    "set-password",
    "accept-invitation",
    "appointment",
    "stop-access",
    follow_up::NAME,
    waitlist_offer::NAME,
];

/// The content security policy. A page may load its own style and script, call the API, and send forms to this service. Nothing inline,
/// nothing from other origins, and no frames, except for the booking way on the clinic's own sites ([`embedding`]).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// How many locations' telephone numbers a page shows.
const PHONES: i64 = 5;

static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    engine(vec![
        TEMPLATES,
        book::TEMPLATES,
        account::TEMPLATES,
        visits::TEMPLATES,
        intake::TEMPLATES,
        desk::TEMPLATES,
        doctor::TEMPLATES,
        admin::TEMPLATES,
        docs::TEMPLATES,
    ])
});

/// Templates by name.
type Templates = [(&'static str, &'static str)];

fn engine(templates: Vec<&'static Templates>) -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.add_function("t", |state: &State<'_, '_>, english: String, spanish: String| {
        let is_spanish = state.lookup("lang").is_some_and(|lang| lang.as_str() == Some(Language::Spanish.code()));
        if is_spanish { spanish } else { english }
    });
    engine.set_loader(move |name| {
        let mut all = templates.iter().copied().flatten();
        Ok(all.find(|(known, _)| *known == name).map(|(_, text)| TemplateSource::from(*text)))
    });
    engine
}

/// Registers the pages with their style and script.
pub fn routes(cfg: &mut web::ServiceConfig) {
    let other = || web::to(|| async { not_allowed("GET, HEAD") });
    for name in PAGES {
        let page = move |env: web::Data<Env>, request: HttpRequest| answer(env, request, name);
        let resource = web::resource(format!("/{name}")).get(page);
        let post_too = || web::to(|| async { not_allowed("GET, HEAD, POST") });
        cfg.service(match name {
            follow_up::NAME => resource.post(follow_up::show).default_service(post_too()),
            verification::NAME => resource.post(verification::follow).default_service(post_too()),
            waitlist_offer::NAME => resource.post(waitlist_offer::show).default_service(post_too()),
            _ => resource.default_service(other()),
        });
    }
    follow_up::routes(cfg);
    waitlist_offer::routes(cfg);
    reminders::routes(cfg);
    book::routes(cfg);
    account::routes(cfg);
    visits::routes(cfg);
    intake::routes(cfg);
    desk::routes(cfg);
    doctor::routes(cfg);
    admin::routes(cfg);
    demo_mails::routes(cfg);
    problems::routes(cfg);
    docs::routes(cfg);
    cfg.service(web::resource("/").get(home::show).default_service(other()));
    for (path, kind, text) in [
        ("/pages/style.css", "text/css; charset=utf-8", include_str!("style.css")),
        ("/pages/script.js", "text/javascript; charset=utf-8", include_str!("script.js")),
        ("/pages/book.js", "text/javascript; charset=utf-8", include_str!("book.js")),
        ("/pages/embed.js", "text/javascript; charset=utf-8", include_str!("embed.js")),
        ("/pages/form.js", "text/javascript; charset=utf-8", include_str!("form.js")),
        ("/pages/desk.js", "text/javascript; charset=utf-8", include_str!("desk.js")),
        ("/pages/find.js", "text/javascript; charset=utf-8", include_str!("find.js")),
        ("/pages/member.js", "text/javascript; charset=utf-8", include_str!("member.js")),
    ] {
        let file = move |request: HttpRequest| async move {
            // Short, because a page and its script must have the same version.
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "max-age=60")];
            let mut response = headers.into_iter().fold(HttpResponse::Ok(), |mut response, header| {
                response.insert_header(header);
                response
            });
            compression::public(&request, response.body(text))
        };
        cfg.service(web::resource(path).get(file).default_service(other()));
    }
}

async fn answer(env: web::Data<Env>, request: HttpRequest, name: &'static str) -> Result<HttpResponse> {
    let language = language(&request);
    // The same for everyone: the token of a link is in the fragment, which is never sent.
    Ok(compression::public(&request, page(&env, name, language, StatusCode::OK, empty(name, language)).await?))
}

/// The values of a page that its script fills in.
fn empty(name: &str, language: Language) -> Value {
    match name {
        verification::NAME => verification::empty(),
        follow_up::NAME => follow_up::empty_form(language),
        waitlist_offer::NAME => waitlist_offer::empty(),
        _ => context! {},
    }
}

/// Answers with a page. `values` are those of its template beside the ones that all pages have.
async fn page(env: &Env, name: &str, language: Language, status: StatusCode, values: Value) -> Result<HttpResponse> {
    let page = render(&ENGINE, &env.config.settings, name, language, phones(env).await, values)?;
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        // With `no-referrer`, browsers would send `Origin: null` with forms. The token of a link is in the fragment, which is never sent.
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((header::VARY, "Accept, Accept-Language"))
        .body(page))
}

/// Returns the clinic's telephone number, or those of its locations. Without a database the page is shown without
/// numbers.
async fn phones(env: &Env) -> Vec<Value> {
    if let Some(number) = env.config.settings.clinic_phone.clone() {
        let country = env.db.read(Country::of_clinic).await.unwrap_or_default();
        return vec![phone(None, &Telephone::of(&number, country))];
    }
    let locations = env.db.read(|conn: &mut Conn| location::load(conn, None, PHONES)).await.unwrap_or_default();
    locations
        .into_iter()
        .map(|location| phone(Some(&location.name), &Telephone::of(&location.phone, Country::of(&location.country))))
        .collect()
}

fn phone(place: Option<&str>, number: &Telephone) -> Value {
    context! { name => place, number => number.shown.as_str(), link => number.dialled.as_str() }
}

/// The names of the values that every page has. They go before the values of a page, which must have other names.
const FRAME: [&str; 7] = ["page_name", "lang", "clinic", "app", "min_patient", "min_staff", "phones"];

fn render(
    engine: &Environment<'static>,
    settings: &Settings,
    name: &str,
    language: Language,
    phones: Vec<Value>,
    values: Value,
) -> Result<String> {
    let is_free = |name: &&str| values.get_attr(name).is_ok_and(|value| value.is_undefined());
    debug_assert!(FRAME.iter().all(is_free), "the page {name} has a value with the name of one of the frame");
    let values = context! {
        page_name => name,
        lang => language.code(),
        clinic => settings.clinic_name.as_str(),
        app => settings.patient_app_url.as_ref().map(url::Url::as_str),
        min_patient => settings.password_min_patient,
        min_staff => settings.password_min_staff,
        phones => phones,
        ..context! { ..values, ..context! {
            root => "", member => Value::from(()), switch => Value::from(()), framed => false, desk_place => "", at_place => "", and_place => "",
        } }
    };
    let template = engine.get_template(&format!("{name}.html"));
    template.and_then(|template| template.render(values)).map_err(|error| Error::internal("render a page", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::fixtures::config;
    use crate::template_branches::Branches;

    #[test]
    fn every_branch_of_every_page_can_be_rendered() {
        let mut branches = Branches::default();
        // The engine needs texts that live as long as the program.
        let mut marked = |templates: &Templates| -> &'static Templates {
            let marked = templates.iter().map(|(name, text)| (*name, &*branches.mark(name, text).leak()));
            marked.collect::<Vec<_>>().leak()
        };
        let engine = engine(vec![
            marked(TEMPLATES),
            marked(book::TEMPLATES),
            marked(account::TEMPLATES),
            marked(visits::TEMPLATES),
            marked(intake::TEMPLATES),
            marked(desk::TEMPLATES),
            marked(doctor::TEMPLATES),
            marked(admin::TEMPLATES),
            marked(docs::TEMPLATES),
        ]);
        let number = Telephone { shown: "(617) 555-0140".into(), dialled: "+16175550140".into() };
        let phone = |place: Option<&str>| super::phone(place, &number);
        for (name, language) in
            PAGES.iter().flat_map(|name| [Language::English, Language::Spanish].map(|it| (name, it)))
        {
            for (app, phones) in [
                (None, vec![]),
                (None, vec![phone(None)]),
                (Some("https://my.clinic.example/"), vec![phone(None), phone(Some("Elm"))]),
            ] {
                let mut settings = config().settings;
                settings.patient_app_url = app.map(|app| app.parse().expect("a URL"));
                let values = empty(name, language);
                branches.rendered(&render(&engine, &settings, name, language, phones, values).expect("a page"));
            }
        }
        for language in [Language::English, Language::Spanish] {
            for values in follow_up::examples(language) {
                let page = render(&engine, &config().settings, "follow-up-plain", language, vec![], values);
                branches.rendered(&page.expect("a page"));
            }
            for values in waitlist_offer::examples() {
                let page = render(&engine, &config().settings, waitlist_offer::NAME, language, vec![], values);
                branches.rendered(&page.expect("a page"));
            }
            for (name, values) in reminders::examples()
                .into_iter()
                .chain(verification::examples())
                .chain(demo_mails::examples())
                .chain(problems::examples())
                .chain(docs::examples())
                .chain(book::examples(language))
                .chain(account::examples())
                .chain(visits::examples())
                .chain(intake::examples(language))
                .chain(desk::examples())
                .chain(doctor::examples(language))
                .chain(admin::examples(language))
                .chain(trouble::examples())
            {
                let page = render(&engine, &config().settings, name, language, vec![], values);
                branches.rendered(&page.expect("a page"));
            }
        }
        for language in [Language::English, Language::Spanish] {
            for (app, values) in home::examples() {
                let mut settings = config().settings;
                settings.patient_app_url = app.map(|app| app.parse().expect("a URL"));
                branches.rendered(&render(&engine, &settings, "home", language, vec![], values).expect("a page"));
            }
        }
        branches.assert_all_rendered();
    }
}
