-- The links in appointment mails: each shows, and may cancel, its one appointment until that ends. The token itself is
-- only in the mail and in the mail's sealed payload.
CREATE TABLE appointment_links (
    id BLOB PRIMARY KEY,
    appointment_id BLOB NOT NULL REFERENCES appointments (id),
    -- the account that it was mailed to, without whose access to the patient it does not work; none where it went to the
    -- address in the record
    user_id BLOB REFERENCES users (id) ON DELETE CASCADE,
    -- SHA-256
    token_hash BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    -- when and by whom of the staff it was taken back
    revoked_at INTEGER,
    revoked_by BLOB REFERENCES users (id),
    CONSTRAINT appointment_links_revoked CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
) STRICT;

CREATE UNIQUE INDEX appointment_links_token ON appointment_links (token_hash);
CREATE INDEX appointment_links_appointment ON appointment_links (appointment_id);
