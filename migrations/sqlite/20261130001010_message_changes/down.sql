DROP INDEX messages_patient;
DROP INDEX messages_updated;
ALTER TABLE messages DROP COLUMN updated_at;
