//! What the summaries are made from.

use jiff::civil::Date;
use rls::{Computed, FormName};

use super::previous::Previous;
use crate::intake::follow_up::answers::FollowUpAnswers;
use crate::intake::model::Answers;
use crate::intake::store::Intake;
use crate::patients::model::Patient;

/// The data of a summary.
pub(super) struct Material<'a> {
    pub(super) intake: &'a Intake,
    pub(super) form: FormName,
    pub(super) patient: &'a Patient,
    /// The answers that the reader may see, as JSON.
    pub(super) raw: &'a Answers,
    /// The same answers.
    pub(super) answers: &'a rls::Answers,
    pub(super) computed: &'a Computed,
    pub(super) rule_set_version: &'a str,
    pub(super) review: Option<rls::Review>,
    /// The patient's age today.
    pub(super) age: i16,
    pub(super) today: Date,
    /// What the rules know beside the answers.
    pub(super) facts: &'a rls::Context,
    /// The patient's previous intake. None for the first one, and for readers who are no practitioners.
    pub(super) previous: Option<Previous>,
    /// The submitted follow-ups that belong to it, the newest first. Practitioners only.
    pub(super) follow_ups: Vec<FollowUpAnswers>,
}
