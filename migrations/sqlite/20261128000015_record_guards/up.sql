-- What guards a record, and who caused it: while a row lasts, every access that staff give to the record needs a second member of the staff,
-- who must not be the one of the row.
CREATE TABLE record_guards (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    -- the account that changed the record, or stopped an access; NULL with the link in a mail
    user_id BLOB REFERENCES users (id) ON DELETE SET NULL,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX record_guards_patient ON record_guards (patient_id, until);
INSERT INTO record_guards (id, patient_id, until) SELECT id, id, guarded_until FROM patients WHERE guarded_until IS NOT NULL;
ALTER TABLE patients DROP COLUMN guarded_until;

-- A link works after its access ended too. So it refers to the account and the patient, and says what the access was.
CREATE TABLE new_access_links (
    id BLOB PRIMARY KEY,
    -- the access
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    patient_id BLOB NOT NULL REFERENCES patients (id) ON DELETE CASCADE,
    -- SHA-256
    token_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    relation TEXT NOT NULL,
    -- the member of the staff who gave it
    given_by BLOB REFERENCES users (id)
) STRICT;
INSERT INTO new_access_links (id, user_id, patient_id, relation, given_by, token_hash, created_at)
    SELECT l.id, l.user_id, l.patient_id, a.relation, coalesce(a.verified_by, a.granted_by), l.token_hash, l.created_at
    FROM access_links l JOIN patient_access a ON a.user_id = l.user_id AND a.patient_id = l.patient_id;
DROP TABLE access_links;
ALTER TABLE new_access_links RENAME TO access_links;
CREATE UNIQUE INDEX access_links_token ON access_links (token_hash);
CREATE INDEX access_links_access ON access_links (user_id, patient_id);
CREATE INDEX access_links_patient ON access_links (patient_id);
