DROP TABLE lab_result_versions;
ALTER TABLE lab_results DROP COLUMN updated_at;
ALTER TABLE lab_results DROP COLUMN updated_by;
ALTER TABLE lab_results DROP COLUMN version;
ALTER TABLE lab_results DROP COLUMN status;
