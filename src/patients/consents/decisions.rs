//! Decisions on consents: recording and reading them.

use actix_web::{HttpResponse, get, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::documents::{CurrentVersions, UNKNOWN_VERSION};
use super::{ConsentDecision, ConsentMethod, ConsentType};
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Once, Principal, Tx};
use crate::db::Conn;
use crate::db::schema::consents;
use crate::error::{Check, Error, FieldCode, Result, Rule};
use crate::http::paging::{Direction, Page, PageParams, in_order, sort_options};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey, Params, PathId};
use crate::ids::{ConsentId, PatientId, UserId};
use crate::patients::access::{acts_as, holder_names};
use crate::patients::model::{Patient, Relation};
use crate::patients::{names, store};

/// The list's name in its cursors.
const LIST: &str = "consents";

/// A decision to record.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"type": "treatment", "version": "1", "decision": "accepted", "method": "online", "signer": "Ann Example"}))]
pub struct NewConsent {
    /// The subject of the consent.
    #[serde(rename = "type")]
    pub consent_type: ConsentType,
    /// The version of the document that was shown.
    #[schema(min_length = 1, max_length = 20, examples("1"))]
    pub version: String,
    /// The decision.
    pub decision: ConsentDecision,
    /// How the decision was given. Required from staff. For patients only `online`, which is the default.
    pub method: Option<ConsentMethod>,
    /// The person who decided. The default is the patient, or the account's holder who acts for another person. Only staff sign for
    /// others: all other callers must send their own name.
    #[schema(min_length = 1, max_length = 200)]
    pub signer: Option<String>,
}

/// A decision whose values are checked.
#[derive(Clone)]
pub struct CheckedConsent {
    consent_type: ConsentType,
    version: String,
    decision: ConsentDecision,
    method: ConsentMethod,
    signer: Option<String>,
}

impl NewConsent {
    /// Checks a decision that is at the pointer `at` in the body. Earlier versions are allowed: staff may record a form
    /// that the patient signed before a new version was published.
    pub fn checked(
        self,
        at: &str,
        by_staff: bool,
        current: &CurrentVersions,
        check: &mut Check,
    ) -> Option<CheckedConsent> {
        let known = current.include(self.consent_type, &self.version);
        check.require(known, format!("{at}/version"), UNKNOWN_VERSION.0, UNKNOWN_VERSION.1);
        check.require(
            by_staff || self.method.is_none_or(|method| method == ConsentMethod::Online),
            format!("{at}/method"),
            FieldCode::NotAnOption,
            "must be \"online\"",
        );
        check.require(!by_staff || self.method.is_some(), format!("{at}/method"), FieldCode::Required, "must be sent");
        let signer = match self.signer {
            None => None,
            Some(signer) => Some(check.field(&format!("{at}/signer"), text::one_line(&signer, 200))?),
        };
        known.then_some(CheckedConsent {
            consent_type: self.consent_type,
            version: self.version,
            decision: self.decision,
            method: self.method.unwrap_or(ConsentMethod::Online),
            signer,
        })
    }
}

impl CheckedConsent {
    /// Requires that the deciding person signs with their own name: with words of `own_names`, which are the names of the patient or of
    /// the person who acts for the patient. If no name of that person is known, they must send one.
    ///
    /// # Errors
    /// `not_the_patient` or `not_the_holder`; `required`.
    pub fn signed_by<'a>(&self, relation: Relation, own_names: impl IntoIterator<Item = &'a str>) -> Result<(), Rule> {
        let own = names::words(own_names);
        let Some(signer) = self.signer.as_deref() else {
            let known = relation == Relation::Oneself || !own.is_empty();
            return if known { Ok(()) } else { Err(Rule::new(FieldCode::Required, "must be sent: your name")) };
        };
        let signed = names::query_words(signer);
        // A text without any word, such as an emoji, is no name.
        let fits = !signed.is_empty() && (signed.is_subset(&own) || (own.is_empty() && relation != Relation::Oneself));
        match (fits, relation) {
            (true, _) => Ok(()),
            (false, Relation::Oneself) => Err(Rule::new(FieldCode::NotThePatient, "must be the patient's own name")),
            (false, _) => Err(Rule::new(FieldCode::NotTheHolder, "must be the name of the account's holder")),
        }
    }

    /// The same decision with this signature, if it has none.
    #[must_use]
    pub fn or_signed(mut self, signer: Option<String>) -> Self {
        self.signer = self.signer.or(signer);
        self
    }
}

/// A row of the consents (FHIR `Consent`).
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = consents, treat_none_as_default_value = false)]
struct ConsentRow {
    id: ConsentId,
    patient_id: PatientId,
    consent_type: ConsentType,
    document_version: String,
    decision: ConsentDecision,
    method: ConsentMethod,
    signer: String,
    recorded_by: Option<UserId>,
    signed_at: Timestamp,
}

