-- Visits that were booked together, with the days that must lie between them.
CREATE TABLE appointment_series (
    id uuid PRIMARY KEY,
    patient_id uuid NOT NULL REFERENCES patients (id),
    created_by uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL
);

CREATE INDEX appointment_series_patient ON appointment_series (patient_id);

CREATE TABLE appointment_series_visits (
    series_id uuid NOT NULL REFERENCES appointment_series (id),
    -- the place in the series, from 0
    position integer NOT NULL,
    appointment_id uuid NOT NULL REFERENCES appointments (id),
    -- local days since the visit before it
    min_gap_days integer NOT NULL,
    max_gap_days integer,
    CONSTRAINT appointment_series_visits_gap CHECK (0 <= min_gap_days AND (max_gap_days IS NULL OR min_gap_days <= max_gap_days)),
    PRIMARY KEY (series_id, position)
);

CREATE UNIQUE INDEX appointment_series_visits_appointment ON appointment_series_visits (appointment_id);
