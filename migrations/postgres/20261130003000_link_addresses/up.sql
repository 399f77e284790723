-- A link ends when its recipient has another address: SHA-256 of the token and the address that it was mailed to. Links from before have none.
ALTER TABLE appointment_links ADD COLUMN address_hash bytea;
