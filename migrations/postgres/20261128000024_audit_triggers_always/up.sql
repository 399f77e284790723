-- A trigger fires with `session_replication_role = replica` only if it is enabled always.
ALTER TABLE audit_event_patients ENABLE ALWAYS TRIGGER audit_event_patients_append_only;
ALTER TABLE audit_event_patients ENABLE ALWAYS TRIGGER audit_event_patients_no_truncate;
ALTER TABLE audit_event_patients ENABLE ALWAYS TRIGGER audit_event_patients_purged_only;
ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_append_only;
ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_no_truncate;
ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_purged_only;
ALTER TABLE audit_purges ENABLE ALWAYS TRIGGER audit_purges_append_only;
ALTER TABLE audit_purges ENABLE ALWAYS TRIGGER audit_purges_no_truncate;
ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_seals_append_only;
ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_seals_no_truncate;
ALTER TABLE audit_seals ENABLE ALWAYS TRIGGER audit_seals_purged_only;
