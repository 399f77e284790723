//! The summary as a page to print.

mod lab_table;

use jiff::tz::TimeZone;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use rls::answers::all_sections;
use rls::form_dsl::{Field, Kind, PartialDate};
use rls::guideline::{Certainty, Hint, Reason, Strength};
use serde::Serialize;
use text::Language;

use super::answer_text::AnswerText;
use super::clinical::ClinicalSummary;
use super::follow_up::FollowUpSummary;
use super::plain::PlainSummary;
use super::words::{day_in_words, partial_date_in_words};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::messages::times::Moment;

/// What a page shows beside the summary.
pub struct Frame<'a> {
    /// The clinic's name.
    pub clinic: &'a str,
    /// The time zone of the times on the page.
    pub zone: &'a TimeZone,
    /// The time at which the page was printed.
    pub now: Timestamp,
    /// The links above a page for practitioners.
    pub links: &'a [PageLink],
}

/// A link to another page. It is not printed.
#[derive(Debug, Serialize)]
pub struct PageLink {
    /// The address, relative to the page.
    pub address: String,
    pub text: &'static str,
    /// The language of the text.
    pub language: &'static str,
}

/// Renders the page for practitioners. It is in English, whatever the reader's language.
pub fn clinical_page(summary: &ClinicalSummary, frame: &Frame<'_>) -> Result<String> {
    render(CLINICAL, summary, Language::English, frame)
}

/// Renders the page of a follow-up for practitioners.
pub fn follow_up_page(summary: &FollowUpSummary, frame: &Frame<'_>) -> Result<String> {
    render(FOLLOW_UP, summary, Language::English, frame)
}

/// Renders the page for patients.
pub fn plain_page(summary: &PlainSummary, frame: &Frame<'_>) -> Result<String> {
    render(PLAIN, summary, Language::of_tag(&summary.language), frame)
}

/// The name and the text of a template.
type Template<'a> = (&'a str, &'a str);

/// The head of all pages.
const BASE: Template<'_> = ("base.html", include_str!("base.html"));
/// The frame of both pages for practitioners.
const PRACTITIONER: Template<'_> = ("practitioner.html", include_str!("practitioner.html"));
const CLINICAL: Template<'_> = ("clinical.html", include_str!("clinical.html"));
const FOLLOW_UP: Template<'_> = ("follow_up.html", include_str!("follow_up.html"));
/// The table of follow-ups, on both pages for practitioners.
const FOLLOW_UPS: Template<'_> = ("follow_ups.html", include_str!("follow_ups.html"));
/// The flags, on both pages for practitioners.
const FLAGS: Template<'_> = ("flags.html", include_str!("flags.html"));
const PLAIN: Template<'_> = ("plain.html", include_str!("plain.html"));

fn render(
    (name, template): Template<'_>,
    summary: &impl Serialize,
    language: Language,
    frame: &Frame<'_>,
) -> Result<String> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    engine.add_filter("words", words);
    engine.add_filter("reasons", reasons);
    engine.add_filter("by_answer", by_answer);
    engine.add_filter("number", |number: f64| number.to_string());
    engine.add_filter("date", date);
    engine.add_filter("ago", |age: &str| if age == "today" { age.to_owned() } else { format!("{age} ago") });
    engine.add_filter("short_flag", |text: &str| text.replace("; clinician review requested.", "."));
    engine.add_filter("named", named);
    engine.add_filter("taken", taken);
    engine.add_filter("hints", hints);
    engine.add_filter("section_name", section_name);
    engine.add_filter("lab_rows", lab_table::rows);
    engine.add_filter("labs_missing", lab_table::missing);
    engine.add_filter("contributor", contributor);
    engine.add_filter("lab_value", lab_table::value);
    engine.add_filter("in_signs", lab_table::in_signs);
    engine.add_filter("lab_source", lab_table::source);
    let zone = frame.zone.clone();
    engine.add_filter("day_here", move |text: &str| {
        text.parse::<Timestamp>().map(|at| day_in_words(at.in_zone(&zone).date())).unwrap_or_default()
    });
    let zone = frame.zone.clone();
    engine.add_filter("moment", move |text: &str| {
        let at = text.parse::<Timestamp>().map(|at| at.in_zone(&zone).strftime("%b %-d, %Y, %-I:%M %p").to_string());
        at.unwrap_or_default()
    });
    let zone = frame.zone.clone();
    engine.add_filter("day", move |text: &str, language: &str| {
        let at = text.parse::<Timestamp>().map(|at| at.in_zone(&zone).date());
        at.map(|day| Moment::of_day(day, Language::of_tag(language)).date()).unwrap_or_default()
    });
    let fault = |error: minijinja::Error| Error::fault(format!("{name}: {} at line {:?}", error.kind(), error.line()));
    for (name, template) in [BASE, PRACTITIONER, FOLLOW_UPS, FLAGS] {
        engine.add_template(name, template).map_err(fault)?;
    }
    engine.add_template(name, template).map_err(fault)?;
    let values = context! {
        s => Value::from(Serde(summary)),
        lang => language.code(),
        clinic => frame.clinic,
        now => frame.now.to_string(),
        links => frame.links.iter().map(|link| Value::from(Serde(link))).collect::<Vec<_>>(),
    };
    engine.get_template(name).and_then(|template| template.render(values)).map_err(fault)
}

