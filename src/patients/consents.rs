//! Consents: the documents, who decided what on which version of them, and what is still open. A record of a decision is
//! never changed; a change of mind is another record.

use diesel::prelude::*;
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{Patient, Relation};
use super::names;
use crate::clock::Timestamp;
use crate::db::types::text_enum;
use crate::db::{Conn, schema::consents};
use crate::env::Env;
use crate::error::{Check, Result, Rule};
use crate::http::{Cursor, Limit};
use crate::ids::{ConsentId, PatientId, UserId};
use crate::text;

text_enum! {
    /// What is consented to.
    ConsentType {
        /// Being examined and treated.
        Treatment = "treatment",
        /// How the clinic uses health information.
        PrivacyNotice = "privacy_notice",
    }
}

text_enum! {
    /// What was decided.
    ConsentDecision {
        /// Yes.
        Accepted = "accepted",
        /// No.
        Declined = "declined",
        /// Nobody could be asked; it stays outstanding.
        NotObtained = "not_obtained",
    }
}

text_enum! {
    /// How it was given.
    ConsentMethod {
        /// In a client of this service.
        Online = "online",
        /// On paper, which the clinic keeps.
        Paper = "paper",
        /// By word of mouth.
        Verbal = "verbal",
    }
}

/// A text to consent to.
pub struct Document {
    /// What it is about.
    pub consent_type: ConsentType,
    /// Its version; a new text is a new version.
    pub version: &'static str,
    /// The language of the text.
    pub language: &'static str,
    /// The text, as Markdown.
    pub text: &'static str,
}

/// The version of all present documents.
pub const VERSION: &str = "1";

/// Every document in every language; English is there for each.
pub const DOCUMENTS: &[Document] = &[
    document(ConsentType::Treatment, "en", include_str!("consent_documents/treatment.en.md")),
    document(ConsentType::Treatment, "es", include_str!("consent_documents/treatment.es.md")),
    document(ConsentType::PrivacyNotice, "en", include_str!("consent_documents/privacy_notice.en.md")),
    document(ConsentType::PrivacyNotice, "es", include_str!("consent_documents/privacy_notice.es.md")),
];

const fn document(consent_type: ConsentType, language: &'static str, text: &'static str) -> Document {
    Document { consent_type, version: VERSION, language, text }
}

/// The documents for who reads `language` (BCP 47): by its first part, in English where there is none.
pub fn documents(language: &str) -> Vec<&'static Document> {
    let primary = language.split('-').next().unwrap_or_default();
    let known = DOCUMENTS.iter().any(|document| document.language == primary);
    let wanted = if known { primary } else { "en" };
    DOCUMENTS.iter().filter(|document| document.language == wanted).collect()
}

/// A decision to be recorded.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "online", "signer": "Ann Example"}))]
pub struct ConsentInput {
    /// What is consented to.
    #[serde(rename = "type")]
    pub consent_type: ConsentType,
    /// The version of the document that was shown.
    #[schema(min_length = 1, max_length = 20, examples("1"))]
    pub version: String,
    /// What was decided.
    pub decision: ConsentDecision,
    /// How; for a patient only `online`, which is the default.
    pub method: Option<ConsentMethod>,
    /// Who decided. By default the patient, or the account's holder where they act for somebody else. Nobody but staff signs
    /// for another: it must be one's own name.
    #[schema(min_length = 1, max_length = 200)]
    pub signer: Option<String>,
}

/// A decision that keeps the rules.
#[derive(Clone)]
pub struct NewConsent {
    consent_type: ConsentType,
    version: String,
    decision: ConsentDecision,
    method: ConsentMethod,
    signer: Option<String>,
}

