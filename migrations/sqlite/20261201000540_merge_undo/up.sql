-- The version that a row had when the merge was done. An undo requires that it still has it.
ALTER TABLE patient_merge_rows ADD COLUMN version INTEGER;

-- The flags of both records before a merge, which changes some of them. An undo restores them.
CREATE TABLE patient_merge_flags (
    id BLOB PRIMARY KEY,
    merge_id BLOB NOT NULL REFERENCES patient_merges (id),
    -- sealed
    flag BLOB NOT NULL
) STRICT;
CREATE INDEX patient_merge_flags_merge ON patient_merge_flags (merge_id);
