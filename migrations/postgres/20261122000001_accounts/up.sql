CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    -- lower-cased; the account's identity
    email_key text NOT NULL CONSTRAINT users_email_key UNIQUE,
    name text,
    role text NOT NULL CONSTRAINT users_role CHECK (role IN ('patient', 'front_desk', 'practitioner', 'admin')),
    practitioner_id uuid,
    -- NULL until an invited person has set one
    password_hash text,
    preferred_language text NOT NULL,
    email_verified_at timestamptz,
    disabled_at timestamptz,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX users_created ON users (created_at, id);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_reason text CONSTRAINT sessions_revoked_reason
        CHECK (revoked_reason IN ('logout', 'reuse', 'password_reset', 'disabled', 'admin'))
);

CREATE INDEX sessions_user ON sessions (user_id) WHERE revoked_at IS NULL;

-- A session's refresh tokens, newest last; only the unused one is good.
CREATE TABLE refresh_tokens (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id),
    token_hash bytea NOT NULL CONSTRAINT refresh_tokens_hash UNIQUE,
    created_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- Tokens that travel in a mail and work once.
CREATE TABLE one_time_tokens (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    purpose text NOT NULL CONSTRAINT one_time_tokens_purpose
        CHECK (purpose IN ('verify_email', 'reset_password', 'invitation')),
    token_hash bytea NOT NULL CONSTRAINT one_time_tokens_hash UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- set when it was used, or voided by a newer one
    used_at timestamptz
);

CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
