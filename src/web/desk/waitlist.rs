//! The waitlist: the times that are offered now, and who waits for which visit. The desk enters an answer on the telephone.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::tz::TimeZone;
use minijinja::{Value, context};
use serde_json::json;
use text::Language;
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::super::language::both;
use super::clinic::{Clinic, phone};
use super::day::{clock, from_to, in_short};
use super::done::Done;
use super::{Member, MemberForm, refuse, times};
use crate::error::Result;
use crate::http::PathId;
use crate::http::etag::IfMatch;
use crate::http::input;
use crate::ids::{PatientId, WaitlistEntryId, WaitlistOfferId};
use crate::messages::times::Moment;
use crate::patients::listed::ListedPatient;
use crate::patients::records::updating;
use crate::waitlist::entry::{WaitlistStatus, WaitlistUrgency};
use crate::waitlist::listing::ListedWaitlistEntry;
use crate::waitlist::offer_listing::ListedWaitlistOffer;
use crate::waitlist::wishes::Wishes;
use crate::waitlist::{by_hand, changing, claiming, creating, listing, offer_listing, view};

const PAGE: &str = "desk/waitlist";
/// The most entries of each urgency, and the most offers.
const MOST: &str = "limit=100";
/// The name of the cursor of the offers. Those of the entries have the names of the urgencies.
const OFFERS: &str = "offers";

/// Shows the open offers, then those who wait: the urgent ones first, and those who wait longest.
/// The query has the cursors of the lists that go on. A list without one is shown on the first page only.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let asked = Sent::read(request.query_string().as_bytes());
    let urgencies = [WaitlistUrgency::Urgent, WaitlistUrgency::Soon, WaitlistUrgency::Routine];
    let mut names = urgencies.iter().map(|urgency| urgency.as_str()).chain([OFFERS]);
    let is_first = names.all(|name| asked.first(name).is_empty());
    let is_shown = |name: &str| is_first || !asked.first(name).is_empty();
    let mut clinic = Clinic::read(&member).await?;
    let mut more = Serializer::new(String::new());
    let mut offered = Vec::new();
    if is_shown(OFFERS) {
        let (found, next) = offers(&member, asked.first(OFFERS)).await?;
        let kinds = found.iter().map(|one| one.offer.visit_type_id);
        clinic.read_names(&member, found.iter().map(|one| one.offer.practitioner_id), kinds).await?;
        for one in &found {
            let numbers = numbers(&member, one, &clinic).await?;
            offered.push(context! { ..numbers, ..offer(one, &clinic, &member) });
        }
        more.extend_pairs(next.map(|next| (OFFERS, next)));
    }
    let mut waiting = Vec::new();
    for urgency in urgencies.into_iter().filter(|urgency| is_shown(urgency.as_str())) {
        let zone = clinic.locations.first().map_or(TimeZone::UTC, |one| member.zone(&one.time_zone));
        let (found, next) = entries(&member, urgency, asked.first(urgency.as_str())).await?;
        clinic.read_names(&member, [], found.iter().map(|one| one.entry.visit_type_id)).await?;
        waiting.extend(found.iter().map(|one| entry(one, &clinic, &zone, member.language)));
        more.extend_pairs(next.map(|next| (urgency.as_str(), next)));
    }
    let values = context! {
        did => Done::of(asked.first("did")).map(Done::word), offers => offered, waiting => waiting, more => more.finish(),
        form_key => member.form_key(),
    };
    member.answer("desk-waitlist", StatusCode::OK, values).await
}

/// The telephone number of the patient of an offer. Practitioners make no calls.
async fn numbers(member: &Member, one: &ListedWaitlistOffer, clinic: &Clinic) -> Result<Value> {
    let number = if member.is_practitioner() {
        None
    } else {
        updating::read(&member.context, one.offer.patient_id).await?.object.patient.phone
    };
    let shown = number.as_ref().map(|number| phone(number, &clinic.locations));
    Ok(context! { phone => shown, dial => number })
}

/// What a patient waits for, by the names of the kinds of visit.
pub(super) async fn of_patient(member: &Member, patient: PatientId, clinic: &mut Clinic) -> Result<Vec<String>> {
    const OPERATION: &str = "list_waitlist_entries";
    let query = format!("patient_id={patient}&sort=-created_at&limit=20");
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = listing::list(&member.context, filter, page).await?.items;
    let waits =
        |one: &&ListedWaitlistEntry| matches!(one.entry.status, WaitlistStatus::Waiting | WaitlistStatus::Offered);
    let kinds: Vec<_> = found.iter().filter(waits).map(|one| one.entry.visit_type_id).collect();
    clinic.read_names(member, [], kinds.iter().copied()).await?;
    Ok(kinds.into_iter().map(|id| clinic.visit_type(id).to_owned()).collect())
}

