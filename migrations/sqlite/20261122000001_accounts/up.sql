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
    -- since when signing in takes a code besides the password
    second_factor_at INTEGER,
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
    -- the kind of device, such as `Firefox on Windows`
    device TEXT NOT NULL,
    -- the network that it signed in from, without the part that tells its devices apart
    network TEXT NOT NULL,
    revoked_at INTEGER,
    revoked_reason TEXT CONSTRAINT sessions_revoked_reason
        CHECK (revoked_reason IN ('logout', 'reuse', 'password_reset', 'credentials_changed', 'disabled', 'admin'))
) STRICT;

CREATE INDEX sessions_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- A session's refresh tokens, newest last; only the unused one is good.
CREATE TABLE refresh_tokens (
    id BLOB PRIMARY KEY,
    session_id BLOB NOT NULL REFERENCES sessions (id),
    token_hash BLOB NOT NULL CONSTRAINT refresh_tokens_hash UNIQUE,
    created_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at) WHERE used_at IS NOT NULL;

-- Tokens that travel in a mail and work once.
CREATE TABLE one_time_tokens (
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

CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
CREATE INDEX one_time_tokens_expires ON one_time_tokens (expires_at);
