//! New secrets: the page that shows one, once, and how long the older ones still work.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use text::Language;

use super::super::form_post::Sent;
use super::super::language::both;
use super::Member;
use crate::error::{Error, Result};

const NAME: &str = "admin-secret";
/// For how many hours the older secrets still work, to choose from.
const OVERLAPS: [(&str, Bilingual); 4] = [
    ("0", both("not at all", "nada")),
    ("24", both("one day", "un día")),
    ("168", both("one week", "una semana")),
    ("720", both("30 days", "30 días")),
];
/// What is chosen at first.
const USUAL: &str = "24";

/// The choices of the field `overlap_hours`.
pub(super) fn overlaps(language: Language) -> Vec<Value> {
    let choice = |(hours, label): &(&'static str, Bilingual)| context! { hours => *hours, label => label.text(language), chosen => *hours == USUAL };
    OVERLAPS.iter().map(choice).collect()
}

/// Reads the field `overlap_hours`.
///
/// # Errors
/// [`Error::NotFound`] if it is no number, which no form sends.
pub(super) fn overlap(sent: &Sent) -> Result<i64> {
    sent.first("overlap_hours").parse().map_err(|_| Error::NotFound)
}

/// What was created, and the facts to copy, as the API and its guides name them.
pub(super) struct Created<'a> {
    pub name: &'a str,
    pub facts: Vec<(&'static str, String)>,
    /// Whether one of the facts is a secret.
    pub has_secret: bool,
    /// The page to go on with.
    pub next: String,
}

impl Created<'_> {
    /// Answers the form that created it. A form that is sent twice is answered twice.
    pub async fn show(&self, member: &Member) -> Result<HttpResponse> {
        let values = context! { name => self.name, facts => self.facts.clone(), has_secret => self.has_secret, next => self.next.as_str() };
        member.answer(NAME, StatusCode::CREATED, values).await
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let page = |has_secret: bool| {
        let values = context! {
            root => "../../", member => super::super::member::example_admin(), name => "<b>Phones", facts => [("client_id", "1"), ("client_secret", "s")],
            has_secret => has_secret, next => "admin/clients/1/secrets",
        };
        (NAME, values)
    };
    vec![page(true), page(false)]
}
