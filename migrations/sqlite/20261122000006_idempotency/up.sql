-- The answers of requests that carried an Idempotency-Key, kept for a day or more.
CREATE TABLE idempotency_keys (
    -- the nil UUID for a caller who is not signed in
    actor_id BLOB NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    -- HMAC of the request
    fingerprint BLOB NOT NULL,
    status INTEGER NOT NULL,
    -- headers and body of the answer; sealed
    answer BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (actor_id, operation, key)
) STRICT;

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
