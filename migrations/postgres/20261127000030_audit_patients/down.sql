DROP TABLE audit_event_patients;
DROP FUNCTION audit_event_patients_purged_only();
ALTER TABLE audit_events DROP COLUMN shown;
