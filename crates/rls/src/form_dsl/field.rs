//! A field of the form: the question, the type of its answer, its condition, and who may answer it.

use serde_json::Value;
use text::Language;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};

use super::{ChoiceOption, Integer};

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bilingual {
    /// English.
    pub en: &'static str,
    /// Spanish.
    pub es: &'static str,
}

impl Bilingual {
    /// Returns the text in a language.
    pub fn text(self, language: Language) -> &'static str {
        match language {
            Language::English => self.en,
            Language::Spanish => self.es,
        }
    }
}

/// The type of a field.
#[derive(Debug, Clone)]
pub enum Kind {
    /// One of the options.
    Choice(&'static [ChoiceOption]),
    /// A list of options, each at most once.
    Choices(&'static [ChoiceOption]),
    /// A whole number within bounds, both included.
    Integer {
        /// The smallest allowed number.
        min: i64,
        /// The largest allowed number.
        max: i64,
    },
    /// A number within bounds, both included.
    Decimal {
        /// The smallest allowed number.
        min: i64,
        /// The largest allowed number.
        max: i64,
    },
    /// A list of `count` whole numbers within bounds, `null` where one is missing.
    Scores {
        /// The length of the list.
        count: usize,
        /// The smallest allowed number.
        min: i64,
        /// The largest allowed number.
        max: i64,
    },
    /// A day, `YYYY-MM-DD`.
    Date,
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    PartialDate,
    /// `HH:MM`.
    Time,
    /// Text.
    Text {
        /// The maximum number of characters.
        max: usize,
        /// Whether line breaks are allowed.
        lines: bool,
    },
    /// A list of groups of fields.
    Group(fn(&str) -> Vec<Field>),
}

/// A type that an answer can have.
pub trait Answer {
    /// Returns the type in the form.
    fn kind() -> Kind;

    /// Returns the schema, as a reference if it has a name.
    fn schema() -> RefOr<Schema>;

    /// Adds the named schemas that [`Answer::schema`] refers to.
    fn collect(_into: &mut Vec<(String, RefOr<Schema>)>) {}
}

/// The maximum number of entries in any list.
pub const MAX_ITEMS: usize = 100;

impl<T: Answer> Answer for Vec<T> {
    fn kind() -> Kind {
        match T::kind() {
            Kind::Choice(options) => Kind::Choices(options),
            other => other,
        }
    }

    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::schema()).max_items(Some(MAX_ITEMS)).into()
    }

    fn collect(into: &mut Vec<(String, RefOr<Schema>)>) {
        T::collect(into);
    }
}

impl<const MIN: i64, const MAX: i64, const COUNT: usize> Answer for [Option<Integer<MIN, MAX>>; COUNT] {
    fn kind() -> Kind {
        Kind::Scores { count: COUNT, min: MIN, max: MAX }
    }

    fn schema() -> RefOr<Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        let score = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
            .minimum(Some(MIN))
            .maximum(Some(MAX));
        ArrayBuilder::new().items(score).min_items(Some(COUNT)).max_items(Some(COUNT)).into()
    }
}

/// A group of fields: a section, or an entry of a list.
pub trait Fields {
    /// Returns the fields of the group. Their ids start with `prefix`.
    fn fields(prefix: &str) -> Vec<Field>;
}

/// The condition under which a field applies: any of the tests holds.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The tests.
    pub any: Vec<Test>,
}

/// A test of another answer. A field of the same list entry is tested in that entry. A field of another list is tested
/// in every entry of that list.
#[derive(Debug, Clone)]
pub struct Test {
    /// The id of the other field.
    pub field: &'static str,
    /// The test of its answer.
    pub op: Operator,
}

