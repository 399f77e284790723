//! What a person must read at once because of an answer: a page of its own after the save, and above each page of the form.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::{Value, context};
use rls::{FlagNotice, Urgency};

use super::super::account::checked_next;
use super::super::form_post::Sent;
use super::super::member::Member;
use super::draft::Draft;
use super::frame;
use crate::error::Result;
use crate::http::PathId;
use crate::ids::IntakeId;
use crate::intake::view;

/// The fewest digits that are a telephone number: 911, 112, 988.
const FEWEST_DIGITS: usize = 3;

/// Shows the texts, and then leads on.
pub(super) async fn show(member: Member, PathId(id): PathId<IntakeId>, request: HttpRequest) -> Result<HttpResponse> {
    let draft = Draft::read(&member, id).await?;
    let asked = Sent::read(request.query_string().as_bytes());
    let next = draft.page(asked.first("next"));
    let next = checked_next(&next).map_or_else(|| draft.page(""), str::to_owned);
    if draft.intake.notices.is_empty() {
        return Ok(member.go_to(&next));
    }
    let values = context! { next => next };
    member.answer("form-notices", StatusCode::OK, context! { ..frame(&member, &draft).await?, ..values }).await
}

/// The texts in the language of the page.
pub(super) async fn of(member: &Member, draft: &Draft) -> Result<Vec<Value>> {
    // Most intakes have none.
    if draft.intake.notices.is_empty() {
        return Ok(Vec::new());
    }
    let notices = view::notices(&member.context, draft.intake.id, member.language).await?;
    Ok(notices.iter().map(drawn).collect())
}

/// A text with its telephone numbers as links.
pub(super) fn drawn(notice: &FlagNotice) -> Value {
    let parts: Vec<Value> =
        parts(&notice.text).into_iter().map(|(text, number)| context! { text => text, number => number }).collect();
    context! { urgency => notice.urgency.as_str(), urgent => notice.urgency <= Urgency::SameDay, parts => parts }
}

/// Cuts a text at its telephone numbers: each part with the number to dial, if it is one.
fn parts(text: &str) -> Vec<(&str, Option<String>)> {
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '(' | ')' | '-' | '+' | ' ' | '\u{a0}' | '.');
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit() || c == '+' || c == '(') {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !is_of_number(c)).unwrap_or(from.len());
        let number = from[..end].trim_end_matches(|c: char| !c.is_ascii_digit());
        let dialled: String = number.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
        // A single sign that begins no number.
        let length = number.len().max(from.chars().next().map_or(0, char::len_utf8));
        if dialled.chars().filter(char::is_ascii_digit).count() >= FEWEST_DIGITS {
            parts.push((before, None));
            parts.push((number, Some(dialled)));
        } else {
            parts.push((&rest[..start + length], None));
        }
        rest = &from[length..];
    }
    parts.push((rest, None));
    parts.retain(|(text, _)| !text.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telephone_numbers_of_a_text_are_links() {
        let found = |text: &'static str| {
            let numbers = parts(text).into_iter().filter_map(|(shown, number)| Some((shown, number?)));
            numbers.collect::<Vec<_>>()
        };
        assert_eq!(found("Call 911 now. It is not watched."), [("911", "911".to_owned())]);
        assert_eq!(
            found("Call us today at (202) 555-0100; if it gets worse, call 911."),
            [("(202) 555-0100", "2025550100".to_owned()), ("911", "911".to_owned())]
        );
        assert_eq!(found("Llame al +34 900 111 222."), [("+34 900 111 222", "+34900111222".to_owned())]);
        assert!(found("Within 24 hours (or so)").is_empty());
        for text in ["", "(", "Call 911", "a (b) 12 c", "+ 5"] {
            assert_eq!(parts(text).iter().map(|(text, _)| *text).collect::<String>(), text);
        }
    }
}
