//! A field of the form: what is asked, of which type, when, and of whom.

use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};

use super::{Opt, Whole};

/// A text in both languages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// English.
    pub en: &'static str,
    /// Spanish.
    pub es: &'static str,
}

/// The type of a field.
#[derive(Debug, Clone)]
pub enum Kind {
    /// One of the options.
    Choice(&'static [Opt]),
    /// A list of options, each at most once.
    Choices(&'static [Opt]),
    /// A whole number within bounds, both included.
    Whole {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number within bounds, both included.
    Decimal {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A list of so many whole numbers within bounds, `null` where one is missing.
    Scores {
        /// How many.
        count: usize,
        /// The least.
        min: i64,
        /// The greatest.
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
        /// The most characters.
        max: usize,
        /// Whether it may have several lines.
        lines: bool,
    },
    /// A list of groups of fields.
    Group(fn(&str) -> Vec<Field>),
}

/// A type that an answer can have.
pub trait Answer {
    /// Its type in the form.
    fn kind() -> Kind;

    /// Its schema, a reference where it has a name.
    fn schema() -> RefOr<Schema>;

    /// The named schemas that [`Answer::schema`] refers to.
    fn collect(_into: &mut Vec<(String, RefOr<Schema>)>) {}
}

/// The most entries of any list.
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

impl<const MIN: i64, const MAX: i64, const COUNT: usize> Answer for [Option<Whole<MIN, MAX>>; COUNT] {
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
    /// The group's fields, their ids under `prefix`.
    fn fields(prefix: &str) -> Vec<Field>;
}

/// The fields of `T` under `prefix`.
pub fn fields_of<T: Fields>(prefix: &str) -> Vec<Field> {
    T::fields(prefix)
}

/// When a field applies: when any of the tests holds.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The tests.
    pub any: Vec<Test>,
}

/// A test of another answer. Where the field lies in the same list entry, the entry's own answer is meant; a field of
/// another list is tested in every entry.
#[derive(Debug, Clone)]
pub struct Test {
    /// The other field's id.
    pub field: &'static str,
    /// What its answer must be.
    pub op: Op,
}

/// What an answer must be.
#[derive(Debug, Clone)]
pub enum Op {
    /// One of these values.
    OneOf(Vec<&'static str>),
    /// A number below this.
    Below(i64),
    /// One of these names, whatever the case of its letters.
    Named(Vec<&'static str>),
}

impl Op {
    /// Whether `answer` fits.
    pub fn holds(&self, answer: &Value) -> bool {
        match self {
            Self::OneOf(values) => answer.as_str().is_some_and(|answer| values.contains(&answer)),
            #[allow(clippy::cast_precision_loss, reason = "bounds are small")]
            Self::Below(bound) => answer.as_f64().is_some_and(|answer| answer < *bound as f64),
            Self::Named(names) => {
                answer.as_str().is_some_and(|answer| names.contains(&super::super::medicines::normal(answer).as_str()))
            }
        }
    }
}

/// A question and its rules, without the type.
#[derive(Debug, Clone)]
pub struct Ask {
    label: Words,
    help: Option<Words>,
    unit: Option<&'static str>,
    required: bool,
    condition: Option<Condition>,
    clinician_only: bool,
    private_for_minors: bool,
    in_past: bool,
    companion: bool,
    codes: &'static [(&'static str, &'static str)],
}

/// A question with its label in English and Spanish.
pub fn ask(en: &'static str, es: &'static str) -> Ask {
    Ask {
        label: Words { en, es },
        help: None,
        unit: None,
        required: false,
        condition: None,
        clinician_only: false,
        private_for_minors: false,
        in_past: false,
        companion: false,
        codes: &[],
    }
}

/// The companion of a number that may be missing.
pub fn status() -> Ask {
    Ask { companion: true, ..ask("If there is no number, why", "Si no hay número, por qué") }
}

impl Ask {
    /// A hint under the question.
    #[must_use]
    pub fn help(mut self, en: &'static str, es: &'static str) -> Self {
        self.help = Some(Words { en, es });
        self
    }

    /// The unit of the number.
    #[must_use]
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    /// It must be answered whenever it applies.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It applies only if `field` has one of `values`.
    #[must_use]
    pub fn when(mut self, field: &'static str, values: &[&'static str]) -> Self {
        self.condition = Some(Condition { any: vec![Test { field, op: Op::OneOf(values.to_vec()) }] });
        self
    }

    /// It applies only if `condition` holds.
    #[must_use]
    pub fn given(mut self, condition: Condition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// Only a clinician answers it.
    #[must_use]
    pub fn clinician_only(mut self) -> Self {
        self.clinician_only = true;
        self
    }

    /// For a patient under 18 only a clinician asks it, and a guardian never sees it.
    #[must_use]
    pub fn private_for_minors(mut self) -> Self {
        self.private_for_minors = true;
        self
    }

    /// A date that lies between the patient's birth and the answers.
    #[must_use]
    pub fn in_past(mut self) -> Self {
        self.in_past = true;
        self
    }

    /// Its codes: system and code.
    #[must_use]
    pub fn codes(mut self, codes: &'static [(&'static str, &'static str)]) -> Self {
        self.codes = codes;
        self
    }

    /// The field: this question with a type, an id and a meaning.
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
            in_past: self.in_past,
            companion: self.companion,
            codes: self.codes,
        }
    }
}

/// A field of the form.
#[derive(Debug, Clone)]
pub struct Field {
    /// The dotted path of the answer, without the positions in lists. It is never given to another question.
    pub id: String,
    /// What the answer means.
    pub meaning: String,
    /// The question.
    pub label: Words,
    /// A hint under it.
    pub help: Option<Words>,
    /// The answer's type.
    pub kind: Kind,
    /// The number's unit.
    pub unit: Option<&'static str>,
    /// Whether it must be answered whenever it applies.
    pub required: bool,
    /// When it applies; always if there is none.
    pub condition: Option<Condition>,
    /// Whether only a clinician answers it.
    pub clinician_only: bool,
    /// Whether, for a patient under 18, only a clinician asks it.
    pub private_for_minors: bool,
    /// Whether it is a date that lies between the patient's birth and the answers.
    pub in_past: bool,
    /// Whether it says why the number before it is missing.
    pub companion: bool,
    /// Its codes: system and code.
    pub codes: &'static [(&'static str, &'static str)],
}

impl Field {
    /// The last part of the id.
    pub fn name(&self) -> &str {
        self.id.rsplit('.').next().unwrap_or(&self.id)
    }

    /// The fields of each entry, if this is a list of groups.
    pub fn children(&self) -> Vec<Self> {
        if let Kind::Group(fields) = self.kind { fields(&self.id) } else { Vec::new() }
    }
}
