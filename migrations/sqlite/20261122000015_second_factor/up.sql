-- What a person's authenticator app computes its codes from. It counts once users.second_factor_at is set.
CREATE TABLE second_factors (
    user_id BLOB PRIMARY KEY REFERENCES users (id),
    -- sealed
    secret BLOB NOT NULL,
    -- the time step of the last code that was taken; no code of it or of an earlier one is taken again
    last_step INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- What stands in for a code where the app is lost. Each works once.
CREATE TABLE recovery_codes (
    user_id BLOB NOT NULL REFERENCES users (id),
    code_hash BLOB NOT NULL,
    used_at INTEGER,
    PRIMARY KEY (user_id, code_hash)
) STRICT;

-- Failed tries to sign in, counted by account, by network, and by both. Keyed hashes, empty where a count is for all.
CREATE TABLE sign_in_failures (
    account BLOB NOT NULL,
    network BLOB NOT NULL,
    failures INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    -- no try before this instant
    retry_at INTEGER NOT NULL,
    PRIMARY KEY (account, network)
) STRICT;

CREATE INDEX sign_in_failures_last ON sign_in_failures (last_at);
