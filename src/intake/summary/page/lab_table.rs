//! The table of laboratory values: one row a test, the newest value first and the values before it in short.

use minijinja::value::{Serde, Value};
use rls::form_dsl::PartialDate;
use serde::{Deserialize, Serialize};

use super::partial_date_in_words;

/// A laboratory value of the summary.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LabValue {
    test: String,
    value: f64,
    comparator: Option<String>,
    unit: Option<String>,
    collected_on: Option<PartialDate>,
    age: Option<String>,
    out_of_date: bool,
    level: Option<String>,
    range: Option<String>,
    computed: bool,
    is_new: bool,
    source: Option<String>,
    entered_in: String,
}

#[derive(Serialize)]
struct Row {
    test: String,
    newest: LabValue,
    before: String,
}

/// The tests in the order in which a practitioner reads them. Others follow.
const ORDER: [&str; 5] = ["ferritin", "tsat", "hemoglobin", "iron", "tibc"];

/// The greatest number of earlier values in a row.
const BEFORE: usize = 3;

/// Groups the values by test. They are sorted, the newest first.
pub(super) fn rows(Serde(labs): Serde<Vec<LabValue>>) -> Value {
    let mut tests: Vec<&str> = ORDER.to_vec();
    for lab in &labs {
        if !tests.contains(&lab.test.as_str()) {
            tests.push(&lab.test);
        }
    }
    let row = |test: &str| {
        let mut of_test = labs.iter().filter(|lab| lab.test == test);
        let newest = of_test.next()?.clone();
        let earlier: Vec<_> = of_test.collect();
        let mut before: Vec<String> = earlier.iter().take(BEFORE).map(|lab| in_short(lab)).collect();
        if earlier.len() > BEFORE {
            before.push(format!("{} more", earlier.len() - BEFORE));
        }
        Some(Row { test: name(test), newest, before: before.join(", ") })
    };
    Value::from(Serde(tests.into_iter().filter_map(row).collect::<Vec<_>>()))
}

/// Names the tests of the iron rules without a value.
pub(super) fn missing(Serde(labs): Serde<Vec<LabValue>>) -> Vec<String> {
    let has = |test: &&str| labs.iter().any(|lab| lab.test == **test);
    ORDER.iter().take(3).filter(|test| !has(test)).map(|test| name(test)).collect()
}

fn name(test: &str) -> String {
    match test {
        "tsat" | "tibc" | "crp" => test.to_uppercase(),
        other => {
            let mut letters = other.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
        }
    }
}

fn number(lab: &LabValue) -> String {
    let bound = lab.comparator.as_deref().map(|bound| format!("{bound} ")).unwrap_or_default();
    format!("{bound}{}", lab.value)
}

fn in_short(lab: &LabValue) -> String {
    let day = lab.collected_on.map_or_else(|| "day not known".to_owned(), partial_date_in_words);
    format!("{} ({day})", number(lab))
}

/// Writes the value with its unit, and with a sign for its level that a print without colours keeps.
pub(super) fn value(Serde(lab): Serde<LabValue>) -> String {
    let sign = match lab.level.as_deref() {
        Some("low") => "▼ ",
        Some("high") => "▲ ",
        Some("between") => "◆ ",
        _ => "",
    };
    let unit = lab.unit.as_deref().map(|unit| unit.replace("ug/", "µg/").replace("umol", "µmol"));
    format!("{sign}{} {}", number(&lab), unit.unwrap_or_default()).trim_end().to_owned()
}

/// Writes the range of a level with signs, which take less room.
pub(super) fn in_signs(range: &str) -> String {
    range.replace("at most", "≤").replace("at least", "≥").replace("above", ">").replace("below", "<")
}

/// Writes where a value comes from.
pub(super) fn source(Serde(lab): Serde<LabValue>) -> String {
    let way = match (lab.entered_in.as_str(), lab.source.as_deref()) {
        ("lab_results", _) => "clinic",
        (_, Some("lab_report")) => "lab report",
        (_, Some("patient_reported")) => "told by the patient",
        _ => "answers",
    };
    if lab.computed { format!("computed from iron and TIBC, {way}") } else { way.to_owned() }
}
