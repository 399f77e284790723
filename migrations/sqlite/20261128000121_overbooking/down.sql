DROP INDEX slots_off_plan;
CREATE INDEX slots_off_plan ON slots (appointment_id) WHERE off_plan IS NOT NULL;
DROP INDEX appointments_overbooked_practitioner;
DROP INDEX appointments_overbooked;
DROP TRIGGER appointments_practitioner_overlap_insert;
DROP TRIGGER appointments_practitioner_overlap_update;
DROP INDEX appointments_practitioner_live;
ALTER TABLE appointments DROP COLUMN overbooked;
CREATE INDEX appointments_practitioner_live ON appointments (practitioner_id, busy_from) WHERE status <> 'cancelled';

CREATE TRIGGER appointments_practitioner_overlap_insert BEFORE INSERT ON appointments
WHEN NEW.status <> 'cancelled'
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT busy_until FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND busy_from < NEW.busy_until AND id <> NEW.id AND status <> 'cancelled'
        ORDER BY busy_from DESC LIMIT 1
    ) > NEW.busy_from;
END;

CREATE TRIGGER appointments_practitioner_overlap_update BEFORE UPDATE ON appointments
WHEN NEW.status <> 'cancelled'
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT busy_until FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND busy_from < NEW.busy_until AND id <> NEW.id AND status <> 'cancelled'
        ORDER BY busy_from DESC LIMIT 1
    ) > NEW.busy_from;
END;
