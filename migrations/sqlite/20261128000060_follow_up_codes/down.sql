DROP INDEX follow_up_links_code;
ALTER TABLE follow_up_links DROP COLUMN code_digest;
