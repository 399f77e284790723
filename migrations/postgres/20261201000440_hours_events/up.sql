-- Events of changed hours: weekly rules, exceptions and closures. The slots that follow from them have none.
CREATE FUNCTION practitioners_hours_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, practitioner_id)
    VALUES ('availability.updated', 'availability', NEW.id, NEW.availability_version, NEW.id);
    RETURN NULL;
END $$;

CREATE TRIGGER practitioners_update_hours_event AFTER UPDATE OF availability_version ON practitioners
FOR EACH ROW WHEN (NEW.availability_version <> OLD.availability_version) EXECUTE FUNCTION practitioners_hours_event();

CREATE FUNCTION practitioner_exceptions_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, practitioner_id, location_id)
        VALUES ('exception.deleted', 'exception', OLD.id, OLD.practitioner_id, OLD.location_id);
    ELSE
        INSERT INTO events (kind, subject_type, subject_id, subject_version, practitioner_id, location_id, occurred_at)
        VALUES ('exception.created', 'exception', NEW.id, 1, NEW.practitioner_id, NEW.location_id, NEW.created_at);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER practitioner_exceptions_insert_event AFTER INSERT ON practitioner_exceptions
FOR EACH ROW EXECUTE FUNCTION practitioner_exceptions_event();
CREATE TRIGGER practitioner_exceptions_delete_event AFTER DELETE ON practitioner_exceptions
FOR EACH ROW EXECUTE FUNCTION practitioner_exceptions_event();

CREATE FUNCTION location_closures_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO events (kind, subject_type, subject_id, location_id)
        VALUES ('closure.deleted', 'closure', OLD.id, OLD.location_id);
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO events (kind, subject_type, subject_id, subject_version, location_id)
        VALUES ('closure.updated', 'closure', NEW.id, 1, NEW.location_id);
    ELSE
        INSERT INTO events (kind, subject_type, subject_id, subject_version, location_id, occurred_at)
        VALUES ('closure.created', 'closure', NEW.id, 1, NEW.location_id, NEW.created_at);
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER location_closures_insert_event AFTER INSERT ON location_closures
FOR EACH ROW EXECUTE FUNCTION location_closures_event();
CREATE TRIGGER location_closures_update_event AFTER UPDATE ON location_closures
FOR EACH ROW EXECUTE FUNCTION location_closures_event();
CREATE TRIGGER location_closures_delete_event AFTER DELETE ON location_closures
FOR EACH ROW EXECUTE FUNCTION location_closures_event();
