CREATE TABLE locations (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    address text NOT NULL,
    phone text NOT NULL,
    -- ISO 3166-1 alpha-2
    country text NOT NULL,
    -- IANA name
    time_zone text NOT NULL,
    slot_minutes integer NOT NULL CONSTRAINT locations_slot_minutes CHECK (slot_minutes BETWEEN 5 AND 240),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE visit_types (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    -- neutral: it stands in mails and calendars
    public_name text NOT NULL,
    duration_minutes integer NOT NULL CONSTRAINT visit_types_duration CHECK (duration_minutes BETWEEN 5 AND 480),
    online_bookable boolean NOT NULL,
    booking_notice_minutes integer NOT NULL CONSTRAINT visit_types_booking_notice CHECK (booking_notice_minutes >= 0),
    cancel_notice_minutes integer NOT NULL CONSTRAINT visit_types_cancel_notice CHECK (cancel_notice_minutes >= 0),
    active boolean NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE TABLE practitioners (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    active boolean NOT NULL,
    -- JSON, as it is shown; practitioner_identifiers finds it
    identifiers text NOT NULL,
    -- of the practitioner with visit types and locations
    version integer NOT NULL,
    -- of the weekly hours
    availability_version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

ALTER TABLE users
    ADD CONSTRAINT users_practitioner FOREIGN KEY (practitioner_id) REFERENCES practitioners (id);

CREATE TABLE practitioner_visit_types (
    practitioner_id uuid NOT NULL REFERENCES practitioners (id),
    visit_type_id uuid NOT NULL CONSTRAINT practitioner_visit_types_visit_type REFERENCES visit_types (id),
    PRIMARY KEY (practitioner_id, visit_type_id)
);

CREATE TABLE practitioner_locations (
    practitioner_id uuid NOT NULL REFERENCES practitioners (id),
    location_id uuid NOT NULL CONSTRAINT practitioner_locations_location REFERENCES locations (id),
    PRIMARY KEY (practitioner_id, location_id)
);

-- Weekly hours in the civil time of the location.
CREATE TABLE availability (
    id uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES practitioners (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    -- ISO 8601: 1 is Monday
    weekday integer NOT NULL CONSTRAINT availability_weekday CHECK (weekday BETWEEN 1 AND 7),
    -- minutes since midnight; an end of 1440 is the midnight that ends the day
    start_minute integer NOT NULL CONSTRAINT availability_start CHECK (start_minute BETWEEN 0 AND 1439),
    end_minute integer NOT NULL,
    valid_from date,
    -- the last day on which it holds
    valid_until date,
    CONSTRAINT availability_order CHECK (end_minute > start_minute AND end_minute <= 1440),
    CONSTRAINT availability_validity CHECK (valid_until >= valid_from)
);

CREATE INDEX availability_practitioner ON availability (practitioner_id);

-- One per account at a time; it lapses by the clock.
CREATE TABLE holds (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL CONSTRAINT holds_user UNIQUE REFERENCES users (id),
    slot_id uuid NOT NULL,
    visit_type_id uuid NOT NULL REFERENCES visit_types (id),
    expires_at timestamptz NOT NULL,
    renewed boolean NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE slots (
    id uuid PRIMARY KEY,
    practitioner_id uuid NOT NULL REFERENCES practitioners (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    appointment_id uuid,
    hold_id uuid,
    held_until timestamptz,
    blocked_reason bytea,
    -- why the plan does not give a slot that is booked, and since when
    off_plan text CONSTRAINT slots_off_plan_reason CHECK (off_plan IN ('time_off', 'closure', 'hours')),
    off_plan_since timestamptz,
    CONSTRAINT slots_off_plan_since CHECK ((off_plan IS NULL) = (off_plan_since IS NULL)),
    CONSTRAINT slots_start UNIQUE (practitioner_id, starts_at),
    CONSTRAINT slots_order CHECK (ends_at > starts_at),
    CONSTRAINT slots_hold CHECK ((hold_id IS NULL) = (held_until IS NULL))
);

CREATE INDEX slots_free ON slots (starts_at, id) WHERE appointment_id IS NULL AND blocked_reason IS NULL;
CREATE INDEX slots_free_practitioner ON slots (practitioner_id, starts_at, id)
    WHERE appointment_id IS NULL AND blocked_reason IS NULL;
CREATE INDEX slots_appointment ON slots (appointment_id) WHERE appointment_id IS NOT NULL;
CREATE INDEX slots_off_plan ON slots (appointment_id) WHERE off_plan IS NOT NULL;
CREATE INDEX slots_hold_id ON slots (hold_id) WHERE hold_id IS NOT NULL;
