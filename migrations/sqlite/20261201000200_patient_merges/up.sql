-- Duplicate records are merged: the rows of the duplicate become those of the record that survives, and the duplicate says by which record
-- it is replaced. It is never the target of another one: a later merge of the survivor points to the last record.
ALTER TABLE patients ADD COLUMN replaced_by BLOB REFERENCES patients (id) CONSTRAINT patients_replaced_by CHECK (replaced_by <> id);
-- When a record that was made by mistake was taken out of use.
ALTER TABLE patients ADD COLUMN retired_at INTEGER;
CREATE INDEX patients_replaced_by ON patients (replaced_by) WHERE replaced_by IS NOT NULL;

CREATE TABLE patient_merges (
    id BLOB PRIMARY KEY,
    survivor_id BLOB NOT NULL REFERENCES patients (id),
    duplicate_id BLOB NOT NULL REFERENCES patients (id),
    -- sealed
    reason BLOB NOT NULL,
    merged_by BLOB NOT NULL REFERENCES users (id),
    merged_at INTEGER NOT NULL,
    undone_by BLOB REFERENCES users (id),
    undone_at INTEGER,
    CONSTRAINT patient_merges_records CHECK (survivor_id <> duplicate_id),
    CONSTRAINT patient_merges_undone CHECK ((undone_at IS NULL) = (undone_by IS NULL))
) STRICT;
CREATE UNIQUE INDEX patient_merges_current ON patient_merges (duplicate_id) WHERE undone_at IS NULL;
CREATE INDEX patient_merges_survivor ON patient_merges (survivor_id, merged_at, id);
CREATE INDEX patient_merges_duplicate ON patient_merges (duplicate_id, merged_at, id);

-- The rows that a merge moved. An undo moves them back.
CREATE TABLE patient_merge_rows (
    merge_id BLOB NOT NULL REFERENCES patient_merges (id),
    table_name TEXT NOT NULL,
    -- the row's id; the account of an access
    row_id BLOB NOT NULL,
    PRIMARY KEY (merge_id, table_name, row_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER patients_replaced_once BEFORE UPDATE OF replaced_by ON patients
WHEN NEW.replaced_by IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE replaced_by = NEW.id)
        OR EXISTS (SELECT 1 FROM patients WHERE id = NEW.replaced_by AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;

-- A record that is replaced or retired gets no new rows.
CREATE TRIGGER appointments_active_insert BEFORE INSERT ON appointments
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER appointments_active_update BEFORE UPDATE OF patient_id ON appointments
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER appointment_series_active_insert BEFORE INSERT ON appointment_series
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER appointment_series_active_update BEFORE UPDATE OF patient_id ON appointment_series
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER consents_active_insert BEFORE INSERT ON consents
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER consents_active_update BEFORE UPDATE OF patient_id ON consents
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER follow_ups_active_insert BEFORE INSERT ON follow_ups
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER follow_ups_active_update BEFORE UPDATE OF patient_id ON follow_ups
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER intake_flags_active_insert BEFORE INSERT ON intake_flags
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER intake_flags_active_update BEFORE UPDATE OF patient_id ON intake_flags
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER intakes_active_insert BEFORE INSERT ON intakes
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER intakes_active_update BEFORE UPDATE OF patient_id ON intakes
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER lab_results_active_insert BEFORE INSERT ON lab_results
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER lab_results_active_update BEFORE UPDATE OF patient_id ON lab_results
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER patient_identifiers_active_insert BEFORE INSERT ON patient_identifiers
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER patient_identifiers_active_update BEFORE UPDATE OF patient_id ON patient_identifiers
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER patient_invitations_active_insert BEFORE INSERT ON patient_invitations
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER patient_invitations_active_update BEFORE UPDATE OF patient_id ON patient_invitations
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER waitlist_entries_active_insert BEFORE INSERT ON waitlist_entries
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER waitlist_entries_active_update BEFORE UPDATE OF patient_id ON waitlist_entries
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER waitlist_offers_active_insert BEFORE INSERT ON waitlist_offers
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER waitlist_offers_active_update BEFORE UPDATE OF patient_id ON waitlist_offers
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER patient_access_active_insert BEFORE INSERT ON patient_access
WHEN NEW.stopped_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;
CREATE TRIGGER patient_access_active_update BEFORE UPDATE OF patient_id ON patient_access
WHEN NEW.stopped_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'patient_active')
    WHERE EXISTS (SELECT 1 FROM patients WHERE id = NEW.patient_id AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL));
END;

DROP TRIGGER patients_update_event;
CREATE TRIGGER patients_update_event AFTER UPDATE ON patients
WHEN NEW.version <> OLD.version OR NEW.updated_at <> OLD.updated_at
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE
            WHEN NEW.replaced_by IS NOT NULL AND NEW.replaced_by IS NOT OLD.replaced_by THEN 'patient.merged'
            WHEN NEW.replaced_by IS NULL AND OLD.replaced_by IS NOT NULL THEN 'patient.merge_undone'
            WHEN NEW.retired_at IS NOT NULL AND OLD.retired_at IS NULL THEN 'patient.retired'
            WHEN NEW.retired_at IS NULL AND OLD.retired_at IS NOT NULL THEN 'patient.retirement_undone'
            ELSE 'patient.updated'
        END,
        'patient', NEW.id, NEW.version, NEW.id, NEW.updated_at
    );
END;
