CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

INSERT INTO counters (name, value) VALUES ('mrn', 99999999);
INSERT INTO counters (name, value) SELECT name, 1 FROM database_marks;
DROP TABLE database_marks;
