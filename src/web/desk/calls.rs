//! The calls to make, those to one number together, the visits that cannot stay as they are, and the mails that could not be sent.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use jiff::SignedDuration;
use minijinja::value::Serde;
use minijinja::{Value, context};
use rls::form_dsl::Bilingual;
use serde_json::json;
use text::Language;
use url::form_urlencoded::Serializer;

use super::super::form_post::Sent;
use super::super::language::both;
use super::clinic::Clinic;
use super::done::Done;
use super::{Member, MemberForm, refuse, spoken, visit};
use crate::appointments::listing as appointments;
use crate::error::Result;
use crate::http::PathId;
use crate::http::input;
use crate::ids::MessageId;
use crate::messages::model::MessageKind;
use crate::messages::view::MessageView;
use crate::messages::{completing, listing, resending};

/// Shows the calls and the failed mails. The query has the cursors of the lists that are not shown from their beginning.
pub(super) async fn show(member: Member, request: HttpRequest) -> Result<HttpResponse> {
    let asked = Sent::read(request.query_string().as_bytes());
    let (calls, more_calls) =
        messages(&member, "status=to_phone&sort=created_at&limit=100", asked.first("calls")).await?;
    let (failed, more_failed) = messages(&member, "status=failed&limit=50", asked.first("mails")).await?;
    let (visits, more_visits) = visits(&member).await?;
    let is_zone_changed =
        |one: &&Value| one.get_attr("attention").is_ok_and(|why| why.as_str() == Some("zone_changed"));
    let zone_changed: Vec<Value> =
        visits.iter().filter(is_zone_changed).filter_map(|one| one.get_attr("id").ok()).collect();
    let values = context! {
        did => Done::of(asked.first("did")).map(Done::word),
        visits => visits, zone_changed => zone_changed, more_visits => more_visits,
        more_calls => more_calls.map(|next| part(&next, asked.first("mails"))),
        more_failed => more_failed.map(|next| part(asked.first("calls"), &next)),
        calls => together(calls).iter().map(|calls| calls_of(&member, calls)).collect::<Vec<_>>(),
        failed => failed.iter().map(|mail| mail_of(mail, member.language)).collect::<Vec<_>>(),
        // How many visits could not move to the times that their patients were told.
        left => asked.first("left").parse::<usize>().ok(),
        form_key => member.form_key(),
    };
    member.answer("desk-calls", StatusCode::OK, values).await
}

/// The visits on which the desk must act, and whether there are more.
async fn visits(member: &Member) -> Result<(Vec<Value>, bool)> {
    const OPERATION: &str = "list_appointments";
    // Visits that are over come first in the list, and would hide those to come.
    let from = member.context.env.now().minus(SignedDuration::from_hours(12));
    let query = format!("needs_attention=true&from={from}&limit=50");
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = appointments::list(&member.context, filter, page).await?;
    let clinic = Clinic::of_visits(member, &found.items).await?;
    let shown = found.items.iter().map(|one| visit::facts(member, one, &clinic)).collect();
    Ok((shown, found.next_cursor.is_some()))
}

/// The query of the page with other parts of the lists.
fn part(calls: &str, mails: &str) -> String {
    let cursors = [("calls", calls), ("mails", mails)].into_iter().filter(|(_, cursor)| !cursor.is_empty());
    Serializer::new(String::new()).extend_pairs(cursors).finish()
}

/// Loads messages from a cursor on, with the cursor of the next ones.
async fn messages(member: &Member, query: &str, cursor: &str) -> Result<(Vec<MessageView>, Option<String>)> {
    const OPERATION: &str = "list_messages";
    let mut query = Serializer::new(query.to_owned());
    if !cursor.is_empty() {
        query.append_pair("cursor", cursor);
    }
    let query = query.finish();
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = listing::list(&member.context, filter, page).await?;
    Ok((found.items, found.next_cursor))
}

/// The calls to one number, with the language of each if it is another one than that of the page.
fn calls_of(member: &Member, calls: &[MessageView]) -> Vec<Value> {
    let shown = |call: &MessageView| {
        let speaks = member.other_language(&call.recipient.language).map(|tag| spoken::name(tag, member.language));
        context! { speaks => speaks, ..Value::from(Serde(call)) }
    };
    calls.iter().map(shown).collect()
}

/// A mail that could not be sent.
fn mail_of(mail: &MessageView, language: Language) -> Value {
    context! { kind_name => kind(mail.kind).text(language), ..Value::from(Serde(mail)) }
}

