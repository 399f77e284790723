DROP INDEX waitlist_offers_claimed;
DROP INDEX appointments_missed;
ALTER TABLE appointments DROP COLUMN late_cancelled;
