//! The worked example of the specification.

use super::{adult, answers, example};
use crate::compute;

#[test]
fn the_worked_example_computes_to_exactly_what_it_says() {
    let example = example();
    let computed = compute(&answers(&example["answers"]), &adult());
    assert_eq!(serde_json::to_value(computed).expect("written"), example["computed"]);
}

#[test]
fn the_worked_example_is_written_as_it_was_read() {
    let example = example();
    assert_eq!(serde_json::to_value(answers(&example["answers"])).expect("written"), example["answers"]);
}
