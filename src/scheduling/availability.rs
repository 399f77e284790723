//! A practitioner's weekly hours.

use actix_web::{HttpResponse, get, put, web};
use diesel::prelude::*;
use jiff::ToSpan;

use super::affected::AffectedAppointments;
use super::hours::{self, Place, Rule, Weekday};
use super::{affected, plan_store, publishing, store};
use crate::actor::{Action, Actor, Reach};
use crate::audit;
use crate::db::schema::{availability, practitioners};
use crate::db::types::Date;
use crate::db::{Conn, per_backend};
use crate::env::Env;
use crate::error::{self, Check, Error, Result};
use crate::http::{Body, IfMatch, PathId, etag};
use crate::ids::{AvailabilityId, LocationId, PractitionerId};
use crate::trail::Trail;

/// How many rules one practitioner may have.
const MOST: usize = 200;

/// One weekly opening.
///
/// The practice is open at exactly the instants at which the location's clock shows a time within the opening. Where the
/// clock jumps ahead, times that do not exist are not open; an hour that comes twice is open twice.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "weekday": "monday", "start": "09:00", "end": "17:00", "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02",
    "valid_from": "2026-03-01", "valid_until": null
}))]
pub struct AvailabilityRule {
    /// The day of the week.
    pub weekday: Weekday,
    /// When it opens, `HH:MM` as the location's clock shows it.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", examples("09:00"))]
    pub start: String,
    /// When it closes, `HH:MM` up to `24:00`.
    #[schema(pattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", examples("17:00"))]
    pub end: String,
    /// Where: one of the practitioner's locations.
    pub location_id: LocationId,
    /// The first day on which it holds.
    #[serde(default)]
    pub valid_from: Option<Date>,
    /// The last day on which it holds.
    #[serde(default)]
    pub valid_until: Option<Date>,
}

impl From<&Rule> for AvailabilityRule {
    fn from(rule: &Rule) -> Self {
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

/// Reads `HH:MM` as minutes since midnight, 0 to 1440.
fn minute(text: &str) -> Result<i32, error::Rule> {
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        let number =
            |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok());
        let (hours, minutes): (i32, i32) = (number(hours)??, number(minutes)??);
        let minute = hours * 60 + minutes;
        (minutes < 60 && minute <= 1440).then_some(minute)
    };
    read().ok_or_else(|| error::Rule::new("invalid_time", "must be HH:MM such as 09:00, at most 24:00"))
}

/// Reads the rules and checks them as far as the input alone can be: form, order, and overlaps in civil time at one
/// location. Overlaps between locations need their time zones; see [`check_places`].
fn read(input: &[AvailabilityRule]) -> Result<Vec<Rule>> {
    let mut check = Check::new();
    if input.len() > MOST {
        return Err(Error::invalid("", "too_many", format!("may have {MOST} rules")));
    }
    let mut rules: Vec<(usize, Rule)> = Vec::new();
    for (index, rule) in input.iter().enumerate() {
        let start = check.field(&format!("/{index}/start"), minute(&rule.start));
        let end = check.field(&format!("/{index}/end"), minute(&rule.end));
        let (valid_from, valid_until) = (rule.valid_from.map(|day| day.0), rule.valid_until.map(|day| day.0));
        let in_order = valid_from.zip(valid_until).is_none_or(|(first, last)| first <= last);
        check.require(in_order, format!("/{index}/valid_until"), "out_of_order", "must not be before valid_from");
        let (Some(start_minute), Some(end_minute)) = (start, end) else { continue };
        check.require(end_minute > start_minute, format!("/{index}/end"), "out_of_order", "must be after start");
        if end_minute > start_minute && in_order {
            let (weekday, location_id) = (rule.weekday, rule.location_id);
            rules.push((index, Rule { location_id, weekday, start_minute, end_minute, valid_from, valid_until }));
        }
    }
    for (position, (index, rule)) in rules.iter().enumerate() {
        let same_place = |(_, other): &&(usize, Rule)| other.location_id == rule.location_id && other.overlaps(rule);
        if let Some((other, _)) = rules[..position].iter().find(same_place) {
            check.add(overlap(*index, *other));
        }
    }
    check.done()?;
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}

fn overlap(index: usize, other: usize) -> error::FieldError {
    error::FieldError::new(
        format!("/{index}"),
        "overlap",
        format!("overlaps with the rule at /{other} while both are valid"),
    )
}

