//! Tests of attacks. `cargo test --test suite security` runs all of them; the name of a test begins with its row in
//! SECURITY.md. The cost of the audit trail and `retention` belong to no row.

mod access;
mod access_guard;
mod access_misuse;
mod accounts;
mod audit;
mod audit_cost;
mod audit_forms;
mod audit_lists;
mod audit_seals;
mod audit_watch;
mod canary;
mod care;
mod cookies;
mod deadlines;
mod devices;
mod export;
mod guessing;
mod headers;
mod inputs;
mod late_bodies;
mod limits;
mod mailboxes;
mod matrix;
mod new_accounts;
mod privacy;
mod registering;
mod replays;
mod retention;
mod revoked;
mod roles;
mod second_factor;
mod start;
mod strangers;
mod tokens;
mod wire;

pub use self::second_factor::code as second_factor_code;
