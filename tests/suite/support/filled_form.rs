//! The form of a page as a browser without a script sends it: hidden fields, what is chosen and typed already, and no disabled fields.

use super::client::Reply;
use super::visitor::{Visitor, plain};

/// The fields of a form, in the order of the page.
#[derive(Clone)]
pub struct FilledForm {
    fields: Vec<(String, String)>,
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(plain(rest.split('"').next()?))
}

fn has(tag: &str, word: &str) -> bool {
    tag.trim_end_matches('>').split(' ').any(|part| part == word)
}

impl FilledForm {
    /// Reads the form of a page that asks questions. Fails if the page has none.
    #[track_caller]
    pub fn of(page: &Reply) -> Self {
        Self::to(page, "")
    }

    /// Reads the first form of a page that is sent to an address with this part.
    #[track_caller]
    pub fn to(page: &Reply, address: &str) -> Self {
        let main = page.text.split("<main>").nth(1).expect("a main part");
        let is_sent_there = |form: &&str| attribute(form, "action").is_some_and(|action| action.contains(address));
        let form = main.split("<form").skip(1).find(is_sent_there);
        let form = form.unwrap_or_else(|| panic!("no form to {address} in {main}"));
        let form = form.split("</form>").next().expect("its end");
        let (mut fields, mut disabled, mut selected) = (Vec::new(), false, String::new());
        for piece in form.split('<').skip(1) {
            let end = piece.find('>').map_or(piece.len(), |end| end + 1);
            let (tag, text) = piece.split_at(end);
            let named = || attribute(tag, "name").filter(|_| !disabled);
            match tag.split([' ', '>']).next().unwrap_or_default() {
                "fieldset" => disabled = disabled || has(tag, "disabled"),
                "/fieldset" => disabled = false,
                "input" => {
                    let kind = attribute(tag, "type").unwrap_or_default();
                    let is_sent = !["radio", "checkbox"].contains(&kind.as_str()) || has(tag, "checked");
                    fields.extend(named().filter(|_| is_sent).zip(attribute(tag, "value")));
                }
                "select" => selected = named().unwrap_or_default(),
                "option" if has(tag, "selected") => {
                    fields.push((selected.clone(), attribute(tag, "value").unwrap_or_default()));
                }
                "textarea" => fields.extend(named().map(|name| (name, plain(text)))),
                _ => {}
            }
        }
        Self { fields }
    }

    /// Fills fields in. What they had is replaced.
    #[must_use]
    pub fn with(mut self, values: &[(&str, &str)]) -> Self {
        self.fields.retain(|(name, _)| !values.iter().any(|(other, _)| other == name));
        self.fields.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the chosen option of a visit leaves it where it is.
    pub fn has_empty_move(&self) -> bool {
        self.fields.iter().any(|(name, value)| name.starts_with("move.") && value.is_empty())
    }

    /// The questions that the page asks.
    pub fn asked(&self) -> Vec<&str> {
        self.fields.iter().filter(|(name, _)| name == "asked").map(|(_, value)| value.as_str()).collect()
    }

    pub async fn send(&self, visitor: &Visitor, path: &str) -> Reply {
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        visitor.post(path, &fields).await
    }
}

/// The path to which a redirect leads.
#[track_caller]
pub fn led_to(reply: &Reply) -> String {
    let location = reply.expect(303).header("location");
    format!("/{}", location.trim_start_matches("../"))
}
