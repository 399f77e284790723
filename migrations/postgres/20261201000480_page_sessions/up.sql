-- A session of a person who uses the pages is held by a cookie instead of refresh tokens. SHA-256 of the cookie's token.
ALTER TABLE sessions ADD COLUMN cookie_hash bytea CONSTRAINT sessions_cookie_hash CHECK (length(cookie_hash) = 32);
CREATE UNIQUE INDEX sessions_cookie ON sessions (cookie_hash) WHERE cookie_hash IS NOT NULL;
