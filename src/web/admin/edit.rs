//! The page of a form: a new object, or a change of one. Also when it is shown again, with what was typed.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::Member;
use super::fields::{Draft, Form, Values};
use super::words;
use crate::error::{Error, ProblemCode, Result};
use crate::ids::AppointmentId;
use crate::scheduling::hours::affected::AffectedAppointments;

const NAME: &str = "admin-edit";
/// The most visits that a page links after a change.
const MOST_LINKED: usize = 20;

/// The page of the steps of the first set-up.
pub(super) const SETUP: &str = "admin/setup";

/// The page of a form.
pub(super) struct Edit<'a> {
    pub member: &'a Member,
    pub form: Form,
    pub title: Bilingual,
    /// What the form is about, before its fields. Empty without it.
    pub intro: Bilingual,
    /// Where the form is sent.
    pub action: String,
    /// The list to which a saved form leads.
    pub back: String,
    /// Whether the form is a step of the first set-up, which a saved form leads back to.
    pub is_setup: bool,
    pub submit: Bilingual,
    /// Pages about the same object, with their names.
    pub links: Vec<(String, Bilingual)>,
    /// Other changes of the same object.
    pub actions: Vec<Action>,
}

/// A change that takes one press.
pub(super) struct Action {
    /// Where its form is sent.
    pub page: String,
    pub label: Bilingual,
    pub hint: Bilingual,
}

/// Whether a page or a form is a step of the first set-up.
pub(super) fn is_setup(sent: &Sent) -> bool {
    !sent.first("setup").is_empty()
}

impl Edit<'_> {
    /// Shows the form.
    pub async fn show(&self, draft: &Draft) -> Result<HttpResponse> {
        self.answer(StatusCode::OK, draft, None).await
    }

    async fn answer(&self, status: StatusCode, draft: &Draft, conflict: Option<ProblemCode>) -> Result<HttpResponse> {
        let (member, say) = (self.member, |words: Bilingual| words.text(self.member.language));
        let links = self.links.iter().map(|(page, label)| context! { page => page, label => say(*label) });
        let action =
            |one: &Action| context! { page => one.page.as_str(), label => say(one.label), hint => say(one.hint) };
        let values = context! {
            title => say(self.title), intro => say(self.intro), submit => say(self.submit), action => self.action.as_str(), back => self.back.as_str(),
            setup => self.is_setup, links => links.collect::<Vec<_>>(), actions => self.actions.iter().map(action).collect::<Vec<_>>(),
            conflict => conflict.map(|code| say(words::conflict(code))), form_key => member.form_key(), ..self.form.drawn(draft)
        };
        member.answer(NAME, status, values).await
    }

    /// Leads on after a change, which affected this many booked visits.
    pub fn done(&self, affected: usize) -> HttpResponse {
        done(self.member, self.next_page(), affected)
    }

    /// Like [`Edit::done`], after another time zone. Which visits show another local time is known only a moment later.
    pub fn done_with_zone(&self, affected: usize) -> HttpResponse {
        saved(self.member, self.next_page(), affected, [("zone", "changed".to_owned())])
    }

    /// The page to which a saved form leads.
    fn next_page(&self) -> &str {
        if self.is_setup { SETUP } else { &self.back }
    }

    /// Shows a refused form again.
    ///
    /// # Errors
    /// Every error that the person who typed cannot mend.
    pub async fn refuse(&self, mut draft: Draft, error: Error) -> Result<HttpResponse> {
        let (status, conflict) = match error {
            Error::Invalid(errors) => {
                draft.errors = errors;
                (StatusCode::UNPROCESSABLE_ENTITY, None)
            }
            Error::Conflict(conflict) => (StatusCode::CONFLICT, Some(conflict.code)),
            Error::TooMany { code: code @ ProblemCode::MailboxFull, .. } => (StatusCode::TOO_MANY_REQUESTS, Some(code)),
            other => return Err(other),
        };
        self.answer(status, &draft, conflict).await
    }

    /// Shows a form again that somebody else's change overtook. A form that was sent twice is done.
    pub async fn overtaken(&self, draft: Draft, version: i32, stored: Values) -> Result<HttpResponse> {
        match self.form.renewed(draft, version, stored) {
            Some(renewed) => self.answer(StatusCode::PRECONDITION_FAILED, &renewed, None).await,
            None => Ok(repeated(self.member, self.next_page())),
        }
    }
}

/// Leads to a page that says that a change is stored.
pub(super) fn done(member: &Member, page: &str, affected: usize) -> HttpResponse {
    saved(member, page, affected, [])
}

/// Like [`done`], for visits that keep a unit of a resource which is gone. Nothing marks them, so the page links them, the first ones of many.
pub(super) fn done_without_unit(member: &Member, page: &str, affected: &AffectedAppointments) -> HttpResponse {
    let visits = affected.affected_appointments.iter().take(MOST_LINKED);
    saved(member, page, affected.affected_total, visits.map(|visit| ("visit", visit.id.to_string())))
}

