//! One typing mistake in a searched name: a letter that is wrong, missing or one too many, or two letters that changed places.

use std::collections::BTreeSet;

/// A name with fewer letters is found only as it is written. Otherwise a short word would find too many people.
const SHORTEST_NAME: usize = 4;
/// So many characters of a searched word are varied. Each has some 50 variants.
const VARIED: usize = 16;

/// Whether a name was found by the beginnings of its words or by whole words. Whole words come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    Whole,
    Beginning,
}

/// Returns how names match the searched words with exactly one mistake; none if they do not. `names` are the words of the names.
pub fn match_names(sought: &BTreeSet<String>, names: &BTreeSet<String>) -> Option<Match> {
    let mut mistaken = sought.iter().filter(|word| !names.iter().any(|name| name.starts_with(word.as_str())));
    let word = mistaken.next()?;
    if mistaken.next().is_some() {
        return None;
    }
    names.iter().filter_map(|name| match_word(word, name)).min()
}

/// Returns how a word of a name matches a searched word with at most one mistake.
fn match_word(sought: &str, name: &str) -> Option<Match> {
    let (sought, name) = (chars(sought), chars(name));
    if name.len() < SHORTEST_NAME {
        return None;
    }
    if differs_once_at_most(&sought, &name) {
        return Some(Match::Whole);
    }
    let lengths = sought.len().saturating_sub(1)..=sought.len() + 1;
    // A letter that is missing at the end of a beginning is none.
    let is_begun = sought.len() >= SHORTEST_NAME
        && lengths
            .filter(|length| *length >= SHORTEST_NAME)
            .filter_map(|length| name.get(..length))
            .any(|beginning| differs_once_at_most(&sought, beginning));
    is_begun.then_some(Match::Beginning)
}

/// Returns whether one typing mistake, or none, makes one text of the other.
fn differs_once_at_most(a: &[char], b: &[char]) -> bool {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    match (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default()) {
        ([], []) => true,
        ([_, a @ ..], []) => a.is_empty(),
        ([], [_, b @ ..]) => b.is_empty(),
        (left @ [x, a @ ..], right @ [y, b @ ..]) => {
            let have_changed_places = matches!((a, b), ([v, a @ ..], [w, b @ ..]) if x == w && y == v && a == b);
            a == b || have_changed_places || left == b || a == right
        }
    }
}

/// Returns the beginnings that a name may have if this word was meant for it and has one mistake: one of them begins every word that
/// [`match_names`] accepts, if the wrong or missing letter is of the word's alphabet. At most some 850 in the Latin alphabet.
pub fn beginnings(sought: &str) -> BTreeSet<String> {
    let all = chars(sought);
    let word = all.get(..VARIED).unwrap_or(&all);
    let letters = alphabet(word);
    let mut found: BTreeSet<Vec<char>> = BTreeSet::new();
    for at in 0..word.len() {
        let (before, rest) = word.split_at(at);
        let [letter, after @ ..] = rest else { continue };
        if word.len() >= SHORTEST_NAME {
            found.insert([before, after].concat());
            found.extend(letters.iter().map(|other| [before, &[*other], after].concat()));
            if let [next, after @ ..] = after {
                found.insert([before, &[*next, *letter], after].concat());
            }
        }
        found.extend(letters.iter().map(|missing| [before, &[*missing], rest].concat()));
    }
    // What begins like the word was found without a mistake, unless the mistake is behind this beginning.
    let is_whole = all.len() == word.len();
    let begins_so = |beginning: &Vec<char>| is_whole && beginning.starts_with(word);
    let fits = |beginning: &Vec<char>| beginning.len() >= SHORTEST_NAME && !begins_so(beginning);
    found.into_iter().filter(fits).map(String::from_iter).collect()
}

