//! Every endpoint of the service, department by department. The server and the OpenAPI document are made from this one list.

use crate::http::Endpoints;
use crate::{accounts, appointments, audit, http, intake, messages, patients, privacy, scheduling};

/// Every endpoint of the service.
pub fn routes(endpoints: &mut Endpoints) {
    // Paths with parameters are tried one after the other, so what is asked for most comes first.
    scheduling::api::routes(endpoints);
    appointments::api::routes(endpoints);
    intake::api::routes(endpoints);
    patients::api::routes(endpoints);
    accounts::api::routes(endpoints);
    privacy::api::routes(endpoints);
    messages::api::routes(endpoints);
    audit::api::routes(endpoints);
    http::operations::routes(endpoints);
}
