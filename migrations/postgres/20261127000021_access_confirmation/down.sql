DROP TABLE access_links;

-- What does not stand must not stand again under a program that does not know of it.
DELETE FROM patient_access WHERE pending OR stopped_at IS NOT NULL;
DROP INDEX patient_access_own_account;
DROP INDEX patient_access_own_record;
CREATE UNIQUE INDEX patient_access_own_account ON patient_access (patient_id) WHERE relation = 'self';
CREATE UNIQUE INDEX patient_access_own_record ON patient_access (user_id) WHERE relation = 'self';

ALTER TABLE patient_access DROP COLUMN stopped_by;
ALTER TABLE patient_access DROP COLUMN stopped_at;
ALTER TABLE patient_access DROP COLUMN confirmed_by;
ALTER TABLE patient_access DROP COLUMN confirmed_at;
ALTER TABLE patient_access DROP COLUMN pending;
