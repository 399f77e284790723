-- SQLite's triggers always fire.
SELECT 1;
