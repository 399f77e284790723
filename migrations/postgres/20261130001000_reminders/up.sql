-- Whether the patient is reminded of visits.
ALTER TABLE patients ADD COLUMN reminders_wanted boolean NOT NULL DEFAULT true;

-- When the job that sends reminders looks at the visit next. It plans all visits from before.
ALTER TABLE appointments ADD COLUMN remind_at timestamptz;
UPDATE appointments SET remind_at = created_at WHERE status = 'booked';
CREATE INDEX appointments_remind ON appointments (remind_at, id) WHERE remind_at IS NOT NULL;

-- The reminders that were sent: of a visit at its present time, some minutes before it.
CREATE TABLE reminders (
    appointment_id uuid NOT NULL REFERENCES appointments (id) ON DELETE CASCADE,
    sequence integer NOT NULL,
    minutes integer NOT NULL,
    -- SHA-256 of the token of the link that switches reminders off
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (appointment_id, sequence, minutes)
);

CREATE UNIQUE INDEX reminders_token ON reminders (token_hash);

-- The settings with which the job has planned.
CREATE TABLE reminder_plan (
    id integer PRIMARY KEY CONSTRAINT reminder_plan_one_row CHECK (id = 1),
    rules text NOT NULL
);
