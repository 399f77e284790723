//! The weekly hours of a practitioner as a grid: two ranges a day at each place. Rules that the grid cannot show, such as those with a last
//! day, are kept beside it.

use serde_json::{Value as Json, json};

use super::super::form_post::Sent;
use crate::ids::LocationId;
use crate::scheduling::hours::availability::AvailabilityRule;
use crate::scheduling::hours::weekly::Weekday;

/// The ranges of a day at a place, such as before and after lunch.
const RANGES: usize = 2;
/// The days of a week in ISO 8601.
const DAYS: std::ops::RangeInclusive<i32> = 1..=7;

/// A range of a day at a place, as it is typed. Empty texts if it is not open.
pub(super) struct Cell {
    pub place: LocationId,
    /// The number of the day in ISO 8601.
    pub day: i32,
    pub range: usize,
    pub from: String,
    pub to: String,
}

impl Cell {
    /// The name of the field of one end, `from` or `to`.
    pub fn name(&self, end: &str) -> String {
        format!("{}.{}.{}.{end}", self.place, self.day, self.range)
    }

    fn is_empty(&self) -> bool {
        self.from.is_empty() && self.to.is_empty()
    }
}

/// A rule beside the grid.
pub(super) struct Other {
    pub rule: AvailabilityRule,
    /// Whether it stays.
    pub is_kept: bool,
    /// Whether the practitioner does not work at its place any more. It cannot stay.
    pub is_gone: bool,
}

pub(super) struct Week {
    pub cells: Vec<Cell>,
    pub others: Vec<Other>,
}

/// What a broken rule is about.
pub(super) enum Place<'a> {
    Cell(&'a Cell),
    Other(&'a Other),
}

impl Week {
    fn empty(places: &[LocationId]) -> Self {
        let days = places.iter().flat_map(|place| DAYS.map(|day| (*place, day)));
        let cells = days.flat_map(|(place, day)| {
            (0..RANGES).map(move |range| Cell { place, day, range, from: String::new(), to: String::new() })
        });
        Self { cells: cells.collect(), others: Vec::new() }
    }

    /// The grid of stored rules.
    pub fn of(rules: &[AvailabilityRule], places: &[LocationId]) -> Self {
        let mut week = Self::empty(places);
        for rule in rules {
            // A field for a time ends before midnight.
            let is_plain = rule.valid_from.is_none() && rule.valid_until.is_none() && rule.end != "24:00";
            let is_free = |cell: &&mut Cell| {
                is_plain && cell.is_empty() && cell.place == rule.location_id && cell.day == rule.weekday.iso()
            };
            if let Some(cell) = week.cells.iter_mut().find(is_free) {
                (cell.from, cell.to) = (rule.start.clone(), rule.end.clone());
            } else {
                let is_gone = !places.contains(&rule.location_id);
                week.others.push(Other { rule: rule.clone(), is_kept: !is_gone, is_gone });
            }
        }
        week
    }

    /// A usual week at the first place, for a practitioner without hours.
    pub fn suggested(places: &[LocationId]) -> Self {
        let mut week = Self::empty(places);
        let usual = |cell: &&mut Cell| Some(&cell.place) == places.first() && cell.day <= 5 && cell.range == 0;
        for cell in week.cells.iter_mut().filter(usual) {
            (cell.from, cell.to) = ("09:00".into(), "17:00".into());
        }
        week
    }

    /// Reads a form that was drawn from these rules.
    pub fn read(sent: &Sent, was: &[AvailabilityRule], places: &[LocationId]) -> Self {
        let mut week = Self::empty(places);
        for cell in &mut week.cells {
            let typed = |end: &str| sent.first(&cell.name(end)).trim().to_owned();
            (cell.from, cell.to) = (typed("from"), typed("to"));
        }
        week.others = Self::of(was, places).others;
        for (index, other) in week.others.iter_mut().enumerate() {
            other.is_kept = !other.is_gone && sent.all("keep").any(|kept| kept == index.to_string());
        }
        week
    }

    fn open(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| !cell.is_empty())
    }

    fn kept(&self) -> impl Iterator<Item = &Other> {
        self.others.iter().filter(|other| other.is_kept)
    }

    /// The rules as the API takes them.
    pub fn items(&self) -> Vec<Json> {
        let open = self.open().map(|cell| {
            json!({"weekday": Weekday::from_iso(cell.day), "start": cell.from, "end": cell.to, "location_id": cell.place})
        });
        open.chain(self.kept().map(|other| json!(other.rule))).collect()
    }

    /// What the rule of this index is.
    pub fn place_of(&self, index: usize) -> Option<Place<'_>> {
        self.open().map(Place::Cell).chain(self.kept().map(Place::Other)).nth(index)
    }

    /// The ranges of a day at a place as they are typed.
    fn day(&self, place: LocationId, day: i32) -> impl Iterator<Item = (&str, &str)> {
        let of_day = self.cells.iter().filter(move |cell| (cell.place, cell.day) == (place, day) && !cell.is_empty());
        of_day.map(|cell| (cell.from.as_str(), cell.to.as_str()))
    }

    /// Brings a stale form, which was drawn from the rules `was`, up to date. A day on which something was typed stays. All other days, and
    /// the rules beside the grid, are those that are stored now.
    pub fn renew(&mut self, was: &[AvailabilityRule], now: &[AvailabilityRule], places: &[LocationId]) {
        let (was, now) = (Self::of(was, places), Self::of(now, places));
        let is_typed = |cell: &Cell| !self.day(cell.place, cell.day).eq(was.day(cell.place, cell.day));
        let typed: Vec<bool> = self.cells.iter().map(is_typed).collect();
        for ((cell, stored), is_typed) in self.cells.iter_mut().zip(now.cells).zip(typed) {
            if !is_typed {
                *cell = stored;
            }
        }
        let before = std::mem::replace(&mut self.others, now.others);
        let removed: Vec<Json> = before.iter().filter(|other| !other.is_kept).map(|other| json!(other.rule)).collect();
        for other in &mut self.others {
            other.is_kept &= !removed.contains(&json!(other.rule));
        }
    }
}

