ALTER TABLE messages DROP COLUMN rejected_attempts;