/// Checks that all rules are at the practitioner's locations, and that no two at different locations overlap: by the
/// clock where they share a time zone, else in real time, in the year from `today` on.
fn check_places(rules: &[Rule], places: &[Place], today: jiff::civil::Date) -> Result<()> {
    let mut check = Check::new();
    let place = |rule: &Rule| places.iter().find(|place| place.location_id == rule.location_id);
    for (index, rule) in rules.iter().enumerate() {
        let why = "must be one of the practitioner's locations";
        check.require(place(rule).is_some(), format!("/{index}/location_id"), "unknown_reference", why);
    }
    let until = today.saturating_add(54.weeks());
    let in_real_time = |rule: &Rule, place: &Place| hours::openings(std::slice::from_ref(rule), place, today, until);
    for (index, rule) in rules.iter().enumerate() {
        for (other_index, other) in rules[..index].iter().enumerate() {
            let (Some(here), Some(there)) = (place(rule), place(other)) else { continue };
            let collide = if here.location_id == there.location_id {
                false
            } else if here.zone == there.zone {
                rule.overlaps(other)
            } else {
                // Days that are far apart on the clock never meet; the widest offsets differ by 26 hours.
                near(rule.weekday, other.weekday) && {
                    let (ours, theirs) = (in_real_time(rule, here), in_real_time(other, there));
                    ours.iter().any(|ours| theirs.iter().any(|theirs| theirs.overlaps(ours.starts_at, ours.ends_at)))
                }
            };
            if collide {
                check.add(overlap(index, other_index));
                break;
            }
        }
    }
    check.done()
}

fn near(one: Weekday, other: Weekday) -> bool {
    matches!((one.iso() - other.iso()).rem_euclid(7), 0..=2 | 5..=6)
}

/// Read a practitioner's weekly hours
///
/// For staff.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "get_availability",
    security(("bearer" = [])),
    params(("id" = PractitionerId, Path, description = "The practitioner")),
    responses((status = 200, description = "The weekly hours", body = Vec<AvailabilityRule>, headers(("ETag" = String, description = "Their version, for If-Match; it is not the practitioner's.")), example = json!([{"weekday": "monday", "start": "09:00", "end": "17:00",
            "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "valid_from": "2026-03-01", "valid_until": null}]))),
)]
#[get("/v1/practitioners/{id}/availability")]
pub async fn get_availability(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<PractitionerId>,
) -> Result<HttpResponse> {
    actor.require(Action::AvailabilityRead)?;
    let (version, rules) = env
        .db
        .read(move |conn| {
            let practitioner = store::practitioner(conn, id)?;
            Ok((practitioner.availability_version, plan_store::rules(conn, id)?))
        })
        .await?;
    let rules: Vec<AvailabilityRule> = rules.iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(rules))
}

/// The weekly hours after a change, and whom that hits.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "items": [{"weekday": "monday", "start": "09:00", "end": "17:00",
        "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "valid_from": "2026-03-01", "valid_until": null}],
    "affected_appointments": [], "affected_total": 0
}))]
pub struct AvailabilityChanged {
    /// The rules.
    pub items: Vec<AvailabilityRule>,
    /// Whom it hits.
    #[serde(flatten)]
    pub affected: AffectedAppointments,
}

/// Replace a practitioner's weekly hours
///
/// For administrators, and for the practitioner. The list takes the place of the whole list that was there, and the free
/// slots follow at once. What is booked stays; what the change hits is in the answer and under `needs_attention`. No two
/// rules may overlap while both are valid. Where a rule meets extra hours, the rule holds.
#[utoipa::path(
    tag = "practitioners",
    operation_id = "replace_availability",
    security(("bearer" = [])),
    params(
        ("id" = PractitionerId, Path, description = "The practitioner"),
        ("If-Match" = String, Header, description = "The ETag of the weekly hours that you read."),
    ),
    request_body(content = Vec<AvailabilityRule>, example = json!([{"weekday": "monday", "start": "09:00", "end": "17:00",
            "location_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c02", "valid_from": "2026-03-01", "valid_until": null}])),
    responses((status = 200, description = "The weekly hours as they are now, and whom the change hits", body = AvailabilityChanged,
        headers(("ETag" = String, description = "Their version, for If-Match; it is not the practitioner's.")))),
)]
#[put("/v1/practitioners/{id}/availability")]
pub async fn replace_availability(
    env: web::Data<Env>,
    actor: Actor,
    PathId(id): PathId<PractitionerId>,
    if_match: IfMatch,
    body: Body<Vec<AvailabilityRule>>,
) -> actix_web::Result<HttpResponse> {
    let reach = actor.require(Action::AvailabilityWrite)?;
    let if_match = if_match.required()?;
    let rules = read(&body.value)?;
    if reach == Reach::Own && actor.practitioner_id != Some(id) {
        return Err(Error::NotFound.into());
    }
    let within = env.clone();
    let (version, changed) = env
        .db
        .write(move |tx| {
            let replaced = replace(tx, &within, &actor.trail, id, &if_match, &rules)?;
            audit::record(tx, &within, &actor.trail, id.0)?;
            Ok(replaced)
        })
        .await?;
    Ok(HttpResponse::Ok().insert_header(etag::header(version)).json(changed))
}

/// A rule as it stands in the table.
#[derive(Insertable)]
#[diesel(table_name = availability)]
struct Row {
    id: AvailabilityId,
    practitioner_id: PractitionerId,
    location_id: LocationId,
    weekday: i32,
    start_minute: i32,
    end_minute: i32,
    valid_from: Option<Date>,
    valid_until: Option<Date>,
}

