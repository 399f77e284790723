//! Slots: searching, holding, blocking, booking and releasing them.

pub mod blocks;
pub mod claim;
pub mod days;
pub mod filter;
pub mod fitting;
pub mod free;
pub mod holds;
pub mod local;
pub mod locking;
pub mod offering;
pub mod offers;
pub mod releasing;
pub mod search;
pub mod slot;
pub mod taken;
pub mod units;
pub mod unused;
