//! Languages as people name them and as tags (BCP 47).

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::{FieldCode, Language, Rule};

/// The longest tag, in bytes (RFC 5646, 4.4.1).
const MAX_LENGTH: usize = 35;

/// A language with its names.
#[derive(Debug, Clone, Copy)]
pub struct NamedLanguage {
    /// The tag (BCP 47).
    pub tag: &'static str,
    english: &'static str,
    spanish: &'static str,
}

impl NamedLanguage {
    /// The name for a reader of this language.
    pub fn name(&self, reader: Language) -> &'static str {
        match reader {
            Language::English => self.english,
            Language::Spanish => self.spanish,
        }
    }
}

const fn named(tag: &'static str, english: &'static str, spanish: &'static str) -> NamedLanguage {
    NamedLanguage { tag, english, spanish }
}

/// The languages that pages offer by name, beside those of the service: the frequent ones in the United States. [`language`] understands
/// these names and some more.
pub const OFFERED_LANGUAGES: [NamedLanguage; 18] = [
    named("ase", "American Sign Language", "Lengua de señas americana"),
    named("ar", "Arabic", "Árabe"),
    named("yue", "Cantonese", "Cantonés"),
    named("kea", "Cape Verdean Creole", "Criollo caboverdiano"),
    named("fr", "French", "Francés"),
    named("ht", "Haitian Creole", "Criollo haitiano"),
    named("hi", "Hindi", "Hindi"),
    named("it", "Italian", "Italiano"),
    named("km", "Khmer", "Jemer"),
    named("ko", "Korean", "Coreano"),
    named("cmn", "Mandarin", "Mandarín"),
    named("pl", "Polish", "Polaco"),
    named("pt", "Portuguese", "Portugués"),
    named("ru", "Russian", "Ruso"),
    named("so", "Somali", "Somalí"),
    named("tl", "Tagalog", "Tagalo"),
    named("uk", "Ukrainian", "Ucraniano"),
    named("vi", "Vietnamese", "Vietnamita"),
];

/// Returns the name of a language that pages offer, by its tag.
pub fn language_name(tag: &str, reader: Language) -> Option<&'static str> {
    OFFERED_LANGUAGES.iter().find(|one| one.tag == tag).map(|one| one.name(reader))
}

