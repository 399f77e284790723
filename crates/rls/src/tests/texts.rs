//! What is said to patients and staff, and what never is.

use serde_json::json;

use super::{adult, answers, merged};
use crate::flag_texts::staff_text;
use crate::form::FormSettings;
use crate::issues::Code;
use crate::{Flag, FormName, Language, PhoneNumbers, Rule, Urgency, compute, flag_notices, form, patient_summary};

fn numbers() -> PhoneNumbers {
    PhoneNumbers { emergency: "911".into(), crisis: "988".into(), clinic: "+1 212 555 0100".into() }
}

fn every_flag() -> Vec<Flag> {
    let urgencies = [Urgency::Emergency, Urgency::SameDay, Urgency::Prompt, Urgency::Routine];
    Rule::ALL.iter().flat_map(|rule| urgencies.map(|urgency| Flag { rule: *rule, urgency })).collect()
}

/// Bilingual that would sound like a finding, a reassurance or an order to stop a medicine.
fn forbidden(text: &str) -> Option<&'static str> {
    let text = format!(" {} ", text.to_lowercase());
    [
        "suspected",
        "you have dvt",
        "you have rls",
        "you have restless",
        "you have an",
        "normal",
        "sospecha",
        "usted tiene ",
        "diagnosed with",
        "you are safe",
        "stop taking",
        "deje de tomar",
    ]
    .into_iter()
    .find(|phrase| text.contains(phrase))
}

#[test]
fn no_text_to_a_patient_or_to_staff_sounds_like_a_finding() {
    let mut texts: Vec<String> = Vec::new();
    for language in [Language::English, Language::Spanish] {
        texts.extend(flag_notices(&every_flag(), language, &numbers()).into_iter().map(|notice| notice.text));
        texts.extend(Code::ALL.iter().map(|code| code.text(language).to_owned()));
        for patch in [
            json!({}),
            json!({"symptoms": {"worse_at_rest": "no"}}),
            json!({"symptoms": {"worse_at_rest": "unknown"}}),
            json!({"labs": [{"test": "ferritin", "value": 12, "unit": "ng/mL", "collected_on": "2026-05-12"}],
                   "risk": {"family_history_rls": "yes", "family_relations": ["mother"]}}),
        ] {
            let answers = answers(&merged(&patch));
            texts.extend(patient_summary(FormName::History, &answers, &compute(&answers, &adult()), language));
        }
    }
    texts.extend(every_flag().into_iter().map(staff_text));
    for text in &texts {
        assert_eq!(forbidden(text), None, "{text}");
        assert!(!text.to_lowercase().contains("you have") || text.contains("If you have blood results"), "{text}");
    }
    for text in every_flag().into_iter().map(staff_text) {
        assert!(text.ends_with("; clinician review requested."), "{text}");
    }
}

#[test]
fn emergency_and_same_day_notices_name_a_number_to_call() {
    for language in [Language::English, Language::Spanish] {
        for flag in every_flag() {
            let said = flag_notices(&[flag], language, &numbers());
            match flag.urgency {
                Urgency::Emergency | Urgency::SameDay => assert!(said[0].text.contains("911"), "{flag:?}"),
                Urgency::Prompt => assert_eq!(said.len(), 1, "{flag:?}"),
                Urgency::Routine => {}
            }
            if flag.urgency == Urgency::SameDay && flag.rule != Rule::SelfHarmThoughts {
                assert!(said[0].text.contains("+1 212 555 0100"), "{flag:?}");
            }
        }
    }
    let same_day = Flag { rule: Rule::SpreadingHotRedness, urgency: Urgency::SameDay };
    let text = &flag_notices(&[same_day], Language::English, &numbers())[0].text;
    assert!(
        text.contains("Call us today")
            && text.contains("if we are closed, go to urgent care or an emergency department.")
    );
}

#[test]
fn thoughts_of_self_harm_show_the_crisis_line_and_the_emergency_number_at_once() {
    let computed = compute(&answers(&merged(&json!({"safety": {"self_harm_thoughts": "yes"}}))), &adult());
    for language in [Language::English, Language::Spanish] {
        let said = flag_notices(&computed.flags, language, &numbers());
        assert_eq!(said[0].rule, Rule::SelfHarmThoughts);
        assert!(said[0].text.contains("988") && said[0].text.contains("911"), "{}", said[0].text);
    }
}

#[test]
fn a_text_that_several_flags_share_comes_once() {
    let prompt = |rule| Flag { rule, urgency: Urgency::Prompt };
    let flags = [Rule::OpioidAlcohol, Rule::OpioidSedative, Rule::CompressionArterial].map(prompt);
    let said = flag_notices(&flags, Language::English, &numbers());
    let rules: Vec<_> = said.iter().map(|notice| notice.rule).collect();
    assert_eq!(rules, [Rule::OpioidSedative, Rule::CompressionArterial]);
}

