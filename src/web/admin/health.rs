//! Mails and keys: what waits, what could not be sent, which keys are in use, and which secrets of machine clients end.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use jiff::{SignedDuration, tz::TimeZone};
use minijinja::{Value, context};

use super::super::account::zone as first_zone;
use super::{Member, clients};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::messages::listing;
use crate::messages::times::Moment;
use crate::messages::view::MessageView;

const NAME: &str = "admin-health";
/// The most messages of each kind that are counted.
const MOST: usize = 200;
/// For how long before its end a secret is shown.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// For how long a mail waits before somebody should look.
const LATE: SignedDuration = SignedDuration::from_mins(15);

async fn messages(member: &Member, status: &str) -> Result<Vec<MessageView>> {
    const OPERATION: &str = "list_messages";
    let query = format!("status={status}&sort=created_at&limit={MOST}");
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    Ok(listing::list(&member.context, filter, page).await?.items)
}

/// A number as the page says it: there may be more than are counted.
fn number(counted: usize) -> String {
    if counted < MOST { counted.to_string() } else { format!("{MOST}+") }
}

/// Shows the state.
pub(super) async fn show(member: Member) -> Result<HttpResponse> {
    let zone = first_zone(&member).await?;
    let (now, env) = (member.context.env.now(), &member.context.env);
    let [waiting, failed, calls] =
        [messages(&member, "pending").await?, messages(&member, "failed").await?, messages(&member, "to_phone").await?];
    // Reminders wait for their time, and a mail that failed for its next attempt.
    let due: Vec<&MessageView> =
        waiting.iter().filter(|message| message.due_at <= now || message.last_error.is_some()).collect();
    let since = |message: &MessageView| if message.last_error.is_some() { message.created_at } else { message.due_at };
    let oldest = due.iter().map(|message| since(message)).min();
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for message in &failed {
        *causes.entry(message.last_error.clone().unwrap_or_else(|| "-".to_owned())).or_default() += 1;
    }
    let clients = clients::all(&member).await?;
    let active: Vec<_> = clients.iter().filter(|client| client.revoked_at.is_none()).collect();
    let mut ending: Vec<Value> = Vec::new();
    for client in &active {
        let ends = client.secrets.iter().filter_map(|secret| secret.ends_at).filter(|at| at.since(now) < SOON);
        ending.extend(ends.map(|at| context! { id => client.id.to_string(), name => client.name.as_str(), ends => day(&member, at, &zone) }));
    }
    let values = context! {
        smtp => env.config.settings.smtp_url.is_some(), later => number(waiting.len() - due.len()), due => number(due.len()),
        oldest => oldest.filter(|at| now.since(*at) > LATE).map(|at| Moment::new(at, &zone, member.language).full_here()),
        failed => failed.len(), failed_number => number(failed.len()), causes => causes.into_iter().collect::<Vec<_>>(), calls => number(calls.len()),
        keys => env.sealer.ids().count(), key => env.sealer.current(), ending => ending, active => active.len(),
    };
    member.answer(NAME, StatusCode::OK, values).await
}

fn day(member: &Member, at: Timestamp, zone: &TimeZone) -> String {
    Moment::new(at, zone, member.language).full_here()
}

#[cfg(test)]
pub(super) fn examples() -> Vec<(&'static str, Value)> {
    let page = |all: bool| {
        let ending = context! { id => "1", name => "<b>Phones", ends => "Monday" };
        let values = context! {
            root => "../", member => super::super::member::example_admin(), smtp => all, later => "3", due => "1", oldest => all.then_some("Monday"),
            failed => if all { 2 } else { 0 }, failed_number => "2", causes => if all { vec![("smtp_550", 2)] } else { vec![] }, calls => "0", keys => if all { 2 } else { 1 },
            key => "k1", ending => if all { vec![ending] } else { vec![] }, active => 1,
        };
        (NAME, values)
    };
    vec![page(true), page(false)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_that_there_may_be_more() {
        assert_eq!((number(3).as_str(), number(MOST).as_str()), ("3", "200+"));
    }
}
