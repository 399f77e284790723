//! The licensed text of the IRLS. A clinic with a licence loads it at the start of the service. The service does not
//! include the text, because the instrument belongs to the IRLSSG and is licensed through Mapi.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Language;

/// A licensed text of the IRLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextPack {
    /// The reference of the licence.
    pub license_ref: String,
    /// The version of the instrument, for `irls.irls_version`.
    pub irls_version: String,
    /// The period that the questions ask about, in days.
    pub recall_days: u16,
    /// The texts by language: `en`, `es` or both.
    pub texts: BTreeMap<String, PackText>,
}

/// The text in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackText {
    /// The text above the items.
    pub instructions: String,
    /// The ten items in order.
    pub items: Vec<PackItem>,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackItem {
    /// The question.
    pub question: String,
    /// The five answers, in the order of the scores 0 to 4.
    pub options: Vec<String>,
}

impl TextPack {
    /// Reads a pack from its JSON file.
    ///
    /// # Errors
    /// A message for the operator if the file is not JSON of this shape, lacks the reference of a licence, has another
    /// language, or does not have ten items of five answers.
    pub fn load(file: &[u8]) -> Result<Self, String> {
        let pack: Self = serde_json::from_slice(file).map_err(|error| format!("the IRLS text pack: {error}"))?;
        let refuse = |why: &str| Err(format!("the IRLS text pack is not valid: {why}"));
        if pack.license_ref.trim().is_empty() {
            return refuse("license_ref is empty; the instrument may only be shown under a licence");
        }
        if pack.texts.is_empty() || pack.texts.keys().any(|language| !matches!(language.as_str(), "en" | "es")) {
            return refuse("texts must be in en, es or both");
        }
        let blank = |text: &String| text.trim().is_empty();
        for text in pack.texts.values() {
            if text.items.len() != 10 || text.items.iter().any(|item| item.options.len() != 5) {
                return refuse("there must be ten items of five answers each");
            }
            if text.items.iter().any(|item| blank(&item.question) || item.options.iter().any(blank)) {
                return refuse("no question and no answer may be empty");
            }
        }
        Ok(pack)
    }

    /// Returns the text in a language, if the pack has it.
    pub fn text(&self, language: Language) -> Option<&PackText> {
        self.texts.get(match language {
            Language::English => "en",
            Language::Spanish => "es",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A pack with invented texts.
    pub fn invented() -> Value {
        let item = json!({"question": "Invented?", "options": ["a", "b", "c", "d", "e"]});
        json!({"license_ref": "TEST-1", "irls_version": "2.2", "recall_days": 7,
            "texts": {"en": {"instructions": "Invented.", "items": vec![item; 10]}}})
    }

    fn load(pack: &Value) -> Result<TextPack, String> {
        TextPack::load(pack.to_string().as_bytes())
    }

    #[test]
    fn a_pack_is_rejected_without_a_licence_or_with_an_incomplete_text() {
        assert!(load(&invented()).is_ok());
        for (pointer, wrong) in [
            ("/license_ref", json!("  ")),
            ("/texts", json!({})),
            ("/texts/en/items", json!([])),
            ("/texts/en/items/3/options", json!(["a"])),
            ("/texts/en/items/9/question", json!("")),
        ] {
            let mut pack = invented();
            *pack.pointer_mut(pointer).expect("there") = wrong;
            assert!(load(&pack).is_err(), "{pointer}");
        }
        let mut unlicensed = invented();
        unlicensed.as_object_mut().expect("object").remove("license_ref");
        assert!(load(&unlicensed).expect_err("refused").contains("license_ref"));
    }
}
