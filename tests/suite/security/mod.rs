//! What must hold against people who mean harm. Each test names the row of the list that it proves.

mod accounts;
mod second_factor;
mod tokens;
