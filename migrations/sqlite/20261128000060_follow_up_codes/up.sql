-- The code in the mail, for browsers without a script: a keyed digest. A link from before has none.
ALTER TABLE follow_up_links ADD COLUMN code_digest BLOB;

CREATE UNIQUE INDEX follow_up_links_code ON follow_up_links (code_digest);
