//! The typed answers: every field of the RLS history and the follow-up with its meaning, unit and source.
//!
//! Every field is optional, because a draft may be incomplete. A missing answer is an issue, not a type error. It does
//! not mean "no".

mod background;
mod follow_up;
mod patch;
mod safety;
mod sleep;
mod symptoms;
mod treatment;
mod veins;

pub use crate::choices::*;
pub use background::{Lab, Risk};
pub use follow_up::FollowUp;
pub use patch::AnswersPatch;
pub use safety::Safety;
pub use sleep::Sleep;
pub use symptoms::{Irls, Symptoms};
pub use treatment::{Allergy, Augmentation, ImpulseControl, LifestyleMeasure, Medication, Substances};
pub use veins::{DiagnosticTest, Mimics, VeinProcedure, Venous};

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::form_dsl::{Answer, Bilingual, Field, Fields, Question, ask, object_schema};

/// The answers of all forms.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// Safety questions. They come first.
    #[serde(skip_serializing_if = "Safety::is_blank")]
    pub safety: Safety,
    /// Symptoms and how they behave.
    #[serde(skip_serializing_if = "Symptoms::is_blank")]
    pub symptoms: Symptoms,
    /// The IRLS rating scale.
    #[serde(skip_serializing_if = "Irls::is_blank")]
    pub irls: Irls,
    /// Conditions that can feel like restless legs.
    #[serde(skip_serializing_if = "Mimics::is_blank")]
    pub mimics: Mimics,
    /// Veins and circulation.
    #[serde(skip_serializing_if = "Venous::is_blank")]
    pub venous: Venous,
    /// Causes and risks.
    #[serde(skip_serializing_if = "Risk::is_blank")]
    pub risk: Risk,
    /// Laboratory results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labs: Option<Vec<Lab>>,
    /// Whether there are medicines to list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medications_status: Option<MedicationsStatus>,
    /// Medicines: all that are taken now, and all that were ever taken for restless legs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medications: Option<Vec<Medication>>,
    /// Whether there are allergies to list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allergies_status: Option<AllergiesStatus>,
    /// Allergies and intolerances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allergies: Option<Vec<Allergy>>,
    /// Caffeine, alcohol, nicotine.
    #[serde(skip_serializing_if = "Substances::is_blank")]
    pub substances: Substances,
    /// Lifestyle measures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifestyle: Option<Vec<LifestyleMeasure>>,
    /// Changes under dopamine medicines.
    #[serde(skip_serializing_if = "Augmentation::is_blank")]
    pub augmentation: Augmentation,
    /// Urges under dopamine medicines.
    #[serde(skip_serializing_if = "ImpulseControl::is_blank")]
    pub impulse_control: ImpulseControl,
    /// Sleep.
    #[serde(skip_serializing_if = "Sleep::is_blank")]
    pub sleep: Sleep,
    /// What changed since the last visit.
    #[serde(skip_serializing_if = "FollowUp::is_blank")]
    pub follow_up: FollowUp,
}

// Answers are patient data, so they must not get into logs.
impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answers").finish_non_exhaustive()
    }
}

impl Answers {
    /// Returns the laboratory results with their positions.
    pub fn labs(&self) -> impl Iterator<Item = (usize, &Lab)> {
        self.labs.iter().flatten().enumerate()
    }

    /// Returns the medicines with their positions.
    pub fn medications(&self) -> impl Iterator<Item = (usize, &Medication)> {
        self.medications.iter().flatten().enumerate()
    }
}

/// A section of the form.
#[derive(Debug, Clone)]
pub struct Section {
    /// The id. It is never reused for another section.
    pub id: &'static str,
    /// The title.
    pub title: Bilingual,
    /// The text under the title.
    pub help: Option<Bilingual>,
    /// The fields in order.
    pub fields: Vec<Field>,
}

fn section<T: Fields>(id: &'static str, title: [&'static str; 2], help: Option<[&'static str; 2]>) -> Section {
    listed(id, title, help, T::fields(id))
}

