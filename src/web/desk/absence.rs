//! Time off and extra hours of practitioners as forms ask for them: days and times by the clock of a place.

use jiff::ToSpan;
use jiff::civil::{Date as Day, Time};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use text::Language;

use super::super::form_post::Sent;
use super::clinic::Clinic;
use super::{Member, MemberForm};
use crate::clock::Timestamp;
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::http::input;
use crate::http::paging::to_end;
use crate::ids::{LocationId, PractitionerId};
use crate::messages::times::Moment;
use crate::scheduling::hours::exceptions::{self, CreatedPractitionerException, ExceptionView};
use crate::scheduling::hours::weekly::midnight;
use crate::scheduling::setup::locations::LocationView;

fn wrong(name: &str, code: FieldCode, detail: &str) -> Vec<FieldError> {
    vec![FieldError::new(format!("/{name}"), code, detail)]
}

/// The places at which time off of a practitioner has effect: its location, or all places of the practitioner.
fn places(
    clinic: &Clinic,
    practitioner: PractitionerId,
    location: Option<LocationId>,
) -> impl Iterator<Item = &LocationView> {
    let of = clinic.practitioners.iter().find(|one| one.id == practitioner).map(|one| one.location_ids.as_slice());
    clinic.locations.iter().filter(move |place| match location {
        Some(location) => place.id == location,
        None => of.is_none_or(|of| of.contains(&place.id)),
    })
}

/// The time zone by which times at a location are read and shown; without a location, that of the practitioner's first place.
pub(in crate::web) fn zone(
    member: &Member,
    clinic: &Clinic,
    practitioner: PractitionerId,
    location: Option<LocationId>,
) -> TimeZone {
    let first = places(clinic, practitioner, location).next().or(clinic.locations.first());
    first.map_or(TimeZone::UTC, |place| member.zone(&place.time_zone))
}

/// Adds the time off or extra hours that a form asks for. Times without a location are read by the clock of the practitioner's places.
///
/// # Errors
/// Broken rules at the fields of the form, also if these places have different clocks; those of the operation.
pub(in crate::web) async fn add(
    form: &MemberForm,
    clinic: &Clinic,
    practitioner: PractitionerId,
    key: &str,
) -> Result<CreatedPractitionerException> {
    let member = &form.member;
    let location = form.sent.first("location_id").parse().ok();
    let mut zones: Vec<TimeZone> =
        places(clinic, practitioner, location).map(|place| member.zone(&place.time_zone)).collect();
    zones.dedup();
    if zones.is_empty() {
        zones.push(zone(member, clinic, practitioner, location));
    }
    let built = built(&form.sent, &zones).map_err(Error::Invalid)?;
    let body = input::read_built(&built, &*member.operation("create_exception")?)?;
    let created = exceptions::create(&member.context, form.once(key), practitioner, body.value).await;
    match created {
        Ok(created) => Ok(created.object),
        Err(Error::Invalid(errors)) => Err(Error::Invalid(at_fields(errors))),
        Err(error) => Err(error),
    }
}

/// The body of the operation. Without times it is whole days, from the first midnight until the last one of the zones, of which there is at
/// least one.
fn built(sent: &Sent, zones: &[TimeZone]) -> Result<Json, Vec<FieldError>> {
    let text = |name: &str| sent.first(name).trim();
    if text("day").is_empty() {
        return Err(wrong("day", FieldCode::Required, "must be a day"));
    }
    let day = |name: &str| text(name).parse::<Day>().map_err(|_| wrong(name, FieldCode::NotADate, "must be a day"));
    let first = day("day")?;
    let last = if text("last_day").is_empty() { first } else { day("last_day")? };
    let at = |name: &str, day: Day| -> Result<Timestamp, Vec<FieldError>> {
        let [zone] = zones else {
            let detail = "must be one place, because the places of the practitioner are in different time zones";
            return Err(wrong("location_id", FieldCode::Required, detail));
        };
        let time = text(name).parse::<Time>().map_err(|_| wrong(name, FieldCode::NotATime, "must be a time"))?;
        let at = day.to_datetime(time).to_zoned(zone.clone());
        at.map(|at| at.timestamp().into())
            .map_err(|_| wrong(name, FieldCode::InvalidTime, "must be a time of this day"))
    };
    let midnights = |day: Day| zones.iter().map(move |zone| midnight(day, zone));
    let no_place = || wrong("location_id", FieldCode::Required, "must be a place");
    let starts =
        if text("from").is_empty() { midnights(first).min().ok_or_else(no_place)? } else { at("from", first)? };
    let after = last.saturating_add(1.day());
    let ends = if text("to").is_empty() { midnights(after).max().ok_or_else(no_place)? } else { at("to", last)? };
    let mut body = json!({"kind": text("kind"), "starts_at": starts.to_string(), "ends_at": ends.to_string(), "reason": text("reason")});
    if !text("location_id").is_empty() {
        body["location_id"] = text("location_id").into();
    }
    Ok(body)
}

