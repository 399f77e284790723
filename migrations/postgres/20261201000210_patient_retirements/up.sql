-- When and why a record that was made by mistake was retired, and when that was undone.
CREATE TABLE patient_retirements (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    -- sealed
    reason bytea NOT NULL,
    retired_by uuid NOT NULL REFERENCES users (id),
    retired_at timestamptz NOT NULL,
    undone_by uuid REFERENCES users (id),
    undone_at timestamptz,
    CONSTRAINT patient_retirements_undone CHECK ((undone_at IS NULL) = (undone_by IS NULL))
);
CREATE INDEX patient_retirements_patient ON patient_retirements (patient_id, retired_at, id);
CREATE UNIQUE INDEX patient_retirements_current ON patient_retirements (patient_id) WHERE undone_at IS NULL;