/// Loads the open offers from a cursor on, with the cursor of the next ones.
async fn offers(member: &Member, cursor: &str) -> Result<(Vec<ListedWaitlistOffer>, Option<String>)> {
    const OPERATION: &str = "list_waitlist_offers";
    let query = from(cursor, format!("status=offered&{MOST}"));
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let listed = offer_listing::list(&member.context, filter, page).await?;
    let (mut found, next) = (listed.items, listed.next_cursor);
    // One whose time to answer is over has lapsed, although the service has not ended it yet.
    let now = member.context.env.now();
    found.retain(|one| one.offer.expires_at > now);
    Ok((found, next))
}

/// Loads those who wait with an urgency from a cursor on, with the cursor of the next ones.
async fn entries(
    member: &Member,
    urgency: WaitlistUrgency,
    cursor: &str,
) -> Result<(Vec<ListedWaitlistEntry>, Option<String>)> {
    const OPERATION: &str = "list_waitlist_entries";
    let query = from(cursor, format!("status=waiting&urgency={}&{MOST}", urgency.as_str()));
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let listed = listing::list(&member.context, filter, page).await?;
    Ok((listed.items, listed.next_cursor))
}

/// A query from a cursor on, if there is one.
fn from(cursor: &str, query: String) -> String {
    let mut query = Serializer::new(query);
    if !cursor.is_empty() {
        query.append_pair("cursor", cursor);
    }
    query.finish()
}

fn offer(one: &ListedWaitlistOffer, clinic: &Clinic, member: &Member) -> Value {
    let offer = &one.offer;
    let zone = member.zone(&offer.time_zone);
    context! {
        id => offer.id.to_string(),
        patient => one.patient.as_ref().map(|one| patient(one, member.language)),
        visit_type => clinic.visit_type(offer.visit_type_id),
        practitioner => clinic.practitioner(offer.practitioner_id),
        place => clinic.location(offer.location_id),
        starts => Moment::new(offer.starts_at, &zone, member.language).full_here(),
        answer_until => Moment::new(offer.expires_at, &zone, member.language).full_here(),
        way => offer.way.as_str(),
    }
}

fn entry(one: &ListedWaitlistEntry, clinic: &Clinic, zone: &TimeZone, language: Language) -> Value {
    let entry = &one.entry;
    let day = |date| in_short(date, language);
    context! {
        id => entry.id.to_string(),
        patient => one.patient.as_ref().map(|one| patient(one, language)),
        visit_type => clinic.visit_type(entry.visit_type_id),
        visit_type_id => entry.visit_type_id.to_string(),
        urgency => entry.urgency.as_str(), paused => entry.paused, offered_here => clinic.is_offered(entry.visit_type_id),
        visit => entry.appointment_id.map(|visit| visit.to_string()),
        since => day(entry.created_at.in_zone(zone).date()),
        wishes => wishes(&entry.wishes, clinic, language),
        from => entry.from_date.map(|date| day(date.0)),
        to => entry.to_date.map(|date| day(date.0)),
    }
}

fn patient(patient: &ListedPatient, language: Language) -> Value {
    context! {
        id => patient.id.to_string(),
        name => patient.display_name.as_str(),
        born => in_short(patient.date_of_birth.0, language),
        mrn => patient.mrn.as_str(),
    }
}

/// What suits the patient, in parts: practitioners, places, weekdays, times of the day.
fn wishes(wishes: &Wishes, clinic: &Clinic, language: Language) -> Vec<String> {
    let say = |en, es| both(en, es).text(language);
    let practitioners = wishes.practitioner_ids.iter().map(|id| clinic.practitioner(*id));
    let places = wishes.location_ids.iter().map(|id| clinic.location(*id));
    let days = wishes.weekdays.iter().map(|day| day.name(language));
    let lists = [practitioners.collect(), places.collect(), days.collect::<Vec<_>>()];
    let times = match (wishes.from_time.as_deref(), wishes.to_time.as_deref()) {
        (None, None) => None,
        (Some(from), None) => Some(format!("{} {}", say("from", "desde:"), clock(&at(from), language))),
        (None, Some(to)) => Some(format!("{} {}", say("before", "antes de:"), clock(&at(to), language))),
        (Some(from), Some(to)) => Some(from_to(&at(from), &at(to), language)),
    };
    lists.into_iter().filter(|list| !list.is_empty()).map(|list| list.join(say(" or ", " o "))).chain(times).collect()
}

/// A time of the day, `HH:MM`, on some day. `24:00` is midnight.
fn at(text: &str) -> String {
    format!("2026-01-01T{}:00", if text == "24:00" { "00:00" } else { text })
}

/// Puts a patient on the waitlist for the visit that the page of times has looked for.
pub(super) async fn begin(form: MemberForm, PathId(patient): PathId<PatientId>) -> Result<HttpResponse> {
    let text = |name: &str| form.sent.first(name).trim();
    let mut built =
        json!({ "patient_id": patient, "visit_type_id": text("visit_type_id"), "urgency": text("urgency") });
    for (member, name) in [("location_ids", "location_id"), ("practitioner_ids", "practitioner_id")] {
        if !text(name).is_empty() {
            built[member] = json!([text(name)]);
        }
    }
    for name in ["from_date", "to_date"] {
        if !text(name).is_empty() {
            built[name] = text(name).into();
        }
    }
    let begun = match input::read_built(&built, &*form.member.operation("create_waitlist_entry")?) {
        Ok(body) => creating::create(&form.member.context, form.once(&format!("wait {patient}")), body.value).await,
        Err(error) => Err(error),
    };
    match begun {
        Ok(_) => Ok(form.member.go_to(&Done::WaitBegun.on(&format!("desk/patients/{patient}")))),
        Err(error) => refuse(&form, &times::page(&form.sent, &format!("desk/patients/{patient}/times")), error).await,
    }
}

