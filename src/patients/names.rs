//! Names as they are searched: without accents, case and punctuation, word by word.

use std::collections::BTreeSet;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use crate::error::{FieldCode, Rule};

/// The longest search text, in characters.
const QUERY_LENGTH: usize = 200;
/// The most words of a search. Each adds a condition to the query, and no name has more.
const QUERY_WORDS: usize = 10;
/// The longest stored word, in characters. Longer words are cut, because the size of an index entry is limited.
const WORD_LENGTH: usize = 64;

/// Returns every word under which these names are found. A word with punctuation inside (`O'Brien`, `Anne-Marie`) is found by its
/// parts and by the whole without punctuation.
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

/// Returns every beginning of the words under which these names are found.
pub fn prefixes<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut prefixes = BTreeSet::new();
    for word in words(names) {
        let ends = word.char_indices().map(|(at, char)| at + char.len_utf8());
        prefixes.extend(ends.filter_map(|end| word.get(..end)).map(str::to_owned));
    }
    prefixes
}

/// Returns the words of a text as they are compared with the words of names.
pub fn query_words(query: &str) -> BTreeSet<String> {
    parts(&fold(query)).collect()
}

/// Reads the words of a search. Each must begin a word of one of the patient's names.
///
/// # Errors
/// `too_long`; `wrong_value` without a word, which would match every patient; `too_many`.
pub fn search_words(query: &str) -> Result<BTreeSet<String>, Rule> {
    if query.chars().count() > QUERY_LENGTH {
        return Err(Rule::new(FieldCode::TooLong, format!("must be at most {QUERY_LENGTH} characters")));
    }
    let words = query_words(query);
    if words.is_empty() {
        return Err(Rule::new(FieldCode::WrongValue, "must have at least one letter or digit"));
    }
    if words.len() > QUERY_WORDS {
        return Err(Rule::new(FieldCode::TooMany, format!("must have at most {QUERY_WORDS} words")));
    }
    Ok(words)
}

/// Returns a name as it is compared with another: folded, without punctuation and spaces.
pub fn compact(name: &str) -> String {
    fold(name).chars().filter(|c| c.is_alphanumeric()).collect()
}

fn parts(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_LENGTH).collect())
}

/// Folds case, unifies compatible forms (Unicode's NFKC_Casefold, decomposed) and removes accents.
fn fold(text: &str) -> String {
    // The tables of std are newer than those of the crate: letters that the crate does not know are lower-cased at least.
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

/// Returns whether this is a mark on a letter. Vowel signs of Indic scripts are marks of class 0. They stay, because they are part of the
/// word like its consonants.
fn is_accent(c: char) -> bool {
    canonical_combining_class(c) != 0
}

/// Returns how a letter that Unicode does not decompose is written without it.
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
        // The rest of the Catalan ŀ, which would split a word.
        '·' => "",
        _ => return None,
    })
}

/// Returns the first text after all texts that begin with `prefix`; none if there is none. The order is that of code points, which is
/// the order of UTF-8's bytes, of PostgreSQL's `C` and of SQLite's `BINARY`.
pub fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The range skips the surrogates between U+D7FF and U+E000.
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
        let prefixes = prefixes([name]);
        query_words(query).iter().all(|sought| prefixes.contains(sought))
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
    fn a_search_matches_the_beginnings_of_words_in_any_order() {
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
    fn each_beginning_of_each_word_is_there_once() {
        let found: Vec<_> = prefixes(["Ána Anø"]).into_iter().collect();
        assert_eq!(found, ["a", "an", "ana", "ano"]);
    }

    #[test]
    fn a_character_that_decomposes_into_many_still_fits_an_index() {
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
        fn a_text_is_between_a_prefix_and_its_successor_exactly_if_it_begins_with_it(
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
