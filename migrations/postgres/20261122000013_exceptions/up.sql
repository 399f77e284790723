-- When a practitioner is away, or there beyond the weekly hours.
CREATE TABLE practitioner_exceptions (
    id uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES practitioners (id),
    kind text NOT NULL CONSTRAINT practitioner_exceptions_kind CHECK (kind IN ('time_off', 'extra_hours')),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- of time off: NULL is everywhere
    location_id uuid REFERENCES locations (id),
    reason bytea NOT NULL,
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    CONSTRAINT practitioner_exceptions_order CHECK (ends_at > starts_at),
    CONSTRAINT practitioner_exceptions_place CHECK (kind = 'time_off' OR location_id IS NOT NULL)
);

CREATE INDEX practitioner_exceptions_practitioner ON practitioner_exceptions (practitioner_id, starts_at, id);

-- When a location is closed: a day of its own calendar, or between two instants.
CREATE TABLE location_closures (
    id uuid PRIMARY KEY,
    location_id uuid NOT NULL REFERENCES locations (id),
    day date,
    starts_at timestamptz,
    ends_at timestamptz,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT location_closures_day UNIQUE (location_id, day),
    CONSTRAINT location_closures_instants UNIQUE (location_id, starts_at, ends_at),
    CONSTRAINT location_closures_form CHECK (
        (day IS NULL) = (starts_at IS NOT NULL) AND (starts_at IS NULL) = (ends_at IS NULL)
    ),
    CONSTRAINT location_closures_order CHECK (ends_at > starts_at)
);
