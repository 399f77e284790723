//! What patients record before a visit: drafts, submission, review, flags. It owns `intakes`, `intake_versions`,
//! `intake_flags` and `lab_results`.
//!
//! The form itself, and everything that follows from its answers, is [`rls`]: pure, without database or HTTP. Around it:
//! [`drafts`] and [`submission`] change an intake, each in one transaction with the flags that its answers raise;
//! [`access`] says as whom somebody reads and writes, [`handover`] whose flags are; [`store`] has the queries. Whose clinical
//! data a practitioner may read, [`crate::patients::care`] says.
//!
//! Locks are taken in one order: the intake, then what hangs on it.

mod access;
pub mod api;
mod chart;
mod contacts;
pub mod drafts;
pub mod flags;
pub mod handover;
pub mod labs;
pub mod model;
pub mod review;
pub mod rls;
pub mod stale;
pub mod store;
pub mod submission;
mod summary;
mod timeline;
mod words;

use serde_json::Value;

use crate::config::Config;
use crate::error::{Error, Result};

/// What the deployment adds to the rules.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The licensed questions of the rating scale, if the clinic has a licence.
    pub text_pack: Option<rls::TextPack>,
}

impl Rules {
    /// Reads them as the settings say.
    ///
    /// # Errors
    /// In words for the operator: where a text pack cannot be read, or names no licence.
    pub fn open(config: &Config) -> Result<Self, String> {
        let Some(path) = &config.settings.rls_text_pack else { return Ok(Self::default()) };
        let explain = |error: &dyn std::fmt::Display| format!("RLS_TEXT_PACK {}: {error}", path.display());
        let file = std::fs::read(path).map_err(|error| explain(&error))?;
        let text_pack = rls::TextPack::load(&file).map_err(|error| explain(&error))?;
        Ok(Self { text_pack: Some(text_pack) })
    }
}

/// Stored answers, as the form reads them.
fn from_value(answers: &Value) -> Result<rls::Answers> {
    rls::parse(answers, "").map_err(|_| Error::fault("stored answers that the form cannot read"))
}

/// Answers as they are stored.
fn to_map(answers: &rls::Answers) -> Result<model::Answers> {
    match serde_json::to_value(answers) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::fault("answers that are no object")),
        Err(error) => Err(Error::internal("write answers", error)),
    }
}