impl ConsentInput {
    /// Reads a decision that stands at `at` in the body.
    pub fn parse(self, at: &str, staff: bool, check: &mut Check) -> Option<NewConsent> {
        let known = DOCUMENTS.iter().any(|it| it.consent_type == self.consent_type && it.version == self.version);
        check.require(known, format!("{at}/version"), "unknown_version", "must be a version of a document that exists");
        check.require(
            staff || self.method.is_none_or(|method| method == ConsentMethod::Online),
            format!("{at}/method"),
            "not_an_option",
            "must be \"online\"",
        );
        check.require(!staff || self.method.is_some(), format!("{at}/method"), "required", "must be there");
        let signer = match self.signer {
            None => None,
            Some(signer) => Some(check.field(&format!("{at}/signer"), text::one_line(&signer, 200))?),
        };
        known.then_some(NewConsent {
            consent_type: self.consent_type,
            version: self.version,
            decision: self.decision,
            method: self.method.unwrap_or(ConsentMethod::Online),
            signer,
        })
    }
}

impl NewConsent {
    /// Sees to it that who decides signs for themselves, and for nobody else: with words of `own_names`, which are the
    /// patient's or those of who acts for them. Where no name of theirs is known, they must give one.
    ///
    /// # Errors
    /// `not_the_patient` or `not_the_holder`; `required`.
    pub fn signed_by<'a>(&self, relation: Relation, own_names: impl IntoIterator<Item = &'a str>) -> Result<(), Rule> {
        let own = names::words(own_names);
        let Some(signer) = self.signer.as_deref() else {
            let known = relation == Relation::Oneself || !own.is_empty();
            return if known { Ok(()) } else { Err(Rule::new("required", "must be there: say your name")) };
        };
        let signed = names::query_words(signer);
        // What has no word at all, a picture say, is no name.
        let fits = !signed.is_empty() && (signed.is_subset(&own) || (own.is_empty() && relation != Relation::Oneself));
        match (fits, relation) {
            (true, _) => Ok(()),
            (false, Relation::Oneself) => Err(Rule::new("not_the_patient", "must be the patient's own name")),
            (false, _) => Err(Rule::new("not_the_holder", "must be the name of the account's holder")),
        }
    }

    /// The same decision with this signature, if it has none.
    #[must_use]
    pub fn or_signed(mut self, signer: Option<String>) -> Self {
        self.signer = self.signer.or(signer);
        self
    }
}

/// A recorded decision (FHIR `Consent`).
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = consents, treat_none_as_default_value = false)]
pub struct Consent {
    /// The id.
    pub id: ConsentId,
    /// Whose.
    pub patient_id: PatientId,
    /// To what.
    pub consent_type: ConsentType,
    /// Which version of the document.
    pub document_version: String,
    /// What was decided.
    pub decision: ConsentDecision,
    /// How.
    pub method: ConsentMethod,
    /// Who decided.
    pub signer: String,
    /// The account that recorded it; none in a registration, where nobody is signed in yet.
    pub recorded_by: Option<UserId>,
    /// When it was recorded.
    pub signed_at: Timestamp,
}

/// Records a decision.
///
/// # Errors
/// The database's.
pub fn record(
    tx: &mut Conn,
    env: &Env,
    patient: &Patient,
    new: &NewConsent,
    recorded_by: Option<UserId>,
) -> Result<Consent> {
    let consent = Consent {
        id: env.new_id(),
        patient_id: patient.id,
        consent_type: new.consent_type,
        document_version: new.version.clone(),
        decision: new.decision,
        method: new.method,
        signer: new.signer.clone().unwrap_or_else(|| patient.legal_name()),
        recorded_by,
        signed_at: env.now(),
    };
    diesel::insert_into(consents::table).values(&consent).execute(tx)?;
    Ok(consent)
}

/// A patient's consents, the newest last.
///
/// # Errors
/// The database's.
pub fn of_patient(conn: &mut Conn, patient: PatientId, after: Option<Cursor>, limit: Limit) -> Result<Vec<Consent>> {
    let mut query = consents::table.filter(consents::patient_id.eq(patient)).select(Consent::as_select()).into_boxed();
    if let Some(Cursor { at, id }) = after {
        let id = ConsentId(id);
        query = query.filter(consents::signed_at.gt(at).or(consents::signed_at.eq(at).and(consents::id.gt(id))));
    }
    Ok(query.order((consents::signed_at, consents::id)).limit(limit.query()).load(conn)?)
}

