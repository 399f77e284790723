-- The answers of requests that carried an Idempotency-Key, kept for a day or more.
CREATE TABLE idempotency_keys (
    -- the nil UUID for a caller who is not signed in
    actor_id uuid NOT NULL,
    operation text NOT NULL,
    key text NOT NULL,
    -- HMAC of the request
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    -- headers and body of the answer; sealed
    answer bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (actor_id, operation, key)
);

CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
