ALTER TABLE follow_up_links DROP COLUMN email_key;
