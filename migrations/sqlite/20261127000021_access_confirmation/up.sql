-- Access to an adult's record as parent or guardian waits until a second member of the staff has confirmed it.
ALTER TABLE patient_access ADD COLUMN pending INTEGER NOT NULL DEFAULT 0;
-- when it was confirmed, and by which member of the staff
ALTER TABLE patient_access ADD COLUMN confirmed_at INTEGER;
ALTER TABLE patient_access ADD COLUMN confirmed_by BLOB REFERENCES users (id);
-- when the patient, or an account that acts for the patient, stopped it, and which account; NULL with the link in a mail
ALTER TABLE patient_access ADD COLUMN stopped_at INTEGER;
ALTER TABLE patient_access ADD COLUMN stopped_by BLOB REFERENCES users (id);

DROP INDEX patient_access_own_account;
DROP INDEX patient_access_own_record;
CREATE UNIQUE INDEX patient_access_own_account ON patient_access (patient_id)
    WHERE relation = 'self' AND stopped_at IS NULL;
CREATE UNIQUE INDEX patient_access_own_record ON patient_access (user_id)
    WHERE relation = 'self' AND stopped_at IS NULL;

-- The links in the mails that tell of a given access: each stops that access. The token itself is only in the mail and in
-- the mail's sealed payload.
CREATE TABLE access_links (
    id BLOB PRIMARY KEY,
    -- the access
    user_id BLOB NOT NULL,
    patient_id BLOB NOT NULL,
    -- the account that was told, without whose access to the patient the link does not work; NULL where the mail went to
    -- the address in the record
    told_id BLOB REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256
    token_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    CONSTRAINT access_links_access
        FOREIGN KEY (user_id, patient_id) REFERENCES patient_access (user_id, patient_id) ON DELETE CASCADE
) STRICT;

CREATE UNIQUE INDEX access_links_token ON access_links (token_hash);
CREATE INDEX access_links_access ON access_links (user_id, patient_id);
