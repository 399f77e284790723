ALTER TABLE access_links ADD COLUMN told_id uuid REFERENCES users (id) ON DELETE CASCADE;

ALTER TABLE patients DROP COLUMN guarded_until;
