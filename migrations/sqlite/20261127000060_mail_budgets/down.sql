DROP INDEX messages_appointment;
CREATE INDEX messages_open ON messages (appointment_id) WHERE status IN ('to_phone', 'failed');
DROP INDEX messages_mailed;
DROP INDEX messages_mailbox;
CREATE INDEX messages_email ON messages (email, created_at);
ALTER TABLE messages DROP COLUMN email_key;
