-- Duplicate records are merged: the rows of the duplicate become those of the record that survives, and the duplicate says by which record
-- it is replaced. It is never the target of another one: a later merge of the survivor points to the last record.
ALTER TABLE patients ADD COLUMN replaced_by uuid;
ALTER TABLE patients ADD CONSTRAINT patients_replaced_by_fkey FOREIGN KEY (replaced_by) REFERENCES patients (id);
ALTER TABLE patients ADD CONSTRAINT patients_replaced_by CHECK (replaced_by <> id);
-- When a record that was made by mistake was taken out of use.
ALTER TABLE patients ADD COLUMN retired_at timestamptz;
CREATE INDEX patients_replaced_by ON patients (replaced_by) WHERE replaced_by IS NOT NULL;

CREATE TABLE patient_merges (
    id uuid PRIMARY KEY,
    survivor_id uuid NOT NULL REFERENCES patients (id),
    duplicate_id uuid NOT NULL REFERENCES patients (id),
    -- sealed
    reason bytea NOT NULL,
    merged_by uuid NOT NULL REFERENCES users (id),
    merged_at timestamptz NOT NULL,
    undone_by uuid REFERENCES users (id),
    undone_at timestamptz,
    CONSTRAINT patient_merges_records CHECK (survivor_id <> duplicate_id),
    CONSTRAINT patient_merges_undone CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE UNIQUE INDEX patient_merges_current ON patient_merges (duplicate_id) WHERE undone_at IS NULL;
CREATE INDEX patient_merges_survivor ON patient_merges (survivor_id, merged_at, id);
CREATE INDEX patient_merges_duplicate ON patient_merges (duplicate_id, merged_at, id);

-- The rows that a merge moved. An undo moves them back.
CREATE TABLE patient_merge_rows (
    merge_id uuid NOT NULL REFERENCES patient_merges (id),
    table_name text NOT NULL,
    -- the row's id; the account of an access
    row_id uuid NOT NULL,
    PRIMARY KEY (merge_id, table_name, row_id)
);

CREATE FUNCTION patients_replaced_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM patients WHERE replaced_by = NEW.id)
        OR EXISTS (SELECT 1 FROM patients WHERE id = NEW.replaced_by AND (replaced_by IS NOT NULL OR retired_at IS NOT NULL))
    THEN
        RAISE EXCEPTION 'patient_active' USING ERRCODE = 'check_violation', CONSTRAINT = 'patient_active';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER patients_replaced_once BEFORE UPDATE OF replaced_by ON patients
FOR EACH ROW WHEN (NEW.replaced_by IS NOT NULL) EXECUTE FUNCTION patients_replaced_once();

-- A record that is replaced or retired gets no new rows. The lock waits for a merge that has not committed yet.
CREATE FUNCTION patient_active() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM patients WHERE id = NEW.patient_id AND replaced_by IS NULL AND retired_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'patient_active' USING ERRCODE = 'check_violation', CONSTRAINT = 'patient_active';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER appointments_active AFTER INSERT OR UPDATE OF patient_id ON appointments FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER appointment_series_active AFTER INSERT OR UPDATE OF patient_id ON appointment_series FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER consents_active AFTER INSERT OR UPDATE OF patient_id ON consents FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER follow_ups_active AFTER INSERT OR UPDATE OF patient_id ON follow_ups FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER intake_flags_active AFTER INSERT OR UPDATE OF patient_id ON intake_flags FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER intakes_active AFTER INSERT OR UPDATE OF patient_id ON intakes FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER lab_results_active AFTER INSERT OR UPDATE OF patient_id ON lab_results FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER patient_identifiers_active AFTER INSERT OR UPDATE OF patient_id ON patient_identifiers FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER patient_invitations_active AFTER INSERT OR UPDATE OF patient_id ON patient_invitations FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER waitlist_entries_active AFTER INSERT OR UPDATE OF patient_id ON waitlist_entries FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER waitlist_offers_active AFTER INSERT OR UPDATE OF patient_id ON waitlist_offers FOR EACH ROW EXECUTE FUNCTION patient_active();
CREATE TRIGGER patient_access_active AFTER INSERT OR UPDATE OF patient_id ON patient_access FOR EACH ROW WHEN (NEW.stopped_at IS NULL) EXECUTE FUNCTION patient_active();

CREATE OR REPLACE FUNCTION patients_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, patient_id)
        VALUES ('patient.deleted', 'patient', OLD.id, OLD.id);
        RETURN NULL;
    END IF;
    INSERT INTO events (kind, subject_type, subject_id, subject_version, patient_id, occurred_at)
    VALUES (
        CASE
            WHEN TG_OP = 'INSERT' THEN 'patient.created'
            WHEN NEW.replaced_by IS NOT NULL AND NEW.replaced_by IS DISTINCT FROM OLD.replaced_by THEN 'patient.merged'
            WHEN NEW.replaced_by IS NULL AND OLD.replaced_by IS NOT NULL THEN 'patient.merge_undone'
            WHEN NEW.retired_at IS NOT NULL AND OLD.retired_at IS NULL THEN 'patient.retired'
            WHEN NEW.retired_at IS NULL AND OLD.retired_at IS NOT NULL THEN 'patient.retirement_undone'
            ELSE 'patient.updated'
        END,
        'patient', NEW.id, NEW.version, NEW.id, NEW.updated_at
    );
    RETURN NULL;
END $$;
