//! Finds texts of the pages of staff that are in one language only.

use super::{TEMPLATES, admin, desk, doctor};

/// What is the same in both languages: units, names of the API, a word of the trade.
const SAME: [&str; 5] = ["min", "ms", "client_id", "Webhooks", "probable"];
/// The attributes that people read or hear.
const READ: [&str; 4] = ["aria-label", "placeholder", "title", "alt"];

/// A template without its tags, and the literals of these tags.
struct Parts<'a> {
    html: String,
    /// Those that no `t` translates.
    literals: Vec<&'a str>,
    /// The arguments of each `t`.
    texts: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn of(template: &'a str) -> Self {
        let mut parts = Self { html: String::new(), literals: Vec::new(), texts: Vec::new() };
        let mut rest = template;
        while let Some((before, tag)) = rest.split_once('{') {
            parts.html.push_str(before);
            let end = match tag.get(..1) {
                Some("{") => "}}",
                Some("%") => "%}",
                _ => "#}",
            };
            let (content, after) = tag.split_once(end).expect("the end of a tag");
            if end != "#}" {
                parts.read(content);
            }
            rest = after;
        }
        parts.html.push_str(rest);
        parts
    }

    /// Reads the literals of a tag. Each second part between quotes is one.
    fn read(&mut self, tag: &'a str) {
        let parts: Vec<&str> = tag.split('"').collect();
        let mut at = 1;
        while let Some(literal) = parts.get(at) {
            let is_of = |word: &str| {
                word.strip_suffix("t(").is_some_and(|it| !it.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            if is_of(parts[at - 1]) {
                self.texts.push((literal, parts[at + 2]));
                at += 4;
            } else {
                self.literals.push(literal);
                at += 2;
            }
        }
    }

    /// The texts that have one language.
    fn bare(&self) -> Vec<&str> {
        let mut bare: Vec<&str> = Vec::new();
        for (at, part) in self.html.split(['<', '>']).enumerate() {
            if at % 2 == 0 {
                bare.push(part);
            } else {
                bare.extend(
                    READ.iter().filter_map(|name| part.split_once(&format!(" {name}=\""))?.1.split('"').next()),
                );
            }
        }
        // A code has no space and no capital letter.
        let is_text = |literal: &&&str| literal.contains([' ']) || literal.contains(|c: char| c.is_uppercase());
        bare.extend(self.literals.iter().filter(is_text));
        bare.extend(self.texts.iter().filter(|(english, spanish)| english == spanish).map(|(english, _)| *english));
        bare.extend(
            self.texts
                .iter()
                .flat_map(|(en, es)| [(en, es), (es, en)])
                .filter(|(one, _)| one.trim().is_empty())
                .map(|(_, other)| *other),
        );
        bare.into_iter().filter(|text| has_words(text)).collect()
    }
}

fn has_words(text: &str) -> bool {
    let is_word = |word: &str| word.contains(char::is_alphabetic) && !SAME.contains(&word);
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_word)
}

#[test]
fn every_text_of_a_page_of_staff_is_in_both_languages() {
    let of_staff = TEMPLATES.iter().filter(|(name, _)| name.starts_with("staff-"));
    let all = of_staff.chain(desk::TEMPLATES).chain(doctor::TEMPLATES).chain(admin::TEMPLATES);
    let found: Vec<String> = all
        .flat_map(|(name, template)| {
            Parts::of(template).bare().iter().map(|text| format!("{name}: {text}")).collect::<Vec<_>>()
        })
        .collect();
    assert!(found.is_empty(), "write t(\"English\", \"Español\"):\n{}", found.join("\n"));
}

#[test]
fn a_text_without_a_translation_is_found_wherever_it_stands() {
    for (template, found) in [
        ("<p>{{ t(\"Day\", \"Día\") }}: {{ day }} · 5 min</p>{# Day #}", vec![]),
        ("<p>Day</p>", vec!["Day"]),
        ("<a aria-label=\"Day: {{ day }}\" href=\"desk\">{{ day }}</a>", vec!["Day: "]),
        ("{{ name or \"No name\" }}{% if a == \"checked-in\" %}{% endif %}", vec!["No name"]),
        (
            "{% for a, b in [(\"Next\", c), (t(\"Past\", \"Antes\"), d)] %}{{ e|join(\", \") }}{% endfor %}",
            vec!["Next"],
        ),
        ("{{ t(\"Day\", \"Day\") }}{{ t(\"Days\", \"\") }}", vec!["Day", "Days"]),
        ("{{ format(\"A day\") }}", vec!["A day"]),
    ] {
        assert_eq!(Parts::of(template).bare(), found, "{template}");
    }
}