/// Whether two lists have the same rules, in any order.
pub(super) fn are_same(items: &[Json], rules: &[AvailabilityRule]) -> bool {
    let plain = |rule: &Json| {
        ["weekday", "start", "end", "location_id", "valid_from", "valid_until"].map(|member| rule[member].clone())
    };
    let mut left: Vec<_> = rules.iter().map(|rule| plain(&json!(rule))).collect();
    let is_there =
        |item: &Json| left.iter().position(|rule| *rule == plain(item)).map(|index| left.swap_remove(index)).is_some();
    items.len() == rules.len() && items.iter().all(is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u128) -> LocationId {
        LocationId(uuid::Uuid::from_u128(number))
    }

    fn rule(day: i32, start: &str, end: &str, at: u128, until: Option<&str>) -> AvailabilityRule {
        serde_json::from_value(json!({
            "weekday": Weekday::from_iso(day), "start": start, "end": end, "location_id": place(at), "valid_until": until
        }))
        .expect("a rule")
    }

    #[test]
    fn rules_that_do_not_fit_the_grid_are_kept_beside_it() {
        let rules = [
            rule(1, "08:00", "10:00", 1, None),
            rule(1, "11:00", "12:00", 1, None),
            rule(1, "13:00", "14:00", 1, None),
            rule(2, "20:00", "24:00", 1, None),
            rule(3, "09:00", "17:00", 1, Some("2026-12-31")),
            rule(4, "09:00", "17:00", 2, None),
        ];
        let week = Week::of(&rules, &[place(1)]);
        assert_eq!((week.open().count(), week.others.len(), week.kept().count()), (2, 4, 3));
        assert!(are_same(&week.items(), &rules[..5]) && !are_same(&week.items(), &rules));
        assert!(matches!(week.place_of(1), Some(Place::Cell(cell)) if cell.from == "11:00"));
        assert!(matches!(week.place_of(4), Some(Place::Other(other)) if other.rule.valid_until.is_some()));
        assert!(week.place_of(5).is_none());
    }

    #[test]
    fn a_form_is_read_back_and_keeps_what_is_ticked() {
        let rules = [
            rule(1, "08:00", "10:00", 1, None),
            rule(3, "09:00", "17:00", 1, Some("2026-12-31")),
            rule(4, "09:00", "24:00", 1, None),
        ];
        let form = format!("{0}.1.0.from=09%3A00&{0}.1.0.to=10%3A00&keep=1", place(1));
        let mut week = Week::read(&Sent::read(form.as_bytes()), &rules, &[place(1)]);
        assert!(are_same(&week.items(), &[rule(1, "09:00", "10:00", 1, None), rules[2].clone()]));
        // Somebody else has added one meanwhile.
        let now = [&rules[..], &[rule(5, "09:00", "24:00", 1, None)]].concat();
        week.renew(&rules, &now, &[place(1)]);
        assert_eq!(week.others.iter().map(|other| other.is_kept).collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn a_stale_form_keeps_the_days_that_were_typed_on_and_takes_over_all_others() {
        let was = [rule(1, "09:00", "17:00", 1, None), rule(2, "09:00", "17:00", 1, None)];
        let form = format!("{0}.1.0.from=08%3A00&{0}.1.0.to=17%3A00&{0}.2.0.from=09%3A00&{0}.2.0.to=17%3A00", place(1));
        let mut week = Week::read(&Sent::read(form.as_bytes()), &was, &[place(1)]);
        let now = [
            rule(1, "09:00", "12:00", 1, None),
            rule(2, "10:00", "12:00", 1, None),
            rule(3, "09:00", "10:00", 1, None),
        ];
        week.renew(&was, &now, &[place(1)]);
        let mine = rule(1, "08:00", "17:00", 1, None);
        assert!(are_same(&week.items(), &[mine, now[1].clone(), now[2].clone()]));
    }

    #[test]
    fn the_suggested_week_is_open_on_five_days_at_the_first_place() {
        assert_eq!(Week::suggested(&[place(1), place(2)]).items().len(), 5);
        assert!(Week::suggested(&[]).items().is_empty());
    }
}
