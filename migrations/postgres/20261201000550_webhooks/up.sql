-- Receivers of events. Each is a reader of the numbered sequence with a place in it, so an event has no row for each receiver.
CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    description text,
    -- the types of events that it gets, separated by spaces; empty: all
    event_types text NOT NULL,
    -- the secret that signs; sealed
    secret bytea NOT NULL,
    secret_created_at timestamptz NOT NULL,
    -- the secret before it, which signs as well until it ends; sealed
    previous_secret bytea,
    previous_secret_created_at timestamptz,
    previous_secret_ends_at timestamptz,
    status text NOT NULL CONSTRAINT webhook_endpoints_status CHECK (status IN ('active', 'paused')),
    paused_reason text,
    paused_at timestamptz,
    -- it has every event up to this number that it asked for
    delivered_through_seq bigint NOT NULL,
    -- events that are sent to it again, before the next new one
    redeliver_from_seq bigint,
    redeliver_through_seq bigint,
    -- events that were deleted before they could be delivered
    missing_from_seq bigint,
    missing_through_seq bigint,
    failing_since timestamptz,
    failed_attempts integer NOT NULL,
    next_attempt_at timestamptz,
    -- the instance that delivers has it until then
    leased_until timestamptz,
    version integer NOT NULL,
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT webhook_endpoints_paused CHECK ((status = 'paused') = (paused_at IS NOT NULL AND paused_reason IS NOT NULL)),
    CONSTRAINT webhook_endpoints_previous CHECK (
        (previous_secret IS NULL) = (previous_secret_created_at IS NULL) AND (previous_secret IS NULL) = (previous_secret_ends_at IS NULL)
    ),
    CONSTRAINT webhook_endpoints_redeliver CHECK ((redeliver_from_seq IS NULL) = (redeliver_through_seq IS NULL)),
    CONSTRAINT webhook_endpoints_missing CHECK ((missing_from_seq IS NULL) = (missing_through_seq IS NULL))
);
CREATE INDEX webhook_endpoints_created ON webhook_endpoints (created_at, id);

-- The log of deliveries.
CREATE TABLE webhook_attempts (
    id uuid PRIMARY KEY,
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    kind text NOT NULL CONSTRAINT webhook_attempts_kind CHECK (kind IN ('delivery', 'redelivery', 'test')),
    -- none for a test
    event_seq bigint,
    -- the last number of events that were deleted before they could be delivered
    through_seq bigint,
    attempted_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    -- the HTTP status of the response
    status_code integer,
    -- none if it was delivered
    failure text
);
CREATE INDEX webhook_attempts_endpoint ON webhook_attempts (endpoint_id, attempted_at, id);
CREATE INDEX webhook_attempts_attempted ON webhook_attempts (attempted_at, id);
