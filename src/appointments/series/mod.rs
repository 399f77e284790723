//! Series: visits that are booked together, all or nothing, with the days that must lie between them. Each visit is an appointment of its
//! own, which is moved and cancelled alone.

pub mod booking;
pub mod gaps;
pub mod view;
