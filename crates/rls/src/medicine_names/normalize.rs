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
    for word in spaced.split_whitespace() {
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
