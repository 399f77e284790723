//! Sessions: a device signs in, renews its tokens, signs out. A browser that uses the pages holds its session by a cookie ([`cookie`]).
//!
//! Refresh tokens are opaque, stored hashed, and rotated at each use. A used token that comes back within ten seconds lost a race
//! between two tabs, and has no effect. If it comes back later it may be stolen, so the session ends (RFC 9700, 4.14.2).

pub mod cookie;
pub mod listing;
pub mod refreshing;
pub mod revoking;
pub mod session;
pub mod session_tokens;
pub mod sign_in;

use crate::http::Endpoints;

/// Registers the endpoints.
pub(super) fn routes(endpoints: &mut Endpoints) {
    endpoints
        .service(sign_in::create_session)
        .service(refreshing::refresh_session)
        .service(revoking::delete_current_session)
        .service(listing::list_sessions)
        .service(revoking::delete_session)
        .service(listing::list_user_sessions)
        .service(revoking::delete_user_sessions);
}