#[test]
fn notices_are_ordered_by_urgency() {
    let said = flag_notices(&every_flag(), Language::English, &numbers());
    assert!(said.is_sorted_by_key(|notice| notice.urgency));
    assert_eq!(flag_notices(&[], Language::English, &numbers()), vec![]);
}

#[test]
fn no_medicine_is_to_be_stopped_without_its_prescriber() {
    let aggravating = Flag { rule: Rule::AggravatingDrug, urgency: Urgency::Routine };
    let said = flag_notices(&[aggravating], Language::English, &numbers());
    assert_eq!(said[0].text, "One of your medicines may be worth reviewing; do not stop it without your prescriber.");
}

#[test]
fn the_form_says_that_it_is_not_watched() {
    let form = form(FormName::History, None, FormSettings::default());
    assert!(form.intro.en.expect("en").contains("not watched in real time"));
    assert!(form.sections[0].help.as_ref().and_then(|help| help.es.as_ref()).expect("es").contains("emergencia"));
}

#[test]
fn debug_output_holds_no_answers() {
    let answers = answers(&merged(
        &json!({"medications_status": "listed", "medications": [{"name": "secretol", "status": "current"}]}),
    ));
    let computed = compute(&answers, &adult());
    let printed = format!("{answers:?} {:?} {computed:?}", answers.medications);
    assert!(!printed.contains("secretol") && !printed.contains("chronic"), "{printed}");
}

#[test]
fn every_label_of_the_form_is_a_question_in_both_languages() {
    fn walk(field: &form::FormField, labels: &mut Vec<(String, String, String)>) {
        let text = |text: &Option<String>| text.clone().expect("a text");
        labels.push((field.link_id.clone(), text(&field.label.en), text(&field.label.es)));
        field.fields.iter().for_each(|child| walk(child, labels));
    }
    let mut labels = Vec::new();
    let all = form(FormName::History, None, FormSettings::default());
    let sections = all.sections.iter().chain(&all.clinician_sections);
    sections.flat_map(|section| &section.fields).for_each(|field| walk(field, &mut labels));
    for (id, english, spanish) in labels {
        assert!(english.ends_with('?'), "{id}: {english}");
        assert!(spanish.ends_with('?') && spanish.contains('¿'), "{id}: {spanish}");
    }
}

#[test]
fn sections_about_medicines_that_lay_people_do_not_know_name_examples() {
    for section in form(FormName::History, None, FormSettings::default()).sections {
        if ["augmentation", "impulse_control"].contains(&section.id.as_str()) {
            let help = section.help.expect("a text under the title");
            for text in [help.en.expect("English"), help.es.expect("Spanish")] {
                assert!(text.contains("pramipexol") && text.contains("levodopa"), "{text}");
            }
        }
    }
}

#[test]
fn patients_are_asked_for_the_licensed_scale_or_else_for_the_severity() {
    let scale = |settings: FormSettings<'_>| -> Vec<String> {
        let sections = form(FormName::History, None, settings).sections;
        let fields = sections.into_iter().filter(|section| section.id == "irls").flat_map(|section| section.fields);
        fields.map(|field| field.link_id).collect()
    };
    assert_eq!(scale(FormSettings::default()), Vec::<String>::new());
    let pack = crate::TextPack::load(crate::text_pack::tests::invented().to_string().as_bytes()).expect("a pack");
    let settings = FormSettings { text_pack: Some(&pack), ..FormSettings::default() };
    assert_eq!(scale(settings), ["irls.items", "irls.irls_total"]);
    let severity = |settings: FormSettings<'_>| {
        let symptoms = form(FormName::History, None, settings)
            .sections
            .into_iter()
            .find(|section| section.id == "symptoms")
            .expect("there");
        symptoms.fields.into_iter().find(|field| field.link_id == "symptoms.severity_0_10").expect("there").required
    };
    assert!(severity(FormSettings::default()) && !severity(settings));
}

#[test]
fn a_dose_that_was_never_raised_is_no_feature_of_augmentation_and_no_unknown_answer() {
    let features = |answer: &str| {
        let given = json!({"medications_status": "listed", "medications": [{"name": "pramipexole", "status": "current"}],
            "augmentation": {"dose_increase_worsened": answer}});
        let found = compute(&answers(&merged(&given)), &adult()).augmentation_features.expect("counts");
        (found.yes, found.no, found.unknown)
    };
    assert_eq!(features("not_raised"), (0, 0, 4));
    assert_eq!(features("no"), (0, 1, 4));
    assert_eq!(features("yes"), (1, 0, 4));
    assert_eq!(features("unknown"), (0, 0, 5));
}