fn listed(id: &'static str, title: [&'static str; 2], help: Option<[&'static str; 2]>, fields: Vec<Field>) -> Section {
    let words = |[en, es]: [&'static str; 2]| Bilingual { en, es };
    Section { id, title: words(title), help: help.map(words), fields }
}

fn list<T: Answer>(name: &'static str, ask: Question, meaning: &'static str) -> Field {
    ask.field::<T>("", name, &[meaning])
}

/// The texts under the titles of sections about medicines name examples, because few patients know the classes.
const ABOUT_AUGMENTATION: [&str; 2] = [
    "If you take or took a dopamine medicine, such as pramipexole (Mirapex), ropinirole (Requip), rotigotine (Neupro) or levodopa (Sinemet), or an opioid, such as tramadol or oxycodone.",
    "Si toma o tomó una medicina dopaminérgica, como pramipexol (Mirapex), ropinirol (Requip), rotigotina (Neupro) o levodopa (Sinemet), o un opioide, como tramadol u oxicodona.",
];
const ABOUT_URGES: [&str; 2] = [
    "These can come with dopamine medicines, such as pramipexole, ropinirole, rotigotine or levodopa, and are not your fault.",
    "Pueden aparecer con las medicinas dopaminérgicas, como pramipexol, ropinirol, rotigotina o levodopa, y no son culpa suya.",
];

/// Returns the sections of the history in order. Urgent questions come first.
pub fn sections() -> Vec<Section> {
    vec![
        section::<Safety>(
            "safety",
            ["First: is anything urgent?", "Primero: ¿hay algo urgente?"],
            Some([
                "This form is not watched in real time. In an emergency call your emergency number now.",
                "Nadie vigila este formulario en tiempo real. En una emergencia, llame ya al número de emergencias.",
            ]),
        ),
        section::<Symptoms>("symptoms", ["Your legs", "Sus piernas"], None),
        section::<Irls>(
            "irls",
            ["Rating scale", "Escala de gravedad"],
            Some([
                "Ten questions about your restless legs. The total needs an answer to each of them.",
                "Diez preguntas sobre sus piernas inquietas. El total necesita una respuesta a cada una.",
            ]),
        ),
        section::<Mimics>(
            "mimics",
            ["What else it could be", "Qué más podría ser"],
            Some(["All of these are optional.", "Todas son opcionales."]),
        ),
        section::<Venous>("venous", ["Veins and circulation", "Venas y circulación"], None),
        section::<Risk>("risk", ["Family and health", "Familia y salud"], None),
        listed(
            "labs",
            ["Laboratory results", "Resultados de laboratorio"],
            Some([
                "Optional. If you have a report at hand, copy the values; otherwise leave it out.",
                "Opcional. Si tiene un informe a mano, copie los valores; si no, déjelo en blanco.",
            ]),
            vec![list::<Vec<Lab>>(
                "labs",
                ask("Which results do you have?", "¿Qué resultados tiene?"),
                "Laboratory results.",
            )],
        ),
        medicines_and_allergies(),
        section::<Substances>("substances", ["Coffee, alcohol, nicotine", "Café, alcohol, nicotina"], None),
        listed(
            "lifestyle",
            ["What you have tried yourself", "Lo que ya ha intentado"],
            None,
            vec![list::<Vec<LifestyleMeasure>>(
                "lifestyle",
                ask("What have you tried, or what do you do?", "¿Qué ha intentado, o qué hace?"),
                "Lifestyle measures.",
            )],
        ),
        section::<Augmentation>(
            "augmentation",
            ["Since you took a medicine for restless legs", "Desde que tomó una medicina para las piernas inquietas"],
            Some(ABOUT_AUGMENTATION),
        ),
        section::<ImpulseControl>(
            "impulse_control",
            ["Urges that are new or stronger", "Impulsos nuevos o más fuertes"],
            Some(ABOUT_URGES),
        ),
        section::<Sleep>("sleep", ["Sleep", "Sueño"], None),
    ]
}

fn medicines_and_allergies() -> Section {
    listed(
        "medications",
        ["Medicines", "Medicinas"],
        Some([
            "All medicines you take now, also those without a prescription, and all you ever took for restless legs. Do not stop any without your prescriber.",
            "Todas las medicinas que toma ahora, también las de venta libre, y todas las que tomó alguna vez para las piernas inquietas. No deje ninguna sin hablar con quien se la recetó.",
        ]),
        vec![
            list::<MedicationsStatus>(
                "medications_status",
                ask(
                    "Do you take any medicines, or did you ever take one for restless legs?",
                    "¿Toma alguna medicina, o tomó alguna para las piernas inquietas?",
                )
                .required(),
                "Whether there are medicines to list.",
            ),
            list::<Vec<Medication>>(
                "medications",
                ask(
                    "Which medicines do you take, or have you taken for restless legs?",
                    "¿Qué medicinas toma, o ha tomado para las piernas inquietas?",
                )
                .required()
                .when("medications_status", &["listed"]),
                "Medicines: all that are taken now, and all that were ever taken for restless legs.",
            ),
            list::<AllergiesStatus>(
                "allergies_status",
                ask(
                    "Do you have an allergy to a medicine or an infusion?",
                    "¿Tiene alergia a alguna medicina o infusión?",
                )
                .required(),
                "Whether there are allergies to list.",
            ),
            list::<Vec<Allergy>>(
                "allergies",
                ask("Which allergies do you have?", "¿Qué alergias tiene?")
                    .required()
                    .when("allergies_status", &["listed"]),
                "Allergies and intolerances. They matter before iron infusions.",
            ),
        ],
    )
}

/// Returns the section that only the follow-up has.
pub fn follow_up_section() -> Section {
    section::<FollowUp>("follow_up", ["Since your last visit", "Desde su última visita"], None)
}

/// Returns the sections of all forms, each once.
pub fn all_sections() -> Vec<Section> {
    sections().into_iter().chain([follow_up_section()]).collect()
}

static FIELDS: LazyLock<Vec<Field>> =
    LazyLock::new(|| all_sections().into_iter().flat_map(|section| section.fields).collect());

/// Returns the fields of all forms, each once. Fields of list entries are children of their list.
pub fn all_fields() -> &'static [Field] {
    &FIELDS
}

