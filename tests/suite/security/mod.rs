//! What an attacker would try. `cargo test --test suite security` runs all of it; a test's name begins with its row in the
//! list of SECURITY.md. What the trail costs and what is deleted in time (`retention`) belong to no row.

mod access;
mod accounts;
mod audit;
mod audit_cost;
mod audit_lists;
mod canary;
mod care;
mod deadlines;
mod export;
mod guessing;
mod headers;
mod inputs;
mod limits;
mod mailboxes;
mod matrix;
mod privacy;
mod registering;
mod replays;
mod retention;
mod revoked;
mod second_factor;
mod start;
mod tokens;
mod wire;
