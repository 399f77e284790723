//! Properties that hold for any answers.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{adult, healthy};
use crate::criteria::ThreeValued;
use crate::form::{FieldType, Form, FormField, FormSettings};
use crate::{
    Answers, Context, FilledBy, Flag, FormName, Language, PhoneNumbers, Rule, Urgency, apply_patch, compute, copy_from,
    flag_notices, form, mark_not_asked, parse, patient_summary,
};

fn definition() -> &'static Form {
    static FORM: std::sync::LazyLock<Form> =
        std::sync::LazyLock::new(|| form(FormName::History, None, FormSettings::default()));
    &FORM
}

/// A value of the field's type, mostly.
fn value(field: &FormField) -> BoxedStrategy<Value> {
    let options: Vec<Value> = field.options.iter().map(|option| json!(option.value)).collect();
    let (least, greatest) = (field.minimum.unwrap_or(0), field.maximum.unwrap_or(1));
    let dates =
        ["1960", "1967-09", "1999-12-31", "2020", "2025-06-04", "2026-03", "2026-05-12", "2026-06-04", "2027-01-01"];
    let names =
        ["pramipexole", "Benadryl", "oxycodone", "Xanax", "ferrous sulfate", "gabapentin", "Nonesuch", "lithium"];
    match field.r#type {
        FieldType::Choice => prop::sample::select(options).boxed(),
        FieldType::Choices => prop::collection::vec(prop::sample::select(options), 0..4).prop_map(Value::from).boxed(),
        FieldType::Integer => (least..=greatest).prop_map(Value::from).boxed(),
        FieldType::Decimal => prop_oneof![
            (least..=greatest).prop_map(Value::from),
            (0.0..=1.0_f64).prop_map(move |part| {
                let span = i32::try_from(greatest - least).map_or(1.0, f64::from);
                json!(i32::try_from(least).map_or(0.0, f64::from) + span * part)
            }),
        ]
        .boxed(),
        FieldType::Scores => {
            prop::collection::vec(prop::option::weighted(0.95, 0..=4_i64), 10).prop_map(|all| json!(all)).boxed()
        }
        FieldType::Date => {
            prop::sample::select(vec!["1999-12-31", "2026-05-12", "2026-06-04", "2026-10-01", "9999-12-31"])
                .prop_map(Value::from)
                .boxed()
        }
        FieldType::PartialDate => prop::sample::select(dates.to_vec()).prop_map(Value::from).boxed(),
        FieldType::Time => Just(json!("21:30")).boxed(),
        FieldType::Text | FieldType::LongText => prop::sample::select(names.to_vec()).prop_map(Value::from).boxed(),
        FieldType::Entries => prop::collection::vec(group(&field.fields, 0.7), 0..4).prop_map(Value::from).boxed(),
    }
}

/// Any of the fields, each there with this probability.
fn group(fields: &[FormField], there: f64) -> BoxedStrategy<Value> {
    let members: Vec<_> = fields
        .iter()
        .map(|field| {
            let name = field.link_id.rsplit('.').next().unwrap_or_default().to_owned();
            prop::option::weighted(there, value(field)).prop_map(move |value| (name.clone(), value))
        })
        .collect();
    members
        .prop_map(|members| {
            Value::Object(members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect::<Map<_, _>>())
        })
        .boxed()
}

/// Answers that are right in type and may be anything else.
fn any_answers(there: f64) -> BoxedStrategy<Value> {
    let sections: Vec<_> = definition()
        .sections
        .iter()
        .chain(&definition().clinician_sections)
        .map(|section| {
            let id = section.id.clone();
            let nested = section.fields.iter().all(|field| field.link_id.starts_with(&format!("{id}.")));
            group(&section.fields, there).prop_map(move |given| if nested { json!({id.clone(): given}) } else { given })
        })
        .collect();
    sections.prop_map(|sections| sections.iter().fold(json!({}), |all, one| apply_patch(&all, one))).boxed()
}

