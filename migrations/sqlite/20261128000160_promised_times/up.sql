-- The version of the zone data of the newest instance that has started: one row.
CREATE TABLE zone_data (
    id INTEGER PRIMARY KEY CONSTRAINT zone_data_one_row CHECK (id = 1),
    version TEXT NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;

-- The local time that the patient was told, its zone, and the version of the zone data with which it was computed. Null in
-- appointments from before, until the server fills it: SQLite does not know the zones.
ALTER TABLE appointments ADD COLUMN promised_local TEXT CONSTRAINT appointments_promised_local CHECK (length(promised_local) = 19);
ALTER TABLE appointments ADD COLUMN promised_zone TEXT;
ALTER TABLE appointments ADD COLUMN promised_tz TEXT;
-- The version with which the instant was last compared with the promise, and since when it does not show it.
ALTER TABLE appointments ADD COLUMN zone_checked TEXT;
ALTER TABLE appointments ADD COLUMN zone_changed_since INTEGER CONSTRAINT appointments_promise CHECK (
    (promised_local IS NULL) = (promised_zone IS NULL)
    AND (promised_local IS NULL) = (promised_tz IS NULL)
    AND (promised_local IS NULL) = (zone_checked IS NULL)
    AND (zone_changed_since IS NULL OR promised_local IS NOT NULL)
);

CREATE INDEX appointments_unpromised ON appointments (id) WHERE promised_local IS NULL;
CREATE INDEX appointments_zone_checked ON appointments (status, zone_checked, id);
CREATE INDEX appointments_zone_changed ON appointments (id) WHERE zone_changed_since IS NOT NULL;
