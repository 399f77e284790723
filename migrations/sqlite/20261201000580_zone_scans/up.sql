-- Whether the location has another time zone since its visits were last compared with the local times that patients were told.
ALTER TABLE locations ADD COLUMN zone_scan_due INTEGER NOT NULL DEFAULT 0
    CONSTRAINT locations_zone_scan_due CHECK (zone_scan_due IN (0, 1));
