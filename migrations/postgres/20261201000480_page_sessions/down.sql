-- Nothing else can use a session that a cookie holds.
DELETE FROM sessions WHERE cookie_hash IS NOT NULL;
DROP INDEX sessions_cookie;
ALTER TABLE sessions DROP COLUMN cookie_hash;
