DROP INDEX one_time_tokens_hold;
ALTER TABLE one_time_tokens DROP COLUMN hold_id;
