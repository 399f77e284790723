-- Who did what to whose record. Rows are written and never changed.
CREATE TABLE audit_events (
    id BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    actor_id BLOB NOT NULL REFERENCES users (id),
    -- what the account could do at that time
    role TEXT NOT NULL CONSTRAINT audit_events_role CHECK (role IN ('patient', 'front_desk', 'practitioner', 'admin')),
    action TEXT NOT NULL CONSTRAINT audit_events_action
        CHECK (action IN ('intake_begin', 'intake_read', 'intake_save', 'intake_submit', 'intake_discard')),
    patient_id BLOB NOT NULL REFERENCES patients (id),
    -- what was read or written; it may be gone
    object_id BLOB NOT NULL
) STRICT;

CREATE INDEX audit_events_patient ON audit_events (patient_id, at, id);

CREATE TRIGGER audit_events_no_update BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events_append_only');
END;

CREATE TRIGGER audit_events_no_delete BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'audit_events_append_only');
END;
