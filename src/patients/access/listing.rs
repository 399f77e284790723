//! Reading who may act for a patient.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Access, holder_names, of_patient};
use crate::accounts::model::User;
use crate::actor::Action;
use crate::clock::Timestamp;
use crate::context::{Context, Tx};
use crate::db::types::Date;
use crate::error::{Error, Result};
use crate::http::{PathId, response};
use crate::ids::{PatientId, UserId};
use crate::patients::model::Relation;
use crate::patients::store;

/// An account's access to a patient.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = PatientAccess, example = json!({
    "user_id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "name": "Rosa Example", "email": "rosa@example.org", "relation": "parent",
    "relation_verified": true, "verified_at": "2026-03-02T14:00:00Z", "granted_by": null, "created_at": "2026-03-01T14:00:00Z",
    "ends_on": "2028-07-04", "ended": false, "confirmation_required": false, "confirmed_at": null, "confirmed_by": null,
    "stopped_at": null
}))]
pub struct AccessView {
    /// The account.
    pub user_id: UserId,
    /// The name of the account's holder, if it is known.
    pub name: Option<String>,
    /// The account's e-mail address. Shown to staff and to the account itself.
    pub email: Option<String>,
    /// The relation of the account's holder to the patient.
    pub relation: Relation,
    /// Whether staff verified the relation. Always true for `self`.
    pub relation_verified: bool,
    /// The time at which the relation was verified.
    pub verified_at: Option<Timestamp>,
    /// The member of the staff, or the patient, who gave the access. Staff only; null if the account created the record itself.
    pub granted_by: Option<UserId>,
    /// The time since which the account has the access.
    pub created_at: Timestamp,
    /// The patient's birthday on which the access ends, because the patient becomes an adult. Null if it does not end by itself.
    pub ends_on: Option<Date>,
    /// Whether the access has ended, on that birthday or because it was stopped. Only staff see ended access.
    pub ended: bool,
    /// Whether the access waits for a second member of the staff. Until then the account may not act for the patient.
    pub confirmation_required: bool,
    /// The time at which the second member of the staff confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// The second member of the staff. Staff only.
    pub confirmed_by: Option<UserId>,
    /// The time at which the patient, or another account that acts for the patient, stopped it.
    pub stopped_at: Option<Timestamp>,
}

impl AccessView {
    /// The access as the actor may see it.
    pub(super) fn new(tx: &mut Tx, access: Access, user: User) -> Result<Self> {
        let name = holder_names(tx.conn, user.id)?.into_iter().next();
        let is_staff = tx.actor.role.is_staff();
        let confirmation_required = access.is_pending(tx.now);
        Ok(Self {
            user_id: user.id,
            name,
            email: (is_staff || tx.actor.user_id == user.id).then_some(user.email),
            relation: access.relation,
            relation_verified: access.verified_at.is_some(),
            verified_at: access.verified_at,
            granted_by: access.granted_by.filter(|_| is_staff),
            created_at: access.created_at,
            ends_on: access.ends_on,
            ended: !access.is_active(tx.now) && !confirmation_required,
            confirmation_required,
            confirmed_at: access.confirmed_at,
            confirmed_by: access.confirmed_by.filter(|_| is_staff),
            stopped_at: access.stopped_at,
        })
    }
}

/// The accounts that may act for a patient.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"items": [], "next_cursor": null}))]
pub struct PatientAccessPage {
    /// The access of each account, oldest first.
    items: Vec<AccessView>,
    /// Always null: the list has one page.
    next_cursor: Option<String>,
}

/// Loads the access to a patient that the actor may see, with its accounts. Only staff see ended access.
fn visible(tx: &mut Tx, id: PatientId) -> Result<Vec<(Access, User)>> {
    let patient = store::visible(tx.conn, tx.env, tx.actor, id)?;
    let (now, is_staff) = (tx.now, tx.actor.role.is_staff());
    let mut given = of_patient(tx.conn, patient.id)?;
    given.retain(|(access, _)| is_staff || access.is_active(now) || access.is_pending(now));
    Ok(given)
}

/// Lists the accounts that may act for a patient.
///
/// # Errors
/// [`Error::NotFound`] if the actor may not see the patient.
pub async fn list(context: &Context, id: PatientId) -> Result<PatientAccessPage> {
    context.require(Action::AccessRead)?;
    context
        .read(move |tx| {
            let given = visible(tx, id)?.into_iter();
            let items = given.map(|(access, user)| AccessView::new(tx, access, user)).collect::<Result<_>>()?;
            Ok(PatientAccessPage { items, next_cursor: None })
        })
        .await
}

/// Reads an account's access to a patient.
///
/// # Errors
/// [`Error::NotFound`] if there is none that the actor may see.
pub async fn read(context: &Context, id: PatientId, user: UserId) -> Result<AccessView> {
    context.require(Action::AccessRead)?;
    context
        .read(move |tx| {
            let given = visible(tx, id)?.into_iter().find(|(_, holder)| holder.id == user);
            let (access, holder) = given.ok_or(Error::NotFound)?;
            AccessView::new(tx, access, holder)
        })
        .await
}

/// The account in a path after the patient.
///
/// # Errors
/// [`Error::NotFound`] for a text that is no id.
pub(super) fn user_in(path: &(String, String)) -> Result<UserId> {
    path.1.parse().map_err(|_| Error::NotFound)
}

/// List the accounts that may act for a patient
///
/// Returns the accounts that may read the patient's record, book and fill in forms for the patient, and those that wait for a second member
/// of the staff. Patients and the accounts that act for them see the names. Staff also see the addresses, and access that has ended or
/// was stopped.
#[utoipa::path(
    tag = "patients",
    operation_id = "list_patient_access",
    security(("bearer" = [])),
    params(("id" = PatientId, Path, description = "The patient")),
    responses((status = 200, description = "The accounts", body = PatientAccessPage)),
)]
#[get("/v1/patients/{id}/access")]
pub(in crate::patients) async fn list_patient_access(
    context: Context,
    PathId(id): PathId<PatientId>,
) -> Result<HttpResponse> {
    Ok(response::ok(&list(&context, id).await?))
}

/// Read an account's access to a patient
///
/// For staff, the patient, and the accounts that act for the patient.
#[utoipa::path(
    tag = "patients",
    operation_id = "get_patient_access",
    security(("bearer" = [])),
    params(
        ("id" = PatientId, Path, description = "The patient"),
        ("user_id" = UserId, Path, description = "The account"),
    ),
    responses((status = 200, description = "The access", body = AccessView)),
)]
#[get("/v1/patients/{id}/access/{user_id}")]
pub(in crate::patients) async fn get_patient_access(
    context: Context,
    PathId(id): PathId<PatientId>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context, id, user_in(&path)?).await?))
}
