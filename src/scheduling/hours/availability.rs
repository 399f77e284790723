//! A practitioner's weekly hours.

use actix_web::{HttpResponse, get, put};
use diesel::prelude::*;
use jiff::ToSpan;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::affected::{self, AffectedAppointments};
use super::weekly::{self, Weekday, WeeklyRule, Workplace, parse_minute};
use super::{publishing, stored_plan};
use crate::actor::{Action, Reach};
use crate::context::{Context, Tx};
use crate::db::per_backend;
use crate::db::schema::{availability, practitioners};
use crate::db::types::Date;
use crate::error::{Check, Error, FieldCode, FieldError, Result};
use crate::http::etag::IfMatch;
use crate::http::response::{self, Versioned};
use crate::http::{Body, PathId};
use crate::ids::{AvailabilityId, LocationId, PractitionerId};
use crate::scheduling::setup::practitioner;

/// The maximum number of rules of a practitioner. A week with four shifts a day in several places has fewer, and publishing reads all of them.
const MAX_RULES: usize = 200;

/// One weekly opening.
///
/// The opening covers exactly the instants at which the location's clock shows a time within it. Where the clock jumps ahead, times
/// that do not exist are not open. An hour that occurs twice is open twice.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "weekday": "monday", "start": "09:00", "end": "17:00", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "valid_from": "2026-03-01", "valid_until": null
}))]
pub struct AvailabilityRule {
    /// The day of the week.
    pub weekday: Weekday,
    /// The start by the location's clock, `HH:MM`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", examples("09:00"))]
    pub start: String,
    /// The end by the location's clock, `HH:MM`, at most `24:00`.
    #[schema(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples("17:00"))]
    pub end: String,
    /// The location. Must be one of the practitioner's.
    pub location_id: LocationId,
    /// The first day on which the rule applies. Default: no first day.
    #[serde(default)]
    pub valid_from: Option<Date>,
    /// The last day on which the rule applies. Default: no last day.
    #[serde(default)]
    pub valid_until: Option<Date>,
}

/// A practitioner's weekly hours.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"items": [{
    "weekday": "monday", "start": "09:00", "end": "17:00", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "valid_from": "2026-03-01", "valid_until": null
}]}))]
pub struct Availability {
    /// The rules. Two rules must not overlap while both apply.
    #[schema(max_items = 200)]
    pub items: Vec<AvailabilityRule>,
}

impl From<&WeeklyRule> for AvailabilityRule {
    fn from(rule: &WeeklyRule) -> Self {
        let clock = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
        Self {
            weekday: rule.weekday,
            start: clock(rule.start_minute),
            end: clock(rule.end_minute),
            location_id: rule.location_id,
            valid_from: rule.valid_from.map(Date),
            valid_until: rule.valid_until.map(Date),
        }
    }
}