fn contexts() -> BoxedStrategy<Context> {
    let filled_by =
        prop::sample::select(vec![FilledBy::Patient, FilledBy::Guardian, FilledBy::Staff, FilledBy::Practitioner]);
    (1900..=2026_i16, filled_by, any::<bool>())
        .prop_map(|(year, filled_by, recorded_male)| Context {
            recorded_male,
            ..Context::new(jiff::civil::date(year, 2, 3), jiff::civil::date(2026, 6, 4), filled_by)
        })
        .boxed()
}

/// Any JSON at all.
fn any_json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "[ -~]{0,8}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "safety",
        "symptoms",
        "labs",
        "irls",
        "items",
        "value",
        "unit",
        "test",
        "medications",
        "x/y~z",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| Value::Object(
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
    .boxed()
}

/// Returns the answers without the fields that are not named.
fn only(given: &Value, fields: &[&str]) -> Value {
    let is_named = |id: &str| fields.contains(&id);
    let members = |section: &str, group: &Value| -> Value {
        let members = group.as_object().into_iter().flatten();
        let kept = members.filter(|(name, _)| is_named(section) || is_named(&format!("{section}.{name}")));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into()
    };
    let sections = given.as_object().into_iter().flatten();
    let kept = sections.filter_map(|(section, value)| match value {
        Value::Array(entries) => Some((section.clone(), entries.iter().map(|entry| members(section, entry)).collect())),
        Value::Object(_) => Some((section.clone(), members(section, value))),
        _ => is_named(section).then(|| (section.clone(), value.clone())),
    });
    kept.collect::<Map<_, _>>().into()
}

fn read(value: &Value) -> Option<Answers> {
    parse(value, "").ok()
}

