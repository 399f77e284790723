//! A form as one person fills it in: its subjects, what is answered, what is open, and which page comes next.

use rls::form::{FieldType, FormField, FormSection, Text};
use rls::issues::{Issue, Severity};
use rls::{Form, FormName};
use serde_json::Value;
use text::Language;

use super::super::member::Member;
use crate::error::{Error, Result};
use crate::http::response::Versioned;
use crate::ids::IntakeId;
use crate::intake::forms::{self, FormLanguage};
use crate::intake::model::{Answers, IntakeStatus};
use crate::intake::view::{self, IntakeComputed, IntakeView};

/// What a program fills in, and people do not: a code, and the sum of answers on the same page.
const FOR_PROGRAMS: [&str; 2] = ["medications.rxnorm", "irls.irls_total"];
/// How long a required question takes. The history has 20, and takes five to six minutes.
const SECONDS_A_QUESTION: usize = 16;
/// The page after the last subject.
pub(super) const CHECK: &str = "check";

/// How far a subject is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Something required or inconsistent is open.
    Open(usize),
    /// Nothing is open, and something is answered.
    Done,
    /// Nothing is required, and nothing is answered.
    Empty,
}

/// An intake with its form in the language of the page.
pub(super) struct Draft {
    pub intake: IntakeView,
    pub version: i32,
    pub name: FormName,
    pub language: Language,
    form: Form,
}

/// The text in the language of the form.
pub(in crate::web) fn say(text: &Text, language: Language) -> &str {
    let said = match language {
        Language::English => &text.en,
        Language::Spanish => &text.es,
    };
    said.as_deref().unwrap_or_default()
}

/// The JSON pointer of an answer in all answers.
pub(super) fn pointer(id: &str) -> String {
    format!("/{}", id.replace('.', "/"))
}

/// Whether a pointer to answers, or a place in them, belongs to a field.
fn is_of(place: &str, field: &str) -> bool {
    let rest = place.strip_prefix(field);
    rest.is_some_and(|rest| rest.is_empty() || rest == "_status" || rest.starts_with('.'))
}

/// The place to which a pointer of an issue or an error leads, such as `labs.0.value`.
pub(super) fn place(pointer: &str) -> String {
    pointer.strip_prefix("/answers").unwrap_or(pointer).trim_start_matches('/').replace('/', ".")
}

