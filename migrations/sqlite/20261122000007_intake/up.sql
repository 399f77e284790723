-- Histories that patients record before a visit (FHIR QuestionnaireResponse). What they say is sealed.
CREATE TABLE intakes (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id),
    form TEXT NOT NULL,
    -- the version of the form that the answers were given for
    form_version TEXT NOT NULL,
    status TEXT NOT NULL CONSTRAINT intakes_status
        CHECK (status IN ('in-progress', 'completed', 'amended', 'entered-in-error')),
    answers BLOB NOT NULL,
    -- what was computed at the submission or amendment, with the version of the rules; a draft's is computed when asked for
    computed BLOB,
    -- the practitioner's review of the present answers
    review BLOB,
    void_reason BLOB,
    -- the intake that the draft began from
    copied_from BLOB REFERENCES intakes (id),
    version INTEGER NOT NULL,
    -- when its answers were last written
    authored_at INTEGER NOT NULL,
    submitted_at INTEGER,
    reviewed_at INTEGER,
    reviewed_by BLOB REFERENCES users (id),
    created_by BLOB NOT NULL REFERENCES users (id),
    -- who wrote its answers last
    updated_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- One open draft per patient and form.
CREATE UNIQUE INDEX intakes_open_draft ON intakes (patient_id, form) WHERE status = 'in-progress';
CREATE INDEX intakes_patient ON intakes (patient_id, authored_at, id);
CREATE INDEX intakes_updated ON intakes (updated_at, id);

-- What an amendment replaced.
CREATE TABLE intake_versions (
    id BLOB PRIMARY KEY,
    intake_id BLOB NOT NULL REFERENCES intakes (id),
    -- the intake's version while these were its answers
    version INTEGER NOT NULL,
    form_version TEXT NOT NULL,
    status TEXT NOT NULL,
    answers BLOB NOT NULL,
    computed BLOB,
    review BLOB,
    -- why they were replaced
    reason BLOB NOT NULL,
    authored_at INTEGER NOT NULL,
    authored_by BLOB NOT NULL REFERENCES users (id),
    reviewed_at INTEGER,
    reviewed_by BLOB REFERENCES users (id),
    replaced_at INTEGER NOT NULL,
    replaced_by BLOB NOT NULL REFERENCES users (id),
    CONSTRAINT intake_versions_version UNIQUE (intake_id, version)
) STRICT;

-- What the staff must look at. Which rule raised it is sealed; how urgent it is and whose, is not.
CREATE TABLE intake_flags (
    id BLOB PRIMARY KEY,
    intake_id BLOB NOT NULL REFERENCES intakes (id),
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
    note BLOB
) STRICT;

CREATE INDEX intake_flags_intake ON intake_flags (intake_id, id);
CREATE INDEX intake_flags_raised ON intake_flags (raised_at, id);
CREATE INDEX intake_flags_open ON intake_flags (raised_at, id) WHERE acknowledged_at IS NULL;
CREATE INDEX intake_flags_unowned ON intake_flags (patient_id) WHERE acknowledged_at IS NULL AND owner_id IS NULL;

-- Laboratory values that the staff enter between intakes.
CREATE TABLE lab_results (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id),
    -- test, value, unit, day, source
    result BLOB NOT NULL,
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX lab_results_patient ON lab_results (patient_id, created_at, id);
