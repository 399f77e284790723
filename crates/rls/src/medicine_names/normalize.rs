//! Takes a written name apart: combinations, strengths, forms, release forms, salts.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words between the parts of a combination.
const JOINING_WORDS: &[&str] = &["with", "con", "y", "and", "plus", "mas"];

const UNITS: &[&str] = &[
    "mg", "mcg", "ug", "μg", "g", "gr", "kg", "ml", "l", "iu", "ui", "u", "units", "unidades", "meq", "mmol", "h",
    "hr", "hrs", "hour", "hours", "hora", "horas", "day", "dia", "%",
];

const FORMS: &[&str] = &[
    "tablet",
    "tablets",
    "tab",
    "tabs",
    "tableta",
    "tabletas",
    "pill",
    "pills",
    "pastilla",
    "pastillas",
    "comprimido",
    "comprimidos",
    "comp",
    "cap",
    "caps",
    "capsule",
    "capsules",
    "capsula",
    "capsulas",
    "patch",
    "patches",
    "parche",
    "parches",
    "solution",
    "solucion",
    "syrup",
    "jarabe",
    "drop",
    "drops",
    "gota",
    "gotas",
    "suspension",
    "oral",
    "odt",
    "sublingual",
    "transdermal",
    "transdermico",
    "chewable",
    "masticable",
    "masticables",
    "generic",
    "generico",
    "daily",
    "nightly",
    "qd",
    "qhs",
    "hs",
    "bid",
    "tid",
    "prn",
    "film-coated",
    "coated",
];

const RELEASE_FORMS: &[&str] = &[
    "er",
    "xr",
    "sr",
    "cr",
    "xl",
    "la",
    "ir",
    "dr",
    "lp",
    "retard",
    "extended",
    "extended-release",
    "prolonged",
    "prolonged-release",
    "sustained",
    "sustained-release",
    "controlled",
    "controlled-release",
    "delayed",
    "delayed-release",
    "immediate",
    "immediate-release",
    "release",
    "liberacion",
    "prolongada",
    "sostenida",
    "controlada",
    "modificada",
    "inmediata",
];

const SALTS: &[&str] = &[
    "hcl",
    "hydrochloride",
    "clorhidrato",
    "hidrocloruro",
    "dihydrochloride",
    "diclorhidrato",
    "dihidrocloruro",
    "monohydrate",
    "monohidrato",
    "dihydrate",
    "sulfate",
    "sulphate",
    "sulfato",
    "maleate",
    "maleato",
    "tartrate",
    "tartrato",
    "bitartrate",
    "bitartrato",
    "mesylate",
    "mesilate",
    "mesilato",
    "hydrobromide",
    "bromhidrato",
    "hidrobromuro",
    "phosphate",
    "fosfato",
    "acetate",
    "acetato",
    "fumarate",
    "fumarato",
    "gluconate",
    "gluconato",
    "citrate",
    "citrato",
    "carbonate",
    "carbonato",
    "succinate",
    "succinato",
    "oxalate",
    "oxalato",
    "pamoate",
    "pamoato",
    "lactate",
    "lactato",
    "sodium",
    "sodio",
    "sodico",
    "sodica",
    "potassium",
    "potasio",
    "potasico",
    "de",
];

/// Directions for taking a medicine, and the strength as packages name it. They are taken off as whole phrases, because a
/// word such as "night" alone can belong to the name of another product.
const DIRECTIONS: &[&str] = &[
    "extra strength",
    "maximum strength",
    "max strength",
    "regular strength",
    "double strength",
    "at bedtime",
    "before bedtime",
    "before bed",
    "before sleep",
    "at night",
    "every night",
    "each night",
    "every evening",
    "in the evening",
    "every morning",
    "in the morning",
    "every other day",
    "every day",
    "each day",
    "once a day",
    "twice a day",
    "three times a day",
    "times a day",
    "a day",
    "per day",
    "once daily",
    "twice daily",
    "three times daily",
    "times daily",
    "once a week",
    "twice a week",
    "times a week",
    "a week",
    "per week",
    "weekly",
    "as needed",
    "if needed",
    "when needed",
    "with food",
    "with meals",
    "with dinner",
    "with breakfast",
    "por la noche",
    "por las noches",
    "cada noche",
    "por la manana",
    "por las mananas",
    "cada manana",
    "por la tarde",
    "al acostarse",
    "antes de acostarse",
    "antes de dormir",
    "una vez al dia",
    "dos veces al dia",
    "tres veces al dia",
    "veces al dia",
    "al dia",
    "cada dia",
    "todos los dias",
    "diario",
    "diaria",
    "una vez a la semana",
    "veces a la semana",
    "por semana",
    "a la semana",
    "si es necesario",
    "si hace falta",
    "con comida",
    "con la comida",
    "con las comidas",
    "con la cena",
    "con el desayuno",
    "en ayunas",
];

