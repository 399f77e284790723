//! What the pages of the forms can show, for the test that renders every branch of their templates.

use minijinja::{Value, context};
use rls::form::{FieldType, FormField, FormSettings};
use rls::{FlagNotice, FormName, Rule, Urgency};
use serde_json::{Value as Json, json};
use text::Language;

use super::draft::say;
use super::question::{Drawn, Standing};
use super::{TEMPLATES, notices};

fn notice(urgency: Urgency) -> Value {
    let text = "Call 911 now (a < b).".to_owned();
    notices::drawn(&FlagNotice { rule: Rule::ChestPainBreathlessness, urgency, text })
}

/// What every page has, with everything or with as little as possible.
fn frame(is_full: bool, minutes: usize) -> Value {
    let notices = if is_full { vec![notice(Urgency::Emergency), notice(Urgency::Prompt)] } else { vec![] };
    context! {
        root => "../../", member => super::super::member::example(false), form => "forms/1", form_title => "Your history",
        notices => notices, patient => is_full.then_some("Tim <Example>"), minutes => minutes,
    }
}

/// Every question of the history in every standing, answered and not, with a mistake and without.
fn questions(language: Language) -> Vec<Value> {
    let pack = serde_json::to_vec(&json!({
        "license_ref": "TEST-1", "irls_version": "2.2", "recall_days": 7,
        "texts": {"en": {"instructions": "x", "items": vec![json!({"question": "?", "options": ["a", "b", "c", "d", "e"]}); 10]}}
    }))
    .ok()
    .and_then(|pack| rls::TextPack::load(&pack).ok());
    let form =
        |text_pack| rls::form(FormName::History, Some(language), FormSettings { text_pack, ..FormSettings::default() });
    let mut all = Vec::new();
    for form in [form(pack.as_ref()), form(None)] {
        for section in form.sections {
            let lists: Vec<Vec<FormField>> = section.fields.iter().map(|field| field.fields.clone()).collect();
            for fields in lists.iter().chain([&section.fields]) {
                for field in fields.iter().filter(|field| field.status_of.is_none()) {
                    for (standing, answered, error) in [
                        (Standing::Asked, true, "Please check."),
                        (Standing::Asked, false, ""),
                        (Standing::Hidden, false, ""),
                        (Standing::Left, true, ""),
                        (Standing::Left, true, "It does not fit."),
                    ] {
                        let drawn = Drawn { field, siblings: fields, language, standing, error };
                        let question = drawn.draw(&|id| answered.then(|| example(field, id)).flatten());
                        let entries = vec![
                            context! { go => "labs/0", words => Some("Iron"), is_open => true },
                            context! { go => "labs/1", words => None::<String>, is_open => false },
                        ];
                        let entries = if answered { entries } else { vec![] };
                        all.push(context! { entries => entries, new => "labs/new", ..question });
                    }
                }
            }
        }
    }
    all
}

fn example(field: &FormField, id: &str) -> Option<Json> {
    if id != field.link_id {
        return Some("unknown".into());
    }
    Some(match field.r#type {
        FieldType::Choice => field.options.first()?.value.clone().into(),
        FieldType::Choices => json!([field.options.first()?.value]),
        FieldType::Integer | FieldType::Decimal => field.minimum.into(),
        FieldType::Scores => json!([0, 1, 2, 3, 4, null, 0, 0, 0, 0]),
        FieldType::Date | FieldType::PartialDate => "2009-03".into(),
        FieldType::Time => "21:00".into(),
        FieldType::Text | FieldType::LongText => "a <b>".into(),
        FieldType::Entries => json!([]),
    })
}

