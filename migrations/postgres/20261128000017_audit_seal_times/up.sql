-- When the seal was made; the HMAC covers it. Older seals have no time.
ALTER TABLE audit_seals ADD COLUMN at timestamptz;
