//! The form and the Rust type cannot drift: their fields are compared one by one, both ways.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::answers::Answers;
use crate::tests::example;
use crate::text_pack::tests::invented;

fn both() -> Form {
    form(FormName::History, None, FormSettings::default())
}

/// Every field of the form by its id, those of entries with it.
fn fields(form: &Form) -> BTreeMap<String, FormField> {
    fn walk(field: &FormField, into: &mut BTreeMap<String, FormField>) {
        assert!(into.insert(field.link_id.clone(), field.clone()).is_none(), "{} occurs twice", field.link_id);
        for child in &field.fields {
            walk(child, into);
        }
    }
    let mut all = BTreeMap::new();
    for field in form.sections.iter().chain(&form.clinician_sections).flat_map(|section| &section.fields) {
        walk(field, &mut all);
    }
    all
}

fn follow<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(target.trim_start_matches('#')).unwrap_or_else(|| panic!("{target} is not defined"));
        return follow(target, root);
    }
    schema
}

/// Every leaf and every list of the schema by its path.
fn paths(schema: &Value) -> BTreeMap<String, Value> {
    fn walk(schema: &Value, root: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let described = member.get("description").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            assert!(described, "{path} has no description");
            let member = follow(member, root);
            if member["type"] == "object" {
                assert_eq!(member["additionalProperties"], json!(false), "{path}");
                walk(member, root, &path, into);
                continue;
            }
            into.insert(path.clone(), member.clone());
            let items = follow(&member["items"], root);
            if items["type"] == "object" {
                assert_eq!(items["additionalProperties"], json!(false), "{path}");
                walk(items, root, &path, into);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(schema, schema, "", &mut all);
    all
}

#[test]
fn each_form_and_the_schema_of_its_answers_have_the_same_fields() {
    for (name, least) in [(FormName::History, 150), (FormName::FollowUp, 10)] {
        let form = form(name, None, FormSettings::default());
        let in_form: Vec<String> = fields(&form).into_keys().collect();
        let in_schema: Vec<String> = paths(&form.json_schema).into_keys().collect();
        assert_eq!(in_form, in_schema);
        assert!(in_form.len() >= least, "{}", in_form.len());
    }
}

#[test]
fn every_field_has_the_type_bounds_and_options_of_its_schema() {
    let form = both();
    let schema = &form.json_schema;
    let paths = paths(schema);
    for (id, field) in fields(&form) {
        let of = &paths[&id];
        let values = |of: &Value| -> Vec<String> {
            let all = of["enum"].as_array().unwrap_or_else(|| panic!("{id} has no options"));
            all.iter().filter_map(Value::as_str).filter(|value| *value != "not_asked").map(str::to_owned).collect()
        };
        let offered: Vec<String> = field.options.iter().map(|option| option.value.clone()).collect();
        let bounds = |of: &Value| (of["minimum"].as_i64(), of["maximum"].as_i64());
        match field.r#type {
            FieldType::Choice => assert_eq!(offered, values(of), "{id}"),
            FieldType::Choices => {
                assert_eq!(of["type"], "array", "{id}");
                assert_eq!(offered, values(follow(&of["items"], schema)), "{id}");
                assert_eq!(of["maxItems"].as_u64().map(usize::try_from), field.max_items.map(Ok), "{id}");
            }
            FieldType::Integer | FieldType::Decimal => {
                let name = if field.r#type == FieldType::Integer { "integer" } else { "number" };
                assert_eq!(of["type"], name, "{id}");
                assert_eq!(bounds(of), (field.minimum, field.maximum), "{id}");
                assert!(field.minimum < field.maximum, "{id}");
            }
            FieldType::Scores => {
                assert_eq!(of["minItems"].as_u64().map(usize::try_from), field.count.map(Ok), "{id}");
                assert_eq!(of["maxItems"], of["minItems"], "{id}");
                assert_eq!(bounds(&of["items"]), (field.minimum, field.maximum), "{id}");
                assert_eq!(field.scores.len(), 10);
            }
            FieldType::Date => assert_eq!(of["format"], "date", "{id}"),
            FieldType::PartialDate | FieldType::Time => assert!(of["pattern"].is_string(), "{id}"),
            FieldType::Text | FieldType::LongText => {
                assert_eq!(of["maxLength"].as_u64().map(usize::try_from), field.max_length.map(Ok), "{id}");
            }
            FieldType::Entries => {
                assert_eq!(of["type"], "array", "{id}");
                assert!(!field.fields.is_empty(), "{id}");
            }
        }
    }
}

#[test]
fn the_schema_and_the_type_accept_the_same_values() {
    let form = both();
    for (id, field) in fields(&form).into_iter().filter(|(_, field)| field.fields.is_empty()) {
        let (good, bad): (Vec<Value>, Vec<Value>) = match field.r#type {
            FieldType::Choice => {
                (field.options.iter().map(|o| json!(o.value)).collect(), vec![json!("nonsense"), json!(1)])
            }
            FieldType::Choices => {
                (field.options.iter().map(|o| json!([o.value])).collect(), vec![json!(["nonsense"]), json!("x")])
            }
            FieldType::Integer => (
                vec![json!(field.minimum), json!(field.maximum)],
                vec![json!(field.minimum.map(|n| n - 1)), json!(field.maximum.map(|n| n + 1)), json!(0.5)],
            ),
            FieldType::Decimal => (
                vec![json!(field.minimum), json!(field.maximum)],
                vec![json!(field.minimum.map(|n| n - 1)), json!(field.maximum.map(|n| n + 1)), json!("1")],
            ),
            FieldType::Scores => (
                vec![json!([0, 1, 2, 3, 4, null, 0, 0, 0, 0])],
                vec![json!([0]), json!([5, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
            ),
            FieldType::Date => (vec![json!("2026-02-28")], vec![json!("2026-02"), json!("2026-02-30")]),
            FieldType::PartialDate => {
                (vec![json!("2026"), json!("2026-02"), json!("2026-02-28")], vec![json!("2026-13"), json!(2026)])
            }
            FieldType::Time => (vec![json!("00:00"), json!("23:59")], vec![json!("24:00"), json!("7:00")]),
            FieldType::Text | FieldType::LongText => {
                let max = field.max_length.unwrap_or_default();
                (vec![json!("x".repeat(max))], vec![json!("x".repeat(max + 1)), json!(""), json!(7)])
            }
            FieldType::Entries => (vec![], vec![]),
        };
        let list =
            ["labs", "medications", "allergies", "lifestyle", "venous.vein_procedures", "venous.diagnostic_tests"];
        let put = |value: &Value| -> Value {
            let parts: Vec<&str> = id.split('.').collect();
            parts.iter().enumerate().rev().fold(value.clone(), |inner, (at, name)| {
                let entry = at < parts.len() - 1 && list.contains(&parts[..=at].join(".").as_str());
                json!({*name: if entry { json!([inner]) } else { inner }})
            })
        };
        let validator = jsonschema::validator_for(&form.json_schema).expect("a schema");
        for value in good {
            let answers = put(&value);
            assert!(serde_json::from_value::<Answers>(answers.clone()).is_ok(), "{answers}");
            assert!(validator.is_valid(&answers), "{answers}");
        }
        for value in bad {
            let answers = put(&value);
            assert!(serde_json::from_value::<Answers>(answers.clone()).is_err(), "{answers}");
        }
    }
}

#[test]
fn the_worked_example_fits_the_json_schema() {
    let schema = both().json_schema;
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&example()["answers"]));
    assert!(!validator.is_valid(&json!({"symptoms": {"days_per_week_untreated": 8}})));
    assert!(!validator.is_valid(&json!({"symptoms": {"unheard_of": 1}})));
}

#[test]
fn safety_comes_first_and_20_questions_are_required_without_the_licensed_scale() {
    let form = both();
    assert_eq!(form.sections[0].id, "safety");
    let required = fields(&form).into_values().filter(|field| field.required && field.condition.is_none());
    let outside_lists = required.filter(|field| {
        !["labs.", "medications.", "allergies.", "lifestyle.", "venous.vein_procedures.", "venous.diagnostic_tests."]
            .iter()
            .any(|list| field.link_id.starts_with(list))
    });
    assert_eq!(outside_lists.count(), 20);
}

#[test]
fn conditions_name_fields_of_the_form_and_values_that_they_offer() {
    for name in FormName::ALL {
        check_conditions(&fields(&form(name, None, FormSettings::default())));
    }
}

fn check_conditions(fields: &BTreeMap<String, FormField>) {
    for (id, field) in fields {
        for test in field.condition.iter().flat_map(|condition| &condition.any) {
            let other = fields.get(&test.field).unwrap_or_else(|| panic!("{id} asks for {}", test.field));
            if test.operator == FormOperator::OneOf {
                for value in &test.values {
                    assert!(other.options.iter().any(|option| option.value == *value), "{id}: {value}");
                }
            }
        }
    }
}

#[test]
fn every_text_is_in_both_languages_or_in_the_requested_one() {
    fn texts(value: &Value, into: &mut Vec<Value>) {
        match value {
            Value::Object(object) if object.contains_key("en") || object.contains_key("es") => into.push(value.clone()),
            Value::Object(object) => {
                object.iter().filter(|(name, _)| *name != "json_schema").for_each(|(_, v)| texts(v, into));
            }
            Value::Array(values) => values.iter().for_each(|v| texts(v, into)),
            _ => {}
        }
    }
    let all = |language| {
        let mut into = Vec::new();
        for name in FormName::ALL {
            let form = serde_json::to_value(form(name, language, FormSettings::default())).expect("written");
            texts(&form, &mut into);
        }
        into
    };
    let there = |text: &Value, language: &str| text[language].as_str().is_some_and(|text| !text.trim().is_empty());
    assert!(all(None).iter().all(|text| there(text, "en") && there(text, "es")));
    assert!(all(Some(Language::English)).iter().all(|text| there(text, "en") && text.get("es").is_none()));
    assert!(all(Some(Language::Spanish)).iter().all(|text| there(text, "es") && text.get("en").is_none()));
}

#[test]
fn the_questions_of_the_rating_scale_come_only_from_a_licensed_pack() {
    let items = |settings| fields(&form(FormName::History, None, settings)).remove("irls.items").expect("there");
    let unlicensed = items(FormSettings::default());
    assert!(unlicensed.clinician_only);
    assert!(unlicensed.scores.iter().all(|score| score.options.is_empty()));
    assert_eq!(unlicensed.scores[2].label.en.as_deref(), Some("Relief (4: none)"));

    let pack = TextPack::load(invented().to_string().as_bytes()).expect("a pack");
    let licensed = items(FormSettings { text_pack: Some(&pack), ..FormSettings::default() });
    assert!(!licensed.clinician_only);
    assert_eq!(licensed.scores[0].label.en.as_deref(), Some("Invented?"));
    assert_eq!(licensed.scores[9].options.len(), 5);
}

#[test]
fn patients_are_not_asked_for_what_only_clinicians_answer() {
    let pack = TextPack::load(invented().to_string().as_bytes()).expect("a pack");
    for settings in [
        FormSettings::default(),
        FormSettings { self_harm_in_clinician_part: true, ..FormSettings::default() },
        FormSettings { text_pack: Some(&pack), ..FormSettings::default() },
    ] {
        let form = form(FormName::History, None, settings);
        let ids = |sections: &[FormSection], clinician_only: bool| -> Vec<String> {
            let fields = sections.iter().inspect(|one| assert_eq!(one.clinician_only, clinician_only));
            let fields = fields.flat_map(|section| &section.fields);
            let fields = fields.inspect(|field| assert_eq!(field.clinician_only, clinician_only, "{}", field.link_id));
            fields.map(|field| field.link_id.clone()).collect()
        };
        let (for_all, for_clinicians) = (ids(&form.sections, false), ids(&form.clinician_sections, true));
        for metadata in ["irls.irls_version", "irls.irls_recall_days", "irls.irls_mode", "irls.irls_assessed_on"] {
            assert!(for_clinicians.iter().any(|id| id == metadata) && !for_all.iter().any(|id| id == metadata));
        }
        let licensed = settings.text_pack.is_some();
        assert_eq!(for_all.iter().any(|id| id == "irls.items"), licensed);
        assert_eq!(
            for_clinicians.iter().any(|id| id == "safety.self_harm_thoughts"),
            settings.self_harm_in_clinician_part
        );
    }
}

#[test]
fn a_setting_reserves_the_question_about_self_harm_for_clinicians() {
    let self_harm = |moved| {
        let settings = FormSettings { self_harm_in_clinician_part: moved, ..FormSettings::default() };
        fields(&form(FormName::History, None, settings))
            .remove("safety.self_harm_thoughts")
            .expect("there")
            .clinician_only
    };
    assert!(!self_harm(false));
    assert!(self_harm(true));
}

#[test]
fn a_field_has_only_codes_that_assert_no_more_than_its_answer() {
    let codes = |field: &FormField| {
        let of = field.codes.iter();
        of.map(|code| (field.link_id.clone(), code.system.clone(), code.code.clone())).collect::<Vec<_>>()
    };
    let form = fields(&both());
    let found: Vec<_> = form.values().flat_map(codes).collect();
    let found: Vec<_> = found.iter().map(|(id, system, code)| (id.as_str(), system.as_str(), code.as_str())).collect();
    let (loinc, snomed) = ("http://loinc.org", "http://snomed.info/sct");
    let icd = "http://hl7.org/fhir/sid/icd-10-cm";
    assert_eq!(
        found,
        [
            ("risk.esrd", icd, "N18.6"),
            ("risk.estimated_due_date", loinc, "11778-8"),
            ("risk.gestational_weeks", loinc, "18185-9"),
            ("risk.iron_deficiency", icd, "E61.1"),
            ("risk.multiple_sclerosis", snomed, "24700007"),
            ("risk.parkinson_disease", snomed, "49049000"),
            ("risk.pregnancy_status", loinc, "82810-3"),
            ("venous.dvt_ever", icd, "Z86.718"),
        ]
    );
}

#[test]
fn link_ids_never_change() {
    let ids: Vec<String> = fields(&both()).into_keys().collect();
    let kept = include_str!("link_ids.txt");
    let missing: Vec<&str> = kept.lines().filter(|id| !ids.iter().any(|of| of == id)).collect();
    assert!(missing.is_empty(), "a form may grow, but these are gone: {missing:?}");
    let new: Vec<&String> = ids.iter().filter(|id| !kept.lines().any(|of| of == *id)).collect();
    assert!(new.is_empty(), "write these into link_ids.txt and give the form a new version: {new:?}");
}
