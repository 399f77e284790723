-- Whether staff placed the visit into time that another visit takes, with a reason.
ALTER TABLE appointments ADD COLUMN overbooked INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER appointments_practitioner_overlap_insert;
DROP TRIGGER appointments_practitioner_overlap_update;
DROP INDEX appointments_practitioner_live;

-- A practitioner is in one place at a time, whatever the slots say, except for visits that staff marked. These are not in
-- the index, so the rows that count never overlap, and only the nearest that starts before the new one's end can reach
-- into it: one look at the index.
CREATE INDEX appointments_practitioner_live ON appointments (practitioner_id, busy_from)
    WHERE status <> 'cancelled' AND NOT overbooked;

CREATE TRIGGER appointments_practitioner_overlap_insert BEFORE INSERT ON appointments
WHEN NEW.status <> 'cancelled' AND NOT NEW.overbooked
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT busy_until FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND busy_from < NEW.busy_until AND id <> NEW.id AND status <> 'cancelled'
            AND NOT overbooked
        ORDER BY busy_from DESC LIMIT 1
    ) > NEW.busy_from;
END;

CREATE TRIGGER appointments_practitioner_overlap_update BEFORE UPDATE ON appointments
WHEN NEW.status <> 'cancelled' AND NOT NEW.overbooked
BEGIN
    SELECT RAISE(ABORT, 'appointments_practitioner_overlap')
    WHERE (
        SELECT busy_until FROM appointments INDEXED BY appointments_practitioner_live
        WHERE practitioner_id = NEW.practitioner_id AND busy_from < NEW.busy_until AND id <> NEW.id AND status <> 'cancelled'
            AND NOT overbooked
        ORDER BY busy_from DESC LIMIT 1
    ) > NEW.busy_from;
END;

CREATE INDEX appointments_overbooked ON appointments (starts_at, id) WHERE overbooked;
-- Finds the visits to which the time of a visit passes that ends.
CREATE INDEX appointments_overbooked_practitioner ON appointments (practitioner_id, busy_from) WHERE overbooked;

-- A slot that visits share names one of them only, so time that the hours no longer cover is found by practitioner and time.
DROP INDEX slots_off_plan;
CREATE INDEX slots_off_plan ON slots (practitioner_id, starts_at, appointment_id) WHERE off_plan IS NOT NULL;
