-- The time zone in which the patient was told the time of the offer. That of the location may be corrected afterwards.
ALTER TABLE waitlist_offers ADD COLUMN time_zone text NOT NULL DEFAULT '';
UPDATE waitlist_offers SET time_zone = (SELECT l.time_zone FROM locations l WHERE l.id = waitlist_offers.location_id);
