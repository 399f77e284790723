//! Time off and extra hours of practitioners as forms ask for them: days and times by the clock of a place.

use jiff::ToSpan;
use jiff::civil::{Date as Day, Time};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};
use text::Language;

use super::form_post::Sent;
use super::member::Member;
use crate::clock::Timestamp;
use crate::error::{FieldCode, FieldError, Result};
use crate::ids::PractitionerId;
use crate::messages::times::Moment;
use crate::scheduling::hours::exceptions::{self, ExceptionView};
use crate::scheduling::hours::weekly::midnight;

fn wrong(name: &str, code: FieldCode, detail: &str) -> Vec<FieldError> {
    vec![FieldError::new(format!("/{name}"), code, detail)]
}

/// The body of the operation. Without times it is whole days.
pub(super) fn built(sent: &Sent, zone: &TimeZone) -> Result<Json, Vec<FieldError>> {
    let text = |name: &str| sent.first(name).trim();
    if text("day").is_empty() {
        return Err(wrong("day", FieldCode::Required, "must be a day"));
    }
    let day = |name: &str| text(name).parse::<Day>().map_err(|_| wrong(name, FieldCode::NotADate, "must be a day"));
    let first = day("day")?;
    let last = if text("last_day").is_empty() { first } else { day("last_day")? };
    let at = |name: &str, day: Day| -> Result<Timestamp, Vec<FieldError>> {
        let time = text(name).parse::<Time>().map_err(|_| wrong(name, FieldCode::NotATime, "must be a time"))?;
        let at = day.to_datetime(time).to_zoned(zone.clone());
        at.map(|at| at.timestamp().into())
            .map_err(|_| wrong(name, FieldCode::InvalidTime, "must be a time of this day"))
    };
    let starts = if text("from").is_empty() { midnight(first, zone) } else { at("from", first)? };
    let ends = if text("to").is_empty() { midnight(last.saturating_add(1.day()), zone) } else { at("to", last)? };
    let mut body = json!({"kind": text("kind"), "starts_at": starts.to_string(), "ends_at": ends.to_string(), "reason": text("reason")});
    if !text("location_id").is_empty() {
        body["location_id"] = text("location_id").into();
    }
    Ok(body)
}

/// The broken rules of the operation at the fields of the form.
pub(super) fn at_fields(errors: Vec<FieldError>) -> Vec<FieldError> {
    let moved = |error: FieldError| match error.pointer.as_str() {
        "/starts_at" => FieldError::new("/day", error.code, error.detail),
        "/ends_at" => FieldError::new("/last_day", error.code, error.detail),
        _ => error,
    };
    errors.into_iter().map(moved).collect()
}

/// The exceptions of a practitioner that are not over, earliest first.
pub(super) async fn of(member: &Member, practitioner: PractitionerId) -> Result<Vec<ExceptionView>> {
    const OPERATION: &str = "list_exceptions";
    let (params, page) = (member.parameters(OPERATION, "limit=100")?, member.parameters(OPERATION, "limit=100")?);
    Ok(exceptions::list(&member.context, practitioner, params, page).await?.items)
}

/// When it is: whole days without times.
pub(super) fn when(exception: &ExceptionView, zone: &TimeZone, language: Language) -> String {
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
        built(&Sent::read(form.as_bytes()), &TimeZone::fixed(jiff::tz::offset(-5)))
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
