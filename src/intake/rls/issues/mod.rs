//! What is missing in the answers or does not fit together.
//!
//! A draft shows these findings; errors among them block submission and nothing else, so that a patient can change an
//! answer on the second evening without being stuck. Wrong types and ranges are refused before, by [`super::parse`].

mod crossed;
mod form_rules;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Answers, sections};
use super::context::Context;
use super::kit::Field;
use crate::error::{Error, FieldError, Result};

pub use form_rules::mark_not_asked;

/// Whether a finding blocks submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsIssueSeverity)]
pub enum Severity {
    /// It blocks submission.
    Error,
    /// It is to be looked at.
    Warning,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $en:literal, $es:literal;)+) => {
        /// What is wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(
                #[doc = $en]
                #[serde(rename = $text)]
                $variant,
            )+
        }

        // By hand: the derive does not see a rename that a macro makes.
        impl utoipa::PartialSchema for Code {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some("What is wrong."))
                    .enum_values(Some([$($text),+]))
                    .into()
            }
        }

        impl ToSchema for Code {
            fn name() -> std::borrow::Cow<'static, str> {
                "RlsIssueCode".into()
            }
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// A sentence for a person.
            pub fn text(self, language: super::Language) -> &'static str {
                match (self, language) {
                    $(
                        (Self::$variant, super::Language::English) => $en,
                        (Self::$variant, super::Language::Spanish) => $es,
                    )+
                }
            }
        }
    };
}

codes! {
    Required = "required", "must be answered", "debe contestarse";
    NotAsked = "not_asked", "was not asked", "no se preguntó";
    ConditionNotMet = "condition_not_met", "does not go with the other answers", "no corresponde con las otras respuestas";
    StatusContradicts = "status_contradicts", "a number is given although the status says there is none", "hay un número aunque se indicó que no lo hay";
    NoneStandsAlone = "none_stands_alone", "\"none\" stands alone", "\"ninguno\" va solo";
    Duplicate = "duplicate", "stands there twice", "está dos veces";
    BeforeBirth = "before_birth", "lies before the birth", "es anterior al nacimiento";
    InFuture = "in_future", "lies after the day of the answers", "es posterior al día de las respuestas";
    BeforeStart = "before_start", "ends before it begins", "termina antes de empezar";
    MonthRequired = "month_required", "needs the year and the month", "necesita el año y el mes";
    FullDateRequired = "full_date_required", "needs the full date of the report", "necesita la fecha completa del informe";
    FullDateForTsat = "full_date_for_tsat", "without the full date no saturation is computed", "sin la fecha completa no se calcula la saturación";
    TsatDiffers = "tsat_differs", "differs by more than 2 points from iron and TIBC of that day", "difiere en más de 2 puntos del hierro y TIBC de ese día";
    IronAboveTibc = "iron_above_tibc", "iron is above TIBC of that day: one of the two cannot be right", "el hierro supera al TIBC de ese día: uno de los dos no puede ser correcto";
    TotalDiffers = "total_differs", "is not the sum of the ten items", "no es la suma de los diez puntos";
    ScaleIncomplete = "scale_incomplete", "not all ten items are there, so there is no total", "faltan puntos, por lo que no hay total";
    FrequencyDiffers = "frequency_differs", "item 7 does not go with the days a week", "el punto 7 no corresponde con los días por semana";
    WeeksDisagree = "weeks_disagree", "is more than 2 weeks apart from the weeks given", "difiere en más de 2 semanas de las semanas indicadas";
    ImplausibleDueDate = "implausible_due_date", "is no due date of a pregnancy on the day of the answers", "no es fecha de parto de un embarazo en el día de las respuestas";
    KidneyDiseaseDenied = "kidney_disease_denied", "kidney disease is denied", "se negó la enfermedad renal";
    SexMismatch = "sex_mismatch", "does not go with the sex on record", "no corresponde con el sexo registrado";
    ClassDiffers = "class_differs", "the table has another class for this name", "la tabla tiene otra clase para este nombre";
    GuardianOrStaff = "guardian_or_staff", "for a patient under 18 a guardian or the clinic's staff fills this in", "para menores de 18 años lo llena un tutor o el personal de la clínica";
    ClinicianOnly = "clinician_only", "is answered by a clinician only", "solo lo contesta un profesional";
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsIssue)]
pub struct Issue {
    /// Where: a JSON pointer into the intake.
    #[schema(examples("/answers/labs/0/collected_on"))]
    pub pointer: String,
    /// What is wrong.
    pub code: Code,
    /// Whether it blocks submission.
    pub severity: Severity,
}

/// The pointer of the answers inside an intake.
pub const ANSWERS: &str = "/answers";

impl Issue {
    fn error(place: &str, code: Code) -> Self {
        Self { pointer: format!("{ANSWERS}{place}"), code, severity: Severity::Error }
    }

    fn warning(place: &str, code: Code) -> Self {
        Self { pointer: format!("{ANSWERS}{place}"), code, severity: Severity::Warning }
    }
}

static FIELDS: LazyLock<Vec<Field>> =
    LazyLock::new(|| sections().into_iter().flat_map(|section| section.fields).collect());

/// The fields of all sections; those of list entries are their children.
pub fn all_fields() -> &'static [Field] {
    &FIELDS
}

/// Every finding, in the order of the form.
pub fn issues(answers: &Answers, context: &Context) -> Vec<Issue> {
    let mut issues = Vec::new();
    if context.is_minor() && context.filled_by == super::FilledBy::Patient {
        issues.push(Issue::error("", Code::GuardianOrStaff));
    }
    issues.extend(form_rules::issues(answers, context));
    issues.extend(crossed::issues(answers, context));
    issues
}

/// Refuses submission where errors are among the findings.
///
/// # Errors
/// [`Error::Invalid`] with each of them.
pub fn submittable(issues: &[Issue]) -> Result<()> {
    let errors: Vec<FieldError> = issues
        .iter()
        .filter(|issue| issue.severity == Severity::Error)
        .map(|issue| FieldError::new(&issue.pointer, issue.code.as_str(), issue.code.text(super::Language::English)))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

#[cfg(test)]
mod tests;
