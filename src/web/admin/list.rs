//! The page of a list of any kind: what there is, with a link to each and one to add another.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use rls::form_dsl::Bilingual;

use super::super::form_post::Sent;
use super::Member;
use super::edit::outcome;
use crate::error::Result;

const NAME: &str = "admin-list";

/// An object in a list.
pub(super) struct Row {
    /// Its page.
    pub page: String,
    pub title: String,
    pub lines: Vec<String>,
    /// Whether it is out of use.
    pub is_ended: bool,
}

pub(super) struct List {
    pub title: Bilingual,
    /// Empty without one.
    pub intro: Bilingual,
    /// The page that adds another, if there can be more.
    pub add: Option<(&'static str, Bilingual)>,
    pub rows: Vec<Row>,
}

impl List {
    /// Shows the list. `sent` is the query, which says what a change has done.
    pub async fn show(self, member: &Member, sent: &Sent) -> Result<HttpResponse> {
        let say = |words: Bilingual| words.text(member.language);
        let rows: Vec<Value> = self.rows.iter().map(drawn).collect();
        let values = context! {
            title => say(self.title), intro => say(self.intro), add => self.add.map(|(page, label)| context! { page => page, label => say(label) }),
            rows => rows, ..outcome(sent)
        };
        member.answer(NAME, StatusCode::OK, values).await
    }
}

fn drawn(row: &Row) -> Value {
    context! { page => row.page.as_str(), title => row.title.as_str(), lines => row.lines.clone(), is_ended => row.is_ended }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let row = |is_ended: bool| {
        let lines = if is_ended { vec![] } else { vec!["12 Elm St".to_owned()] };
        drawn(&Row { page: "admin/locations/1".into(), title: "<b>Elm".into(), lines, is_ended })
    };
    let page = |rows: Vec<Value>, did: &str| {
        let values = context! {
            root => "../", member => super::super::member::example_admin(), title => "Places",
            intro => if rows.is_empty() { "" } else { "Where." }, add => (!rows.is_empty()).then(|| context! { page => "admin/locations/new", label => "Add" }),
            rows => rows, ..outcome(&Sent::read(did.as_bytes()))
        };
        (NAME, values)
    };
    vec![
        page(vec![row(false), row(true)], "did=saved&zone=changed&affected=3"),
        page(vec![], "did=saved&affected=1&visit=0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55"),
        page(vec![], ""),
        page(vec![], "did=saved"),
    ]
}