/// Returns the number of words of the longest direction with which the words begin.
fn direction_length(words: &[&str]) -> usize {
    let begins = |phrase: &&&str| {
        let mut rest = words.iter();
        phrase.split(' ').all(|word| rest.next() == Some(&word))
    };
    DIRECTIONS.iter().filter(begins).map(|phrase| phrase.split(' ').count()).max().unwrap_or(0)
}

/// Takes the directions off.
fn without_directions<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let length = direction_length(words.get(at..).unwrap_or_default());
        if length == 0 {
            kept.push(*word);
        }
        at += length.max(1);
    }
    kept
}

/// Folds case, accents and compatible characters, and marks nothing else.
fn folded(written: &str) -> String {
    let plain = written.nfkd().filter(|c| !is_combining_mark(*c) && !matches!(c, '®' | '™'));
    plain.collect::<String>().to_lowercase()
}

/// Splits a written name into the parts of a combination. Parts without a name, such as `325` of `5/325`, are dropped.
pub fn parts(written: &str) -> Vec<String> {
    let folded = folded(written);
    let characters: Vec<char> = folded.chars().collect();
    let mut spaced = String::with_capacity(folded.len());
    for (at, character) in characters.iter().enumerate() {
        let digit_at = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
        let decimal = *character == ',' && digit_at(at.checked_sub(1)) && digit_at(at.checked_add(1));
        match character {
            '/' | '+' | ';' | '&' | '(' | ')' | '[' | ']' => spaced.push_str(" + "),
            ',' if !decimal => spaced.push_str(" + "),
            other => spaced.push(*other),
        }
    }
    let mut parts = vec![Vec::new()];
    let words: Vec<&str> = spaced.split_whitespace().map(|word| word.trim_end_matches('.')).collect();
    for word in without_directions(&words) {
        if word == "+" || JOINING_WORDS.contains(&word) {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(word);
        }
    }
    let named = parts.into_iter().filter(|part| part.iter().any(|word| !is_strength(word) && !is_form(word)));
    named.map(|part| part.join(" ")).collect()
}

fn is_form(word: &str) -> bool {
    let word = word.trim_end_matches('.');
    FORMS.contains(&word) || RELEASE_FORMS.contains(&word)
}

/// Returns whether a word is a number, a unit, or a number with its unit, such as `0.25`, `300mg` or `25-100`.
fn is_strength(word: &str) -> bool {
    let word = word.trim_end_matches('.');
    UNITS.contains(&word)
        || word.split('-').all(|piece| {
            let unit = piece.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '½' | '⁄'));
            unit.len() < piece.len() && (unit.is_empty() || UNITS.contains(&unit))
        })
}

/// Returns a part as written, then without strengths, without forms, without release forms and without salts.
pub fn candidates(part: &str) -> Vec<String> {
    let mut words: Vec<&str> = part.split_whitespace().collect();
    let mut candidates = vec![words.join(" ")];
    let mut drop = |is_noise: &dyn Fn(&str) -> bool| {
        words.retain(|word| !is_noise(word));
        candidates.push(words.join(" "));
    };
    drop(&is_strength);
    drop(&|word| FORMS.contains(&word.trim_end_matches('.')));
    drop(&|word| RELEASE_FORMS.contains(&word.trim_end_matches('.')));
    // A salt can belong to the name, as in ferrous gluconate: first one at a time, then all.
    let is_salt = |word: &&str| SALTS.contains(word);
    for at in (0..words.len()).filter(|at| is_salt(&words[*at])) {
        let others = words.iter().enumerate().filter(|(other, _)| *other != at);
        candidates.push(others.map(|(_, word)| *word).collect::<Vec<_>>().join(" "));
    }
    candidates.push(words.iter().filter(|word| !is_salt(word)).copied().collect::<Vec<_>>().join(" "));
    candidates.retain(|name| !name.is_empty());
    candidates.dedup();
    candidates
}
