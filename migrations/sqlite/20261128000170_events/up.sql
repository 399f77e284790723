-- What has changed: ids and routing facts, never health data, names or reasons. Triggers write the rows in the transaction of the change,
-- so no statement can leave them out. A background job numbers them after the commit, without gaps.
CREATE TABLE events (
    -- Rows of one subject are written one after the other, so their ids have the order of its changes.
    id INTEGER PRIMARY KEY,
    seq INTEGER CONSTRAINT events_seq UNIQUE,
    kind TEXT NOT NULL,
    subject_type TEXT NOT NULL,
    subject_id BLOB NOT NULL,
    subject_version INTEGER,
    -- No foreign keys: an event outlives what it is about.
    patient_id BLOB,
    practitioner_id BLOB,
    location_id BLOB,
    -- None for a deletion until the event is numbered.
    occurred_at INTEGER,
    CONSTRAINT events_numbered CHECK (seq IS NULL OR occurred_at IS NOT NULL)
) STRICT;

CREATE INDEX events_unnumbered ON events (id) WHERE seq IS NULL;
CREATE INDEX events_patient ON events (patient_id, seq);

CREATE TRIGGER appointments_insert_event AFTER INSERT ON appointments
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, practitioner_id, location_id, occurred_at)
    VALUES ('appointment.booked', 'appointment', NEW.id, NEW.version, NEW.patient_id, NEW.practitioner_id, NEW.location_id, NEW.updated_at);
END;

CREATE TRIGGER appointments_update_event AFTER UPDATE ON appointments
WHEN NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, practitioner_id, location_id, occurred_at)
    VALUES (
        CASE
            WHEN NEW.sequence <> OLD.sequence AND NEW.status <> 'cancelled' THEN 'appointment.rescheduled'
            WHEN NEW.status = OLD.status THEN 'appointment.updated'
            ELSE CASE NEW.status
                WHEN 'cancelled' THEN 'appointment.cancelled'
                WHEN 'checked-in' THEN CASE OLD.status WHEN 'fulfilled' THEN 'appointment.reopened' ELSE 'appointment.checked_in' END
                WHEN 'fulfilled' THEN 'appointment.completed'
                WHEN 'noshow' THEN 'appointment.no_show'
                ELSE 'appointment.reopened'
            END
        END,
        'appointment', NEW.id, NEW.version, NEW.patient_id, NEW.practitioner_id, NEW.location_id, NEW.updated_at
    );
END;

CREATE TRIGGER appointments_delete_event AFTER DELETE ON appointments
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, patient_id, practitioner_id, location_id)
    VALUES ('appointment.deleted', 'appointment', OLD.id, OLD.patient_id, OLD.practitioner_id, OLD.location_id);
END;

CREATE TRIGGER patients_insert_event AFTER INSERT ON patients
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES ('patient.created', 'patient', NEW.id, NEW.version, NEW.id, NEW.updated_at);
END;

CREATE TRIGGER patients_update_event AFTER UPDATE ON patients
WHEN NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES ('patient.updated', 'patient', NEW.id, NEW.version, NEW.id, NEW.updated_at);
END;

CREATE TRIGGER patients_delete_event AFTER DELETE ON patients
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, patient_id)
    VALUES ('patient.deleted', 'patient', OLD.id, OLD.id);
END;

CREATE TRIGGER intakes_insert_event AFTER INSERT ON intakes
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES ('intake.started', 'intake', NEW.id, NEW.version, NEW.patient_id, NEW.updated_at);
END;

-- A draft is saved with every answer, so only its status counts.
CREATE TRIGGER intakes_update_event AFTER UPDATE ON intakes
WHEN NEW.status <> OLD.status OR NEW.reviewed_at IS NOT OLD.reviewed_at
    OR (NEW.status <> 'in-progress' AND NEW.version <> OLD.version)
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE
            WHEN NEW.status = 'entered-in-error' AND NEW.status <> OLD.status THEN 'intake.voided'
            WHEN OLD.status = 'in-progress' AND NEW.status <> OLD.status THEN 'intake.submitted'
            WHEN NEW.reviewed_at IS NOT NULL AND NEW.reviewed_at IS NOT OLD.reviewed_at THEN 'intake.reviewed'
            ELSE 'intake.amended'
        END,
        'intake', NEW.id, NEW.version, NEW.patient_id, NEW.updated_at
    );
END;

CREATE TRIGGER intakes_delete_event AFTER DELETE ON intakes
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, patient_id)
    VALUES ('intake.deleted', 'intake', OLD.id, OLD.patient_id);
END;
