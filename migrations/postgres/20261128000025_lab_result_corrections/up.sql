-- Laboratory results that are corrected or entered in error (FHIR Observation.status). An entry in error counts nowhere.
ALTER TABLE lab_results ADD COLUMN status text NOT NULL DEFAULT 'final' CONSTRAINT lab_results_status
    CHECK (status IN ('final', 'corrected', 'entered-in-error'));
ALTER TABLE lab_results ADD COLUMN version integer NOT NULL DEFAULT 1;
-- Who changed the result last, and when. Null for a result that is as it was entered.
ALTER TABLE lab_results ADD COLUMN updated_by uuid REFERENCES users (id);
ALTER TABLE lab_results ADD COLUMN updated_at timestamptz;

-- What a correction, or the mark as entered in error, replaced.
CREATE TABLE lab_result_versions (
    id uuid PRIMARY KEY,
    lab_result_id uuid NOT NULL REFERENCES lab_results (id),
    -- the version of the result while this was its value
    version integer NOT NULL,
    status text NOT NULL,
    result bytea NOT NULL,
    -- why it was replaced
    reason bytea NOT NULL,
    authored_at timestamptz NOT NULL,
    authored_by uuid NOT NULL REFERENCES users (id),
    replaced_at timestamptz NOT NULL,
    replaced_by uuid NOT NULL REFERENCES users (id),
    CONSTRAINT lab_result_versions_version UNIQUE (lab_result_id, version)
);
