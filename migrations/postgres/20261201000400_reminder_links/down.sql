DELETE FROM appointment_links WHERE purpose = 'reminders';
ALTER TABLE appointment_links DROP COLUMN purpose;

DELETE FROM reminders;
ALTER TABLE reminders ADD COLUMN token_hash bytea NOT NULL;
CREATE UNIQUE INDEX reminders_token ON reminders (token_hash);
