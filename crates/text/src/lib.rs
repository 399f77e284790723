//! Checks texts that people type and normalises them: lines, country codes, language tags. Also the languages of the
//! service itself.

#![warn(missing_docs)]

mod countries;
mod field_code;
mod languages;

pub use countries::country;
pub use field_code::FieldCode;
pub use languages::{NamedLanguage, OFFERED_LANGUAGES, language, language_name};

use unicode_normalization::UnicodeNormalization;

/// The rule that a value breaks. The caller knows where the value was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The kind of rule.
    pub code: FieldCode,
    /// A sentence for people. It does not repeat the value.
    pub detail: String,
}

impl Rule {
    /// `detail` must not repeat the value.
    pub fn new(code: FieldCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// The maximum length of a name of a person or thing, in characters. It fits in one line of a mail, a calendar and a list.
pub const MAX_NAME: usize = 100;
/// The maximum length of a reason, in characters: a few sentences, so that it does not take the place of the record.
pub const MAX_REASON: usize = 500;
/// The maximum length of a note, in characters: half a page.
pub const MAX_NOTE: usize = 1000;

/// Reads one line of text: trims it, composes it (Unicode NFC) and checks that it has 1 to `max` characters, none of
/// them forbidden ([`is_forbidden`]) or hidden ([`is_hidden`]).
///
/// # Errors
/// `required` if it is blank, `forbidden_character`, `too_long`.
pub fn one_line(value: &str, max: usize) -> Result<String, Rule> {
    let text: String = value.trim().nfc().collect();
    if text.is_empty() {
        return Err(Rule::new(FieldCode::Required, "must not be empty"));
    }
    if text.chars().any(|c| is_forbidden(c) || is_hidden(c)) {
        return Err(Rule::new(
            FieldCode::ForbiddenCharacter,
            "must be one line without control, invisible and private-use characters",
        ));
    }
    if text.chars().count() > max {
        return Err(Rule::new(FieldCode::TooLong, format!("must be at most {max} characters")));
    }
    Ok(text)
}

/// Reads text of several lines: like [`one_line`], but line breaks are allowed and become `\n`.
///
/// # Errors
/// `required` if it is blank, `forbidden_character`, `too_long`.
pub fn lines(value: &str, max: usize) -> Result<String, Rule> {
    let text: String = value.trim().replace("\r\n", "\n").nfc().collect();
    if text.is_empty() {
        return Err(Rule::new(FieldCode::Required, "must not be empty"));
    }
    if text.chars().any(|c| c != '\n' && is_forbidden(c)) {
        return Err(Rule::new(FieldCode::ForbiddenCharacter, "must be text without control characters"));
    }
    if text.chars().count() > max {
        return Err(Rule::new(FieldCode::TooLong, format!("must be at most {max} characters")));
    }
    Ok(text)
}

/// Returns whether a character is a control character, a line or paragraph separator, or changes the direction of the
/// text around it. Such characters could forge a line of a mail or disguise a name. Joiners are allowed: Persian and
/// Indic names need them.
pub fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Returns whether a character has no shape of its own or none that is the same everywhere: fillers, tags, private use,
/// noncharacters. Two names that differ only in such characters look the same. Joiners and variation selectors are
/// allowed: Persian, Indic and Japanese names need them.
pub fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2060}'..='\u{206f}' | '\u{2800}'
        | '\u{3164}' | '\u{ffa0}' | '\u{fffc}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}')
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{f0000}'..)
        || u32::from(c) & 0xfffe == 0xfffe
}

/// A language of the service's forms, mails and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Spanish.
    Spanish,
}

impl Language {
    /// Returns Spanish for every tag (BCP 47) of Spanish, and English for all others. Older records may hold the name
    /// of a language instead, such as `spanish`.
    pub fn of_tag(tag: &str) -> Self {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        let primary = languages::tag_of_name(primary).unwrap_or(primary);
        if primary.eq_ignore_ascii_case("es") { Self::Spanish } else { Self::English }
    }

    /// The language tag: `en` or `es`.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_composed_and_counted_in_characters() {
        assert_eq!(one_line("  Zoe\u{308} ", 3).expect("a line"), "Zoë");
        assert_eq!(one_line("山田", 2).expect("a line"), "山田");
        assert_eq!(one_line("山田太", 2).expect_err("refused").code, "too_long");
        assert_eq!(one_line(" \t", 9).expect_err("refused").code, "required");
    }

    #[test]
    fn what_could_forge_a_line_or_turn_the_text_is_refused() {
        for c in ['\r', '\n', '\0', '\t', '\u{7f}', '\u{85}', '\u{2028}', '\u{202e}', '\u{2067}', '\u{200f}'] {
            let text = format!("a{c}b");
            assert_eq!(one_line(&text, 9).expect_err("refused").code, "forbidden_character", "{c:?}");
        }
        assert!(one_line("نیلو\u{200c}فر", 20).is_ok(), "a joiner is part of a Persian name");
    }

    #[test]
    fn a_line_has_no_invisible_tag_or_private_use_character() {
        for c in ['\u{ad}', '\u{2060}', '\u{3164}', '\u{e000}', '\u{fdd0}', '\u{ffff}', '\u{e0041}', '\u{100000}'] {
            let text = format!("a{c}b");
            assert_eq!(one_line(&text, 9).expect_err("refused").code, "forbidden_character", "{c:?}");
        }
        assert!(one_line("葛\u{e0100}城", 9).is_ok(), "a variation selector is part of a Japanese name");
    }

    #[test]
    fn a_text_of_several_lines_keeps_its_line_breaks_and_no_other_control_characters() {
        assert_eq!(lines(" one\r\ntwo\n", 10).expect("a text"), "one\ntwo");
        assert_eq!(lines("one\rtwo", 10).expect_err("refused").code, "forbidden_character");
        assert_eq!(lines("a\u{202e}b", 10).expect_err("refused").code, "forbidden_character");
        assert_eq!(lines("one\ntwo", 6).expect_err("refused").code, "too_long");
    }

    #[test]
    fn languages_are_matched_by_their_primary_tag() {
        for (tag, language) in [
            ("es-MX", Language::Spanish),
            ("ES", Language::Spanish),
            ("en-US", Language::English),
            ("est", Language::English),
            ("spanish", Language::Spanish),
            ("spa-MX", Language::Spanish),
            ("fr", Language::English),
        ] {
            assert_eq!(Language::of_tag(tag), language, "{tag}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_was_read_once_reads_the_same_again(text in "\\PC{0,40}") {
            if let Ok(line) = one_line(&text, 200) {
                assert_eq!(one_line(&line, 200).expect("a line"), line);
            }
        }
    }
}
