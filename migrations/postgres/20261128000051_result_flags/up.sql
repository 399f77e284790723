-- A dangerous laboratory result of a patient without an intake raises a flag too. The first intake takes it over.
ALTER TABLE intake_flags ALTER COLUMN intake_id DROP NOT NULL;
CREATE INDEX intake_flags_results ON intake_flags (patient_id) WHERE intake_id IS NULL;
