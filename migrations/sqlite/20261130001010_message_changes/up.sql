-- When a message last changed.
ALTER TABLE messages ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE messages SET updated_at = max(created_at, coalesce(sent_at, 0), coalesce(done_at, 0));
CREATE INDEX messages_updated ON messages (updated_at, id);
CREATE INDEX messages_patient ON messages (patient_id, created_at, id) WHERE patient_id IS NOT NULL;
