DROP TRIGGER appointments_practitioner_overlap_insert;
DROP TRIGGER appointments_practitioner_overlap_update;
DROP INDEX appointments_practitioner_live;
ALTER TABLE appointments DROP COLUMN busy_until;
ALTER TABLE appointments DROP COLUMN busy_from;
ALTER TABLE visit_types DROP COLUMN buffer_after_minutes;
ALTER TABLE visit_types DROP COLUMN buffer_before_minutes;
CREATE INDEX appointments_practitioner_live ON appointments (practitioner_id, starts_at) WHERE status <> 'cancelled';

CREATE TRIGGER appointments_practitioner_overlap_insert BEFORE INSERT ON appointments
WHEN NEW.status <> 'cancelled'
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT ends_at FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND starts_at < NEW.ends_at AND id <> NEW.id AND status <> 'cancelled'
        ORDER BY starts_at DESC LIMIT 1
    ) > NEW.starts_at;
END;

CREATE TRIGGER appointments_practitioner_overlap_update BEFORE UPDATE ON appointments
WHEN NEW.status <> 'cancelled'
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT ends_at FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND starts_at < NEW.ends_at AND id <> NEW.id AND status <> 'cancelled'
        ORDER BY starts_at DESC LIMIT 1
    ) > NEW.starts_at;
END;
