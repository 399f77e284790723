DROP INDEX intake_flags_results;
DELETE FROM intake_flags WHERE intake_id IS NULL;
ALTER TABLE intake_flags ALTER COLUMN intake_id SET NOT NULL;
