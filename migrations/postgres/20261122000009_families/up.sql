-- Links in mails with which somebody comes to act for a patient. They belong to an address, which may have no account yet.
CREATE TABLE patient_invitations (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    email text NOT NULL,
    -- lower-cased, as accounts are compared
    email_key text NOT NULL,
    relation text NOT NULL CONSTRAINT patient_invitations_relation
        CHECK (relation IN ('self', 'parent', 'guardian', 'caregiver')),
    token_hash bytea NOT NULL CONSTRAINT patient_invitations_hash UNIQUE,
    invited_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- set when it was accepted, or voided by a newer one
    used_at timestamptz
);

CREATE INDEX patient_invitations_open ON patient_invitations (patient_id, email_key) WHERE used_at IS NULL;
