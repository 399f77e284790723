-- Addresses that the mail server refused for good. The desk calls instead of mailing to them. A row ends with its message.
CREATE TABLE refused_mailboxes (
    -- a keyed digest of the address
    digest bytea PRIMARY KEY,
    -- the last message that was refused
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    -- the mail server's code
    code integer NOT NULL,
    refused_at timestamptz NOT NULL
);

CREATE INDEX refused_mailboxes_message ON refused_mailboxes (message_id);
