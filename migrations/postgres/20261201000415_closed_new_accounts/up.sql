-- The upcoming appointments of a new account that was closed: they go on counting towards the limit of its address.
ALTER TABLE new_accounts ADD COLUMN visits_left integer NOT NULL DEFAULT 0 CONSTRAINT new_accounts_visits_left CHECK (visits_left >= 0);
