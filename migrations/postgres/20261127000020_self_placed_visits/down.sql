DROP INDEX intake_flags_appointment;
ALTER TABLE intake_flags DROP COLUMN appointment_id;
ALTER TABLE appointments DROP COLUMN self_placed;