/// Writes a date as far as it is known.
fn date(text: &str) -> String {
    text.parse::<PartialDate>().map_or_else(|()| text.to_owned(), partial_date_in_words)
}

#[derive(serde::Deserialize)]
struct Named {
    yes: Vec<String>,
    no: Vec<String>,
    unknown: Vec<String>,
}

/// Writes named answers: first what is reported, then what is denied, then what is not known.
fn named(Serde(said): Serde<Named>) -> String {
    let parts = [("yes", said.yes), ("no", said.no), ("not known", said.unknown)];
    let parts = parts.into_iter().filter(|(_, labels)| !labels.is_empty());
    parts.map(|(word, labels)| format!("{word}: {}", labels.join(", "))).collect::<Vec<_>>().join(" · ")
}

#[derive(serde::Deserialize)]
struct Taken {
    started_on: Option<PartialDate>,
    stopped_on: Option<PartialDate>,
    status: Option<String>,
}

/// Writes from when to when a medicine was taken.
fn taken(Serde(one): Serde<Taken>) -> String {
    let start = one.started_on.map(partial_date_in_words);
    let end = one.stopped_on.map(partial_date_in_words);
    match (one.status.as_deref(), start, end) {
        (Some("current"), Some(start), _) => format!("since {start}"),
        (Some("current"), None, _) => "now".to_owned(),
        (_, Some(start), Some(end)) if start == end => start,
        (_, Some(start), Some(end)) => format!("{} to {end}", without_year_of(&start, &end)),
        (_, None, Some(end)) => format!("until {end}"),
        (Some("stopped"), Some(start), None) => format!("from {start}, stopped"),
        (Some("stopped"), None, None) => "stopped".to_owned(),
        (_, Some(start), None) => format!("from {start}"),
        (_, None, None) => "not known".to_owned(),
    }
}

/// Leaves out the year of a day or month if the end of the period has the same.
fn without_year_of<'a>(start: &'a str, end: &str) -> &'a str {
    let year = end.rsplit(' ').next().unwrap_or(end);
    let short = start.strip_suffix(year).map(|rest| rest.trim_end_matches([',', ' ']));
    short.filter(|rest| !rest.is_empty()).unwrap_or(start)
}

/// Writes the hints of the guideline. Those with the same strength, certainty and reason are one sentence.
fn hints(Serde(hints): Serde<Vec<Hint>>) -> String {
    let mut sentences: Vec<(String, Vec<String>, String)> = Vec::new();
    for hint in hints {
        let strength = match hint.strength {
            Strength::Strong => "strong",
            Strength::Conditional => "conditional",
        };
        let certainty = hint.certainty.map(|certainty| match certainty {
            Certainty::Moderate => ", moderate certainty",
            Certainty::Low => ", low certainty",
            Certainty::VeryLow => ", very low certainty",
        });
        let reason = match hint.reason {
            Reason::TakenNow => ", taken now",
            Reason::TakenBefore => ", taken before",
            Reason::IronStatus | Reason::NotNamedYet | Reason::LigandNotSufficient => "",
        };
        let treatment = match hint.allergies.as_slice() {
            [] => hint.treatment,
            allergies => format!("{} [ALLERGY RECORDED: {}]", hint.treatment, allergies.join(", ")),
        };
        let behind = format!(" ({strength}{}{reason})", certainty.unwrap_or_default());
        match sentences.iter_mut().find(|(verb, _, with)| *verb == hint.verb && *with == behind) {
            Some((_, treatments, _)) => treatments.push(treatment),
            None => sentences.push((hint.verb, vec![treatment], behind)),
        }
    }
    let sentence = |(verb, treatments, behind): &(String, Vec<String>, String)| {
        let mut letters = verb.chars();
        let verb: String =
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
        format!("{verb} {}{behind}", treatments.join(", "))
    };
    sentences.iter().map(sentence).collect::<Vec<_>>().join(" · ")
}

/// Returns a short name of a section.
fn section_name(section: &str) -> &'static str {
    match section {
        "symptoms" => "Symptoms",
        "mimics" => "Mimics",
        "venous" => "Veins",
        "risk" => "Health",
        "substances" => "Substances",
        "lifestyle" => "Habits",
        "sleep" => "Sleep",
        _ => "Other",
    }
}

