-- The other patients whom a response showed: their ids of 16 bytes each, in order, part of what the event's HMAC covers.
ALTER TABLE audit_events ADD COLUMN shown BLOB;

-- The same patients by patient, so that each finds the lists that showed them. Written with the event, and gone with it.
CREATE TABLE audit_event_patients (
    patient_id BLOB NOT NULL,
    at INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    PRIMARY KEY (patient_id, at, event_id)
) STRICT, WITHOUT ROWID;

-- REPLACE needs no trigger here: all columns are the key, so it changes nothing.
CREATE TRIGGER audit_event_patients_append_only BEFORE UPDATE ON audit_event_patients
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;
CREATE TRIGGER audit_event_patients_purged_only BEFORE DELETE ON audit_event_patients
WHEN NOT EXISTS (
    SELECT 1 FROM audit_seals
    WHERE event_id = OLD.event_id AND seq <= (SELECT max(upto_seq) FROM audit_purges)
)
BEGIN
    SELECT RAISE(ABORT, 'audit_append_only');
END;
