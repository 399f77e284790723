-- The key of the record's address to which a link was mailed. NULL where it was mailed to an account.
ALTER TABLE follow_up_links ADD COLUMN email_key TEXT;
