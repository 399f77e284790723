//! Outgoing e-mail: a transactional outbox, templates, calendar invitations, the mailer.
pub mod api;
pub mod worker;
