-- What has changed: ids and routing facts, never health data, names or reasons. Triggers write the rows in the transaction of the change,
-- so no statement can leave them out. A background job numbers them after the commit, without gaps.
CREATE TABLE events (
    -- Drawn while the transaction has the lock of the subject's row, so the ids of one subject have the order of its changes.
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq bigint CONSTRAINT events_seq UNIQUE,
    kind text NOT NULL,
    subject_type text NOT NULL,
    subject_id uuid NOT NULL,
    subject_version integer,
    -- No foreign keys: an event outlives what it is about.
    patient_id uuid,
    practitioner_id uuid,
    location_id uuid,
    -- None for a deletion until the event is numbered.
    occurred_at timestamptz,
    CONSTRAINT events_numbered CHECK (seq IS NULL OR occurred_at IS NOT NULL)
);

CREATE INDEX events_unnumbered ON events (id) WHERE seq IS NULL;
CREATE INDEX events_patient ON events (patient_id, seq);

CREATE FUNCTION appointments_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, patient_id, practitioner_id, location_id)
        VALUES ('appointment.deleted', 'appointment', OLD.id, OLD.patient_id, OLD.practitioner_id, OLD.location_id);
        RETURN NULL;
    END IF;
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, practitioner_id, location_id, occurred_at)
    VALUES (
        CASE
            WHEN TG_OP = 'INSERT' THEN 'appointment.booked'
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
    RETURN NULL;
END $$;

CREATE FUNCTION patients_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, patient_id)
        VALUES ('patient.deleted', 'patient', OLD.id, OLD.id);
        RETURN NULL;
    END IF;
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE TG_OP WHEN 'INSERT' THEN 'patient.created' ELSE 'patient.updated' END,
        'patient', NEW.id, NEW.version, NEW.id, NEW.updated_at
    );
    RETURN NULL;
END $$;

CREATE FUNCTION intakes_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, patient_id)
        VALUES ('intake.deleted', 'intake', OLD.id, OLD.patient_id);
        RETURN NULL;
    END IF;
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE
            WHEN TG_OP = 'INSERT' THEN 'intake.started'
            WHEN NEW.status = 'entered-in-error' AND NEW.status <> OLD.status THEN 'intake.voided'
            WHEN OLD.status = 'in-progress' AND NEW.status <> OLD.status THEN 'intake.submitted'
            WHEN NEW.reviewed_at IS NOT NULL AND NEW.reviewed_at IS DISTINCT FROM OLD.reviewed_at THEN 'intake.reviewed'
            ELSE 'intake.amended'
        END,
        'intake', NEW.id, NEW.version, NEW.patient_id, NEW.updated_at
    );
    RETURN NULL;
END $$;

CREATE TRIGGER appointments_insert_event AFTER INSERT ON appointments
FOR EACH ROW EXECUTE FUNCTION appointments_event();
CREATE TRIGGER appointments_update_event AFTER UPDATE ON appointments
FOR EACH ROW WHEN (NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at) EXECUTE FUNCTION appointments_event();
CREATE TRIGGER appointments_delete_event AFTER DELETE ON appointments
FOR EACH ROW EXECUTE FUNCTION appointments_event();

CREATE TRIGGER patients_insert_event AFTER INSERT ON patients
FOR EACH ROW EXECUTE FUNCTION patients_event();
CREATE TRIGGER patients_update_event AFTER UPDATE ON patients
FOR EACH ROW WHEN (NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at) EXECUTE FUNCTION patients_event();
CREATE TRIGGER patients_delete_event AFTER DELETE ON patients
FOR EACH ROW EXECUTE FUNCTION patients_event();

CREATE TRIGGER intakes_insert_event AFTER INSERT ON intakes
FOR EACH ROW EXECUTE FUNCTION intakes_event();
-- A draft is saved with every answer, so only its status counts.
CREATE TRIGGER intakes_update_event AFTER UPDATE ON intakes
FOR EACH ROW WHEN (
    NEW.status <> OLD.status OR NEW.reviewed_at IS DISTINCT FROM OLD.reviewed_at
    OR (NEW.status <> 'in-progress' AND NEW.version <> OLD.version)
) EXECUTE FUNCTION intakes_event();
CREATE TRIGGER intakes_delete_event AFTER DELETE ON intakes
FOR EACH ROW EXECUTE FUNCTION intakes_event();
