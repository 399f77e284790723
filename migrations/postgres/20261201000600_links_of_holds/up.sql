-- The hold whose visit an open link of a registration books, so that another registration with the hold finds the link. The hold may be
-- gone: it is no reference.
ALTER TABLE one_time_tokens ADD COLUMN hold_id uuid;
CREATE INDEX one_time_tokens_hold ON one_time_tokens (hold_id) WHERE hold_id IS NOT NULL;
