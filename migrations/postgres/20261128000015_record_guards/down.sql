ALTER TABLE patients ADD COLUMN guarded_until timestamptz;
UPDATE patients SET guarded_until = (SELECT max(until) FROM record_guards g WHERE g.patient_id = patients.id);
DROP TABLE record_guards;

DELETE FROM access_links WHERE NOT EXISTS (
    SELECT 1 FROM patient_access a WHERE a.user_id = access_links.user_id AND a.patient_id = access_links.patient_id
);
DROP INDEX access_links_patient;
ALTER TABLE access_links DROP COLUMN given_by;
ALTER TABLE access_links DROP COLUMN relation;
ALTER TABLE access_links DROP CONSTRAINT access_links_patient;
ALTER TABLE access_links DROP CONSTRAINT access_links_user;
ALTER TABLE access_links ADD CONSTRAINT access_links_access
    FOREIGN KEY (user_id, patient_id) REFERENCES patient_access (user_id, patient_id) ON DELETE CASCADE;
