//! A guide as HTML. Its links work in the repository and when it is served.

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// Where a piece of code in a text leads, if it leads anywhere.
pub(super) type Links<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A guide as HTML.
pub(super) struct Rendered {
    pub(super) title: String,
    /// Everything below the title.
    pub(super) html: String,
    /// The headings of the second level, each with its id.
    pub(super) sections: Vec<(String, String)>,
}

/// Returns the text of the first heading.
pub(super) fn title(markdown: &str) -> String {
    let line = markdown.lines().next().unwrap_or_default();
    line.trim_start_matches('#').replace('`', "").trim().to_owned()
}

/// Renders a guide. Headings get the ids that GitHub gives them.
pub(super) fn render(markdown: &str, links: &Links<'_>) -> Rendered {
    let mut events: Vec<_> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut sections = Vec::new();
    for at in 0..events.len() {
        let Event::Start(Tag::Heading { level, .. }) = &events[at] else { continue };
        let level = *level;
        let text = text_of(&events[at..]);
        let slug = slug(&text);
        if level == HeadingLevel::H2 {
            sections.push((slug.clone(), text));
        }
        if let Event::Start(Tag::Heading { id, .. }) = &mut events[at] {
            *id = Some(slug.into());
        }
    }
    if matches!(events.first(), Some(Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }))) {
        let end = events.iter().position(|event| matches!(event, Event::End(TagEnd::Heading(_))));
        events.drain(..=end.unwrap_or_default());
    }
    let mut out = String::new();
    html::push_html(&mut out, linked(events, links).into_iter());
    // Code that is wider than the page scrolls, also by the keyboard.
    let out = out.replace("<pre>", "<pre tabindex=\"0\">");
    Rendered { title: title(markdown), html: out, sections }
}

/// The text of the heading with which the events begin.
fn text_of(events: &[Event<'_>]) -> String {
    let within = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let parts = within.filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.as_ref()),
        _ => None,
    });
    parts.collect()
}

/// A heading as the part of a link after `#`.
fn slug(heading: &str) -> String {
    let lower = heading.to_lowercase();
    lower.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}

/// Changes links between files of the repository to links between pages, links code, and lets wide tables scroll.
fn linked<'a>(events: Vec<Event<'a>>, links: &Links<'_>) -> Vec<Event<'a>> {
    let mut is_inside = false;
    let mut changed = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                is_inside = true;
                let dest_url = CowStr::from(destination(&dest_url));
                changed.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            Event::Start(Tag::Heading { .. }) => {
                is_inside = true;
                changed.push(event);
            }
            Event::End(TagEnd::Link | TagEnd::Heading(_)) => {
                is_inside = false;
                changed.push(event);
            }
            Event::Code(code) => match links(&code).filter(|_| !is_inside) {
                Some(link) => {
                    changed.push(Event::InlineHtml(format!("<a href=\"{link}\">").into()));
                    changed.push(Event::Code(code));
                    changed.push(Event::InlineHtml("</a>".into()));
                }
                None => changed.push(Event::Code(code)),
            },
            Event::Start(Tag::Table(_)) => {
                changed.push(Event::Html("<div class=\"wide-table\" tabindex=\"0\">".into()));
                changed.push(event);
            }
            Event::End(TagEnd::Table) => {
                changed.push(event);
                changed.push(Event::Html("</div>\n".into()));
            }
            _ => changed.push(event),
        }
    }
    changed
}

/// A link of a file in `docs/api`, as a page below `/docs/` has it.
fn destination(link: &str) -> String {
    if link.contains("://") {
        return link.to_owned();
    }
    let (path, section) = link.split_once('#').map_or((link, ""), |(path, section)| (path, section));
    let path = path.strip_prefix("../../").unwrap_or(path);
    let path = path.strip_suffix(".md").unwrap_or(path);
    if section.is_empty() { path.to_owned() } else { format!("{path}#{section}") }
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn links_between_files_become_links_between_pages() {
        let guide = "# A `code`\n\n## What a day, is\n\nSee [zones](time-zones.md#what-a-day), [below](#what-a-day-is), \
            [a script](../../examples/book.sh), [RFC](https://example.org/a.md), `known` and [`known`](etags.md).\n\n\
            | a | b |\n|---|---|\n| 1 | 2 |\n";
        let rendered = render(guide, &|code| (code == "known").then(|| "../there".to_owned()));
        assert_eq!(rendered.title, "A code");
        assert_eq!(rendered.sections, [("what-a-day-is".to_owned(), "What a day, is".to_owned())]);
        assert!(!rendered.html.contains("<h1"), "the page has the title");
        for part in [
            "<h2 id=\"what-a-day-is\">",
            "<a href=\"time-zones#what-a-day\">",
            "<a href=\"#what-a-day-is\">",
            "<a href=\"examples/book.sh\">",
            "<a href=\"https://example.org/a.md\">",
            "<a href=\"../there\"><code>known</code></a> and <a href=\"etags\"><code>known</code></a>",
            "<div class=\"wide-table\" tabindex=\"0\"><table>",
            "</table>\n</div>",
        ] {
            assert!(rendered.html.contains(part), "{part} in\n{}", rendered.html);
        }
    }
}
