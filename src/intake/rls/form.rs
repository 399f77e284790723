//! The form: everything that a client needs to draw it, with no knowledge of restless legs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answers::{SectionDef, sections};
use super::kit::{Field, Fields, Kind, MAX_ITEMS, Op, Opt, Words};
use super::review::Review;
use super::text_pack::TextPack;
use super::{FORM, FORM_URL, FORM_VERSION, Language, NOT_A_DIAGNOSIS};

/// A text by language; only one of them where the client asked for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FormText)]
pub struct Text {
    /// English.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub en: Option<String>,
    /// Spanish.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub es: Option<String>,
}

/// The form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = IntakeForm)]
pub struct Form {
    /// Its name, for `POST /v1/patients/{id}/intakes`.
    #[schema(examples("rls-history"))]
    pub form: String,
    /// Its canonical address; with the version it is `url|version`.
    pub url: String,
    /// Its version. Answers stay pinned to the version that they were given for.
    pub version: String,
    /// Its title.
    pub title: Text,
    /// What stands above it.
    pub intro: Text,
    /// What stands beside everything computed from it.
    pub disclaimer: Text,
    /// The sections in order; each can be saved by itself.
    pub sections: Vec<FormSection>,
    /// What a practitioner answers in the review.
    pub review: FormSection,
    /// The JSON Schema (2020-12) of the answers.
    #[schema(value_type = Object)]
    pub json_schema: Value,
}

/// A section of the form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FormSection {
    /// Its id.
    #[schema(examples("symptoms"))]
    pub id: String,
    /// Its title.
    pub title: Text,
    /// What stands under the title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<Text>,
    /// Its fields in order.
    pub fields: Vec<FormField>,
}

/// The type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// One of the options.
    Choice,
    /// A list of different options.
    Choices,
    /// A whole number from `minimum` to `maximum`.
    Integer,
    /// A number from `minimum` to `maximum`.
    Decimal,
    /// A list of `count` whole numbers from `minimum` to `maximum`, `null` where one is missing.
    Scores,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    PartialDate,
    /// `HH:MM`.
    Time,
    /// One line.
    Text,
    /// Several lines.
    LongText,
    /// A list of entries, each with the fields in `fields`.
    Entries,
}

/// One option of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormOption {
    /// The value to send.
    pub value: String,
    /// What to show.
    pub label: Text,
}

/// A code of a terminology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormCode {
    /// The terminology's address.
    #[schema(examples("http://loinc.org"))]
    pub system: String,
    /// The code.
    #[schema(examples("82810-3"))]
    pub code: String,
}

/// When a field applies: when any of the tests holds. A field that does not apply must not be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormCondition {
    /// The tests.
    pub any: Vec<FormTest>,
}

/// A test of another answer. A field of the same entry is the entry's own; a field of another list is tested in every entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormTest {
    /// The other field's `link_id`.
    pub field: String,
    /// How to test: `one_of` and `one_of_ignoring_case` compare with `values`, `below` with `below`.
    pub operator: FormOperator,
    /// The values for `one_of` and `one_of_ignoring_case`; for the latter in small letters.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub values: Vec<String>,
    /// The bound for `below`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub below: Option<i64>,
}

/// How another answer is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormOperator {
    /// The answer is one of the values.
    OneOf,
    /// The answer is one of the values, whatever the case of its letters.
    OneOfIgnoringCase,
    /// The number is below the bound.
    Below,
}

/// A field of the form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FormField {
    /// The dotted path of the answer, without positions in lists; never given to another question.
    #[schema(examples("symptoms.urge_to_move_legs"))]
    pub link_id: String,
    /// The question.
    pub label: Text,
    /// A hint under it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub help: Option<Text>,
    /// What the answer means; in English.
    pub meaning: String,
    /// The answer's type.
    pub r#type: FieldType,
    /// The options of a choice, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<FormOption>,
    /// The number's unit (UCUM).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<String>,
    /// The least number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub minimum: Option<i64>,
    /// The greatest number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub maximum: Option<i64>,
    /// How many scores there are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<usize>,
    /// The most characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_length: Option<usize>,
    /// The most entries.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_items: Option<usize>,
    /// The number whose absence this explains.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status_of: Option<String>,
    /// Whether it must be answered whenever it applies; a number also by its `_status`.
    pub required: bool,
    /// When it applies; always if it is missing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub condition: Option<FormCondition>,
    /// Whether only a clinician answers it.
    pub clinician_only: bool,
    /// Whether, for a patient under 18, only a clinician asks it, and a guardian does not see it.
    pub clinician_only_for_minors: bool,
    /// Whether the date lies between the patient's birth and the day of the answers.
    pub in_past: bool,
    /// Its codes.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub codes: Vec<FormCode>,
    /// The fields of each entry.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schema(no_recursion)]
    pub fields: Vec<Self>,
    /// The texts of the scores, from the clinic's licensed pack, or the short topics.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scores: Vec<FormScore>,
}

