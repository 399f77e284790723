DROP TRIGGER appointments_insert_waitlist ON appointments;
DROP FUNCTION appointments_waitlist();
DROP TRIGGER resource_occupancy_delete_freed ON resource_occupancy;
DROP FUNCTION resource_occupancy_freed();
DROP TRIGGER slots_update_freed ON slots;
DROP TRIGGER slots_insert_freed ON slots;
DROP FUNCTION slots_freed();
DROP TABLE freed_times;
DROP TABLE waitlist_offers;
DROP FUNCTION waitlist_offers_event();
DROP INDEX waitlist_entries_last_day;
DROP INDEX waitlist_entries_search;
DROP INDEX waitlist_entries_queue;
ALTER TABLE waitlist_entries DROP COLUMN search_at;
ALTER TABLE waitlist_entries DROP COLUMN lapses;
-- Earlier versions do not know these statuses.
UPDATE waitlist_entries SET status = 'waiting' WHERE status = 'offered';
UPDATE waitlist_entries SET status = 'cancelled' WHERE status = 'booked';

UPDATE slots SET hold_id = NULL, held_until = NULL WHERE hold_id IN (SELECT id FROM holds WHERE offered);
DELETE FROM holds WHERE offered;
ALTER TABLE holds DROP CONSTRAINT holds_holder;
ALTER TABLE holds DROP COLUMN offered;
ALTER TABLE holds ADD CONSTRAINT holds_holder CHECK (
    (user_id IS NULL) = (secret_hash IS NOT NULL)
    AND (secret_hash IS NULL) = (caller IS NULL)
    AND (secret_hash IS NULL) = (network IS NULL)
);
