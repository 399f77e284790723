-- Whether the access was given for a minor. What the forms keep from guardians of minors stays hidden from such an account, also where
-- a corrected birth date makes an adult of the patient.
ALTER TABLE patient_access ADD COLUMN for_minor boolean NOT NULL DEFAULT false;
UPDATE patient_access SET for_minor = ends_on IS NOT NULL;
