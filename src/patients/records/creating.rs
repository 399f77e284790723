//! Creating a patient's record: by staff, or by an account for itself or for a person whom it acts for.

use actix_web::{HttpResponse, post};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::{self, NewPatient, Patient, PatientView, Profile, Relation};
use super::profile::{Author, ProfileContext};
use super::store;
use crate::accounts;
use crate::accounts::model::EmailAddress;
use crate::actor::{self, Action};
use crate::context::{Context, Once, Tx};
use crate::db::schema::patient_access;
use crate::error::{Check, Error, FieldCode, ProblemCode, Result};
use crate::http::response::{self, Versioned};
use crate::http::{Body, IdempotencyKey};
use crate::ids::UserId;
use crate::patients::access::{grant, own_record};
use crate::patients::duplicates::{self, DuplicateView};
use crate::scopes::Scope;

/// The most patients, besides its holder, whose records one account may create. More than a family needs; the desk adds others.
const MAX_DEPENDENTS: i64 = 10;

/// A patient whose record was just made.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(example = json!(example()))]
pub struct CreatedPatient {
    /// The record.
    #[serde(flatten)]
    pub patient: PatientView,
    /// Other records that may be of the same person, as `GET /v1/patients/{id}/duplicates` lists them. For staff, and for machine clients
    /// with the scope `patients:read`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub duplicates: Option<Vec<DuplicateView>>,
}

fn example() -> Value {
    let mut example = model::example();
    example["duplicates"] = json!([{
        "id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e02", "mrn": "LW-000977", "given_name": "Anne", "family_name": "Example",
        "date_of_birth": "1967-09-14", "phone": "+12125550100", "email": null, "grade": "probable",
        "reasons": ["similar_names", "same_birth_date", "same_phone"]
    }]);
    example
}

/// Creates a patient's record, and for staff finds other records that may be of the same person.
///
/// # Errors
/// Every broken rule; the conflicts of the endpoint.
pub async fn create(context: &Context, once: Once, new: NewPatient) -> Result<Versioned<CreatedPatient>> {
    context.require(Action::PatientCreate)?;
    let account = if context.is_staff() { None } else { Some(own_address(context).await?) };
    let profile_context = ProfileContext::load(context).await?;
    let (profile, relation) = checked(new, account.as_ref(), profile_context)?;
    context
        .change_once(once, move |tx| {
            let patient = match relation {
                None => store::insert(tx, &profile)?,
                Some(relation) => insert_for_account(tx, &profile, relation)?,
            };
            tx.audit.note_patient(patient.id);
            tx.audit.note_object(patient.id.0);
            // An account must not see which other records the clinic has, and neither must a client that may not read them.
            let may_see = relation.is_none() && tx.actor.has_scope(Scope::PatientsRead);
            let duplicates = if may_see { Some(duplicates::shown(tx, &patient)?) } else { None };
            let Versioned { version, object: patient } = PatientView::load(tx, patient.id)?;
            Ok(Versioned { version, object: CreatedPatient { patient, duplicates } })
        })
        .await
}

async fn own_address(context: &Context) -> Result<EmailAddress> {
    let user = context.read(|tx| accounts::store::find(tx.conn, tx.actor.user_id)).await?;
    // One that was closed meanwhile has no address any more.
    if user.disabled_at.is_some() {
        return Err(actor::no_session());
    }
    EmailAddress::parse(&user.email).map_err(|rule| Error::fault(rule.detail))
}

/// Checks a record that staff create, or that the account with this address creates.
fn checked(
    mut new: NewPatient,
    account: Option<&EmailAddress>,
    context: ProfileContext,
) -> Result<(Profile, Option<Relation>)> {
    let mut check = Check::new();
    let relation = new.relation;
    match account {
        None => new.forbid_relation("/relation", &mut check),
        Some(address) => {
            new.forbid_staff_fields("", &mut check);
            let detail = "must be sent: your relation to the patient";
            check.require(relation.is_some(), "/relation", FieldCode::Required, detail);
            if relation == Some(Relation::Oneself) {
                check.field("/email", new.keep_own_address(address));
            }
        }
    }
    let author = if account.is_some() { Author::Account } else { Author::Staff };
    let profile = Profile::parse(new, author, "", context, &mut check);
    check.done()?;
    Ok((profile.ok_or_else(|| Error::fault("a profile that kept the rules is missing"))?, relation))
}

/// Creates a record for the actor's account: for its holder, if they have none, or for a person whom they act for. It is always a new
/// record. Staff link the records that the clinic already has.
///
/// # Errors
/// The conflicts `own_record_exists` and `too_many_patients`.
fn insert_for_account(tx: &mut Tx, profile: &Profile, relation: Relation) -> Result<Patient> {
    let user = tx.actor.user_id;
    // The lock makes requests of one account count one after the other.
    accounts::store::lock(tx.conn, user)?;
    if relation == Relation::Oneself {
        if own_record(tx.conn, user)?.is_some() {
            let detail = "The account's holder has a record of their own.";
            return Err(Error::conflict(ProblemCode::OwnRecordExists, detail));
        }
    } else if dependents(tx, user)? >= MAX_DEPENDENTS {
        let detail = format!("An account adds at most {MAX_DEPENDENTS} people. The clinic can link more.");
        return Err(Error::conflict(ProblemCode::TooManyPatients, detail));
    }
    let patient = store::insert(tx, profile)?;
    grant::give(tx, user, &patient, relation, None)?;
    Ok(patient)
}

/// Counts the patients besides its holder whose records an account has created, even if the access has ended.
fn dependents(tx: &mut Tx, user: UserId) -> Result<i64> {
    Ok(patient_access::table
        .filter(patient_access::user_id.eq(user))
        .filter(patient_access::relation.ne(Relation::Oneself))
        .filter(patient_access::granted_by.is_null())
        .count()
        .get_result(tx.conn)?)
}

/// Create a patient's record
///
/// Staff create a record for any person, without an account and without consents; missing ones are listed in `consents_outstanding`.
/// `duplicates` lists records that may be of the same person; nothing is merged automatically. A signed-in patient adds a person whom they
/// act for, and sends the relation to that person in `relation`. With `self` they add themselves, if they have no record yet. This always
/// creates a new record, which is not linked to an existing one. The relation is unverified until staff verify it.
#[utoipa::path(
    tag = "patients",
    operation_id = "create_patient",
    security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = NewPatient,
    responses(
        (status = 201, description = "The patient, for staff with other records that may be of the same person", body = CreatedPatient),
        (status = 409, description = "`identifier_taken`: another patient has an identifier; `pointer` names the identifier, `taken_by` the patient. \
            `own_record_exists`: the account's holder has a record. `too_many_patients`: the account has added the maximum number of patients"),
    ),
)]
#[post("/v1/patients")]
pub(in crate::patients) async fn create_patient(
    context: Context,
    key: IdempotencyKey,
    body: Body<NewPatient>,
) -> Result<HttpResponse> {
    let created = create(&context, key.once(&body.raw), body.value).await?;
    Ok(response::created(format!("/v1/patients/{}", created.object.patient.id), &created))
}
