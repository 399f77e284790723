ALTER TABLE one_time_tokens DROP COLUMN requested_from;
