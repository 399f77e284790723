ALTER TABLE patients ADD COLUMN guarded_until INTEGER;
UPDATE patients SET guarded_until = (SELECT max(until) FROM record_guards g WHERE g.patient_id = patients.id);
DROP TABLE record_guards;

CREATE TABLE old_access_links (
    id BLOB PRIMARY KEY,
    user_id BLOB NOT NULL,
    patient_id BLOB NOT NULL,
    token_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT access_links_access
        FOREIGN KEY (user_id, patient_id) REFERENCES patient_access (user_id, patient_id) ON DELETE CASCADE
) STRICT;
INSERT INTO old_access_links (id, user_id, patient_id, token_hash, created_at)
    SELECT l.id, l.user_id, l.patient_id, l.token_hash, l.created_at
    FROM access_links l JOIN patient_access a ON a.user_id = l.user_id AND a.patient_id = l.patient_id;
DROP TABLE access_links;
ALTER TABLE old_access_links RENAME TO access_links;
CREATE UNIQUE INDEX access_links_token ON access_links (token_hash);
CREATE INDEX access_links_access ON access_links (user_id, patient_id);
