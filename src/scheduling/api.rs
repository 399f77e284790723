//! The endpoints.

use utoipa_actix_web::service_config::ServiceConfig;

/// The endpoints of this department.
pub fn routes(_cfg: &mut ServiceConfig) {}
