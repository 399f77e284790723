-- Whether staff placed the visit into time that another visit takes, with a reason.
ALTER TABLE appointments ADD COLUMN overbooked boolean NOT NULL DEFAULT false;

ALTER TABLE appointments
    DROP CONSTRAINT appointments_practitioner_overlap,
    -- A practitioner is in one place at a time, whatever the slots say, except for visits that staff marked.
    ADD CONSTRAINT appointments_practitioner_overlap
        EXCLUDE USING gist (practitioner_id WITH =, tstzrange(busy_from, busy_until) WITH &&)
        WHERE (status <> 'cancelled' AND NOT overbooked);

CREATE INDEX appointments_overbooked ON appointments (starts_at, id) WHERE overbooked;
-- Finds the visits to which the time of a visit passes that ends.
CREATE INDEX appointments_overbooked_practitioner ON appointments (practitioner_id, busy_from) WHERE overbooked;

-- A slot that visits share names one of them only, so time that the hours no longer cover is found by practitioner and time.
DROP INDEX slots_off_plan;
CREATE INDEX slots_off_plan ON slots (practitioner_id, starts_at, appointment_id) WHERE off_plan IS NOT NULL;
