//! Confirmation codes: what a patient reads to the front desk over the phone.

use std::fmt;

use crate::clock::Entropy;
use crate::error::Rule;

/// The characters of a code. Left out is what looks alike (0 O, 1 I L, 2 Z, 5 S, 8 B, U V), what sounds alike on a
/// phone line (M N, F S, B D V) as far as enough remains, and vowels, so that no code spells a word.
pub const ALPHABET: &[u8; 20] = b"234679CDFGHJKMPQRTWX";

/// How many characters a code has: 20^8 are 25 billion codes.
pub const LENGTH: usize = 8;

/// A confirmation code. Shown in two groups, `K7MP-3XWD`; stored without the hyphen; read with or without it, in either
/// case.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfirmationCode(String);

impl ConfirmationCode {
    /// Draws a code. It may be taken: the unique constraint then asks for another try.
    pub fn draw(entropy: &Entropy) -> Self {
        let count = u32::try_from(ALPHABET.len()).unwrap_or(u32::MAX);
        Self((0..LENGTH).map(|_| char::from(ALPHABET[entropy.below(count) as usize])).collect())
    }

    /// Reads a code as people write it. A character that no code has is let through: it finds nothing.
    ///
    /// # Errors
    /// Where it has not eight letters and digits, apart from hyphens and spaces.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let code: String =
            text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).take(LENGTH + 1).collect();
        if code.len() == LENGTH && code.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(code))
        } else {
            Err(Rule::new("wrong_value", "must be eight letters and digits, such as K7MP-3XWD"))
        }
    }

    /// As the database holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As the database gave it back.
    pub fn stored(code: String) -> Self {
        Self(code)
    }
}

impl fmt::Display for ConfirmationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(LENGTH / 2) {
            Some((first, second)) => write!(f, "{first}-{second}"),
            None => f.write_str(&self.0),
        }
    }
}

/// A person who knows a code may be taken for the patient on the telephone.
impl fmt::Debug for ConfirmationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfirmationCode(..)")
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
        for text in ["", "K7MP", "K7MP-3XWD-2", "K7MP_3XWD", "ÄÖÜÄÖÜÄÖ", "K7MP3XW\u{0}"] {
            assert!(ConfirmationCode::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_drawn_code_is_read_back_however_it_is_written(seed: u64, lower: bool, spaced: bool) {
            let code = ConfirmationCode::draw(&Entropy::seeded(seed));
            let mut text = code.to_string();
            prop_assert_eq!(text.len(), LENGTH + 1);
            if lower {
                text = text.to_lowercase();
            }
            if spaced {
                text = text.replace('-', " ");
            }
            prop_assert_eq!(ConfirmationCode::parse(&text).expect("a code"), code.clone());
            prop_assert_eq!(ConfirmationCode::parse(code.as_str()).expect("a code"), code);
        }
    }
}
