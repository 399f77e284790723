DROP TRIGGER practitioner_exceptions_update_event;
ALTER TABLE practitioner_exceptions DROP COLUMN version;