impl Draft {
    /// Reads an intake. Patients and those who act for them also read what was sent. Staff ask the questions at the counter, on the telephone or at
    /// the visit, so they read drafts; practitioners have pages of their own for what was sent.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn read(member: &Member, id: IntakeId) -> Result<Self> {
        let draft = Self::of(member, view::read(&member.context, id).await?)?;
        let is_for_staff = draft.is_draft() || (member.is_practitioner() && draft.name == FormName::FollowUp);
        if member.is_staff() && !is_for_staff { Err(Error::NotFound) } else { Ok(draft) }
    }

    /// Reads the form of an intake.
    pub fn of(member: &Member, found: Versioned<IntakeView>) -> Result<Self> {
        let name = FormName::of(&found.object.form).ok_or_else(|| Error::fault("a stored form is unknown"))?;
        let language = FormLanguage { language: Some(member.language.code().to_owned()) };
        let form = forms::read(&member.public(), name, language)?;
        Ok(Self { intake: found.object, version: found.version, name, language: member.language, form })
    }

    pub fn is_draft(&self) -> bool {
        self.intake.status == IntakeStatus::InProgress
    }

    pub fn title(&self) -> &str {
        say(&self.form.title, self.language)
    }

    pub fn intro(&self) -> &str {
        say(&self.form.intro, self.language)
    }

    /// The address of one of its pages, without the slash before it.
    pub fn page(&self, name: &str) -> String {
        if name.is_empty() { format!("forms/{}", self.intake.id) } else { format!("forms/{}/{name}", self.intake.id) }
    }

    pub fn answers(&self) -> &Value {
        self.intake.answers.as_ref().unwrap_or(&Value::Null)
    }

    /// The answers as they are stored.
    pub fn all_answers(&self) -> Answers {
        self.answers().as_object().cloned().unwrap_or_default()
    }

    pub fn value(&self, id: &str) -> Option<&Value> {
        self.answers().pointer(&pointer(id))
    }

    pub fn entries(&self, list: &str) -> Vec<Value> {
        self.value(list).and_then(Value::as_array).cloned().unwrap_or_default()
    }

    /// Whether the question is asked, given the other answers.
    pub fn asks(&self, id: &str, entry: Option<&Value>) -> bool {
        rls::is_asked(self.name, id, self.answers(), entry)
    }

    /// Whether the person sees a field at all. That a number is missing is asked with the number.
    pub fn is_for_person(&self, field: &FormField) -> bool {
        let fits_age = !self.intake.fields_not_asked.contains(&field.link_id);
        field.status_of.is_none()
            && !FOR_PROGRAMS.contains(&field.link_id.as_str())
            && !self.intake.clinician_only_fields.contains(&field.link_id)
            && (fits_age || self.is_answered(&field.link_id))
    }

    /// Whether there is an answer, also that a number is not known, or that a list has nothing.
    pub fn is_answered(&self, id: &str) -> bool {
        let follows = |status: &Value| *status == "known" || *status == "listed";
        self.value(id).is_some() || self.value(&format!("{id}_status")).is_some_and(|status| !follows(status))
    }

    /// The fields of a section that apply, and those that are answered although they do not.
    pub fn shown<'a>(&'a self, section: &'a FormSection) -> impl Iterator<Item = &'a FormField> {
        let is_shown = |field: &&FormField| self.asks(&field.link_id, None) || self.is_answered(&field.link_id);
        section.fields.iter().filter(|field| self.is_for_person(field)).filter(is_shown)
    }

    /// The sections of which something is shown.
    pub fn subjects(&self) -> Vec<&FormSection> {
        self.form.sections.iter().filter(|section| self.shown(section).next().is_some()).collect()
    }

    /// A section that is shown.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn subject(&self, id: &str) -> Result<&FormSection> {
        self.subjects().into_iter().find(|section| section.id == id).ok_or(Error::NotFound)
    }

    /// The page after a subject.
    pub fn after(&self, subject: &str) -> String {
        let mut sections = self.form.sections.iter().skip_while(|section| section.id != subject).skip(1);
        sections.find(|section| self.shown(section).next().is_some()).map_or(CHECK, |next| &next.id).to_owned()
    }

    /// The page with which a person goes on: the first subject with something open, otherwise the first one without answers.
    pub fn resume(&self) -> String {
        let subjects = self.subjects();
        let open = subjects.iter().find(|section| matches!(self.state(section), State::Open(_)));
        let empty = || subjects.iter().find(|section| self.state(section) == State::Empty);
        open.or_else(empty).map_or(CHECK, |section| &section.id).to_owned()
    }

    pub fn state(&self, section: &FormSection) -> State {
        let open = self.issues_of(section).filter(|(_, issue)| issue.severity == Severity::Error).count();
        let is_answered = self.shown(section).any(|field| self.is_answered(&field.link_id));
        match open {
            0 if is_answered => State::Done,
            0 => State::Empty,
            open => State::Open(open),
        }
    }

    fn issues(&self) -> &[Issue] {
        match &self.intake.computed {
            Some(IntakeComputed::OpenIssues(open)) => &open.issues,
            Some(IntakeComputed::Findings(findings)) => &findings.computed.issues,
            None => &[],
        }
    }

    /// What is open in a section, each with its field.
    pub fn issues_of<'a>(&'a self, section: &'a FormSection) -> impl Iterator<Item = (&'a FormField, &'a Issue)> {
        let fields = || section.fields.iter().filter(|field| self.is_for_person(field));
        self.issues().iter().filter_map(move |issue| {
            let place = place(&issue.pointer);
            Some((fields().find(|field| is_of(&place, &field.link_id))?, issue))
        })
    }

    /// Whether a minor fills in the form, which a guardian or the clinic has to do.
    pub fn needs_guardian(&self) -> bool {
        self.issues().iter().any(|issue| issue.code == rls::issues::Code::GuardianOrStaff)
    }

    pub fn minutes_left(&self) -> usize {
        minutes(self.intake.completeness.missing)
    }

    /// Returns the field to which a place belongs.
    pub fn find_field<'a>(fields: &'a [FormField], place: &str) -> Option<&'a FormField> {
        fields.iter().filter(|field| field.status_of.is_none()).find(|field| is_of(place, &field.link_id))
    }
}

/// The position of an entry that is not saved yet.
pub(super) const NEW: &str = "new";

/// The list with this name.
pub(super) fn list<'a>(fields: &'a [FormField], name: &str) -> Option<&'a FormField> {
    let is_list = |field: &&FormField| field.r#type == FieldType::Entries && name_of(&field.link_id) == name;
    fields.iter().find(is_list)
}

/// The name of a field in its section or entry.
pub(in crate::web) fn name_of(link_id: &str) -> &str {
    link_id.rsplit('.').next().unwrap_or_default()
}

/// How long this number of required questions takes.
pub(super) fn minutes(questions: usize) -> usize {
    (questions * SECONDS_A_QUESTION).div_ceil(60)
}

/// How many minutes the required questions of a form take that is not begun.
pub(in crate::web) fn minutes_of(name: FormName) -> usize {
    minutes(name.fields().iter().filter(|field| field.required && field.condition.is_none()).count())
}

/// The field that explains why a number is missing, if the form has one.
pub(super) fn companion<'a>(fields: &'a [FormField], field: &FormField) -> Option<&'a FormField> {
    let is_number = matches!(field.r#type, FieldType::Integer | FieldType::Decimal);
    fields.iter().find(|other| is_number && other.status_of.as_deref() == Some(&field.link_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_belongs_to_its_field_to_its_status_and_to_its_list() {
        assert_eq!(place("/answers/labs/0/value"), "labs.0.value");
        assert!(is_of("labs.0.value", "labs") && is_of("sleep.ess_total_status", "sleep.ess_total"));
        assert!(is_of("risk.ckd", "risk.ckd") && !is_of("risk.ckd_stage", "risk.ckd"));
    }

    #[test]
    fn no_subject_has_the_name_of_another_page() {
        for name in FormName::ALL {
            for section in name.sections() {
                assert!(![CHECK, "notices"].contains(&section.id), "{}", section.id);
            }
        }
    }

    #[test]
    fn the_history_takes_about_six_minutes_and_the_follow_up_two() {
        assert_eq!((minutes_of(FormName::History), minutes_of(FormName::FollowUp)), (6, 2));
        assert_eq!((minutes(0), minutes(1), minutes(15)), (0, 1, 4));
    }
}
