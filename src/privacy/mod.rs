//! What people may ask of a clinic that knows much about them: to be told all of it ([`export`]), and that nothing is kept
//! longer than it must be ([`retention`]). It owns no tables, and lies above all departments because it asks each of them.

pub mod api;
pub mod export;
pub mod records;
mod registrations;
pub mod retention;
