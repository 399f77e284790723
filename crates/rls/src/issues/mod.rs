//! Missing and inconsistent answers.
//!
//! Issues are reported with a draft. Errors block submission but not saving, so that a patient can fill in the form
//! over several days. [`super::parse`] rejects wrong types and ranges before.

mod cross_field;
mod field_rules;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::Answers;
use super::context::{Context, FilledBy};
use super::error::{FieldError, Invalid};
use super::field_access::{field_at, hidden_from_guardians};

pub use field_rules::{SEVERITY, is_asked, mark_not_asked};

/// Whether an issue blocks submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RlsIssueSeverity)]
pub enum Severity {
    /// Blocks submission.
    Error,
    /// Does not block submission.
    Warning,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $en:literal, $es:literal;)+) => {
        /// The kind of an issue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(
                #[doc = $en]
                #[serde(rename = $text)]
                $variant,
            )+
        }

        impl utoipa::PartialSchema for Code {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::string_enum::schema("The kind of an issue.", &[$($text),+])
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

            /// Returns the code in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Returns it as the code of a broken rule. A test compares the lists.
            pub fn rule(self) -> text::FieldCode {
                text::FieldCode::of(self.as_str()).unwrap_or(text::FieldCode::WrongValue)
            }

            /// Returns a sentence for people.
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
    ConditionNotMet = "condition_not_met", "does not apply to the other answers", "no corresponde con las otras respuestas";
    StatusContradicts = "status_contradicts", "the status states that there is no number, but a number is given", "hay un número aunque se indicó que no lo hay";
    NoneStandsAlone = "none_stands_alone", "\"none\" excludes other options", "\"ninguno\" va solo";
    Duplicate = "duplicate", "is there twice", "está dos veces";
    BeforeBirth = "before_birth", "must not be before the birth", "es anterior al nacimiento";
    InFuture = "in_future", "must not be after the day of the answers", "es posterior al día de las respuestas";
    BeforeStart = "before_start", "must not be before the start", "termina antes de empezar";
    MonthRequired = "month_required", "needs the year and the month", "necesita el año y el mes";
    FullDateRequired = "full_date_required", "needs the full date of the report", "necesita la fecha completa del informe";
    FullDateForTsat = "full_date_for_tsat", "the saturation is only computed from values with a full date", "sin la fecha completa no se calcula la saturación";
    TsatDiffers = "tsat_differs", "differs by more than 2 points from iron and TIBC of that day", "difiere en más de 2 puntos del hierro y TIBC de ese día";
    IronAboveTibc = "iron_above_tibc", "iron is above TIBC of that day, so one of the two must be wrong", "el hierro supera al TIBC de ese día: uno de los dos no puede ser correcto";
    TotalDiffers = "total_differs", "is not the sum of the ten items", "no es la suma de los diez ítems";
    ScaleIncomplete = "scale_incomplete", "there is no total, because not all ten items are answered", "faltan ítems, por lo que no hay total";
    FrequencyDiffers = "frequency_differs", "item 7 does not match the days per week", "el ítem 7 no corresponde con los días por semana";
    WeeksDisagree = "weeks_disagree", "differs by more than 2 weeks from the stated weeks", "difiere en más de 2 semanas de las semanas indicadas";
    ImplausibleDueDate = "implausible_due_date", "is not possible for a pregnancy on the day of the answers", "no es fecha de parto de un embarazo en el día de las respuestas";
    KidneyDiseaseDenied = "kidney_disease_denied", "contradicts the answer that there is no kidney disease", "se negó la enfermedad renal";
    SexMismatch = "sex_mismatch", "does not match the sex on record", "no corresponde con el sexo registrado";
    ClassDiffers = "class_differs", "the table lists another class for this name", "la tabla tiene otra clase para este nombre";
    GuardianOrStaff = "guardian_or_staff", "must be filled in by a guardian or staff, because the patient is a minor", "para menores de 18 años lo llena un tutor o el personal de la clínica";
    ClinicianOnly = "clinician_only", "must be answered by a clinician", "solo lo contesta un profesional";
}

/// A missing or inconsistent answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RlsIssue)]
pub struct Issue {
    /// The JSON pointer into the intake.
    #[schema(examples("/answers/labs/0/collected_on"))]
    pub pointer: String,
    /// The kind of the issue.
    pub code: Code,
    /// Whether it blocks submission.
    pub severity: Severity,
}

/// The pointer to the answers in an intake.
pub const ANSWERS: &str = "/answers";

impl Issue {
    fn error(place: &str, code: Code) -> Self {
        Self { pointer: format!("{ANSWERS}{place}"), code, severity: Severity::Error }
    }

    fn warning(place: &str, code: Code) -> Self {
        Self { pointer: format!("{ANSWERS}{place}"), code, severity: Severity::Warning }
    }
}

/// Returns all issues: those of the field rules in the order of the form, then those across fields.
pub fn issues(answers: &Answers, context: &Context) -> Vec<Issue> {
    let mut issues = Vec::new();
    if context.is_minor() && context.filled_by == super::FilledBy::Patient {
        issues.push(Issue::error("", Code::GuardianOrStaff));
    }
    issues.extend(field_rules::issues(answers, context));
    issues.extend(cross_field::issues(answers, context));
    issues
}

/// Fails if any issue is an error. A guardian does not see the fields that are hidden from them, so their errors neither reach nor stop a
/// guardian; the practitioner sees them.
///
/// # Errors
/// [`Invalid`] with each error.
pub fn submittable(issues: &[Issue], filled_by: FilledBy) -> Result<(), Invalid> {
    let errors: Vec<FieldError> = issues
        .iter()
        .filter(|issue| issue.severity == Severity::Error)
        .filter(|issue| filled_by != FilledBy::Guardian || !hidden_from_guardians(&field_at(&issue.pointer)))
        .map(|issue| FieldError::new(&issue.pointer, issue.code.rule(), issue.code.text(super::Language::English)))
        .collect();
    Invalid::unless_empty(errors)
}

#[cfg(test)]
mod tests;
