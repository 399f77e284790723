//! Names as they are searched: without accents, case and punctuation, word by word.

use std::collections::BTreeSet;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// A word is cut to this many characters: an index entry has a limited size, and nobody searches by more.
const WORD_LENGTH: usize = 64;

/// Every word under which these names are found: the words themselves and, where punctuation stands within one
/// (`O'Brien`, `Anne-Marie`), its parts and the whole without it.
pub fn words<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for name in names {
        let name = fold(name);
        for token in name.split_whitespace() {
            words.extend(parts(token));
            words.extend(parts(&token.replace(|c: char| !c.is_alphanumeric(), "")));
        }
    }
    words
}

/// The words that somebody searches for; each must be the beginning of a word of a name.
pub fn query_words(query: &str) -> BTreeSet<String> {
    parts(&fold(query)).collect()
}

/// A name as it is compared with another: folded, without punctuation and spaces.
pub fn compact(name: &str) -> String {
    fold(name).chars().filter(|c| c.is_alphanumeric()).collect()
}

fn parts(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_LENGTH).collect())
}

/// The text with case folded and compatible forms made one (Unicode's NFKC_Casefold, decomposed), its accents taken off.
fn fold(text: &str) -> String {
    // std's tables are newer than the crate's: what the crate does not know yet is at least lower-cased.
    let lower = text.nfd().flat_map(char::to_lowercase);
    let once = lower.default_case_fold().nfkd().default_case_fold().nfkd().filter(|c| !is_accent(*c));
    let mut folded = String::with_capacity(text.len());
    for c in once {
        match undecomposed(c) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(c),
        }
    }
    folded
}

/// Marks that sit on a letter. Vowel signs of Indic scripts are marks as well, but of class 0: they stay, for they are
/// as much of a word as its consonants.
fn is_accent(c: char) -> bool {
    canonical_combining_class(c) != 0
}

/// Letters that Unicode does not take apart, as keyboards without them write them.
fn undecomposed(c: char) -> Option<&'static str> {
    Some(match c {
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ħ' => "h",
        'ı' => "i",
        'ł' => "l",
        'ŋ' => "n",
        'ŧ' => "t",
        'þ' => "th",
        // What is left of the Catalan ŀ; it would part a word.
        '·' => "",
        _ => return None,
    })
}

/// The least text that comes after every text that begins with `prefix`, in the order of code points (which is that of
/// UTF-8's bytes, PostgreSQL's `C` and SQLite's `BINARY`); `None` where there is none.
pub fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // `char` knows that no character stands between U+D7FF and U+E000.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(name: &str) -> Vec<String> {
        words([name]).into_iter().collect()
    }

    fn finds(query: &str, name: &str) -> bool {
        let words = words([name]);
        query_words(query).iter().all(|sought| words.iter().any(|word| word.starts_with(sought.as_str())))
    }

    #[test]
    fn accents_case_and_letters_that_do_not_decompose_make_no_difference() {
        for (query, name) in [
            ("zoe", "Zoë"),
            ("ZOË", "zoe"),
            ("muller", "Müller"),
            ("strasse", "Straße"),
            ("Straße", "STRASSE"),
            ("lukasz", "Łukasz"),
            ("soren", "Søren"),
            ("thora", "Þóra"),
            ("aerosmith", "Ærosmith"),
            ("istanbullu", "İstanbullu"),
            ("nguyen", "Nguyễn"),
            ("galla", "Gaŀla"),
            ("σοφοσ", "ΣΟΦΟΣ"),
            ("ivanov", "Ivanov"),
            ("山", "山田"),
        ] {
            assert!(finds(query, name), "{query} finds {name}");
        }
    }

    #[test]
    fn words_are_sought_in_any_order_and_by_their_beginnings() {
        assert!(finds("garc ana", "Ana María García López"));
        assert!(finds("lop gar", "Ana María García López"));
        assert!(!finds("arcia", "Ana María García López"));
        assert!(!finds("ana pere", "Ana María García López"));
    }

    #[test]
    fn punctuation_within_a_name_may_be_typed_or_left_out() {
        for query in ["o'brien", "obrien", "O’Brien", "brien", "o brien"] {
            assert!(finds(query, "O'Brien"), "{query}");
        }
        assert_eq!(of("Anne-Marie"), ["anne", "annemarie", "marie"]);
    }

    #[test]
    fn a_character_that_unfolds_into_a_sentence_still_fits_an_index() {
        let longest = of(&"\u{fdfa}".repeat(100));
        assert!(longest.iter().all(|word| word.chars().count() <= WORD_LENGTH));
        assert!(finds(&"a".repeat(100), &"a".repeat(100)));
    }

    #[test]
    fn the_last_character_has_no_successor_of_its_own() {
        assert_eq!(successor("a").as_deref(), Some("b"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(successor("\u{10ffff}"), None);
        assert_eq!(successor(""), None);
    }

    proptest! {
        #[test]
        fn a_text_lies_between_a_prefix_and_its_successor_just_if_it_begins_with_it(
            prefix in "[a-c\u{d7ff}\u{10ffff}]{1,4}", text in "[a-d\u{d7ff}\u{e000}\u{10ffff}]{0,6}",
        ) {
            let between = text >= prefix && successor(&prefix).is_none_or(|end| text < end);
            prop_assert_eq!(between, text.starts_with(&prefix));
        }

        #[test]
        fn normalising_twice_changes_nothing(name in "\\PC{0,30}") {
            for word in words([name.as_str()]) {
                prop_assert_eq!(query_words(&word).into_iter().collect::<Vec<_>>(), vec![word]);
            }
        }

        #[test]
        fn every_name_is_found_by_itself_in_upper_and_in_lower_case(name in "[\\p{Latin}\\p{Greek}\\p{Cyrillic} '-]{1,30}") {
            prop_assert!(finds(&name, &name));
            prop_assert!(finds(&name.to_lowercase(), &name));
            prop_assert!(finds(&name.to_uppercase(), &name.to_lowercase()));
        }
    }
}
