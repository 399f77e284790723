-- The other patients whom a response showed: their ids of 16 bytes each, in order, part of what the event's HMAC covers.
ALTER TABLE audit_events ADD COLUMN shown bytea;

-- The same patients by patient, so that each finds the lists that showed them. Written with the event, and gone with it.
CREATE TABLE audit_event_patients (
    patient_id uuid NOT NULL,
    at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    PRIMARY KEY (patient_id, at, event_id)
);

CREATE TRIGGER audit_event_patients_append_only BEFORE UPDATE ON audit_event_patients
FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_event_patients_no_truncate BEFORE TRUNCATE ON audit_event_patients
FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();

CREATE FUNCTION audit_event_patients_purged_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM audit_seals
        WHERE event_id = OLD.event_id AND seq <= (SELECT max(upto_seq) FROM audit_purges)
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_append_only';
END $$;

CREATE TRIGGER audit_event_patients_purged_only BEFORE DELETE ON audit_event_patients
FOR EACH ROW EXECUTE FUNCTION audit_event_patients_purged_only();
