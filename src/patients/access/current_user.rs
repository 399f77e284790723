//! The signed-in account and the patients that it may act for.

use actix_web::{HttpResponse, get};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Access, of_account};
use crate::accounts::users::UserView;
use crate::context::Context;
use crate::db::types::Date;
use crate::error::Result;
use crate::http::response;
use crate::ids::PatientId;
use crate::patients::model::{Patient, Relation};

/// The signed-in account.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "user": {"id": "0199d0c2-7b1e-7c3a-9a51-3f6f2a1d9c55", "email": "ann@example.org", "name": null, "role": "patient",
        "practitioner_id": null, "email_verified": true, "second_factor": false, "invited": false, "disabled": false,
        "created_at": "2026-03-02T14:00:00Z", "updated_at": "2026-03-02T14:00:00Z"},
    "patients": [{"id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "relation": "self", "relation_verified": true, "ends_on": null,
        "display_name": "Ann Example", "mrn": "LW-001001"}]
}))]
pub struct CurrentUser {
    /// The account.
    pub user: UserView,
    /// The patients that the account may act for. Empty for staff, who may act for every patient.
    pub patients: Vec<CurrentUserPatient>,
}

/// A patient that an account may act for.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": "0199d0c2-7b20-7d41-8c11-2a6f0b7d3e01", "relation": "self", "relation_verified": true, "ends_on": null,
        "display_name": "Ann Example", "mrn": "LW-001001"}))]
pub struct CurrentUserPatient {
    /// The patient's id.
    pub id: PatientId,
    /// The relation of the account's holder to the patient.
    pub relation: Relation,
    /// Whether staff verified the relation. Always true for `self`.
    pub relation_verified: bool,
    /// The patient's birthday on which the access ends, because the patient becomes an adult. Null if it does not end by itself.
    pub ends_on: Option<Date>,
    /// The preferred or given name, and the family name.
    pub display_name: String,
    /// The medical record number.
    pub mrn: String,
}

impl From<(Access, Patient)> for CurrentUserPatient {
    fn from((access, patient): (Access, Patient)) -> Self {
        Self {
            id: patient.id,
            relation: access.relation,
            relation_verified: access.verified_at.is_some(),
            ends_on: access.ends_on,
            display_name: patient.display_name(),
            mrn: patient.mrn,
        }
    }
}

/// Reads the signed-in account.
pub async fn read(context: &Context) -> Result<CurrentUser> {
    context
        .read(|tx| {
            let (user, patients) = of_account(tx.conn, tx.now, tx.actor.user_id)?;
            tx.audit.note_shown(patients.iter().map(|(_, patient)| patient.id));
            Ok(CurrentUser {
                user: UserView::from(&user),
                patients: patients.into_iter().map(CurrentUserPatient::from).collect(),
            })
        })
        .await
}

/// Read the signed-in account
///
/// Returns the account and the patients that it may act for, in the order in which it was given access.
#[utoipa::path(
    tag = "users",
    operation_id = "get_current_user",
    security(("bearer" = [])),
    responses((status = 200, description = "The account", body = CurrentUser)),
)]
#[get("/v1/me")]
pub(in crate::patients) async fn get_current_user(context: Context) -> Result<HttpResponse> {
    Ok(response::ok(&read(&context).await?))
}