/// One score of a scale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormScore {
    /// Its number, from 1.
    pub number: usize,
    /// What it is about, or the licensed question.
    pub label: Text,
    /// The licensed answers for 0 to 4; missing without a licence.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<Text>,
}

/// The deployment's settings that change the form.
#[derive(Debug, Clone, Copy, Default)]
pub struct FormSettings<'a> {
    /// The licensed text of the IRLS.
    pub text_pack: Option<&'a TextPack>,
    /// The question about self-harm is asked by clinicians only.
    pub self_harm_in_clinician_part: bool,
}

/// The topics of the ten items, in our own words.
const TOPICS: [Words; 10] = [
    Words { en: "Discomfort", es: "Molestia" },
    Words { en: "Need to move", es: "Necesidad de moverse" },
    Words { en: "Relief (4: none)", es: "Alivio (4: ninguno)" },
    Words { en: "Sleep disturbance", es: "Alteración del sueño" },
    Words { en: "Daytime tiredness", es: "Cansancio diurno" },
    Words { en: "Overall", es: "En conjunto" },
    Words { en: "Frequency", es: "Frecuencia" },
    Words { en: "Daily duration", es: "Duración diaria" },
    Words { en: "Daily affairs", es: "Asuntos diarios" },
    Words { en: "Mood", es: "Ánimo" },
];

/// The form, in one language or (with none named) in both.
pub fn form(language: Option<Language>, settings: FormSettings) -> Form {
    let writer = Writer { language, settings };
    let text = |en, es| writer.text(Words { en, es });
    Form {
        form: FORM.to_owned(),
        url: FORM_URL.to_owned(),
        version: FORM_VERSION.to_owned(),
        title: text("Your restless legs history", "Su historia de piernas inquietas"),
        intro: text(
            "Please answer before your visit. Questions marked as required must be answered, and \"I don't know\" is an answer; the rest is optional. Each section is saved by itself. This form is not watched in real time: in an emergency call your emergency number.",
            "Por favor, conteste antes de su visita. Las preguntas obligatorias deben contestarse, y «no lo sé» es una respuesta; el resto es opcional. Cada sección se guarda por separado. Nadie vigila este formulario en tiempo real: en una emergencia llame al número de emergencias.",
        ),
        disclaimer: writer.text(NOT_A_DIAGNOSIS),
        sections: sections().iter().map(|section| writer.section(section)).collect(),
        review: FormSection {
            id: "review".to_owned(),
            title: text("The clinician's review", "Revisión del profesional"),
            help: None,
            fields: Review::fields("review").iter().map(|field| writer.field(field)).collect(),
        },
        json_schema: super::schema::json_schema(),
    }
}

struct Writer<'a> {
    language: Option<Language>,
    settings: FormSettings<'a>,
}

