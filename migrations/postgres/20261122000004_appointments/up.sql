CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE TABLE appointments (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    practitioner_id uuid NOT NULL REFERENCES practitioners (id),
    location_id uuid NOT NULL REFERENCES locations (id),
    visit_type_id uuid NOT NULL REFERENCES visit_types (id),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    status text NOT NULL CONSTRAINT appointments_status
        CHECK (status IN ('booked', 'checked-in', 'fulfilled', 'cancelled', 'noshow')),
    confirmation_code text NOT NULL CONSTRAINT appointments_confirmation_code UNIQUE,
    -- of the calendar entry (RFC 5545 SEQUENCE)
    sequence integer NOT NULL,
    note bytea,
    -- JSON, as it is shown; appointment_identifiers finds it
    identifiers text NOT NULL,
    -- the account that booked
    booked_by uuid REFERENCES users (id),
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT appointments_order CHECK (ends_at > starts_at),
    -- A doctor is in one place at a time, whatever the slots say.
    CONSTRAINT appointments_practitioner_overlap
        EXCLUDE USING gist (practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
        WHERE (status <> 'cancelled'),
    CONSTRAINT appointments_patient_overlap
        EXCLUDE USING gist (patient_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
        WHERE (status IN ('booked', 'checked-in'))
);

CREATE INDEX appointments_updated ON appointments (updated_at, id);
CREATE INDEX appointments_starts ON appointments (starts_at, id);
CREATE INDEX appointments_patient ON appointments (patient_id, starts_at, id);
CREATE INDEX appointments_practitioner ON appointments (practitioner_id, starts_at, id);
CREATE INDEX appointments_location ON appointments (location_id, starts_at, id);

ALTER TABLE slots
    ADD CONSTRAINT slots_appointment FOREIGN KEY (appointment_id) REFERENCES appointments (id) DEFERRABLE INITIALLY DEFERRED;

-- Every change of an appointment, oldest first by id; never updated.
CREATE TABLE appointment_history (
    id uuid PRIMARY KEY,
    appointment_id uuid NOT NULL REFERENCES appointments (id),
    at timestamptz NOT NULL,
    actor_id uuid REFERENCES users (id),
    action text NOT NULL CONSTRAINT appointment_history_action
        CHECK (action IN ('book', 'reschedule', 'cancel', 'check-in', 'no-show', 'complete', 'undo', 'amend')),
    from_status text,
    to_status text NOT NULL,
    practitioner_id uuid NOT NULL,
    location_id uuid NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    reason bytea
);

CREATE INDEX appointment_history_appointment ON appointment_history (appointment_id, id);
