-- The secret address under which a practitioner's own calendar program reads their visits. A revoked one stays, so that programs which still
-- ask for it are not taken for callers who guess.
CREATE TABLE calendar_feeds (
    id BLOB PRIMARY KEY NOT NULL,
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id) ON DELETE CASCADE,
    -- SHA-256 of the token in the address
    token_hash BLOB NOT NULL CONSTRAINT calendar_feeds_hash CHECK (length(token_hash) = 32),
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE UNIQUE INDEX calendar_feeds_token ON calendar_feeds (token_hash);
CREATE UNIQUE INDEX calendar_feeds_live ON calendar_feeds (practitioner_id) WHERE revoked_at IS NULL;
CREATE INDEX users_of_practitioner ON users (practitioner_id) WHERE practitioner_id IS NOT NULL;
