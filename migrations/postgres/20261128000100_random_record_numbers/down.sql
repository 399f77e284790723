CREATE TABLE counters (
    name text PRIMARY KEY,
    value bigint NOT NULL
);

INSERT INTO counters (name, value) VALUES ('mrn', 99999999);
INSERT INTO counters (name, value) SELECT name, 1 FROM database_marks;
DROP TABLE database_marks;