/// Writes why a flag or a factor is shown: the names of medicines, the labels of answers "yes", and other answers in full.
fn reasons(Serde(said): Serde<Vec<AnswerText>>) -> String {
    let reason = |one: &AnswerText| match (one.field.as_str(), one.answer.as_str()) {
        (field, name) if field.starts_with("medications.") => name.to_owned(),
        ("labs", _) => "Laboratory values".to_owned(),
        (_, "Yes") => one.question.clone(),
        (_, answer) => format!("{}: {answer}", one.question),
    };
    said.iter().map(reason).collect::<Vec<_>>().join(", ")
}

#[derive(serde::Deserialize)]
struct Contributor {
    factor: String,
    because: Vec<AnswerText>,
}

/// Writes a factor with the answers that suggest it. An answer that says the same is enough.
fn contributor(Serde(one): Serde<Contributor>) -> String {
    let (factor, because) = (words(&one.factor, None), reasons(Serde(one.because)));
    if because.to_lowercase().starts_with(&factor) { because } else { format!("{factor}: {because}") }
}

/// Writes the answers of a section: first those in full, then what is reported, then what is denied.
fn by_answer(Serde(said): Serde<Vec<AnswerText>>) -> String {
    let in_full = said.iter().filter(|one| !["Yes", "No"].contains(&one.answer.as_str()));
    let mut parts: Vec<String> = in_full.map(|one| format!("{}: {}", one.question, one.answer)).collect();
    for answer in ["Yes", "No"] {
        let labels = said.iter().filter(|one| one.answer == answer).map(|one| one.question.clone());
        let labels: Vec<String> = labels.collect();
        if !labels.is_empty() {
            parts.push(format!("{answer}: {}", labels.join(", ")));
        }
    }
    parts.join(" · ")
}

/// Writes a value of the API as text: with the label of the field's option, or else with spaces for underscores.
fn words(value: &str, field: Option<&str>) -> String {
    let labelled = field.and_then(|id| {
        let all: Vec<Field> = all_sections().into_iter().flat_map(|section| section.fields).collect();
        let with_children = all.iter().cloned().chain(all.iter().flat_map(Field::children));
        let field = with_children.into_iter().find(|field| field.id == id)?;
        let (Kind::Choice(options) | Kind::Choices(options)) = field.kind else { return None };
        options.iter().find(|option| option.value == value).map(|option| option.en.to_owned())
    });
    labelled.unwrap_or_else(|| match value {
        "ferritin_le_75_or_tsat_lt_20" => "ferritin at most 75 ng/mL or TSAT below 20%".to_owned(),
        "ferritin_gt_75_le_100" => "ferritin above 75 and at most 100 ng/mL".to_owned(),
        "ferritin_lt_50_under_18" => "under 18: ferritin below 50 ng/mL".to_owned(),
        "ferritin_lt_200_and_tsat_lt_20_esrd" => {
            "kidney failure: ferritin below 200 ng/mL and TSAT below 20%".to_owned()
        }
        "not_iron_free" => "iron within 24 h before the sample: iron and TSAT doubtful".to_owned(),
        "not_morning" => "sample not taken in the morning".to_owned(),
        "inflammation" => "infection or inflammation: ferritin unreliable".to_owned(),
        "ferritin_out_of_date" => "ferritin out of date".to_owned(),
        "tsat_out_of_date" => "TSAT out of date".to_owned(),
        "not_computed_esrd" => "not computed: kidney failure or dialysis".to_owned(),
        "not_computed_minor" => "not computed: under 18".to_owned(),
        "features_present_needs_clinician_review" => {
            "All four features reported; other causes still need a clinician's review".to_owned()
        }
        "criteria_confirmed_by_clinician" => "All five criteria confirmed by the clinician".to_owned(),
        "features_present_explained_otherwise" => {
            "All four features reported; the clinician found that other causes alone explain them".to_owned()
        }
        "features_not_all_reported" => "Not all four features reported".to_owned(),
        "incomplete" => "Screening incomplete: at least one feature is unknown".to_owned(),
        "not_solely_explained" => "yes".to_owned(),
        "solely_explained" => "no".to_owned(),
        "genetics" => "family history".to_owned(),
        "alpha2delta" => "alpha-2-delta ligand".to_owned(),
        "iron_iv" => "intravenous iron".to_owned(),
        "iron_oral" => "oral iron".to_owned(),
        "metoclopramide_prochlorperazine" => "nausea medicine (dopamine antagonist)".to_owned(),
        "z_drug" => "z-drug".to_owned(),
        "ssri" | "snri" => value.to_uppercase(),
        "en" => "English".to_owned(),
        "es" => "Spanish".to_owned(),
        other => other.replace('_', " "),
    })
}

#[cfg(test)]
mod tests;
