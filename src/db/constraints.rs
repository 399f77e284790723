//! What a violated constraint means to the caller: one table, keyed by both engines' names.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use super::damage;
use crate::error::Error;

/// A constraint and what its violation means.
struct Meaning {
    /// The constraint's name on PostgreSQL; on SQLite the name of a CHECK, or what its trigger raises.
    name: &'static str,
    /// How SQLite names a unique constraint: by its columns.
    sqlite_columns: Option<&'static str>,
    error: fn() -> Error,
}

const MEANINGS: &[Meaning] = &[
    Meaning {
        name: "users_email_key",
        sqlite_columns: Some("users.email_key"),
        error: || Error::conflict("email_taken", "An account with this e-mail address exists."),
    },
    Meaning {
        name: "patient_access_own_account",
        sqlite_columns: Some("patient_access.patient_id"),
        error: || Error::conflict("own_account_exists", "The patient has an account of their own."),
    },
    Meaning {
        name: "patient_access_own_record",
        sqlite_columns: Some("patient_access.user_id"),
        error: || Error::conflict("own_record_exists", "The account's holder has a record of their own."),
    },
    Meaning {
        name: "appointments_practitioner_overlap",
        sqlite_columns: None,
        error: || Error::conflict("slot_taken", "The doctor has another appointment at that time."),
    },
    Meaning {
        name: "appointments_patient_overlap",
        sqlite_columns: None,
        error: || Error::conflict("patient_busy", "The patient has another appointment at that time."),
    },
    Meaning {
        name: "intakes_open_draft",
        sqlite_columns: Some("intakes.patient_id, intakes.form"),
        error: || Error::conflict("draft_exists", "The patient has an open draft of this form."),
    },
    // A code or number that fell twice: the transaction runs again and draws a new one.
    Meaning {
        name: "appointments_confirmation_code",
        sqlite_columns: Some("appointments.confirmation_code"),
        error: || Error::Retry,
    },
    // Another object got the identifier in between: the transaction runs again, finds it and names it.
    Meaning {
        name: "patient_identifiers_pkey",
        sqlite_columns: Some("patient_identifiers.system, patient_identifiers.value"),
        error: || Error::Retry,
    },
    Meaning {
        name: "practitioner_identifiers_pkey",
        sqlite_columns: Some("practitioner_identifiers.system, practitioner_identifiers.value"),
        error: || Error::Retry,
    },
    Meaning {
        name: "appointment_identifiers_pkey",
        sqlite_columns: Some("appointment_identifiers.system, appointment_identifiers.value"),
        error: || Error::Retry,
    },
    // Another publication of the same hours came first: the transaction runs again and finds them published.
    Meaning {
        name: "slots_start",
        sqlite_columns: Some("slots.practitioner_id, slots.starts_at"),
        error: || Error::Retry,
    },
    // Two requests of one account took a hold at once: the later one runs again and replaces the earlier.
    Meaning { name: "holds_user", sqlite_columns: Some("holds.user_id"), error: || Error::Retry },
    // The twin of a request with the same Idempotency-Key was quicker: run again and find its answer.
    Meaning {
        name: "idempotency_keys_pkey",
        sqlite_columns: Some("idempotency_keys.actor_id, idempotency_keys.operation, idempotency_keys.key"),
        error: || Error::Retry,
    },
];

/// Turns a database error into the house's.
pub fn explain(kind: DatabaseErrorKind, info: &(dyn DatabaseErrorInformation + Send + Sync)) -> Error {
    let message = info.message();
    if let Some(meaning) = MEANINGS.iter().find(|meaning| {
        info.constraint_name() == Some(meaning.name)
            || message == meaning.name
            || meaning.sqlite_columns.is_some_and(|columns| {
                message.strip_prefix("UNIQUE constraint failed: ").is_some_and(|failed| failed == columns)
            })
    }) {
        return (meaning.error)();
    }
    match kind {
        DatabaseErrorKind::ForeignKeyViolation => {
            Error::invalid("", "unknown_reference", "an id in the request refers to nothing")
        }
        // diesel keeps no SQLSTATE, so these are told by the engines' own words.
        _ if message.contains("deadlock detected") => Error::Retry,
        _ if damage::is_told_by(message) => Error::Damaged,
        _ if message.contains("disk is full") || message.contains("No space left") => Error::StorageFull,
        _ if message.contains("database is locked")
            || message.contains("statement timeout")
            || message.contains("lock timeout") =>
        {
            Error::unavailable(1, "the database is busy")
        }
        _ if message.contains("disk I/O error")
            || message.contains("readonly database")
            || message.contains("unable to open database file") =>
        {
            Error::unavailable(5, "the database cannot be written")
        }
        _ if message.contains("terminating connection")
            || message.contains("shutting down")
            || message.contains("starting up")
            || message.contains("server closed the connection") =>
        {
            Error::unavailable(2, "the database went away")
        }
        // A constraint that nobody foresaw: its name helps, its values must not be told.
        _ => Error::fault(format!(
            "database {kind:?} {} {}",
            info.constraint_name().unwrap_or("(unnamed)"),
            message.lines().next().unwrap_or_default()
        )),
    }
}
