CREATE TABLE one_time_tokens_old (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    purpose TEXT NOT NULL CONSTRAINT one_time_tokens_purpose
        CHECK (purpose IN ('verify_email', 'change_email', 'reset_password', 'invitation')),
    -- the address that `change_email` proves and makes the account's
    new_email TEXT CONSTRAINT one_time_tokens_new_email CHECK ((purpose = 'change_email') = (new_email IS NOT NULL)),
    token_hash BLOB NOT NULL CONSTRAINT one_time_tokens_hash UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- set when it was used, or voided by a newer one
    used_at INTEGER
) STRICT;

-- A link whose registration is stored with it would lead to the record of another registration.
INSERT INTO one_time_tokens_old (id, user_id, purpose, new_email, token_hash, created_at, expires_at, used_at)
    SELECT id, user_id, purpose, new_email, token_hash, created_at, expires_at, used_at FROM one_time_tokens
    WHERE purpose <> 'first_password' AND registration IS NULL;
DROP TABLE one_time_tokens;
ALTER TABLE one_time_tokens_old RENAME TO one_time_tokens;

CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
CREATE INDEX one_time_tokens_expires ON one_time_tokens (expires_at);
