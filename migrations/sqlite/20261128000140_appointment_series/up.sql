-- Visits that were booked together, with the days that must lie between them.
CREATE TABLE appointment_series (
    id BLOB PRIMARY KEY,
    patient_id BLOB NOT NULL REFERENCES patients (id),
    created_by BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX appointment_series_patient ON appointment_series (patient_id);

CREATE TABLE appointment_series_visits (
    series_id BLOB NOT NULL REFERENCES appointment_series (id),
    -- the place in the series, from 0
    position INTEGER NOT NULL,
    appointment_id BLOB NOT NULL REFERENCES appointments (id),
    -- local days since the visit before it
    min_gap_days INTEGER NOT NULL,
    max_gap_days INTEGER,
    CONSTRAINT appointment_series_visits_gap CHECK (0 <= min_gap_days AND (max_gap_days IS NULL OR min_gap_days <= max_gap_days)),
    PRIMARY KEY (series_id, position)
) STRICT;

CREATE UNIQUE INDEX appointment_series_visits_appointment ON appointment_series_visits (appointment_id);