/// The broken rules of the operation at the fields of the form.
fn at_fields(errors: Vec<FieldError>) -> Vec<FieldError> {
    let moved = |error: FieldError| match error.pointer.as_str() {
        "/starts_at" => FieldError::new("/day", error.code, error.detail),
        "/ends_at" => FieldError::new("/last_day", error.code, error.detail),
        _ => error,
    };
    errors.into_iter().map(moved).collect()
}

/// The exceptions of a practitioner that are not over, earliest first.
pub(in crate::web) async fn of(member: &Member, practitioner: PractitionerId) -> Result<Vec<ExceptionView>> {
    to_end(async |page| {
        let params = member.parameters("list_exceptions", "")?;
        let found = exceptions::list(&member.context, practitioner, params, page).await?;
        Ok((found.items, found.next_cursor))
    })
    .await
}

/// When it is: whole days without times.
pub(in crate::web) fn when(exception: &ExceptionView, zone: &TimeZone, language: Language) -> String {
    let [from, to] = [exception.starts_at, exception.ends_at].map(|at| at.in_zone(zone));
    let is_midnight = |at: &jiff::Zoned| midnight(at.date(), zone) == Timestamp::from(at.timestamp());
    let moment = |at: Timestamp| Moment::new(at, zone, language);
    if is_midnight(&from) && is_midnight(&to) {
        let last = Moment::of_day(to.date().saturating_sub(1.day()), language).date();
        let first = Moment::of_day(from.date(), language).date();
        return if first == last { first } else { format!("{first} – {last}") };
    }
    let end = moment(exception.ends_at);
    let end = if from.date() == to.date() { end.time() } else { format!("{}, {}", end.date(), end.time()) };
    let start = moment(exception.starts_at);
    format!("{}, {} – {end}", start.date(), start.time())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: &str) -> Result<Json, Vec<FieldError>> {
        at(form, &[-5])
    }

    fn at(form: &str, offsets: &[i8]) -> Result<Json, Vec<FieldError>> {
        let zones: Vec<_> = offsets.iter().map(|hours| TimeZone::fixed(jiff::tz::offset(*hours))).collect();
        built(&Sent::read(form.as_bytes()), &zones)
    }

    #[test]
    fn whole_days_cover_those_of_all_clocks_and_times_need_one_clock() {
        let whole = at("kind=time_off&day=2026-03-10&reason=Ill", &[-5, -7]).expect("a body");
        assert_eq!(
            (&whole["starts_at"], &whole["ends_at"]),
            (&json!("2026-03-10T05:00:00Z"), &json!("2026-03-11T07:00:00Z"))
        );
        let errors = at("kind=time_off&day=2026-03-10&from=13:00&reason=Ill", &[-5, -7]).expect_err("two clocks");
        assert_eq!(errors[0].pointer, "/location_id");
    }

    #[test]
    fn days_are_whole_unless_there_are_times() {
        let whole = of("kind=time_off&day=2026-03-10&last_day=2026-03-11&reason=+Ill+").expect("a body");
        let expected = json!({"kind": "time_off", "starts_at": "2026-03-10T05:00:00Z", "ends_at": "2026-03-12T05:00:00Z", "reason": "Ill"});
        assert_eq!(whole, expected);
        let part = of("kind=extra_hours&day=2026-03-10&from=17:00&to=19:30&location_id=1&reason=x").expect("a body");
        assert_eq!(
            (&part["starts_at"], &part["ends_at"]),
            (&json!("2026-03-10T22:00:00Z"), &json!("2026-03-11T00:30:00Z"))
        );
        assert_eq!(part["location_id"], "1");
    }

    #[test]
    fn what_cannot_be_read_is_said_at_its_field() {
        for (form, field, code) in [
            ("reason=x", "/day", FieldCode::Required),
            ("day=soon", "/day", FieldCode::NotADate),
            ("day=2026-03-10&last_day=x", "/last_day", FieldCode::NotADate),
            ("day=2026-03-10&from=noon", "/from", FieldCode::NotATime),
        ] {
            let errors = of(form).expect_err(form);
            assert_eq!((errors[0].pointer.as_str(), errors[0].code), (field, code), "{form}");
        }
        let rule = |pointer: &str| FieldError::new(pointer, FieldCode::OutOfOrder, "");
        let found = at_fields(vec![rule("/starts_at"), rule("/ends_at"), rule("/reason")]);
        assert_eq!(found.iter().map(|one| one.pointer.as_str()).collect::<Vec<_>>(), ["/day", "/last_day", "/reason"]);
    }
}
