-- Receivers of events. Each is a reader of the numbered sequence with a place in it, so an event has no row for each receiver.
CREATE TABLE webhook_endpoints (
    id BLOB PRIMARY KEY NOT NULL,
    url TEXT NOT NULL,
    description TEXT,
    -- the types of events that it gets, separated by spaces; empty: all
    event_types TEXT NOT NULL,
    -- the secret that signs; sealed
    secret BLOB NOT NULL,
    secret_created_at INTEGER NOT NULL,
    -- the secret before it, which signs as well until it ends; sealed
    previous_secret BLOB,
    previous_secret_created_at INTEGER,
    previous_secret_ends_at INTEGER,
    status TEXT NOT NULL CONSTRAINT webhook_endpoints_status CHECK (status IN ('active', 'paused')),
    paused_reason TEXT,
    paused_at INTEGER,
    -- it has every event up to this number that it asked for
    delivered_through_seq INTEGER NOT NULL,
    -- events that are sent to it again, before the next new one
    redeliver_from_seq INTEGER,
    redeliver_through_seq INTEGER,
    -- events that were deleted before they could be delivered
    missing_from_seq INTEGER,
    missing_through_seq INTEGER,
    failing_since INTEGER,
    failed_attempts INTEGER NOT NULL,
    next_attempt_at INTEGER,
    -- the instance that delivers has it until then
    leased_until INTEGER,
    version INTEGER NOT NULL,
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT webhook_endpoints_paused CHECK ((status = 'paused') = (paused_at IS NOT NULL AND paused_reason IS NOT NULL)),
    CONSTRAINT webhook_endpoints_previous CHECK (
        (previous_secret IS NULL) = (previous_secret_created_at IS NULL) AND (previous_secret IS NULL) = (previous_secret_ends_at IS NULL)
    ),
    CONSTRAINT webhook_endpoints_redeliver CHECK ((redeliver_from_seq IS NULL) = (redeliver_through_seq IS NULL)),
    CONSTRAINT webhook_endpoints_missing CHECK ((missing_from_seq IS NULL) = (missing_through_seq IS NULL))
) STRICT;
CREATE INDEX webhook_endpoints_created ON webhook_endpoints (created_at, id);

-- The log of deliveries.
CREATE TABLE webhook_attempts (
    id BLOB PRIMARY KEY NOT NULL,
    endpoint_id BLOB NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CONSTRAINT webhook_attempts_kind CHECK (kind IN ('delivery', 'redelivery', 'test')),
    -- none for a test
    event_seq INTEGER,
    -- the last number of events that were deleted before they could be delivered
    through_seq INTEGER,
    attempted_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    -- the HTTP status of the response
    status_code INTEGER,
    -- none if it was delivered
    failure TEXT
) STRICT;
CREATE INDEX webhook_attempts_endpoint ON webhook_attempts (endpoint_id, attempted_at, id);
CREATE INDEX webhook_attempts_attempted ON webhook_attempts (attempted_at, id);
