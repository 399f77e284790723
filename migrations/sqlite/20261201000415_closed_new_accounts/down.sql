ALTER TABLE new_accounts DROP COLUMN visits_left;
