//! The fields of a review, from the definition that the API publishes: drawn, read from a form, and built as the API takes them. The class
//! of the veins is a list in the API; the page has a group of fields for each leg.

use std::collections::BTreeMap;

use minijinja::{Value, context};
use rls::FormName;
use rls::form::{FieldType, FormField};
use serde_json::{Map, Value as Json};
use text::Language;

use super::super::form_post::Sent;
use super::super::intake::{Drawn, Given, Standing, anchor, mistake, name_of, question_label, read_answers, say};
use super::Member;
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::intake::forms::{self, FormLanguage};

/// The list of the legs in a review.
const LEGS: &str = "ceap";
/// The member of an entry that names the leg.
const LIMB: &str = "limb";

/// What is wrong, by field.
pub(super) type Mistakes = BTreeMap<String, String>;

/// The fields of one leg.
struct Leg {
    /// The value of `limb`.
    limb: String,
    title: String,
    fields: Vec<FormField>,
}

/// The fields of a review.
pub(super) struct ReviewForm {
    language: Language,
    fields: Vec<FormField>,
    legs: Vec<Leg>,
}

impl ReviewForm {
    /// Reads the fields for the review of this form.
    ///
    /// # Errors
    /// A fault if there is none.
    pub fn read(member: &Member, name: FormName) -> Result<Self> {
        let language = FormLanguage { language: Some(member.language.code().to_owned()) };
        Ok(Self::of(forms::read(&member.public(), name, language)?.review.fields, member.language))
    }

    fn of(all: Vec<FormField>, language: Language) -> Self {
        let (lists, fields): (Vec<_>, Vec<_>) = all.into_iter().partition(|field| field.r#type == FieldType::Entries);
        let legs = lists.iter().flat_map(|list| legs(list, language)).collect();
        Self { language, fields, legs }
    }

    /// The values of a stored review.
    ///
    /// # Errors
    /// A fault if it cannot be written.
    pub fn stored(&self, review: &rls::Review) -> Result<Given> {
        let review = serde_json::to_value(review).map_err(|error| Error::internal("write a review", error))?;
        let values = |fields: &[FormField], from: &Json| -> Given {
            fields.iter().map(|field| (field.link_id.clone(), from[name_of(&field.link_id)].clone())).collect()
        };
        let mut given = values(&self.fields, &review);
        for leg in &self.legs {
            let entries = review[LEGS].as_array().into_iter().flatten();
            let entry = entries.into_iter().find(|entry| entry[LIMB] == *leg.limb).cloned().unwrap_or_default();
            given.extend(values(&leg.fields, &entry));
        }
        Ok(given)
    }

    /// The values that a form carries.
    pub fn sent(&self, sent: &Sent) -> Given {
        let legs = self.legs.iter().flat_map(|leg| read_answers(&leg.fields, sent));
        read_answers(&self.fields, sent).into_iter().chain(legs).collect()
    }

    /// The review as the API takes it. A leg of which nothing is known is left out.
    pub fn built(&self, given: &Given) -> Json {
        let mut review = members(&self.fields, given);
        let legs: Vec<Json> = self
            .assessed(given)
            .map(|leg| {
                let mut entry = members(&leg.fields, given);
                entry.insert(LIMB.to_owned(), leg.limb.clone().into());
                Json::Object(entry)
            })
            .collect();
        if !legs.is_empty() {
            review.insert(LEGS.to_owned(), legs.into());
        }
        Json::Object(review)
    }

    /// The legs of which something is known, in the order of the list of the API.
    fn assessed<'a>(&'a self, given: &'a Given) -> impl Iterator<Item = &'a Leg> {
        self.legs.iter().filter(move |leg| !members(&leg.fields, given).is_empty())
    }

    /// What the check of the API has found, by field.
    pub fn mistakes(&self, given: &Given, errors: &[FieldError]) -> Mistakes {
        let legs: Vec<&Leg> = self.assessed(given).collect();
        let mut mistakes = Mistakes::new();
        for error in errors {
            let mut place = error.pointer.trim_start_matches('/').split('/');
            let first = place.next().unwrap_or_default();
            let (fields, name) = if first == LEGS {
                let at = place.next().and_then(|at| at.parse::<usize>().ok()).unwrap_or_default();
                let Some(leg) = legs.get(at) else { continue };
                (&leg.fields, place.next().unwrap_or_default())
            } else {
                (&self.fields, first)
            };
            let Some(field) = fields.iter().find(|field| name_of(&field.link_id) == name) else { continue };
            mistakes.entry(field.link_id.clone()).or_insert_with(|| self.words(error, field));
        }
        mistakes
    }

    fn words(&self, error: &FieldError, field: &FormField) -> String {
        let is_of_calendar = matches!(error.code, FieldCode::BeforeBirth | FieldCode::InFuture);
        if field.r#type != FieldType::Date || is_of_calendar {
            return mistake(error, field, self.language);
        }
        match self.language {
            Language::English => "Please write the whole date: day, month and a year of four digits.".to_owned(),
            Language::Spanish => "Escriba la fecha completa: día, mes y año de cuatro cifras.".to_owned(),
        }
    }