/// What a mail is about.
fn kind(kind: MessageKind) -> Bilingual {
    match kind {
        MessageKind::VerifyEmail => both("verify email", "confirmar el correo"),
        MessageKind::AlreadyRegistered => both("already registered", "ya tiene una cuenta"),
        MessageKind::ResetPassword => both("reset password", "contraseña nueva"),
        MessageKind::Invitation => both("invitation", "invitación"),
        MessageKind::VerifyNewEmail => both("verify new email", "confirmar el correo nuevo"),
        MessageKind::SecurityNotice => both("security notice", "aviso de seguridad"),
        MessageKind::PatientInvitation => both("patient invitation", "invitación a un expediente"),
        MessageKind::AppointmentBooked => both("appointment booked", "cita reservada"),
        MessageKind::AppointmentMoved => both("appointment moved", "cita cambiada"),
        MessageKind::AppointmentCancelled => both("appointment cancelled", "cita cancelada"),
        MessageKind::AppointmentReminder => both("appointment reminder", "recordatorio de la cita"),
        MessageKind::AccessEnds => both("access ends", "termina un acceso"),
        MessageKind::ComingOfAge => both("coming of age", "mayoría de edad"),
        MessageKind::AccessGiven => both("access given", "acceso concedido"),
        MessageKind::StaffAlert => both("staff alert", "aviso al personal"),
        MessageKind::RecordNotice => both("record notice", "aviso sobre el expediente"),
        MessageKind::FollowUp => both("follow up", "seguimiento"),
        MessageKind::WaitlistOffer => both("waitlist offer", "oferta de la lista de espera"),
        MessageKind::WaitlistOfferWithdrawn => both("waitlist offer withdrawn", "oferta retirada"),
        MessageKind::WebhookPaused => both("webhook paused", "webhook en pausa"),
    }
}

/// The calls by number: one list for each person who is called, in the order of the oldest call.
fn together(calls: Vec<MessageView>) -> Vec<Vec<MessageView>> {
    let mut people: Vec<(BTreeSet<MessageId>, Vec<MessageView>)> = Vec::new();
    for call in calls {
        match people.iter_mut().find(|(ids, _)| ids.contains(&call.id)) {
            Some((_, same)) => same.push(call),
            None => people.push((call.other_calls.iter().copied().collect(), vec![call])),
        }
    }
    people.into_iter().map(|(_, calls)| calls).collect()
}

/// Completes a call with the others to its number.
pub(super) async fn complete(form: MemberForm, PathId(id): PathId<MessageId>) -> Result<HttpResponse> {
    let member = &form.member;
    let note = form.sent.first("note").trim();
    let also: Vec<&str> = form.sent.all("also").collect();
    let mut built = json!({ "also": also });
    if !note.is_empty() {
        built["note"] = note.into();
    }
    let completed = match input::read_built(&built, &*member.operation("complete_message")?) {
        Ok(body) => completing::complete(&member.context, id, body.value).await,
        Err(error) => Err(error),
    };
    done(&form, completed, Done::Called).await
}

/// Sends a failed mail again.
pub(super) async fn resend(form: MemberForm, PathId(id): PathId<MessageId>) -> Result<HttpResponse> {
    let sent = resending::resend(&form.member.context, form.once(&format!("resend {id}")), id).await;
    done(&form, sent, Done::SentAgain).await
}

async fn done(form: &MemberForm, result: Result<MessageView>, done: Done) -> Result<HttpResponse> {
    match result {
        Ok(_) => Ok(form.member.go_to(&done.on("desk/calls"))),
        Err(error) => refuse(form, "desk/calls", error).await,
    }
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let call = |all: bool| {
        let recipient = context! {
            name => all.then_some("Ann <b>Example"), phone => all.then_some("+12125550100"), phone_display => all.then_some("(212) 555-0100"),
            email => all.then_some("ann@example.org"), language => if all { "es" } else { "en" },
        };
        context! {
            id => "1", kind_name => "appointment booked", speaks => all.then_some("Spanish"), recipient => recipient, to_say => all.then_some("Hello"), patient_id => all.then_some("1"),
            last_error => all.then_some("smtp_550"),
        }
    };
    let page = |calls: Vec<Vec<Value>>, failed: Vec<Value>| {
        let more = failed.first().map(|_| "calls=x");
        let member = super::super::member::example(true);
        let visit = |all: bool| {
            let patient = all.then(|| super::day::example_patient(!calls.is_empty()));
            context! { patient => patient, ..visit::example_facts("booked", true) }
        };
        let visits: Vec<Value> = failed.iter().enumerate().map(|(at, _)| visit(at == 0)).collect();
        let values = context! {
            root => "../", member => member, visits => visits, zone_changed => if calls.is_empty() { vec![] } else { vec!["1"] }, more_visits => !calls.is_empty(),
            left => if calls.is_empty() { Some(failed.len()) } else { None }, calls => calls, failed => failed, form_key => "k",
        };
        ("desk-calls", context! { more_calls => more, more_failed => more, ..values })
    };
    vec![
        page(vec![vec![call(true), call(true)], vec![call(false)]], vec![call(true), call(false)]),
        page(vec![], vec![call(true)]),
        page(vec![], vec![]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_while_the_other_one_stays() {
        assert_eq!([part("a", ""), part("a", "b+"), part("", "b")], ["calls=a", "calls=a&mails=b%2B", "mails=b"]);
    }
}
