-- Patients who wait for a kind of visit. Whether the last day has passed is judged by the clock; the status follows when the entry is
-- next changed, or when the patient begins to wait again.
CREATE TABLE waitlist_entries (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id),
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    -- the later visit that an earlier time would replace
    appointment_id BLOB REFERENCES appointments (id),
    status TEXT NOT NULL CONSTRAINT waitlist_entries_status CHECK (status IN ('waiting', 'offered', 'booked', 'cancelled', 'expired')),
    urgency TEXT NOT NULL CONSTRAINT waitlist_entries_urgency CHECK (urgency IN ('urgent', 'soon', 'routine')),
    -- JSON: practitioners, locations, weekdays and times of day
    wishes TEXT NOT NULL,
    -- the first and the last day of the visit
    from_date TEXT,
    to_date TEXT,
    version INTEGER NOT NULL,
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX waitlist_entries_live ON waitlist_entries (patient_id, visit_type_id) WHERE status IN ('waiting', 'offered');
CREATE INDEX waitlist_entries_patient ON waitlist_entries (patient_id, created_at, id);
CREATE INDEX waitlist_entries_created ON waitlist_entries (created_at, id);
CREATE INDEX waitlist_entries_updated ON waitlist_entries (updated_at, id);
CREATE INDEX waitlist_entries_appointment ON waitlist_entries (appointment_id) WHERE appointment_id IS NOT NULL;

CREATE TRIGGER waitlist_entries_insert_event AFTER INSERT ON waitlist_entries
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES ('waitlist_entry.created', 'waitlist_entry', NEW.id, NEW.version, NEW.patient_id, NEW.updated_at);
END;

CREATE TRIGGER waitlist_entries_update_event AFTER UPDATE ON waitlist_entries
WHEN NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE
            WHEN NEW.status = OLD.status OR NEW.status IN ('waiting', 'offered') THEN 'waitlist_entry.updated'
            ELSE 'waitlist_entry.ended'
        END,
        'waitlist_entry', NEW.id, NEW.version, NEW.patient_id, NEW.updated_at
    );
END;

CREATE TRIGGER waitlist_entries_delete_event AFTER DELETE ON waitlist_entries
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, patient_id)
    VALUES ('waitlist_entry.deleted', 'waitlist_entry', OLD.id, OLD.patient_id);
END;
