-- Every data key under which anything in this database may be sealed.
CREATE TABLE sealing_keys (
    id TEXT PRIMARY KEY,
    -- sealed under this very key: another key of the same name does not open it
    proof BLOB NOT NULL,
    first_used_at INTEGER NOT NULL
) STRICT;
