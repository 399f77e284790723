//! The fields of the details, and the registration that they make. The rules are those of the API; this only says which field a broken rule
//! is about.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::super::form_post::Sent;
use crate::error::FieldError;
use crate::patients::consents::ConsentType;

/// The fields of the patient and of the account, in the order of the page.
pub(super) const FIELDS: [&str; 14] = [
    "relation",
    "name",
    "email",
    "given_name",
    "family_name",
    "mononym",
    "born_month",
    "born_day",
    "born_year",
    "administrative_sex",
    "phone",
    "language",
    "other_language",
    "interpreter",
];

/// The fields of the decision on a document: the decision, and the version that was shown.
pub(super) fn consent_fields(consent: ConsentType) -> [String; 2] {
    [format!("consent_{}", consent.as_str()), format!("version_{}", consent.as_str())]
}

/// The names of all fields that a visitor fills in.
pub(super) fn all() -> impl Iterator<Item = String> {
    let consents = ConsentType::ALL.iter().flat_map(|consent| consent_fields(*consent));
    FIELDS.into_iter().map(str::to_owned).chain(consents)
}

/// What was typed, with an empty text for a field that was not sent.
pub(super) fn typed(sent: &Sent) -> BTreeMap<String, String> {
    all()
        .map(|name| {
            let value = sent.first(&name).to_owned();
            (name, value)
        })
        .collect()
}

/// What was typed, as the fields of a form.
pub(super) fn filled(sent: &Sent) -> Vec<(String, String)> {
    typed(sent).into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Builds the registration. A member that must be there is missing only if nothing was chosen, so that the rules say so.
pub(super) fn registration(sent: &Sent) -> Value {
    let text = |name: &str| sent.first(name).trim().to_owned();
    let mut patient = Map::new();
    let mononym = !text("mononym").is_empty();
    if mononym {
        patient.insert("mononym".into(), true.into());
    } else if !text("given_name").is_empty() {
        patient.insert("given_name".into(), text("given_name").into());
    }
    patient.insert("family_name".into(), text("family_name").into());
    if let Some(day) = birth_date(sent) {
        patient.insert("date_of_birth".into(), day.into());
    }
    for (field, member) in [("administrative_sex", "administrative_sex"), ("phone", "phone")] {
        if !text(field).is_empty() {
            patient.insert(member.into(), text(field).into());
        }
    }
    let language = text("language");
    let language = if language == "other" { text("other_language") } else { language };
    patient.insert("preferred_language".into(), language.into());
    patient.insert("interpreter_needed".into(), (!text("interpreter").is_empty()).into());
    let mut registration = Map::new();
    registration.insert("email".into(), text("email").into());
    if !text("relation").is_empty() {
        registration.insert("relation".into(), text("relation").into());
    }
    if text("relation") != "self" && !text("name").is_empty() {
        registration.insert("name".into(), text("name").into());
    }
    registration.insert("patient".into(), patient.into());
    let decided = decided(sent).map(|(consent, [decision, version])| {
        json!({"type": consent.as_str(), "version": version, "decision": decision, "method": "online"})
    });
    registration.insert("consents".into(), decided.collect());
    registration.insert(
        "appointment".into(),
        json!({"hold_id": sent.first("hold_id"), "hold_secret": sent.first("hold_secret")}),
    );
    registration.into()
}

/// The documents with a decision, in the order in which the registration has them, with decision and version.
fn decided(sent: &Sent) -> impl Iterator<Item = (ConsentType, [&str; 2])> {
    ConsentType::ALL.iter().filter_map(|consent| {
        let values = consent_fields(*consent).map(|name| sent.first(&name));
        (!values[0].is_empty()).then_some((*consent, values))
    })
}

/// The months in English and Spanish.
const MONTHS: [[&str; 2]; 12] = [
    ["january", "enero"],
    ["february", "febrero"],
    ["march", "marzo"],
    ["april", "abril"],
    ["may", "mayo"],
    ["june", "junio"],
    ["july", "julio"],
    ["august", "agosto"],
    ["september", "septiembre"],
    ["october", "octubre"],
    ["november", "noviembre"],
    ["december", "diciembre"],
];

/// The number of a month, by its name or at least three letters of it.
fn month_of_name(typed: &str) -> Option<usize> {
    let typed = typed.trim_end_matches('.').to_lowercase();
    let is_long = typed.len() >= 3;
    MONTHS.iter().position(|names| is_long && names.iter().any(|name| name.starts_with(&typed))).map(|index| index + 1)
}

/// Year, month and day of the birth as they were typed, with a number for the name of a month.
fn born(sent: &Sent) -> [String; 3] {
    let [year, month, day] = ["born_year", "born_month", "born_day"].map(|name| sent.first(name).trim().to_owned());
    let month = month_of_name(&month).map_or(month, |number| number.to_string());
    [year, month, day]
}

/// The birth date as the API takes it; none if nothing was typed.
fn birth_date(sent: &Sent) -> Option<String> {
    let [year, month, day] = born(sent);
    (!(year.is_empty() && month.is_empty() && day.is_empty())).then(|| format!("{year}-{month:0>2}-{day:0>2}"))
}

/// Why the birth date is wrong: its `year` has fewer than four digits, the `day` does not exist, it is out of `range`. Empty for every other
/// reason.
pub(super) fn born_mistake(sent: &Sent) -> &'static str {
    let [year, month, day] = born(sent);
    let (Ok(number), Ok(month), Ok(day)) = (year.parse::<i16>(), month.parse::<i8>(), day.parse::<i8>()) else {
        return "";
    };
    if year.len() < 4 {
        "year"
    } else if Date::new(number, month, day).is_err() {
        "day"
    } else {
        "range"
    }
}

