-- The digest of the request is inside the encrypted result, so it follows the rotation of keys. Results in the old form cannot be compared, so
-- they are deleted: a repeat of a request from before the upgrade runs again.
DELETE FROM idempotency_keys;
ALTER TABLE idempotency_keys DROP COLUMN fingerprint;
