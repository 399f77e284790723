-- When a message last changed.
ALTER TABLE messages ADD COLUMN updated_at timestamptz NOT NULL DEFAULT 'epoch';
UPDATE messages SET updated_at = greatest(created_at, sent_at, done_at);
CREATE INDEX messages_updated ON messages (updated_at, id);
CREATE INDEX messages_patient ON messages (patient_id, created_at, id) WHERE patient_id IS NOT NULL;
