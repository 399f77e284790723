//! Comparing names of medicines.

use unicode_normalization::UnicodeNormalization;

/// Normalises a name for comparison: Unicode NFKC, lower case, single spaces.
pub fn normalized_name(name: &str) -> String {
    let name: String = name.nfkc().collect::<String>().to_lowercase();
    name.split_whitespace().collect::<Vec<_>>().join(" ")
}
