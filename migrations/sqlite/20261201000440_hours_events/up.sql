-- Events of changed hours: weekly rules, exceptions and closures. The slots that follow from them have none.
CREATE TRIGGER practitioners_update_hours_event AFTER UPDATE OF availability_version ON practitioners
WHEN NEW.availability_version <> OLD.availability_version
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, practitioner_id)
    VALUES ('availability.updated', 'availability', NEW.id, NEW.availability_version, NEW.id);
END;

CREATE TRIGGER practitioner_exceptions_insert_event AFTER INSERT ON practitioner_exceptions
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, practitioner_id, location_id, occurred_at)
    VALUES ('exception.created', 'exception', NEW.id, 1, NEW.practitioner_id, NEW.location_id, NEW.created_at);
END;

CREATE TRIGGER practitioner_exceptions_delete_event AFTER DELETE ON practitioner_exceptions
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, practitioner_id, location_id)
    VALUES ('exception.deleted', 'exception', OLD.id, OLD.practitioner_id, OLD.location_id);
END;

CREATE TRIGGER location_closures_insert_event AFTER INSERT ON location_closures
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, location_id, occurred_at)
    VALUES ('closure.created', 'closure', NEW.id, 1, NEW.location_id, NEW.created_at);
END;

CREATE TRIGGER location_closures_update_event AFTER UPDATE ON location_closures
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, subject_version, location_id)
    VALUES ('closure.updated', 'closure', NEW.id, 1, NEW.location_id);
END;

CREATE TRIGGER location_closures_delete_event AFTER DELETE ON location_closures
BEGIN
    INSERT INTO events (kind, subject_type, subject_id, location_id)
    VALUES ('closure.deleted', 'closure', OLD.id, OLD.location_id);
END;
