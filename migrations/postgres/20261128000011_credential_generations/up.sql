-- Raised by every change of how the account signs in. A device token is valid for one generation only.
ALTER TABLE users ADD COLUMN credential_generation integer NOT NULL DEFAULT 1;
