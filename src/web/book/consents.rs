//! The documents to consent to, as HTML.

use minijinja::{Value, context};
use pulldown_cmark::{Event, Parser, Tag, TagEnd, html};

use super::Visitor;
use super::fields::consent_fields;
use crate::error::Result;
use crate::patients::consents::documents::{self, ConsentDocument};

/// Reads the current documents.
pub(super) async fn read(visitor: &Visitor) -> Result<Vec<ConsentDocument>> {
    let filter = visitor.parameters("list_consent_documents", &format!("language={}", visitor.language.code()))?;
    Ok(documents::list(&visitor.context, filter).await?.items)
}

/// A document as the page shows it.
pub(super) fn shown(document: &ConsentDocument) -> Value {
    let [decision, version] = consent_fields(document.consent_type);
    let (title, text) = split(&document.text);
    context! {
        decision => decision, version_field => version, version => document.version.as_str(), language => document.language.as_str(),
        title => title, text => Value::from_safe_string(html(text)),
    }
}

/// The title of a document, which is its first heading, and the rest.
fn split(markdown: &str) -> (&str, &str) {
    let (first, rest) = markdown.trim_start().split_once('\n').unwrap_or((markdown.trim_start(), ""));
    match first.strip_prefix("# ") {
        Some(title) => (title.trim(), rest),
        None => (first.trim(), rest),
    }
}

/// Writes a text as HTML. HTML within it is shown as it is written. Links and pictures become their text, because the page must not lead
/// away from a form that is half filled in. Headings come below those of the page.
fn html(markdown: &str) -> String {
    let events = Parser::new(markdown).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Link { .. } | Tag::Image { .. }) | Event::End(TagEnd::Link | TagEnd::Image) => None,
        Event::Start(Tag::Heading { .. }) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::Heading(_)) => Some(Event::End(TagEnd::Paragraph)),
        other => Some(other),
    });
    let mut written = String::new();
    html::push_html(&mut written, events);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_can_bring_no_markup_of_its_own() {
        assert_eq!(split("# Consent & more\n\nText"), ("Consent & more", "\nText"));
        let text = html(
            "Read **this** <script>alert(1)</script> and [that](javascript:alert(1)).\n\n<b onclick=x>\n\n## More\n\n- one",
        );
        assert!(text.contains("<strong>this</strong> &lt;script&gt;alert(1)&lt;/script&gt; and that."), "{text}");
        assert!(!text.contains("<b") && !text.contains("<a") && !text.contains("<h2"), "{text}");
        assert!(text.contains("<li>one</li>"), "{text}");
    }
}
