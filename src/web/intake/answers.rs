//! What a person has answered on a page, as the answers of the API. A value that cannot be read stays as it was typed, so that the check
//! of the API reports it and the page shows it again.

use std::collections::{BTreeMap, BTreeSet};

use rls::form::{FieldType, FormField};
use serde_json::{Map, Value, json};

use super::super::form_post::Sent;
use super::draft::companion;

/// Answers by field. Null means that there is none.
pub(in crate::web) type Given = BTreeMap<String, Value>;

/// The largest range of a number that is shown as a row of numbers to choose from.
pub(super) const SCALE: i64 = 10;

/// Whether a number is chosen from a row of numbers.
pub(super) fn is_scale(field: &FormField) -> bool {
    let range = field.maximum.zip(field.minimum).map(|(most, least)| most - least);
    field.r#type == FieldType::Integer && range.is_some_and(|range| range <= SCALE)
}

/// Reads the answers to the questions that the page has asked.
pub(in crate::web) fn read(fields: &[FormField], sent: &Sent) -> Given {
    let mut given = Given::new();
    let removed: BTreeSet<&str> = sent.all("remove").collect();
    // The answer to a question that is not asked any more is shown without its fields. Each is read once, however often a form names it.
    let asked: BTreeSet<&str> = sent.all("asked").chain(removed.iter().copied()).collect();
    for asked in asked {
        let Some(field) = fields.iter().find(|field| field.link_id == asked) else { continue };
        let reason = companion(fields, field);
        let (answer, status) = if removed.contains(asked) {
            (Value::Null, Value::Null)
        } else if field.r#type == FieldType::Entries {
            // Its entries have their own pages.
            continue;
        } else {
            read_one(field, reason.is_some(), sent)
        };
        given.insert(field.link_id.clone(), answer);
        if let Some(reason) = reason {
            given.insert(reason.link_id.clone(), status);
        }
    }
    given
}

/// Reads the answer to one question, and why a number is missing.
fn read_one(field: &FormField, has_status: bool, sent: &Sent) -> (Value, Value) {
    let id = field.link_id.as_str();
    let first = sent.first(id);
    let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let answer = match field.r#type {
        FieldType::Choices => {
            let all: Vec<&str> = sent.all(id).collect();
            if all.is_empty() { Value::Null } else { json!(all) }
        }
        FieldType::Integer | FieldType::Decimal => {
            if has_status && is_scale(field) && !first.is_empty() && first.parse::<i64>().is_err() {
                return (Value::Null, first.into());
            }
            let status = if has_status { text(sent.first(&format!("{id}_status"))) } else { Value::Null };
            return (number(first.trim()), status);
        }
        FieldType::Scores => scores(field, sent),
        FieldType::Date | FieldType::PartialDate => date(id, sent),
        FieldType::LongText | FieldType::Text => text(first.replace("\r\n", "\n").trim()),
        FieldType::Choice | FieldType::Time => text(first),
        FieldType::Entries => Value::Null,
    };
    (answer, Value::Null)
}

/// A number as people write it, with a point or a comma.
fn number(typed: &str) -> Value {
    if typed.is_empty() {
        return Value::Null;
    }
    let plain = typed.replace(',', ".");
    let whole = plain.parse::<i64>().ok().map(Value::from);
    let number = || plain.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from);
    whole.or_else(number).unwrap_or_else(|| typed.into())
}

fn scores(field: &FormField, sent: &Sent) -> Value {
    let score = |at: usize| sent.first(&format!("{}.{at}", field.link_id)).parse::<i64>().ok();
    let all: Vec<Option<i64>> = (0..field.count.unwrap_or_default()).map(score).collect();
    if all.iter().all(Option::is_none) { Value::Null } else { json!(all) }
}

/// A date of three parts, of which the last ones may be missing.
fn date(id: &str, sent: &Sent) -> Value {
    let part = |name: &str| sent.first(&format!("{id}.{name}")).trim().to_owned();
    let two = |part: String| if part.len() == 1 { format!("0{part}") } else { part };
    let (year, month, day) = (part("year"), two(part("month")), two(part("day")));
    match (year.is_empty(), month.is_empty(), day.is_empty()) {
        (true, true, true) => Value::Null,
        (_, true, true) => year.into(),
        (_, _, true) => format!("{year}-{month}").into(),
        _ => format!("{year}-{month}-{day}").into(),
    }
}

/// Builds the answers as the API takes them.
pub(super) fn nested<'a>(given: impl IntoIterator<Item = (&'a String, &'a Value)>) -> Map<String, Value> {
    let mut all = Map::new();
    for (id, value) in given {
        match id.split_once('.') {
            None => {
                all.insert(id.clone(), value.clone());
            }
            Some((section, name)) => {
                let section = all.entry(section).or_insert_with(|| json!({}));
                section.as_object_mut().map(|section| section.insert(name.to_owned(), value.clone()));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use rls::FormName;
    use rls::form::FormSettings;
    use text::Language;

    use super::*;

    fn read_form(section: &str, body: &str) -> Given {
        let form = rls::form(FormName::History, Some(Language::English), FormSettings::default());
        let section = form.sections.iter().find(|one| one.id == section).expect("a section");
        read(&section.fields, &Sent::read(body.as_bytes()))
    }

    #[test]
    fn answers_are_read_by_the_kinds_of_their_questions() {
        let given = read_form(
            "symptoms",
            "asked=symptoms.urge_to_move_legs&symptoms.urge_to_move_legs=yes&asked=symptoms.sensations&symptoms.sensations=tingling\
             &symptoms.sensations=other&asked=symptoms.symptom_onset_date&symptoms.symptom_onset_date.year=2009\
             &symptoms.symptom_onset_date.month=3&asked=symptoms.days_per_week_untreated&symptoms.days_per_week_untreated=2,5\
             &asked=symptoms.severity_0_10&symptoms.severity_0_10=unknown&asked=symptoms.childs_own_words&symptoms.childs_own_words=a%0D%0Ab\
             &asked=symptoms.usual_onset_time&symptoms.usual_onset_time=21:00&asked=symptoms.worse_at_rest&asked=risk.ckd&risk.ckd=yes",
        );
        assert_eq!(
            Value::Object(nested(&given)),
            json!({"symptoms": {
                "urge_to_move_legs": "yes", "sensations": ["tingling", "other"], "symptom_onset_date": "2009-03",
                "days_per_week_untreated": 2.5, "days_per_week_untreated_status": null, "severity_0_10": null,
                "severity_0_10_status": "unknown", "childs_own_words": "a\nb", "usual_onset_time": "21:00", "worse_at_rest": null
            }})
        );
    }

    #[test]
    fn what_cannot_be_read_stays_as_it_was_typed() {
        let given = read_form(
            "symptoms",
            "asked=symptoms.days_per_week_untreated&symptoms.days_per_week_untreated=often&asked=symptoms.symptom_onset_date\
             &symptoms.symptom_onset_date.year=09&symptoms.symptom_onset_date.day=4",
        );
        assert_eq!(given["symptoms.days_per_week_untreated"], "often");
        assert_eq!(given["symptoms.symptom_onset_date"], "09--04");
    }

    #[test]
    fn an_answer_is_removed_only_if_that_is_asked_for() {
        let body = "asked=venous.dvt_date&venous.dvt_date.year=2019";
        assert_eq!(read_form("venous", body)["venous.dvt_date"], "2019");
        assert_eq!(read_form("venous", &format!("{body}&remove=venous.dvt_date"))["venous.dvt_date"], Value::Null);
        assert!(read_form("venous", "asked=venous.vein_procedures").is_empty());
    }
}
