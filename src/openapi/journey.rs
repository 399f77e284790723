//! The order of the document: groups of tags by audience (`x-tagGroups`), and in each tag the paths as a visit goes.

use serde_json::json;
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};

/// The audiences, each with its tags. Every tag has one place.
pub static GROUPS: [(&str, &[&str]); 5] = [
    ("Book a visit", &["registration", "sessions", "visit types", "slots", "appointments", "waitlist", "intakes"]),
    ("Patients and their accounts", &["patients", "users", "second factor"]),
    ("Set up the clinic", &["locations", "practitioners", "resources"]),
    ("Integrate programs", &["clients", "events", "webhooks"]),
    ("Run the clinic", &["messages", "reports", "audit", "operations"]),
];

/// The paths that come first in their tag, in the order of a visit. The others follow in alphabetical order.
const FIRST: &[&str] = &[
    "/v1/registrations",
    "/v1/email-verifications",
    "/v1/password-resets/confirm",
    "/v1/password-resets",
    "/v1/sessions",
    "/v1/sessions/refresh",
    "/v1/slots",
    "/v1/slots/days",
    "/v1/slots/taken",
    "/v1/slots/{id}/hold",
    "/v1/holds/{id}",
    "/v1/holds/{id}/renew",
    "/v1/appointments",
    "/v1/appointments/{id}",
    "/v1/appointments/{id}/confirm",
    "/v1/appointments/{id}/reschedule",
    "/v1/appointments/{id}/cancel",
    "/v1/appointments/{id}/calendar.ics",
    "/v1/appointments/{id}/check-in",
    "/v1/appointments/{id}/complete",
    "/v1/appointments/{id}/no-show",
    "/v1/appointments/{id}/undo",
    "/v1/appointments/{id}/history",
    "/v1/intake-forms",
    "/v1/intake-forms/rls-history",
    "/v1/intake-forms/rls-follow-up",
    "/v1/patients/{id}/intakes",
    "/v1/intakes/{id}",
    "/v1/intakes/{id}/submit",
    "/v1/intakes/{id}/summary",
    "/v1/intakes/{id}/review",
    "/v1/patients",
    "/v1/patients/{id}",
    "/v1/me",
    "/oauth2/token",
];

/// Sorts paths and tags, and adds the groups.
pub fn order(document: &mut OpenApi) {
    document.paths.paths.sort_by_cached_key(|path, item| {
        let tag = operations(item).next().and_then(|(_, operation)| operation.tags.as_ref()?.first().cloned());
        let first = FIRST.iter().position(|known| *known == path).unwrap_or(FIRST.len());
        (tag.map_or(usize::MAX, |tag| place(&tag)), first, path.clone())
    });
    document.tags.get_or_insert_default().sort_by_key(|tag| place(&tag.name));
    let groups: Vec<_> = GROUPS.iter().map(|(name, tags)| json!({"name": name, "tags": tags})).collect();
    let extension = ExtensionsBuilder::new().add("x-tagGroups", groups).build();
    document.extensions.get_or_insert_default().merge(extension);
}

/// The place of a tag among all.
fn place(tag: &str) -> usize {
    GROUPS.iter().flat_map(|(_, tags)| tags.iter()).position(|known| *known == tag).unwrap_or(usize::MAX)
}

/// Returns the operations of a path with their methods.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let all = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FIRST, GROUPS};
    use crate::openapi::document;

    #[test]
    fn every_tag_is_in_one_group_and_every_path_that_comes_first_exists() {
        let document = document();
        let grouped: Vec<_> = GROUPS.iter().flat_map(|(_, tags)| tags.iter().copied()).collect();
        let tags: Vec<_> = document.tags.iter().flatten().map(|tag| tag.name.as_str()).collect();
        assert_eq!(grouped, tags);
        assert_eq!(grouped.iter().collect::<BTreeSet<_>>().len(), grouped.len());
        for path in FIRST {
            assert!(document.paths.paths.contains_key(*path), "{path}");
        }
        let paths: Vec<_> = document.paths.paths.keys().map(String::as_str).collect();
        let place = |wanted: &str| paths.iter().position(|path| *path == wanted).expect("a path");
        assert!(place("/v1/registrations") < place("/v1/slots") && place("/v1/slots") < place("/v1/appointments"));
        assert!(place("/v1/appointments/{id}/cancel") < place("/v1/appointment-links/cancel"));
    }
}
