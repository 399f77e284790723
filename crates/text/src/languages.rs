//! Languages as people name them and as tags (BCP 47).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::{FieldCode, Rule};

/// The longest tag, in bytes (RFC 5646, 4.4.1).
const MAX_LENGTH: usize = 35;

/// Names and older codes of the languages that the service speaks, without accents, and their tags.
const NAMES: [(&str, &str); 8] = [
    ("english", "en"),
    ("ingles", "en"),
    ("eng", "en"),
    ("spanish", "es"),
    ("espanol", "es"),
    ("castellano", "es"),
    ("castilian", "es"),
    ("spa", "es"),
];

/// Returns the tag of a language that the service speaks, by its name in English or Spanish.
pub fn tag_of_name(name: &str) -> Option<&'static str> {
    let plain: String = name.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    NAMES.iter().find(|(name, _)| *name == plain).map(|(_, tag)| *tag)
}

/// Reads a language tag (BCP 47) and returns it in its customary letters: `EN-us` becomes `en-US`.
///
/// Understands the English and Spanish names of the languages that the service speaks, so that `Español` is `es`. Mails
/// to a patient of any other language are in English.
///
/// # Errors
/// `invalid_language` for other names and for tags that are not registered.
pub fn language(value: &str) -> Result<String, Rule> {
    let value = value.trim();
    let (first, rest) = value.split_at(value.find('-').unwrap_or(value.len()));
    let first = tag_of_name(first).unwrap_or(first);
    let tag = format!("{first}{rest}");
    let parsed =
        Some(&tag).filter(|tag| tag.len() <= MAX_LENGTH).and_then(|tag| language_tags::LanguageTag::parse(tag).ok());
    parsed.filter(language_tags::LanguageTag::is_valid).map(language_tags::LanguageTag::into_string).ok_or_else(|| {
        Rule::new(
            FieldCode::InvalidLanguage,
            "must be the tag of a language (BCP 47) such as en, es-MX or pt; `Spanish` is es",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Language;

    #[test]
    fn tags_get_their_customary_letters() {
        for (typed, tag) in [("EN-us", "en-US"), ("zh-hant-tw", "zh-Hant-TW"), (" pt ", "pt"), ("es-419", "es-419")] {
            assert_eq!(language(typed).expect(typed), tag);
        }
    }

    #[test]
    fn the_languages_of_the_service_are_understood_by_name() {
        for (name, tag) in [
            ("Spanish", "es"),
            ("español", "es"),
            ("ESPAN\u{303}OL", "es"),
            ("espanol", "es"),
            ("Castellano", "es"),
            ("spa", "es"),
            ("spa-MX", "es-MX"),
            ("English", "en"),
            ("Inglés", "en"),
            ("eng", "en"),
        ] {
            let read = language(name).expect(name);
            assert_eq!(read, tag, "{name}");
            let expected = if tag.starts_with("es") { Language::Spanish } else { Language::English };
            assert_eq!(Language::of_tag(&read), expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_registered_tag_is_refused() {
        let long = format!("en-{}", "a-".repeat(20));
        for wrong in [
            "",
            "e",
            "en_US",
            "english please",
            "Portuguese",
            "German",
            "sp",
            "us",
            "jp",
            "xx",
            "xyz",
            "en-ZZZ",
            "x",
            &long,
        ] {
            assert_eq!(language(wrong).expect_err(wrong).code, "invalid_language");
        }
    }
}
