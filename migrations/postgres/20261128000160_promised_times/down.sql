DROP INDEX appointments_zone_changed;
DROP INDEX appointments_zone_checked;
DROP INDEX appointments_unpromised;
ALTER TABLE appointments DROP COLUMN zone_changed_since;
ALTER TABLE appointments DROP COLUMN zone_checked;
ALTER TABLE appointments DROP COLUMN promised_tz;
ALTER TABLE appointments DROP COLUMN promised_zone;
ALTER TABLE appointments DROP COLUMN promised_local;
DROP TABLE zone_data;
