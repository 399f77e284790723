//! The rules of the RLS history, so that a reader of a flag can check what it rests on.

use actix_web::{HttpResponse, get};
use rls::RuleDefinition;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Result;
use crate::http::response;

/// The rules of the RLS history.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"rule_set_version": "2026.6", "items": [], "next_cursor": null}))]
pub struct RlsRulePage {
    /// The version of all rules together. Computed values keep the version that they were computed with.
    pub rule_set_version: String,
    /// The rules: first those that raise flags, then those that compute values.
    pub items: Vec<RuleDefinition>,
    /// Always null: the list has one page.
    pub next_cursor: Option<String>,
}

pub fn list() -> RlsRulePage {
    RlsRulePage { rule_set_version: rls::RULE_SET_VERSION.to_owned(), items: rls::rules(), next_cursor: None }
}

/// List the rules of the RLS history
///
/// Returns each rule with its version, the fields that it uses, its meaning in English and Spanish, its source and what it rests on. A
/// source that is no publication is a clinic judgement and says why.
#[utoipa::path(
    tag = "intakes",
    operation_id = "list_rls_rules",
    responses((status = 200, description = "The rules", body = RlsRulePage)),
)]
#[get("/v1/rls-rules")]
pub(super) async fn list_rls_rules() -> Result<HttpResponse> {
    Ok(response::ok(&list()))
}
