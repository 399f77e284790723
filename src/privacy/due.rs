//! What a search for objects after their retention period returns.

use uuid::Uuid;

/// A page of objects whose retention period has ended.
pub struct DuePage {
    pub ids: Vec<Uuid>,
    /// The id after which the next page begins; none at the end.
    pub next: Option<Uuid>,
}