fn replace(
    tx: &mut Conn,
    env: &Env,
    trail: &Trail,
    id: PractitionerId,
    if_match: &IfMatch,
    rules: &[Rule],
) -> Result<(i32, AvailabilityChanged)> {
    let mut practitioner = store::lock_practitioner(tx, id)?;
    if_match.check(practitioner.availability_version)?;
    check_places(rules, &plan_store::places(tx, id)?, env.now().in_zone(&jiff::tz::TimeZone::UTC).date())?;
    diesel::delete(availability::table.filter(availability::practitioner_id.eq(id))).execute(tx)?;
    for rule in rules {
        let row = Row {
            id: env.new_id(),
            practitioner_id: id,
            location_id: rule.location_id,
            weekday: rule.weekday.iso(),
            start_minute: rule.start_minute,
            end_minute: rule.end_minute,
            valid_from: rule.valid_from.map(Date),
            valid_until: rule.valid_until.map(Date),
        };
        per_backend!(tx, tx => diesel::insert_into(availability::table).values(&row).execute(tx))?;
    }
    practitioner.availability_version += 1;
    diesel::update(practitioners::table.find(id))
        .set(practitioners::availability_version.eq(practitioner.availability_version))
        .execute(tx)?;
    let hit = publishing::publish(tx, env, &practitioner, &[])?;
    let affected = affected::load(tx, trail, &hit)?;
    let items = plan_store::rules(tx, id)?.iter().map(Into::into).collect();
    Ok((practitioner.availability_version, AvailabilityChanged { items, affected }))
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
            Err(Error::Invalid(errors)) => errors.into_iter().map(|error| (error.pointer, error.code)).collect(),
            _ => Vec::new(),
        }
    }

    fn pair(pointer: &str, code: &str) -> (String, String) {
        (pointer.to_owned(), code.to_owned())
    }

    #[test]
    fn times_are_hours_and_minutes_and_nothing_else() {
        for (text, minutes) in [("00:00", 0), ("09:05", 545), ("23:59", 1439), ("24:00", 1440)] {
            assert_eq!(minute(text), Ok(minutes));
        }
        for wrong in ["", "9:00", "09:60", "24:01", "25:00", "09:00:00", "0900", "+9:00", "٠٩:٠٠", " 9:00"] {
            assert!(minute(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_broken_rule_is_told_with_its_place() {
        let rules = [
            rule(Weekday::Monday, "09:00", "12:00", 1, ("", "")),
            rule(Weekday::Monday, "11:45", "13:00", 1, ("", "")),
            rule(Weekday::Tuesday, "12:00", "12:00", 1, ("", "")),
            rule(Weekday::Tuesday, "9", "24:30", 1, ("2026-02-02", "2026-02-01")),
        ];
        assert_eq!(
            problems(read(&rules)),
            [
                pair("/2/end", "out_of_order"),
                pair("/3/start", "invalid_time"),
                pair("/3/end", "invalid_time"),
                pair("/3/valid_until", "out_of_order"),
                pair("/1", "overlap"),
            ]
        );
    }

    #[test]
    fn rules_that_touch_or_are_never_valid_together_do_not_overlap() {
        let rules = [
            rule(Weekday::Monday, "09:00", "12:00", 1, ("", "2026-03-01")),
            rule(Weekday::Monday, "12:00", "17:00", 1, ("", "")),
            rule(Weekday::Monday, "08:00", "12:00", 1, ("2026-03-02", "")),
            rule(Weekday::Tuesday, "08:00", "12:00", 1, ("", "")),
        ];
        assert_eq!(problems(read(&rules)), []);
    }

    #[test]
    fn a_doctor_is_not_at_two_places_at_once_whatever_their_clocks_show() {
        let place = |id: u128, zone: &str| Place {
            location_id: uuid::Uuid::from_u128(id).into(),
            zone: super::super::model::zone(zone).expect("a zone"),
            slot_minutes: 15,
        };
        let places = [place(1, "America/New_York"), place(2, "America/Chicago"), place(3, "America/New_York")];
        let checked = |rules: &[AvailabilityRule]| {
            problems(check_places(&read(rules).expect("read"), &places, jiff::civil::date(2026, 3, 2)))
        };
        let morning = rule(Weekday::Monday, "09:00", "12:00", 1, ("", ""));
        assert_eq!(checked(&[morning.clone(), rule(Weekday::Monday, "11:00", "13:00", 2, ("", ""))]), []);
        assert_eq!(
            checked(&[morning.clone(), rule(Weekday::Monday, "10:00", "13:00", 2, ("", ""))]),
            [pair("/1", "overlap")]
        );
        assert_eq!(
            checked(&[morning.clone(), rule(Weekday::Monday, "11:00", "13:00", 3, ("", ""))]),
            [pair("/1", "overlap")]
        );
        assert_eq!(
            checked(&[morning, rule(Weekday::Friday, "11:00", "13:00", 4, ("", ""))]),
            [pair("/1/location_id", "unknown_reference")]
        );
    }
}
