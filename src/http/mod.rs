//! What all endpoints share: problem documents, strict input, paging, preconditions, idempotency, headers,
//! and what guards them: bounds on connections, deadlines, rate limits, origins, the client's address.

pub mod accept;
pub mod address;
pub mod compression;
pub mod conditional;
pub mod connection;
pub mod connections;
pub mod cors;
pub mod deprecation;
pub mod endpoints;
pub mod etag;
pub mod fallback;
pub mod idempotency;
pub mod input;
pub mod limits;
pub mod listener;
pub mod middleware;
pub mod operations;
pub mod paging;
pub mod problem;
pub mod rejection_log;
pub mod response;

pub use address::ClientAddress;
pub use endpoints::Endpoints;
pub use etag::IfMatch;
pub use idempotency::IdempotencyKey;
pub use input::{Body, Params, Patch, PathId};
pub use paging::{Cursor, Limit};
