//! Medical record numbers. They are random: from numbers in a row, a stranger who registers before and after an address would learn
//! whether it has an account, and how many patients the clinic has.

use crate::clock::Entropy;

/// The first number of eight digits.
const FIRST: u32 = 10_000_000;
/// How many numbers of eight digits there are. Older records have shorter ones.
const COUNT: u32 = 90_000_000;

/// Draws a medical record number: `LW-40718256`. It may be taken: the unique constraint then asks for another try.
pub fn draw(entropy: &Entropy) -> String {
    format((FIRST + entropy.below(COUNT)).into())
}

fn format(number: i64) -> String {
    format!("LW-{number:06}")
}

/// Reads a medical record number in either case, with or without `LW-` and leading zeros.
pub fn parse(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.strip_prefix("LW").map_or(text.as_str(), |rest| rest.trim_start_matches(['-', ' ']));
    if !(1..=18).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_number_is_read_in_every_common_form() {
        for typed in ["LW-001001", "lw-1001", "1001", " LW 1001 ", "lw001001"] {
            assert_eq!(parse(typed).as_deref(), Some("LW-001001"), "{typed}");
        }
        for wrong in ["", "LW-", "-1", "LW-12a", "+12", "9999999999999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("40718256").as_deref(), Some("LW-40718256"));
    }
}
