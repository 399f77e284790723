CREATE TABLE locations (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    phone TEXT NOT NULL,
    -- ISO 3166-1 alpha-2
    country TEXT NOT NULL,
    -- IANA name
    time_zone TEXT NOT NULL,
    slot_minutes INTEGER NOT NULL CONSTRAINT locations_slot_minutes CHECK (slot_minutes BETWEEN 5 AND 240),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE visit_types (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    -- neutral: it stands in mails and calendars
    public_name TEXT NOT NULL,
    duration_minutes INTEGER NOT NULL CONSTRAINT visit_types_duration CHECK (duration_minutes BETWEEN 5 AND 480),
    online_bookable INTEGER NOT NULL,
    booking_notice_minutes INTEGER NOT NULL CONSTRAINT visit_types_booking_notice CHECK (booking_notice_minutes >= 0),
    cancel_notice_minutes INTEGER NOT NULL CONSTRAINT visit_types_cancel_notice CHECK (cancel_notice_minutes >= 0),
    active INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE practitioners (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    active INTEGER NOT NULL,
    -- JSON, as it is shown; practitioner_identifiers finds it
    identifiers TEXT NOT NULL,
    -- of the practitioner with visit types and locations
    version INTEGER NOT NULL,
    -- of the weekly hours
    availability_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE practitioner_visit_types (
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    visit_type_id BLOB NOT NULL CONSTRAINT practitioner_visit_types_visit_type REFERENCES visit_types (id),
    PRIMARY KEY (practitioner_id, visit_type_id)
) STRICT;

CREATE TABLE practitioner_locations (
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    location_id BLOB NOT NULL CONSTRAINT practitioner_locations_location REFERENCES locations (id),
    PRIMARY KEY (practitioner_id, location_id)
) STRICT;

-- Weekly hours in the civil time of the location.
CREATE TABLE availability (
    id BLOB PRIMARY KEY,
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    -- ISO 8601: 1 is Monday
    weekday INTEGER NOT NULL CONSTRAINT availability_weekday CHECK (weekday BETWEEN 1 AND 7),
    -- minutes since midnight; an end of 1440 is the midnight that ends the day
    start_minute INTEGER NOT NULL CONSTRAINT availability_start CHECK (start_minute BETWEEN 0 AND 1439),
    end_minute INTEGER NOT NULL,
    valid_from TEXT,
    -- the last day on which it holds
    valid_until TEXT,
    CONSTRAINT availability_order CHECK (end_minute > start_minute AND end_minute <= 1440),
    CONSTRAINT availability_validity CHECK (valid_until >= valid_from)
) STRICT;

CREATE INDEX availability_practitioner ON availability (practitioner_id);

-- One per account at a time; it lapses by the clock.
CREATE TABLE holds (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL CONSTRAINT holds_user UNIQUE REFERENCES users (id),
    slot_id BLOB NOT NULL,
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    expires_at INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE slots (
    id BLOB PRIMARY KEY,
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    appointment_id BLOB CONSTRAINT slots_appointment REFERENCES appointments (id) DEFERRABLE INITIALLY DEFERRED,
    hold_id BLOB,
    held_until INTEGER,
    blocked_reason BLOB,
    -- why the plan does not give a slot that is booked, and since when
    off_plan TEXT CONSTRAINT slots_off_plan_reason CHECK (off_plan IN ('time_off', 'closure', 'hours')),
    off_plan_since INTEGER,
    CONSTRAINT slots_off_plan_since CHECK ((off_plan IS NULL) = (off_plan_since IS NULL)),
    CONSTRAINT slots_start UNIQUE (practitioner_id, starts_at),
    CONSTRAINT slots_order CHECK (ends_at > starts_at),
    CONSTRAINT slots_hold CHECK ((hold_id IS NULL) = (held_until IS NULL))
) STRICT;

CREATE INDEX slots_free ON slots (starts_at, id) WHERE appointment_id IS NULL AND blocked_reason IS NULL;
CREATE INDEX slots_free_practitioner ON slots (practitioner_id, starts_at, id)
    WHERE appointment_id IS NULL AND blocked_reason IS NULL;
CREATE INDEX slots_appointment ON slots (appointment_id) WHERE appointment_id IS NOT NULL;
CREATE INDEX slots_off_plan ON slots (appointment_id) WHERE off_plan IS NOT NULL;
CREATE INDEX slots_hold_id ON slots (hold_id) WHERE hold_id IS NOT NULL;
