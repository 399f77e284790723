-- Addresses that the mail server refused for good. The desk calls instead of mailing to them. A row ends with its message.
CREATE TABLE refused_mailboxes (
    -- a keyed digest of the address
    digest BLOB PRIMARY KEY,
    -- the last message that was refused
    message_id BLOB NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    -- the mail server's code
    code INTEGER NOT NULL,
    refused_at INTEGER NOT NULL
) STRICT;

CREATE INDEX refused_mailboxes_message ON refused_mailboxes (message_id);
