//! Finds the known name that the caller most likely meant by an unknown one.

/// The longest unknown name that is compared, in bytes. No known name is longer.
const MAX_LENGTH: usize = 64;

/// Returns the known name that is near enough to be meant, or none.
///
/// Near is a name that differs only in case and punctuation, in a few letters, or that alone has all words of the other.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    if name.len() > MAX_LENGTH {
        return None;
    }
    let wanted = letters(name);
    let typo = known
        .clone()
        .map(|one| (strsim::osa_distance(&wanted, &letters(one)), one))
        .filter(|(distance, one)| *distance <= tolerated(wanted.len().min(one.len())))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, one)) = typo {
        return Some(one);
    }
    let wanted = words(name);
    let mut related = known.filter(|one| {
        let one = words(one);
        contains(&one, &wanted) || contains(&wanted, &one)
    });
    // Of several candidates none is near.
    related.next().filter(|_| related.next().is_none())
}

/// How many letters of a name may be wrong.
fn tolerated(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    }
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The words of a name in snake case, camel case or with hyphens.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_numeric();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn contains(all: &[String], some: &[String]) -> bool {
    !some.is_empty() && some.iter().all(|word| all.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_suggested() {
        let known =
            ["preferred_language", "given_name", "family_name", "phone", "email", "slot_id", "hold_id", "limit"];
        for (name, near) in [
            ("prefered_language", Some("preferred_language")),
            ("preferredLanguage", Some("preferred_language")),
            ("PREFERRED-LANGUAGE", Some("preferred_language")),
            ("language", Some("preferred_language")),
            ("e-mail", Some("email")),
            ("hold", Some("hold_id")),
            ("slotId", Some("slot_id")),
            ("phone_number", Some("phone")),
            ("limt", Some("limit")),
            ("name", None),
            ("colour", None),
            ("is_admin", None),
            ("id", None),
            ("", None),
            ("__", None),
        ] {
            assert_eq!(nearest(name, known.into_iter()), near, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(60_000), known.into_iter()), None);
    }
}
