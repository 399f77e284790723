-- When a practitioner is away, or there beyond the weekly hours.
CREATE TABLE practitioner_exceptions (
    id BLOB PRIMARY KEY,
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    kind TEXT NOT NULL CONSTRAINT practitioner_exceptions_kind CHECK (kind IN ('time_off', 'extra_hours')),
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    -- of time off: NULL is everywhere
    location_id BLOB REFERENCES locations (id),
    reason BLOB NOT NULL,
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    CONSTRAINT practitioner_exceptions_order CHECK (ends_at > starts_at),
    CONSTRAINT practitioner_exceptions_place CHECK (kind = 'time_off' OR location_id IS NOT NULL)
) STRICT;

CREATE INDEX practitioner_exceptions_practitioner ON practitioner_exceptions (practitioner_id, starts_at, id);

-- When a location is closed: a day of its own calendar, or between two instants.
CREATE TABLE location_closures (
    id BLOB PRIMARY KEY,
    location_id BLOB NOT NULL REFERENCES locations (id),
    day TEXT,
    starts_at INTEGER,
    ends_at INTEGER,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT location_closures_day UNIQUE (location_id, day),
    CONSTRAINT location_closures_instants UNIQUE (location_id, starts_at, ends_at),
    CONSTRAINT location_closures_form CHECK (
        (day IS NULL) = (starts_at IS NOT NULL) AND (starts_at IS NULL) = (ends_at IS NULL)
    ),
    CONSTRAINT location_closures_order CHECK (ends_at > starts_at)
) STRICT;
