DROP TABLE appointment_history;
ALTER TABLE slots DROP CONSTRAINT slots_appointment;
DROP TABLE appointments;
