CREATE TABLE users (
    id BLOB PRIMARY KEY,
    email TEXT NOT NULL,
    -- lower-cased; the account's identity
    email_key TEXT NOT NULL CONSTRAINT users_email_key UNIQUE,
    name TEXT,
    role TEXT NOT NULL CONSTRAINT users_role CHECK (role IN ('patient', 'front_desk', 'practitioner', 'admin')),
    practitioner_id BLOB CONSTRAINT users_practitioner REFERENCES practitioners (id),
    -- NULL until an invited person has set one
    password_hash TEXT,
    preferred_language TEXT NOT NULL,
    email_verified_at INTEGER,
    disabled_at INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX users_created ON users (created_at, id);

CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    revoked_reason TEXT CONSTRAINT sessions_revoked_reason
        CHECK (revoked_reason IN ('logout', 'reuse', 'password_reset', 'disabled', 'admin'))
) STRICT;

CREATE INDEX sessions_user ON sessions (user_id) WHERE revoked_at IS NULL;

-- A session's refresh tokens, newest last; only the unused one is good.
CREATE TABLE refresh_tokens (
    id BLOB PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES sessions (id),
    token_hash BLOB NOT NULL CONSTRAINT refresh_tokens_hash UNIQUE,
    created_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- Tokens that travel in a mail and work once.
CREATE TABLE one_time_tokens (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    purpose TEXT NOT NULL CONSTRAINT one_time_tokens_purpose
        CHECK (purpose IN ('verify_email', 'reset_password', 'invitation')),
    token_hash BLOB NOT NULL CONSTRAINT one_time_tokens_hash UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- set when it was used, or voided by a newer one
    used_at INTEGER
) STRICT;

CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