fn emergencies(answers: &Answers) -> Vec<&'static str> {
    let flags = compute(answers, &adult()).flags;
    flags.into_iter().filter(|flag| flag.urgency == Urgency::Emergency).map(|flag| flag.rule.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answers_make_anything_panic(given in any_answers(0.6), context in contexts()) {
        // Values that do not fit their laboratory test are refused; the rest of such answers is still good.
        let answers = read(&given).or_else(|| read(&apply_patch(&given, &json!({"labs": null})))).expect("right in type");
        let computed = compute(&answers, &context);
        prop_assert!(compute(&answers, &context) == computed, "deterministic");
        let written = serde_json::to_value(&answers).expect("written");
        prop_assert!(compute(&read(&written).expect("reads itself"), &context) == computed, "idempotent");
        let numbers = PhoneNumbers { emergency: "112".into(), crisis: "113".into(), clinic: "+1".into() };
        for language in [Language::English, Language::Spanish] {
            flag_notices(&computed.flags, language, &numbers);
            patient_summary(FormName::History, &answers, &computed, language);
        }
        let marked = mark_not_asked(&answers, &context);
        prop_assert!(mark_not_asked(&marked, &context) == marked);
        prop_assert!(compute(&marked, &context).flags == computed.flags, "what was not asked raises nothing");
        let copied = copy_from(&answers);
        prop_assert!(copied.safety.is_blank() && copied.symptoms.is_blank() && copied.irls.is_blank());
    }

    #[test]
    fn no_json_makes_reading_panic_and_every_error_has_its_place(given in any_json()) {
        if let Err(crate::Invalid(errors)) = parse(&given, "") {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(given.pointer(&error.pointer).is_some(), "{} in {given}", error.pointer);
            }
        }
    }

    #[test]
    fn the_total_is_null_unless_ten_items_are_there(items in prop::collection::vec(prop::option::weighted(0.9, 0..=4_i64), 10)) {
        let computed = compute(&read(&json!({"irls": {"items": items}})).expect("read"), &adult());
        let sum = items.iter().copied().sum::<Option<i64>>();
        prop_assert_eq!(computed.irls_total, sum);
        prop_assert_eq!(computed.irls_band.is_some(), sum.is_some());
    }

    #[test]
    fn unknown_never_becomes_yes_or_no(answers in prop::collection::vec(prop::option::of(0..4_usize), 6)) {
        let names = ["urge_to_move_legs", "worse_at_rest", "relief_with_movement", "relief_previously_present",
            "worse_evening_or_night", "evening_pattern_previously_present"];
        let values = ["yes", "no", "unknown", "prefer_not_to_say"];
        let given: Map<String, Value> = names.iter().zip(&answers)
            .filter_map(|(name, at)| Some(((*name).to_owned(), json!(values[(*at)?])))).collect();
        let computed = compute(&read(&json!({"symptoms": given})).expect("read"), &adult());
        let criteria = [computed.criteria.c1, computed.criteria.c2, computed.criteria.c3, computed.criteria.c4];
        for (criterion, of) in criteria.into_iter().zip([&names[0..1], &names[1..2], &names[2..4], &names[4..6]]) {
            let said: Vec<&str> = of.iter().filter_map(|name| given.get(*name).and_then(Value::as_str)).collect();
            match criterion {
                ThreeValued::Yes => prop_assert!(said.contains(&"yes")),
                ThreeValued::No => prop_assert!(said.len() == of.len() && said.iter().all(|answer| *answer == "no")),
                ThreeValued::Unknown => prop_assert!(!said.contains(&"yes")),
            }
        }
        prop_assert!(computed.irlssg_criteria_met != Some(true), "no patient certifies the fifth criterion");
        prop_assert_eq!(computed.irlssg_criteria_met == Some(false), criteria.contains(&ThreeValued::No));
    }

    #[test]
    fn an_answer_more_never_takes_an_emergency_back(given in any_answers(0.4), more in any_answers(0.3)) {
        // Only what is not answered yet is added.
        fn added(base: &Value, more: &Value) -> Value {
            let mut all = base.clone();
            let (Some(object), Some(more)) = (all.as_object_mut(), more.as_object()) else { return all };
            for (name, value) in more {
                match object.get(name) {
                    None => { object.insert(name.clone(), value.clone()); }
                    Some(known) if known.is_object() => { let both = added(known, value); object.insert(name.clone(), both); }
                    Some(_) => {}
                }
            }
            all
        }
        let base = apply_patch(&given, &json!({"labs": null}));
        let all = added(&base, &apply_patch(&more, &json!({"labs": null})));
        let (before, after) = (emergencies(&read(&base).expect("read")), emergencies(&read(&all).expect("read")));
        for rule in before {
            prop_assert!(after.contains(&rule), "{rule}");
        }
    }

    #[test]
    fn saving_in_sections_gives_the_same_as_saving_at_once(given in any_answers(0.5)) {
        let whole = apply_patch(&healthy(), &given);
        let parts = given.as_object().expect("object").iter()
            .fold(healthy(), |all, (name, value)| apply_patch(&all, &json!({name: value})));
        prop_assert_eq!(&whole, &parts);
    }

    #[test]
    fn findings_change_by_themselves_only_on_the_day_that_they_name(
        given in any_answers(0.6), recheck in prop::option::of(0..900_i32), days in prop::collection::vec(0..900_i32, 4)
    ) {
        let answers = read(&given).or_else(|| read(&apply_patch(&given, &json!({"labs": null})))).expect("right in type");
        let on = |days: i32| adult().today.saturating_add(jiff::Span::new().days(days));
        let at = |today| compute(&answers, &Context { today, recheck_on: recheck.map(on), ..adult() });
        let mut before = at(adult().today);
        let mut days: Vec<_> = days.into_iter().map(on).collect();
        days.sort_unstable();
        for day in days {
            let mut steps = 0;
            while let Some(next) = before.changes_on.filter(|next| *next <= day) {
                before = at(next);
                steps += 1;
                prop_assert!(before.changes_on.is_none_or(|after| after > next) && steps < 50);
            }
            prop_assert!(at(day) == before, "{day}");
        }
    }

    #[test]
    fn a_flag_follows_from_the_inputs_that_its_rule_names(
        given in any_answers(0.6), follow_up in any::<bool>(), iron in prop::option::of((0..400_u32, 0..60_u32))
    ) {
        let form = if follow_up { FormName::FollowUp } else { FormName::History };
        let context = Context { form, ..adult() };
        let labs = iron.map(|(ferritin, tsat)| json!([
            {"test": "ferritin", "value": ferritin, "unit": "ng/mL", "collected_on": "2026-05-12"},
            {"test": "tsat", "value": tsat, "unit": "%", "collected_on": "2026-05-12"}
        ]));
        let given = if read(&given).is_some() && labs.is_none() { given } else { apply_patch(&given, &json!({"labs": labs})) };
        let flags = compute(&read(&given).expect("right in type"), &context).flags;
        for rule in Rule::ALL {
            let kept = only(&given, rule.definition().inputs);
            let alone = compute(&read(&kept).expect("right in type"), &context).flags;
            let of_rule = |flags: &[Flag]| flags.iter().find(|flag| flag.rule == *rule).copied();
            prop_assert_eq!(of_rule(&flags), of_rule(&alone), "{:?}", rule);
        }
    }

    #[test]
    fn a_newer_result_never_loses_to_an_older_one(
        older in prop::collection::vec((0..5000_u32, 1..400_i32), 0..5), newest in 0..5000_u32, tsat in 0..100_u32
    ) {
        let result = |test: &str, value: u32, unit: &str, age: i32| {
            let day = adult().today.saturating_sub(jiff::Span::new().days(age));
            json!({"test": test, "value": value, "unit": unit, "collected_on": day, "source": "lab_report"})
        };
        let alone = json!({"labs": [result("tsat", tsat, "%", 0), result("ferritin", newest, "ng/mL", 0)]});
        let expected = compute(&read(&alone).expect("read"), &adult());
        for entered_by_clinic in [false, true] {
            let mut labs = vec![result("ferritin", newest, "ng/mL", 0), result("tsat", tsat, "%", 0)];
            let mut context = adult();
            for (value, age) in &older {
                let one = result("ferritin", *value, "ng/mL", *age);
                if entered_by_clinic {
                    context.entered_labs.push(crate::parse_lab(&one, "", &adult()).expect("read"));
                } else {
                    labs.push(one);
                }
            }
            let computed = compute(&read(&json!({"labs": labs})).expect("read"), &context);
            prop_assert!(computed.iron_review_band == expected.iron_review_band && computed.flags == expected.flags);
        }
    }

    #[test]
    fn a_ferritin_of_an_unknown_day_settles_nothing(value in 0..5000_u32, ages in prop::collection::vec(0..800_i32, 0..4)) {
        let day = |age: i32| adult().today.saturating_sub(jiff::Span::new().days(age)).to_string();
        let undated = json!({"test": "ferritin", "value": value, "unit": "ng/mL"});
        let result = |day: String| {
            let mut dated = undated.clone();
            dated["collected_on"] = day.into();
            dated
        };
        let mut given = super::vignettes::medicines(&["ferrous sulfate"]);
        given["medications"][0]["started_on"] = day(100).into();
        given["labs"] = ages.into_iter().map(|age| result(day(age))).collect();
        let before = compute(&read(&given).expect("read"), &adult());
        given["labs"].as_array_mut().expect("a list").push(undated);
        let after = compute(&read(&given).expect("read"), &adult());
        prop_assert_eq!(before.iron_monitoring[0].due, after.iron_monitoring[0].due);
        prop_assert!(after.iron_review_band != crate::iron::IronReviewBand::AboveThresholds);
    }
}
