-- A correction of the time zone of its location moves an exception.
ALTER TABLE practitioner_exceptions ADD COLUMN version integer NOT NULL DEFAULT 1;

CREATE FUNCTION practitioner_exceptions_update_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, practitioner_id, location_id)
    VALUES ('exception.updated', 'exception', NEW.id, NEW.version, NEW.practitioner_id, NEW.location_id);
    RETURN NULL;
END $$;

CREATE TRIGGER practitioner_exceptions_update_event AFTER UPDATE OF version ON practitioner_exceptions
FOR EACH ROW WHEN (NEW.version <> OLD.version) EXECUTE FUNCTION practitioner_exceptions_update_event();
