ALTER TABLE patient_merge_rows DROP COLUMN version;