/// The members that broken rules leave out, with harmless values, so that the other rules can be checked as well.
pub(super) fn without_wrong(built: &Value, errors: &[FieldError]) -> Value {
    let mut built = built.clone();
    for error in errors {
        match error.pointer.as_str() {
            "/relation" => built["relation"] = "self".into(),
            "/patient/date_of_birth" => built["patient"]["date_of_birth"] = "2000-01-01".into(),
            "/patient/administrative_sex" => built["patient"]["administrative_sex"] = "unknown".into(),
            _ => {}
        }
    }
    built
}

/// The field that a broken rule is about; none if the visitor cannot mend it.
fn field_of(sent: &Sent, pointer: &str) -> Option<String> {
    let field = match pointer {
        "/relation" => "relation",
        "/name" => "name",
        "/email" => "email",
        "/patient/given_name" | "/patient/mononym" => "given_name",
        "/patient/family_name" => "family_name",
        "/patient/date_of_birth" => "born_month",
        "/patient/administrative_sex" => "administrative_sex",
        "/patient/phone" => "phone",
        "/patient/preferred_language" if sent.first("language") == "other" => "other_language",
        "/patient/preferred_language" => "language",
        "/patient/interpreter_needed" => "interpreter",
        _ => {
            let index = pointer.strip_prefix("/consents/")?.split('/').next()?.parse().ok()?;
            let (consent, _) = decided(sent).nth(index)?;
            return Some(consent_fields(consent)[0].clone());
        }
    };
    Some(field.to_owned())
}

/// The fields with broken rules, in the order of the page.
pub(super) fn wrong(sent: &Sent, errors: &[FieldError]) -> Vec<String> {
    let fields: Vec<String> = errors.iter().filter_map(|error| field_of(sent, &error.pointer)).collect();
    all().filter(|name| fields.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_makes_the_registration_of_the_api() {
        let form = b"relation=parent&name=Rosa+Example&given_name=+Leo+&family_name=Example&born_month=9&born_day=4&born_year=2015\
            &administrative_sex=male&email=rosa%40example.org&phone=&language=other&other_language=pt&interpreter=yes\
            &consent_privacy_notice=declined&version_privacy_notice=3&hold_id=1&hold_secret=s";
        let built = registration(&Sent::read(form));
        let expected = json!({
            "email": "rosa@example.org", "relation": "parent", "name": "Rosa Example",
            "patient": {
                "given_name": "Leo", "family_name": "Example", "date_of_birth": "2015-09-04", "administrative_sex": "male",
                "preferred_language": "pt", "interpreter_needed": true
            },
            "consents": [{"type": "privacy_notice", "version": "3", "decision": "declined", "method": "online"}],
            "appointment": {"hold_id": "1", "hold_secret": "s"},
        });
        assert_eq!(built, expected);
    }

    #[test]
    fn a_month_can_be_typed_as_its_name_and_the_mistake_of_a_birth_date_is_named() {
        for (year, month, day, date, mistake) in [
            ("1971", "4", "30", "1971-04-30", "range"),
            ("1971", " April ", "1", "1971-04-01", "range"),
            ("1971", "ABR.", "1", "1971-04-01", "range"),
            ("1971", "sept", "1", "1971-09-01", "range"),
            ("71", "4", "1", "71-04-01", "year"),
            ("1971", "4", "31", "1971-04-31", "day"),
            ("1971", "13", "1", "1971-13-01", "day"),
            ("1971", "Ma", "1", "1971-Ma-01", ""),
            ("", "4", "1", "-04-01", ""),
        ] {
            let form = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("born_year", year), ("born_month", month), ("born_day", day)])
                .finish();
            let sent = Sent::read(form.as_bytes());
            assert_eq!((birth_date(&sent).as_deref(), born_mistake(&sent)), (Some(date), mistake), "{form}");
        }
        assert_eq!((birth_date(&Sent::read(b"")), born_mistake(&Sent::read(b""))), (None, ""));
    }

    #[test]
    fn a_broken_rule_is_shown_at_its_field_in_the_order_of_the_page() {
        let sent = Sent::read(b"language=other&consent_privacy_notice=accepted");
        let error = |pointer: &str| FieldError::new(pointer, crate::error::FieldCode::Required, "");
        let errors = [
            "/patient/preferred_language",
            "/consents/0/version",
            "/consents/1/version",
            "/patient/date_of_birth",
            "/relation",
            "/appointment/hold_id",
        ]
        .map(error);
        assert_eq!(wrong(&sent, &errors), ["relation", "born_month", "other_language", "consent_privacy_notice"]);
    }
}
