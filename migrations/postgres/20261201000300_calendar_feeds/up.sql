-- The secret address under which a practitioner's own calendar program reads their visits. A revoked one stays, so that programs which still
-- ask for it are not taken for callers who guess.
CREATE TABLE calendar_feeds (
    id uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES practitioners (id) ON DELETE CASCADE,
    -- SHA-256 of the token in the address
    token_hash bytea NOT NULL CONSTRAINT calendar_feeds_hash CHECK (length(token_hash) = 32),
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);

CREATE UNIQUE INDEX calendar_feeds_token ON calendar_feeds (token_hash);
CREATE UNIQUE INDEX calendar_feeds_live ON calendar_feeds (practitioner_id) WHERE revoked_at IS NULL;
CREATE INDEX users_of_practitioner ON users (practitioner_id) WHERE practitioner_id IS NOT NULL;
