//! Confirmation codes: what a patient reads to the front desk over the phone.

use std::fmt;

use crate::accounts::typed_code;
use crate::clock::Entropy;
use crate::error::{FieldCode, Rule};

/// How many characters a code has: 20^8 are 25 billion codes.
pub const LENGTH: usize = 8;

/// A confirmation code. Shown in two groups, `K7MP-3XWD`; stored without the hyphen; read with or without it, in either
/// case.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfirmationCode(String);

impl ConfirmationCode {
    /// Draws a code. It may be taken: the unique constraint then asks for another try.
    pub fn draw(entropy: &Entropy) -> Self {
        Self(typed_code::draw(entropy, LENGTH))
    }

    /// Reads a code as people write it. A character that no code has is let through: it finds nothing.
    ///
    /// # Errors
    /// Where it has not eight letters and digits, apart from hyphens and spaces.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let code = typed_code::read(text, LENGTH).map(Self);
        code.ok_or_else(|| Rule::new(FieldCode::WrongValue, "must be eight letters and digits, such as K7MP-3XWD"))
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
        f.write_str(&typed_code::shown(&self.0))
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
