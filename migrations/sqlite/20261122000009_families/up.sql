-- Links in mails with which somebody comes to act for a patient. They belong to an address, which may have no account yet.
CREATE TABLE patient_invitations (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id),
    email TEXT NOT NULL,
    -- lower-cased, as accounts are compared
    email_key TEXT NOT NULL,
    relation TEXT NOT NULL CONSTRAINT patient_invitations_relation
        CHECK (relation IN ('self', 'parent', 'guardian', 'caregiver')),
    token_hash BLOB NOT NULL CONSTRAINT patient_invitations_hash UNIQUE,
    invited_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- set when it was accepted, or voided by a newer one
    used_at INTEGER
) STRICT;

CREATE INDEX patient_invitations_open ON patient_invitations (patient_id, email_key) WHERE used_at IS NULL;