/// Whether a consent needs not be asked any more of the patient of a query's row: accepted or declined in the present
/// version, at any time. That somebody could not be asked later takes nothing back.
macro_rules! settled {
    ($consent_type:expr) => {{
        use crate::db::schema::{consents, patients};
        use crate::patients::consents::{ConsentDecision, VERSION};
        diesel::dsl::exists(
            consents::table
                .filter(consents::patient_id.eq(patients::id))
                .filter(consents::consent_type.eq($consent_type))
                .filter(consents::document_version.eq(VERSION))
                .filter(consents::decision.ne(ConsentDecision::NotObtained)),
        )
    }};
}
pub(super) use settled;

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(signer: Option<&str>) -> NewConsent {
        NewConsent {
            consent_type: ConsentType::Treatment,
            version: VERSION.into(),
            decision: ConsentDecision::Accepted,
            method: ConsentMethod::Online,
            signer: signer.map(str::to_owned),
        }
    }

    #[test]
    fn every_document_is_there_in_english_and_in_the_other_languages() {
        for language in ["en", "es-MX", "es", "fr", "x-none", ""] {
            let found: Vec<_> = documents(language).iter().map(|it| it.consent_type).collect();
            assert_eq!(found, ConsentType::ALL, "{language}");
        }
        assert_eq!(documents("es-419")[0].language, "es");
        assert_eq!(documents("fr")[0].language, "en");
        assert!(DOCUMENTS.iter().all(|it| it.text.len() > 500));
    }

    #[test]
    fn patients_sign_with_their_own_names() {
        let own = ["Zoë", "García-López"];
        for signer in [None, Some("Zoe Garcia Lopez"), Some("GARCÍA-LÓPEZ, ZOË")] {
            assert!(signed(signer).signed_by(Relation::Oneself, own).is_ok());
        }
        for signer in ["Ann Garcia", "\u{1f4a9}", "--"] {
            assert!(signed(Some(signer)).signed_by(Relation::Oneself, own).is_err(), "{signer}");
        }
    }

    #[test]
    fn who_acts_for_a_patient_signs_with_a_name_of_their_own() {
        let code = |signer, own: &[&str]| {
            signed(signer).signed_by(Relation::Parent, own.iter().copied()).map_err(|rule| rule.code)
        };
        assert_eq!(code(None, &["Rosa García"]), Ok(()));
        assert_eq!(code(Some("rosa garcia"), &["Rosa García"]), Ok(()));
        assert_eq!(code(Some("Tim Example"), &["Rosa García"]), Err("not_the_holder"));
        // Invited by the desk, and nobody asked for the name.
        assert_eq!(code(Some("Rosa García"), &[]), Ok(()));
        assert_eq!(code(None, &[]), Err("required"));
    }

    #[test]
    fn a_patient_decides_online_and_staff_say_how() {
        let input = |method| ConsentInput {
            consent_type: ConsentType::Treatment,
            version: "1".into(),
            decision: ConsentDecision::Accepted,
            method,
            signer: None,
        };
        for (method, staff, good) in [
            (None, false, true),
            (Some(ConsentMethod::Online), false, true),
            (Some(ConsentMethod::Paper), false, false),
            (Some(ConsentMethod::Paper), true, true),
            (None, true, false),
        ] {
            let mut check = Check::new();
            input(method).parse("", staff, &mut check);
            assert_eq!(check.is_ok(), good, "{method:?} {staff}");
        }
        let mut check = Check::new();
        assert!(ConsentInput { version: "2".into(), ..input(None) }.parse("", false, &mut check).is_none());
    }
}
