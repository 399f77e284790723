use jiff::civil::date;

use super::*;

fn point(on: Date, value: f64) -> Point {
    Point { on, value, bound: None, is_follow_up: false }
}

fn follow_up(on: Date, change: ChangeSinceVisit) -> FollowUp {
    FollowUp { on, change: Some(change), augmentation: Some(YesNo::No), urges: None, side_effects: Some(YesNo::No) }
}

fn bar(label: &str, from: Option<Date>, until: Option<Date>, current: bool) -> Bar {
    Bar { label: label.into(), from: from.map(PartialDate::Day), until, current }
}

fn empty() -> Picture {
    Picture {
        language: Language::English,
        title: "Ann Example, LW-001001".into(),
        today: date(2026, 6, 3),
        severity: vec![],
        bothersome: vec![],
        follow_ups: vec![],
        bands: true,
        labs: [LabSeries::default(), LabSeries::default(), LabSeries::default()],
        infusions: vec![],
        treatments: vec![],
        aggravating: vec![],
    }
}

fn picture() -> Picture {
    let low = Point { bound: Some("<"), ..point(date(2025, 5, 12), 15.0) };
    Picture {
        severity: vec![point(date(2025, 6, 1), 31.0), point(date(2025, 12, 1), 26.0), point(date(2026, 6, 3), 14.0)],
        bothersome: vec![Point { is_follow_up: true, ..point(date(2026, 3, 5), 6.0) }, point(date(2026, 6, 3), 4.0)],
        follow_ups: vec![
            FollowUp {
                urges: Some(YesNo::No),
                augmentation: None,
                ..follow_up(date(2026, 1, 5), ChangeSinceVisit::Better)
            },
            FollowUp { side_effects: Some(YesNo::Yes), ..follow_up(date(2026, 3, 5), ChangeSinceVisit::MuchWorse) },
            follow_up(date(2026, 5, 5), ChangeSinceVisit::Same),
        ],
        labs: [
            LabSeries { points: vec![low, point(date(2026, 5, 12), 92.0)], thresholds: vec![75.0, 100.0] },
            LabSeries { points: vec![point(date(2026, 5, 12), 24.5)], thresholds: vec![20.0] },
            LabSeries { points: vec![point(date(2026, 5, 12), 12.6)], thresholds: vec![8.0] },
        ],
        infusions: vec![bar("ferric carboxymaltose 1000 mg", Some(date(2025, 7, 1)), None, false)],
        treatments: vec![
            bar("pramipexole 0.5 mg", Some(date(2021, 2, 1)), Some(date(2025, 8, 1)), false),
            bar("iron <b>by mouth</b> & more", Some(date(2025, 7, 1)), None, true),
            bar("gabapentin", None, None, true),
            Bar { from: Some(PartialDate::Year(2019)), ..bar("ropinirole", None, None, true) },
        ],
        aggravating: vec![bar("diphenhydramine 25 mg", Some(date(2026, 5, 20)), None, true)],
        ..empty()
    }
}

#[test]
fn the_picture_shows_severity_iron_thresholds_infusions_treatments_and_what_aggravates() {
    let text = svg(&picture());
    if let Ok(path) = std::env::var("LEGWORK_SHOW_CHART") {
        std::fs::write(path, &text).expect("written");
    }
    assert!(text.starts_with("<svg ") && text.trim_end().ends_with("</svg>"));
    for part in [
        "very severe",
        "moderate",
        "&lt;15",
        "92",
        ">75<",
        ">100<",
        ">20<",
        ">8<",
        "24.5",
        "12.6",
        "4/10",
        "ferric carboxymaltose 1000 mg, Jul 2025",
        "pramipexole 0.5 mg, since Feb 2021",
        "gabapentin",
        "ropinirole, since 2019",
        "can aggravate",
        "diphenhydramine",
        "role=\"img\"",
        "Jan 2026",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_picture_is_in_the_language_of_its_reader() {
    let text = svg(&Picture { language: Language::Spanish, ..picture() });
    for part in ["muy grave", "Ferritina", "Tratamientos", "pueden agravar", "desde feb 2021", "ene 2026"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    for part in ["severe", "Treatments", "since"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

#[test]
fn the_picture_marks_what_follow_ups_say_and_leaves_out_what_its_reader_does_not_see() {
    let text = svg(&picture());
    for part in
        ["triangles: the same in follow-ups", "6/10", "Follow-ups", "Change", "Augmentation", "Urges", "Side effects"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let mut others = picture();
    for one in &mut others.follow_ups {
        one.urges = None;
    }
    assert!(!svg(&others).contains("Urges"));
    assert!(!svg(&Picture { follow_ups: vec![], ..others }).contains("Follow-ups ("));
}

#[test]
fn entered_text_cannot_become_markup() {
    let text = svg(&Picture { title: "\"><script>alert(1)</script>".into(), ..picture() });
    assert!(!text.contains("<script>") && !text.contains("<b>"), "{text}");
}

#[test]
fn a_patient_without_data_gets_an_empty_picture_that_says_so() {
    let text = svg(&empty());
    for words in ["no complete rating yet", "no result yet", "none recorded"] {
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn medicines_that_do_not_fit_are_counted_and_long_names_are_shortened() {
    let mut picture = picture();
    picture.treatments = vec![bar(&"long name ".repeat(40), Some(date(2026, 1, 1)), None, true); 30];
    let text = svg(&picture);
    assert!(text.contains("and 11 more") && text.contains('…'), "{text}");
    assert!(!text.contains(&"long name ".repeat(20)), "{text}");
}

#[test]
fn a_patient_who_only_answers_how_bothersome_it_is_gets_that_scale_without_bands() {
    let text = svg(&Picture { severity: vec![], ..picture() });
    assert!(
        text.contains("How bothersome (0 to 10; triangles: follow-ups)")
            && !text.contains("very severe")
            && !text.contains("/10"),
        "{text}"
    );
}
