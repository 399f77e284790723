//! The pages of administrators: the steps that open an empty clinic, and what is changed from then on: places with their closed days, kinds of
//! visit, rooms and devices, practitioners with their hours and time off, staff, the texts to consent to, machine clients, webhooks; and the audit trail, the use of time,
//! mails and keys. They call the operations that clients of the API call, and work without a script, in English and Spanish.

mod clients;
mod clinic;
mod closures;
mod documents;
mod edit;
mod fields;
mod health;
mod hours;
mod list;
mod places;
mod practitioners;
mod readiness;
mod resources;
mod secret;
mod setup;
mod staff;
mod time_off;
mod trail;
mod utilisation;
mod visit_types;
mod webhook_log;
mod webhooks;
mod week;
mod words;

use actix_web::web;

use super::member::{MOST_BYTES, Member, MemberForm};
use crate::http::fallback::not_allowed;

/// The templates of these pages by name.
pub(super) const TEMPLATES: &[(&str, &str)] = &[
    ("admin.html", include_str!("../html/admin.html")),
    ("admin-frame.html", include_str!("../html/admin-frame.html")),
    ("admin-outcome.html", include_str!("../html/admin-outcome.html")),
    ("admin-opening.html", include_str!("../html/admin-opening.html")),
    ("admin-setup.html", include_str!("../html/admin-setup.html")),
    ("admin-list.html", include_str!("../html/admin-list.html")),
    ("admin-edit.html", include_str!("../html/admin-edit.html")),
    ("admin-field.html", include_str!("../html/admin-field.html")),
    ("admin-hidden.html", include_str!("../html/admin-hidden.html")),
    ("admin-wrong.html", include_str!("../html/admin-wrong.html")),
    ("admin-refused.html", include_str!("../html/admin-refused.html")),
    ("admin-hours.html", include_str!("../html/admin-hours.html")),
    ("admin-closures.html", include_str!("../html/admin-closures.html")),
    ("admin-secret.html", include_str!("../html/admin-secret.html")),
    ("admin-secrets.html", include_str!("../html/admin-secrets.html")),
    ("admin-audit.html", include_str!("../html/admin-audit.html")),
    ("admin-utilisation.html", include_str!("../html/admin-utilisation.html")),
    ("admin-health.html", include_str!("../html/admin-health.html")),
    ("admin-time-off.html", include_str!("../html/admin-time-off.html")),
    ("admin-resource.html", include_str!("../html/admin-resource.html")),
    ("admin-webhook.html", include_str!("../html/admin-webhook.html")),
];

/// The page that says why a change of one press was not done.
const REFUSED: &str = "admin-refused";
/// The largest form of hours: two hundred rules with what they were.
const MOST_BYTES_OF_HOURS: usize = 128 * 1024;
/// The largest form of a document: three texts of 20,000 characters, with what they were.
const MOST_BYTES_OF_DOCUMENT: usize = 512 * 1024;

