-- Working time before and after each visit of a type, which the patient is not told.
ALTER TABLE visit_types
    ADD COLUMN buffer_before_minutes integer NOT NULL DEFAULT 0
        CONSTRAINT visit_types_buffer_before CHECK (buffer_before_minutes BETWEEN 0 AND 240),
    ADD COLUMN buffer_after_minutes integer NOT NULL DEFAULT 0
        CONSTRAINT visit_types_buffer_after CHECK (buffer_after_minutes BETWEEN 0 AND 240);

-- The practitioner's working time for the visit: its own time with the buffers that its type had when it was booked.
ALTER TABLE appointments
    ADD COLUMN busy_from timestamptz,
    ADD COLUMN busy_until timestamptz;

UPDATE appointments SET busy_from = starts_at, busy_until = ends_at;

ALTER TABLE appointments
    ALTER COLUMN busy_from SET NOT NULL,
    ALTER COLUMN busy_until SET NOT NULL,
    ADD CONSTRAINT appointments_busy CHECK (busy_from <= starts_at AND ends_at <= busy_until),
    DROP CONSTRAINT appointments_practitioner_overlap,
    -- A practitioner is in one place at a time, whatever the slots say.
    ADD CONSTRAINT appointments_practitioner_overlap
        EXCLUDE USING gist (practitioner_id WITH =, tstzrange(busy_from, busy_until) WITH &&)
        WHERE (status <> 'cancelled');