/// Books the offered time for a patient who takes it on the telephone.
pub(super) async fn claim(form: MemberForm, PathId(id): PathId<WaitlistOfferId>) -> Result<HttpResponse> {
    let claimed = claiming::claim(&form.member.context, form.once(&format!("claim {id}")), id).await;
    match claimed.map(|claimed| claimed.object.appointment_id) {
        Ok(Some(visit)) => Ok(form.member.go_to(&Done::OfferClaimed.on(&format!("desk/visits/{visit}")))),
        other => done(&form, other, Done::OfferClaimed).await,
    }
}

/// Enters that the patient does not want the offered time.
pub(super) async fn decline(form: MemberForm, PathId(id): PathId<WaitlistOfferId>) -> Result<HttpResponse> {
    let declined = claiming::decline(&form.member.context, form.once(&format!("decline {id}")), id).await;
    done(&form, declined, Done::OfferDeclined).await
}

/// Takes the offered time back.
pub(super) async fn withdraw(form: MemberForm, PathId(id): PathId<WaitlistOfferId>) -> Result<HttpResponse> {
    let withdrawn = by_hand::withdraw(&form.member.context, form.once(&format!("withdraw {id}")), id).await;
    done(&form, withdrawn, Done::OfferWithdrawn).await
}

/// Lets the service offer times again to a patient who did not answer the last ones.
pub(super) async fn go_on(form: MemberForm, PathId(id): PathId<WaitlistEntryId>) -> Result<HttpResponse> {
    let member = &form.member;
    let now = view::read(&member.context, id).await?;
    let patch = input::read_built(&json!({"paused": false}), &*member.operation("update_waitlist_entry")?)?;
    let changed = changing::update(&member.context, id, IfMatch::version(now.version), patch.value).await;
    done(&form, changed, Done::WaitResumed).await
}

/// Ends the wait of a patient.
pub(super) async fn end(form: MemberForm, PathId(id): PathId<WaitlistEntryId>) -> Result<HttpResponse> {
    // A row of the list has no version. Whether the patient waits decides whether the wait can end.
    let ended = changing::cancel(&form.member.context, form.once(&format!("end {id}")), id, IfMatch::any()).await;
    done(&form, ended, Done::WaitEnded).await
}

async fn done<T>(form: &MemberForm, result: Result<T>, done: Done) -> Result<HttpResponse> {
    match result {
        Ok(_) => Ok(form.member.go_to(&done.on(PAGE))),
        Err(error) => refuse(form, PAGE, error).await,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let patient = context! { id => "1", name => "Ann <b>Example", born => "Sep 14, 1967", mrn => "LW-001001" };
    let offer = |way: &str, known: bool| {
        context! {
            id => "1", patient => known.then_some(&patient), visit_type => "Follow-up", practitioner => "Dr. Ada Vein", place => "Main",
            phone => known.then_some("(212) 555-0100"), dial => known.then_some("+12125550100"), starts => "Monday, March 9, 2026, 9:30 AM", answer_until => "Monday, March 2, 2026, 11:00 AM", way => way,
        }
    };
    let entry = |urgency: &str, all: bool| {
        context! {
            id => "1", patient => all.then_some(&patient), visit_type => "Follow-up", visit_type_id => "1", urgency => urgency, paused => all, offered_here => all,
            visit => all.then_some("1"), since => "Mar 2, 2026", wishes => if all { vec!["Dr. Ada Vein", "9:00 AM to 12:00 PM"] } else { vec![] },
            from => all.then_some("Mar 9, 2026"), to => all.then_some("Apr 30, 2026"),
        }
    };
    let page = |offers: Vec<Value>, waiting: Vec<Value>| {
        let member = super::super::member::example(true);
        let more = if waiting.is_empty() { "" } else { "urgent=x" };
        let values = context! { root => "../", member => member, offers => offers, waiting => waiting, more => more, form_key => "k" };
        ("desk-waitlist", values)
    };
    vec![
        page(
            vec![offer("mail", true), offer("phone", false)],
            vec![
                entry("urgent", true),
                entry("soon", false),
                context! { visit => Value::from(()), ..entry("routine", true) },
            ],
        ),
        page(vec![], vec![]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_are_shown_with_am_and_pm() {
        let in_words = |language| ["09:00", "12:30", "24:00"].map(|text| clock(&at(text), language));
        assert_eq!(in_words(Language::English), ["9:00 AM", "12:30 PM", "12:00 AM"]);
        assert_eq!(in_words(Language::Spanish), ["9:00 a.\u{a0}m.", "12:30 p.\u{a0}m.", "12:00 a.\u{a0}m."]);
    }
}