impl Writer<'_> {
    fn text(&self, words: Words) -> Text {
        let wanted = |language| self.language.is_none_or(|only| only == language);
        Text {
            en: wanted(Language::English).then(|| words.en.to_owned()),
            es: wanted(Language::Spanish).then(|| words.es.to_owned()),
        }
    }

    fn section(&self, section: &SectionDef) -> FormSection {
        FormSection {
            id: section.id.to_owned(),
            title: self.text(section.title),
            help: section.help.map(|help| self.text(help)),
            fields: section.fields.iter().map(|field| self.field(field)).collect(),
        }
    }

    fn options(&self, options: &[Opt]) -> Vec<FormOption> {
        let offered = options.iter().filter(|option| option.value != "not_asked");
        offered
            .map(|option| FormOption {
                value: option.value.to_owned(),
                label: self.text(Words { en: option.en, es: option.es }),
            })
            .collect()
    }

    fn field(&self, field: &Field) -> FormField {
        let mut written = FormField {
            link_id: field.id.clone(),
            label: self.text(field.label),
            help: field.help.map(|help| self.text(help)),
            meaning: field.meaning.clone(),
            r#type: FieldType::Text,
            options: Vec::new(),
            unit: field.unit.map(str::to_owned),
            minimum: None,
            maximum: None,
            count: None,
            max_length: None,
            max_items: None,
            status_of: field.id.strip_suffix("_status").filter(|_| field.companion).map(str::to_owned),
            required: field.required,
            condition: field.condition.as_ref().map(condition),
            clinician_only: field.clinician_only || self.clinicians_here(&field.id),
            clinician_only_for_minors: field.private_for_minors,
            in_past: field.in_past,
            codes: field.codes.iter().map(|(system, code)| code_of(system, code)).collect(),
            fields: field.children().iter().map(|child| self.field(child)).collect(),
            scores: Vec::new(),
        };
        self.describe(&mut written, &field.kind);
        written
    }

    /// Whether the deployment's settings make it a clinician's question.
    fn clinicians_here(&self, id: &str) -> bool {
        match id {
            "irls.items" | "irls.irls_total" => self.settings.text_pack.is_none(),
            "safety.self_harm_thoughts" => self.settings.self_harm_in_clinician_part,
            _ => false,
        }
    }

    fn describe(&self, field: &mut FormField, kind: &Kind) {
        field.r#type = match kind {
            Kind::Choice(options) => {
                field.options = self.options(options);
                FieldType::Choice
            }
            Kind::Choices(options) => {
                field.options = self.options(options);
                field.max_items = Some(MAX_ITEMS);
                FieldType::Choices
            }
            Kind::Whole { min, max } => {
                (field.minimum, field.maximum) = (Some(*min), Some(*max));
                FieldType::Integer
            }
            Kind::Decimal { min, max } => {
                (field.minimum, field.maximum) = (Some(*min), Some(*max));
                FieldType::Decimal
            }
            Kind::Scores { count, min, max } => {
                (field.minimum, field.maximum) = (Some(*min), Some(*max));
                field.count = Some(*count);
                field.scores = self.scores();
                FieldType::Scores
            }
            Kind::Date => FieldType::Date,
            Kind::PartialDate => FieldType::PartialDate,
            Kind::Time => FieldType::Time,
            Kind::Text { max, lines } => {
                field.max_length = Some(*max);
                if *lines { FieldType::LongText } else { FieldType::Text }
            }
            Kind::Group(_) => {
                field.max_items = Some(MAX_ITEMS);
                FieldType::Entries
            }
        };
    }

    /// The licensed questions where the clinic has them, else the short topics.
    fn scores(&self) -> Vec<FormScore> {
        let licensed = |language, number: usize| {
            let wanted = self.language.is_none_or(|only| only == language);
            self.settings.text_pack.filter(|_| wanted)?.text(language)?.items.get(number)
        };
        TOPICS
            .iter()
            .enumerate()
            .map(|(number, topic)| {
                let (en, es) = (licensed(Language::English, number), licensed(Language::Spanish, number));
                if en.is_none() && es.is_none() {
                    return FormScore { number: number + 1, label: self.text(*topic), options: Vec::new() };
                }
                let option = |at: usize| Text {
                    en: en.and_then(|item| item.options.get(at).cloned()),
                    es: es.and_then(|item| item.options.get(at).cloned()),
                };
                FormScore {
                    number: number + 1,
                    label: Text { en: en.map(|item| item.question.clone()), es: es.map(|item| item.question.clone()) },
                    options: (0..5).map(option).collect(),
                }
            })
            .collect()
    }
}

fn code_of(system: &str, code: &str) -> FormCode {
    FormCode { system: system.to_owned(), code: code.to_owned() }
}

fn condition(condition: &super::kit::Condition) -> FormCondition {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let test = |test: &super::kit::Test| {
        let (operator, values, below) = match &test.op {
            Op::OneOf(values) => (FormOperator::OneOf, texts(values), None),
            Op::Named(names) => (FormOperator::OneOfIgnoringCase, texts(names), None),
            Op::Below(bound) => (FormOperator::Below, Vec::new(), Some(*bound)),
        };
        FormTest { field: test.field.to_owned(), operator, values, below }
    };
    FormCondition { any: condition.any.iter().map(test).collect() }
}

#[cfg(test)]
mod tests;
