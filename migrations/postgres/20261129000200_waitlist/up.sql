-- Patients who wait for a kind of visit. Whether the last day has passed is judged by the clock; the status follows when the entry is
-- next changed, or when the patient begins to wait again.
CREATE TABLE waitlist_entries (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    visit_type_id uuid NOT NULL REFERENCES visit_types (id),
    -- the later visit that an earlier time would replace
    appointment_id uuid REFERENCES appointments (id),
    status text NOT NULL CONSTRAINT waitlist_entries_status CHECK (status IN ('waiting', 'offered', 'booked', 'cancelled', 'expired')),
    urgency text NOT NULL CONSTRAINT waitlist_entries_urgency CHECK (urgency IN ('urgent', 'soon', 'routine')),
    -- JSON: practitioners, locations, weekdays and times of day
    wishes text NOT NULL,
    -- the first and the last day of the visit
    from_date date,
    to_date date,
    version integer NOT NULL,
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX waitlist_entries_live ON waitlist_entries (patient_id, visit_type_id) WHERE status IN ('waiting', 'offered');
CREATE INDEX waitlist_entries_patient ON waitlist_entries (patient_id, created_at, id);
CREATE INDEX waitlist_entries_created ON waitlist_entries (created_at, id);
CREATE INDEX waitlist_entries_updated ON waitlist_entries (updated_at, id);
CREATE INDEX waitlist_entries_appointment ON waitlist_entries (appointment_id) WHERE appointment_id IS NOT NULL;

CREATE FUNCTION waitlist_entries_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, patient_id)
        VALUES ('waitlist_entry.deleted', 'waitlist_entry', OLD.id, OLD.patient_id);
        RETURN NULL;
    END IF;
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE
            WHEN TG_OP = 'INSERT' THEN 'waitlist_entry.created'
            WHEN NEW.status = OLD.status OR NEW.status IN ('waiting', 'offered') THEN 'waitlist_entry.updated'
            ELSE 'waitlist_entry.ended'
        END,
        'waitlist_entry', NEW.id, NEW.version, NEW.patient_id, NEW.updated_at
    );
    RETURN NULL;
END $$;

CREATE TRIGGER waitlist_entries_insert_event AFTER INSERT ON waitlist_entries
FOR EACH ROW EXECUTE FUNCTION waitlist_entries_event();
CREATE TRIGGER waitlist_entries_update_event AFTER UPDATE ON waitlist_entries
FOR EACH ROW WHEN (NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at) EXECUTE FUNCTION waitlist_entries_event();
CREATE TRIGGER waitlist_entries_delete_event AFTER DELETE ON waitlist_entries
FOR EACH ROW EXECUTE FUNCTION waitlist_entries_event();
