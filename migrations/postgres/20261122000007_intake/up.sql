-- Histories that patients record before a visit (FHIR QuestionnaireResponse). What they say is sealed.
CREATE TABLE intakes (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    form text NOT NULL,
    -- the version of the form that the answers were given for
    form_version text NOT NULL,
    status text NOT NULL CONSTRAINT intakes_status
        CHECK (status IN ('in-progress', 'completed', 'amended', 'entered-in-error')),
    answers bytea NOT NULL,
    -- what was computed at the submission or amendment, with the version of the rules; a draft's is computed when asked for
    computed bytea,
    -- the practitioner's review of the present answers
    review bytea,
    void_reason bytea,
    -- the intake that the draft began from
    copied_from uuid REFERENCES intakes (id),
    version integer NOT NULL,
    -- when its answers were last written
    authored_at timestamptz NOT NULL,
    submitted_at timestamptz,
    reviewed_at timestamptz,
    reviewed_by uuid REFERENCES users (id),
    created_by uuid NOT NULL REFERENCES users (id),
    -- who wrote its answers last
    updated_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- One open draft per patient and form.
CREATE UNIQUE INDEX intakes_open_draft ON intakes (patient_id, form) WHERE status = 'in-progress';
CREATE INDEX intakes_patient ON intakes (patient_id, authored_at, id);
CREATE INDEX intakes_updated ON intakes (updated_at, id);

-- What an amendment replaced.
CREATE TABLE intake_versions (
    id uuid PRIMARY KEY,
    intake_id uuid NOT NULL REFERENCES intakes (id),
    -- the intake's version while these were its answers
    version integer NOT NULL,
    form_version text NOT NULL,
    status text NOT NULL,
    answers bytea NOT NULL,
    computed bytea,
    review bytea,
    -- why they were replaced
    reason bytea NOT NULL,
    authored_at timestamptz NOT NULL,
    authored_by uuid NOT NULL REFERENCES users (id),
    reviewed_at timestamptz,
    reviewed_by uuid REFERENCES users (id),
    replaced_at timestamptz NOT NULL,
    replaced_by uuid NOT NULL REFERENCES users (id),
    CONSTRAINT intake_versions_version UNIQUE (intake_id, version)
);

-- What the staff must look at. Which rule raised it is sealed; how urgent it is and whose, is not.
CREATE TABLE intake_flags (
    id uuid PRIMARY KEY,
    intake_id uuid NOT NULL REFERENCES intakes (id),
    patient_id uuid NOT NULL REFERENCES patients (id),
    urgency text NOT NULL CONSTRAINT intake_flags_urgency
        CHECK (urgency IN ('emergency', 'same_day', 'prompt', 'routine')),
    rule bytea NOT NULL,
    -- the practitioner whom the patient sees next
    owner_id uuid REFERENCES practitioners (id),
    raised_at timestamptz NOT NULL,
    -- when the answer was taken back; the flag stays open
    withdrawn_at timestamptz,
    -- when the staff were mailed about it
    mailed_at timestamptz,
    acknowledged_at timestamptz,
    acknowledged_by uuid REFERENCES users (id),
    note bytea
);

CREATE INDEX intake_flags_intake ON intake_flags (intake_id, id);
CREATE INDEX intake_flags_raised ON intake_flags (raised_at, id);
CREATE INDEX intake_flags_open ON intake_flags (raised_at, id) WHERE acknowledged_at IS NULL;
CREATE INDEX intake_flags_unowned ON intake_flags (patient_id) WHERE acknowledged_at IS NULL AND owner_id IS NULL;

-- Laboratory values that the staff enter between intakes.
CREATE TABLE lab_results (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    -- test, value, unit, day, source
    result bytea NOT NULL,
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL
);

CREATE INDEX lab_results_patient ON lab_results (patient_id, created_at, id);
