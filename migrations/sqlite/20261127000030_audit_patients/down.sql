DROP TABLE audit_event_patients;
ALTER TABLE audit_events DROP COLUMN shown;
