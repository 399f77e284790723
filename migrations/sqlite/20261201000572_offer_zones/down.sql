ALTER TABLE waitlist_offers DROP COLUMN time_zone;
