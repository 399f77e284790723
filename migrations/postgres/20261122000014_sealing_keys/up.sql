-- Every data key under which anything in this database may be sealed.
CREATE TABLE sealing_keys (
    id text PRIMARY KEY,
    -- sealed under this very key: another key of the same name does not open it
    proof bytea NOT NULL,
    first_used_at timestamptz NOT NULL
);
