-- Machine clients. Each has a service account, so that what it does has an account like everything else. A client is no person: it has no
-- password, no verified address and no practitioner.
ALTER TABLE users ADD COLUMN is_client INTEGER NOT NULL DEFAULT 0 CONSTRAINT users_client CHECK (
    is_client = 0 OR (is_client = 1 AND role IN ('front_desk', 'admin') AND password_hash IS NULL AND email_verified_at IS NULL
        AND practitioner_id IS NULL AND second_factor_at IS NULL)
);
CREATE INDEX users_clients ON users (created_at, id) WHERE is_client;

CREATE TABLE clients (
    user_id BLOB PRIMARY KEY NOT NULL REFERENCES users (id),
    -- the scopes that it was granted, separated by spaces
    scopes TEXT NOT NULL,
    -- its registered public keys as a JWK set
    jwks TEXT,
    -- when it last got an access token, to the minute
    last_used_at INTEGER
) STRICT;

CREATE TABLE client_secrets (
    id BLOB PRIMARY KEY NOT NULL,
    client_id BLOB NOT NULL REFERENCES clients (user_id),
    -- SHA-256 of a secret of 256 random bits
    secret_hash BLOB NOT NULL CONSTRAINT client_secrets_hash CHECK (length(secret_hash) = 32),
    created_at INTEGER NOT NULL,
    ends_at INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE INDEX client_secrets_client ON client_secrets (client_id);
CREATE INDEX client_secrets_ended ON client_secrets (ends_at) WHERE ends_at IS NOT NULL;

-- Assertions that were used. Each works once.
CREATE TABLE client_assertions (
    client_id BLOB NOT NULL REFERENCES clients (user_id),
    -- SHA-256 of the `jti`
    jti_hash BLOB NOT NULL CONSTRAINT client_assertions_hash CHECK (length(jti_hash) = 32),
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, jti_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_assertions_expired ON client_assertions (expires_at);
