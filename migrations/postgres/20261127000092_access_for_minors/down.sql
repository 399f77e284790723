ALTER TABLE patient_access DROP COLUMN for_minor;
