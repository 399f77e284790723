-- What an address got within an hour is counted by mailbox, whatever the case in which its letters are written.
ALTER TABLE messages ADD COLUMN email_key text;
UPDATE messages SET email_key = lower(email) WHERE email IS NOT NULL;

DROP INDEX messages_email;
CREATE INDEX messages_mailbox ON messages (email_key, created_at);
CREATE INDEX messages_mailed ON messages (email_key, sent_at) WHERE status = 'sent';

-- All messages about an appointment, of which the newest counts.
DROP INDEX messages_open;
CREATE INDEX messages_appointment ON messages (appointment_id) WHERE appointment_id IS NOT NULL;
