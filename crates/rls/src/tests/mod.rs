//! Vignettes and properties of the whole.

mod document;
mod example;
mod properties;
mod support;
mod texts;
mod views;
mod vignettes;

pub(super) use support::{Vignette, adult, answers, example, healthy, merged};
