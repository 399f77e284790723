DROP TABLE reminder_plan;
DROP TABLE reminders;
DROP INDEX appointments_remind;
ALTER TABLE appointments DROP COLUMN remind_at;
ALTER TABLE patients DROP COLUMN reminders_wanted;
