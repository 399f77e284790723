-- Whether the location has another time zone since its visits were last compared with the local times that patients were told.
ALTER TABLE locations ADD COLUMN zone_scan_due boolean NOT NULL DEFAULT false;