fn pages(language: Language) -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let wrong = || vec![context! { anchor => "q-a", label => "Which?", text => "Please answer." }];
    for (is_full, minutes) in [(true, 4), (false, 1), (false, 0)] {
        let frame = || frame(is_full, minutes);
        let query = if is_full { "?from=check" } else { "" };
        for (wrong, is_saved, asks_more) in
            [(wrong(), true, false), (wrong(), false, false), (vec![], true, true), (vec![], true, false)]
        {
            let values = context! {
                subject => "safety", heading => "First", help => is_full.then_some("Help."), at => 1, of => 12,
                questions => if is_full { questions(language) } else { vec![] }, base => "{}", wrong => wrong, from_check => is_full,
                back => if is_full { "check" } else { "" }, skip => "symptoms", is_saved => is_saved, asks_more => asks_more,
                target => "forms/1/labs/labs/0", is_new => is_full,
            };
            all.push(("form-subject", context! { ..frame(), ..values.clone() }));
            let back = format!("labs{query}");
            all.push(("form-entry", context! { ..frame(), ..context! { back => back, ..values } }));
        }
        let next = format!("forms/1/symptoms{query}");
        let staff = super::super::member::example(true);
        for values in [context! {}, context! { member => staff }] {
            all.push(("form-notices", context! { next => next.as_str(), ..context! { ..values, ..frame() } }));
        }
        for (mine, saved) in [("a", "b"), ("", "")] {
            let version =
                context! { choice => "take.a", anchor => "q-a", label => "Which?", mine => mine, saved => saved };
            let values = context! {
                target => "forms/1/labs", typed => [("asked", "a")], base => "{}", versions => [version], is_entry => is_full,
            };
            all.push(("form-conflict", context! { ..frame(), ..values }));
        }
    }
    all
}

fn answered(is_full: bool) -> Vec<Value> {
    let issue = |blocks: bool| context! { label => "Which?", text => "Please answer.", blocks => blocks };
    let item = context! { question => "Which?", answer => "a < b" };
    let subject = |items: Vec<Value>, open: Vec<Value>| context! { id => "labs", title => "Laboratory", items => items, open => open };
    if is_full { vec![subject(vec![item], vec![issue(true), issue(false)]), subject(vec![], vec![])] } else { vec![] }
}

fn states() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let subjects: Vec<Value> = [("done", 0), ("empty", 0), ("open", 1), ("open", 3)]
        .map(|(state, open)| context! { id => "labs", title => "Laboratory", state => state, open => open })
        .into();
    for (is_full, minutes, resume) in [(true, 4, "safety"), (false, 1, "labs"), (false, 0, "check")] {
        let frame = || frame(is_full, minutes);
        let values = context! {
            subjects => subjects.clone(), resume => resume, intro => "Please.", is_new => is_full, needs_guardian => is_full,
            is_copied => is_full,
        };
        all.push(("form-overview", context! { ..frame(), ..values }));
        for (trouble, complete) in [("", true), ("", false), ("open", false), ("changed", true)] {
            let values = context! {
                subjects => answered(is_full), trouble => trouble, version => 3, form_key => "k", complete => complete,
                needs_guardian => is_full,
            };
            all.push(("form-check", context! { ..frame(), ..values }));
        }
        for is_void in [false, true] {
            let values = context! {
                subjects => answered(true), is_void => is_void, just_sent => is_full, too_late => is_full,
                sent_on => is_full.then_some("Monday"), visit => is_full.then_some("Monday, 9:30 AM"),
            };
            all.push(("form-sent", context! { ..frame(), ..values }));
        }
    }
    all
}

/// All pages in a language.
pub(in crate::web) fn examples(language: Language) -> Vec<(&'static str, Value)> {
    let earlier = context! { id => "1", when => "March 9, 2025" };
    let form = rls::form(FormName::History, Some(language), FormSettings::default());
    let start = [Some(earlier), None].map(|earlier| {
        let values = context! {
            root => "../../", member => super::super::member::example(false), id => "1", form_key => "k", title => say(&form.title, language),
            intro => say(&form.intro, language), minutes => 6, when => "Monday", earlier => earlier,
        };
        ("history", values)
    });
    let all: Vec<_> = start.into_iter().chain(pages(language)).chain(states()).collect();
    assert!(all.iter().all(|(name, _)| TEMPLATES.iter().any(|(known, _)| known.strip_suffix(".html") == Some(name))));
    all
}
