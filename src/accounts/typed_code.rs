//! Codes that people type in or read out: those in mails for whom a link does not work, and the confirmation codes of appointments.

use crate::clock::Entropy;
use crate::env::Env;
use crate::error::{FieldCode, Rule};

/// The characters of a code. It leaves out what looks alike (0 O, 1 I L, 2 Z, 5 S, 8 B, U V), what sounds alike on a
/// phone line (M N, F S, B D V) as far as enough remains, and vowels, so that no code spells a word.
const ALPHABET: &[u8; 20] = b"234679CDFGHJKMPQRTWX";
/// Codes are shown in groups of this length.
const GROUP: usize = 4;

/// Draws the characters of a code.
pub fn draw(entropy: &Entropy, length: usize) -> String {
    let count = u32::try_from(ALPHABET.len()).unwrap_or(u32::MAX);
    (0..length).map(|_| char::from(ALPHABET[entropy.below(count) as usize])).collect()
}

/// Reads a code as people write it: with or without hyphens and spaces, in either case. A character that no code has is let through: it
/// finds nothing. Returns none unless there are `length` letters and digits.
pub fn read(text: &str, length: usize) -> Option<String> {
    let is_kept = |c: &char| !matches!(c, '-' | '–') && !c.is_whitespace();
    let code: String = text.chars().filter(is_kept).map(|c| c.to_ascii_uppercase()).take(length + 1).collect();
    (code.len() == length && code.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(code)
}

/// Writes a code in groups, `K7MP-3XWD`.
pub fn shown(code: &str) -> String {
    let characters: Vec<char> = code.chars().collect();
    characters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// The codes of one kind of link. They are guessed and throttled together.
#[derive(Debug, Clone, Copy)]
pub struct CodeSpace(pub &'static str);

/// A code in a mail that does what the mail's link does. It works on pages without a script, because the token of a link is in the
/// fragment of its address, which no server sees.
///
/// It has 20^12 values, so it needs no second fact such as the birth date, which others know. See
/// `docs/decisions/0034-typed-codes.md`.
#[derive(Clone, PartialEq, Eq)]
pub struct TypedCode(String);

impl TypedCode {
    const LENGTH: usize = 12;

    /// Draws a code.
    pub fn draw(entropy: &Entropy) -> Self {
        Self(draw(entropy, Self::LENGTH))
    }

    /// Reads a code as people write it.
    ///
    /// # Errors
    /// `wrong_value` unless it has twelve letters and digits, apart from hyphens and spaces.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let code = read(text, Self::LENGTH).map(Self);
        code.ok_or_else(|| {
            Rule::new(FieldCode::WrongValue, "must be twelve letters and digits, such as K7MP-3XWD-9CFH")
        })
    }

    /// Returns the code in groups, as mails show it.
    pub fn shown(&self) -> String {
        shown(&self.0)
    }

    /// Returns the keyed digest that is stored. Without the key, a thief of the database cannot find the code by trying all.
    pub fn digest(&self, env: &Env, space: CodeSpace) -> Vec<u8> {
        env.sealer.fingerprint(&[b"typed code", space.0.as_bytes(), self.0.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_character_of_a_code_can_be_taken_for_another_or_make_a_word() {
        for confusing in "0O1IL2Z5S8BUVNAEIOUY".chars().filter(|c| *c != '2') {
            assert!(!ALPHABET.contains(&u8::try_from(confusing).expect("ASCII")), "{confusing}");
        }
        let mut sorted = ALPHABET.to_vec();
        sorted.dedup();
        assert_eq!(sorted.len(), ALPHABET.len());
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", "K7MP", "K7MP-3XWD-9CFH-2", "K7MP_3XWD_9CFH", "ÄÖÜÄÖÜÄÖÜÄÖÜ", "K7MP3XWD9CF\u{0}"] {
            assert!(TypedCode::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_drawn_code_is_read_back_however_it_is_written(seed: u64, lower: bool, separator in "[ \u{a0}–-]?") {
            let code = TypedCode::draw(&Entropy::seeded(seed));
            prop_assert_eq!(code.shown().len(), TypedCode::LENGTH + 2);
            let mut text = format!(" {} ", code.shown().replace('-', &separator));
            if lower {
                text = text.to_lowercase();
            }
            prop_assert!(TypedCode::parse(&text).is_ok_and(|read| read == code), "{text}");
        }
    }
}
