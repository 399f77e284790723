-- Requests about an address by people who are not signed in, whether or not it has an account. Each writes a row before the address is looked
-- up, so that every one ends with a commit. Rows are deleted within hours.
CREATE TABLE address_requests (
    id BLOB PRIMARY KEY,
    requested_at INTEGER NOT NULL
) STRICT;
CREATE INDEX address_requests_time ON address_requests (requested_at);