/// The letters of the alphabets of a word, as they are in the words of names, and the word's own characters.
fn alphabet(word: &[char]) -> BTreeSet<char> {
    let mut letters: BTreeSet<char> = word.iter().copied().collect();
    // Without the letters that have accents. The last one of the Cyrillic letters has a place of its own.
    let latin: BTreeSet<char> = ('a'..='z').collect();
    let greek: BTreeSet<char> = ('α'..='ω').collect();
    let cyrillic: BTreeSet<char> = ('а'..='џ').chain(['ґ']).collect();
    for alphabet in [latin, greek, cyrillic] {
        if word.iter().any(|letter| alphabet.contains(letter)) {
            letters.extend(alphabet);
        }
    }
    letters
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::patients::names;

    fn matches(sought: &str, name: &str) -> Option<Match> {
        match_names(&names::query_words(sought), &names::words([name]))
    }

    #[test]
    fn each_kind_of_mistake_is_forgiven_in_a_word_and_in_its_beginning() {
        for (sought, name) in [
            ("garcoa", "García"),
            ("grcia", "García"),
            ("garrcia", "García"),
            ("gracia", "García"),
            ("agrcia", "García"),
            ("arcia", "García"),
            ("garciaa", "García"),
            ("jhon", "John"),
            ("jon", "John"),
            ("gonzales", "Gonzalez"),
            ("иваноф", "Иванов"),
            ("παπαδοπουλου", "Παπαδόπουλος"),
            ("ann gracia", "Ann María García"),
        ] {
            assert_eq!(matches(sought, name), Some(Match::Whole), "{sought} for {name}");
        }
        for (sought, name) in
            [("gonzzal", "Gonzalez"), ("gozal", "Gonzalez"), ("gnoz", "Gonzalez"), ("ann gonzu", "Anna Gonzalez")]
        {
            assert_eq!(matches(sought, name), Some(Match::Beginning), "{sought} for {name}");
        }
    }

    #[test]
    fn two_mistakes_a_short_name_and_a_name_that_is_found_anyway_are_no_match() {
        for (sought, name) in [
            ("gracai", "García"),
            ("ran gracia", "Ann García"),
            ("anna", "Ana"),
            ("an", "Anna"),
            ("rla", "Carla"),
            ("garc", "García"),
            ("garcia ann", "Ann García"),
        ] {
            assert_eq!(matches(sought, name), None, "{sought} for {name}");
        }
    }

    #[test]
    fn the_beginnings_of_the_longest_word_are_limited() {
        assert!(beginnings(&"abcdefgh".repeat(8)).len() <= 850);
        assert!(beginnings(&"abγдefgh".repeat(8)).len() <= 4000);
        assert!(beginnings("ab").is_empty());
    }

    proptest! {
        #[test]
        fn every_word_that_matches_has_one_of_the_beginnings(
            name in "[a-e]{3,20}|[а-г]{4,9}|[山田川]{4,6}", at in 0_usize..20, kind in 0..4, letter in "[a-f]", cut in 0_usize..3,
        ) {
            let mut typed: Vec<char> = name.chars().collect();
            let at = at % typed.len();
            let letter = if name.starts_with(|c: char| c.is_ascii()) { letter.chars().next().expect("a letter") } else { typed[0] };
            match kind {
                0 => typed[at] = letter,
                1 => typed.insert(at, letter),
                2 => drop(typed.remove(at)),
                _ => typed.swap(at, (at + 1) % name.chars().count()),
            }
            typed.truncate(typed.len() - cut.min(typed.len() - 1));
            let typed: String = typed.into_iter().collect();
            let found = match_names(&BTreeSet::from([typed.clone()]), &BTreeSet::from([name.clone()]));
            // The letter that was replaced or left out is known only in an alphabet.
            if found.is_some() && (name.starts_with(|c| !matches!(c, '山' | '田' | '川')) || (kind == 1 && cut == 0)) {
                prop_assert!(beginnings(&typed).iter().any(|beginning| name.starts_with(beginning.as_str())), "{} for {}", typed, name);
            }
        }
    }
}