/// A recorded decision.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = Consent, example = json!({
    "id": "0199d0c2-7b21-7f00-9d3e-5b1c2d3e4f50", "type": "treatment", "version": "1", "decision": "accepted", "method": "online",
    "signer": "Ann Example", "recorded_by": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "signed_at": "2026-03-02T14:00:00Z"
}))]
pub struct ConsentView {
    /// The consent's id.
    id: ConsentId,
    /// The subject of the consent.
    #[serde(rename = "type")]
    consent_type: ConsentType,
    /// The version of the document that was shown.
    version: String,
    /// The decision.
    decision: ConsentDecision,
    /// How the decision was given.
    method: ConsentMethod,
    /// The person who decided.
    signer: String,
    /// The account that recorded it. Null for a decision in a registration.
    recorded_by: Option<UserId>,
    /// The time at which it was recorded.
    signed_at: Timestamp,
}

impl From<ConsentRow> for ConsentView {
    fn from(consent: ConsentRow) -> Self {
        Self {
            id: consent.id,
            consent_type: consent.consent_type,
            version: consent.document_version,
            decision: consent.decision,
            method: consent.method,
            signer: consent.signer,
            recorded_by: consent.recorded_by,
            signed_at: consent.signed_at,
        }
    }
}

/// The order of a list of consents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConsentFilter {
    /// The order. Default: `signed_at`, newest last.
    #[param(inline)]
    sort: Option<ConsentSort>,
}

sort_options! {
    /// The order of a list of consents.
    ConsentSort by "signed_at" or "-signed_at"
}

/// A page of consents.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct ConsentPage {
    /// The consents, newest last by default.
    items: Vec<ConsentView>,
    /// The `cursor` of the next page. Null on the last page.
    next_cursor: Option<String>,
}

/// Stores a decision, in an open transaction.
pub fn insert(tx: &mut Tx<impl Principal>, patient: &Patient, new: &CheckedConsent) -> Result<ConsentView> {
    let consent = ConsentRow {
        id: tx.env.new_id(),
        patient_id: patient.id,
        consent_type: new.consent_type,
        document_version: new.version.clone(),
        decision: new.decision,
        method: new.method,
        signer: new.signer.clone().unwrap_or_else(|| patient.legal_name()),
        recorded_by: tx.actor.account(),
        signed_at: tx.now,
    };
    diesel::insert_into(consents::table).values(&consent).execute(tx.conn)?;
    Ok(consent.into())
}

/// Loads all consents of a patient, newest last.
pub fn all_of_patient(conn: &mut Conn, patient: PatientId) -> Result<Vec<ConsentView>> {
    let rows: Vec<ConsentRow> = consents::table
        .filter(consents::patient_id.eq(patient))
        .order((consents::signed_at, consents::id))
        .select(ConsentRow::as_select())
        .load(conn)?;
    Ok(rows.into_iter().map(Into::into).collect())
}

fn load_page(conn: &mut Conn, patient: PatientId, page: &Page) -> Result<Vec<ConsentRow>> {
    let query = consents::table.filter(consents::patient_id.eq(patient)).select(ConsentRow::as_select()).into_boxed();
    Ok(in_order!(query, page, consents::signed_at, consents::id, ConsentId).load(conn)?)
}

/// Lists the consents of a patient.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see the patient.
pub async fn list(context: &Context, id: PatientId, filter: ConsentFilter, page: PageParams) -> Result<ConsentPage> {
    context.require(Action::PatientRead)?;
    let page = page.sorted(LIST, filter.sort.map_or(Direction::Ascending, Into::into))?;
    context
        .read(move |tx| {
            let patient = store::visible(tx.conn, tx.env, tx.actor, id)?;
            let rows = load_page(tx.conn, patient.id, &page)?;
            let (rows, next_cursor) = page.cut(rows, |consent| (consent.signed_at, consent.id.0));
            Ok(ConsentPage { items: rows.into_iter().map(Into::into).collect(), next_cursor })
        })
        .await
}

/// Records a decision.
///
/// # Errors
/// Every broken rule; [`Error::NotFound`] if the actor may not see the patient.
pub async fn record(context: &Context, once: Once, id: PatientId, new: NewConsent) -> Result<Versioned<ConsentView>> {
    context.require(Action::PatientWrite)?;
    let by_staff = context.is_staff();
    let current = context.read(|tx| CurrentVersions::read(tx.conn)).await?;
    let mut check = Check::new();
    let new = new.checked("", by_staff, &current, &mut check);
    check.done()?;
    let new = new.ok_or_else(|| Error::fault("a consent that kept the rules is missing"))?;
    context
        .change_once(once, move |tx| {
            let patient = store::visible_in_use(tx.conn, tx.env, tx.actor, id)?;
            let new = if by_staff { new.clone() } else { with_own_signature(tx, &patient, &new)? };
            let consent = insert(tx, &patient, &new)?;
            store::touch(tx.conn, patient.id, tx.now)?;
            tx.audit.note_object(consent.id.0);
            // A consent never changes.
            Ok(Versioned { version: 1, object: consent })
        })
        .await
}

