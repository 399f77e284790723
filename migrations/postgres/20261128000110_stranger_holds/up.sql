-- A caller without an account can hold a time, and an account can have several holds.
ALTER TABLE holds ALTER COLUMN user_id DROP NOT NULL;
ALTER TABLE holds DROP CONSTRAINT holds_user;
-- which of the account's holds it is, from 0
ALTER TABLE holds ADD COLUMN place integer NOT NULL DEFAULT 0;
-- hash of the secret of a caller without an account, and keyed hashes of the caller's address and network, under which it is counted
ALTER TABLE holds ADD COLUMN secret_hash bytea;
ALTER TABLE holds ADD COLUMN caller bytea;
ALTER TABLE holds ADD COLUMN network bytea;
-- whether a registration carries it
ALTER TABLE holds ADD COLUMN reserved boolean NOT NULL DEFAULT false;
ALTER TABLE holds ADD CONSTRAINT holds_place UNIQUE (user_id, place);
ALTER TABLE holds ADD CONSTRAINT holds_secret UNIQUE (secret_hash);
ALTER TABLE holds ADD CONSTRAINT holds_holder CHECK (
    (user_id IS NULL) = (secret_hash IS NOT NULL)
    AND (secret_hash IS NULL) = (caller IS NULL)
    AND (secret_hash IS NULL) = (network IS NULL)
);

CREATE INDEX holds_network ON holds (network, expires_at) WHERE network IS NOT NULL;
CREATE INDEX holds_expires ON holds (expires_at);
