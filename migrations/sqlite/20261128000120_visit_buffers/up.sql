-- Working time before and after each visit of a type, which the patient is not told.
ALTER TABLE visit_types ADD COLUMN buffer_before_minutes INTEGER NOT NULL DEFAULT 0
    CONSTRAINT visit_types_buffer_before CHECK (buffer_before_minutes BETWEEN 0 AND 240);
ALTER TABLE visit_types ADD COLUMN buffer_after_minutes INTEGER NOT NULL DEFAULT 0
    CONSTRAINT visit_types_buffer_after CHECK (buffer_after_minutes BETWEEN 0 AND 240);

-- The practitioner's working time for the visit: its own time with the buffers that its type had when it was booked.
-- SQLite needs defaults for the rows that exist; every insert sets both.
ALTER TABLE appointments ADD COLUMN busy_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE appointments ADD COLUMN busy_until INTEGER NOT NULL DEFAULT 9223372036854775807
    CONSTRAINT appointments_busy CHECK (busy_from <= starts_at AND ends_at <= busy_until);

DROP TRIGGER appointments_practitioner_overlap_insert;
DROP TRIGGER appointments_practitioner_overlap_update;
DROP INDEX appointments_practitioner_live;

UPDATE appointments SET busy_from = starts_at, busy_until = ends_at;

-- A practitioner is in one place at a time, whatever the slots say. As the rows that count never overlap, only the
-- nearest that starts before the new one's end can reach into it: one look at the index.
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
