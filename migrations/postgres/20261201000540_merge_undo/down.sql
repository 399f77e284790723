DROP TABLE patient_merge_flags;
ALTER TABLE patient_merge_rows DROP COLUMN version;
