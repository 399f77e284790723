//! The form as sent to clients. It has everything that a client needs to show it, without knowledge of restless legs.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answers::Section;
use super::form_dsl::{Bilingual, ChoiceOption, Field, Fields, Kind, MAX_ITEMS, Operator};
use super::issues::SEVERITY;
use super::review::Review;
use super::text_pack::TextPack;
use super::{FormName, Language, NOT_A_DIAGNOSIS};

/// A text by language. Has only the language that the client asked for, if any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = FormText)]
pub struct Text {
    /// English.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub en: Option<String>,
    /// Spanish.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub es: Option<String>,
}

/// A form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = IntakeForm)]
pub struct Form {
    /// The name, for `POST /v1/patients/{id}/intakes`.
    #[schema(examples("rls-history"))]
    pub form: String,
    /// The canonical URL. With the version it reads `url|version`.
    pub url: String,
    /// The version. Answers keep the version that they were given for.
    pub version: String,
    /// The title.
    pub title: Text,
    /// The text above the form.
    pub intro: Text,
    /// The text to show beside everything computed from the answers.
    pub disclaimer: Text,
    /// The sections in order, with what patients, guardians and staff answer. Each can be saved separately.
    pub sections: Vec<FormSection>,
    /// What only clinicians answer, in the same sections. Clients do not show it to others.
    pub clinician_sections: Vec<FormSection>,
    /// The fields of the practitioner's review.
    pub review: FormSection,
    /// The JSON Schema (2020-12) of the answers.
    #[schema(value_type = Object)]
    pub json_schema: Value,
}

/// A section of the form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FormSection {
    /// The id.
    #[schema(examples("symptoms"))]
    pub id: String,
    /// The title.
    pub title: Text,
    /// The text under the title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub help: Option<Text>,
    /// Whether only clinicians answer it. Clients do not show it to patients.
    pub clinician_only: bool,
    /// The fields in order.
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
    /// One line of text.
    Text,
    /// Text that may have several lines.
    LongText,
    /// A list of entries, each with the fields in `fields`.
    Entries,
}

/// One option of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormOption {
    /// The value to send.
    pub value: String,
    /// The text to show.
    pub label: Text,
}

/// A code of a terminology.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormCode {
    /// The URL of the terminology.
    #[schema(examples("http://loinc.org"))]
    pub system: String,
    /// The code.
    #[schema(examples("82810-3"))]
    pub code: String,
}

/// The condition under which a field applies: any of the tests holds. A field that does not apply must not be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormCondition {
    /// The tests.
    pub any: Vec<FormTest>,
}

/// A test of another answer. A field of the same list entry is tested in that entry. A field of another list is tested
/// in every entry of that list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormTest {
    /// The `link_id` of the other field.
    pub field: String,
    /// The comparison: `one_of` and `one_of_ignoring_case` use `values`, `below` uses `below`.
    pub operator: FormOperator,
    /// The values for `one_of` and `one_of_ignoring_case`. The latter are in lower case without accents. The server
    /// also accepts such a name with a strength, form or salt.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub values: Vec<String>,
    /// The bound for `below`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub below: Option<i64>,
}

/// The comparison in a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormOperator {
    /// The answer is one of the values.
    OneOf,
    /// The answer is one of the values, ignoring case.
    OneOfIgnoringCase,
    /// The number is below the bound.
    Below,
}

/// A field of the form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FormField {
    /// The dotted path of the answer, without positions in lists. An id is never reused for another question.
    #[schema(examples("symptoms.urge_to_move_legs"))]
    pub link_id: String,
    /// The text of the question.
    pub label: Text,
    /// The hint under the question.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub help: Option<Text>,
    /// What the answer means, in English.
    pub meaning: String,
    /// The type of the answer.
    pub r#type: FieldType,
    /// The options of a choice, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<FormOption>,
    /// The unit of the number (UCUM).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub unit: Option<String>,
    /// The smallest allowed number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub minimum: Option<i64>,
    /// The largest allowed number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub maximum: Option<i64>,
    /// The number of scores.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub count: Option<usize>,
    /// The maximum number of characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub max_length: Option<usize>,
    /// The maximum number of entries.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub max_items: Option<usize>,
    /// The field of the number whose absence this field explains.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub status_of: Option<String>,
    /// Whether an answer is required whenever the field applies. For a number, an answer to its `_status` field
    /// suffices.
    pub required: bool,
    /// When the field applies. Missing if it always applies.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub condition: Option<FormCondition>,
    /// Whether only clinicians answer it.
    pub clinician_only: bool,
    /// Whether only clinicians answer it for a minor, and guardians do not see it.
    pub clinician_only_for_minors: bool,
    /// Whether it is asked only about minors. Clients do not show it for adults, unless it has an answer.
    pub minors_only: bool,
    /// Whether the date must be between the patient's birth and the day of the answers.
    pub in_past: bool,
    /// Codes of terminologies.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub codes: Vec<FormCode>,
    /// The fields of each entry.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    #[schema(no_recursion)]
    pub fields: Vec<Self>,
    /// The texts of the scores: from the clinic's licensed text pack, or short topics.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scores: Vec<FormScore>,
}

/// One score of a rating scale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormScore {
    /// The number of the item, from 1.
    pub number: usize,
    /// The licensed question, or the topic.
    pub label: Text,
    /// The licensed answers for the scores 0 to 4. Missing without a licence.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub options: Vec<Text>,
}

