DROP TRIGGER appointments_insert_waitlist;
DROP TRIGGER resource_occupancy_delete_freed;
DROP TRIGGER slots_update_freed;
DROP TRIGGER slots_insert_freed;
DROP TABLE freed_times;
DROP TABLE waitlist_offers;
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
CREATE TABLE resource_occupancy_kept AS SELECT * FROM resource_occupancy WHERE hold_id IS NOT NULL;
DELETE FROM resource_occupancy WHERE hold_id IS NOT NULL;
CREATE TABLE holds_new (
    id BLOB PRIMARY KEY,
    user_id BLOB REFERENCES users (id),
    slot_id BLOB NOT NULL,
    visit_type_id BLOB NOT NULL REFERENCES visit_types (id),
    expires_at INTEGER NOT NULL,
    renewed INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    place INTEGER NOT NULL DEFAULT 0,
    secret_hash BLOB,
    caller BLOB,
    network BLOB,
    reserved INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT holds_place UNIQUE (user_id, place),
    CONSTRAINT holds_secret UNIQUE (secret_hash),
    CONSTRAINT holds_holder CHECK (
        (user_id IS NULL) = (secret_hash IS NOT NULL)
        AND (secret_hash IS NULL) = (caller IS NULL)
        AND (secret_hash IS NULL) = (network IS NULL)
    )
) STRICT;

INSERT INTO holds_new
    SELECT id, user_id, slot_id, visit_type_id, expires_at, renewed, created_at, place, secret_hash, caller, network, reserved FROM holds;
DROP TABLE holds;
ALTER TABLE holds_new RENAME TO holds;
INSERT INTO resource_occupancy SELECT * FROM resource_occupancy_kept;
DROP TABLE resource_occupancy_kept;

CREATE INDEX holds_network ON holds (network, expires_at) WHERE network IS NOT NULL;
CREATE INDEX holds_expires ON holds (expires_at);
