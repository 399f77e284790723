//! All encrypted columns of the database, which a key rotation encrypts again. A test compares the list with the
//! schema, so that no new column is forgotten.

/// A column of encrypted values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Column {
    pub table: &'static str,
    pub column: &'static str,
    /// The column with the id to which values are bound ([`super::Place::row`]): the first of the primary key.
    pub row: &'static str,
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

const fn of(table: &'static str, column: &'static str) -> Column {
    Column { table, column, row: "id" }
}

/// All encrypted columns.
pub const SEALED: &[Column] = &[
    of("appointment_history", "reason"),
    of("appointments", "note"),
    of("audit_keys", "secret"),
    Column { table: "idempotency_keys", column: "result", row: "actor_id" },
    of("intake_flags", "note"),
    of("intake_flags", "rule"),
    of("intake_versions", "answers"),
    of("intake_versions", "computed"),
    of("intake_versions", "reason"),
    of("intake_versions", "review"),
    of("intakes", "answers"),
    of("intakes", "computed"),
    of("intakes", "review"),
    of("intakes", "void_reason"),
    of("lab_result_versions", "reason"),
    of("lab_result_versions", "result"),
    of("lab_results", "result"),
    of("messages", "note"),
    of("messages", "payload"),
    of("one_time_tokens", "registration"),
    of("one_time_tokens", "visit"),
    of("patient_merge_flags", "flag"),
    of("patient_merges", "reason"),
    of("patient_retirements", "reason"),
    of("patients", "details"),
    of("practitioner_exceptions", "reason"),
    of("record_openings", "reason"),
    Column { table: "second_factors", column: "secret", row: "user_id" },
    of("slots", "blocked_reason"),
    of("webhook_endpoints", "previous_secret"),
    of("webhook_endpoints", "secret"),
];

/// Columns that a key rotation skips: digests, ids, and the proofs of the keys. None of them is encrypted.
#[cfg(test)]
const NOT_SEALED: &[(&str, &str)] = &[
    ("access_links", "token_hash"),
    ("appointment_links", "address_hash"),
    ("appointment_links", "token_hash"),
    ("calendar_feeds", "token_hash"),
    ("client_assertions", "jti_hash"),
    ("client_secrets", "secret_hash"),
    ("audit_events", "mac"),
    ("audit_events", "shown"),
    ("audit_purges", "closing_hmac"),
    ("audit_purges", "mac"),
    ("audit_seals", "hmac"),
    ("follow_up_links", "code_digest"),
    ("follow_up_links", "token_hash"),
    ("holds", "caller"),
    ("holds", "network"),
    ("holds", "secret_hash"),
    ("new_accounts", "caller"),
    ("new_accounts", "network"),
    ("one_time_tokens", "requested_by"),
    ("one_time_tokens", "requested_from"),
    ("one_time_tokens", "token_hash"),
    ("patient_invitations", "token_hash"),
    ("recovery_codes", "code_hash"),
    ("refresh_tokens", "token_hash"),
    ("refused_mailboxes", "digest"),
    ("sealing_keys", "proof"),
    ("sessions", "cookie_hash"),
    ("setup_state", "token"),
    ("sign_in_failures", "account"),
    ("sign_in_failures", "network"),
    ("waitlist_offer_links", "address_digest"),
    ("waitlist_offer_links", "code_digest"),
    ("waitlist_offer_links", "token_hash"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Returns each column of bytes in the schema, with the first column of its table's primary key.
    fn columns_of_bytes() -> BTreeSet<(String, String, String)> {
        let mut found = BTreeSet::new();
        let mut table = None;
        for line in include_str!("../db/schema.rs").lines().map(str::trim) {
            if let Some((name, key)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
                let first = key.split(',').next().unwrap_or_default();
                table = Some((name.to_owned(), first.to_owned()));
            } else if let (Some((table, row)), Some((column, kind))) = (&table, line.split_once(" -> "))
                && kind.trim_end_matches(',').trim_start_matches("Nullable<").trim_end_matches('>') == "Binary"
            {
                found.insert((table.clone(), column.to_owned(), row.clone()));
            }
        }
        found
    }

    #[test]
    fn every_column_of_bytes_is_listed_as_encrypted_or_not() {
        let there = columns_of_bytes();
        assert!(there.len() > 15, "{there:?}");
        for (table, column, row) in &there {
            let sealed = SEALED.contains(&Column {
                table: table.clone().leak(),
                column: column.clone().leak(),
                row: row.clone().leak(),
            });
            let not_sealed = NOT_SEALED.contains(&(table.as_str(), column.as_str()));
            assert!(
                sealed != not_sealed,
                "{table}.{column} ({row}): add it to SEALED if its values are encrypted, so that a key rotation encrypts \
                 them again, or to NOT_SEALED if nothing can be read from it"
            );
        }
        assert_eq!(there.len(), SEALED.len() + NOT_SEALED.len(), "a column on the lists is not in the schema");
    }
}