/// Checks the values of the rules: form, order, and overlaps in civil time at one location. [`check_locations`] checks overlaps
/// between locations, which need their time zones.
fn checked(input: &[AvailabilityRule]) -> Result<Vec<WeeklyRule>> {
    let mut check = Check::new();
    if input.len() > MAX_RULES {
        return Err(Error::invalid("/items", FieldCode::TooMany, format!("must have at most {MAX_RULES} rules")));
    }
    let mut rules: Vec<(usize, WeeklyRule)> = Vec::new();
    for (index, rule) in input.iter().enumerate() {
        let start = check.field(&format!("/items/{index}/start"), parse_minute(&rule.start));
        let end = check.field(&format!("/items/{index}/end"), parse_minute(&rule.end));
        let (valid_from, valid_until) = (rule.valid_from.map(|day| day.0), rule.valid_until.map(|day| day.0));
        let in_order = valid_from.zip(valid_until).is_none_or(|(first, last)| first <= last);
        check.require(
            in_order,
            format!("/items/{index}/valid_until"),
            FieldCode::OutOfOrder,
            "must not be before valid_from",
        );
        let (Some(start_minute), Some(end_minute)) = (start, end) else { continue };
        check.require(
            end_minute > start_minute,
            format!("/items/{index}/end"),
            FieldCode::OutOfOrder,
            "must be after start",
        );
        if end_minute > start_minute && in_order {
            let (weekday, location_id) = (rule.weekday, rule.location_id);
            rules.push((index, WeeklyRule { location_id, weekday, start_minute, end_minute, valid_from, valid_until }));
        }
    }
    for (position, (index, rule)) in rules.iter().enumerate() {
        let overlaps_here =
            |(_, other): &&(usize, WeeklyRule)| other.location_id == rule.location_id && other.overlaps(rule);
        if let Some((other, _)) = rules[..position].iter().find(overlaps_here) {
            check.add(overlap(*index, *other));
        }
    }
    check.done()?;
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

fn overlap(index: usize, other: usize) -> FieldError {
    FieldError::new(
        format!("/items/{index}"),
        FieldCode::Overlap,
        format!("overlaps with the rule at /items/{other} while both apply"),
    )
}

/// Checks that all rules are at the practitioner's locations, and that rules at different locations do not overlap. Within one time
/// zone they are compared by the clock, else in real time during the year from `today` on.
fn check_locations(rules: &[WeeklyRule], places: &[Workplace], today: jiff::civil::Date) -> Result<()> {
    let mut check = Check::new();
    let place = |rule: &WeeklyRule| places.iter().find(|place| place.location_id == rule.location_id);
    for (index, rule) in rules.iter().enumerate() {
        let detail = "must be one of the practitioner's locations";
        check.require(
            place(rule).is_some(),
            format!("/items/{index}/location_id"),
            FieldCode::UnknownReference,
            detail,
        );
    }
    let until = today.saturating_add(54.weeks());
    let in_real_time =
        |rule: &WeeklyRule, place: &Workplace| weekly::openings(std::slice::from_ref(rule), place, today, until);
    for (index, rule) in rules.iter().enumerate() {
        for (other_index, other) in rules[..index].iter().enumerate() {
            let (Some(here), Some(there)) = (place(rule), place(other)) else { continue };
            let overlaps = if here.location_id == there.location_id {
                false
            } else if here.zone == there.zone {
                rule.overlaps(other)
            } else {
                // The widest offsets differ by 26 hours, so weekdays that are further apart cannot overlap.
                are_near(rule.weekday, other.weekday) && {
                    let (ours, theirs) = (in_real_time(rule, here), in_real_time(other, there));
                    ours.iter().any(|ours| theirs.iter().any(|theirs| theirs.overlaps(ours.starts_at, ours.ends_at)))
                }
            };
            if overlaps {
                check.add(overlap(index, other_index));
                break;
            }
        }
    }
    check.done()
}

/// Whether the weekdays are at most two days apart.
fn are_near(one: Weekday, other: Weekday) -> bool {
    matches!((one.iso() - other.iso()).rem_euclid(7), 0..=2 | 5..=6)
}

/// The weekly hours after a change, with the affected appointments.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "items": [{"weekday": "monday", "start": "09:00", "end": "17:00",
        "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "valid_from": "2026-03-01", "valid_until": null}],
    "affected_appointments": [], "affected_total": 0
}))]
pub struct ChangedAvailability {
    /// The rules.
    pub items: Vec<AvailabilityRule>,
    /// The affected appointments.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// A rule's row.
#[derive(Insertable)]
#[diesel(table_name = availability)]
struct NewRow {
    id: AvailabilityId,
    practitioner_id: PractitionerId,
    location_id: LocationId,
    weekday: i32,
    start_minute: i32,
    end_minute: i32,
    valid_from: Option<Date>,
    valid_until: Option<Date>,
}

/// Reads a practitioner's weekly hours.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn read(context: &Context, id: PractitionerId) -> Result<Versioned<Availability>> {
    context.require(Action::AvailabilityRead)?;
    context
        .read(move |tx| {
            let version = practitioner::find(tx.conn, id)?.availability_version;
            let items = stored_plan::weekly_rules(tx.conn, id)?.iter().map(Into::into).collect();
            Ok(Versioned { version, object: Availability { items } })
        })
        .await
}

