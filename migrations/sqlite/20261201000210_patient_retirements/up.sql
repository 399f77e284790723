-- When and why a record that was made by mistake was retired, and when that was undone.
CREATE TABLE patient_retirements (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    -- sealed
    reason BLOB NOT NULL,
    retired_by BLOB NOT NULL REFERENCES users (id),
    retired_at INTEGER NOT NULL,
    undone_by BLOB REFERENCES users (id),
    undone_at INTEGER,
    CONSTRAINT patient_retirements_undone CHECK ((undone_at IS NULL) = (undone_by IS NULL))
) STRICT;
CREATE INDEX patient_retirements_patient ON patient_retirements (patient_id, retired_at, id);
CREATE UNIQUE INDEX patient_retirements_current ON patient_retirements (patient_id) WHERE undone_at IS NULL;