/// English and Spanish names of languages, without accents, some older codes, and their tags. Each has at least four letters or is no tag
/// itself.
const NAMES: &[(&str, &str)] = &[
    ("english", "en"),
    ("ingles", "en"),
    ("eng", "en"),
    ("spanish", "es"),
    ("espanol", "es"),
    ("castellano", "es"),
    ("castilian", "es"),
    ("spa", "es"),
    ("albanian", "sq"),
    ("albanes", "sq"),
    ("american sign language", "ase"),
    ("lengua de senas americana", "ase"),
    ("lengua de signos americana", "ase"),
    ("amharic", "am"),
    ("amarico", "am"),
    ("arabic", "ar"),
    ("arabe", "ar"),
    ("armenian", "hy"),
    ("armenio", "hy"),
    ("bengali", "bn"),
    ("bangla", "bn"),
    ("bosnian", "bs"),
    ("bosnio", "bs"),
    ("bulgarian", "bg"),
    ("bulgaro", "bg"),
    ("burmese", "my"),
    ("birmano", "my"),
    ("cambodian", "km"),
    ("cantonese", "yue"),
    ("cantones", "yue"),
    ("cape verdean creole", "kea"),
    ("criollo caboverdiano", "kea"),
    ("catalan", "ca"),
    ("chinese", "zh"),
    ("chino", "zh"),
    ("croatian", "hr"),
    ("croata", "hr"),
    ("czech", "cs"),
    ("checo", "cs"),
    ("danish", "da"),
    ("danes", "da"),
    ("dutch", "nl"),
    ("holandes", "nl"),
    ("neerlandes", "nl"),
    ("farsi", "fa"),
    ("filipino", "fil"),
    ("finnish", "fi"),
    ("finlandes", "fi"),
    ("french", "fr"),
    ("frances", "fr"),
    ("francais", "fr"),
    ("german", "de"),
    ("aleman", "de"),
    ("deutsch", "de"),
    ("greek", "el"),
    ("griego", "el"),
    ("gujarati", "gu"),
    ("haitian creole", "ht"),
    ("criollo haitiano", "ht"),
    ("kreyol ayisyen", "ht"),
    ("hebrew", "he"),
    ("hebreo", "he"),
    ("hindi", "hi"),
    ("hungarian", "hu"),
    ("hungaro", "hu"),
    ("indonesian", "id"),
    ("indonesio", "id"),
    ("italian", "it"),
    ("italiano", "it"),
    ("japanese", "ja"),
    ("japones", "ja"),
    ("khmer", "km"),
    ("jemer", "km"),
    ("korean", "ko"),
    ("coreano", "ko"),
    ("laotian", "lo"),
    ("laosiano", "lo"),
    ("mandarin", "cmn"),
    ("nepali", "ne"),
    ("norwegian", "no"),
    ("noruego", "no"),
    ("pashto", "ps"),
    ("pastun", "ps"),
    ("persian", "fa"),
    ("persa", "fa"),
    ("polish", "pl"),
    ("polaco", "pl"),
    ("portuguese", "pt"),
    ("portugues", "pt"),
    ("punjabi", "pa"),
    ("panyabi", "pa"),
    ("quechua", "qu"),
    ("romanian", "ro"),
    ("rumano", "ro"),
    ("russian", "ru"),
    ("ruso", "ru"),
    ("serbian", "sr"),
    ("serbio", "sr"),
    ("somali", "so"),
    ("swahili", "sw"),
    ("suajili", "sw"),
    ("swedish", "sv"),
    ("sueco", "sv"),
    ("tagalog", "tl"),
    ("tagalo", "tl"),
    ("tamil", "ta"),
    ("telugu", "te"),
    ("thai", "th"),
    ("tailandes", "th"),
    ("turkish", "tr"),
    ("turco", "tr"),
    ("ukrainian", "uk"),
    ("ucraniano", "uk"),
    ("urdu", "ur"),
    ("vietnamese", "vi"),
    ("vietnamita", "vi"),
    ("yiddish", "yi"),
];

/// Returns the tag of a language by its name in English or Spanish.
pub fn tag_of_name(name: &str) -> Option<&'static str> {
    let plain: String = name.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    NAMES.iter().find(|(name, _)| *name == plain).map(|(_, tag)| *tag)
}

/// Reads a language tag (BCP 47) and returns it in its customary letters: `EN-us` becomes `en-US`.
///
/// Understands the English and Spanish names of many languages, so that `Español` is `es`. Mails to a patient of any
/// language but Spanish are in English.
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
    fn every_name_of_a_language_is_read_as_its_tag() {
        for (name, tag) in NAMES {
            assert_eq!(language(name).expect(name), *tag, "{name}");
        }
        for offered in OFFERED_LANGUAGES {
            for reader in [Language::English, Language::Spanish] {
                let name = offered.name(reader);
                assert_eq!(language(name).expect(name), offered.tag, "{name}");
                assert_eq!(language_name(offered.tag, reader), Some(name));
                assert!(name.chars().count() <= MAX_LENGTH, "{name}");
            }
        }
        assert_eq!(language("  PORTUGUE\u{302}S ").expect("a name"), "pt");
        assert_eq!(language("Portuguese-BR").expect("a name"), "pt-BR");
        assert_eq!(language_name("en", Language::English), None);
    }

    #[test]
    fn no_tag_of_a_language_is_taken_for_the_name_of_another() {
        for (name, tag) in NAMES {
            let is_tag = language_tags::LanguageTag::parse(name).is_ok_and(|tag| tag.is_valid());
            assert!(!is_tag, "{name} is a tag, and is read as {tag}");
        }
    }

    #[test]
    fn what_is_no_registered_tag_is_refused() {
        let long = format!("en-{}", "a-".repeat(20));
        for wrong in ["", "e", "en_US", "english please", "Elvish", "sp", "us", "jp", "xx", "xyz", "en-ZZZ", "x", &long]
        {
            assert_eq!(language(wrong).expect_err(wrong).code, "invalid_language");
        }
    }
}
