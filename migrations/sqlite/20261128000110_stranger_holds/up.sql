-- A caller without an account can hold a time, and an account can have several holds. SQLite cannot change the constraints of a table,
-- so the table is made again; no other table refers to it.
CREATE TABLE holds_new (
    id BLOB PRIMARY KEY,
    -- NULL if a caller without an account holds it
    user_id BLOB REFERENCES users (id),
    slot_id BLOB NOT NULL,
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    expires_at INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- which of the account's holds it is, from 0
    place INTEGER NOT NULL DEFAULT 0,
    -- hash of the secret of a caller without an account, and keyed hashes of the caller's address and network, under which it is counted
    secret_hash BLOB,
    caller BLOB,
    network BLOB,
    -- whether a registration carries it
    reserved INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT holds_place UNIQUE (user_id, place),
    CONSTRAINT holds_secret UNIQUE (secret_hash),
    CONSTRAINT holds_holder CHECK (
        (user_id IS NULL) = (secret_hash IS NOT NULL)
        AND (secret_hash IS NULL) = (caller IS NULL)
        AND (secret_hash IS NULL) = (network IS NULL)
    )
) STRICT;

INSERT INTO holds_new (id, user_id, slot_id, visit_type_id, expires_at, renewed, created_at)
    SELECT id, user_id, slot_id, visit_type_id, expires_at, renewed, created_at FROM holds;
DROP TABLE holds;
ALTER TABLE holds_new RENAME TO holds;

CREATE INDEX holds_network ON holds (network, expires_at) WHERE network IS NOT NULL;
CREATE INDEX holds_expires ON holds (expires_at);
