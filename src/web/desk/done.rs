//! What a form of the desk has done. The address of the page that follows says it with one of these words, and the page in a sentence.

use minijinja::{Value, context};

use super::Member;
use crate::appointments::view::AppointmentView;
use crate::error::Result;
use crate::messages::listing;
use crate::messages::model::{MessageKind, MessageStatus};

/// What was done, each with its word.
macro_rules! done {
    ($($name:ident = $word:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Done { $($name),* }

        impl Done {
            const ALL: &[Self] = &[$(Self::$name),*];

            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

done! {
    Booked = "booked",
    Moved = "moved",
    Cancelled = "cancelled",
    ToldAgain = "sent",
    TimeKept = "told-time",
    TimeAccepted = "accepted",
    CheckedIn = "checked-in",
    NotCome = "no-show",
    Completed = "completed",
    Undone = "undone",
    Confirmed = "confirmed",
    Registered = "registered",
    Corrected = "corrected",
    ConsentRecorded = "consent",
    FormSent = "form-sent",
    OfferClaimed = "claimed",
    OfferDeclined = "declined",
    OfferWithdrawn = "withdrawn",
    WaitBegun = "waiting",
    WaitResumed = "offers-again",
    WaitEnded = "not-waiting",
    Called = "called",
    SentAgain = "resent",
}

impl Done {
    /// What the query of a page says. Any other word says nothing.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|done| done.word() == word)
    }

    /// A page that says it. `page` has no slash before it.
    pub fn on(self, page: &str) -> String {
        format!("{page}{}did={}", if page.contains('?') { '&' } else { '?' }, self.word())
    }

    /// The message that the step causes.
    fn message(self) -> Option<MessageKind> {
        match self {
            Self::Booked | Self::ToldAgain => Some(MessageKind::AppointmentBooked),
            Self::Moved | Self::TimeAccepted => Some(MessageKind::AppointmentMoved),
            Self::Cancelled => Some(MessageKind::AppointmentCancelled),
            _ => None,
        }
    }
}

/// How many of the last messages about a patient are searched for those about a visit.
const MOST: usize = 50;

/// What a page says of the step that led to it, and whether the patient has to be called about the visit. Practitioners make no calls, and see
/// no messages.
pub(super) async fn about(member: &Member, visit: &AppointmentView, did: &str) -> Result<Value> {
    const OPERATION: &str = "list_messages";
    let did = Done::of(did);
    if member.is_practitioner() {
        return Ok(context! { did => did.map(Done::word), reach => "", call_open => false });
    }
    let query = format!("patient_id={}&limit={MOST}", visit.patient_id);
    let (filter, page) = (member.parameters(OPERATION, &query)?, member.parameters(OPERATION, &query)?);
    let found = listing::list(&member.context, filter, page).await?.items;
    let mut about = found.iter().filter(|message| message.appointment_id == Some(visit.id));
    let calls = about.clone().any(|message| message.status == MessageStatus::ToPhone);
    let is_mailed = |kind: MessageKind| {
        about.any(|message| {
            message.kind == kind && matches!(message.status, MessageStatus::Pending | MessageStatus::Sent)
        })
    };
    let reach = did.and_then(Done::message).map(is_mailed).map(|is_mailed| match (calls, is_mailed) {
        (true, _) => "call",
        (false, true) => "mail",
        (false, false) => "nothing",
    });
    Ok(context! { did => did.map(Done::word), reach => reach.unwrap_or_default(), call_open => calls })
}

/// Every word with each way to tell the patient, for the test that renders every branch of the templates.
#[cfg(test)]
pub(super) fn examples() -> Vec<Value> {
    let reach = ["call", "mail", "nothing", ""];
    let words = Done::ALL.iter().enumerate();
    words
        .map(|(nth, done)| context! { did => done.word(), reach => reach[nth % 4], call_open => nth % 2 == 0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_only_what_it_knows_words_for() {
        for done in Done::ALL {
            assert_eq!(Done::of(done.word()), Some(*done));
        }
        assert_eq!((Done::of(""), Done::of("<b>")), (None, None));
        assert_eq!(Done::Booked.on("desk/visits/1"), "desk/visits/1?did=booked");
        assert_eq!(Done::CheckedIn.on("desk?location=1"), "desk?location=1&did=checked-in");
    }
}
