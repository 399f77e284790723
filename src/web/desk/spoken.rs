//! The names of the languages that patients speak.

use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use text::Language;

use super::super::language::both;

/// The languages that the desk chooses from, by their codes: those of the pages, then by their English names.
const COMMON: [(&str, &str, &str); 27] = [
    ("en", "English", "inglés"),
    ("es", "Spanish", "español"),
    ("sq", "Albanian", "albanés"),
    ("am", "Amharic", "amárico"),
    ("ar", "Arabic", "árabe"),
    ("hy", "Armenian", "armenio"),
    ("bn", "Bengali", "bengalí"),
    ("kea", "Cape Verdean Creole", "criollo caboverdiano"),
    ("zh", "Chinese", "chino"),
    ("fa", "Farsi", "persa"),
    ("fr", "French", "francés"),
    ("de", "German", "alemán"),
    ("gu", "Gujarati", "guyaratí"),
    ("ht", "Haitian Creole", "criollo haitiano"),
    ("hi", "Hindi", "hindi"),
    ("it", "Italian", "italiano"),
    ("ja", "Japanese", "japonés"),
    ("km", "Khmer", "jemer"),
    ("ko", "Korean", "coreano"),
    ("ne", "Nepali", "nepalí"),
    ("pl", "Polish", "polaco"),
    ("pt", "Portuguese", "portugués"),
    ("ru", "Russian", "ruso"),
    ("so", "Somali", "somalí"),
    ("tl", "Tagalog", "tagalo"),
    ("uk", "Ukrainian", "ucraniano"),
    ("vi", "Vietnamese", "vietnamita"),
];

/// The name of a language by its tag, such as "Portuguese" or "Portuguese (pt-BR)"; the tag itself if its name is not known here.
pub(super) fn name(tag: &str, language: Language) -> String {
    let primary = tag.split('-').next().unwrap_or_default();
    match COMMON.into_iter().find(|(code, ..)| code.eq_ignore_ascii_case(primary)) {
        Some((code, en, es)) if code == tag => in_language(en, es, language).to_owned(),
        Some((_, en, es)) => format!("{} ({tag})", in_language(en, es, language)),
        // Patients choose from another list, which tells Cantonese from Mandarin.
        None => text::language_name(tag, language).unwrap_or(tag).to_owned(),
    }
}

fn in_language(en: &'static str, es: &'static str, language: Language) -> &'static str {
    let name: Bilingual = both(en, es);
    name.text(language)
}

/// Whether the list has a language.
pub(super) fn is_common(tag: &str) -> bool {
    COMMON.iter().any(|(code, ..)| *code == tag)
}

/// The languages as a list to choose from.
pub(super) fn choices(language: Language) -> Vec<Value> {
    COMMON.into_iter().map(|(code, en, es)| context! { code => code, name => in_language(en, es, language) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_shown_by_its_name_and_an_unknown_one_by_its_tag() {
        for (tag, shown) in [
            ("pt", "Portuguese"),
            ("pt-BR", "Portuguese (pt-BR)"),
            ("hmn", "hmn"),
            ("cmn", "Mandarin"),
            ("yue", "Cantonese"),
        ] {
            assert_eq!(name(tag, Language::English), shown);
        }
        assert_eq!(name("fr", Language::Spanish), "francés");
    }

    #[test]
    fn every_code_is_a_tag_that_the_service_accepts() {
        for (code, ..) in COMMON {
            assert_eq!(text::language(code).as_deref().ok(), Some(code), "{code}");
        }
    }
}
