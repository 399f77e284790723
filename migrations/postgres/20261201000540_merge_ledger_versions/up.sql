-- The version that a row had when the merge was done. An undo requires that it still has it.
ALTER TABLE patient_merge_rows ADD COLUMN version integer;