/// Replaces a practitioner's weekly hours and publishes them.
///
/// # Errors
/// [`Error::NotFound`] if they are another practitioner's and the caller changes only their own; [`Error::Stale`]; every broken rule
/// of the values.
pub async fn replace(
    context: &Context,
    id: PractitionerId,
    if_match: IfMatch,
    new: Availability,
) -> Result<Versioned<ChangedAvailability>> {
    let reach = context.require(Action::AvailabilityWrite)?;
    let if_match = if_match.required()?;
    let rules = checked(&new.items)?;
    if reach == Reach::Own && context.actor.practitioner_id != Some(id) {
        return Err(Error::NotFound);
    }
    context.change(move |tx| store(tx, id, &if_match, &rules)).await
}

fn store(
    tx: &mut Tx,
    id: PractitionerId,
    if_match: &IfMatch,
    new: &[WeeklyRule],
) -> Result<Versioned<ChangedAvailability>> {
    let mut practitioner = practitioner::lock(tx.conn, id)?;
    if_match.check(practitioner.availability_version)?;
    let today = tx.now.in_zone(&jiff::tz::TimeZone::UTC).date();
    check_locations(new, &stored_plan::workplaces(tx.conn, &tx.env.config.zones, id)?, today)?;
    diesel::delete(availability::table.filter(availability::practitioner_id.eq(id))).execute(tx.conn)?;
    for rule in new {
        let row = NewRow {
            id: tx.env.new_id(),
            practitioner_id: id,
            location_id: rule.location_id,
            weekday: rule.weekday.iso(),
            start_minute: rule.start_minute,
            end_minute: rule.end_minute,
            valid_from: rule.valid_from.map(Date),
            valid_until: rule.valid_until.map(Date),
        };
        per_backend!(tx.conn, conn => diesel::insert_into(availability::table).values(&row).execute(conn))?;
    }
    practitioner.availability_version += 1;
    diesel::update(practitioners::table.find(id))
        .set(practitioners::availability_version.eq(practitioner.availability_version))
        .execute(tx.conn)?;
    let affected = publishing::publish(tx, &practitioner, &[])?;
    let affected = affected::load(tx, &affected)?;
    let items = stored_plan::weekly_rules(tx.conn, id)?.iter().map(Into::into).collect();
    Ok(Versioned { version: practitioner.availability_version, object: ChangedAvailability { items, affected } })
}

/// Read a practitioner's weekly hours
///
/// Staff only. The `ETag` is the version of the weekly hours, not of the practitioner.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "get_availability",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner")),
    responses((status = 200, description = "The weekly hours", body = Availability)),
)]
#[get("/v1/practitioners/{id}/availability")]
pub(in crate::scheduling) async fn get_availability(
    context: Context,
    PathId(id): PathId<PractitionerId>,
) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