/// Returns the name, meaning and schema of each member.
fn members() -> Vec<(&'static str, String, RefOr<Schema>)> {
    fn one<T: Answer>(name: &'static str, meaning: &str) -> (&'static str, String, RefOr<Schema>) {
        (name, meaning.to_owned(), T::schema())
    }
    vec![
        one::<Safety>("safety", "Safety questions. They come first."),
        one::<Symptoms>("symptoms", "Symptoms and how they behave."),
        one::<Irls>("irls", "The IRLS rating scale."),
        one::<Mimics>("mimics", "Conditions that can feel like restless legs."),
        one::<Venous>("venous", "Veins and circulation."),
        one::<Risk>("risk", "Causes and risks."),
        one::<Vec<Lab>>("labs", "Laboratory results."),
        one::<MedicationsStatus>("medications_status", "Whether there are medicines to list."),
        one::<Vec<Medication>>(
            "medications",
            "Medicines: all that are taken now, and all that were ever taken for restless legs.",
        ),
        one::<AllergiesStatus>("allergies_status", "Whether there are allergies to list."),
        one::<Vec<Allergy>>("allergies", "Allergies and intolerances. They matter before iron infusions."),
        one::<Substances>("substances", "Caffeine, alcohol, nicotine."),
        one::<Vec<LifestyleMeasure>>("lifestyle", "Lifestyle measures."),
        one::<Augmentation>("augmentation", "Changes under dopamine medicines."),
        one::<ImpulseControl>("impulse_control", "Urges under dopamine medicines."),
        one::<Sleep>("sleep", "Sleep."),
        one::<FollowUp>("follow_up", "What changed since the last visit. Only the follow-up asks for it."),
    ]
}

impl utoipa::PartialSchema for Answers {
    fn schema() -> RefOr<Schema> {
        object_schema(
            &[
                "The answers of the RLS history or the follow-up. Every answer is optional; a missing answer does not mean \"no\". Answers that the form does not ask for are rejected.",
            ],
            members(),
        )
    }
}

impl utoipa::ToSchema for Answers {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("RlsAnswers")
    }

    fn schemas(into: &mut Vec<(String, RefOr<Schema>)>) {
        Safety::collect(into);
        Symptoms::collect(into);
        Irls::collect(into);
        Mimics::collect(into);
        Venous::collect(into);
        Risk::collect(into);
        Vec::<Lab>::collect(into);
        MedicationsStatus::collect(into);
        Vec::<Medication>::collect(into);
        AllergiesStatus::collect(into);
        Vec::<Allergy>::collect(into);
        Substances::collect(into);
        Vec::<LifestyleMeasure>::collect(into);
        Augmentation::collect(into);
        ImpulseControl::collect(into);
        Sleep::collect(into);
        FollowUp::collect(into);
    }
}
