ALTER TABLE appointments DROP COLUMN cancel_notice_minutes;
