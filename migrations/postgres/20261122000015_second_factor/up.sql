-- What a person's authenticator app computes its codes from. It counts once users.second_factor_at is set.
CREATE TABLE second_factors (
    user_id uuid PRIMARY KEY REFERENCES users (id),
    -- sealed
    secret bytea NOT NULL,
    -- the time step of the last code that was taken; no code of it or of an earlier one is taken again
    last_step bigint NOT NULL,
    created_at timestamptz NOT NULL
);

-- What stands in for a code where the app is lost. Each works once.
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id),
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (user_id, code_hash)
);

-- Failed tries to sign in, counted by account, by network, and by both. Keyed hashes, empty where a count is for all.
CREATE TABLE sign_in_failures (
    account bytea NOT NULL,
    network bytea NOT NULL,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL,
    -- no try before this instant
    retry_at timestamptz NOT NULL,
    PRIMARY KEY (account, network)
);

CREATE INDEX sign_in_failures_last ON sign_in_failures (last_at);
