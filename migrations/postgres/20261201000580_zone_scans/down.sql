ALTER TABLE locations DROP COLUMN zone_scan_due;
