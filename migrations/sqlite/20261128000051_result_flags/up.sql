-- A dangerous laboratory result of a patient without an intake raises a flag too. The first intake takes it over.
CREATE TABLE new_intake_flags (
    id BLOB PRIMARY KEY,
    intake_id BLOB REFERENCES intakes (id),
    patient_id BLOB NOT NULL REFERENCES patients (id),
    urgency TEXT NOT NULL CONSTRAINT intake_flags_urgency
        CHECK (urgency IN ('emergency', 'same_day', 'prompt', 'routine')),
    rule BLOB NOT NULL,
    -- the practitioner whom the patient sees next
    owner_id BLOB REFERENCES practitioners (id),
    raised_at INTEGER NOT NULL,
    -- when the answer was taken back; the flag stays open
    withdrawn_at INTEGER,
    -- when the staff were mailed about it
    mailed_at INTEGER,
    acknowledged_at INTEGER,
    acknowledged_by BLOB REFERENCES users (id),
    note BLOB,
    -- the visit through which its owner has it
    appointment_id BLOB REFERENCES appointments (id)
) STRICT;
INSERT INTO new_intake_flags (id, intake_id, patient_id, urgency, rule, owner_id, raised_at, withdrawn_at, mailed_at, acknowledged_at, acknowledged_by, note, appointment_id)
    SELECT id, intake_id, patient_id, urgency, rule, owner_id, raised_at, withdrawn_at, mailed_at, acknowledged_at, acknowledged_by, note, appointment_id
    FROM intake_flags;
DROP TABLE intake_flags;
ALTER TABLE new_intake_flags RENAME TO intake_flags;
CREATE INDEX intake_flags_intake ON intake_flags (intake_id, id);
CREATE INDEX intake_flags_raised ON intake_flags (raised_at, id);
CREATE INDEX intake_flags_open ON intake_flags (raised_at, id) WHERE acknowledged_at IS NULL;
CREATE INDEX intake_flags_unowned ON intake_flags (patient_id) WHERE acknowledged_at IS NULL AND owner_id IS NULL;
CREATE INDEX intake_flags_owner ON intake_flags (patient_id, owner_id);
CREATE INDEX intake_flags_appointment ON intake_flags (appointment_id) WHERE appointment_id IS NOT NULL;
CREATE INDEX intake_flags_results ON intake_flags (patient_id) WHERE intake_id IS NULL;
