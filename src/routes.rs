//! Every endpoint of the service, department by department. The server and the OpenAPI document are made from this one list.

use utoipa_actix_web::service_config::ServiceConfig;

use crate::{accounts, appointments, audit, http, intake, messages, patients, privacy, scheduling};

/// Every endpoint of the service.
pub fn routes(cfg: &mut ServiceConfig) {
    accounts::api::routes(cfg);
    patients::api::routes(cfg);
    scheduling::api::routes(cfg);
    intake::api::routes(cfg);
    appointments::api::routes(cfg);
    privacy::api::routes(cfg);
    messages::api::routes(cfg);
    audit::api::routes(cfg);
    http::operations::routes(cfg);
}
