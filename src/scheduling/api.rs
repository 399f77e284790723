//! The endpoints of this department; each stands with its subject.

use utoipa_actix_web::service_config::ServiceConfig;

use super::search;

/// The endpoints of this department.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(search::list_slots);
}
