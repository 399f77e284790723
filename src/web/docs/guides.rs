//! The guides of `docs/api` by topic, in the order in which an integrator needs them.

use minijinja::{Value, context};

use super::markdown::{self, Links, Rendered};

/// A guide's name, what it is about, and its text.
type Source = (&'static str, &'static str, &'static str);

macro_rules! guide {
    ($name:literal, $about:literal) => {
        ($name, $about, include_str!(concat!("../../../docs/api/", $name, ".md")))
    };
}

/// Topics with their guides.
static TOPICS: [(&str, &[Source]); 5] = [
    (
        "Begin",
        &[
            guide!(
                "first-booking",
                "From a new patient to a booked and a cancelled appointment, in one shell session."
            ),
            guide!("sandbox", "The demo clinic to try requests on: its accounts, its mails, and how to start over."),
        ],
    ),
    (
        "The visit",
        &[
            guide!(
                "intake",
                "The history before a visit: begin, save, submit, amend, and what the practitioner reads."
            ),
            guide!("time-zones", "Instants, local days, and what happens when the clock or the law changes."),
        ],
    ),
    (
        "What every client needs",
        &[
            guide!("errors", "Problem documents, their codes and statuses, and what to do about each."),
            guide!("idempotency", "Send a request again without doing it twice."),
            guide!("etags", "Change an object without overwriting the change of another caller."),
            guide!("versions", "What stays, what may be added, and how operations go."),
        ],
    ),
    (
        "Stay in step",
        &[
            guide!(
                "lists-and-changes",
                "Pages of lists, calendars of free times, identifiers of other systems, duplicates."
            ),
            guide!("sync", "Copy the data into another system with updated_since, without gaps."),
            guide!("events", "The numbered sequence of changes, as a list and as a stream."),
            guide!("webhooks", "Events that are sent to your system: signatures, order, retries."),
        ],
    ),
    (
        "Clients",
        &[
            guide!("web-client", "A web client of your own: links in mails, holds of strangers, devices."),
            guide!("machine-clients", "Programs without a person: OAuth 2.0 client credentials and scopes."),
        ],
    ),
];

/// A guide as HTML.
pub(super) struct Guide {
    pub(super) name: &'static str,
    pub(super) title: String,
    pub(super) html: String,
    /// The headings of the second level, each with its id.
    pub(super) sections: Vec<(String, String)>,
}

/// Renders all guides.
pub(super) fn render(links: &Links<'_>) -> Vec<Guide> {
    let all = TOPICS.iter().flat_map(|(_, guides)| guides.iter());
    all.map(|&(name, _, text)| {
        let Rendered { title, html, sections } = markdown::render(text, links);
        Guide { name, title, html, sections }
    })
    .collect()
}

/// The topics with their guides, for an index. `current` is the name of the guide that is shown.
pub(super) fn topics(current: &str) -> Vec<Value> {
    let guide = |&(name, about, text): &Source| {
        context! { name => name, about => about, title => markdown::title(text), is_current => name == current }
    };
    let topic = |&(title, guides): &(&'static str, &'static [Source])| {
        context! { title => title, guides => guides.iter().map(guide).collect::<Vec<_>>() }
    };
    TOPICS.iter().map(topic).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::TOPICS;

    #[test]
    fn every_guide_of_the_folder_is_served() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api")).expect("the folder");
        let names = folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"));
        let guides: BTreeSet<_> = names.filter_map(|name| Some(name.strip_suffix(".md")?.to_owned())).collect();
        let served = TOPICS.iter().flat_map(|(_, guides)| guides.iter().map(|(name, ..)| (*name).to_owned()));
        assert_eq!(served.collect::<BTreeSet<_>>(), guides);
    }
}
