DELETE FROM idempotency_keys;
ALTER TABLE idempotency_keys ADD COLUMN fingerprint bytea NOT NULL;