    /// The fields as their template draws them, and the list of what is wrong.
    pub fn drawn(&self, given: &Given, mistakes: &Mistakes) -> Value {
        let draw = |fields: &[FormField]| -> Vec<Value> {
            let one = |field: &FormField| {
                let error = mistakes.get(&field.link_id).map_or("", String::as_str);
                let drawn =
                    Drawn { field, siblings: fields, language: self.language, standing: Standing::Asked, error };
                drawn.draw(&|id| given.get(id).cloned())
            };
            fields.iter().map(one).collect()
        };
        let legs: Vec<Value> = self
            .legs
            .iter()
            .map(
                |leg| context! { id => leg.limb.as_str(), title => leg.title.as_str(), questions => draw(&leg.fields) },
            )
            .collect();
        let wrong: Vec<Value> = self
            .fields
            .iter()
            .map(|field| (field, None))
            .chain(self.legs.iter().flat_map(|leg| leg.fields.iter().map(move |field| (field, Some(leg)))))
            .filter_map(|(field, leg)| {
                let text = mistakes.get(&field.link_id)?;
                let of_leg = leg.map(|leg| format!("{}: ", leg.title)).unwrap_or_default();
                let question = question_label(field, self.language);
                let mark = if question.ends_with('?') { "" } else { ":" };
                let label = format!("{of_leg}{question}{mark}");
                Some(context! { anchor => anchor(&field.link_id), label => label, text => text.as_str() })
            })
            .collect();
        context! { questions => draw(&self.fields), legs => legs, wrong => wrong, is_saved => false }
    }
}

/// The fields of each leg, with ids of their own.
fn legs(list: &FormField, language: Language) -> Vec<Leg> {
    let limbs = list.fields.iter().filter(|field| name_of(&field.link_id) == LIMB).flat_map(|field| &field.options);
    limbs
        .map(|limb| {
            let own = list.fields.iter().filter(|field| name_of(&field.link_id) != LIMB);
            let named = own.map(|field| {
                // Only the class of an assessed leg is required, so no field is before something is known of the leg.
                let link_id = format!("{}-{}.{}", list.link_id, limb.value, name_of(&field.link_id));
                FormField { link_id, required: false, ..field.clone() }
            });
            Leg { limb: limb.value.clone(), title: say(&limb.label, language).to_owned(), fields: named.collect() }
        })
        .collect()
}

/// The values that are given, by the names of the API.
fn members(fields: &[FormField], given: &Given) -> Map<String, Json> {
    let known = fields
        .iter()
        .filter_map(|field| Some((name_of(&field.link_id).to_owned(), given.get(&field.link_id)?.clone())));
    known.filter(|(_, value)| !value.is_null()).collect()
}

/// The fields of a review, for the test that renders every branch of the templates.
#[cfg(test)]
pub(super) fn example(language: Language) -> ReviewForm {
    let settings = rls::form::FormSettings::default();
    ReviewForm::of(rls::form(FormName::History, Some(language), settings).review.fields, language)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn review() -> Json {
        json!({
            "mimic_review": "not_solely_explained",
            "ceap": [{"limb": "right", "class": "C2r", "suffix": "s", "assessed_by": "Dr. Reed", "date": "2026-06-01"}],
            "contributors_confirmed": ["iron_deficiency", "genetics"],
            "plan_note": "Iron.\nCompression.",
            "recheck_on": "2026-09-01"
        })
    }

    #[test]
    fn a_stored_review_is_built_again_as_it_was() {
        let form = example(Language::English);
        let stored: rls::Review = serde_json::from_value(review()).expect("a review");
        assert_eq!(form.built(&form.stored(&stored).expect("values")), review());
        assert_eq!(form.built(&form.stored(&rls::Review::default()).expect("values")), json!({}));
    }

    #[test]
    fn a_form_is_read_and_a_mistake_stands_at_its_leg() {
        let form = example(Language::English);
        let sent = Sent::read(
            b"asked=review.mimic_review&asked=review.plan_note&review.plan_note=a%0D%0Ab&asked=review.ceap-left.class&asked=review.ceap-right.date\
              &review.ceap-right.date.year=2026&review.ceap-right.date.month=6&review.ceap-right.date.day=1",
        );
        let given = form.sent(&sent);
        assert_eq!(form.built(&given), json!({"plan_note": "a\nb", "ceap": [{"limb": "right", "date": "2026-06-01"}]}));
        let wrong = [
            FieldError::new("/ceap/0/class", FieldCode::Required, "is required"),
            FieldError::new("/mimic_review", FieldCode::Required, "is required"),
            FieldError::new("/recheck_on", FieldCode::WrongValue, "cannot be read"),
        ];
        let mistakes = form.mistakes(&given, &wrong);
        let places: Vec<&str> = mistakes.keys().map(String::as_str).collect();
        assert_eq!(places, ["review.ceap-right.class", "review.mimic_review", "review.recheck_on"]);
        assert!(mistakes["review.recheck_on"].contains("whole date"));
    }
}
