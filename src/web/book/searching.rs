//! What a visitor looks for. It is in the address of every page before a time is chosen, and in the forms afterwards.

use text::Language;
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;

/// The fields that say what is looked for, named as the parameters of the API.
pub(super) const FIELDS: [&str; 3] = ["visit_type_id", "location_id", "practitioner_id"];

/// The kind of visit, and the place and the doctor, if one was chosen. Unchecked: the operations check them.
#[derive(Clone, Default)]
pub(in crate::web) struct Search {
    pub visit_type: String,
    pub location: String,
    pub practitioner: String,
}

impl Search {
    pub fn of(sent: &Sent) -> Self {
        let [visit_type, location, practitioner] = FIELDS.map(|name| sent.first(name).to_owned());
        Self { visit_type, location, practitioner }
    }

    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let values = [self.visit_type.as_str(), &self.location, &self.practitioner];
        FIELDS.into_iter().zip(values).filter(|(_, value)| !value.is_empty())
    }

    /// The query of an operation: the search with further parameters.
    pub fn query(&self, more: &[(&str, &str)]) -> String {
        Serializer::new(String::new()).extend_pairs(self.pairs()).extend_pairs(more).finish()
    }

    /// The query of a page.
    pub fn link(&self, language: Language, more: &[(&str, &str)]) -> String {
        format!("?{}&lang={}", self.query(more), language.code())
    }

    /// The fields of a form.
    pub fn fields(&self) -> Vec<(String, String)> {
        self.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
