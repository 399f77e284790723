-- A verification link belongs to the registration that it was mailed for. SQLite cannot change the CHECK of a table, so the table is
-- made again; no other table refers to it.
CREATE TABLE one_time_tokens_new (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    purpose TEXT NOT NULL CONSTRAINT one_time_tokens_purpose
        CHECK (purpose IN ('verify_email', 'change_email', 'reset_password', 'first_password', 'invitation')),
    -- the address that `change_email` proves and makes the account's
    new_email TEXT CONSTRAINT one_time_tokens_new_email CHECK ((purpose = 'change_email') = (new_email IS NOT NULL)),
    token_hash BLOB NOT NULL CONSTRAINT one_time_tokens_hash UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- set when it was used, or voided by a newer one
    used_at INTEGER,
    -- keyed hash of the address and the caller that registered
    requested_by BLOB,
    -- sealed: the registration that becomes the account's when the link is followed; NULL where the account holds it already
    registration BLOB
) STRICT;

INSERT INTO one_time_tokens_new (id, user_id, purpose, new_email, token_hash, created_at, expires_at, used_at)
    SELECT id, user_id, purpose, new_email, token_hash, created_at, expires_at, used_at FROM one_time_tokens;
DROP TABLE one_time_tokens;
ALTER TABLE one_time_tokens_new RENAME TO one_time_tokens;

CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
CREATE INDEX one_time_tokens_expires ON one_time_tokens (expires_at);
