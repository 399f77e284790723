-- A correction of the time zone of its location moves an exception.
ALTER TABLE practitioner_exceptions ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

CREATE TRIGGER practitioner_exceptions_update_event AFTER UPDATE OF version ON practitioner_exceptions
WHEN NEW.version <> OLD.version
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, practitioner_id, location_id)
    VALUES ('exception.updated', 'exception', NEW.id, NEW.version, NEW.practitioner_id, NEW.location_id);
END;
