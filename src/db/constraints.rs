//! Maps violated constraints to errors, by the names of both engines.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};

use super::damage;
use crate::error::{Error, FieldCode, ProblemCode};

/// A constraint and the error of its violation.
struct Meaning {
    /// The constraint's name on PostgreSQL. On SQLite the name of a CHECK, or what its trigger raises.
    name: &'static str,
    /// The columns by which SQLite names a unique constraint.
    sqlite_columns: Option<&'static str>,
    error: fn() -> Error,
}

const MEANINGS: &[Meaning] = &[
    Meaning {
        name: "users_email_key",
        sqlite_columns: Some("users.email_key"),
        error: || Error::conflict(ProblemCode::EmailTaken, "An account with this e-mail address exists."),
    },
    Meaning {
        name: "patient_access_own_account",
        sqlite_columns: Some("patient_access.patient_id"),
        error: || Error::conflict(ProblemCode::OwnAccountExists, "The patient has an account of their own."),
    },
    Meaning {
        name: "patient_access_own_record",
        sqlite_columns: Some("patient_access.user_id"),
        error: || Error::conflict(ProblemCode::OwnRecordExists, "The account's holder has a record of their own."),
    },
    Meaning {
        name: "appointments_practitioner_overlap",
        sqlite_columns: None,
        error: || Error::conflict(ProblemCode::SlotTaken, "The practitioner has another appointment at that time."),
    },
    // Another transaction took the unit without its lock. This one runs again and chooses another one.
    Meaning { name: "resource_occupancy_overlap", sqlite_columns: None, error: || Error::Retry },
    Meaning {
        name: "appointments_patient_overlap",
        sqlite_columns: None,
        error: || Error::conflict(ProblemCode::PatientBusy, "The patient has another appointment at that time."),
    },
    Meaning {
        name: "intakes_open_draft",
        sqlite_columns: Some("intakes.patient_id, intakes.form"),
        error: || Error::conflict(ProblemCode::DraftExists, "The patient has an open draft of this form."),
    },
    // Two transactions scheduled a follow-up at the same time. The later one runs again and replaces the other's.
    Meaning { name: "follow_ups_open", sqlite_columns: Some("follow_ups.patient_id"), error: || Error::Retry },
    // Two transactions began to wait at the same time. The later one runs again and finds the other's entry.
    Meaning {
        name: "waitlist_entries_live",
        sqlite_columns: Some("waitlist_entries.patient_id, waitlist_entries.visit_type_id"),
        error: || Error::Retry,
    },
    // Two transactions offered a time to one patient at once. The later one runs again and finds the other's offer.
    Meaning {
        name: "waitlist_offers_open_patient",
        sqlite_columns: Some("waitlist_offers.patient_id"),
        error: || Error::Retry,
    },
    Meaning {
        name: "waitlist_offers_open_entry",
        sqlite_columns: Some("waitlist_offers.entry_id"),
        error: || Error::Retry,
    },
    // A random code was drawn twice. The transaction runs again and draws a new one.
    Meaning {
        name: "appointments_confirmation_code",
        sqlite_columns: Some("appointments.confirmation_code"),
        error: || Error::Retry,
    },
    // Publications wait for each other (`advisory_lock::CONSENT_DOCUMENTS`), so this is a second guard.
    Meaning {
        name: "consent_documents_pkey",
        sqlite_columns: Some("consent_documents.consent_type, consent_documents.version, consent_documents.language"),
        error: || Error::Retry,
    },
    // A second guard behind the check of the operations, which names the record that replaces this one.
    Meaning {
        name: "patient_active",
        sqlite_columns: None,
        error: || {
            let detail = "The record was merged into another one, or retired. Read it again.";
            Error::conflict(ProblemCode::PatientMerged, detail)
        },
    },
    // Two merges of one record at the same time. The later one runs again and finds the record replaced.
    Meaning {
        name: "patient_merges_current",
        sqlite_columns: Some("patient_merges.duplicate_id"),
        error: || Error::Retry,
    },
    // As with merges.
    Meaning {
        name: "patient_retirements_current",
        sqlite_columns: Some("patient_retirements.patient_id"),
        error: || Error::Retry,
    },
    Meaning { name: "patients_mrn", sqlite_columns: Some("patients.mrn"), error: || Error::Retry },
    // Another object got the identifier meanwhile. The transaction runs again, finds that object and names it.
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
    // Another transaction published the same hours. This one runs again and finds them published.
    Meaning {
        name: "slots_start",
        sqlite_columns: Some("slots.practitioner_id, slots.starts_at"),
        error: || Error::Retry,
    },
    // Two requests of one account took a hold at the same time. The later one runs again, and replaces the other's hold or takes the next
    // place.
    Meaning { name: "holds_place", sqlite_columns: Some("holds.user_id, holds.place"), error: || Error::Retry },
    // A request with the same Idempotency-Key was faster. The transaction runs again and finds its result.
    Meaning {
        name: "idempotency_keys_pkey",
        sqlite_columns: Some("idempotency_keys.actor_id, idempotency_keys.operation, idempotency_keys.key"),
        error: || Error::Retry,
    },
];

/// Turns a database error into an [`Error`].
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
            Error::invalid("", FieldCode::UnknownReference, "an id in the request refers to nothing")
        }
        // diesel does not keep the SQLSTATE, so these errors are recognised by the engines' messages.
        _ if message.contains("deadlock detected") => Error::Retry,
        _ if damage::is_reported_by(message) => Error::Damaged,
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
            Error::unavailable(2, "the database closed the connection")
        }
        // An unexpected constraint. Its name helps in the log. Its values must not be logged.
        _ => Error::fault(format!(
            "database {kind:?} {} {}",
            info.constraint_name().unwrap_or("(unnamed)"),
            message.lines().next().unwrap_or_default()
        )),
    }
}