/// A test of an answer.
#[derive(Debug, Clone)]
pub enum Operator {
    /// One of these values.
    OneOf(Vec<&'static str>),
    /// A number below the bound.
    Below(i64),
    /// A name that the table of medicines recognises.
    Names {
        /// The names, in lower case without accents, for clients.
        listed: Vec<&'static str>,
        /// Whether a written name is one of them. Strengths, forms and salts do not matter.
        holds: fn(&str) -> bool,
    },
}

impl Operator {
    /// Returns whether `answer` passes the test.
    pub fn holds(&self, answer: &Value) -> bool {
        match self {
            Self::OneOf(values) => answer.as_str().is_some_and(|answer| values.contains(&answer)),
            #[allow(clippy::cast_precision_loss, reason = "bounds are small")]
            Self::Below(bound) => answer.as_f64().is_some_and(|answer| answer < *bound as f64),
            Self::Names { holds, .. } => answer.as_str().is_some_and(holds),
        }
    }
}

/// A question and its rules, without the type of its answer.
#[derive(Debug, Clone)]
pub struct Question {
    label: Bilingual,
    help: Option<Bilingual>,
    unit: Option<&'static str>,
    required: bool,
    condition: Option<Condition>,
    clinician_only: bool,
    private_for_minors: bool,
    minors_only: bool,
    in_past: bool,
    companion: bool,
    codes: &'static [(&'static str, &'static str)],
}

/// Starts a question with its label in English and Spanish.
pub fn ask(en: &'static str, es: &'static str) -> Question {
    Question {
        label: Bilingual { en, es },
        help: None,
        unit: None,
        required: false,
        condition: None,
        clinician_only: false,
        private_for_minors: false,
        minors_only: false,
        in_past: false,
        companion: false,
        codes: &[],
    }
}

/// Starts the question why the number before it is missing. Its field is called like the number, with `_status`.
pub fn status() -> Question {
    Question { companion: true, ..ask("If you cannot give a number, why?", "Si no puede dar un número, ¿por qué?") }
}

impl Question {
    /// Adds a hint under the question.
    #[must_use]
    pub fn help(mut self, en: &'static str, es: &'static str) -> Self {
        self.help = Some(Bilingual { en, es });
        self
    }

    /// Sets the unit (UCUM) of the number.
    #[must_use]
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Requires an answer whenever the question applies.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Applies the question only if the answer of `field` is one of `values`.
    #[must_use]
    pub fn when(mut self, field: &'static str, values: &[&'static str]) -> Self {
        self.condition = Some(Condition { any: vec![Test { field, op: Operator::OneOf(values.to_vec()) }] });
        self
    }

    /// Applies the question only if `condition` holds.
    #[must_use]
    pub fn given(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Reserves the question for clinicians.
    #[must_use]
    pub fn clinician_only(mut self) -> Self {
        self.clinician_only = true;
        self
    }

    /// Reserves the question for clinicians if the patient is a minor, and hides it from guardians.
    #[must_use]
    pub fn private_for_minors(mut self) -> Self {
        self.private_for_minors = true;
        self
    }

    /// Asks the question only about minors.
    #[must_use]
    pub fn minors_only(mut self) -> Self {
        self.minors_only = true;
        self
    }

    /// Requires a date between the patient's birth and the day of the answers.
    #[must_use]
    pub fn in_past(mut self) -> Self {
        self.in_past = true;
        self
    }

    /// Adds codes of terminologies, as pairs of system and code.
    #[must_use]
    pub fn codes(mut self, codes: &'static [(&'static str, &'static str)]) -> Self {
        self.codes = codes;
        self
    }

    /// Builds the field from this question, the type of its answer, its id and its meaning.
    pub fn field<T: Answer>(self, prefix: &str, name: &str, meaning: &[&'static str]) -> Field {
        let id = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        Field {
            id,
            meaning: meaning.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
            label: self.label,
            help: self.help,
            kind: T::kind(),
            unit: self.unit,
            required: self.required,
            condition: self.condition,
            clinician_only: self.clinician_only,
            private_for_minors: self.private_for_minors,
            minors_only: self.minors_only,
            in_past: self.in_past,
            companion: self.companion,
            codes: self.codes,
        }
    }
}

/// A field of the form.
#[derive(Debug, Clone)]
pub struct Field {
    /// The dotted path of the answer, without positions in lists. An id is never reused for another question.
    pub id: String,
    /// What the answer means, for clinicians and engineers.
    pub meaning: String,
    /// The text of the question.
    pub label: Bilingual,
    /// The hint under the question.
    pub help: Option<Bilingual>,
    /// The type of the answer.
    pub kind: Kind,
    /// The unit of the number (UCUM).
    pub unit: Option<&'static str>,
    /// Whether an answer is required whenever the field applies.
    pub required: bool,
    /// When the field applies. Without a condition it always applies.
    pub condition: Option<Condition>,
    /// Whether only clinicians answer it.
    pub clinician_only: bool,
    /// Whether only clinicians answer it for a minor, and guardians do not see it.
    pub private_for_minors: bool,
    /// Whether it is asked only about minors. An answer about an adult is accepted.
    pub minors_only: bool,
    /// Whether it is a date between the patient's birth and the day of the answers.
    pub in_past: bool,
    /// Whether it explains why a number is missing; see [`status`].
    pub companion: bool,
    /// Codes of terminologies, as pairs of system and code.
    pub codes: &'static [(&'static str, &'static str)],
}

impl Field {
    /// Returns the last part of the id.
    pub fn name(&self) -> &str {
        self.id.rsplit('.').next().unwrap_or(&self.id)
    }

    /// Returns the fields of each entry, if this is a list of groups.
    pub fn children(&self) -> Vec<Self> {
        if let Kind::Group(fields) = self.kind { fields(&self.id) } else { Vec::new() }
    }
}
