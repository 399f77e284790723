-- What guards a record, and who caused it: while a row lasts, every access that staff give to the record needs a second member of the staff,
-- who must not be the one of the row.
CREATE TABLE record_guards (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    -- the account that changed the record, or stopped an access; NULL with the link in a mail
    user_id uuid REFERENCES users (id) ON DELETE SET NULL,
    until timestamptz NOT NULL
);
CREATE INDEX record_guards_patient ON record_guards (patient_id, until);
INSERT INTO record_guards (id, patient_id, until) SELECT id, id, guarded_until FROM patients WHERE guarded_until IS NOT NULL;
ALTER TABLE patients DROP COLUMN guarded_until;

-- A link works after its access ended too. So it refers to the account and the patient, and says what the access was.
ALTER TABLE access_links DROP CONSTRAINT access_links_access;
ALTER TABLE access_links ADD CONSTRAINT access_links_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE;
ALTER TABLE access_links ADD CONSTRAINT access_links_patient FOREIGN KEY (patient_id) REFERENCES patients (id) ON DELETE CASCADE;
ALTER TABLE access_links ADD COLUMN relation text NOT NULL DEFAULT '';
ALTER TABLE access_links ALTER COLUMN relation DROP DEFAULT;
-- the member of the staff who gave it
ALTER TABLE access_links ADD COLUMN given_by uuid REFERENCES users (id);
UPDATE access_links SET relation = a.relation, given_by = coalesce(a.verified_by, a.granted_by)
    FROM patient_access a WHERE a.user_id = access_links.user_id AND a.patient_id = access_links.patient_id;
CREATE INDEX access_links_patient ON access_links (patient_id);
