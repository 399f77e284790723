//! Changes of plan: the visits that a practitioner's time off affects, with times to move them to, and moving many visits at once.

pub mod affected;
mod choosing;
pub mod moving;