/// Leads to a page with the query that [`outcome`] reads.
fn saved(
    member: &Member,
    page: &str,
    affected: usize,
    more: impl IntoIterator<Item = (&'static str, String)>,
) -> HttpResponse {
    let mut query = Serializer::new(String::new());
    query.append_pair("did", "saved");
    if affected > 0 {
        query.append_pair("affected", &affected.to_string());
    }
    query.extend_pairs(more);
    member.go_to(&format!("{page}?{}", query.finish()))
}

/// Leads on after a form that changed nothing, because it was sent twice.
pub(super) fn repeated(member: &Member, page: &str) -> HttpResponse {
    member.context.audit.note_unchanged();
    done(member, page, 0)
}

/// What a page says after a change that led to it: `did`; `affected`, the number of booked visits that it affects; `zone` after another time
/// zone; `visit` for each visit of [`done_without_unit`].
pub(super) fn outcome(sent: &Sent) -> Value {
    let affected: Option<u32> = sent.first("affected").parse().ok();
    let visits = sent.all("visit").take(MOST_LINKED).filter_map(|id| id.parse::<AppointmentId>().ok());
    let without_unit: Vec<String> = visits.map(|id| id.to_string()).collect();
    let has_other_zone = !sent.first("zone").is_empty();
    context! { did => !sent.first("did").is_empty(), affected => affected, without_unit => without_unit, has_other_zone => has_other_zone }
}

#[cfg(test)]
pub(super) fn examples(language: text::Language) -> Vec<(&'static str, Value)> {
    use super::fields::{Choice, Field, Kind, wrong};
    use crate::error::FieldCode;
    let fields = [
        Field::new("name", Kind::Line, "Name", "Nombre").hint("As patients see it.", "Como lo ven los pacientes."),
        Field::new("zone", Kind::Line, "Zone", "Zona").optional(),
        Field::new("email", Kind::Email, "E-mail", "Correo"),
        Field::new("phone", Kind::Phone, "Telephone", "Teléfono"),
        Field::new("day", Kind::Day, "Day", "Día"),
        Field::new("from", Kind::Time, "From", "Desde").optional(),
        Field::new("text", Kind::Text, "Text", "Texto").hint("Long.", "Largo."),
        Field::new("more", Kind::Text, "More", "Más").most(20).optional(),
        Field::new("minutes", Kind::Number, "Minutes", "Minutos"),
        Field::new("role", Kind::Choice, "Role", "Rol").hint("One.", "Uno."),
        Field::new("notice", Kind::Amount, "Notice", "Plazo").optional(),
        Field::new("active", Kind::Check, "Active", "Activo").hint("Or not.", "O no."),
        Field::new("kept", Kind::Check, "Kept", "Guardado"),
        Field::new("places", Kind::Several, "Places", "Lugares").hint("Any.", "Varios."),
        Field::new("types", Kind::Several, "Types", "Tipos").optional(),
    ];
    let choices = || vec![Choice::new(1, "<b>Elm"), Choice::new(2, "Oak").in_english()];
    let form = ["zone", "role", "notice", "places", "types"]
        .into_iter()
        .fold(Form::new(&fields, language), |form, name| form.with(name, choices()));
    let filled = b"version=1&name=%3Cb%3EA&was.name=B&text=x&minutes=5&role=1&notice=2&active=yes&places=1&was.places=2&was.active=yes";
    let sent = form.read(&Sent::read(filled));
    let all = ["name", "zone", "text", "more", "minutes", "role", "active", "places", "other"];
    let errors = all.iter().map(|name| wrong(name, FieldCode::Required)).collect();
    let stale = form.renewed(sent.clone(), 2, form.read(&Sent::read(b"name=C&minutes=7")).typed).expect("a stale form");
    let page = |draft: &Draft, all: bool, conflict: Option<&'static str>| {
        let link = context! { page => "admin/x", label => "Hours" };
        let action = context! { page => "admin/x/end", label => "End", hint => if all { "At once." } else { "" } };
        context! {
            root => "../../", member => super::super::member::example_admin(), title => "Place", intro => if all { "Where." } else { "" }, submit => "Save",
            action => "admin/x", back => "admin/places", setup => all, links => if all { vec![link] } else { vec![] },
            actions => vec![action], conflict => conflict, form_key => "k", ..form.drawn(draft)
        }
    };
    [
        page(&Draft::default(), false, None),
        page(&Draft { version: None, ..sent.clone() }, true, None),
        page(&Draft { errors, ..sent }, true, None),
        page(&Draft::default(), true, Some("No.")),
        page(&stale, false, None),
    ]
    .map(|values| (NAME, values))
    .into()
}