/// The settings that change the form.
#[derive(Debug, Clone, Copy, Default)]
pub struct FormSettings<'a> {
    /// The licensed text of the IRLS.
    pub text_pack: Option<&'a TextPack>,
    /// Whether only clinicians ask about self-harm.
    pub self_harm_in_clinician_part: bool,
}

/// The topics of the ten items, in words of this service.
const TOPICS: [Bilingual; 10] = [
    Bilingual { en: "Discomfort", es: "Molestia" },
    Bilingual { en: "Need to move", es: "Necesidad de moverse" },
    Bilingual { en: "Relief (4: none)", es: "Alivio (4: ninguno)" },
    Bilingual { en: "Sleep disturbance", es: "Alteración del sueño" },
    Bilingual { en: "Daytime tiredness", es: "Cansancio diurno" },
    Bilingual { en: "Overall", es: "En conjunto" },
    Bilingual { en: "Frequency", es: "Frecuencia" },
    Bilingual { en: "Daily duration", es: "Duración diaria" },
    Bilingual { en: "Daily affairs", es: "Asuntos diarios" },
    Bilingual { en: "Mood", es: "Ánimo" },
];

/// Builds the form in one language, or in both if `language` is `None`.
pub fn form(name: FormName, language: Option<Language>, settings: FormSettings) -> Form {
    let writer = Writer { language, settings };
    let text = |en, es| writer.text(Bilingual { en, es });
    Form {
        form: name.as_str().to_owned(),
        url: name.url(),
        version: name.version().to_owned(),
        title: writer.text(name.title()),
        intro: writer.text(name.intro()),
        disclaimer: writer.text(NOT_A_DIAGNOSIS),
        sections: writer.sections(name, false),
        clinician_sections: writer.sections(name, true),
        review: FormSection {
            id: "review".to_owned(),
            title: text("The clinician's review", "Revisión del profesional"),
            help: None,
            clinician_only: true,
            fields: Review::fields("review").iter().map(|field| writer.review_field(name, field)).collect(),
        },
        json_schema: super::json_schema::json_schema(name),
    }
}

struct Writer<'a> {
    language: Option<Language>,
    settings: FormSettings<'a>,
}

impl Writer<'_> {
    fn text(&self, words: Bilingual) -> Text {
        let wanted = |language| self.language.is_none_or(|only| only == language);
        Text {
            en: wanted(Language::English).then(|| words.en.to_owned()),
            es: wanted(Language::Spanish).then(|| words.es.to_owned()),
        }
    }

    /// Writes the sections with the fields that only clinicians answer, or with the others. Leaves out empty sections.
    fn sections(&self, name: FormName, clinician_only: bool) -> Vec<FormSection> {
        let section = |section: Section| {
            let fields = section.fields.iter().map(|field| self.field(field));
            let fields: Vec<FormField> = fields.filter(|field| field.clinician_only == clinician_only).collect();
            (!fields.is_empty()).then(|| FormSection {
                id: section.id.to_owned(),
                title: self.text(section.title),
                help: section.help.map(|help| self.text(help)),
                clinician_only,
                fields,
            })
        };
        name.sections().into_iter().filter_map(section).collect()
    }

    /// Writes a field of the review. Only that of a history requires the finding about mimics.
    fn review_field(&self, name: FormName, field: &Field) -> FormField {
        let written = self.field(field);
        FormField { required: written.required && name == FormName::History, ..written }
    }

    fn options(&self, options: &[ChoiceOption]) -> Vec<FormOption> {
        let offered = options.iter().filter(|option| option.value != "not_asked");
        offered
            .map(|option| FormOption {
                value: option.value.to_owned(),
                label: self.text(Bilingual { en: option.en, es: option.es }),
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
            required: field.required || (field.id == SEVERITY && self.settings.text_pack.is_none()),
            condition: field.condition.as_ref().map(condition),
            clinician_only: field.clinician_only || self.reserved_by_settings(&field.id),
            clinician_only_for_minors: field.private_for_minors,
            minors_only: field.minors_only,
            in_past: field.in_past,
            codes: field.codes.iter().map(|(system, code)| form_code(system, code)).collect(),
            fields: field.children().iter().map(|child| self.field(child)).collect(),
            scores: Vec::new(),
        };
        self.describe(&mut written, &field.kind);
        written
    }

    /// Returns whether the settings reserve the field for clinicians.
    fn reserved_by_settings(&self, id: &str) -> bool {
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
            Kind::Integer { min, max } => {
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

    /// Returns the licensed questions, or the topics if the clinic has no licence.
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

fn form_code(system: &str, code: &str) -> FormCode {
    FormCode { system: system.to_owned(), code: code.to_owned() }
}

fn condition(condition: &super::form_dsl::Condition) -> FormCondition {
    let texts = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    let test = |test: &super::form_dsl::Test| {
        let (operator, values, below) = match &test.op {
            Operator::OneOf(values) => (FormOperator::OneOf, texts(values), None),
            Operator::Names { listed, .. } => (FormOperator::OneOfIgnoringCase, texts(listed), None),
            Operator::Below(bound) => (FormOperator::Below, Vec::new(), Some(*bound)),
        };
        FormTest { field: test.field.to_owned(), operator, values, below }
    };
    FormCondition { any: condition.any.iter().map(test).collect() }
}

#[cfg(test)]
mod tests;
