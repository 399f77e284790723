//! Saving a page: its answers are merged with what was saved meanwhile, and sent through the operation that saves a part of a draft.
//!
//! A form carries the answers from which it was drawn. What only this form changed is saved, what only others changed stays, and what both
//! changed in different ways is shown to the person, who chooses.

use std::collections::BTreeSet;

use rls::RedactedJson;
use rls::form::FormField;
use serde_json::{Value, json};

use super::super::member::Member;
use super::answers::{Given, nested};
use super::draft::{Draft, companion};
use crate::error::{Error, FieldError, Result};
use crate::http::etag::IfMatch;
use crate::intake::drafts::{self, IntakePatch};

/// How often a save is tried while others save.
const TRIES: usize = 5;

/// An answer that this form and another one changed in different ways.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Difference {
    /// The field.
    pub id: String,
    pub mine: Value,
    pub saved: Value,
}

/// What a form changes in a draft.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Nothing,
    /// The merge patch of the answers.
    Patch(Value),
    Differs(Vec<Difference>),
}

/// How saving went.
pub(super) enum Outcome {
    Saved(Box<Saved>),
    Refused(Box<Draft>, Vec<FieldError>),
    Differs(Box<Draft>, Vec<Difference>),
}

/// A saved draft, and what was there before.
pub(super) struct Saved {
    pub draft: Draft,
    /// The texts that were shown before.
    told: Vec<String>,
    /// The questions that were asked before.
    asked: BTreeSet<String>,
}

impl Saved {
    /// Whether there is a text to read at once that was not shown before.
    pub fn must_tell(&self) -> bool {
        self.draft.intake.notices.iter().any(|notice| !self.told.contains(&notice.text))
    }

    /// Whether a question of the section is asked only now, and not answered.
    pub fn asks_more(&self, section: &str) -> bool {
        let subjects = self.draft.subjects();
        let Some(section) = subjects.into_iter().find(|one| one.id == section) else { return false };
        let is_new =
            |field: &FormField| !self.asked.contains(&field.link_id) && !self.draft.is_answered(&field.link_id);
        self.draft.shown(section).any(is_new)
    }
}

/// Merges the answers of a page. `base` has those from which the page was drawn, `others` the questions for which the person chose what was
/// saved meanwhile.
pub(super) fn merge(draft: &Draft, fields: &[FormField], given: &Given, base: &Value, others: &[&str]) -> Change {
    let mut patch = Given::new();
    let mut differences = Vec::new();
    for field in fields.iter().filter(|field| given.contains_key(&field.link_id)) {
        let ids: Vec<&str> =
            [Some(field), companion(fields, field)].into_iter().flatten().map(|one| one.link_id.as_str()).collect();
        let of = |find: &dyn Fn(&str) -> Option<Value>| -> Vec<Value> {
            ids.iter().map(|id| find(id).unwrap_or_default()).collect()
        };
        let mine = of(&|id| given.get(id).cloned());
        let was = of(&|id| base.get(id).cloned());
        let now = of(&|id| draft.value(id).cloned());
        if mine == was || mine == now || others.contains(&field.link_id.as_str()) {
            continue;
        }
        if now == was {
            patch.extend(ids.iter().map(|id| (*id).to_owned()).zip(mine));
        } else {
            differences.push(Difference { id: field.link_id.clone(), mine: json!(mine), saved: json!(now) });
        }
    }
    match (differences.is_empty(), patch.is_empty()) {
        (false, _) => Change::Differs(differences),
        (true, true) => Change::Nothing,
        (true, false) => Change::Patch(Value::Object(nested(&patch))),
    }
}

/// The answers from which a form is drawn that shows again what was typed. What this form did not change stays as it was drawn before:
/// it does not show what others saved meanwhile, so it must not change that either.
pub(super) fn rebased(draft: &Draft, given: &Given, base: &Value) -> String {
    let answers = given.iter().filter_map(|(id, mine)| {
        let was = base.get(id).filter(|was| !was.is_null());
        let now = if was.unwrap_or(&Value::Null) == mine { was } else { draft.value(id) };
        Some((id.clone(), now?.clone()))
    });
    Value::Object(answers.collect()).to_string()
}

/// Saves what a form changes, again if others save meanwhile.
///
/// # Errors
/// Those of [`drafts::save`], but for broken rules.
pub(super) async fn store(member: &Member, draft: Draft, change: impl Fn(&Draft) -> Change) -> Result<Outcome> {
    let id = draft.intake.id;
    let told = draft.intake.notices.iter().map(|notice| notice.text.clone()).collect();
    let asked = asked(&draft);
    let mut draft = draft;
    for _ in 0..TRIES {
        let patch = match change(&draft) {
            Change::Differs(differences) => return Ok(Outcome::Differs(Box::new(draft), differences)),
            Change::Nothing => {
                member.context.audit.note_unchanged();
                return Ok(Outcome::Saved(Box::new(Saved { draft, told, asked })));
            }
            Change::Patch(answers) => IntakePatch { answers: RedactedJson(answers) },
        };
        match drafts::save(&member.context, id, IfMatch::version(draft.version), patch).await {
            Ok(saved) => {
                let draft = Draft::of(member, saved)?;
                return Ok(Outcome::Saved(Box::new(Saved { draft, told, asked })));
            }
            Err(Error::Invalid(errors)) => return Ok(Outcome::Refused(Box::new(draft), errors)),
            Err(Error::Stale) => draft = Draft::read(member, id).await?,
            Err(error) => return Err(error),
        }
    }
    Err(Error::Stale)
}

fn asked(draft: &Draft) -> BTreeSet<String> {
    let subjects = draft.subjects();
    subjects.iter().flat_map(|section| draft.shown(section)).map(|field| field.link_id.clone()).collect()
}