/// Registers the pages. `http::fallback::MEMBER_PAGES` has their operations.
pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    let other = |allowed: &'static str| web::to(move || async move { not_allowed(allowed) });
    let page = |path: &str, most: usize| web::resource(path).app_data(web::PayloadConfig::new(most));
    let get = |path: &str| page(path, MOST_BYTES).default_service(other("GET, HEAD"));
    let post = |path: &str| page(path, MOST_BYTES).default_service(other("POST"));
    let both = |path: &str, most: usize| page(path, most).default_service(other("GET, HEAD, POST"));
    cfg.service(get("/admin").get(setup::overview));
    cfg.service(get("/admin/setup").get(setup::steps));
    cfg.service(get("/admin/locations").get(places::list));
    cfg.service(both("/admin/locations/new", MOST_BYTES).get(places::new).post(places::create));
    cfg.service(both("/admin/locations/{id}", MOST_BYTES).get(places::show).post(places::save));
    cfg.service(both("/admin/locations/{id}/closures", MOST_BYTES).get(closures::show).post(closures::create));
    cfg.service(post("/admin/closures/{id}/delete").post(closures::delete));
    cfg.service(get("/admin/visit-types").get(visit_types::list));
    cfg.service(both("/admin/visit-types/new", MOST_BYTES).get(visit_types::new).post(visit_types::create));
    cfg.service(both("/admin/visit-types/{id}", MOST_BYTES).get(visit_types::show).post(visit_types::save));
    cfg.service(get("/admin/practitioners").get(practitioners::list));
    cfg.service(both("/admin/practitioners/new", MOST_BYTES).get(practitioners::new).post(practitioners::create));
    cfg.service(both("/admin/practitioners/{id}", MOST_BYTES).get(practitioners::show).post(practitioners::save));
    cfg.service(both("/admin/practitioners/{id}/hours", MOST_BYTES_OF_HOURS).get(hours::show).post(hours::save));
    cfg.service(both("/admin/practitioners/{id}/time-off", MOST_BYTES).get(time_off::show).post(time_off::create));
    cfg.service(post("/admin/time-off/{id}/delete").post(time_off::delete));
    cfg.service(get("/admin/resources").get(resources::list));
    cfg.service(both("/admin/resources/new", MOST_BYTES).get(resources::new).post(resources::create));
    cfg.service(both("/admin/resources/{id}", MOST_BYTES).get(resources::show).post(resources::save));
    cfg.service(get("/admin/staff").get(staff::list));
    cfg.service(both("/admin/staff/new", MOST_BYTES).get(staff::new).post(staff::create));
    cfg.service(both("/admin/staff/{id}", MOST_BYTES).get(staff::show).post(staff::save));
    cfg.service(post("/admin/staff/{id}/sign-out").post(staff::sign_out));
    cfg.service(post("/admin/staff/{id}/second-factor").post(staff::remove_second_factor));
    cfg.service(get("/admin/clients").get(clients::list));
    cfg.service(both("/admin/clients/new", MOST_BYTES).get(clients::new).post(clients::create));
    cfg.service(both("/admin/clients/{id}", MOST_BYTES).get(clients::show).post(clients::save));
    cfg.service(post("/admin/clients/{id}/revoke").post(clients::revoke));
    cfg.service(both("/admin/clients/{id}/secrets", MOST_BYTES).get(clients::show_secrets).post(clients::rotate));
    cfg.service(post("/admin/clients/{id}/secrets/{secret_id}/end").post(clients::end));
    cfg.service(get("/admin/webhooks").get(webhooks::list));
    cfg.service(both("/admin/webhooks/new", MOST_BYTES).get(webhooks::new).post(webhooks::create));
    cfg.service(both("/admin/webhooks/{id}", MOST_BYTES).get(webhooks::show).post(webhooks::save));
    cfg.service(post("/admin/webhooks/{id}/pause").post(webhooks::pause));
    cfg.service(post("/admin/webhooks/{id}/resume").post(webhooks::resume));
    cfg.service(post("/admin/webhooks/{id}/delete").post(webhooks::delete));
    cfg.service(get("/admin/webhooks/{id}/log").get(webhook_log::show));
    cfg.service(post("/admin/webhooks/{id}/test").post(webhook_log::test));
    cfg.service(post("/admin/webhooks/{id}/redeliveries").post(webhook_log::redeliver));
    cfg.service(post("/admin/webhooks/{id}/skip").post(webhook_log::skip));
    cfg.service(post("/admin/webhooks/{id}/secrets").post(webhook_log::rotate));
    cfg.service(get("/admin/audit").get(trail::show));
    cfg.service(get("/admin/utilisation").get(utilisation::show));
    cfg.service(get("/admin/health").get(health::show));
    cfg.service(get("/admin/documents").get(documents::list));
    cfg.service(both("/admin/documents/{type}", MOST_BYTES_OF_DOCUMENT).get(documents::show).post(documents::publish));
}

/// What the pages can show, for the test that renders every branch of their templates.
#[cfg(test)]
pub(super) fn examples(language: text::Language) -> Vec<(&'static str, minijinja::Value)> {
    use minijinja::context;
    let member = super::member::example_admin();
    let refused =
        context! { root => "../../../", member => member, why => "It is your own account.", page => "admin/staff" };
    [
        vec![(REFUSED, refused)],
        setup::examples(),
        list::examples(),
        edit::examples(language),
        hours::examples(),
        closures::examples(language),
        time_off::examples(language),
        resources::examples(),
        clients::examples(),
        secret::examples(),
        webhook_log::examples(),
        trail::examples(),
        utilisation::examples(),
        health::examples(),
    ]
    .concat()
}
