ALTER TABLE appointments
    DROP CONSTRAINT appointments_practitioner_overlap,
    ADD CONSTRAINT appointments_practitioner_overlap
        EXCLUDE USING gist (practitioner_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
        WHERE (status <> 'cancelled'),
    DROP CONSTRAINT appointments_busy,
    DROP COLUMN busy_until,
    DROP COLUMN busy_from;
ALTER TABLE visit_types
    DROP COLUMN buffer_after_minutes,
    DROP COLUMN buffer_before_minutes;
