//! Visits: book, move, cancel, and the day itself.
pub mod api;
