-- A stored result no longer has a status of its own. Results in the old form cannot be read, so they are deleted: a repeat of a request from
-- before the upgrade runs again.
DELETE FROM idempotency_keys;
ALTER TABLE idempotency_keys DROP COLUMN status;
ALTER TABLE idempotency_keys RENAME COLUMN answer TO result;
