-- Laboratory results that are corrected or entered in error (FHIR Observation.status). An entry in error counts nowhere.
ALTER TABLE lab_results ADD COLUMN status TEXT NOT NULL DEFAULT 'final' CONSTRAINT lab_results_status
    CHECK (status IN ('final', 'corrected', 'entered-in-error'));
ALTER TABLE lab_results ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
-- Who changed the result last, and when. Null for a result that is as it was entered.
ALTER TABLE lab_results ADD COLUMN updated_by BLOB REFERENCES users (id);
ALTER TABLE lab_results ADD COLUMN updated_at INTEGER;

-- What a correction, or the mark as entered in error, replaced.
CREATE TABLE lab_result_versions (
    id BLOB PRIMARY KEY,
    lab_result_id BLOB NOT NULL REFERENCES lab_results (id),
    -- the version of the result while this was its value
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    result BLOB NOT NULL,
    -- why it was replaced
    reason BLOB NOT NULL,
    authored_at INTEGER NOT NULL,
    authored_by BLOB NOT NULL REFERENCES users (id),
    replaced_at INTEGER NOT NULL,
    replaced_by BLOB NOT NULL REFERENCES users (id),
    CONSTRAINT lab_result_versions_version UNIQUE (lab_result_id, version)
) STRICT;