/// Replace a practitioner's weekly hours
///
/// Administrators, and practitioners for themselves. Replaces the whole list, and the free slots change at once. Booked appointments
/// stay. The response lists those that the hours no longer cover, and so does `needs_attention`. Two rules must not overlap while both
/// apply. Where a rule overlaps extra hours, the rule applies.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "replace_availability",
    security(("bearer" = [])),
    params(
        ("id" = PractitionerId, Path, description = "The practitioner"),
        ("If-Match" = String, Header),
    ),
    request_body = Availability,
    responses((status = 200, description = "The new weekly hours, with the affected appointments", body = ChangedAvailability)),
)]
#[put("/v1/practitioners/{id}/availability")]
pub(in crate::scheduling) async fn replace_availability(
    context: Context,
    PathId(id): PathId<PractitionerId>,
    if_match: IfMatch,
    body: Body<Availability>,
) -> Result<HttpResponse> {
    let changed = replace(&context, id, if_match, body.value).await?;
    Ok(response::versioned(&changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(weekday: Weekday, start: &str, end: &str, location: u128, valid: (&str, &str)) -> AvailabilityRule {
        let day = |text: &str| text.parse().ok().map(Date);
        AvailabilityRule {
            weekday,
            start: start.to_owned(),
            end: end.to_owned(),
            location_id: uuid::Uuid::from_u128(location).into(),
            valid_from: day(valid.0),
            valid_until: day(valid.1),
        }
    }

    fn problems(result: Result<impl Sized>) -> Vec<(String, String)> {
        match result {
            Err(Error::Invalid(errors)) => {
                errors.into_iter().map(|error| (error.pointer, error.code.to_string())).collect()
            }
            _ => Vec::new(),
        }
    }

    fn pair(pointer: &str, code: &str) -> (String, String) {
        (pointer.to_owned(), code.to_owned())
    }

    #[test]
    fn a_time_has_the_form_hh_mm() {
        for (text, minutes) in [("00:00", 0), ("09:05", 545), ("23:59", 1439), ("24:00", 1440)] {
            assert_eq!(parse_minute(text), Ok(minutes));
        }
        for wrong in ["", "9:00", "09:60", "24:01", "25:00", "09:00:00", "0900", "+9:00", "٠٩:٠٠", " 9:00"] {
            assert!(parse_minute(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_broken_rule_is_reported_with_its_pointer() {
        let rules = [
            rule(Weekday::Monday, "09:00", "12:00", 1, ("", "")),
            rule(Weekday::Monday, "11:45", "13:00", 1, ("", "")),
            rule(Weekday::Tuesday, "12:00", "12:00", 1, ("", "")),
            rule(Weekday::Tuesday, "9", "24:30", 1, ("2026-02-02", "2026-02-01")),
        ];
        assert_eq!(
            problems(checked(&rules)),
            [
                pair("/items/2/end", "out_of_order"),
                pair("/items/3/start", "invalid_time"),
                pair("/items/3/end", "invalid_time"),
                pair("/items/3/valid_until", "out_of_order"),
                pair("/items/1", "overlap"),
            ]
        );
    }

    #[test]
    fn adjacent_rules_and_rules_that_never_apply_together_do_not_overlap() {
        let rules = [
            rule(Weekday::Monday, "09:00", "12:00", 1, ("", "2026-03-01")),
            rule(Weekday::Monday, "12:00", "17:00", 1, ("", "")),
            rule(Weekday::Monday, "08:00", "12:00", 1, ("2026-03-02", "")),
            rule(Weekday::Tuesday, "08:00", "12:00", 1, ("", "")),
        ];
        assert_eq!(problems(checked(&rules)), []);
    }

    #[test]
    fn a_practitioner_is_not_at_two_locations_at_once_in_any_time_zone() {
        let place = |id: u128, zone: &str| Workplace {
            location_id: uuid::Uuid::from_u128(id).into(),
            zone: crate::zones::Zones::bundled().get(zone).expect("a zone"),
            slot_minutes: 15,
        };
        let places = [place(1, "America/New_York"), place(2, "America/Chicago"), place(3, "America/New_York")];
        let problems_at = |rules: &[AvailabilityRule]| {
            problems(check_locations(&checked(rules).expect("valid"), &places, jiff::civil::date(2026, 3, 2)))
        };
        let morning = rule(Weekday::Monday, "09:00", "12:00", 1, ("", ""));
        assert_eq!(problems_at(&[morning.clone(), rule(Weekday::Monday, "11:00", "13:00", 2, ("", ""))]), []);
        assert_eq!(
            problems_at(&[morning.clone(), rule(Weekday::Monday, "10:00", "13:00", 2, ("", ""))]),
            [pair("/items/1", "overlap")]
        );
        assert_eq!(
            problems_at(&[morning.clone(), rule(Weekday::Monday, "11:00", "13:00", 3, ("", ""))]),
            [pair("/items/1", "overlap")]
        );
        assert_eq!(
            problems_at(&[morning, rule(Weekday::Friday, "11:00", "13:00", 4, ("", ""))]),
            [pair("/items/1/location_id", "unknown_reference")]
        );
    }
}
