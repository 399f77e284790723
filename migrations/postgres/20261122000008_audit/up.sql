-- Who did what to whose record. Rows are written and never changed.
CREATE TABLE audit_events (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    actor_id uuid NOT NULL REFERENCES users (id),
    -- what the account could do at that time
    role text NOT NULL CONSTRAINT audit_events_role CHECK (role IN ('patient', 'front_desk', 'practitioner', 'admin')),
    action text NOT NULL CONSTRAINT audit_events_action
        CHECK (action IN ('intake_begin', 'intake_read', 'intake_save', 'intake_submit', 'intake_discard')),
    patient_id uuid NOT NULL REFERENCES patients (id),
    -- what was read or written; it may be gone
    object_id uuid NOT NULL
);

CREATE INDEX audit_events_patient ON audit_events (patient_id, at, id);

CREATE FUNCTION audit_events_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_events_append_only';
END $$;

CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
FOR EACH ROW EXECUTE FUNCTION audit_events_append_only();