/// Returns the decision with the signature of the account's holder.
fn with_own_signature(tx: &mut Tx, patient: &Patient, new: &CheckedConsent) -> Result<CheckedConsent> {
    let (relation, _) = acts_as(tx.conn, tx.env, tx.actor.user_id, patient.id)?.ok_or(Error::NotFound)?;
    let mut check = Check::new();
    if relation == Relation::Oneself {
        check.field("/signer", new.signed_by(relation, patient.names()));
        check.done()?;
        return Ok(new.clone());
    }
    let names = holder_names(tx.conn, tx.actor.user_id)?;
    check.field("/signer", new.signed_by(relation, names.iter().map(String::as_str)));
    check.done()?;
    Ok(new.clone().or_signed(names.into_iter().next()))
}

/// Reads a consent.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see its patient.
pub async fn read(context: &Context, id: ConsentId) -> Result<Versioned<ConsentView>> {
    context.require(Action::PatientRead)?;
    context
        .read(move |tx| {
            let consent: ConsentRow = consents::table.find(id).select(ConsentRow::as_select()).first(tx.conn)?;
            store::visible(tx.conn, tx.env, tx.actor, consent.patient_id)?;
            Ok(Versioned { version: 1, object: consent.into() })
        })
        .await
}

/// List the consents of a patient
///
/// Returns every recorded decision, newest last by default. The last decision on a version counts.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_consents",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient"), ConsentFilter, PageParams),
    responses((status = 200, description = "The consents", body = ConsentPage)),
)]
#[get("/v1/patients/{id}/consents")]
pub(in crate::patients) async fn list_consents(
    context: Context,
    PathId(id): PathId<PatientId>,
    Params(filter): Params<ConsentFilter>,
    Params(page): Params<PageParams>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id, filter, page).await?))
}

/// Record a consent
///
/// Adds a decision. Decisions are never changed or deleted. Patients, and accounts that act for a patient, decide online and sign with their
/// own name. Staff say how the decision was given. The server sets `signed_at` and `recorded_by`.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_consent",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = NewConsent,
    responses((status = 201, description = "The recorded decision", body = ConsentView)),
)]
#[post("/v1/patients/{id}/consents")]
pub(in crate::patients) async fn create_consent(
    context: Context,
    PathId(id): PathId<PatientId>,
    key: IdempotencyKey,
    body: Body<NewConsent>,
) -> Result<HttpResponse> {
    let recorded = record(&context, key.once(&body.raw), id, body.value).await?;
    Ok(response::created(format!("/v1/consents/{}", recorded.object.id), &recorded))
}

/// Read a consent
///
/// For staff, the patient, and the accounts that act for the patient.
#[utoipa::path(
    tag = "patients",
    operation_id = "get_consent",
    security(("bearer" = [])),
    params(("id" = ConsentId, Path, description = "The consent")),
    responses((status = 200, description = "The consent", body = ConsentView)),
)]
#[get("/v1/consents/{id}")]
pub(in crate::patients) async fn get_consent(context: Context, PathId(id): PathId<ConsentId>) -> Result<HttpResponse> {
    Ok(response::versioned(&read(&context, id).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(signer: Option<&str>) -> CheckedConsent {
        CheckedConsent {
            consent_type: ConsentType::Treatment,
            version: "1".into(),
            decision: ConsentDecision::Accepted,
            method: ConsentMethod::Online,
            signer: signer.map(str::to_owned),
        }
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
    fn a_person_who_acts_for_a_patient_signs_with_their_own_name() {
        let code = |signer, own: &[&str]| {
            signed(signer).signed_by(Relation::Parent, own.iter().copied()).map_err(|rule| rule.code.as_str())
        };
        assert_eq!(code(None, &["Rosa García"]), Ok(()));
        assert_eq!(code(Some("rosa garcia"), &["Rosa García"]), Ok(()));
        assert_eq!(code(Some("Tim Example"), &["Rosa García"]), Err("not_the_holder"));
        // Invited by the desk, which did not ask for the name.
        assert_eq!(code(Some("Rosa García"), &[]), Ok(()));
        assert_eq!(code(None, &[]), Err("required"));
    }

    #[test]
    fn a_patient_decides_online_and_staff_say_how() {
        let input = |method| NewConsent {
            consent_type: ConsentType::Treatment,
            version: "1".into(),
            decision: ConsentDecision::Accepted,
            method,
            signer: None,
        };
        let current = CurrentVersions::built_in();
        for (method, staff, good) in [
            (None, false, true),
            (Some(ConsentMethod::Online), false, true),
            (Some(ConsentMethod::Paper), false, false),
            (Some(ConsentMethod::Paper), true, true),
            (None, true, false),
        ] {
            let mut check = Check::new();
            input(method).checked("", staff, &current, &mut check);
            assert_eq!(check.is_ok(), good, "{method:?} {staff}");
        }
        let mut check = Check::new();
        assert!(NewConsent { version: "2".into(), ..input(None) }.checked("", false, &current, &mut check).is_none());
    }
}
