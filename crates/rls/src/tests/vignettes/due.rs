//! What comes due by the calendar.

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use super::*;

fn taken(name: &str, status: &str, started: &str) -> Value {
    json!({"medications_status": "listed", "medications": [{"name": name, "status": status, "started_on": started}]})
}

fn ferritin(days: &[&str]) -> Vec<Value> {
    let one = |day: &&str| json!({"test": "ferritin", "value": 90, "unit": "ng/mL", "collected_on": day, "source": "patient_reported"});
    days.iter().map(one).collect()
}

/// The day on which the next ferritin is due, and whether it is due, on a day.
fn monitored(mut given: Value, labs: &[&str], today: Date) -> (Option<String>, bool) {
    given["labs"] = ferritin(labs).into();
    let context = Context { today, ..adult() };
    let computed = compute(&answers(&merged(&given)), &context);
    let due = computed.flags.iter().any(|flag| flag.rule.as_str() == "iron_monitoring_due");
    let [one] = computed.iron_monitoring.as_slice() else { panic!("one medicine") };
    assert_eq!(one.due, due);
    (one.due_on.map(|day| day.to_string()), due)
}

#[test]
fn clinic_judgement_oral_iron_needs_a_ferritin_after_12_weeks_and_then_every_6_months_while_it_lasts() {
    let iron = || taken("ferrous sulfate", "current", "2026-03-12");
    let on = |day: &str| Some(day.to_owned());
    assert_eq!(monitored(iron(), &[], date(2026, 6, 3)), (on("2026-06-04"), false));
    assert_eq!(monitored(iron(), &[], date(2026, 6, 4)), (on("2026-06-04"), true));
    // The first ferritin does not end it.
    assert_eq!(monitored(iron(), &["2026-06-01"], date(2026, 11, 30)), (on("2026-12-01"), false));
    assert_eq!(monitored(iron(), &["2026-06-01"], date(2026, 12, 1)), (on("2026-12-01"), true));
    // An older one entered later changes nothing, and one without a certain day neither.
    assert_eq!(monitored(iron(), &["2026-06-01", "2026-05-01", "2026"], date(2026, 12, 1)), (on("2026-12-01"), true));
    // A value from before the start is usually its reason.
    assert_eq!(monitored(iron(), &["2026-03-12"], date(2026, 6, 4)), (on("2026-06-04"), true));
    // One from the first nine of the twelve weeks is too early to show an effect.
    assert_eq!(monitored(iron(), &["2026-05-13"], date(2026, 6, 4)), (on("2026-06-04"), true));
    assert_eq!(monitored(iron(), &["2026-05-14"], date(2026, 6, 4)), (on("2026-11-14"), false));
}

#[test]
fn clinic_judgement_an_infusion_needs_a_ferritin_after_8_weeks_also_when_it_is_over() {
    let infused = |status: &str| taken("ferric carboxymaltose", status, "2026-04-01");
    let on = |day: &str| Some(day.to_owned());
    assert_eq!(monitored(infused("stopped"), &[], date(2026, 5, 26)), (on("2026-05-27"), false));
    assert_eq!(monitored(infused("stopped"), &[], date(2026, 6, 4)), (on("2026-05-27"), true));
    // Ferritin is falsely high in the first weeks.
    assert_eq!(monitored(infused("stopped"), &["2026-04-02"], date(2026, 6, 4)), (on("2026-05-27"), true));
    // The first ferritin does not end it, but two years do.
    assert_eq!(monitored(infused("stopped"), &["2026-05-20"], date(2026, 6, 4)), (on("2026-11-20"), false));
    let earlier = taken("ferric carboxymaltose", "stopped", "2024-04-01");
    assert_eq!(monitored(earlier.clone(), &["2025-10-01"], date(2026, 6, 4)), (on("2026-04-01"), true));
    assert_eq!(monitored(earlier, &["2025-10-02"], date(2026, 6, 4)), (None, false));
    assert_eq!(monitored(infused("current"), &["2026-05-20"], date(2026, 11, 20)), (on("2026-11-20"), true));
    let mut course = infused("stopped");
    course["medications"][0]["stopped_on"] = "2026-05-01".into();
    assert_eq!(monitored(course, &[], date(2026, 6, 4)).0, on("2026-06-26"), "the last infusion counts");
}

#[test]
fn clinic_judgement_a_ferritin_is_out_of_date_after_12_months() {
    let raised = |labs: &[&str], today: Date| {
        let given = json!({"labs": ferritin(labs)});
        let computed = compute(&answers(&merged(&given)), &Context { today, ..adult() });
        let flags = computed.flags.iter().any(|flag| flag.rule.as_str() == "ferritin_out_of_date");
        (flags, computed.changes_on.map(|day| day.to_string()))
    };
    let on = |day: &str| Some(day.to_owned());
    assert_eq!(raised(&["2025-06-04"], date(2026, 6, 4)), (false, on("2026-06-05")));
    assert_eq!(raised(&["2025-06-04"], date(2026, 6, 5)), (true, None));
    assert_eq!(raised(&["2025-06-04", "2026-05-01"], date(2026, 6, 5)), (false, on("2027-05-02")));
    assert_eq!(raised(&["2025-06"], date(2026, 6, 30)), (false, on("2026-07-01")));
    assert_eq!(raised(&[], date(2026, 6, 4)), (false, None));
}

#[test]
fn clinic_judgement_the_day_that_a_review_set_comes_due() {
    for (day, flagged) in [(date(2026, 8, 26), true), (date(2026, 8, 27), false)] {
        let context = Context { recheck_on: Some(day), today: date(2026, 8, 26), ..reviewed(MimicReview::NotReviewed) };
        let computed = compute(&answers(&merged(&json!({}))), &context);
        assert_eq!(computed.flags.iter().any(|flag| flag.rule.as_str() == "recheck_due"), flagged);
        assert_eq!(computed.changes_on, (!flagged).then_some(day));
    }
}
