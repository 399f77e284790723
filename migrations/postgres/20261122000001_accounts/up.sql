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
    -- since when signing in takes a code besides the password
    second_factor_at timestamptz,
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
    -- the kind of device, such as `Firefox on Windows`
    device text NOT NULL,
    -- the network that it signed in from, without the part that tells its devices apart
    network text NOT NULL,
    revoked_at timestamptz,
    revoked_reason text CONSTRAINT sessions_revoked_reason
        CHECK (revoked_reason IN ('logout', 'reuse', 'password_reset', 'credentials_changed', 'disabled', 'admin'))
);

CREATE INDEX sessions_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- A session's refresh tokens, newest last; only the unused one is good.
CREATE TABLE refresh_tokens (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id),
    token_hash bytea NOT NULL CONSTRAINT refresh_tokens_hash UNIQUE,
    created_at timestamptz NOT NULL,
    used_at timestamptz
);

CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_used ON refresh_tokens (used_at) WHERE used_at IS NOT NULL;

-- Tokens that travel in a mail and work once.
CREATE TABLE one_time_tokens (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id),
    purpose text NOT NULL CONSTRAINT one_time_tokens_purpose
        CHECK (purpose IN ('verify_email', 'change_email', 'reset_password', 'invitation')),
    -- the address that `change_email` proves and makes the account's
    new_email text CONSTRAINT one_time_tokens_new_email CHECK ((purpose = 'change_email') = (new_email IS NOT NULL)),
    token_hash bytea NOT NULL CONSTRAINT one_time_tokens_hash UNIQUE,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- set when it was used, or voided by a newer one
    used_at timestamptz
);

CREATE INDEX one_time_tokens_user ON one_time_tokens (user_id, purpose) WHERE used_at IS NULL;
CREATE INDEX one_time_tokens_expires ON one_time_tokens (expires_at);
