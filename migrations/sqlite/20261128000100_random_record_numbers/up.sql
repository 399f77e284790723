-- Record numbers are drawn at random, so no counter is left.
-- What a database is, beside its contents: a demo has the mark 'demo'.
CREATE TABLE database_marks (
    name TEXT PRIMARY KEY
) STRICT;

INSERT INTO database_marks (name) SELECT name FROM counters WHERE name <> 'mrn';
DROP TABLE counters;
