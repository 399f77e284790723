//! Where, with whom and when a visit is wanted, as far as the desk chooses that before the patient. It goes from page to page in links and
//! forms, and never has the patient.

use jiff::civil::{Date as Day, Time};
use minijinja::{Value, context};
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::Member;
use super::clinic::Clinic;
use crate::error::Result;
use crate::messages::times::Moment;

/// The parameters of the page of times, which checks them.
const FIELDS: [&str; 5] = ["visit_type_id", "location_id", "practitioner_id", "date", "time"];

#[derive(Clone, Default)]
pub(super) struct Wanted(Vec<(&'static str, String)>);

impl Wanted {
    pub fn of(sent: &Sent) -> Self {
        let fields = FIELDS.into_iter().map(|name| (name, sent.first(name).to_owned()));
        Self(fields.filter(|(_, value)| !value.is_empty()).collect())
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    fn first(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value.as_str())
    }

    /// Whether the desk has chosen a time, and not only a place.
    pub fn has_time(&self) -> bool {
        !self.first("time").is_empty()
    }

    fn query(&self) -> String {
        Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// The address of a page that needs it.
    pub fn link(&self, page: &str) -> String {
        if self.0.is_empty() { page.to_owned() } else { format!("{page}?{}", self.query()) }
    }

    /// What the frame of the desk's pages and their forms need of it.
    pub fn values(&self) -> Value {
        let fields: Vec<(String, String)> =
            self.0.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        context! { wanted => self.query(), wanted_fields => fields }
    }

    /// The chosen time in words; none without one.
    pub async fn in_words(&self, member: &Member) -> Result<Option<String>> {
        let (day, time) = (self.first("date").parse::<Day>(), self.first("time").parse::<Time>());
        let (Ok(day), Ok(time)) = (day, time) else { return Ok(None) };
        let clinic = Clinic::read(member).await?;
        let practitioner = self.first("practitioner_id").parse().map_or("", |id| clinic.practitioner(id));
        let place = self.first("location_id").parse().map_or("", |id| clinic.location(id));
        let when = Moment::of_clock(day.to_datetime(time), member.language);
        let (date, clock) = (when.day(), when.time());
        let parts = [date.as_str(), &clock, practitioner, place];
        Ok(Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_goes_on_in_links_without_empty_parts() {
        let wanted = Wanted::of(&Sent::read(b"location_id=1&date=2026-03-09&time=09%3A30&q=ann&practitioner_id="));
        assert_eq!(wanted.link("desk/patients"), "desk/patients?location_id=1&date=2026-03-09&time=09%3A30");
        assert!(wanted.has_time() && !Wanted::default().with("location_id", "1").has_time());
        assert_eq!(Wanted::of(&Sent::read(b"q=ann")).link("desk"), "desk");
    }
}
