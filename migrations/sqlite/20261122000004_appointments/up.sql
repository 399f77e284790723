CREATE TABLE appointments (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id),
    practitioner_id BLOB NOT NULL REFERENCES practitioners (id),
    location_id BLOB NOT NULL REFERENCES locations (id),
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    status TEXT NOT NULL CONSTRAINT appointments_status
        CHECK (status IN ('booked', 'checked-in', 'fulfilled', 'cancelled', 'noshow')),
    confirmation_code TEXT NOT NULL CONSTRAINT appointments_confirmation_code UNIQUE,
    -- of the calendar entry (RFC 5545 SEQUENCE)
    sequence INTEGER NOT NULL,
    note BLOB,
    -- JSON, as it is shown; appointment_identifiers finds it
    identifiers TEXT NOT NULL,
    -- the account that booked
    booked_by BLOB REFERENCES users (id),
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT appointments_order CHECK (ends_at > starts_at)
) STRICT;

CREATE INDEX appointments_updated ON appointments (updated_at, id);
CREATE INDEX appointments_starts ON appointments (starts_at, id);
CREATE INDEX appointments_patient ON appointments (patient_id, starts_at, id);
CREATE INDEX appointments_practitioner ON appointments (practitioner_id, starts_at, id);
CREATE INDEX appointments_location ON appointments (location_id, starts_at, id);

-- A doctor is in one place at a time, whatever the slots say; and so is a patient. As the rows that count never overlap,
-- only the nearest that starts before the new one's end can reach into it: one look at the index.
CREATE INDEX appointments_practitioner_live ON appointments (practitioner_id, starts_at) WHERE status <> 'cancelled';

CREATE TRIGGER appointments_practitioner_overlap_insert BEFORE INSERT ON appointments
WHEN NEW.status <> 'cancelled'
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT ends_at FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND starts_at < NEW.ends_at AND id <> NEW.id AND status <> 'cancelled'
        ORDER BY starts_at DESC LIMIT 1
    ) > NEW.starts_at;
END;

CREATE TRIGGER appointments_practitioner_overlap_update BEFORE UPDATE ON appointments
WHEN NEW.status <> 'cancelled'
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT ends_at FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND starts_at < NEW.ends_at AND id <> NEW.id AND status <> 'cancelled'
        ORDER BY starts_at DESC LIMIT 1
    ) > NEW.starts_at;
END;

CREATE INDEX appointments_patient_live ON appointments (patient_id, starts_at) WHERE status IN ('booked', 'checked-in');

CREATE TRIGGER appointments_patient_overlap_insert BEFORE INSERT ON appointments
WHEN NEW.status IN ('booked', 'checked-in')
BEGIN
    SELECT RAISE(ABORT, 'appointments_patient_overlap')
    WHERE (
        SELECT ends_at FROM appointments INDEXED BY appointments_patient_live
        WHERE patient_id = NEW.patient_id AND starts_at < NEW.ends_at AND id <> NEW.id AND status IN ('booked', 'checked-in')
        ORDER BY starts_at DESC LIMIT 1
    ) > NEW.starts_at;
END;

CREATE TRIGGER appointments_patient_overlap_update BEFORE UPDATE ON appointments
WHEN NEW.status IN ('booked', 'checked-in')
BEGIN
    SELECT RAISE(ABORT, 'appointments_patient_overlap')
    WHERE (
        SELECT ends_at FROM appointments INDEXED BY appointments_patient_live
        WHERE patient_id = NEW.patient_id AND starts_at < NEW.ends_at AND id <> NEW.id AND status IN ('booked', 'checked-in')
        ORDER BY starts_at DESC LIMIT 1
    ) > NEW.starts_at;
END;

-- Every change of an appointment, oldest first by id; never updated.
CREATE TABLE appointment_history (
    id BLOB PRIMARY KEY,
    appointment_id BLOB NOT NULL REFERENCES appointments (id),
    at INTEGER NOT NULL,
    actor_id BLOB REFERENCES users (id),
    action TEXT NOT NULL CONSTRAINT appointment_history_action
        CHECK (action IN ('book', 'reschedule', 'cancel', 'check-in', 'no-show', 'complete', 'undo', 'amend')),
    from_status TEXT,
    to_status TEXT NOT NULL,
    practitioner_id BLOB NOT NULL,
    location_id BLOB NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    reason BLOB
) STRICT;

CREATE INDEX appointment_history_appointment ON appointment_history (appointment_id, id);
